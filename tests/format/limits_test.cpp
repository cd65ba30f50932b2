// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <quaver/format/limits.hpp>

#include <type_traits>

namespace {

using namespace quaver_test;

template <class F>
class Limits : public ::testing::Test {
 protected:
  static double value(F f) { return value_of<F>(f.bits()); }

  const std::vector<double> table_ = finite_values<F>();

  /// A number is normal where it has all the significant bits of the format: where its next 2^m - 1 neighbours are
  /// equally far apart, up to twice its value. Found in the table, without asking for exponent fields.
  [[nodiscard]] double smallest_normal() const {
    const int steps = 1 << definition_of<F>.mantissa_bits;
    for (auto at = std::upper_bound(table_.begin(), table_.end(), 0.0); at + steps < table_.end(); ++at) {
      if (at[steps] == 2 * *at) return *at;
    }
    ADD_FAILURE() << "no full binade";
    return 0;
  }
};
TYPED_TEST_SUITE(Limits, every_format, definition_names);

TYPED_TEST(Limits, name_the_ends_of_the_table_of_values) {
  using limits = std::numeric_limits<TypeParam>;
  EXPECT_EQ(this->value((limits::max)()), this->table_.back());
  EXPECT_EQ(this->value(limits::lowest()), this->table_.front());
  EXPECT_EQ(this->value(limits::denorm_min()), *std::upper_bound(this->table_.begin(), this->table_.end(), 0.0));
  EXPECT_EQ(this->value((limits::min)()), this->smallest_normal());
}

TYPED_TEST(Limits, give_the_step_above_one_and_half_a_unit_of_error) {
  using limits         = std::numeric_limits<TypeParam>;
  const auto& values   = this->table_;
  const auto after_one = std::upper_bound(values.begin(), values.end(), 1.0);
  ASSERT_NE(after_one, values.end());
  ASSERT_EQ(after_one[-1], 1.0);
  EXPECT_EQ(this->value(limits::epsilon()), *after_one - 1.0);
  EXPECT_EQ(this->value(limits::round_error()), 0.5);
}

TYPED_TEST(Limits, give_the_exponents_that_frexp_finds_in_the_table) {
  using limits = std::numeric_limits<TypeParam>;
  int exponent = 0;
  std::frexp(this->table_.back(), &exponent);
  EXPECT_EQ(limits::max_exponent, exponent);
  std::frexp(this->smallest_normal(), &exponent);
  EXPECT_EQ(limits::min_exponent, exponent);
  EXPECT_EQ(limits::radix, 2);
}

TYPED_TEST(Limits, give_the_powers_of_ten_inside_the_range) {
  using limits = std::numeric_limits<TypeParam>;
  // long double holds 10^n exactly for n <= 27 and to 1e-19 beyond; no value of a format is that near to a power of ten
  // without being one, since 10^n has more than 24 significant bits from n = 11 on.
  const long double largest = this->table_.back();
  EXPECT_LE(std::pow(10.0L, limits::max_exponent10), largest);
  EXPECT_GT(std::pow(10.0L, limits::max_exponent10 + 1), largest);
  const long double smallest = this->smallest_normal();
  EXPECT_GE(std::pow(10.0L, limits::min_exponent10), smallest);
  EXPECT_LT(std::pow(10.0L, limits::min_exponent10 - 1), smallest);
}

TYPED_TEST(Limits, count_as_many_digits_as_there_are_values_in_a_binade) {
  using limits     = std::numeric_limits<TypeParam>;
  const auto& v    = this->table_;
  const auto one   = std::lower_bound(v.begin(), v.end(), 1.0);
  const auto two   = std::lower_bound(v.begin(), v.end(), 2.0);
  const auto count = two - one;
  EXPECT_EQ(count, std::ptrdiff_t{1} << (limits::digits - 1));
  EXPECT_EQ(limits::digits10, static_cast<int>(std::floor((limits::digits - 1) * std::log10(2.0))));
  EXPECT_EQ(limits::max_digits10, static_cast<int>(std::ceil(1 + limits::digits * std::log10(2.0))));
}

TYPED_TEST(Limits, say_which_special_values_occur_among_the_codes) {
  using limits   = std::numeric_limits<TypeParam>;
  bool infinity  = false;
  bool nan       = false;
  bool negative  = false;
  bool subnormal = false;
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    const double value = value_of<TypeParam>(code);
    infinity |= std::isinf(value);
    nan |= std::isnan(value);
    negative |= value < 0;
    subnormal |= value > 0 && value < this->smallest_normal();
  }
  EXPECT_EQ(limits::has_infinity, infinity);
  EXPECT_EQ(limits::has_quiet_NaN, nan);
  EXPECT_EQ(limits::is_signed, negative);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  EXPECT_EQ(limits::has_denorm == std::denorm_present, subnormal);
#pragma GCC diagnostic pop

