// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_AMAX_N_HPP
#define QUAVER_CPU_AMAX_N_HPP

#include <quaver/convert/members.hpp>

#include <span>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// What bulk functions read: float, half or bfloat16. All widen to binary32 exactly.
template <class T>
concept bulk_source = same_type<T, float> || same_type<T, half> || same_type<T, bfloat16>;

/// The bits of an array element as a binary32.
template <bulk_source T>
constexpr uint32_t binary32_bits(const T& x) noexcept {
  if constexpr (same_type<T, float>) return bitwise_cast<uint32_t>(x);
  else return decode_bits(x);
}

/// The larger of a magnitude, as bits, and that of x: NaN is above infinity is above every number.
template <bulk_source T>
constexpr uint32_t larger_magnitude(uint32_t largest, const T& x) noexcept {
  const uint32_t magnitude = binary32_bits(x) & binary<float>::magnitude_mask;
  return magnitude > largest ? magnitude : largest;
}

/// The amax with these bits, a NaN being 7FC00000 whatever its payload was.
inline float amax_from_bits(uint32_t largest) noexcept {
  if (largest > binary<float>::infinity) largest = binary<float>::nan;
#if QUAVER_FINITE_MATH
  __asm__("" : "+r"(largest));  // clang 19 takes a returned float for finite, and would drop the line above
#endif
  return bitwise_cast<float>(largest);
}

/// The largest magnitude: 0 for an empty array, NaN (7FC00000) if any element is NaN, else infinity if any is infinite.
/// Integer comparison of the bits, so -ffast-math and the float environment have no say.
template <bulk_source T>
float amax_n(std::span<const T> x) noexcept {
  uint32_t largest = 0;
  for (const T& value : x) largest = larger_magnitude(largest, value);
  return amax_from_bits(largest);
}
template <bulk_source T>
float amax_n(std::span<T> x) noexcept {
  return amax_n(std::span<const T>(x));
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
