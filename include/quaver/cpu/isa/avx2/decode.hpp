// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_DECODE_HPP
#define QUAVER_CPU_ISA_AVX2_DECODE_HPP

#include <quaver/cpu/isa/avx2/load.hpp>
#include <quaver/cpu/isa/decoding.hpp>
#include <quaver/cpu/isa/past_caches.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i load_sixteen(const uint8_t* table) noexcept {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
}

/// The tables of a format in registers: 16 entries each, as byte shuffles want them.
struct tables {
  __m256i low_of_low, low_of_high, high_of_low, high_of_high;  // normal values: parts from either half of the code
  __m256i subnormal_low, subnormal_high, special_low, special_high;  // by the low half alone
};
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE tables load_tables(const nibble_decoding& d) noexcept {
  return {load_sixteen(d.low_of_low),   load_sixteen(d.low_of_high),   load_sixteen(d.high_of_low),
          load_sixteen(d.high_of_high), load_sixteen(d.subnormal_low), load_sixteen(d.subnormal_high),
          load_sixteen(d.special_low),  load_sixteen(d.special_high)};
}

/// The low and the high bytes of the 16-bit values of 32 codes.
struct byte_halves {
  __m256i low;
  __m256i high;
};
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE byte_halves look_up(__m256i codes, const tables& t,
                                                            const nibble_decoding& d) noexcept {
  const __m256i magnitude = _mm256_and_si256(codes, broadcast8(d.magnitude_mask));
  const __m256i nibble    = broadcast8(0x0F);
  const __m256i lo        = _mm256_and_si256(magnitude, nibble);
  const __m256i hi        = _mm256_and_si256(_mm256_srli_epi16(magnitude, 4), nibble);
  byte_halves out{_mm256_xor_si256(_mm256_shuffle_epi8(t.low_of_low, lo), _mm256_shuffle_epi8(t.low_of_high, hi)),
                  _mm256_add_epi8(_mm256_shuffle_epi8(t.high_of_low, lo), _mm256_shuffle_epi8(t.high_of_high, hi))};
  // Magnitudes are below 128, so comparisons of signed bytes serve.
  const __m256i subnormal = _mm256_cmpgt_epi8(broadcast8(d.first_normal), magnitude);
  out.low                 = _mm256_blendv_epi8(out.low, _mm256_shuffle_epi8(t.subnormal_low, lo), subnormal);
  out.high                = _mm256_blendv_epi8(out.high, _mm256_shuffle_epi8(t.subnormal_high, lo), subnormal);
  const __m256i special   = _mm256_cmpgt_epi8(magnitude, broadcast8(d.largest));
  out.low                 = _mm256_blendv_epi8(out.low, _mm256_shuffle_epi8(t.special_low, lo), special);
  out.high                = _mm256_blendv_epi8(out.high, _mm256_shuffle_epi8(t.special_high, lo), special);

  // The sign goes to the top; codes above last_with_sign are NaNs, which have none.
  __m256i sign = codes;
  if (d.sign_shift != 0) sign = _mm256_sll_epi16(sign, _mm_cvtsi32_si128(d.sign_shift));
  const __m256i with_sign =
      _mm256_cmpeq_epi8(_mm256_subs_epu8(sign, broadcast8(d.last_with_sign)), _mm256_setzero_si256());
  sign     = _mm256_and_si256(_mm256_and_si256(sign, broadcast8(0x80)), with_sign);
  out.high = _mm256_or_si256(out.high, sign);
  if (d.nan_is_negative_zero) {
    const __m256i nan = _mm256_cmpeq_epi8(codes, broadcast8(0x80));
    out.low           = _mm256_blendv_epi8(out.low, broadcast8(d.nan_low), nan);
    out.high          = _mm256_blendv_epi8(out.high, broadcast8(d.nan_high), nan);
  }
  return out;
}

