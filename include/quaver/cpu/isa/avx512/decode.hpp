// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_DECODE_HPP
#define QUAVER_CPU_ISA_AVX512_DECODE_HPP

#include <quaver/cpu/isa/avx512/load.hpp>
#include <quaver/cpu/isa/decoding.hpp>
#include <quaver/cpu/isa/past_caches.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

/// The tables of a format in registers.
struct table {
  __m512i low[2];
  __m512i high[2];
};
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE table load_table(const decoding& d) noexcept {
  return {{_mm512_load_si512(d.low), _mm512_load_si512(d.low + 64)},
          {_mm512_load_si512(d.high), _mm512_load_si512(d.high + 64)}};
}

/// The low and the high bytes of the 16-bit values of 64 codes.
struct byte_halves {
  __m512i low;
  __m512i high;
};
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE byte_halves look_up(__m512i codes, const table& values,
                                                              const decoding& d) noexcept {
  byte_halves out{_mm512_permutex2var_epi8(values.low[0], codes, values.low[1]),
                  _mm512_permutex2var_epi8(values.high[0], codes, values.high[1])};
  const __m512i sign_mask = broadcast8(d.sign_mask);
  if (d.nan_is_negative_zero) {
    const __mmask64 nan = _mm512_cmpeq_epi8_mask(codes, sign_mask);
    out.high            = _mm512_ternarylogic_epi32(out.high, codes, sign_mask, 0xF8);  // a | (b & c)
    // 80 gave -0. Its NaN is that of T: bfloat16 7FC0 or half 7E00, the values that the table cannot hold.
    out.high = _mm512_mask_mov_epi8(out.high, nan, broadcast8(d.nan_high));
    out.low  = _mm512_mask_mov_epi8(out.low, nan, broadcast8(d.nan_low));
  } else {
    const __mmask64 with_sign = _mm512_cmple_epu8_mask(codes, broadcast8(d.last_with_sign));
    out.high = _mm512_ternarylogic_epi32(out.high, _mm512_maskz_mov_epi8(with_sign, codes), sign_mask, 0xF8);
  }
  return out;
}

/// 64 codes as 16-bit values, in order.
struct two_vectors {
  __m512i v[2];
};
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE two_vectors decode64_to_16(__m512i codes, const table& values,
                                                                     const decoding& d) noexcept {
  // The unpacking works within 128 bits, so the eight codes that end up in such a lane are put there first.
  const __m512i spread = _mm512_permutexvar_epi64(_mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0), codes);
  const byte_halves b  = look_up(spread, values, d);
  return {{_mm512_unpacklo_epi8(b.low, b.high), _mm512_unpackhi_epi8(b.low, b.high)}};
}

/// 64 codes as binary32, in order, of tables of bfloat16.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE sixty_four decode64_to_32(__m512i codes, const table& values,
                                                                    const decoding& d) noexcept {
  const __m512i spread =
      _mm512_permutexvar_epi32(_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0), codes);
  const byte_halves b  = look_up(spread, values, d);
  const __m512i first  = _mm512_unpacklo_epi8(b.low, b.high);
  const __m512i second = _mm512_unpackhi_epi8(b.low, b.high);
  const __m512i zero   = _mm512_setzero_si512();
  return {{_mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, first)),
           _mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, first)),
           _mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, second)),
           _mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, second))}};
}

/// 16 binary32 values rounded to nearest even; a NaN among them is 7FC00000.
template <bulk_source T>
  requires(sizeof(T) == 2)
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m256i narrow(__m512 x) noexcept {
  if constexpr (same_type<T, half>) return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  else {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd  = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum  = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7FFF));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(sum, 16));
  }
}

template <bool PastCaches, class T>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void store(T* y, __m512i value) noexcept {
  if constexpr (PastCaches) _mm512_stream_si512(reinterpret_cast<__m512i*>(y), value);
  else _mm512_storeu_si512(y, value);
}

/// Elements [i, end) in steps of 64; returns the first that is left.
template <bool Scaled, bool PastCaches, bulk_source T>
QUAVER_TARGET_AVX512 size_t decode_steps(const decode_call<T>& call, const decoding& d, size_t i) noexcept {
  const table values = load_table(d);
  const __m512 scale = _mm512_castsi512_ps(broadcast32(call.scale));
  for (; i + 64 <= call.count; i += 64) {
    const __m512i codes = _mm512_loadu_si512(call.x + i);
    T* y                = call.y + i;
    if constexpr (!Scaled && sizeof(T) == 2) {
      const two_vectors out = decode64_to_16(codes, values, d);
      store<PastCaches>(y, out.v[0]);
      store<PastCaches>(y + 32, out.v[1]);
    } else {
      sixty_four x = decode64_to_32(codes, values, d);
      if constexpr (Scaled) {
        x = {{_mm512_mul_ps(x.v[0], scale), _mm512_mul_ps(x.v[1], scale), _mm512_mul_ps(x.v[2], scale),
              _mm512_mul_ps(x.v[3], scale)}};
      }
      if constexpr (sizeof(T) == 4) {
        store<PastCaches>(y, _mm512_castps_si512(x.v[0]));
        store<PastCaches>(y + 16, _mm512_castps_si512(x.v[1]));
        store<PastCaches>(y + 32, _mm512_castps_si512(x.v[2]));
        store<PastCaches>(y + 48, _mm512_castps_si512(x.v[3]));
      } else {
        store<PastCaches>(y, _mm512_inserti64x4(_mm512_castsi256_si512(narrow<T>(x.v[0])), narrow<T>(x.v[1]), 1));
        store<PastCaches>(y + 32, _mm512_inserti64x4(_mm512_castsi256_si512(narrow<T>(x.v[2])), narrow<T>(x.v[3]), 1));
      }
    }
  }
  return i;
}

/// Decodes an array. `d` holds bfloat16 values, but half where T is half and nothing is scaled.
template <bool Scaled, bulk_source T>
QUAVER_TARGET_AVX512 void decode(const decode_call<T>& call, const decoding& d) noexcept {
  size_t i = 0;
  if (!Scaled || is_plain_scale(call.scale)) {
    if (call.past_caches) {
      const size_t lead = elements_to_alignment(call.y, 64);
      i                 = lead < call.count ? lead : call.count;
      call.portable(call, 0, i);
      i = decode_steps<Scaled, true>(call, d, i);
    } else {
      i = decode_steps<Scaled, false>(call, d, i);
    }
  }
  call.portable(call, i, call.count);
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
