// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_ENCODE_CUH
#define QUAVER_CUDA_ENCODE_CUH

#include <quaver/convert/recode.hpp>
#include <quaver/cuda/arithmetic.cuh>
#include <quaver/cuda/ptx/cvt.cuh>

// One float to one code, by whichever way is shortest on this architecture. The bytes are those of quaver::encode_bits
// in every mode; tests/cuda compares all 2^32 floats.
//
// By addition: with e the power of two at or below |x|, but not below F's smallest normal, the sum |x| + 2^(23-M) e has
// its last bit at 2^-M e, which is the last bit of F's value. So the adder rounds, subnormals included, in whichever
// mode the instruction names, and the low bits of the sum count the codes from e on.
//
// By instruction: where the architecture has one for F, it rounds to nearest even and saturates. The other roundings but
// stochastic round by addition first, after which the instruction has nothing left to round; the other overflows change
// what is too large before or after it.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// What rounding to F by addition needs to know of F, as bits of binary32.
template <signed_format F>
struct rounding_grid {
  static constexpr int dropped       = 23 - F::mantissa_bits;
  static constexpr uint32_t smallest = static_cast<uint32_t>(127 + 1 - F::exponent_bias) << 23;  ///< smallest normal
  static constexpr uint32_t raise    = static_cast<uint32_t>(dropped) << 23;  ///< from e to what is added
  /// The largest value, and what would follow it if the exponent went on.
  static constexpr uint32_t largest = decode_bits((F::max)());
  static constexpr uint32_t beyond  = largest + (uint32_t{1} << dropped);
};
static_assert(rounding_grid<e4m3>::smallest == 0x3C80'0000 && rounding_grid<e4m3>::beyond == 0x43F0'0000);  // 2^-6, 480
static_assert(rounding_grid<e5m2>::beyond == 0x4780'0000 && rounding_grid<e2m1>::beyond == 0x4100'0000);    // 65536, 8

inline constexpr uint32_t sign_bit      = binary<float>::sign_mask;
inline constexpr uint32_t infinity_bits = binary<float>::infinity;

/// The bits of x + anchor, which has the sign of x: rounded by R to a multiple of the anchor's last bit. Magnitudes
/// of x up to twice the exponent that the anchor was raised from. Comparisons are of bits, because a float comparison
/// may flush subnormals.
template <rounding R>
__device__ __forceinline__ uint32_t sum_on_grid(uint32_t x, uint32_t anchor, uint32_t random) noexcept {
  const float a = bitwise_cast<float>(x);
  const float c = bitwise_cast<float>(anchor);
  if constexpr (R == rounding::nearest_even) return bitwise_cast<uint32_t>(add(a, c));
  // A tie has a zero as its last bit; with a one it lies above the middle, and nothing else crosses one.
  if constexpr (R == rounding::nearest_away) return bitwise_cast<uint32_t>(add(bitwise_cast<float>(x | 1), c));
  if constexpr (R == rounding::upward) return bitwise_cast<uint32_t>(add_upward(a, c));
  if constexpr (R == rounding::downward) return bitwise_cast<uint32_t>(add_downward(a, c));

  const float cut    = add_toward_zero(a, c);
  const uint32_t sum = bitwise_cast<uint32_t>(cut);
  if constexpr (R == rounding::to_odd) {
    const uint32_t kept = bitwise_cast<uint32_t>(subtract(cut, c));
    return sum | static_cast<uint32_t>(((kept ^ x) & ~sign_bit) != 0);
  } else if constexpr (R == rounding::stochastic) {
    // What was cut off, exactly, in units of 2^-32 of the last bit; one more in the sum is the next larger magnitude.
    // Magnitudes only: x has no sign here.
    const float rest    = subtract(a, subtract(cut, c));
    const uint32_t unit = (uint32_t{127 + 127 + 23 + 32} << 23) - anchor;
    const float share   = multiply(rest, bitwise_cast<float>(unit));
    return sum + static_cast<uint32_t>(random < ptx::integer_part(share));
  } else {
    return sum;
  }
}

