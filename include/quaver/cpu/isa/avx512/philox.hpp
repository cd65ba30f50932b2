// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_PHILOX_HPP
#define QUAVER_CPU_ISA_AVX512_PHILOX_HPP

#include <quaver/cpu/isa/avx512/load.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

/// The two halves of 32-bit products, lane by lane.
struct wide_product {
  __m512i high;
  __m512i low;
};
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE wide_product multiply_wide(__m512i a, uint32_t factor) noexcept {
  const __m512i f    = broadcast32(factor);
  const __m512i even = _mm512_mul_epu32(a, f);
  const __m512i odd  = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), f);
  return {_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd),
          _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32))};
}

/// Words first .. first + 63 of a seed, `first` a multiple of 4: v[q] holds words 16 q .. 16 q + 15.
struct random64 {
  __m512i v[4];
};
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE random64 philox64(uint64_t seed, uint64_t first) noexcept {
  // Sixteen blocks of four words. Block 4 k + l runs in lane 4 l + k, so that the transposition below, which works within
  // 128 bits, leaves the words in order.
  const uint64_t block = first / 4;
  const __m512i low    = broadcast32(static_cast<uint32_t>(block));
  const __m512i lane   = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  __m512i c0           = _mm512_add_epi32(low, lane);
  const __m512i high   = broadcast32(static_cast<uint32_t>(block >> 32));
  const __mmask16 wrap = _mm512_cmplt_epu32_mask(c0, low);
  __m512i c1           = _mm512_mask_add_epi32(high, wrap, high, _mm512_set1_epi32(1));
  __m512i c2           = _mm512_setzero_si512();
  __m512i c3           = _mm512_setzero_si512();
  uint32_t key0        = static_cast<uint32_t>(seed);
  uint32_t key1        = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const wide_product p0 = multiply_wide(c0, 0xD2511F53u);
    const wide_product p1 = multiply_wide(c2, 0xCD9E8D57u);
    c0                    = _mm512_ternarylogic_epi32(p1.high, c1, broadcast32(key0), 0x96);  // a ^ b ^ c
    c2                    = _mm512_ternarylogic_epi32(p0.high, c3, broadcast32(key1), 0x96);
    c1                    = p1.low;
    c3                    = p0.low;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  const __m512i t0 = _mm512_unpacklo_epi32(c0, c1);
  const __m512i t1 = _mm512_unpackhi_epi32(c0, c1);
  const __m512i t2 = _mm512_unpacklo_epi32(c2, c3);
  const __m512i t3 = _mm512_unpackhi_epi32(c2, c3);
  return {{_mm512_unpacklo_epi64(t0, t2), _mm512_unpackhi_epi64(t0, t2), _mm512_unpacklo_epi64(t1, t3),
           _mm512_unpackhi_epi64(t1, t3)}};
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
