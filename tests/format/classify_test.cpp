// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <quaver/format/classify.hpp>

#include <random>
#include <utility>

namespace {

using namespace quaver_test;

template <class F>
class Classify : public ::testing::Test {
 protected:
  static constexpr definition format   = definition_of<F>;
  static constexpr bool signed_nan     = format.codes == reserved::ieee || format.codes == reserved::all_ones_is_nan;
  static constexpr bool has_minus_zero = signed_nan || (format.codes == reserved::nothing && !same_type<F, e8m0>);
  static constexpr int count           = code_count<F>();

  static double value(F f) { return value_of<F>(f.bits()); }

  /// The sign as written in the code, for the values that have one.
  static bool negative(int code) {
    const bool unsigned_nan = std::isnan(value_of<F>(code)) && !signed_nan;
    return !same_type<F, e8m0> && !unsigned_nan && code >= count / 2;
  }

  /// All pairs of the byte formats; of the 16-bit ones all neighbours and a million others.
  template <class Visit>
  static void for_each_pair(Visit visit) {
    if (count <= 256) {
      for (int a = 0; a < count; ++a) {
        for (int b = 0; b < count; ++b) visit(a, b);
      }
      return;
    }
    std::mt19937 random(1);
    for (int a = 0; a < count; ++a) {
      for (const int b : {a, a ^ (count / 2), (a + 1) % count}) {
        visit(a, b);
        visit(b, a);
      }
      for (int i = 0; i < 16; ++i) visit(a, static_cast<int>(random() % static_cast<unsigned>(count)));
    }
  }
};
TYPED_TEST_SUITE(Classify, every_format, definition_names);

TYPED_TEST(Classify, answers_for_every_code_as_cmath_for_its_value) {
  const double smallest_normal = std::ldexp(1.0, (same_type<TypeParam, e8m0> ? 0 : 1) - this->format.bias);
  for (int code = 0; code < this->count; ++code) {
    const TypeParam f  = from_code<TypeParam>(code);
    const double value = value_of<TypeParam>(code);
    ASSERT_EQ(isnan(f), std::isnan(value)) << code;
    ASSERT_EQ(isinf(f), std::isinf(value)) << code;
    ASSERT_EQ(isfinite(f), std::isfinite(value)) << code;
    ASSERT_EQ(is_zero(f), value == 0) << code;
    ASSERT_EQ(isnormal(f), std::isfinite(value) && std::fabs(value) >= smallest_normal) << code;
    ASSERT_EQ(is_subnormal(f), value != 0 && std::fabs(value) < smallest_normal) << code;
    ASSERT_EQ(signbit(f), this->negative(code)) << code;
    ASSERT_EQ(isnan(f) + isinf(f) + is_zero(f) + isnormal(f) + is_subnormal(f), 1) << code;
  }
}

TYPED_TEST(Classify, compares_as_the_values_do) {
  this->for_each_pair([&](int a, int b) {
    const TypeParam f = from_code<TypeParam>(a);
    const TypeParam g = from_code<TypeParam>(b);
    const double x    = value_of<TypeParam>(a);
    const double y    = value_of<TypeParam>(b);
    ASSERT_EQ(f == g, x == y) << a << ' ' << b;
    ASSERT_EQ(f != g, x != y) << a << ' ' << b;
    ASSERT_EQ(f < g, x < y) << a << ' ' << b;
    ASSERT_EQ(f <= g, x <= y) << a << ' ' << b;
    ASSERT_EQ(f > g, x > y) << a << ' ' << b;
    ASSERT_EQ(f >= g, x >= y) << a << ' ' << b;
  });
}

TYPED_TEST(Classify, takes_magnitudes) {
  for (int code = 0; code < this->count; ++code) {
    const TypeParam f = from_code<TypeParam>(code);
    ASSERT_FALSE(signbit(abs(f))) << code;
    if (isnan(f)) {
      ASSERT_TRUE(isnan(abs(f))) << code;
    } else {
      ASSERT_EQ(this->value(abs(f)), std::fabs(value_of<TypeParam>(code))) << code;
    }
  }
}

TYPED_TEST(Classify, negates) {
  if constexpr (!same_type<TypeParam, e8m0>) {
    for (int code = 0; code < this->count; ++code) {
      const TypeParam f  = from_code<TypeParam>(code);
      const double value = value_of<TypeParam>(code);
      if (std::isnan(value)) {
        ASSERT_TRUE(isnan(-f)) << code;
        ASSERT_EQ(signbit(-f), this->signed_nan && !signbit(f)) << code;
      } else {
        ASSERT_EQ(this->value(-f), -value) << code;
        ASSERT_EQ(signbit(-f), value != 0 || this->has_minus_zero ? !signbit(f) : false) << code;
      }
      ASSERT_EQ((-(-f)).bits(), f.bits()) << code;
    }
  }
}

TYPED_TEST(Classify, finds_the_neighbours_that_the_sorted_table_has) {
  const std::vector<double> table = finite_values<TypeParam>();
  const double infinity           = std::numeric_limits<double>::infinity();
  const reserved codes            = this->format.codes;
  const bool has_infinity = codes == reserved::ieee || codes == reserved::minus_zero_is_nan_all_ones_is_infinity;
  const bool has_nan      = codes != reserved::nothing || same_type<TypeParam, e8m0>;

  for (int code = 0; code < this->count; ++code) {
    const TypeParam f    = from_code<TypeParam>(code);
    const double value   = value_of<TypeParam>(code);
    const TypeParam up   = next_up(f);
    const TypeParam down = next_down(f);
    if (std::isnan(value)) {
      ASSERT_EQ(up.bits(), f.bits());
      ASSERT_EQ(down.bits(), f.bits());
      continue;
    }

    const auto above = std::upper_bound(table.begin(), table.end(), value);
    if (above != table.end()) {
      ASSERT_EQ(this->value(up), *above) << code;
    } else if (has_infinity) {
      ASSERT_EQ(this->value(up), infinity) << code;
    } else if (has_nan) {
      ASSERT_TRUE(isnan(up)) << code;
    } else {
      ASSERT_EQ(this->value(up), value) << code;
    }

    const auto below = std::lower_bound(table.begin(), table.end(), value);
    if (below != table.begin()) {
      ASSERT_EQ(this->value(down), below[-1]) << code;
    } else if (has_infinity) {
      ASSERT_EQ(this->value(down), -infinity) << code;
    } else if (has_nan && !same_type<TypeParam, e8m0>) {
      ASSERT_TRUE(isnan(down)) << code;
    } else {
      ASSERT_EQ(this->value(down), value) << code;
    }

    // IEEE 754 5.3.1: from the negative side zero is reached as -0, from the positive side as +0.
    if (is_zero(up)) {
      ASSERT_EQ(signbit(up), this->has_minus_zero) << code;
    }
    if (is_zero(down)) {
      ASSERT_FALSE(signbit(down)) << code;
    }
  }
}

TYPED_TEST(Classify, measures_the_unit_in_the_last_place) {
  for (int code = 0; code < this->count; ++code) {
    const TypeParam f  = from_code<TypeParam>(code);
    const double value = value_of<TypeParam>(code);
    if (std::isnan(value)) {
      ASSERT_TRUE(isnan(ulp(f))) << code;
    } else if (std::isinf(value)) {
      ASSERT_EQ(this->value(ulp(f)), std::fabs(value)) << code;
    } else {
      int exponent = 0;
      std::frexp(value, &exponent);
      const int smallest = (same_type<TypeParam, e8m0> ? 0 : 1) - this->format.bias;
      const int of_value = value == 0 ? smallest : (std::max)(exponent - 1, smallest);
      ASSERT_EQ(this->value(ulp(f)), std::ldexp(1.0, of_value - this->format.mantissa_bits)) << code;
    }
  }
}

/// IEEE 754-2019, 5.10, in words.
template <class F>
bool total_order_by_definition(int a, int b, bool a_negative, bool b_negative) {
  const double x = value_of<F>(a);
  const double y = value_of<F>(b);
  if (x < y) return true;                                              // a)
  if (x > y) return false;                                             // b)
  if (x == y) return a == b || x != 0 || (a_negative && !b_negative);  // c) 1, 2, 3
  if (std::isnan(x) && !std::isnan(y)) return a_negative;              // d) 1, 2
  if (!std::isnan(x) && std::isnan(y)) return !b_negative;             // d) 1, 2
  if (a_negative != b_negative) return a_negative;                     // d) 3 i
  return a_negative ? a >= b : a <= b;                                 // d) 3 ii, iii: signaling first, then payload
}

TYPED_TEST(Classify, orders_all_codes_as_ieee_754_does) {
  this->for_each_pair([&](int a, int b) {
    ASSERT_EQ(total_order(from_code<TypeParam>(a), from_code<TypeParam>(b)),
              total_order_by_definition<TypeParam>(a, b, this->negative(a), this->negative(b)))
        << a << ' ' << b;
  });
}

TYPED_TEST(Classify, orders_all_codes_totally) {
  // Sorted by the relation, any two codes must stand in it in one direction only: antisymmetry and transitivity at
  // once.
  std::vector<int> sorted(static_cast<size_t>(this->count));
  for (int code = 0; code < this->count; ++code) sorted[static_cast<size_t>(code)] = code;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](int a, int b) { return !total_order(from_code<TypeParam>(b), from_code<TypeParam>(a)); });
  this->for_each_pair([&](int i, int j) {
    const TypeParam a = from_code<TypeParam>(sorted[static_cast<size_t>(i)]);
    const TypeParam b = from_code<TypeParam>(sorted[static_cast<size_t>(j)]);
    ASSERT_EQ(total_order(a, b), i <= j) << a.bits() << ' ' << b.bits();
  });
}

TEST(Classify, works_in_constant_expressions) {
  static_assert(isnan(e4m3::nan()) && !isnan((e4m3::max)()) && isinf(-e5m2::infinity()));
  static_assert(next_up(e4m3::from_bits(0x38)).bits() == 0x39 && next_down(half::from_bits(0x3C00)).bits() == 0x3BFF);
  static_assert(total_order(-e4m3::nan(), e4m3::lowest()) && !total_order(e4m3::nan(), (e4m3::max)()));
  static_assert(abs(bfloat16::lowest()) == (bfloat16::max)() && ulp(half::from_bits(0x3C00)).bits() == 0x1400);
  SUCCEED();
}

}  // namespace