  if (infinity) EXPECT_EQ(this->value(limits::infinity()), std::numeric_limits<double>::infinity());
  else EXPECT_EQ(this->value(limits::infinity()), this->table_.back());
  if (nan)
    EXPECT_TRUE(std::isnan(this->value(limits::quiet_NaN())) && std::isnan(this->value(limits::signaling_NaN())));
  else EXPECT_EQ(this->value(limits::quiet_NaN()), this->table_.back());
}

TYPED_TEST(Limits, describe_a_bounded_inexact_type_without_flags_or_traps) {
  using limits = std::numeric_limits<TypeParam>;
  EXPECT_TRUE(limits::is_specialized && limits::is_bounded);
  EXPECT_FALSE(limits::is_integer || limits::is_exact || limits::is_modulo || limits::is_iec559);
  EXPECT_FALSE(limits::has_signaling_NaN || limits::has_denorm_loss || limits::traps || limits::tinyness_before);
  EXPECT_EQ(limits::round_style, std::round_to_nearest);
}

TYPED_TEST(Limits, hold_for_const_and_volatile_types) {
  using limits = std::numeric_limits<TypeParam>;
  EXPECT_EQ(std::numeric_limits<const TypeParam>::max_exponent, limits::max_exponent);
  EXPECT_EQ((std::numeric_limits<const volatile TypeParam>::max)().bits(), (limits::max)().bits());
}

/// Every member has the type that the primary template gives it.
TYPED_TEST(Limits, have_the_member_types_of_the_standard) {
  using limits = std::numeric_limits<TypeParam>;
  using floats = std::numeric_limits<float>;
  static_assert(std::is_same_v<decltype(limits::digits), decltype(floats::digits)>);
  static_assert(std::is_same_v<decltype(limits::max_digits10), decltype(floats::max_digits10)>);
  static_assert(std::is_same_v<decltype(limits::min_exponent10), decltype(floats::min_exponent10)>);
  static_assert(std::is_same_v<decltype(limits::is_signed), decltype(floats::is_signed)>);
  static_assert(std::is_same_v<decltype(limits::round_style), decltype(floats::round_style)>);
  static_assert(std::is_same_v<decltype((limits::max)()), TypeParam> && noexcept((limits::max)()));
  SUCCEED();
}

TEST(Limits, of_half_and_bfloat16_agree_with_the_published_figures) {
  using h = std::numeric_limits<half>;
  EXPECT_EQ(value_of<half>((h::max)().bits()), 65504.0);
  EXPECT_EQ(value_of<half>(h::epsilon().bits()), 0x1p-10);
  EXPECT_EQ(value_of<half>(h::denorm_min().bits()), 0x1p-24);
  EXPECT_EQ(h::max_exponent10, 4);
  EXPECT_EQ(h::min_exponent10, -4);
  // bfloat16 shares binary32's exponents.
  using b = std::numeric_limits<bfloat16>;
  using f = std::numeric_limits<float>;
  EXPECT_EQ(b::max_exponent, f::max_exponent);
  EXPECT_EQ(b::min_exponent, f::min_exponent);
  EXPECT_EQ(b::max_exponent10, f::max_exponent10);
  EXPECT_EQ(b::min_exponent10, f::min_exponent10);
}

}  // namespace
