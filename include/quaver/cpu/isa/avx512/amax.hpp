// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_AMAX_HPP
#define QUAVER_CPU_ISA_AVX512_AMAX_HPP

#include <quaver/cpu/isa/avx512/load.hpp>
#include <quaver/cpu/isa/past_caches.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

/// The largest magnitude of an array and of `largest`, as binary32 bits: NaN above infinity above numbers.
template <bulk_source T>
QUAVER_TARGET_AVX512 uint32_t amax(const T* x, size_t count, uint32_t largest) noexcept {
  const __m512i magnitude = broadcast32(0x7FFF'FFFF);
  __m512i most[4]         = {};
  const bool far          = count * sizeof(T) >= past_caches_from;
  for (size_t i = 0; i < count; i += 64) {
    if (far) prefetch_ahead(x + i, 64 * sizeof(T));
    const sixty_four some = i + 64 <= count ? load64(x + i) : load64(x + i, first_lanes(count - i));
    for (int q = 0; q < 4; ++q)
      most[q] = _mm512_max_epu32(most[q], _mm512_and_si512(_mm512_castps_si512(some.v[q]), magnitude));
  }
  const __m512i all    = _mm512_max_epu32(_mm512_max_epu32(most[0], most[1]), _mm512_max_epu32(most[2], most[3]));
  const uint32_t found = _mm512_reduce_max_epu32(all);
  return found > largest ? found : largest;
}

/// Raises largest[b] to the largest magnitude of block b: blocks follow one another, `width` elements each, a multiple of
/// 16.
template <bulk_source T>
QUAVER_TARGET_AVX512 void amax_blocks(const T* x, size_t blocks, size_t width, uint32_t* largest) noexcept {
  const __m512i magnitude = broadcast32(0x7FFF'FFFF);
  for (size_t b = 0; b < blocks; ++b) {
    __m512i most = _mm512_setzero_si512();
    for (size_t i = 0; i < width; i += 16, x += 16) {
      most = _mm512_max_epu32(most, _mm512_and_si512(_mm512_castps_si512(load(x)), magnitude));
    }
    const uint32_t found = _mm512_reduce_max_epu32(most);
    largest[b]           = found > largest[b] ? found : largest[b];
  }
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
