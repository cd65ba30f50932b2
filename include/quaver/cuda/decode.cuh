// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_DECODE_CUH
#define QUAVER_CUDA_DECODE_CUH

#include <quaver/convert/recode.hpp>
#include <quaver/cuda/arithmetic.cuh>
#include <quaver/cuda/packed.cuh>
#include <quaver/cuda/ptx/cvt.cuh>

// One code to one value, exactly. A minifloat's magnitude, moved to where a wide float has its exponent and mantissa,
// is the value times a power of two, subnormals included; one multiplication undoes that.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The bits of `f` as a binary32; NaN is 7FC00000.
template <eight_bit F>
__device__ __forceinline__ uint32_t decode_to_float_bits(F f) noexcept {
  if constexpr (!signed_format<F>) {
    return decode_bits(f);
  } else {
    const uint32_t code      = f.bits();
    const uint32_t magnitude = code & F::magnitude_mask;
    const uint32_t sign      = (code & F::sign_mask) << (32 - F::width);
    const float moved        = bitwise_cast<float>(magnitude << (23 - F::mantissa_bits));
    const float factor       = bitwise_cast<float>(static_cast<uint32_t>(127 + 127 - F::exponent_bias) << 23);
    uint32_t value           = bitwise_cast<uint32_t>(multiply(moved, factor));
    if constexpr (F::has_infinity) value = magnitude == F::infinity_magnitude ? binary<float>::infinity : value;
    value |= sign;
    return f.is_nan() ? binary<float>::nan : value;
  }
}

template <class T>
concept device_result = same_type<T, float> || same_type<T, half> || same_type<T, bfloat16>;

/// The value of `f`: the device's quaver::decode. Exact but for e8m0 as half, which rounds to nearest even. NaN is the
/// quiet NaN without a sign: 7FC00000, 7FC0, 7E00. Write cuda::decode, since F's own namespace has a decode too.
template <device_result T, eight_bit F>
__device__ __forceinline__ T decode(F f) noexcept {
  const uint32_t bits = decode_to_float_bits(f);
  if constexpr (same_type<T, float>) {
    return bitwise_cast<float>(bits);
  } else if constexpr (same_type<T, bfloat16>) {
    return bfloat16::from_bits(static_cast<uint16_t>(bits >> 16));  // exact: what is cut off is zero
  } else {
    const uint32_t rounded = ptx::floats_to_halves(bitwise_cast<float>(bits), 0.0f);
    return f.is_nan() ? half::nan() : half::from_bits(static_cast<uint16_t>(rounded));
  }
}

/// True where two codes become two halves in a few steps.
template <class F>
inline constexpr bool decodes_by_halves = ptx::has_cvt<F> || same_type<F, e4m3> || same_type<F, e5m2>;

/// Two codes, the first in the low byte, as two halves in one register. NaN is some NaN.
template <signed_format F>
  requires decodes_by_halves<F>
__device__ __forceinline__ uint32_t decode_two_to_halves(uint16_t codes) noexcept {
  if constexpr (same_type<F, e2m1> && ptx::has_cvt<F>) {
    return ptx::decode_two<F>(static_cast<uint16_t>((codes & 0xF) | (codes >> 4 & 0xF0)));
  } else if constexpr (ptx::has_cvt<F>) {
    return ptx::decode_two<F>(codes);
  } else if constexpr (same_type<F, e5m2>) {
    return __byte_perm(codes, 0, 0x1404);  // an E5M2 code is the high byte of a half
  } else {
    static_assert(same_type<F, e4m3>);
    const uint32_t lanes = __byte_perm(codes, 0, 0x4140);
    const uint32_t moved = (lanes & 0x007F'007Fu) << 7;
    // 7F alone carries into bit 14 when 1 is added to it; with that bit it is a NaN here too.
    const uint32_t value = moved | ((moved + 0x0080'0080u) & 0x4000'4000u) | ((lanes & 0x0080'0080u) << 8);
    uint32_t halves;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(halves) : "r"(value), "r"(0x5C00'5C00u));  // 256: the biases are 15 and 7
    return halves;
  }
}

/// N codes as N values. Exact as in decode; a NaN is a quiet NaN whose sign and payload are left open.
template <device_result T, eight_bit F, int N>
__device__ __forceinline__ values<T, N> decode_xn(const packed<F, N>& codes) noexcept {
  values<T, N> result;
#pragma unroll
  for (int i = 0; i < N; i += 2) {
    if constexpr (same_type<T, half> && decodes_by_halves<F>) {
      const uint32_t halves = decode_two_to_halves<F>(codes.pair(i / 2));
      result[i]             = half::from_bits(static_cast<uint16_t>(halves));
      result[i + 1]         = half::from_bits(static_cast<uint16_t>(halves >> 16));
      continue;
    }
    float low;
    float high;
    if constexpr (decodes_by_halves<F>) {
      const uint32_t halves = decode_two_to_halves<F>(codes.pair(i / 2));
      low                   = ptx::half_to_float(static_cast<uint16_t>(halves));
      high                  = ptx::half_to_float(static_cast<uint16_t>(halves >> 16));
    } else {
      low  = bitwise_cast<float>(decode_to_float_bits(codes[i]));
      high = bitwise_cast<float>(decode_to_float_bits(codes[i + 1]));
    }
    if constexpr (same_type<T, float>) {
      result[i]     = low;
      result[i + 1] = high;
    } else if constexpr (same_type<T, bfloat16>) {
      result[i]     = bfloat16::from_bits(static_cast<uint16_t>(bitwise_cast<uint32_t>(low) >> 16));
      result[i + 1] = bfloat16::from_bits(static_cast<uint16_t>(bitwise_cast<uint32_t>(high) >> 16));
    } else {
      const uint32_t halves = ptx::floats_to_halves(low, high);
      result[i]             = half::from_bits(static_cast<uint16_t>(halves));
      result[i + 1]         = half::from_bits(static_cast<uint16_t>(halves >> 16));
    }
  }
  return result;
}

/// The same from two e2m1 a byte: 2 N values.
template <device_result T, int N>
__device__ __forceinline__ values<T, 2 * N> decode_xn(const packed<e2m1x2, N>& pairs) noexcept {
  values<T, 2 * N> result;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const e2m1x2 pair = pairs[i];
    const packed<e2m1, 2> both{static_cast<uint16_t>((pair.bits() & 0xF) | (pair.bits() >> 4) << 8)};
    const values<T, 2> two = decode_xn<T>(both);
    result[2 * i]          = two[0];
    result[2 * i + 1]      = two[1];
  }
  return result;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
