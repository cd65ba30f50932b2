// SPDX-License-Identifier: MIT
#ifndef QUAVER_REFERENCE_EXACT_HPP
#define QUAVER_REFERENCE_EXACT_HPP

#include <quaver/reference/decode.hpp>

#include <bit>

QUAVER_BEGIN_NAMESPACE

namespace reference {

/// The input of an encoder: a sign, and the magnitude as the bits of a binary64. Such bits order like the magnitudes
/// they stand for, infinity above all numbers and NaN above infinity, so the oracle compares integers only: no rounding
/// mode, DAZ or -ffast-math reaches it.
struct exact {
  uint64_t magnitude = 0;
  bool negative      = false;

  static constexpr uint64_t infinity = 0x7FF0'0000'0000'0000;
};

/// From the bits of a binary64.
constexpr exact from_f64(uint64_t bits) noexcept { return {bits & 0x7FFF'FFFF'FFFF'FFFF, bits >> 63 != 0}; }

/// From the bits of a binary32. Only integers are touched: widening in the FPU would flush subnormals under DAZ.
constexpr exact from_f32(uint32_t bits) noexcept {
  const uint64_t magnitude = bits & 0x7FFF'FFFF;
  const bool negative      = bits >> 31 != 0;
  if (magnitude >= 0x0080'0000) {
    // The fraction gains 29 bits; the exponent's bias grows from 127 to 1023, and from 255 to 2047 for inf and NaN.
    const uint64_t rebias = magnitude >= 0x7F80'0000 ? 2047 - 255 : 1023 - 127;
    return {(magnitude << 29) + (rebias << 52), negative};
  }
  if (magnitude == 0) return {0, negative};
  // m * 2^-149 with 2^w <= m < 2^(w+1) has the exponent w - 149; its leading bit becomes the hidden one.
  const int w = static_cast<int>(std::bit_width(magnitude)) - 1;
  return {(magnitude << (52 - w)) + (static_cast<uint64_t>(w - 149 + 1023 - 1) << 52), negative};
}

/// From an integer of up to 64 bits. Beyond 53 bits the rest becomes one sticky bit at the bottom, which is as good as
/// exact here: no format, no tie and no stochastic threshold looks further than 11 + 1 + 32 = 44 bits down, and what
/// lies below matters only by being zero or not.
template <conversion_integer Integer>
constexpr exact from_integer(Integer n) noexcept {
  const bool negative      = n < 0;
  const uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
  if (magnitude == 0) return {0, false};
  const int w       = static_cast<int>(std::bit_width(magnitude)) - 1;
  uint64_t leading  = w <= 52 ? magnitude << (52 - w) : magnitude >> (w - 52);
  const bool sticky = w > 52 && (magnitude & ((uint64_t{1} << (w - 52)) - 1)) != 0;
  leading |= sticky ? 1u : 0u;
  return {leading + (static_cast<uint64_t>(w + 1023 - 1) << 52), negative};
}

/// From a value of a format: exact, since every value of every format is a double.
template <any_format F>
constexpr exact from_format(F f) noexcept {
  return from_f64(bitwise_cast<uint64_t>(decode(f)));
}

/// From a C++ value of any of the types that encode takes.
constexpr exact from_value(float x) noexcept { return from_f32(bitwise_cast<uint32_t>(x)); }
constexpr exact from_value(double x) noexcept { return from_f64(bitwise_cast<uint64_t>(x)); }
template <conversion_integer Integer>
constexpr exact from_value(Integer n) noexcept {
  return from_integer(n);
}
template <any_format F>
constexpr exact from_value(F f) noexcept {
  return from_format(f);
}

static_assert(from_f32(0x0000'0001).magnitude == bitwise_cast<uint64_t>(0x1p-149));
static_assert(from_f32(0x007F'FFFF).magnitude == bitwise_cast<uint64_t>(0x1.fffffcp-127));
static_assert(from_f32(0xC3E8'0000).magnitude == bitwise_cast<uint64_t>(464.0) && from_f32(0xC3E8'0000).negative);
static_assert(from_f32(0x7F80'0000).magnitude == exact::infinity && from_f32(0x7F80'0001).magnitude > exact::infinity);
static_assert(from_integer(-3).magnitude == bitwise_cast<uint64_t>(3.0) && from_integer(-3).negative);
static_assert(from_integer((int64_t{1} << 62) + 1).magnitude == bitwise_cast<uint64_t>(0x1p62) + 1);

}  // namespace reference

QUAVER_END_NAMESPACE

#endif
