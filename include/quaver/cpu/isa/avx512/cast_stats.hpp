// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_CAST_STATS_HPP
#define QUAVER_CPU_ISA_AVX512_CAST_STATS_HPP

#include <quaver/cpu/isa/avx512/decode.hpp>
#include <quaver/cpu/isa/avx512/encode.hpp>
#include <quaver/cpu/isa/statistics.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

/// What is gathered lane by lane.
struct stats_lanes {
  __m512 amax;
  __m512d sum_x2[2];
  __m512d sum_error2[2];
};

QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_squares(__m256 x, __m256 dequantised, __m512d& sum_x2,
                                                           __m512d& sum_error2) noexcept {
  const __m512d value = _mm512_cvtps_pd(x);
  const __m512d error = _mm512_sub_pd(value, _mm512_cvtps_pd(dequantised));
  sum_x2              = _mm512_fmadd_pd(value, value, sum_x2);
  sum_error2          = _mm512_fmadd_pd(error, error, sum_error2);
}

/// Adds 16 finite values, what was rounded of them, and their decoded codes.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_sixteen(__m512 x, __m512 scaled, __m512 decoded, __m512 dequant,
                                                           __m512 limit, stats_lanes& lanes,
                                                           cast_stats& stats) noexcept {
  const __m512 zero       = _mm512_setzero_ps();
  const __mmask16 is_zero = _mm512_cmp_ps_mask(decoded, zero, _CMP_EQ_OQ);
  lanes.amax              = _mm512_max_ps(lanes.amax, _mm512_abs_ps(x));
  stats.saturated += __builtin_popcount(_mm512_cmp_ps_mask(_mm512_abs_ps(scaled), limit, _CMP_GT_OQ));
  stats.underflow += __builtin_popcount(_mm512_mask_cmp_ps_mask(is_zero, x, zero, _CMP_NEQ_UQ));
  const __m512 dequantised = _mm512_mul_ps(decoded, dequant);
  add_squares(_mm512_castps512_ps256(x), _mm512_castps512_ps256(dequantised), lanes.sum_x2[0], lanes.sum_error2[0]);
  add_squares(_mm512_extractf32x8_ps(x, 1), _mm512_extractf32x8_ps(dequantised, 1), lanes.sum_x2[1],
              lanes.sum_error2[1]);
}

/// Adds an array to the stats. The sums run in sixteen lanes, so their last bits differ from those of other tiers.
template <scaling S, bulk_source T>
QUAVER_TARGET_AVX512 void add_stats(const stats_call<T>& call, const decoding& d, cast_stats& stats) noexcept {
  const table values   = load_table(d);
  const __m512 scale   = _mm512_castsi512_ps(broadcast32(call.scale));
  const __m512 dequant = _mm512_castsi512_ps(broadcast32(call.dequant));
  const __m512 limit   = _mm512_castsi512_ps(broadcast32(call.limit));
  stats_lanes lanes    = {
      _mm512_setzero_ps(), {_mm512_setzero_pd(), _mm512_setzero_pd()}, {_mm512_setzero_pd(), _mm512_setzero_pd()}};
  const size_t whole = is_plain_scale(call.dequant) ? call.count / 64 * 64 : 0;
  cast_stats counted;
  for (size_t i = 0; i < whole; i += 64) {
    const sixty_four x = load64(call.x + i);
    if (has_special(x, true)) {
      call.portable(call, i, i + 64, stats);
      continue;
    }
    const sixty_four by_scale = scaled<S>(x, scale);
    const sixty_four decoded  = decode64_to_32(_mm512_loadu_si512(call.y + i), values, d);
    counted.count += 64;
    add_sixteen(x.v[0], by_scale.v[0], decoded.v[0], dequant, limit, lanes, counted);
    add_sixteen(x.v[1], by_scale.v[1], decoded.v[1], dequant, limit, lanes, counted);
    add_sixteen(x.v[2], by_scale.v[2], decoded.v[2], dequant, limit, lanes, counted);
    add_sixteen(x.v[3], by_scale.v[3], decoded.v[3], dequant, limit, lanes, counted);
  }
  counted.amax       = _mm512_reduce_max_ps(lanes.amax);
  counted.sum_x2     = _mm512_reduce_add_pd(_mm512_add_pd(lanes.sum_x2[0], lanes.sum_x2[1]));
  counted.sum_error2 = _mm512_reduce_add_pd(_mm512_add_pd(lanes.sum_error2[0], lanes.sum_error2[1]));
  stats.merge(counted);
  call.portable(call, whole, call.count, stats);
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
