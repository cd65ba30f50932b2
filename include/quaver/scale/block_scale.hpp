// SPDX-License-Identifier: MIT
#ifndef QUAVER_SCALE_BLOCK_SCALE_HPP
#define QUAVER_SCALE_BLOCK_SCALE_HPP

#include <quaver/scale/current_scale.hpp>

QUAVER_BEGIN_NAMESPACE

/// How the amax of an MX block becomes its E8M0 scale. Three rules are alive, and files made by one are read by all.
enum class mx_rule : uint8_t {
  round_up,    ///< the smallest power of two >= fl(amax * fl(1 / max)): nothing saturates. Transformer Engine, cuBLAS
  round_down,  ///< floor(log2 amax) - emax: the block maximum may saturate. OCP MX 1.0 section 6.3, torchao's default
  round_three_quarter,  ///< as round_down, but a mantissa from 1.75 on counts as the next binade. compressed-tensors
};

/// The dequantisation scale of an MX block of F. amax NaN gives FF, infinity FE, zero 00 (2^-127).
QUAVER_SIDE_OF_ARGUMENTS
template <signed_format F, class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr e8m0 mx_scale(float amax, mx_rule rule = mx_rule::round_up) noexcept {
  const uint32_t magnitude = bitwise_cast<uint32_t>(amax) & binary<float>::magnitude_mask;
  if (magnitude > binary<float>::infinity) return e8m0::nan();
  if (magnitude == binary<float>::infinity) return (e8m0::max)();
  if (magnitude == 0) return (e8m0::min)();
  if (rule == mx_rule::round_up) {
    constexpr float reciprocal = divide_rn(1.0f, decode<float>((F::max)()));
    return encode<e8m0, rounding::upward>(Arithmetic::multiply(bitwise_cast<float>(magnitude), reciprocal));
  }
  // Adding a quarter of the binade carries into the exponent from 1.75 on. Subnormals are far below any scale.
  const uint32_t bumped =
      rule == mx_rule::round_three_quarter ? magnitude + (binary<float>::implicit_bit / 4) : magnitude;
  const int largest_exponent = (F::max_magnitude >> F::mantissa_bits) - F::exponent_bias;
  const int code             = static_cast<int>(bumped >> binary<float>::digits) - largest_exponent;
  return e8m0::from_bits(static_cast<uint8_t>(code < 0 ? 0 : code > 0xFE ? 0xFE : code));
}

/// The quantisation factor beside an E8M0 scale: its exact reciprocal, 2^(127 - code). Subnormal for FE, NaN for FF.
QUAVER_HOST_DEVICE constexpr float reciprocal(e8m0 scale) noexcept {
  if (scale.is_nan()) return bitwise_cast<float>(binary<float>::nan);
  return power_of_two(e8m0::exponent_bias - scale.bits());
}

/// NVFP4, first level: the dequantisation scale of a whole tensor, fl(amax / (6 * 448)), so that the largest block
/// scale is 448. amax 0, infinite or NaN by `policy`, as in current_scale. ModelOpt stores this number
/// (weight_scale_2), compressed-tensors its reciprocal.
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr dequant_scale nvfp4_global_scale(float amax, scale_policy policy = {}) noexcept {
  constexpr float largest = decode<float>((e2m1::max)()) * decode<float>((e4m3::max)());
  policy.direction        = scale_direction::dequant_first;
  return scale_to<Arithmetic>(amax, largest, policy).dequant;
}

/// NVFP4, second level: the E4M3 scale of a block of 16, amax / 6 in units of the tensor's scale. Saturates at 448.
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr e4m3 nvfp4_block_scale(float amax, dequant_scale global) noexcept {
  return encode<e4m3>(Arithmetic::divide(Arithmetic::divide(amax, decode<float>((e2m1::max)())), global.value()));
}

static_assert(mx_scale<e4m3>(448.0f).bits() == 127 && mx_scale<e4m3>(449.0f).bits() == 128);
static_assert(mx_scale<e4m3>(511.0f, mx_rule::round_down).bits() == 127);
static_assert(mx_scale<e4m3>(448.0f, mx_rule::round_three_quarter).bits() == 128);  // 1.75 * 2^8: here the rules part
static_assert(nvfp4_block_scale(6.0f, nvfp4_global_scale(2688.0f)).bits() == encode<e4m3>(1.0f).bits());

QUAVER_END_NAMESPACE

#endif
