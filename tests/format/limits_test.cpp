// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <quaver/format/limits.hpp>

#include <ostream>
#include <type_traits>

namespace {

using namespace quaver_test;

/// What std::numeric_limits says of a format. Values are those of the table for the codes it gives.
struct said {
  definition format;
  double max, lowest, min, denorm_min, epsilon, round_error, infinity, quiet_nan, signaling_nan;
  int radix, digits, digits10, max_digits10, min_exponent, max_exponent, min_exponent10, max_exponent10;
  bool specialized, is_signed, integer, exact, bounded, modulo, iec559;
  bool has_infinity, has_quiet_nan, has_signaling_nan, has_denorm, has_denorm_loss, traps, tinyness_before;
  std::float_round_style round_style;
};
std::ostream& operator<<(std::ostream& out, const said& s) { return out << s.format.name; }

// C++23 deprecates has_denorm.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
struct listen {
  template <class F>
  said operator()() const {
    using limits     = std::numeric_limits<F>;
    const auto value = [](F f) { return value_of(definition_of<F>, f.bits()); };
    return {
        .format            = definition_of<F>,
        .max               = value((limits::max)()),
        .lowest            = value(limits::lowest()),
        .min               = value((limits::min)()),
        .denorm_min        = value(limits::denorm_min()),
        .epsilon           = value(limits::epsilon()),
        .round_error       = value(limits::round_error()),
        .infinity          = value(limits::infinity()),
        .quiet_nan         = value(limits::quiet_NaN()),
        .signaling_nan     = value(limits::signaling_NaN()),
        .radix             = limits::radix,
        .digits            = limits::digits,
        .digits10          = limits::digits10,
        .max_digits10      = limits::max_digits10,
        .min_exponent      = limits::min_exponent,
        .max_exponent      = limits::max_exponent,
        .min_exponent10    = limits::min_exponent10,
        .max_exponent10    = limits::max_exponent10,
        .specialized       = limits::is_specialized,
        .is_signed         = limits::is_signed,
        .integer           = limits::is_integer,
        .exact             = limits::is_exact,
        .bounded           = limits::is_bounded,
        .modulo            = limits::is_modulo,
        .iec559            = limits::is_iec559,
        .has_infinity      = limits::has_infinity,
        .has_quiet_nan     = limits::has_quiet_NaN,
        .has_signaling_nan = limits::has_signaling_NaN,
        .has_denorm        = limits::has_denorm == std::denorm_present,
        .has_denorm_loss   = limits::has_denorm_loss,
        .traps             = limits::traps,
        .tinyness_before   = limits::tinyness_before,
        .round_style       = limits::round_style,
    };
  }
};
#pragma GCC diagnostic pop

class Limits : public ::testing::TestWithParam<said> {
 protected:
  const said limits_               = GetParam();
  const std::vector<double> table_ = finite_values(limits_.format);

  [[nodiscard]] double smallest_positive() const { return *std::upper_bound(table_.begin(), table_.end(), 0.0); }

