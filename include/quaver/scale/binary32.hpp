// SPDX-License-Identifier: MIT
#ifndef QUAVER_SCALE_BINARY32_HPP
#define QUAVER_SCALE_BINARY32_HPP

#include <quaver/convert/encode.hpp>

// Products and quotients of two floats, rounded once to nearest even with subnormals kept, in integer arithmetic.
// Scales are few and their bits decide every code, so they are computed where no rounding mode, no DAZ or FTZ, no
// -ffast-math and no -use_fast_math reaches. NaN results are 7FC00000.

QUAVER_BEGIN_NAMESPACE

/// Rounds (-1)^negative * significand * 2^exponent, with `inexact` standing for a further bit below the last.
QUAVER_HOST_DEVICE constexpr float round_to_float(bool negative, int exponent, uint64_t significand,
                                                  bool inexact) noexcept {
  constexpr int digits = 60;
  const int top        = 63 - leading_zeros(significand);
  if (significand == 0) return bitwise_cast<float>(negative ? 0x8000'0000u : 0u);
  // Products and quotients of 24-bit significands have at most 48 bits, so there is always room to shift left.
  const uint64_t aligned = (significand << (digits - top)) | static_cast<uint64_t>(inexact);
  const unpacked<uint64_t, digits> exact{
      .significand = aligned, .exponent = exponent + top, .negative = negative, .infinite = false, .nan = false};
  return bitwise_cast<float>(encode_unpacked<binary32, rounding::nearest_even, overflow::nonfinite>(exact, 0).bits());
}

/// a * b as mul.rn.f32 gives it.
QUAVER_HOST_DEVICE constexpr float multiply_rn(float a, float b) noexcept {
  const auto x        = unpack_bits<float>(bitwise_cast<uint32_t>(a));
  const auto y        = unpack_bits<float>(bitwise_cast<uint32_t>(b));
  const bool negative = x.negative != y.negative;
  const bool infinite = x.infinite || y.infinite;
  const bool zero     = x.significand == 0 || y.significand == 0;
  if (x.nan || y.nan || (infinite && zero)) return bitwise_cast<float>(binary<float>::nan);
  if (infinite) return bitwise_cast<float>(binary<float>::infinity | (negative ? binary<float>::sign_mask : 0u));
  return round_to_float(negative, x.exponent + y.exponent - 2 * x.digits, uint64_t{x.significand} * y.significand,
                        false);
}

/// a / b as div.rn.f32 gives it.
QUAVER_HOST_DEVICE constexpr float divide_rn(float a, float b) noexcept {
  const auto x        = unpack_bits<float>(bitwise_cast<uint32_t>(a));
  const auto y        = unpack_bits<float>(bitwise_cast<uint32_t>(b));
  const bool negative = x.negative != y.negative;
  const uint32_t sign = negative ? binary<float>::sign_mask : 0u;
  const bool x_zero   = x.significand == 0;
  const bool y_zero   = y.significand == 0;
  if (x.nan || y.nan || (x.infinite && y.infinite) || (x_zero && y_zero))
    return bitwise_cast<float>(binary<float>::nan);
  if (x.infinite || y_zero) return bitwise_cast<float>(binary<float>::infinity | sign);
  if (y.infinite || x_zero) return bitwise_cast<float>(sign);
  // Both significands are made normal (24 bits), so the quotient has 38 or 39 bits: enough to round 24 with a sticky
  // bit below.
  const int dividend_shift = leading_zeros(x.significand) - 40;
  const int divisor_shift  = leading_zeros(y.significand) - 40;
  const uint64_t dividend  = uint64_t{x.significand} << (dividend_shift + 38);
  const uint64_t divisor   = uint64_t{y.significand} << divisor_shift;
  const uint64_t quotient  = dividend / divisor;
  const int exponent       = (x.exponent - dividend_shift - 38) - (y.exponent - divisor_shift);
  return round_to_float(negative, exponent, quotient, quotient * divisor != dividend);
}

/// The arithmetic of scales where nothing is known of the machine's. Bulk code, which holds a standard float environment,
/// brings a faster one with the same results.
struct integer_arithmetic {
  QUAVER_HOST_DEVICE static constexpr float multiply(float a, float b) noexcept { return multiply_rn(a, b); }
  QUAVER_HOST_DEVICE static constexpr float divide(float a, float b) noexcept { return divide_rn(a, b); }
};

/// a / b for positive a and b, at most the largest finite float.
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr float finite_quotient(float a, float b) noexcept {
  const uint32_t largest = binary32::max_magnitude;
  const uint32_t bits    = bitwise_cast<uint32_t>(Arithmetic::divide(a, b));
  return bitwise_cast<float>(bits < largest ? bits : largest);
}

static_assert(multiply_rn(3.0f, 0x1p-149f) == 0x1.8p-148f && multiply_rn(0x1p-100f, 0x1p-50f) == 0.0f);
static_assert(divide_rn(448.0f, 3.0f) == 448.0f / 3.0f && divide_rn(0x1p-149f, 2.0f) == 0.0f &&
              divide_rn(1.0f, 0x1p-127f) == 0x1p127f);

QUAVER_END_NAMESPACE

#endif
