// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <quaver/format/classify.hpp>

#include <ostream>
#include <random>

namespace {

using namespace quaver_test;

/// Every answer that classify.hpp and the operators give about one code.
struct answers {
  bool nan, inf, finite, zero, normal, subnormal, sign;
  int abs, negated, next_up, next_down, ulp;
};

/// And about two.
struct comparison {
  bool equal, unequal, less, at_most, greater, at_least, ordered;
};

struct subject {
  definition format;
  answers (*ask)(int code);
  comparison (*compare)(int a, int b);
};
std::ostream& operator<<(std::ostream& out, const subject& s) { return out << s.format.name; }

struct make_subject {
  template <class F>
  static answers ask(int code) {
    const F f   = from_code<F>(code);
    int negated = code;
    if constexpr (!same_type<F, e8m0>) negated = (-f).bits();
    return {isnan(f),   isinf(f),      isfinite(f), is_zero(f),        isnormal(f),         is_subnormal(f),
            signbit(f), abs(f).bits(), negated,     next_up(f).bits(), next_down(f).bits(), ulp(f).bits()};
  }
  template <class F>
  static comparison compare(int a, int b) {
    const F f = from_code<F>(a);
    const F g = from_code<F>(b);
    return {f == g, f != g, f<g, f <= g, f> g, f >= g, total_order(f, g)};
  }
  template <class F>
  subject operator()() const {
    return {definition_of<F>, ask<F>, compare<F>};
  }
};

class Classify : public ::testing::TestWithParam<subject> {
 protected:
  const subject& on_       = GetParam();
  const definition format_ = on_.format;
  const int count_         = format_.code_count();
  const bool signed_nan_ =
      format_.codes == reserved::ieee || (format_.codes == reserved::all_ones_is_nan && !format_.is_scale());

  [[nodiscard]] double value(int code) const { return value_of(format_, code); }

  /// The sign as written in the code, for the values that have one.
  [[nodiscard]] bool negative(int code) const {
    return !format_.is_scale() && code >= count_ / 2 && (signed_nan_ || !std::isnan(value(code)));
  }

