// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_ENCODE_HPP
#define QUAVER_CPU_ISA_AVX512_ENCODE_HPP

#include <quaver/cpu/isa/avx512/load.hpp>
#include <quaver/cpu/isa/avx512/philox.hpp>
#include <quaver/cpu/isa/encoding.hpp>
#include <quaver/cpu/isa/past_caches.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

/// The codes of 16 finite magnitudes in the low bytes of the lanes, before `offset` is taken off; see `encoding` for the
/// addition that rounds. What was added has no bits as low as that. The sign of v only says which way upward and downward are.
template <int M, rounding R>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i round_to_codes(__m512 v, const encoding& to,
                                                                 __m512i random) noexcept {
  constexpr int smaller_magnitude = 0b1010;  // vrangeps: the smaller magnitude, its sign cleared
  const __m512 limit              = _mm512_castsi512_ps(broadcast32(to.limit));
  const __m512 a                  = _mm512_range_ps(v, limit, smaller_magnitude);
  const __m512i e =
      _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), broadcast32(0x7F80'0000)), broadcast32(to.min_normal));
  const __m512i magic = _mm512_add_epi32(e, _mm512_set1_epi32((23 - M) << 23));
  const __m512 added  = _mm512_castsi512_ps(magic);
  const __m512i field = _mm512_srli_epi32(e, 23 - M);
  if constexpr (R == rounding::nearest_even) {
    const __m512 sum = _mm512_add_ps(a, added);
    return _mm512_add_epi32(_mm512_castps_si512(sum), field);
  } else {
    const __m512 sum   = _mm512_add_round_ps(a, added, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m512i code = _mm512_add_epi32(_mm512_castps_si512(sum), field);
    if constexpr (R == rounding::toward_zero) return code;
    const __m512 rest    = _mm512_sub_ps(a, hidden(_mm512_sub_ps(sum, added)));  // what was cut off, exactly
    const __m512i one    = _mm512_set1_epi32(1);
    const __mmask16 some = _mm512_cmp_ps_mask(rest, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    if constexpr (R == rounding::to_odd) return _mm512_mask_or_epi32(code, some, code, one);
    if constexpr (R == rounding::upward || R == rounding::downward) {
      const __mmask16 negative = _mm512_movepi32_mask(_mm512_castps_si512(v));
      const __mmask16 away     = R == rounding::upward ? _kandn_mask16(negative, some) : _kand_mask16(negative, some);
      return _mm512_mask_add_epi32(code, away, code, one);
    }
    if constexpr (R == rounding::nearest_away) {
      const __m512 half = _mm512_castsi512_ps(_mm512_sub_epi32(e, _mm512_set1_epi32((M + 1) << 23)));
      return _mm512_mask_add_epi32(code, _mm512_cmp_ps_mask(rest, half, _CMP_GE_OQ), code, one);
    }
    if constexpr (R == rounding::stochastic) {
      // rest / (2^-M e) * 2^32, cut to an integer: a product with a power of two, so it is exact.
      const __m512i unit     = _mm512_sub_epi32(_mm512_set1_epi32((127 + 32 + M + 127) << 23), e);
      const __m512i fraction = _mm512_cvttps_epu32(_mm512_mul_ps(rest, _mm512_castsi512_ps(unit)));
      return _mm512_mask_add_epi32(code, _mm512_cmplt_epu32_mask(random, fraction), code, one);
    }
  }
}

/// Whether a NaN is among them, or an infinity where that counts.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE bool has_special(const sixty_four& x, bool infinity_too) noexcept {
  // Comparisons that only a NaN can fail are no such thing to -ffast-math; the class of a number still is.
  if (!infinity_too && !QUAVER_FINITE_MATH) {
    const __mmask16 a = _mm512_cmp_ps_mask(x.v[0], x.v[1], _CMP_UNORD_Q);
    const __mmask16 b = _mm512_cmp_ps_mask(x.v[2], x.v[3], _CMP_UNORD_Q);
    return _kortestz_mask16_u8(a, b) == 0;
  }
  constexpr int nan_or_infinite = 0x99;  // an infinity too many costs time alone
  const __mmask16 a =
      _kor_mask16(_mm512_fpclass_ps_mask(x.v[0], nan_or_infinite), _mm512_fpclass_ps_mask(x.v[1], nan_or_infinite));
  const __mmask16 b =
      _kor_mask16(_mm512_fpclass_ps_mask(x.v[2], nan_or_infinite), _mm512_fpclass_ps_mask(x.v[3], nan_or_infinite));
  return _kortestz_mask16_u8(a, b) == 0;
}

/// 64 codes of 64 scaled values without NaNs, nor infinities that differ.
template <int M, rounding R>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i encode64(const sixty_four& x, const encoding& to,
                                                           const random64& random) noexcept {
  const __m512i c0 = round_to_codes<M, R>(x.v[0], to, random.v[0]);
  const __m512i c1 = round_to_codes<M, R>(x.v[1], to, random.v[1]);
  const __m512i c2 = round_to_codes<M, R>(x.v[2], to, random.v[2]);
  const __m512i c3 = round_to_codes<M, R>(x.v[3], to, random.v[3]);
  const __m512i code =
      _mm512_sub_epi8(gather_bytes<0>(c0, c1, c2, c3), broadcast8(static_cast<uint8_t>(to.offset & 0xFF)));
  const __m512i top = gather_bytes<3>(_mm512_castps_si512(x.v[0]), _mm512_castps_si512(x.v[1]),
                                      _mm512_castps_si512(x.v[2]), _mm512_castps_si512(x.v[3]));
  __m512i sign      = top;
  if (to.sign_shift != 0) sign = _mm512_srl_epi16(sign, _mm_cvtsi32_si128(to.sign_shift));
  if (!to.signed_zero) sign = _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(code, code), sign);
  __m512i codes = _mm512_ternarylogic_epi32(code, sign, broadcast8(to.sign_mask), 0xF8);  // a | (b & c)
  if (to.overflows) {
    const __mmask64 over     = _mm512_cmpgt_epu8_mask(code, broadcast8(to.largest));
    const __mmask64 negative = _mm512_movepi8_mask(top);
    codes                    = _mm512_mask_mov_epi8(codes, over, broadcast8(to.over_positive));
    codes                    = _mm512_mask_mov_epi8(codes, over & negative, broadcast8(to.over_negative));
  }
  return codes;
}

