// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_AMAX_HPP
#define QUAVER_CPU_ISA_AVX2_AMAX_HPP

#include <quaver/cpu/isa/avx2/load.hpp>
#include <quaver/cpu/isa/past_caches.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE uint32_t largest_lane(__m256i x) noexcept {
  __m128i most = _mm_max_epu32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  most         = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0b01'00'11'10));
  most         = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0b10'11'00'01));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(most));
}

/// The largest magnitude of an array and of `largest`, as binary32 bits: NaN above infinity above numbers.
template <bulk_source T>
QUAVER_TARGET_AVX2 uint32_t amax(const T* x, size_t count, uint32_t largest) noexcept {
  const __m256i magnitude = broadcast32(0x7FFF'FFFF);
  __m256i most[4]         = {};
  const bool far          = count * sizeof(T) >= past_caches_from;
  for (size_t i = 0; i < count; i += 32) {
    if (far) prefetch_ahead(x + i, 32 * sizeof(T));
    const thirty_two some = i + 32 <= count ? load32(x + i) : load32(x + i, count - i);
    for (int q = 0; q < 4; ++q) {
      most[q] = _mm256_max_epu32(most[q], _mm256_and_si256(_mm256_castps_si256(some.v[q]), magnitude));
    }
  }
  const __m256i all    = _mm256_max_epu32(_mm256_max_epu32(most[0], most[1]), _mm256_max_epu32(most[2], most[3]));
  const uint32_t found = largest_lane(all);
  return found > largest ? found : largest;
}

/// Raises largest[b] to the largest magnitude of block b: blocks follow one another, `width` elements each, a multiple of
/// 16.
template <bulk_source T>
QUAVER_TARGET_AVX2 void amax_blocks(const T* x, size_t blocks, size_t width, uint32_t* largest) noexcept {
  const __m256i magnitude = broadcast32(0x7FFF'FFFF);
  for (size_t b = 0; b < blocks; ++b) {
    __m256i most = _mm256_setzero_si256();
    for (size_t i = 0; i < width; i += 8, x += 8) {
      most = _mm256_max_epu32(most, _mm256_and_si256(_mm256_castps_si256(load(x)), magnitude));
    }
    const uint32_t found = largest_lane(most);
    largest[b]           = found > largest[b] ? found : largest[b];
  }
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
