// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_CAST_STATS_HPP
#define QUAVER_CPU_ISA_AVX2_CAST_STATS_HPP

#include <quaver/cpu/isa/avx2/decode.hpp>
#include <quaver/cpu/isa/avx2/encode.hpp>
#include <quaver/cpu/isa/statistics.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE double sum_of(__m256d x) noexcept {
  alignas(32) double lanes[4];
  _mm256_store_pd(lanes, x);
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

/// Adds an array to the stats. The sums run in eight lanes, so their last bits differ from those of other tiers.
template <scaling S, bulk_source T>
QUAVER_TARGET_AVX2 void add_stats(const stats_call<T>& call, const nibble_decoding& d, cast_stats& stats) noexcept {
  const tables t        = load_tables(d);
  const __m256 scale    = _mm256_castsi256_ps(broadcast32(call.scale));
  const __m256 dequant  = _mm256_castsi256_ps(broadcast32(call.dequant));
  const __m256 limit    = _mm256_castsi256_ps(broadcast32(call.limit));
  const __m256 absolute = _mm256_castsi256_ps(broadcast32(0x7FFF'FFFF));
  const __m256 zero     = _mm256_setzero_ps();
  __m256 amax           = zero;
  __m256d sum_x2[2]     = {};
  __m256d sum_error2[2] = {};
  const size_t whole    = is_plain_scale(call.dequant) ? call.count / 32 * 32 : 0;
  for (size_t i = 0; i < whole; i += 32) {
    const thirty_two x = load32(call.x + i);
    if (has_special(x, true)) {
      call.portable(call, i, i + 32, stats);
      continue;
    }
    thirty_two scaled = x;
    apply_scale<S>(scaled, scale);
    const thirty_two back = decode32_to_32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(call.y + i)), t, d);
    stats.count += 32;
    for (int q = 0; q < 4; ++q) {
      const __m256 v    = x.v[q];
      amax              = _mm256_max_ps(amax, _mm256_and_ps(v, absolute));
      const __m256 over = _mm256_cmp_ps(_mm256_and_ps(scaled.v[q], absolute), limit, _CMP_GT_OQ);
      const __m256 lost =
          _mm256_and_ps(_mm256_cmp_ps(back.v[q], zero, _CMP_EQ_OQ), _mm256_cmp_ps(v, zero, _CMP_NEQ_UQ));
      stats.saturated += __builtin_popcount(static_cast<unsigned>(_mm256_movemask_ps(over)));
      stats.underflow += __builtin_popcount(static_cast<unsigned>(_mm256_movemask_ps(lost)));
      const __m256 dequantised = _mm256_mul_ps(back.v[q], dequant);
      const __m256d xs[2] = {_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))};
      const __m256d ys[2] = {_mm256_cvtps_pd(_mm256_castps256_ps128(dequantised)),
                             _mm256_cvtps_pd(_mm256_extractf128_ps(dequantised, 1))};
      for (int half = 0; half < 2; ++half) {
        const __m256d error = _mm256_sub_pd(xs[half], ys[half]);
        sum_x2[half]        = _mm256_fmadd_pd(xs[half], xs[half], sum_x2[half]);
        sum_error2[half]    = _mm256_fmadd_pd(error, error, sum_error2[half]);
      }
    }
  }
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, amax);
  for (const float lane : lanes) {
    if (bitwise_cast<uint32_t>(lane) > bitwise_cast<uint32_t>(stats.amax)) stats.amax = lane;
  }
  stats.sum_x2 += sum_of(_mm256_add_pd(sum_x2[0], sum_x2[1]));
  stats.sum_error2 += sum_of(_mm256_add_pd(sum_error2[0], sum_error2[1]));
  call.portable(call, whole, call.count, stats);
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