// Four statements where a loop would do: gcc unrolls none at -O2, and keeps an array that a loop indexes in memory.

template <scaling S>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512 scaled(__m512 x, __m512 scale) noexcept {
  if constexpr (S == scaling::multiply) return _mm512_mul_ps(x, scale);
  if constexpr (S == scaling::divide) return quotient(x, scale);
  return x;
}
template <scaling S>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE sixty_four scaled(const sixty_four& x, __m512 scale) noexcept {
  return {{scaled<S>(x.v[0], scale), scaled<S>(x.v[1], scale), scaled<S>(x.v[2], scale), scaled<S>(x.v[3], scale)}};
}

/// The same for blocks with factors of their own; `count` of the values are there.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE sixty_four scaled(const sixty_four& x, block_cursor& blocks,
                                                            size_t count) noexcept {
  const __m512 f0 = _mm512_castsi512_ps(broadcast32(blocks.take(16)));
  const __m512 f1 = count > 16 ? _mm512_castsi512_ps(broadcast32(blocks.take(16))) : f0;
  const __m512 f2 = count > 32 ? _mm512_castsi512_ps(broadcast32(blocks.take(16))) : f0;
  const __m512 f3 = count > 48 ? _mm512_castsi512_ps(broadcast32(blocks.take(16))) : f0;
  return {{_mm512_mul_ps(x.v[0], f0), _mm512_mul_ps(x.v[1], f1), _mm512_mul_ps(x.v[2], f2), _mm512_mul_ps(x.v[3], f3)}};
}

/// Encodes an array.
template <int M, rounding R, scaling S, bulk_source T>
QUAVER_TARGET_AVX512 void encode(const encode_call<T>& call, const encoding to) noexcept {
  const __m512 scale = _mm512_castsi512_ps(broadcast32(call.scale));
  random64 random{};
  block_cursor blocks(call);
  size_t i = 0;
  if constexpr (R == rounding::stochastic) {
    static_assert(S != scaling::multiply_blocks, "words in fours would shift the blocks");
    // The words come in fours.
    const size_t lead = static_cast<size_t>((0 - call.words.first) & 3);
    i                 = lead < call.count ? lead : call.count;
    call.portable(call, 0, i);
  }
  // Non-temporal stores are aligned, and blocks begin where vectors do: their elements cannot be shifted.
  const size_t unaligned = elements_to_alignment(call.y, 64);
  const bool past_caches =
      call.past_caches && R != rounding::stochastic && (S != scaling::multiply_blocks || unaligned == 0);
  if (past_caches) {
    i = unaligned < call.count ? unaligned : call.count;
    call.portable(call, 0, i);
  }
  for (; i < call.count; i += 64) {
    if (past_caches) prefetch_ahead(call.x + i, 64 * sizeof(T));
    const bool whole     = i + 64 <= call.count;
    const __mmask64 mask = first_lanes(call.count - i);
    sixty_four x         = whole ? load64(call.x + i) : load64(call.x + i, mask);
    if constexpr (S == scaling::multiply_blocks) x = scaled(x, blocks, call.count - i);
    else x = scaled<S>(x, scale);
    if constexpr (R == rounding::stochastic) random = philox64(call.words.seed, call.words.first + i);
    if (has_special(x, to.infinity_differs)) {
      call.portable(call, i, whole ? i + 64 : call.count);
      continue;
    }
    const __m512i codes = encode64<M, R>(x, to, random);
    if (!whole) {
      _mm512_mask_storeu_epi8(call.y + i, mask, codes);
    } else if (past_caches) {
      _mm512_stream_si512(reinterpret_cast<__m512i*>(call.y + i), codes);
    } else {
      _mm512_storeu_si512(call.y + i, codes);
    }
  }
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
