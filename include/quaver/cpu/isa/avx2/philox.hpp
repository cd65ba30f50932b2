// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_PHILOX_HPP
#define QUAVER_CPU_ISA_AVX2_PHILOX_HPP

#include <quaver/cpu/isa/avx2/load.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

/// The two halves of 32-bit products, lane by lane.
struct wide_product {
  __m256i high;
  __m256i low;
};
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE wide_product multiply_wide(__m256i a, uint32_t factor) noexcept {
  const __m256i f    = broadcast32(factor);
  const __m256i even = _mm256_mul_epu32(a, f);
  const __m256i odd  = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), f);
  return {_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA),
          _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA)};
}

/// Words first .. first + 31 of a seed, `first` a multiple of 4: v[q] holds words 8 q .. 8 q + 7.
struct random32 {
  __m256i v[4];
};
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE random32 philox32(uint64_t seed, uint64_t first) noexcept {
  // Eight blocks of four words. Block 2 k + l runs in lane 4 l + k, so that the transposition below, which works within
  // 128 bits, leaves the words in order.
  const uint64_t block = first / 4;
  const __m256i low    = broadcast32(static_cast<uint32_t>(block));
  __m256i c0           = _mm256_add_epi32(low, _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0));
  const __m256i wrap =
      _mm256_cmpeq_epi32(_mm256_max_epu32(c0, low), c0);  // -1 where c0 >= low, else 0: no carry, carry
  __m256i c1    = _mm256_add_epi32(broadcast32(static_cast<uint32_t>(block >> 32) + 1), wrap);
  __m256i c2    = _mm256_setzero_si256();
  __m256i c3    = _mm256_setzero_si256();
  uint32_t key0 = static_cast<uint32_t>(seed);
  uint32_t key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const wide_product p0 = multiply_wide(c0, 0xD2511F53u);
    const wide_product p1 = multiply_wide(c2, 0xCD9E8D57u);
    c0                    = _mm256_xor_si256(_mm256_xor_si256(p1.high, c1), broadcast32(key0));
    c2                    = _mm256_xor_si256(_mm256_xor_si256(p0.high, c3), broadcast32(key1));
    c1                    = p1.low;
    c3                    = p0.low;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  const __m256i t0 = _mm256_unpacklo_epi32(c0, c1);
  const __m256i t1 = _mm256_unpackhi_epi32(c0, c1);
  const __m256i t2 = _mm256_unpacklo_epi32(c2, c3);
  const __m256i t3 = _mm256_unpackhi_epi32(c2, c3);
  return {{_mm256_unpacklo_epi64(t0, t2), _mm256_unpackhi_epi64(t0, t2), _mm256_unpacklo_epi64(t1, t3),
           _mm256_unpackhi_epi64(t1, t3)}};
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
