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
/// addition that rounds. The sign of v only says which way upward and downward are.
template <int M, rounding R>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i round_to_codes(__m512 v, const encoding& to,
                                                                 __m512i random) noexcept {
  constexpr int smaller_magnitude = 0b1010;  // vrangeps: the smaller magnitude, its sign cleared
  const __m512 limit              = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(to.limit)));
  const __m512 a                  = _mm512_range_ps(v, limit, smaller_magnitude);
  const __m512i e     = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7F80'0000)),
                                         _mm512_set1_epi32(static_cast<int>(to.min_normal)));
  const __m512i magic = _mm512_add_epi32(e, _mm512_set1_epi32((23 - M) << 23));
  const __m512 added  = _mm512_castsi512_ps(magic);
  const __m512i field = _mm512_srli_epi32(e, 23 - M);
  if constexpr (R == rounding::nearest_even) {
    const __m512 sum = _mm512_add_ps(a, added);
    return _mm512_add_epi32(_mm512_sub_epi32(_mm512_castps_si512(sum), magic), field);
  } else {
    const __m512 sum   = _mm512_add_round_ps(a, added, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m512i code = _mm512_add_epi32(_mm512_sub_epi32(_mm512_castps_si512(sum), magic), field);
    if constexpr (R == rounding::toward_zero) return code;
    const __m512 rest    = _mm512_sub_ps(a, _mm512_sub_ps(sum, added));  // what was cut off, exactly
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

/// 64 codes of 64 scaled values, or false where one is NaN (or an infinity that differs).
template <int M, rounding R>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE bool encode64(const sixty_four& x, const encoding& to, const random64& random,
                                                        __m512i& codes) noexcept {
  if (to.infinity_differs) {
    constexpr int nan_or_infinite = 0x99;
    const __mmask16 first =
        _kor_mask16(_mm512_fpclass_ps_mask(x.v[0], nan_or_infinite), _mm512_fpclass_ps_mask(x.v[1], nan_or_infinite));
    const __mmask16 second =
        _kor_mask16(_mm512_fpclass_ps_mask(x.v[2], nan_or_infinite), _mm512_fpclass_ps_mask(x.v[3], nan_or_infinite));
    if (!_kortestz_mask16_u8(first, second)) return false;
  } else if (!_kortestz_mask16_u8(_mm512_cmp_ps_mask(x.v[0], x.v[1], _CMP_UNORD_Q),
                                  _mm512_cmp_ps_mask(x.v[2], x.v[3], _CMP_UNORD_Q))) {
    return false;
  }
  const __m512i c0   = round_to_codes<M, R>(x.v[0], to, random.v[0]);
  const __m512i c1   = round_to_codes<M, R>(x.v[1], to, random.v[1]);
  const __m512i c2   = round_to_codes<M, R>(x.v[2], to, random.v[2]);
  const __m512i c3   = round_to_codes<M, R>(x.v[3], to, random.v[3]);
  const __m512i code = _mm512_sub_epi8(gather_bytes<0>(c0, c1, c2, c3), _mm512_set1_epi8(static_cast<char>(to.offset)));
  const __m512i top  = gather_bytes<3>(_mm512_castps_si512(x.v[0]), _mm512_castps_si512(x.v[1]),
                                       _mm512_castps_si512(x.v[2]), _mm512_castps_si512(x.v[3]));
  __m512i sign       = top;
  if (to.sign_shift != 0) sign = _mm512_srl_epi16(sign, _mm_cvtsi32_si128(to.sign_shift));
  if (!to.signed_zero) sign = _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(code, code), sign);
  codes =
      _mm512_ternarylogic_epi32(code, sign, _mm512_set1_epi8(static_cast<char>(to.sign_mask)), 0xF8);  // a | (b & c)
  if (to.overflows) {
    const __mmask64 over     = _mm512_cmpgt_epu8_mask(code, _mm512_set1_epi8(static_cast<char>(to.largest)));
    const __mmask64 negative = _mm512_movepi8_mask(top);
    codes                    = _mm512_mask_mov_epi8(codes, over, _mm512_set1_epi8(static_cast<char>(to.over_positive)));
    codes = _mm512_mask_mov_epi8(codes, over & negative, _mm512_set1_epi8(static_cast<char>(to.over_negative)));
  }
  return true;
}

template <scaling S>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void apply_scale(sixty_four& x, __m512 scale) noexcept {
  for (int q = 0; q < 4; ++q) {
    if constexpr (S == scaling::multiply) x.v[q] = _mm512_mul_ps(x.v[q], scale);
    if constexpr (S == scaling::divide) x.v[q] = _mm512_div_ps(x.v[q], scale);
  }
}

/// The same for blocks with factors of their own; `count` of the values are there.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void apply_scales(sixty_four& x, block_cursor& blocks,
                                                            size_t count) noexcept {
  for (size_t q = 0; q < 4; ++q) {
    if (16 * q < count)
      x.v[q] = _mm512_mul_ps(x.v[q], _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(blocks.take(16)))));
  }
}

/// Encodes an array.
template <int M, rounding R, scaling S, bulk_source T>
QUAVER_TARGET_AVX512 void encode(const encode_call<T>& call, const encoding& to) noexcept {
  const __m512 scale = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(call.scale)));
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
    const bool whole     = i + 64 <= call.count;
    const __mmask64 mask = first_lanes(call.count - i);
    sixty_four x         = whole ? load64(call.x + i) : load64(call.x + i, mask);
    if constexpr (S == scaling::multiply_blocks) apply_scales(x, blocks, call.count - i);
    else apply_scale<S>(x, scale);
    if constexpr (R == rounding::stochastic) random = philox64(call.words.seed, call.words.first + i);
    __m512i codes;
    if (!encode64<M, R>(x, to, random, codes)) {
      call.portable(call, i, whole ? i + 64 : call.count);
    } else if (!whole) {
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
