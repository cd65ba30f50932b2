// SPDX-License-Identifier: MIT
#include <quaver/convert/members.hpp>
#include <quaver/value/literals.hpp>

#include <gtest/gtest.h>

#include <type_traits>

namespace {

TEST(Literals, exist_for_every_format) {
  using namespace quaver::literals;
  static_assert((1.5_e4m3).bits() == 0x3C && std::is_same_v<decltype(1_e4m3), quaver::e4m3>);
  static_assert((1.5_e5m2).bits() == 0x3E && std::is_same_v<decltype(1_e5m2), quaver::e5m2>);
  static_assert((1.5_e4m3fnuz).bits() == 0x44 && std::is_same_v<decltype(1_e4m3fnuz), quaver::e4m3fnuz>);
  static_assert((1.5_e5m2fnuz).bits() == 0x42 && std::is_same_v<decltype(1_e5m2fnuz), quaver::e5m2fnuz>);
  static_assert((1.5_e4m3b11fnuz).bits() == 0x5C && std::is_same_v<decltype(1_e4m3b11fnuz), quaver::e4m3b11fnuz>);
  static_assert((1.5_e4m3ieee).bits() == 0x3C && std::is_same_v<decltype(1_e4m3ieee), quaver::e4m3ieee>);
  static_assert((1.5_e3m4).bits() == 0x38 && std::is_same_v<decltype(1_e3m4), quaver::e3m4>);
  static_assert((1.5_binary8p3).bits() == 0x42 && std::is_same_v<decltype(1_binary8p3), quaver::binary8p3>);
  static_assert((1.5_binary8p4).bits() == 0x44 && std::is_same_v<decltype(1_binary8p4), quaver::binary8p4>);
  static_assert((1.5_e2m3).bits() == 0x0C && std::is_same_v<decltype(1_e2m3), quaver::e2m3>);
  static_assert((1.5_e3m2).bits() == 0x0E && std::is_same_v<decltype(1_e3m2), quaver::e3m2>);
  static_assert((1.5_e2m1).bits() == 0x03 && std::is_same_v<decltype(1_e2m1), quaver::e2m1>);
  static_assert((1.5_half).bits() == 0x3E00 && std::is_same_v<decltype(1_half), quaver::half>);
  static_assert((1.5_bfloat16).bits() == 0x3FC0 && std::is_same_v<decltype(1_bfloat16), quaver::bfloat16>);
  static_assert((2.0_e8m0).bits() == 0x80 && std::is_same_v<decltype(1_e8m0), quaver::e8m0>);
  SUCCEED();
}

TEST(Literals, are_written_as_any_other_number) {
  using namespace quaver;  // brings them along
  static_assert((0_e4m3).bits() == 0x00 && (0.0_e4m3).bits() == 0x00 && (-0.0_e4m3).bits() == 0x80);
  static_assert((448_e4m3).bits() == 0x7E && (4.48e2_e4m3).bits() == 0x7E && (.4_e4m3).bits() == 0x2D &&
                (5._e4m3).bits() == 0x4A);
  static_assert((57'344_e5m2).bits() == 0x7B && (1E+2_half).bits() == 0x5640 && (08.5_half).bits() == 0x4840);
  static_assert((0x10_e4m3).bits() == 0x58 && (0X1.8p-9_e5m2).bits() == 0x1A && (0x1.Cp+8_e4m3).bits() == 0x7E);
  static_assert((0x1p-133_bfloat16).bits() == 0x0001 && (0xF'F_half).bits() == 0x5BF8);
  SUCCEED();
}

TEST(Literals, are_rounded_once) {
  using namespace quaver;
  // Just above the tie between 1 and its successor, by less than a long double can hold.
  static_assert((1.0625_e4m3).bits() == 0x38 &&
                (1.0625000000000000000000000000000000000000000000001_e4m3).bits() == 0x39);
  static_assert((1.00048828125_half).bits() == 0x3C00 &&
                (1.000488281250000000000000000000000001_half).bits() == 0x3C01);
  static_assert((0x1.10000000000000000000000000001p0_e4m3).bits() == 0x39);
  // Up to the tie above the largest value a literal still has a value.
  static_assert((464_e4m3).bits() == 0x7E && (65519.999_half).bits() == 0x7BFF);
  SUCCEED();
}

TEST(Literals, agree_with_conversion_from_double_where_that_is_exact) {
  using namespace quaver;
  EXPECT_EQ(0.3952_e4m3, e4m3(0.3952));
  EXPECT_EQ(4.543_e5m2, e5m2(4.543));
  EXPECT_EQ(-3.14159_half, half(-3.14159));
  EXPECT_EQ(1e38_bfloat16, bfloat16(1e38));
}

/// Whether a literal of these characters is read at all, and is in range: what the static_asserts ask.
template <class F, char... Text>
constexpr bool accepted = quaver::read_literal<Text...>().readable &&
                          quaver::in_range<F, quaver::rounding::nearest_even>(quaver::read_literal<Text...>().value);

TEST(Literals, without_a_value_do_not_compile) {
  using namespace quaver;
  static_assert(accepted<e4m3, '4', '6', '4'> && !accepted<e4m3, '4', '6', '5'>);            // too large
  static_assert(accepted<e4m3, '1', 'e', '-', '3'> && !accepted<e4m3, '1', 'e', '-', '4'>);  // would be zero
  static_assert(accepted<e4m3, '0'> && !accepted<e8m0, '0'>);                                // has no zero
  static_assert(!accepted<half, '0', '1', '0'> && !accepted<half, '0', 'b', '1', '1'>);      // octal, binary
  static_assert(accepted<half, '0', '1', '.', '0'> && accepted<half, '0', '1', 'e', '0'>);   // not octal
  SUCCEED();
}

}  // namespace
