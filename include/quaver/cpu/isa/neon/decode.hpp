// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_DECODE_HPP
#define QUAVER_CPU_ISA_NEON_DECODE_HPP

#include <quaver/cpu/isa/decoding.hpp>
#include <quaver/cpu/isa/neon/load.hpp>

#if QUAVER_AARCH64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::neon {

/// The tables of a format in registers, 16 of the 32.
struct tables {
  uint8x16x4_t low[2];
  uint8x16x4_t high[2];
};
QUAVER_ALWAYS_INLINE tables load_tables(const decoding& d) noexcept {
  return {{vld1q_u8_x4(d.low), vld1q_u8_x4(d.low + 64)}, {vld1q_u8_x4(d.high), vld1q_u8_x4(d.high + 64)}};
}

/// Entries 0 to 127 of a table: an index of 64 or more looks up 0 in the first half, and one below 64 wraps round and
/// leaves that as it is in the second.
QUAVER_ALWAYS_INLINE uint8x16_t look_up(const uint8x16x4_t (&halves)[2], uint8x16_t index) noexcept {
  return vqtbx4q_u8(vqtbl4q_u8(halves[0], index), halves[1], vsubq_u8(index, vdupq_n_u8(64)));
}

/// The low and the high bytes of the 16-bit values of 16 codes.
struct byte_halves {
  uint8x16_t low;
  uint8x16_t high;
};
QUAVER_ALWAYS_INLINE byte_halves look_up(uint8x16_t codes, const tables& t, const decoding& d) noexcept {
  const uint8x16_t index = vandq_u8(codes, vdupq_n_u8(0x7F));
  byte_halves out{look_up(t.low, index), look_up(t.high, index)};
  // Codes above last_with_sign are NaNs, which have none.
  const uint8x16_t with_sign = vcleq_u8(codes, vdupq_n_u8(d.last_with_sign));
  out.high                   = vorrq_u8(out.high, vandq_u8(vandq_u8(codes, with_sign), vdupq_n_u8(d.sign_mask)));
  if (d.nan_is_negative_zero) {
    const uint8x16_t nan = vceqq_u8(codes, vdupq_n_u8(0x80));
    out.low              = vbslq_u8(nan, vdupq_n_u8(d.nan_low), out.low);
    out.high             = vbslq_u8(nan, vdupq_n_u8(d.nan_high), out.high);
  }
  return out;
}

/// 16 codes as 16-bit values, in order.
QUAVER_ALWAYS_INLINE uint8x16x2_t decode16_to_16(uint8x16_t codes, const tables& t, const decoding& d) noexcept {
  const byte_halves b = look_up(codes, t, d);
  return {{vzip1q_u8(b.low, b.high), vzip2q_u8(b.low, b.high)}};
}

/// 16 codes as binary32, in order, of tables of bfloat16.
QUAVER_ALWAYS_INLINE sixteen decode16_to_32(uint8x16_t codes, const tables& t, const decoding& d) noexcept {
  const uint8x16x2_t values = decode16_to_16(codes, t, d);
  const uint16x8_t first    = vreinterpretq_u16_u8(values.val[0]);
  const uint16x8_t second   = vreinterpretq_u16_u8(values.val[1]);
  const uint16x8_t zero     = vdupq_n_u16(0);
  return {{vreinterpretq_f32_u16(vzip1q_u16(zero, first)), vreinterpretq_f32_u16(vzip2q_u16(zero, first)),
           vreinterpretq_f32_u16(vzip1q_u16(zero, second)), vreinterpretq_f32_u16(vzip2q_u16(zero, second))}};
}

/// Eight binary32 values rounded to nearest even; a NaN among them is 7FC00000.
template <bulk_source T>
  requires(sizeof(T) == 2)
QUAVER_ALWAYS_INLINE uint8x16_t narrow(float32x4_t a, float32x4_t b) noexcept {
  if constexpr (same_type<T, half>) {
    return vreinterpretq_u8_f16(vcvt_high_f16_f32(vcvt_f16_f32(a), b));
  } else {
    uint32x4_t bits[2] = {as_bits(a), as_bits(b)};
    for (uint32x4_t& x : bits) {
      const uint32x4_t odd = vandq_u32(vshrq_n_u32(x, 16), vdupq_n_u32(1));
      x                    = vaddq_u32(vaddq_u32(x, odd), vdupq_n_u32(0x7FFF));
    }
    return vreinterpretq_u8_u16(vuzp2q_u16(vreinterpretq_u16_u32(bits[0]), vreinterpretq_u16_u32(bits[1])));
  }
}

/// Decodes an array. `d` holds bfloat16 values, but half where T is half and nothing is scaled. As in encode(),
/// past_caches is not asked.
template <bool Scaled, bulk_source T>
void decode(const decode_call<T>& call, const decoding& d) noexcept {
  const tables t          = load_tables(d);
  const float32x4_t scale = as_floats(vdupq_n_u32(call.scale));
  const size_t whole      = !Scaled || is_plain_scale(call.scale) ? call.count / 16 * 16 : 0;
  for (size_t i = 0; i < whole; i += 16) {
    const uint8x16_t codes = vld1q_u8(call.x + i);
    uint8_t* const y       = reinterpret_cast<uint8_t*>(call.y + i);
    if constexpr (!Scaled && sizeof(T) == 2) {
      const uint8x16x2_t out = decode16_to_16(codes, t, d);
      vst1q_u8(y, out.val[0]);
      vst1q_u8(y + 16, out.val[1]);
    } else {
      sixteen x = decode16_to_32(codes, t, d);
      if constexpr (Scaled) {
        for (float32x4_t& v : x.v) v = product(v, scale);
      }
      if constexpr (sizeof(T) == 4) {
        for (int q = 0; q < 4; ++q) vst1q_u8(y + 16 * q, vreinterpretq_u8_f32(x.v[q]));
      } else {
        vst1q_u8(y, narrow<T>(x.v[0], x.v[1]));
        vst1q_u8(y + 16, narrow<T>(x.v[2], x.v[3]));
      }
    }
  }
  call.portable(call, whole, call.count);
}

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
