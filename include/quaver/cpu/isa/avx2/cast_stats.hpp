// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_CAST_STATS_HPP
#define QUAVER_CPU_ISA_AVX2_CAST_STATS_HPP

#include <quaver/cpu/isa/avx2/amax.hpp>
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

/// What is gathered lane by lane.
struct stats_lanes {
  __m256 amax;
  __m256d sum_x2[2];
  __m256d sum_error2[2];
};

QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void add_squares(__m128 x, __m128 dequantised, __m256d& sum_x2,
                                                         __m256d& sum_error2) noexcept {
  const __m256d value = _mm256_cvtps_pd(x);
  const __m256d error = _mm256_sub_pd(value, _mm256_cvtps_pd(dequantised));
  sum_x2              = _mm256_fmadd_pd(value, value, sum_x2);
  sum_error2          = _mm256_fmadd_pd(error, error, sum_error2);
}

/// Adds eight finite values, what was rounded of them, and their decoded codes.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void add_eight(__m256 x, __m256 scaled, __m256 decoded, __m256 dequant,
                                                       __m256 limit, stats_lanes& lanes, cast_stats& stats) noexcept {
  const __m256 absolute = _mm256_castsi256_ps(broadcast32(0x7FFF'FFFF));
  const __m256 zero     = _mm256_setzero_ps();
  const __m256 over     = _mm256_cmp_ps(_mm256_and_ps(scaled, absolute), limit, _CMP_GT_OQ);
  const __m256 lost     = _mm256_and_ps(_mm256_cmp_ps(decoded, zero, _CMP_EQ_OQ), _mm256_cmp_ps(x, zero, _CMP_NEQ_UQ));
  lanes.amax            = _mm256_max_ps(lanes.amax, _mm256_and_ps(x, absolute));
  stats.saturated += __builtin_popcount(static_cast<unsigned>(_mm256_movemask_ps(over)));
  stats.underflow += __builtin_popcount(static_cast<unsigned>(_mm256_movemask_ps(lost)));
  const __m256 dequantised = _mm256_mul_ps(decoded, dequant);
  add_squares(_mm256_castps256_ps128(x), _mm256_castps256_ps128(dequantised), lanes.sum_x2[0], lanes.sum_error2[0]);
  add_squares(_mm256_extractf128_ps(x, 1), _mm256_extractf128_ps(dequantised, 1), lanes.sum_x2[1], lanes.sum_error2[1]);
}

/// Adds an array to the stats. The sums run in eight lanes, so their last bits differ from those of other tiers.
template <scaling S, bulk_source T>
QUAVER_TARGET_AVX2 void add_stats(const stats_call<T>& call, const nibble_decoding& d, cast_stats& stats) noexcept {
  const tables t       = load_tables(d);
  const __m256 scale   = _mm256_castsi256_ps(broadcast32(call.scale));
  const __m256 dequant = _mm256_castsi256_ps(broadcast32(call.dequant));
  const __m256 limit   = _mm256_castsi256_ps(broadcast32(call.limit));
  stats_lanes lanes    = {
      _mm256_setzero_ps(), {_mm256_setzero_pd(), _mm256_setzero_pd()}, {_mm256_setzero_pd(), _mm256_setzero_pd()}};
  const size_t whole = is_plain_scale(call.dequant) ? call.count / 32 * 32 : 0;
  cast_stats counted;
  for (size_t i = 0; i < whole; i += 32) {
    const thirty_two x = load32(call.x + i);
    if (has_special(x, true)) {
      call.portable(call, i, i + 32, stats);
      continue;
    }
    const thirty_two by_scale = scaled<S>(x, scale);
    const thirty_two decoded  = decode32_to_32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(call.y + i)), t, d);
    counted.count += 32;
    add_eight(x.v[0], by_scale.v[0], decoded.v[0], dequant, limit, lanes, counted);
    add_eight(x.v[1], by_scale.v[1], decoded.v[1], dequant, limit, lanes, counted);
    add_eight(x.v[2], by_scale.v[2], decoded.v[2], dequant, limit, lanes, counted);
    add_eight(x.v[3], by_scale.v[3], decoded.v[3], dequant, limit, lanes, counted);
  }
  counted.amax =
      bitwise_cast<float>(largest_lane(_mm256_castps_si256(lanes.amax)));  // positive floats order as integers
  counted.sum_x2     = sum_of(_mm256_add_pd(lanes.sum_x2[0], lanes.sum_x2[1]));
  counted.sum_error2 = sum_of(_mm256_add_pd(lanes.sum_error2[0], lanes.sum_error2[1]));
  stats.merge(counted);
  call.portable(call, whole, call.count, stats);
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
