// SPDX-License-Identifier: MIT
#ifndef QUAVER_SCALE_CURRENT_SCALE_HPP
#define QUAVER_SCALE_CURRENT_SCALE_HPP

#include <quaver/scale/scale.hpp>

QUAVER_BEGIN_NAMESPACE

/// What a scale is made of when amax is 0, infinite or NaN.
enum class special_amax : uint8_t {
  unit,    ///< scale 1 in both directions (Transformer Engine's current scaling)
  clamp,   ///< amax taken as the nearest positive finite float; NaN counts as infinite
  poison,  ///< both directions NaN, so that every code shows it
};

/// Which direction is rounded from amax; the other is its rounded reciprocal.
enum class scale_direction : uint8_t {
  quant_first,    ///< quant = fl(max / amax), dequant = fl(1 / quant): Transformer Engine, MS-AMP
  dequant_first,  ///< dequant = fl(amax / max), quant = fl(1 / dequant): checkpoints of vLLM, ModelOpt, DeepSeek
};

/// Whether scales are powers of two. Rounded by their bits: floor(log2f(x)) errs near powers of two.
enum class scale_rounding : uint8_t {
  none,
  power_of_two,  ///< quant rounded down, dequant rounded up, so that amax never saturates; both exact
};

/// How current scaling makes a scale from an amax.
struct scale_policy {
  special_amax on_zero     = special_amax::unit;
  special_amax on_infinite = special_amax::unit;
  special_amax on_nan      = special_amax::unit;
  float amax_floor         = 0.0f;  ///< a smaller amax counts as this one (eps; DeepSeek: 1e-4)
  int margin = 0;  ///< the largest value is aimed 2^margin below the format's; -126 to 126, the nearest beyond
  scale_direction direction = scale_direction::quant_first;
  scale_rounding rounding   = scale_rounding::none;
};

/// 2^exponent as a float, saturating to the subnormal and the infinite end.
QUAVER_HOST_DEVICE constexpr float power_of_two(int exponent) noexcept {
  return round_to_float(false, exponent, 1, false);
}

/// The largest power of two that is not above x, a positive finite float.
QUAVER_HOST_DEVICE constexpr float floor_power_of_two(float x) noexcept {
  const auto parts = unpack_bits<float>(bitwise_cast<uint32_t>(x));
  return power_of_two(parts.exponent - parts.digits + 63 - leading_zeros(parts.significand));
}

/// The larger of two floats that are neither negative nor NaN.
QUAVER_HOST_DEVICE constexpr float at_least(float least, float x) noexcept {
  return bitwise_cast<uint32_t>(x) < bitwise_cast<uint32_t>(least) ? least : x;
}

/// The scale that takes `amax` to `largest`, a positive number: current (per-tensor or per-block) scaling.
///
/// `amax` is a magnitude; its sign is ignored. A quotient beyond the floats becomes FLT_MAX, in either direction, one
/// below them 2^-149, so that no finite amax gives a scale that is infinite or 0. Source: Transformer Engine's
/// compute_scale_from_amax, with its policy named.
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr tensor_scale scale_to(float amax, float largest,
                                                   const scale_policy& policy = {}) noexcept {
  constexpr uint32_t largest_float = binary32::max_magnitude;
  uint32_t magnitude               = bitwise_cast<uint32_t>(amax) & binary<float>::magnitude_mask;
  const float stored               = bitwise_cast<float>(magnitude);
  const uint32_t floor             = bitwise_cast<uint32_t>(policy.amax_floor) & binary<float>::magnitude_mask;
  if (magnitude < floor && floor <= largest_float) magnitude = floor;

  if (magnitude == 0 || magnitude > largest_float) {
    const special_amax action = magnitude == 0                         ? policy.on_zero
                                : magnitude == binary<float>::infinity ? policy.on_infinite
                                                                       : policy.on_nan;
    if (action == special_amax::unit) return {quant_scale(1.0f), dequant_scale(1.0f), stored};
    const float nan = bitwise_cast<float>(binary<float>::nan);
    if (action == special_amax::poison) return {quant_scale(nan), dequant_scale(nan), stored};
    magnitude = magnitude == 0 ? 1 : largest_float;
  }

  const float positive = bitwise_cast<float>(magnitude);
  const int margin     = policy.margin < -126 ? -126 : policy.margin > 126 ? 126 : policy.margin;
  const float target   = Arithmetic::multiply(largest, power_of_two(-margin));
  if (policy.rounding == scale_rounding::power_of_two) {
    // The rounded quotient is never a power of two that the exact one has not reached: the first float above
    // target / 2^k is above it by more than 2^-24 of itself, so its quotient rounds to a float below 2^k.
    // Below 2^-127, which only a margin can ask for, the reciprocal would not be a float.
    const float quant = at_least(0x1p-127f, floor_power_of_two(finite_quotient<Arithmetic>(target, positive)));
    return {quant_scale(quant), dequant_scale(finite_quotient<Arithmetic>(1.0f, quant)), stored};
  }
  if (policy.direction == scale_direction::quant_first) {
    const float quant = at_least(0x1p-149f, finite_quotient<Arithmetic>(target, positive));
    return {quant_scale(quant), dequant_scale(finite_quotient<Arithmetic>(1.0f, quant)), stored};
  }
  const float dequant =
      at_least(0x1p-149f, finite_quotient<Arithmetic>(positive, target));  // 0 / 0 would make a NaN of every zero
  return {quant_scale(finite_quotient<Arithmetic>(1.0f, dequant)), dequant_scale(dequant), stored};
}

/// Current scaling to the largest value of F.
QUAVER_SIDE_OF_ARGUMENTS
template <any_format F, class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr tensor_scale current_scale(float amax, const scale_policy& policy = {}) noexcept {
  return scale_to<Arithmetic>(amax, decode<float>((F::max)()), policy);
}

static_assert(current_scale<e4m3>(2.0f).quant.value() == 224.0f &&
              current_scale<e5m2>(57344.0f).dequant.value() == 1.0f);
static_assert(current_scale<e4m3>(0.0f).quant.value() == 1.0f &&
              current_scale<e4m3>(0x1p-149f).quant.value() == 0x1.FFFFFEp127f);
static_assert(current_scale<e4m3>(3.0f, {.rounding = scale_rounding::power_of_two}).quant.value() == 128.0f);

QUAVER_END_NAMESPACE

#endif