/// The bits of the magnitude that |x| is cut to before it is rounded, so that what is too large arrives at the code that
/// it should have: the largest, or the one after it, which is infinity or NaN.
template <signed_format F, rounding R, overflow O>
__device__ __forceinline__ uint32_t magnitude_limit(uint32_t x) noexcept {
  using grid = rounding_grid<F>;
  if constexpr (O == overflow::saturate || !F::has_nan) return grid::largest;
  const bool infinite = (x & ~sign_bit) == infinity_bits;
  if constexpr (overflow_saturates<R, O>(false) && overflow_saturates<R, O>(true)) {
    return infinite ? grid::beyond : grid::largest;
  } else if constexpr (!overflow_saturates<R, O>(false) && !overflow_saturates<R, O>(true)) {
    return grid::beyond;
  } else {
    return overflow_saturates<R, O>((x & sign_bit) != 0) && !infinite ? grid::largest : grid::beyond;
  }
}

/// The code by addition: some 13 instructions without a branch.
template <signed_format F, rounding R, overflow O>
__device__ __forceinline__ uint32_t encode_by_addition(uint32_t x, uint32_t random) noexcept {
  using grid                = rounding_grid<F>;
  const uint32_t sign       = x & sign_bit;
  const uint32_t magnitude  = x & ~sign_bit;
  const uint32_t limit      = magnitude_limit<F, R, O>(x);
  const uint32_t cut        = magnitude < limit ? magnitude : limit;  // NaN too
  const uint32_t own        = cut & infinity_bits;
  const uint32_t exponent   = own > grid::smallest ? own : grid::smallest;
  const uint32_t anchor     = exponent + grid::raise;
  constexpr bool has_a_side = R == rounding::upward || R == rounding::downward;

  uint32_t sum = 0;
  if constexpr (has_a_side) sum = sum_on_grid<R>(cut | sign, anchor | sign, random) & ~sign_bit;
  else sum = sum_on_grid<R>(cut, anchor, random);
  uint32_t code = sum - anchor + ((exponent - grid::smallest) >> grid::dropped);

  // NaN has no sign, and neither has zero in the formats whose -0 is taken.
  const uint32_t code_sign      = sign >> (32 - F::width);
  constexpr bool may_become_nan = F::special == specials::nan_only && O != overflow::saturate;
  if constexpr (!F::has_signed_zero) code |= code != 0 ? code_sign : 0;
  else if constexpr (may_become_nan) code |= code != F::nan_code ? code_sign : 0;
  else code |= code_sign;
  return magnitude > infinity_bits ? F::nan_code : code;
}

/// x rounded by R to the nearest values of F, cut to the largest; NaN stays NaN, -0 stays -0.
template <signed_format F, rounding R>
__device__ __forceinline__ float round_on_grid(float x) noexcept {
  using grid              = rounding_grid<F>;
  const uint32_t cut      = bitwise_cast<uint32_t>(ptx::clamp_magnitude(x, bitwise_cast<float>(grid::largest)));
  const uint32_t sign     = cut & sign_bit;
  const uint32_t own      = cut & infinity_bits;
  const uint32_t exponent = own > grid::smallest ? own : grid::smallest;
  const uint32_t anchor   = (exponent + grid::raise) | sign;
  const uint32_t sum      = sum_on_grid<R>(cut, anchor, 0);
  const uint32_t rounded  = bitwise_cast<uint32_t>(subtract(bitwise_cast<float>(sum), bitwise_cast<float>(anchor)));
  return bitwise_cast<float>((rounded & ~sign_bit) | sign);  // the difference that is zero has lost its sign
}

/// Infinities become NaN, all else stays: x * 0 is a zero of x's sign but for those.
__device__ __forceinline__ float infinity_to_nan(float x) noexcept { return fused_multiply_add(x, 0.0f, x); }

