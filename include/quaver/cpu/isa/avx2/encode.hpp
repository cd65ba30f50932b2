// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_ENCODE_HPP
#define QUAVER_CPU_ISA_AVX2_ENCODE_HPP

#include <quaver/cpu/isa/avx2/philox.hpp>
#include <quaver/cpu/isa/encoding.hpp>
#include <quaver/cpu/isa/past_caches.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

/// The codes of eight finite magnitudes; see `encoding` for the addition that rounds, which here goes to nearest even
/// alone: the other modes look at what it added or took, which is exact, and step back or on.
template <int M, rounding R>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i round_to_codes(__m256 v, const encoding& to, __m256i random) noexcept {
  const __m256 magnitude = _mm256_and_ps(v, _mm256_castsi256_ps(broadcast32(0x7FFF'FFFF)));
  const __m256 a         = _mm256_min_ps(magnitude, _mm256_castsi256_ps(broadcast32(to.limit)));
  const __m256i e =
      _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(a), broadcast32(0x7F80'0000)), broadcast32(to.min_normal));
  const __m256i magic = _mm256_add_epi32(e, broadcast32((23 - M) << 23));
  const __m256 added  = _mm256_castsi256_ps(magic);
  const __m256 sum    = hidden(_mm256_add_ps(a, added));
  const __m256i field = _mm256_sub_epi32(_mm256_srli_epi32(e, 23 - M), broadcast32(to.offset));
  const __m256i code  = _mm256_add_epi32(_mm256_sub_epi32(_mm256_castps_si256(sum), magic), field);
  if constexpr (R == rounding::nearest_even) return code;

  const __m256 rounded = hidden(_mm256_sub_ps(sum, added));
  const __m256 rest    = _mm256_sub_ps(a, rounded);
  if constexpr (R == rounding::nearest_away) {
    // Down, from a tie: back up. A comparison that holds is -1.
    const __m256 half = _mm256_castsi256_ps(_mm256_sub_epi32(e, broadcast32((M + 1) << 23)));
    return _mm256_sub_epi32(code, _mm256_castps_si256(_mm256_cmp_ps(rest, half, _CMP_EQ_OQ)));
  }
  const __m256 zero   = _mm256_setzero_ps();
  const __m256 up     = _mm256_cmp_ps(rest, zero, _CMP_LT_OQ);
  const __m256i floor = _mm256_add_epi32(code, _mm256_castps_si256(up));
  const __m256i some  = _mm256_castps_si256(_mm256_cmp_ps(rest, zero, _CMP_NEQ_UQ));
  if constexpr (R == rounding::toward_zero) return floor;
  if constexpr (R == rounding::to_odd) return _mm256_or_si256(floor, _mm256_and_si256(some, broadcast32(1)));
  if constexpr (R == rounding::upward || R == rounding::downward) {
    const __m256i negative = _mm256_srai_epi32(_mm256_castps_si256(v), 31);
    return _mm256_sub_epi32(
        floor, R == rounding::upward ? _mm256_andnot_si256(negative, some) : _mm256_and_si256(negative, some));
  }
  if constexpr (R == rounding::stochastic) {
    // What is above the lower neighbour, over the spacing 2^-M e, times 2^32, cut to an integer: exact up to the cut.
    const __m256 spacing  = _mm256_castsi256_ps(_mm256_sub_epi32(e, broadcast32(M << 23)));
    const __m256 above    = _mm256_sub_ps(a, hidden(_mm256_sub_ps(rounded, _mm256_and_ps(up, spacing))));
    const __m256i unit    = _mm256_sub_epi32(broadcast32((127u + 32 + M + 127) << 23), e);
    const __m256 fraction = _mm256_mul_ps(above, _mm256_castsi256_ps(unit));
    // AVX2 converts to signed integers: 2^31 is taken off first, and the comparison is one of signed numbers anyway.
    const __m256 two_to_31 = _mm256_castsi256_ps(broadcast32(0x4F00'0000));
    const __m256 large     = _mm256_cmp_ps(fraction, two_to_31, _CMP_GE_OQ);
    const __m256i cut      = _mm256_cvttps_epi32(_mm256_sub_ps(fraction, _mm256_and_ps(large, two_to_31)));
    const __m256i top      = broadcast32(0x8000'0000);
    const __m256i shifted  = _mm256_xor_si256(cut, _mm256_andnot_si256(_mm256_castps_si256(large), top));
    return _mm256_sub_epi32(floor, _mm256_cmpgt_epi32(shifted, _mm256_xor_si256(random, top)));
  }
}

/// The bytes of 32 lanes of 0 to 255, or of any value for their signs, in the order that in_order() mends.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i in_order(__m256i packed) noexcept {
  return _mm256_permutevar8x32_epi32(packed, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
}

QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE bool has_special(const thirty_two& x, bool infinity_too) noexcept {
  // Comparisons that only a NaN can fail are no such thing to -ffast-math.
  if (!infinity_too && !QUAVER_FINITE_MATH) {
    const __m256 nan =
        _mm256_or_ps(_mm256_cmp_ps(x.v[0], x.v[1], _CMP_UNORD_Q), _mm256_cmp_ps(x.v[2], x.v[3], _CMP_UNORD_Q));
    return _mm256_movemask_ps(nan) != 0;
  }
  // Magnitudes as integers: what is above the largest finite one. The signs of the comparisons are all that counts.
  const __m256i magnitude = broadcast32(0x7FFF'FFFF);
  const __m256i a         = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(x.v[0]), magnitude),
                                             _mm256_and_si256(_mm256_castps_si256(x.v[1]), magnitude));
  const __m256i b         = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(x.v[2]), magnitude),
                                             _mm256_and_si256(_mm256_castps_si256(x.v[3]), magnitude));
  const __m256 any        = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_max_epi32(a, b), broadcast32(0x7F7F'FFFF)));
  return _mm256_movemask_ps(any) != 0;
}

/// 32 codes of 32 scaled values without NaNs, nor infinities that differ.
template <int M, rounding R>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256i encode32(const thirty_two& x, const encoding& to,
                                                         const random32& random) noexcept {
  const __m256i c0   = round_to_codes<M, R>(x.v[0], to, random.v[0]);
  const __m256i c1   = round_to_codes<M, R>(x.v[1], to, random.v[1]);
  const __m256i c2   = round_to_codes<M, R>(x.v[2], to, random.v[2]);
  const __m256i c3   = round_to_codes<M, R>(x.v[3], to, random.v[3]);
  const __m256i code = _mm256_packus_epi16(_mm256_packs_epi32(c0, c1), _mm256_packs_epi32(c2, c3));
  // Packing with signed saturation keeps the sign.
  const __m256i top = _mm256_packs_epi16(_mm256_packs_epi32(_mm256_castps_si256(x.v[0]), _mm256_castps_si256(x.v[1])),
                                         _mm256_packs_epi32(_mm256_castps_si256(x.v[2]), _mm256_castps_si256(x.v[3])));
  __m256i sign      = top;
  if (to.sign_shift != 0) sign = _mm256_srl_epi16(sign, _mm_cvtsi32_si128(to.sign_shift));
  sign = _mm256_and_si256(sign, broadcast8(to.sign_mask));
  if (!to.signed_zero) sign = _mm256_andnot_si256(_mm256_cmpeq_epi8(code, _mm256_setzero_si256()), sign);
  __m256i out = _mm256_or_si256(code, sign);
  if (to.overflows) {
    const __m256i within = _mm256_cmpeq_epi8(_mm256_subs_epu8(code, broadcast8(to.largest)), _mm256_setzero_si256());
    const __m256i over   = _mm256_blendv_epi8(broadcast8(to.over_positive), broadcast8(to.over_negative), top);
    out                  = _mm256_blendv_epi8(over, out, within);
  }
  return in_order(out);
}

// Four statements where a loop would do: gcc unrolls none at -O2, and keeps an array that a loop indexes in memory.

template <scaling S>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256 scaled(__m256 x, __m256 scale) noexcept {
  if constexpr (S == scaling::multiply) return _mm256_mul_ps(x, scale);
  if constexpr (S == scaling::divide) return quotient(x, scale);
  return x;
}
template <scaling S>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE thirty_two scaled(const thirty_two& x, __m256 scale) noexcept {
  return {{scaled<S>(x.v[0], scale), scaled<S>(x.v[1], scale), scaled<S>(x.v[2], scale), scaled<S>(x.v[3], scale)}};
}

/// The same for blocks with factors of their own; `count` of the values are there, a multiple of 16.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE thirty_two scaled(const thirty_two& x, block_cursor& blocks,
                                                          size_t count) noexcept {
  const __m256 f0 = _mm256_castsi256_ps(broadcast32(blocks.take(16)));
  const __m256 f1 = count > 16 ? _mm256_castsi256_ps(broadcast32(blocks.take(16))) : f0;
  return {{_mm256_mul_ps(x.v[0], f0), _mm256_mul_ps(x.v[1], f0), _mm256_mul_ps(x.v[2], f1), _mm256_mul_ps(x.v[3], f1)}};
}

/// Encodes an array.
template <int M, rounding R, scaling S, bulk_source T>
QUAVER_TARGET_AVX2 void encode(const encode_call<T>& call, const encoding to) noexcept {
  const __m256 scale = _mm256_castsi256_ps(broadcast32(call.scale));
  random32 random{};
  block_cursor blocks(call);
  size_t i = 0;
  if constexpr (R == rounding::stochastic) {
    static_assert(S != scaling::multiply_blocks, "words in fours would shift the blocks");
    const size_t lead = static_cast<size_t>((0 - call.words.first) & 3);  // the words come in fours
    i                 = lead < call.count ? lead : call.count;
    call.portable(call, 0, i);
  }
  // Non-temporal stores are aligned, and blocks begin where vectors do: their elements cannot be shifted.
  const size_t unaligned = elements_to_alignment(call.y, 32);
  const bool past_caches =
      call.past_caches && R != rounding::stochastic && (S != scaling::multiply_blocks || unaligned == 0);
  if (past_caches) {
    i = unaligned < call.count ? unaligned : call.count;
    call.portable(call, 0, i);
  }
  for (; i < call.count; i += 32) {
    if (past_caches) prefetch_ahead(call.x + i, 32 * sizeof(T));
    const size_t left = call.count - i;
    thirty_two x      = left >= 32 ? load32(call.x + i) : load32(call.x + i, left);
    if constexpr (S == scaling::multiply_blocks) x = scaled(x, blocks, left);
    else x = scaled<S>(x, scale);
    if (has_special(x, to.infinity_differs)) {
      call.portable(call, i, left >= 32 ? i + 32 : call.count);
      continue;
    }
    if constexpr (R == rounding::stochastic) random = philox32(call.words.seed, call.words.first + i);
    const __m256i codes = encode32<M, R>(x, to, random);
    __m256i* const y    = reinterpret_cast<__m256i*>(call.y + i);
    if (left < 32) {
      alignas(32) uint8_t some[32];
      _mm256_store_si256(reinterpret_cast<__m256i*>(some), codes);
      for (size_t j = 0; j < left; ++j) call.y[i + j] = some[j];
    } else if (past_caches) {
      _mm256_stream_si256(y, codes);
    } else {
      _mm256_storeu_si256(y, codes);
    }
  }
}

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
