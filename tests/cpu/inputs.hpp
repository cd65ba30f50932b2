// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CPU_INPUTS_HPP
#define QUAVER_TESTS_CPU_INPUTS_HPP

// Inputs for bulk operations, and what surrounds them: numbers of every class, buffers with guards.

#include <quaver/convert/members.hpp>
#include <quaver/reference/quantize.hpp>

#include "../reference/modes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

namespace quaver_test {

/// A float, half or bfloat16 from the bits of a float: for the short ones, the nearest by the oracle.
template <class T>
T element_from(uint32_t bits) {
  if constexpr (same_type<T, float>) return bitwise_cast<float>(bits);
  else return reference::encode<T>(reference::from_f32(bits), rounding::nearest_even, overflow::nonfinite);
}

/// The bits of an element.
template <class T>
auto code_of(T x) {
  if constexpr (same_type<T, float>) return bitwise_cast<uint32_t>(x);
  else return x.bits();
}

/// A number as tests want it: ordinary ones about 2^centre, now and then tiny, huge, a tie of 8-bit formats, zero or (where
/// asked for) infinite or NaN.
template <class T>
T some_number(generator& random, int centre, bool with_specials) {
  const uint64_t word = random();
  const uint32_t sign = static_cast<uint32_t>(word & 1) << 31;
  uint32_t fraction   = static_cast<uint32_t>(word >> 8) & 0x7F'FFFFu;
  int exponent        = centre + static_cast<int>((word >> 40) % 24) - 16;
  switch ((word >> 48) % 16) {
    case 0: fraction &= 0x78'0000u; break;                                 // a value or a tie of three bits
    case 1: fraction = (fraction & 0x78'0000u) + 1; break;                 // one ulp beyond
    case 2: exponent = static_cast<int>((word >> 40) % 254) - 126; break;  // anywhere
    case 3: exponent = -127; break;                                        // zero and subnormals
    case 4:
      if (with_specials && (word >> 52) % 4 == 0)
        return element_from<T>(sign | ((word >> 54) % 2 != 0 ? 0x7F80'0000u : 0x7F80'0000u | fraction));
      break;
    case 5:
      if ((word >> 52) % 2 == 0) return element_from<T>(sign);
      break;
    default: break;
  }
  exponent = exponent < -127 ? -127 : exponent > 127 ? 127 : exponent;
  return element_from<T>(sign | static_cast<uint32_t>(exponent + 127) << 23 | fraction);
}

template <class T>
std::vector<T> some_numbers(size_t count, uint64_t seed, int centre = 6, bool with_specials = true) {
  generator random(seed);
  std::vector<T> numbers(count);
  for (T& x : numbers) x = some_number<T>(random, centre, with_specials);
  return numbers;
}

/// The codes of an array as integers, to compare and to print.
template <class T>
std::vector<uint32_t> codes_of(std::span<const T> values) {
  std::vector<uint32_t> codes;
  for (const T& value : values) codes.push_back(code_of(value));
  return codes;
}
template <class T>
std::vector<uint32_t> codes_of(const std::vector<T>& values) {
  return codes_of(std::span<const T>(values));
}

/// Counts equal, sums within a millionth.
inline void expect_same(const cast_stats& got, const cast_stats& expected) {
  EXPECT_EQ(got.count, expected.count);
  EXPECT_EQ(got.underflow, expected.underflow);
  EXPECT_EQ(got.saturated, expected.saturated);
  EXPECT_EQ(got.nan, expected.nan);
  EXPECT_EQ(got.infinite, expected.infinite);
  EXPECT_TRUE(got.amax == expected.amax || (std::isnan(got.amax) && std::isnan(expected.amax)))
      << got.amax << " " << expected.amax;
  const auto near = [](double a, double b) {
    return std::isnan(b) ? std::isnan(a) : a == b || std::fabs(a - b) <= b * 1e-6;
  };
  EXPECT_TRUE(near(got.sum_x2, expected.sum_x2)) << got.sum_x2 << " " << expected.sum_x2;
  EXPECT_TRUE(near(got.sum_error2, expected.sum_error2)) << got.sum_error2 << " " << expected.sum_error2;
}

}  // namespace quaver_test

#endif