  /// All pairs of the byte formats; of the 16-bit ones all neighbours and a million others.
  template <class Visit>
  void for_each_pair(Visit visit) const {
    if (count_ <= 256) {
      for (int a = 0; a < count_; ++a) {
        for (int b = 0; b < count_; ++b) visit(a, b);
      }
      return;
    }
    std::mt19937 random(1);
    for (int a = 0; a < count_; ++a) {
      for (const int b : {a, a ^ (count_ / 2), (a + 1) % count_}) {
        visit(a, b);
        visit(b, a);
      }
      for (int i = 0; i < 16; ++i) visit(a, static_cast<int>(random() % static_cast<unsigned>(count_)));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Of, Classify, ::testing::ValuesIn(for_every_format<subject>(make_subject{})),
                         name_of_record<subject>);

TEST_P(Classify, answers_for_every_code_as_cmath_for_its_value) {
  for (int code = 0; code < count_; ++code) {
    const answers f = on_.ask(code);
    const double x  = value(code);
    ASSERT_EQ(f.nan, std::isnan(x)) << code;
    ASSERT_EQ(f.inf, std::isinf(x)) << code;
    ASSERT_EQ(f.finite, std::isfinite(x)) << code;
    ASSERT_EQ(f.zero, x == 0) << code;
    ASSERT_EQ(f.normal, std::isfinite(x) && std::fabs(x) >= smallest_normal(format_)) << code;
    ASSERT_EQ(f.subnormal, x != 0 && std::fabs(x) < smallest_normal(format_)) << code;
    ASSERT_EQ(f.sign, negative(code)) << code;
    ASSERT_EQ(f.nan + f.inf + f.zero + f.normal + f.subnormal, 1) << code;
  }
}

TEST_P(Classify, compares_as_the_values_do) {
  for_each_pair([&](int a, int b) {
    const comparison f = on_.compare(a, b);
    const double x     = value(a);
    const double y     = value(b);
    ASSERT_EQ(f.equal, x == y) << a << ' ' << b;
    ASSERT_EQ(f.unequal, x != y) << a << ' ' << b;
    ASSERT_EQ(f.less, x < y) << a << ' ' << b;
    ASSERT_EQ(f.at_most, x <= y) << a << ' ' << b;
    ASSERT_EQ(f.greater, x > y) << a << ' ' << b;
    ASSERT_EQ(f.at_least, x >= y) << a << ' ' << b;
  });
}

TEST_P(Classify, takes_magnitudes) {
  for (int code = 0; code < count_; ++code) {
    const int magnitude = on_.ask(code).abs;
    ASSERT_FALSE(negative(magnitude)) << code;
    if (std::isnan(value(code))) {
      ASSERT_TRUE(std::isnan(value(magnitude))) << code;
    } else {
      ASSERT_EQ(value(magnitude), std::fabs(value(code))) << code;
    }
  }
}

TEST_P(Classify, negates) {
  if (format_.is_scale()) GTEST_SKIP() << "a scale has no sign to change";
  for (int code = 0; code < count_; ++code) {
    const int negated = on_.ask(code).negated;
    if (std::isnan(value(code))) {
      ASSERT_TRUE(std::isnan(value(negated))) << code;
      ASSERT_EQ(negative(negated), signed_nan_ && !negative(code)) << code;
    } else {
      ASSERT_EQ(value(negated), -value(code)) << code;
      ASSERT_EQ(negative(negated), !negative(code) && (value(code) != 0 || format_.has_minus_zero())) << code;
    }
    ASSERT_EQ(on_.ask(negated).negated, code);
  }
}

TEST_P(Classify, finds_the_neighbours_that_the_sorted_table_has) {
  const std::vector<double> table = finite_values(format_);
  const double infinity           = std::numeric_limits<double>::infinity();
  for (int code = 0; code < count_; ++code) {
    const double x = value(code);
    const int up   = on_.ask(code).next_up;
    const int down = on_.ask(code).next_down;
    if (std::isnan(x)) {
      ASSERT_EQ(up, code);
      ASSERT_EQ(down, code);
      continue;
    }

    const auto above = std::upper_bound(table.begin(), table.end(), x);
    if (above != table.end()) {
      ASSERT_EQ(value(up), *above) << code;
    } else if (format_.has_infinity()) {
      ASSERT_EQ(value(up), infinity) << code;
    } else if (format_.has_nan()) {
      ASSERT_TRUE(std::isnan(value(up))) << code;
    } else {
      ASSERT_EQ(value(up), x) << code;
    }

    const auto below = std::lower_bound(table.begin(), table.end(), x);
    if (below != table.begin()) {
      ASSERT_EQ(value(down), below[-1]) << code;
    } else if (format_.has_infinity()) {
      ASSERT_EQ(value(down), -infinity) << code;
    } else if (format_.has_nan() && !format_.is_scale()) {
      ASSERT_TRUE(std::isnan(value(down))) << code;
    } else {
      ASSERT_EQ(value(down), x) << code;
    }

    // IEEE 754 5.3.1: from the negative side zero is reached as -0, from the positive side as +0.
    if (value(up) == 0) {
      ASSERT_EQ(negative(up), format_.has_minus_zero()) << code;
    }
    if (value(down) == 0) {
      ASSERT_FALSE(negative(down)) << code;
    }
  }
}

TEST_P(Classify, measures_the_unit_in_the_last_place) {
  for (int code = 0; code < count_; ++code) {
    const double x    = value(code);
    const double unit = value(on_.ask(code).ulp);
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(unit)) << code;
    } else if (std::isinf(x)) {
      ASSERT_EQ(unit, std::fabs(x)) << code;
    } else {
      const double binade = (std::max)(std::fabs(x), smallest_normal(format_));
      ASSERT_EQ(unit, std::ldexp(1.0, std::ilogb(binade) - format_.mantissa_bits)) << code;
    }
  }
}

/// IEEE 754-2019, 5.10, in words: x is the value of code a, y that of b.
bool total_order_by_definition(int a, double x, bool a_negative, int b, double y, bool b_negative) {
  if (x < y) return true;                                              // a)
  if (x > y) return false;                                             // b)
  if (x == y) return a == b || x != 0 || (a_negative && !b_negative);  // c) 1, 2, 3
  if (std::isnan(x) && !std::isnan(y)) return a_negative;              // d) 1, 2
  if (!std::isnan(x) && std::isnan(y)) return !b_negative;             // d) 1, 2
  if (a_negative != b_negative) return a_negative;                     // d) 3 i
  return a_negative ? a >= b : a <= b;                                 // d) 3 ii, iii: signaling first, then payload
}

TEST_P(Classify, orders_all_codes_as_ieee_754_does) {
  for_each_pair([&](int a, int b) {
    ASSERT_EQ(on_.compare(a, b).ordered, total_order_by_definition(a, value(a), negative(a), b, value(b), negative(b)))
        << a << ' ' << b;
  });
}

TEST_P(Classify, orders_all_codes_totally) {
  // Sorted by the relation, any two codes must stand in it in one direction only: antisymmetry, transitivity at once.
  std::vector<int> sorted(static_cast<size_t>(count_));
  for (int code = 0; code < count_; ++code) sorted[static_cast<size_t>(code)] = code;
  std::sort(sorted.begin(), sorted.end(), [&](int a, int b) { return !on_.compare(b, a).ordered; });
  for_each_pair([&](int i, int j) {
    const int a = sorted[static_cast<size_t>(i)];
    const int b = sorted[static_cast<size_t>(j)];
    ASSERT_EQ(on_.compare(a, b).ordered, i <= j) << a << ' ' << b;
  });
}

TEST(ClassifyConstants, works_in_constant_expressions) {
  static_assert(isnan(e4m3::nan()) && !isnan((e4m3::max)()) && isinf(-e5m2::infinity()));
  static_assert(next_up(e4m3::from_bits(0x38)).bits() == 0x39 && next_down(half::from_bits(0x3C00)).bits() == 0x3BFF);
  static_assert(total_order(-e4m3::nan(), e4m3::lowest()) && !total_order(e4m3::nan(), (e4m3::max)()));
  static_assert(abs(bfloat16::lowest()) == (bfloat16::max)() && ulp(half::from_bits(0x3C00)).bits() == 0x1400);
  SUCCEED();
}

}  // namespace
