// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_LOAD_HPP
#define QUAVER_CPU_ISA_AVX512_LOAD_HPP

#include <quaver/convert/elements.hpp>

#if QUAVER_X86_64

#include <immintrin.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i broadcast8(uint8_t x) noexcept {
  return _mm512_set1_epi8(static_cast<char>(x));
}
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i broadcast32(uint32_t x) noexcept {
  return _mm512_set1_epi32(static_cast<int>(x));
}

// Compilers treat arithmetic intrinsics as plain +, - and /, which -ffast-math rewrites; where that would change a bit, the
// result is hidden from them or the instruction is asm.

/// The same value, of which the compiler knows nothing more.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512 hidden(__m512 x) noexcept {
  __asm__("" : "+v"(x));
  return x;
}

/// x / y, rounded once.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512 quotient(__m512 x, __m512 y) noexcept {
  __m512 result;
  __asm__("vdivps %2, %1, %0" : "=v"(result) : "v"(x), "v"(y));
  return result;
}

/// Elements [first, first + 16) as binary32, exactly; lanes outside the mask are +0 and are not read.
template <bulk_source T>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512 load(const T* x, __mmask16 mask) noexcept {
  if constexpr (same_type<T, float>) return _mm512_maskz_loadu_ps(mask, x);
  else {
    const __m256i narrow = _mm256_maskz_loadu_epi16(mask, x);
    if constexpr (same_type<T, half>) return _mm512_cvtph_ps(narrow);
    else return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
}

template <bulk_source T>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512 load(const T* x) noexcept {
  if constexpr (same_type<T, float>) return _mm512_loadu_ps(x);
  else {
    const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
    if constexpr (same_type<T, half>) return _mm512_cvtph_ps(narrow);
    else return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
}

/// 64 elements. With a mask, those outside it are +0.
struct sixty_four {
  __m512 v[4];
};
template <bulk_source T>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE sixty_four load64(const T* x) noexcept {
  return {{load(x), load(x + 16), load(x + 32), load(x + 48)}};
}
template <bulk_source T>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE sixty_four load64(const T* x, __mmask64 mask) noexcept {
  return {{load(x, static_cast<__mmask16>(mask)), load(x + 16, static_cast<__mmask16>(mask >> 16)),
           load(x + 32, static_cast<__mmask16>(mask >> 32)), load(x + 48, static_cast<__mmask16>(mask >> 48))}};
}

/// The first n lanes of 64, n <= 64.
QUAVER_ALWAYS_INLINE __mmask64 first_lanes(size_t n) noexcept {
  return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1;
}

/// Byte `Byte` of each of 64 32-bit lanes, in order.
template <int Byte>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i gather_bytes(__m512i a, __m512i b, __m512i c, __m512i d) noexcept {
  // 4 * i + Byte for i in 0..31, twice: the second half of the result comes from c and d.
  const __m512i ramp =
      _mm512_set_epi8(124, 120, 116, 112, 108, 104, 100, 96, 92, 88, 84, 80, 76, 72, 68, 64, 60, 56, 52, 48, 44, 40, 36,
                      32, 28, 24, 20, 16, 12, 8, 4, 0, 124, 120, 116, 112, 108, 104, 100, 96, 92, 88, 84, 80, 76, 72,
                      68, 64, 60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4, 0);
  const __m512i index = _mm512_add_epi8(ramp, broadcast8(Byte));
  return _mm512_mask_blend_epi64(0xF0, _mm512_permutex2var_epi8(a, index, b), _mm512_permutex2var_epi8(c, index, d));
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
