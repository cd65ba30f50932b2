// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_LOAD_HPP
#define QUAVER_CPU_ISA_NEON_LOAD_HPP

#include <quaver/convert/elements.hpp>

#if QUAVER_AARCH64

#include <arm_neon.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

// Every 64-bit Arm has Advanced SIMD, so the functions of this tier need no target attribute. Compilers treat the
// arithmetic intrinsics as plain + and *, which -ffast-math and contraction rewrite; where that would change a bit, the
// result is hidden from them or the instruction is asm.
namespace cpu::neon {

/// The same value, of which the compiler knows nothing more: neither what sum it came from nor that it is finite.
QUAVER_ALWAYS_INLINE float32x4_t hidden(float32x4_t x) noexcept {
  __asm__("" : "+w"(x));
  return x;
}

/// One rounding each, and NaNs and infinities where they are due.
QUAVER_ALWAYS_INLINE float32x4_t product(float32x4_t x, float32x4_t y) noexcept {
  __asm__("fmul %0.4s, %0.4s, %1.4s" : "+w"(x) : "w"(y));
  return x;
}
QUAVER_ALWAYS_INLINE float32x4_t quotient(float32x4_t x, float32x4_t y) noexcept {
  __asm__("fdiv %0.4s, %0.4s, %1.4s" : "+w"(x) : "w"(y));
  return x;
}

QUAVER_ALWAYS_INLINE float32x4_t as_floats(uint32x4_t bits) noexcept { return vreinterpretq_f32_u32(bits); }
QUAVER_ALWAYS_INLINE uint32x4_t as_bits(float32x4_t x) noexcept { return vreinterpretq_u32_f32(x); }

/// The bits of the magnitudes, which compare as integers in the order of the numbers: NaN above infinity.
QUAVER_ALWAYS_INLINE uint32x4_t magnitudes(float32x4_t x) noexcept {
  return vandq_u32(as_bits(x), vdupq_n_u32(0x7FFF'FFFF));
}

/// 16 elements as binary32, exactly.
struct sixteen {
  float32x4_t v[4];
};
template <bulk_source T>
QUAVER_ALWAYS_INLINE sixteen load16(const T* x) noexcept {
  if constexpr (same_type<T, float>) {
    return {{vld1q_f32(x), vld1q_f32(x + 4), vld1q_f32(x + 8), vld1q_f32(x + 12)}};
  } else {
    const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(x);
    const uint16x8_t a         = vreinterpretq_u16_u8(vld1q_u8(bytes));
    const uint16x8_t b         = vreinterpretq_u16_u8(vld1q_u8(bytes + 16));
    if constexpr (same_type<T, half>) {
      const float16x8_t first  = vreinterpretq_f16_u16(a);
      const float16x8_t second = vreinterpretq_f16_u16(b);
      return {{hidden(vcvt_f32_f16(vget_low_f16(first))), hidden(vcvt_high_f32_f16(first)),
               hidden(vcvt_f32_f16(vget_low_f16(second))), hidden(vcvt_high_f32_f16(second))}};
    } else {
      const uint16x8_t zero = vdupq_n_u16(0);
      return {{vreinterpretq_f32_u16(vzip1q_u16(zero, a)), vreinterpretq_f32_u16(vzip2q_u16(zero, a)),
               vreinterpretq_f32_u16(vzip1q_u16(zero, b)), vreinterpretq_f32_u16(vzip2q_u16(zero, b))}};
    }
  }
}

/// 16 elements of which `count` are there, the others +0: the end of an array.
template <bulk_source T>
QUAVER_ALWAYS_INLINE sixteen load16(const T* x, size_t count) noexcept {
  T some[16] = {};
  for (size_t i = 0; i < count; ++i) some[i] = x[i];
  return load16(some);
}

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
