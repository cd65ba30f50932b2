// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_AMAX_HPP
#define QUAVER_CPU_ISA_AVX2_AMAX_HPP

#include <quaver/cpu/isa/avx2/load.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

/// The largest magnitude of an array and of `largest`, as binary32 bits: NaN above infinity above numbers.
template <bulk_source T>
QUAVER_TARGET_AVX2 uint32_t amax(const T* x, size_t count, uint32_t largest) noexcept {
  const __m256i magnitude = broadcast32(0x7FFF'FFFF);
  __m256i most[4]         = {};
  for (size_t i = 0; i < count; i += 32) {
    const thirty_two some = i + 32 <= count ? load32(x + i) : load32(x + i, count - i);
    for (int q = 0; q < 4; ++q) {
      most[q] = _mm256_max_epu32(most[q], _mm256_and_si256(_mm256_castps_si256(some.v[q]), magnitude));
    }
  }
  const __m256i all = _mm256_max_epu32(_mm256_max_epu32(most[0], most[1]), _mm256_max_epu32(most[2], most[3]));
  alignas(32) uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), all);
  for (const uint32_t lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
