// SPDX-License-Identifier: MIT
#ifndef QUAVER_CONVERT_ELEMENTS_HPP
#define QUAVER_CONVERT_ELEMENTS_HPP

#include <quaver/convert/members.hpp>

QUAVER_BEGIN_NAMESPACE

/// What bulk functions read and write besides codes: float, half or bfloat16. All widen to binary32 exactly.
template <class T>
concept bulk_source = same_type<T, float> || same_type<T, half> || same_type<T, bfloat16>;

/// The bits of an array element as a binary32.
template <bulk_source T>
QUAVER_HOST_DEVICE constexpr uint32_t binary32_bits(const T& x) noexcept {
  if constexpr (same_type<T, float>) return bitwise_cast<uint32_t>(x);
  else return decode_bits(x);
}

/// Rounds a binary32, given as its bits, to what bulk functions write: float, half or bfloat16, to nearest even,
/// infinity beyond the range.
template <bulk_source T>
QUAVER_HOST_DEVICE constexpr T from_binary32_bits(uint32_t bits) noexcept {
  if constexpr (same_type<T, float>) return bitwise_cast<float>(bits);
  else return encode_bits<T, rounding::nearest_even, overflow::nonfinite>(bits);
}

/// The bits with every NaN made 7FC00000: one that went through arithmetic carries the machine's payload and sign.
QUAVER_HOST_DEVICE constexpr uint32_t canonical_nan(uint32_t bits) noexcept {
  return (bits & binary<float>::magnitude_mask) > binary<float>::infinity ? binary<float>::nan : bits;
}

/// The larger of a magnitude, as bits, and that of x: NaN is above infinity is above every number.
template <bulk_source T>
QUAVER_HOST_DEVICE constexpr uint32_t larger_magnitude(uint32_t largest, const T& x) noexcept {
  const uint32_t magnitude = binary32_bits(x) & binary<float>::magnitude_mask;
  return magnitude > largest ? magnitude : largest;
}

QUAVER_END_NAMESPACE

#endif