/// 32 codes as 16-bit values, in order.
struct two_vectors {
  __m256i v[2];
};
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE two_vectors decode32_to_16(__m256i codes, const tables& t,
                                                                   const nibble_decoding& d) noexcept {
  // The unpacking works within 128 bits, so the eight codes that end up in such a lane are put there first.
  const __m256i spread = _mm256_permute4x64_epi64(codes, 0b11'01'10'00);
  const byte_halves b  = look_up(spread, t, d);
  return {{_mm256_unpacklo_epi8(b.low, b.high), _mm256_unpackhi_epi8(b.low, b.high)}};
}

/// 32 codes as binary32, in order, of tables of bfloat16.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE thirty_two decode32_to_32(__m256i codes, const tables& t,
                                                                  const nibble_decoding& d) noexcept {
  const __m256i spread = _mm256_permutevar8x32_epi32(codes, _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0));
  const byte_halves b  = look_up(spread, t, d);
  const __m256i first  = _mm256_unpacklo_epi8(b.low, b.high);
  const __m256i second = _mm256_unpackhi_epi8(b.low, b.high);
  const __m256i zero   = _mm256_setzero_si256();
  return {{_mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, first)),
           _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, first)),
           _mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, second)),
           _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, second))}};
}

/// The bits of bfloat16s in 32-bit lanes, rounded to nearest even.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i round_to_bfloat16(__m256 x) noexcept {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd  = _mm256_and_si256(_mm256_srli_epi32(bits, 16), broadcast32(1));
  return _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, odd), broadcast32(0x7FFF)), 16);
}

/// 16 binary32 values rounded to nearest even; a NaN among them is 7FC00000.
template <bulk_source T>
  requires(sizeof(T) == 2)
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i narrow(__m256 a, __m256 b) noexcept {
  if constexpr (same_type<T, half>) {
    return _mm256_set_m128i(_mm256_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT),
                            _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  } else {
    const __m256i both = _mm256_packus_epi32(round_to_bfloat16(a), round_to_bfloat16(b));
    return _mm256_permute4x64_epi64(both, 0b11'01'10'00);
  }
}

template <bool PastCaches, class T>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void store(T* y, __m256i value) noexcept {
  if constexpr (PastCaches) _mm256_stream_si256(reinterpret_cast<__m256i*>(y), value);
  else _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), value);
}

/// Elements [i, end) in steps of 32; returns the first that is left.
template <bool Scaled, bool PastCaches, bulk_source T>
QUAVER_TARGET_AVX2 size_t decode_steps(const decode_call<T>& call, const nibble_decoding& d, size_t i) noexcept {
  const tables t     = load_tables(d);
  const __m256 scale = _mm256_castsi256_ps(broadcast32(call.scale));
  for (; i + 32 <= call.count; i += 32) {
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(call.x + i));
    T* y                = call.y + i;
    if constexpr (!Scaled && sizeof(T) == 2) {
      const two_vectors out = decode32_to_16(codes, t, d);
      store<PastCaches>(y, out.v[0]);
      store<PastCaches>(y + 16, out.v[1]);
    } else {
      thirty_two x = decode32_to_32(codes, t, d);
      if constexpr (Scaled) {
        x = {{_mm256_mul_ps(x.v[0], scale), _mm256_mul_ps(x.v[1], scale), _mm256_mul_ps(x.v[2], scale),
              _mm256_mul_ps(x.v[3], scale)}};
      }
      if constexpr (sizeof(T) == 4) {
        store<PastCaches>(y, _mm256_castps_si256(x.v[0]));
        store<PastCaches>(y + 8, _mm256_castps_si256(x.v[1]));
        store<PastCaches>(y + 16, _mm256_castps_si256(x.v[2]));
        store<PastCaches>(y + 24, _mm256_castps_si256(x.v[3]));
      } else {
        store<PastCaches>(y, narrow<T>(x.v[0], x.v[1]));
        store<PastCaches>(y + 16, narrow<T>(x.v[2], x.v[3]));
      }
    }
  }
  return i;
}

/// Decodes an array. `d` holds bfloat16 values, but half where T is half and nothing is scaled.
template <bool Scaled, bulk_source T>
QUAVER_TARGET_AVX2 void decode(const decode_call<T>& call, const nibble_decoding& d) noexcept {
  size_t i = 0;
  if (!Scaled || is_plain_scale(call.scale)) {
    if (call.past_caches) {
      const size_t lead = elements_to_alignment(call.y, 32);
      i                 = lead < call.count ? lead : call.count;
      call.portable(call, 0, i);
      i = decode_steps<Scaled, true>(call, d, i);
    } else {
      i = decode_steps<Scaled, false>(call, d, i);
    }
  }
  call.portable(call, i, call.count);
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
