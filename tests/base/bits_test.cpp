// SPDX-License-Identifier: MIT
#include <quaver/base/bits.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>

namespace {

using namespace quaver;

TEST(Bits, count_the_zeros_above_the_highest_set_bit) {
  EXPECT_EQ(leading_zeros(0), 64);
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t power = uint64_t{1} << bit;
    EXPECT_EQ(leading_zeros(power), std::countl_zero(power));
    EXPECT_EQ(leading_zeros(power | (power - 1)), std::countl_zero(power));  // whatever stands below it
    EXPECT_EQ(leading_zeros(power | 1), std::countl_zero(power));
  }
}

TEST(Bits, pass_through_a_bitwise_cast_unchanged) {
  static_assert(bitwise_cast<uint32_t>(1.0f) == 0x3F80'0000u && bitwise_cast<float>(0x3F80'0000u) == 1.0f);
  static_assert(bitwise_cast<uint64_t>(-0.0) == 0x8000'0000'0000'0000u);
  // A signalling NaN goes through memory, never through an FPU register that would quieten it.
  for (const uint32_t bits : {0x7F80'0001u, 0xFFBF'FFFFu, 0x7FC0'0000u, 0x0000'0001u, 0x8000'0000u}) {
    EXPECT_EQ(bitwise_cast<uint32_t>(bitwise_cast<float>(bits)), bits);
  }
}

TEST(Bits, name_the_types_that_conversions_take) {
  static_assert(arithmetic<float> && arithmetic<double> && arithmetic<int> && arithmetic<unsigned long long>);
  static_assert(conversion_integer<std::int8_t> && conversion_integer<std::uint8_t> &&
                conversion_integer<std::int64_t>);
  static_assert(!arithmetic<bool> && !arithmetic<char> && !arithmetic<wchar_t> && !arithmetic<char8_t>);
  static_assert(!arithmetic<long double> && !arithmetic<const int> && !arithmetic<int&> && !conversion_integer<float>);
  static_assert(same_type<int, int> && !same_type<int, const int> && !same_type<int, unsigned>);
  SUCCEED();
}

}  // namespace
