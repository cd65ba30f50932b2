// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_ENCODE_HPP
#define QUAVER_CPU_ISA_NEON_ENCODE_HPP

#include <quaver/cpu/isa/encoding.hpp>
#include <quaver/cpu/isa/neon/load.hpp>
#include <quaver/cpu/isa/neon/philox.hpp>

#if QUAVER_AARCH64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::neon {

/// The codes of four finite magnitudes; see `encoding` for the addition that rounds, which here goes to nearest even
/// alone: the other modes look at what it added or took, which is exact, and step back or on.
template <int M, rounding R>
QUAVER_ALWAYS_INLINE uint32x4_t round_to_codes(float32x4_t v, const encoding& to, uint32x4_t random) noexcept {
  const uint32x4_t bits   = vminq_u32(magnitudes(v), vdupq_n_u32(to.limit));
  const uint32x4_t e      = vmaxq_u32(vandq_u32(bits, vdupq_n_u32(0x7F80'0000)), vdupq_n_u32(to.min_normal));
  const uint32x4_t magic  = vaddq_u32(e, vdupq_n_u32((23 - M) << 23));
  const float32x4_t a     = as_floats(bits);
  const float32x4_t added = as_floats(magic);
  const float32x4_t sum   = hidden(vaddq_f32(a, added));
  const uint32x4_t field  = vsubq_u32(vshrq_n_u32(e, 23 - M), vdupq_n_u32(to.offset));
  const uint32x4_t code   = vaddq_u32(vsubq_u32(as_bits(sum), magic), field);
  if constexpr (R == rounding::nearest_even) return code;

  const float32x4_t rounded = hidden(vsubq_f32(sum, added));
  const float32x4_t rest    = hidden(vsubq_f32(a, rounded));
  if constexpr (R == rounding::nearest_away) {
    // Down, from a tie: back up. A comparison that holds is -1.
    const uint32x4_t half = vsubq_u32(e, vdupq_n_u32((M + 1) << 23));
    return vsubq_u32(code, vceqq_u32(as_bits(rest), half));
  }
  const uint32x4_t up    = vcltzq_s32(vreinterpretq_s32_f32(rest));  // a difference of 0 is +0
  const uint32x4_t floor = vaddq_u32(code, up);
  const uint32x4_t some  = vtstq_u32(as_bits(rest), as_bits(rest));
  if constexpr (R == rounding::toward_zero) return floor;
  if constexpr (R == rounding::to_odd) return vorrq_u32(floor, vandq_u32(some, vdupq_n_u32(1)));
  if constexpr (R == rounding::upward || R == rounding::downward) {
    const uint32x4_t negative = vcltzq_s32(vreinterpretq_s32_f32(v));
    return vsubq_u32(floor, R == rounding::upward ? vbicq_u32(some, negative) : vandq_u32(some, negative));
  }
  if constexpr (R == rounding::stochastic) {
    // What is above the lower neighbour, over the spacing 2^-M e, times 2^32, cut to an integer: exact up to the cut.
    const uint32x4_t spacing  = vsubq_u32(e, vdupq_n_u32(M << 23));
    const float32x4_t lower   = hidden(vsubq_f32(rounded, as_floats(vandq_u32(up, spacing))));
    const uint32x4_t unit     = vsubq_u32(vdupq_n_u32((127u + 32 + M + 127) << 23), e);
    const uint32x4_t fraction = vcvtq_u32_f32(product(vsubq_f32(a, lower), as_floats(unit)));
    return vsubq_u32(floor, vcltq_u32(random, fraction));
  }
}

/// Whether there is a NaN, or an infinity where those are asked for.
QUAVER_ALWAYS_INLINE bool has_special(const sixteen& x, bool infinity_too) noexcept {
  const uint32x4_t most =
      vmaxq_u32(vmaxq_u32(magnitudes(x.v[0]), magnitudes(x.v[1])), vmaxq_u32(magnitudes(x.v[2]), magnitudes(x.v[3])));
  return vmaxvq_u32(most) > (infinity_too ? 0x7F7F'FFFFu : 0x7F80'0000u);
}

/// The first or the last byte of 16 lanes, in order.
QUAVER_ALWAYS_INLINE uint8x16_t first_bytes(const uint32x4_t (&x)[4]) noexcept {
  const uint16x8_t a = vuzp1q_u16(vreinterpretq_u16_u32(x[0]), vreinterpretq_u16_u32(x[1]));
  const uint16x8_t b = vuzp1q_u16(vreinterpretq_u16_u32(x[2]), vreinterpretq_u16_u32(x[3]));
  return vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
}
QUAVER_ALWAYS_INLINE uint8x16_t last_bytes(const float32x4_t (&x)[4]) noexcept {
  const uint16x8_t a = vuzp2q_u16(vreinterpretq_u16_f32(x[0]), vreinterpretq_u16_f32(x[1]));
  const uint16x8_t b = vuzp2q_u16(vreinterpretq_u16_f32(x[2]), vreinterpretq_u16_f32(x[3]));
  return vuzp2q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
}

/// 16 codes of 16 scaled values without NaNs, nor infinities that differ.
template <int M, rounding R>
QUAVER_ALWAYS_INLINE uint8x16_t encode16(const sixteen& x, const encoding& to, const random16& random) noexcept {
  uint32x4_t c[4];
  for (int q = 0; q < 4; ++q) c[q] = round_to_codes<M, R>(x.v[q], to, random.v[q]);
  const uint8x16_t code = first_bytes(c);
  const uint8x16_t top  = last_bytes(x.v);
  const uint8x16_t bit  = vshlq_u8(top, vdupq_n_s8(static_cast<int8_t>(-to.sign_shift)));  // to the right
  uint8x16_t sign       = vandq_u8(bit, vdupq_n_u8(to.sign_mask));
  if (!to.signed_zero) sign = vandq_u8(sign, vtstq_u8(code, code));
  uint8x16_t out = vorrq_u8(code, sign);
  if (to.overflows) {
    const uint8x16_t negative = vcltzq_s8(vreinterpretq_s8_u8(top));
    const uint8x16_t over     = vbslq_u8(negative, vdupq_n_u8(to.over_negative), vdupq_n_u8(to.over_positive));
    out                       = vbslq_u8(vcleq_u8(code, vdupq_n_u8(to.largest)), out, over);
  }
  return out;
}

template <scaling S>
QUAVER_ALWAYS_INLINE void apply_scale(sixteen& x, float32x4_t scale) noexcept {
  for (int q = 0; q < 4; ++q) {
    if constexpr (S == scaling::multiply || S == scaling::multiply_blocks) x.v[q] = product(x.v[q], scale);
    if constexpr (S == scaling::divide) x.v[q] = quotient(x.v[q], scale);
  }
}

/// Encodes an array. past_caches is not asked: most Arm cores see by themselves that whole lines are being written.
/// `to` comes by value, since bytes are written that could be a reference's.
template <int M, rounding R, scaling S, bulk_source T>
void encode(const encode_call<T>& call, encoding to) noexcept {
  float32x4_t scale = as_floats(vdupq_n_u32(call.scale));
  random16 random{};
  block_cursor blocks(call);
  size_t i = 0;
  if constexpr (R == rounding::stochastic) {
    static_assert(S != scaling::multiply_blocks, "words in fours would shift the blocks");
    const size_t lead = static_cast<size_t>((0 - call.words.first) & 3);  // the words come in fours
    i                 = lead < call.count ? lead : call.count;
    call.portable(call, 0, i);
  }
  for (; i < call.count; i += 16) {
    const size_t left = call.count - i;
    sixteen x         = left >= 16 ? load16(call.x + i) : load16(call.x + i, left);
    if constexpr (S == scaling::multiply_blocks) scale = as_floats(vdupq_n_u32(blocks.take(16)));
    apply_scale<S>(x, scale);
    if (has_special(x, to.infinity_differs)) {
      call.portable(call, i, left >= 16 ? i + 16 : call.count);
      continue;
    }
    if constexpr (R == rounding::stochastic) random = philox16(call.words.seed, call.words.first + i);
    const uint8x16_t codes = encode16<M, R>(x, to, random);
    if (left < 16) {
      uint8_t some[16];
      vst1q_u8(some, codes);
      for (size_t j = 0; j < left; ++j) call.y[i + j] = some[j];
    } else {
      vst1q_u8(call.y + i, codes);
    }
  }
}

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
