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

/// Adds an array to the stats. The sums run in sixteen lanes, so their last bits differ from those of other tiers.
template <scaling S, bulk_source T>
QUAVER_TARGET_AVX512 void add_stats(const stats_call<T>& call, const decoding& d, cast_stats& stats) noexcept {
  const table values    = load_table(d);
  const __m512 scale    = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(call.scale)));
  const __m512 dequant  = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(call.dequant)));
  const __m512 limit    = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(call.limit)));
  const __m512 zero     = _mm512_setzero_ps();
  __m512 amax           = zero;
  __m512d sum_x2[2]     = {};
  __m512d sum_error2[2] = {};
  const size_t whole    = is_plain_scale(call.dequant) ? call.count / 64 * 64 : 0;
  for (size_t i = 0; i < whole; i += 64) {
    const sixty_four x = load64(call.x + i);
    sixty_four scaled  = x;
    apply_scale<S>(scaled, scale);
    const sixty_four back = decode64_to_32(_mm512_loadu_si512(call.y + i), values, d);
    constexpr int special = 0x99;  // NaNs and infinities
    const __mmask16 a = _kor_mask16(_mm512_fpclass_ps_mask(x.v[0], special), _mm512_fpclass_ps_mask(x.v[1], special));
    const __mmask16 b = _kor_mask16(_mm512_fpclass_ps_mask(x.v[2], special), _mm512_fpclass_ps_mask(x.v[3], special));
    if (!_kortestz_mask16_u8(a, b)) {
      call.portable(call, i, i + 64, stats);
      continue;
    }
    stats.count += 64;
    for (int q = 0; q < 4; ++q) {
      const __m512 v = x.v[q];
      amax           = _mm512_max_ps(amax, _mm512_abs_ps(v));
      stats.saturated += __builtin_popcount(_mm512_cmp_ps_mask(_mm512_abs_ps(scaled.v[q]), limit, _CMP_GT_OQ));
      const __mmask16 is_zero = _mm512_cmp_ps_mask(back.v[q], zero, _CMP_EQ_OQ);
      stats.underflow += __builtin_popcount(_mm512_mask_cmp_ps_mask(is_zero, v, zero, _CMP_NEQ_UQ));
      const __m512 dequantised = _mm512_mul_ps(back.v[q], dequant);
      const __m512d xs[2] = {_mm512_cvtps_pd(_mm512_castps512_ps256(v)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))};
      const __m512d ys[2] = {_mm512_cvtps_pd(_mm512_castps512_ps256(dequantised)),
                             _mm512_cvtps_pd(_mm512_extractf32x8_ps(dequantised, 1))};
      for (int half = 0; half < 2; ++half) {
        const __m512d error = _mm512_sub_pd(xs[half], ys[half]);
        sum_x2[half]        = _mm512_fmadd_pd(xs[half], xs[half], sum_x2[half]);
        sum_error2[half]    = _mm512_fmadd_pd(error, error, sum_error2[half]);
      }
    }
  }
  const uint32_t found = bitwise_cast<uint32_t>(_mm512_reduce_max_ps(amax));
  if (found > bitwise_cast<uint32_t>(stats.amax)) stats.amax = bitwise_cast<float>(found);
  stats.sum_x2 += _mm512_reduce_add_pd(_mm512_add_pd(sum_x2[0], sum_x2[1]));
  stats.sum_error2 += _mm512_reduce_add_pd(_mm512_add_pd(sum_error2[0], sum_error2[1]));
  call.portable(call, whole, call.count, stats);
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