/// NaN where |x| > limit.
__device__ __forceinline__ float above_to_nan(float x, float limit) noexcept {
  float result;
  asm("{\n .reg .pred above;\n .reg .f32 magnitude;\n abs.f32 magnitude, %1;\n"
      " setp.gt.f32 above, magnitude, %2;\n selp.f32 %0, %3, %1, above;\n}"
      : "=f"(result)
      : "f"(x), "f"(limit), "f"(bitwise_cast<float>(0x7FFF'FFFFu)));
  return result;
}

/// `step` where |x| >= limit, else 0; 0 for NaN.
__device__ __forceinline__ uint32_t step_if_reached(float x, float limit, uint32_t step) noexcept {
  uint32_t result;
  asm("{\n .reg .pred reached;\n .reg .f32 magnitude;\n abs.f32 magnitude, %1;\n"
      " setp.ge.f32 reached, magnitude, %2;\n selp.u32 %0, %3, 0, reached;\n}"
      : "=r"(result)
      : "f"(x), "f"(limit), "r"(step));
  return result;
}

/// True where the instruction, helped as below, gives the bytes of this mode in no more time than the addition. For
/// stochastic rounding, most of which is not the instruction's to do, it was seen to take longer.
template <class F, rounding R, overflow O>
inline constexpr bool encodes_by_instruction = ptx::has_cvt<F> && R != rounding::stochastic &&
                                               (O == overflow::saturate || !F::has_nan || R == rounding::nearest_even ||
                                                (same_type<F, e4m3> && O == overflow::saturate_finite));

/// What the instruction is to be given for x.
template <signed_format F, rounding R, overflow O>
__device__ __forceinline__ float before_instruction(float x) noexcept {
  if constexpr (same_type<F, e4m3> && O == overflow::saturate_finite) x = infinity_to_nan(x);
  if constexpr (same_type<F, e4m3> && O == overflow::nonfinite) x = above_to_nan(x, 464.0f);  // the tie of 448 and 480
  if constexpr (R != rounding::nearest_even) x = round_on_grid<F, R>(x);
  return x;
}

/// True where infinities and what is too large are one code short after the instruction.
template <class F, rounding R, overflow O>
inline constexpr bool one_short_after_instruction =
    encodes_by_instruction<F, R, O> && same_type<F, e5m2> && O != overflow::saturate;

/// What x's code is short of, where a code counts in steps of `one`: infinity's code follows the largest value's.
template <overflow O>
__device__ __forceinline__ uint32_t step_after_instruction(float x, uint32_t one) noexcept {
  // 61440 is the tie between 57344 and 65536.
  return step_if_reached(x, O == overflow::nonfinite ? 61440.0f : bitwise_cast<float>(infinity_bits), one);
}

/// A source value as the float that it is, exactly.
__device__ __forceinline__ float source_value(float x) noexcept { return x; }
__device__ __forceinline__ float source_value(half x) noexcept { return ptx::half_to_float(x.bits()); }
__device__ __forceinline__ float source_value(bfloat16 x) noexcept {
  return bitwise_cast<float>(static_cast<uint32_t>(x.bits()) << 16);
}

template <class T>
concept device_source = same_type<T, float> || same_type<T, half> || same_type<T, bfloat16>;

/// The code of one value, in the low bits.
template <eight_bit F, rounding R, overflow O>
__device__ __forceinline__ uint32_t encode_code(float x, uint32_t random) noexcept {
  if constexpr (!signed_format<F>) {
    return encode_bits<F, R, O>(bitwise_cast<uint32_t>(x), random).bits();
  } else if constexpr (encodes_by_instruction<F, R, O>) {
    constexpr uint32_t mask = F::sign_mask | F::magnitude_mask;
    const uint32_t code     = ptx::encode_two<F>(before_instruction<F, R, O>(x), 0.0f) & mask;
    if constexpr (one_short_after_instruction<F, R, O>) return code + step_after_instruction<O>(x, 1);
    return code;
  } else {
    return encode_by_addition<F, R, O>(bitwise_cast<uint32_t>(x), random);
  }
}

/// x rounded once to a value of F: the device's quaver::encode. From float, half and bfloat16, which need not be finite.
/// Write cuda::encode where the argument is a half or bfloat16, whose own namespace has an encode too.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, device_source T>
  requires(R != rounding::stochastic)
__device__ __forceinline__ F encode(T x) noexcept {
  return F::from_bits(static_cast<uint8_t>(encode_code<F, R, O>(source_value(x), 0)));
}

/// Stochastic rounding: away from zero iff `random` < floor(2^32 * discarded fraction).
template <eight_bit F, rounding R, overflow O = overflow::saturate, device_source T>
  requires(R == rounding::stochastic)
__device__ __forceinline__ F encode(T x, uint32_t random) noexcept {
  return F::from_bits(static_cast<uint8_t>(encode_code<F, R, O>(source_value(x), random)));
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
