// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_CVT_CUH
#define QUAVER_CUDA_PTX_CVT_CUH

#include <quaver/format/formats.hpp>

// The conversion instructions, two values at a time. To the narrow formats: to nearest even, what is too large and
// infinity become the largest value; NaN becomes 7F in E4M3 and E5M2, the largest value where there is no NaN. To
// halves: exact. PTX ISA, "cvt".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// True where this architecture has instructions from and to F.
template <class F>
inline constexpr bool has_cvt = false;
#if QUAVER_FP8_INSTRUCTIONS
template <>
inline constexpr bool has_cvt<e4m3> = true;
template <>
inline constexpr bool has_cvt<e5m2> = true;
#endif
#if QUAVER_FP4_INSTRUCTIONS
template <>
inline constexpr bool has_cvt<e2m1> = true;
template <>
inline constexpr bool has_cvt<e2m3> = true;
template <>
inline constexpr bool has_cvt<e3m2> = true;
#endif

/// The codes of two floats, that of `low` in the low byte; for e2m1 in the low nibble of one byte.
template <class F>
__device__ __forceinline__ uint16_t encode_two(float low, float high) noexcept {
  uint16_t codes = 0;
#if QUAVER_FP8_INSTRUCTIONS
  if constexpr (same_type<F, e4m3>) asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  if constexpr (same_type<F, e5m2>) asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
#endif
#if QUAVER_FP4_INSTRUCTIONS
  if constexpr (same_type<F, e2m3>) asm("cvt.rn.satfinite.e2m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  if constexpr (same_type<F, e3m2>) asm("cvt.rn.satfinite.e3m2x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  if constexpr (same_type<F, e2m1>) {
    // The result is a .b8, which no constraint names.
    asm("{\n .reg .b8 pair;\n cvt.rn.satfinite.e2m1x2.f32 pair, %1, %2;\n cvt.u16.u8 %0, pair;\n}"
        : "=h"(codes)
        : "f"(high), "f"(low));
  }
#endif
  return codes;
}

/// The same from two halves in one register.
template <class F>
__device__ __forceinline__ uint16_t encode_two_halves(uint32_t halves) noexcept {
  uint16_t codes = 0;
#if QUAVER_FP8_INSTRUCTIONS
  if constexpr (same_type<F, e4m3>) asm("cvt.rn.satfinite.e4m3x2.f16x2 %0, %1;" : "=h"(codes) : "r"(halves));
  if constexpr (same_type<F, e5m2>) asm("cvt.rn.satfinite.e5m2x2.f16x2 %0, %1;" : "=h"(codes) : "r"(halves));
#endif
  return codes;
}

/// Two codes as two halves. Exact; a NaN is 7FFF.
template <class F>
__device__ __forceinline__ uint32_t decode_two(uint16_t codes) noexcept {
  uint32_t halves = 0;
#if QUAVER_FP8_INSTRUCTIONS
  if constexpr (same_type<F, e4m3>) asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(codes));
  if constexpr (same_type<F, e5m2>) asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(halves) : "h"(codes));
#endif
#if QUAVER_FP4_INSTRUCTIONS
  if constexpr (same_type<F, e2m3>) asm("cvt.rn.f16x2.e2m3x2 %0, %1;" : "=r"(halves) : "h"(codes));
  if constexpr (same_type<F, e3m2>) asm("cvt.rn.f16x2.e3m2x2 %0, %1;" : "=r"(halves) : "h"(codes));
  if constexpr (same_type<F, e2m1>) {
    asm("{\n .reg .b8 pair, none;\n mov.b16 {pair, none}, %1;\n cvt.rn.f16x2.e2m1x2 %0, pair;\n}"
        : "=r"(halves)
        : "h"(codes));
  }
#endif
  return halves;
}

/// A half as a float: exact, subnormals too, whatever the flags.
__device__ __forceinline__ float half_to_float(uint16_t half_bits) noexcept {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half_bits));
  return value;
}

/// Two floats as two halves or bfloat16s, to nearest even; what is too large becomes infinity.
__device__ __forceinline__ uint32_t floats_to_halves(float low, float high) noexcept {
  uint32_t halves;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(halves) : "f"(high), "f"(low));
  return halves;
}
__device__ __forceinline__ uint32_t floats_to_bfloat16s(float low, float high) noexcept {
  uint32_t bfloat16s;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bfloat16s) : "f"(high), "f"(low));
  return bfloat16s;
}

/// The smaller of each two signed integers of 16 bits. From sm_90 on.
__device__ __forceinline__ uint32_t smaller_integers(uint32_t x, uint32_t y) noexcept {
  uint32_t smaller = 0;
#if QUAVER_CLUSTERS
  asm("min.s16x2 %0, %1, %2;" : "=r"(smaller) : "r"(x), "r"(y));
#endif
  return smaller;
}

/// The integer part of a float; what is beyond 32 bits becomes the largest integer, NaN 0.
__device__ __forceinline__ uint32_t integer_part(float x) noexcept {
  uint32_t integer;
  asm("cvt.rzi.u32.f32 %0, %1;" : "=r"(integer) : "f"(x));
  return integer;
}

/// x with its magnitude cut to `limit`; NaN stays NaN. One instruction, from sm_86 on.
__device__ __forceinline__ float clamp_magnitude(float x, float limit) noexcept {
  float clamped = 0;
#if QUAVER_FP8_INSTRUCTIONS
  asm("min.NaN.xorsign.abs.f32 %0, %1, %2;" : "=f"(clamped) : "f"(x), "f"(limit));
#endif
  return clamped;
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