  /// A number is normal where it has all the significant bits of the format: where its next 2^m neighbours are equally
  /// far apart, up to twice its value. Found in the table, without asking for exponent fields.
  [[nodiscard]] double first_full_binade() const {
    const int steps = 1 << limits_.format.mantissa_bits;
    for (auto at = std::upper_bound(table_.begin(), table_.end(), 0.0); at + steps < table_.end(); ++at) {
      if (at[steps] == 2 * *at) return *at;
    }
    ADD_FAILURE() << "no full binade";
    return 0;
  }
};
INSTANTIATE_TEST_SUITE_P(Of, Limits, ::testing::ValuesIn(for_every_format<said>(listen{})), name_of_record<said>);

TEST_P(Limits, name_the_ends_of_the_table_of_values) {
  EXPECT_EQ(limits_.max, table_.back());
  EXPECT_EQ(limits_.lowest, table_.front());
  EXPECT_EQ(limits_.denorm_min, smallest_positive());
  EXPECT_EQ(limits_.min, first_full_binade());
}

TEST_P(Limits, give_the_step_above_one_and_half_a_unit_of_error) {
  const auto after_one = std::upper_bound(table_.begin(), table_.end(), 1.0);
  ASSERT_NE(after_one, table_.end());
  ASSERT_EQ(after_one[-1], 1.0);
  EXPECT_EQ(limits_.epsilon, *after_one - 1.0);
  EXPECT_EQ(limits_.round_error, 0.5);
}

TEST_P(Limits, give_the_exponents_that_frexp_finds_in_the_table) {
  int exponent = 0;
  std::frexp(table_.back(), &exponent);
  EXPECT_EQ(limits_.max_exponent, exponent);
  std::frexp(first_full_binade(), &exponent);
  EXPECT_EQ(limits_.min_exponent, exponent);
  EXPECT_EQ(limits_.radix, 2);
}

TEST_P(Limits, give_the_powers_of_ten_inside_the_range) {
  // long double holds 10^n exactly for n <= 27 and to 1e-19 beyond; no value of a format is that near to a power of ten
  // without being one, since 10^n has more than 24 significant bits from n = 11 on.
  const long double largest = table_.back();
  EXPECT_LE(std::pow(10.0L, limits_.max_exponent10), largest);
  EXPECT_GT(std::pow(10.0L, limits_.max_exponent10 + 1), largest);
  const long double smallest = first_full_binade();
  EXPECT_GE(std::pow(10.0L, limits_.min_exponent10), smallest);
  EXPECT_LT(std::pow(10.0L, limits_.min_exponent10 - 1), smallest);
}

TEST_P(Limits, count_as_many_digits_as_there_are_values_in_a_binade) {
  const auto one = std::lower_bound(table_.begin(), table_.end(), 1.0);
  const auto two = std::lower_bound(table_.begin(), table_.end(), 2.0);
  EXPECT_EQ(two - one, std::ptrdiff_t{1} << (limits_.digits - 1));
  EXPECT_EQ(limits_.digits10, static_cast<int>(std::floor((limits_.digits - 1) * std::log10(2.0))));
  EXPECT_EQ(limits_.max_digits10, static_cast<int>(std::ceil(1 + limits_.digits * std::log10(2.0))));
}

TEST_P(Limits, say_which_special_values_occur_among_the_codes) {
  const double normal = first_full_binade();
  bool infinity       = false;
  bool nan            = false;
  bool negative       = false;
  bool subnormal      = false;
  for (int code = 0; code < limits_.format.code_count(); ++code) {
    const double value = value_of(limits_.format, code);
    infinity |= std::isinf(value);
    nan |= std::isnan(value);
    negative |= value < 0;
    subnormal |= value > 0 && value < normal;
  }
  EXPECT_EQ(limits_.has_infinity, infinity);
  EXPECT_EQ(limits_.has_quiet_nan, nan);
  EXPECT_EQ(limits_.is_signed, negative);
  EXPECT_EQ(limits_.has_denorm, subnormal);

  // What the format does not have is what a cast makes of it.
  EXPECT_EQ(limits_.infinity, infinity ? HUGE_VAL : table_.back());
  for (const double value : {limits_.quiet_nan, limits_.signaling_nan}) {
    EXPECT_TRUE(nan ? std::isnan(value) : value == table_.back()) << value;
  }
}

TEST_P(Limits, describe_a_bounded_inexact_type_without_flags_or_traps) {
  EXPECT_TRUE(limits_.specialized && limits_.bounded);
  EXPECT_FALSE(limits_.integer || limits_.exact || limits_.modulo || limits_.iec559);
  EXPECT_FALSE(limits_.has_signaling_nan || limits_.has_denorm_loss || limits_.traps || limits_.tinyness_before);
  EXPECT_EQ(limits_.round_style, std::round_to_nearest);
}

template <class F>
constexpr bool has_the_types_of_the_standard() {
  using limits = std::numeric_limits<F>;
  using floats = std::numeric_limits<float>;
  static_assert(std::is_same_v<decltype(limits::digits), decltype(floats::digits)>);
  static_assert(std::is_same_v<decltype(limits::max_digits10), decltype(floats::max_digits10)>);
  static_assert(std::is_same_v<decltype(limits::min_exponent10), decltype(floats::min_exponent10)>);
  static_assert(std::is_same_v<decltype(limits::is_signed), decltype(floats::is_signed)>);
  static_assert(std::is_same_v<decltype(limits::round_style), decltype(floats::round_style)>);
  static_assert(std::is_same_v<decltype((limits::max)()), F> && noexcept((limits::max)()));
  // And const and volatile types have the same limits.
  static_assert(std::numeric_limits<const F>::max_exponent == limits::max_exponent);
  static_assert((std::numeric_limits<const volatile F>::max)().bits() == (limits::max)().bits());
  return true;
}
static_assert(has_the_types_of_the_standard<e4m3>() && has_the_types_of_the_standard<e8m0>() &&
              has_the_types_of_the_standard<bfloat16>());

TEST(LimitsOf, half_and_bfloat16_agree_with_the_published_figures) {
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

TEST(LimitsOf, binary32_are_those_of_float) {
  using b = std::numeric_limits<minifloat<8, 23>>;
  using f = std::numeric_limits<float>;
  EXPECT_EQ(bitwise_cast<float>((b::max)()), (f::max)());
  EXPECT_EQ(bitwise_cast<float>((b::min)()), (f::min)());
  EXPECT_EQ(bitwise_cast<float>(b::denorm_min()), f::denorm_min());
  EXPECT_EQ(bitwise_cast<float>(b::epsilon()), f::epsilon());
  EXPECT_EQ(b::digits, f::digits);
  EXPECT_EQ(b::digits10, f::digits10);
  EXPECT_EQ(b::max_digits10, f::max_digits10);
  EXPECT_EQ(b::min_exponent, f::min_exponent);
  EXPECT_EQ(b::max_exponent, f::max_exponent);
  EXPECT_EQ(b::min_exponent10, f::min_exponent10);
  EXPECT_EQ(b::max_exponent10, f::max_exponent10);
}

}  // namespace
