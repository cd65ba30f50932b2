// SPDX-License-Identifier: MIT
#include "../reference/modes.hpp"

#include <cmath>

namespace {

using namespace quaver;
using quaver_test::compare_in_every_mode;
using quaver_test::mismatches;

template <class F>
class FromFloatAndDouble : public ::testing::Test {};
TYPED_TEST_SUITE(FromFloatAndDouble, quaver_test::all_formats, quaver_test::format_names);

/// Calls visit with every magnitude of F, every midpoint between two neighbours, the first value of the unbounded
/// exponent, the midpoint above that, and its double.
template <class F, class Visit>
void for_each_point(Visit visit) {
  constexpr uint32_t largest = (F::max)().bits();
  for (uint32_t code = 0; code <= largest; ++code) {
    const double low  = reference::unbounded_magnitude<F>(code);
    const double high = reference::unbounded_magnitude<F>(code + 1);
    visit(low);
    visit((low + high) / 2);
  }
  const double beyond = reference::unbounded_magnitude<F>(largest + 1);
  visit(beyond);
  visit(2 * beyond);
  visit(reference::unbounded_magnitude<F>(same_type<F, e8m0> ? 0 : 1) / 4);  // half the way to the first tie
}

TYPED_TEST(FromFloatAndDouble, every_value_and_tie_and_their_neighbours_equal_the_oracle_in_every_mode) {
  mismatches wrong;
  for_each_point<TypeParam>([&](double point) {
    for (const double x : {point, std::nextafter(point, 0.0), std::nextafter(point, HUGE_VAL), point * (1 - 0x1p-40),
                           point * (1 + 0x1p-40)}) {
      compare_in_every_mode<TypeParam>(x, wrong);
      compare_in_every_mode<TypeParam>(-x, wrong);
    }
  });
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(FromFloatAndDouble, every_value_and_tie_and_their_float_neighbours_equal_the_oracle_in_every_mode) {
  mismatches wrong;
  for_each_point<TypeParam>([&](double point) {
    if (point > static_cast<double>((std::numeric_limits<float>::max)())) return;
    const float center = static_cast<float>(point);  // exact: no point lies below 2^-149
    ASSERT_EQ(static_cast<double>(center), point);
    for (const float x : {center, std::nextafterf(center, 0.0f), std::nextafterf(center, HUGE_VALF)}) {
      compare_in_every_mode<TypeParam>(x, wrong);
      compare_in_every_mode<TypeParam>(-x, wrong);
    }
  });
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(FromFloatAndDouble, the_ends_of_the_line_equal_the_oracle_in_every_mode) {
  mismatches wrong;
  for (const uint64_t magnitude : std::initializer_list<uint64_t>{
           0x0000'0000'0000'0000u, 0x0000'0000'0000'0001u, 0x000F'FFFF'FFFF'FFFFu, 0x0010'0000'0000'0000u,
           0x369F'FFFF'FFFF'FFFFu, 0x36A0'0000'0000'0000u, 0x47EF'FFFF'E000'0000u, 0x47EF'FFFF'F000'0000u,
           0x47F0'0000'0000'0000u, 0x7FEF'FFFF'FFFF'FFFFu, 0x7FF0'0000'0000'0000u, 0x7FF0'0000'0000'0001u,
           0x7FF8'0000'0000'0000u, 0x7FFF'FFFF'FFFF'FFFFu}) {
    compare_in_every_mode<TypeParam>(bitwise_cast<double>(magnitude), wrong);
    compare_in_every_mode<TypeParam>(bitwise_cast<double>(magnitude | uint64_t{1} << 63), wrong);
  }
  for (const uint32_t magnitude : {0x0000'0000u, 0x0000'0001u, 0x007F'FFFFu, 0x0080'0000u, 0x7F7F'FFFFu, 0x7F80'0000u,
                                   0x7F80'0001u, 0x7FBF'FFFFu, 0x7FC0'0000u, 0x7FFF'FFFFu}) {
    compare_in_every_mode<TypeParam>(bitwise_cast<float>(magnitude), wrong);
    compare_in_every_mode<TypeParam>(bitwise_cast<float>(magnitude | 0x8000'0000u), wrong);
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

/// A double whose exponent lies in F's range or a little outside, and whose low bits are often all zeros or all ones,
/// so that ties and their neighbours come up.
template <class F>
double near_the_range(uint64_t word) {
  const int lowest  = 1 - F::exponent_bias - F::mantissa_bits - 3;
  const int highest = std::ilogb(reference::unbounded_magnitude<F>((F::max)().bits())) + 3;
  const int span    = highest - lowest + 1;
  uint64_t fraction = word >> 12;
  const int cut     = static_cast<int>(word % 64);
  if (cut > 12 && cut < 52) fraction = word % 128 < 64 ? fraction >> cut << cut : fraction | ((uint64_t{1} << cut) - 1);
  const uint64_t exponent =
      static_cast<uint64_t>(lowest + static_cast<int>((word >> 7) % static_cast<uint64_t>(span)) + 1023);
  return bitwise_cast<double>((word >> 6) << 63 | exponent << 52 | (fraction & 0xF'FFFF'FFFF'FFFFu));
}

TYPED_TEST(FromFloatAndDouble, a_million_random_doubles_equal_the_oracle_in_every_mode) {
  mismatches wrong;
  quaver_test::generator random(20);
  for (int i = 0; i < 1'000'000; ++i) compare_in_every_mode<TypeParam>(near_the_range<TypeParam>(random()), wrong);
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(FromFloatAndDouble, floats_across_the_whole_bit_space_equal_the_oracle_in_every_mode) {
  mismatches wrong;
  uint64_t bits = 0;
  for (; bits <= 0xFFFF'FFFFu; bits += 10'007) {
    compare_in_every_mode<TypeParam>(bitwise_cast<float>(static_cast<uint32_t>(bits)), wrong);
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(FromFloatAndDouble, the_bits_functions_equal_those_that_take_floats) {
  using F = TypeParam;
  quaver_test::generator random(21);
  for (int i = 0; i < 100'000; ++i) {
    const double x = near_the_range<F>(random());
    const float y  = static_cast<float>(x);
    ASSERT_EQ(encode_bits64<F>(bitwise_cast<uint64_t>(x)).bits(), encode<F>(x).bits());
    ASSERT_EQ(encode_bits<F>(bitwise_cast<uint32_t>(y)).bits(), encode<F>(y).bits());
  }
}

}  // namespace
