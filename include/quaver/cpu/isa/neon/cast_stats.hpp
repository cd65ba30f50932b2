// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_CAST_STATS_HPP
#define QUAVER_CPU_ISA_NEON_CAST_STATS_HPP

#include <quaver/cpu/isa/neon/decode.hpp>
#include <quaver/cpu/isa/neon/encode.hpp>
#include <quaver/cpu/isa/statistics.hpp>

#if QUAVER_AARCH64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::neon {

/// Counts lanes: a comparison that holds is -1, so the counts run downwards.
struct lane_count {
  int64x2_t negated;

  QUAVER_ALWAYS_INLINE void add(uint32x4_t comparison) noexcept {
    negated = vpadalq_s32(negated, vreinterpretq_s32_u32(comparison));
  }
  QUAVER_ALWAYS_INLINE int64_t total() const noexcept { return -vaddvq_s64(negated); }
};

/// Adds an array to the stats. The sums run in four lanes, so their last bits differ from those of other tiers.
template <scaling S, bulk_source T>
void add_stats(const stats_call<T>& call, const decoding& d, cast_stats& stats) noexcept {
  const tables t            = load_tables(d);
  const float32x4_t scale   = as_floats(vdupq_n_u32(call.scale));
  const float32x4_t back    = as_floats(vdupq_n_u32(call.dequant));
  const uint32x4_t limit    = vdupq_n_u32(call.limit);
  const uint32x4_t inf      = vdupq_n_u32(binary<float>::infinity);
  uint32x4_t most           = vdupq_n_u32(0);
  lane_count saturated      = {vdupq_n_s64(0)};
  lane_count underflow      = {vdupq_n_s64(0)};
  float64x2_t sum_x2[2]     = {vdupq_n_f64(0), vdupq_n_f64(0)};
  float64x2_t sum_error2[2] = {vdupq_n_f64(0), vdupq_n_f64(0)};
  const size_t whole        = is_plain_scale(call.dequant) ? call.count / 16 * 16 : 0;
  for (size_t i = 0; i < whole; i += 16) {
    const sixteen x = load16(call.x + i);
    if (has_special(x, true)) {
      call.portable(call, i, i + 16, stats);
      continue;
    }
    sixteen scaled = x;
    apply_scale<S>(scaled, scale);
    const sixteen decoded = decode16_to_32(vld1q_u8(call.y + i), t, d);
    stats.count += 16;
    for (int q = 0; q < 4; ++q) {
      const uint32x4_t magnitude = magnitudes(x.v[q]);
      const uint32x4_t reached   = magnitudes(scaled.v[q]);  // NaN where the scale was: that is not saturation
      const uint32x4_t something = vtstq_u32(magnitude, magnitude);
      most                       = vmaxq_u32(most, magnitude);
      saturated.add(vandq_u32(vcgtq_u32(reached, limit), vcleq_u32(reached, inf)));
      underflow.add(vandq_u32(vceqzq_u32(magnitudes(decoded.v[q])), something));
      const float32x4_t dequantised = product(decoded.v[q], back);
      const float64x2_t xs[2]       = {vcvt_f64_f32(vget_low_f32(x.v[q])), vcvt_high_f64_f32(x.v[q])};
      const float64x2_t ys[2]       = {vcvt_f64_f32(vget_low_f32(dequantised)), vcvt_high_f64_f32(dequantised)};
      for (int half = 0; half < 2; ++half) {
        const float64x2_t error = vsubq_f64(xs[half], ys[half]);
        sum_x2[half]            = vfmaq_f64(sum_x2[half], xs[half], xs[half]);
        sum_error2[half]        = vfmaq_f64(sum_error2[half], error, error);
      }
    }
  }
  const uint32_t amax = vmaxvq_u32(most);
  if (amax > bitwise_cast<uint32_t>(stats.amax)) stats.amax = bitwise_cast<float>(amax);
  stats.saturated += saturated.total();
  stats.underflow += underflow.total();
  stats.sum_x2 += vaddvq_f64(vaddq_f64(sum_x2[0], sum_x2[1]));
  stats.sum_error2 += vaddvq_f64(vaddq_f64(sum_error2[0], sum_error2[1]));
  call.portable(call, whole, call.count, stats);
}

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
