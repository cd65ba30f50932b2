// SPDX-License-Identifier: MIT
#ifndef QUAVER_REFERENCE_DECODE_HPP
#define QUAVER_REFERENCE_DECODE_HPP

// The oracle's half of the argument "a byte means the same thing everywhere": slow, short, and written from the
// definition of the formats alone. Nothing here is shared with convert/, cpu/ or cuda/, so that an error would have to
// be made twice, in two different ways, to go unseen.

#include <quaver/format/formats.hpp>

#include <limits>

QUAVER_BEGIN_NAMESPACE

namespace reference {

/// 2^exponent by repeated doubling or halving: exact in every rounding mode of the FPU, and never a subnormal, for
/// exponents in [-1022, 1023]. The formats need [-134, 128].
constexpr double power_of_two(int exponent) noexcept {
  double power = 1.0;
  for (; exponent > 0; --exponent) power *= 2.0;
  for (; exponent < 0; ++exponent) power *= 0.5;
  return power;
}

/// What the magnitude `code` (no sign bit) of a signed format stands for by the exponent and mantissa rules alone, as
/// if no code were special and the exponent went on beyond its field: 0x7F in E4M3 is 480, 0x7C in E5M2 is 65536.
template <signed_format F>
constexpr double unbounded_magnitude(uint32_t code) noexcept {
  const uint32_t hidden   = uint32_t{1} << F::mantissa_bits;
  const uint32_t field    = code / hidden;
  const uint32_t fraction = code % hidden;
  const int exponent      = (field == 0 ? 1 : static_cast<int>(field)) - F::exponent_bias - F::mantissa_bits;
  return static_cast<double>(field == 0 ? fraction : hidden + fraction) * power_of_two(exponent);
}

/// The same for the scale format, whose code is an exponent and nothing else: 0xFF would be 2^128.
template <class F>
  requires same_type<F, e8m0>
constexpr double unbounded_magnitude(uint32_t code) noexcept {
  return power_of_two(static_cast<int>(code) - 127);
}

/// The value of any code of any format: sign * m * 2^e, exact in a double; infinities and quiet NaNs by the format's
/// rules; -0.0 where the format has it.
template <signed_format F>
constexpr double decode(F f) noexcept {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan      = std::numeric_limits<double>::quiet_NaN();
  const uint32_t code       = f.bits();
  const uint32_t sign_bit   = uint32_t{1} << (F::exponent_bits + F::mantissa_bits);
  const uint32_t all_ones   = sign_bit - 1;
  const uint32_t magnitude  = code % sign_bit;
  const bool negative       = code >= sign_bit;

  double value = unbounded_magnitude<F>(magnitude);
  switch (F::special) {
    case specials::ieee: {
      const uint32_t top = all_ones >> F::mantissa_bits << F::mantissa_bits;  // exponent all ones, mantissa 0
      if (magnitude > top) return nan;
      if (magnitude == top) value = infinity;
      break;
    }
    case specials::nan_only:
      if (magnitude == all_ones) return nan;
      break;
    case specials::fnuz:
      if (code == sign_bit) return nan;
      break;
    case specials::p3109:
      if (code == sign_bit) return nan;
      if (magnitude == all_ones) value = infinity;
      break;
    case specials::none: break;
  }
  return negative ? -value : value;
}

constexpr double decode(e8m0 f) noexcept {
  return f.bits() == 0xFF ? std::numeric_limits<double>::quiet_NaN() : unbounded_magnitude<e8m0>(f.bits());
}

static_assert(decode(e4m3::from_bits(0x7E)) == 448 && decode(e4m3::from_bits(0x81)) == -0x1p-9);
static_assert(unbounded_magnitude<e4m3>(0x7F) == 480 && unbounded_magnitude<e2m1>(8) == 8);
static_assert(decode(e5m2::from_bits(0x7B)) == 57344 && unbounded_magnitude<e5m2>(0x7C) == 65536);
static_assert(decode(bfloat16::from_bits(1)) == 0x1p-133 && decode(e8m0::from_bits(0)) == 0x1p-127);

}  // namespace reference

QUAVER_END_NAMESPACE

#endif
