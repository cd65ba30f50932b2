// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_LOAD_HPP
#define QUAVER_CPU_ISA_AVX2_LOAD_HPP

#include <quaver/convert/elements.hpp>

#if QUAVER_X86_64

#include <immintrin.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

// Compilers treat arithmetic intrinsics as plain +, - and /, which -ffast-math rewrites; where that would change a bit, the
// result is hidden from them or the instruction is asm.

/// The same value, of which the compiler knows nothing more.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256 hidden(__m256 x) noexcept {
  __asm__("" : "+x"(x));
  return x;
}

/// x / y, rounded once.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256 quotient(__m256 x, __m256 y) noexcept {
  __m256 result;
  __asm__("vdivps %2, %1, %0" : "=x"(result) : "x"(x), "x"(y));
  return result;
}

/// Eight elements as binary32, exactly.
template <bulk_source T>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256 load(const T* x) noexcept {
  if constexpr (same_type<T, float>) return _mm256_loadu_ps(x);
  else {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    if constexpr (same_type<T, half>) return _mm256_cvtph_ps(narrow);
    else return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
  }
}

/// 32 elements.
struct thirty_two {
  __m256 v[4];
};
template <bulk_source T>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE thirty_two load32(const T* x) noexcept {
  return {{load(x), load(x + 8), load(x + 16), load(x + 24)}};
}

/// 32 elements of which `count` are there, the others +0: the end of an array.
template <bulk_source T>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE thirty_two load32(const T* x, size_t count) noexcept {
  T some[32] = {};
  for (size_t i = 0; i < count; ++i) some[i] = x[i];
  return load32(some);
}

QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i broadcast8(uint8_t x) noexcept {
  return _mm256_set1_epi8(static_cast<char>(x));
}
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i broadcast32(uint32_t x) noexcept {
  return _mm256_set1_epi32(static_cast<int>(x));
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
