// SPDX-License-Identifier: MIT
#include "modes.hpp"

#include <cmath>

namespace {

using namespace quaver;
using quaver_test::deterministic_roundings;
using quaver_test::overflows;

template <class F>
unsigned oracle(double x, rounding r = rounding::nearest_even, overflow o = overflow::saturate) {
  return reference::encode<F>(reference::from_value(x), r, o).bits();
}

constexpr overflow nonfinite = overflow::nonfinite;

TEST(ReferenceEncode, rounds_between_two_values_as_each_mode_says) {
  // In E4M3 38 is 1 and 39 is 1.125. 1.0625 is the tie, 39 is odd.
  const double below = 1.0625 - 0x1p-40, tie = 1.0625, above = 1.0625 + 0x1p-40;
  EXPECT_EQ(oracle<e4m3>(below), 0x38u);
  EXPECT_EQ(oracle<e4m3>(tie), 0x38u);
  EXPECT_EQ(oracle<e4m3>(above), 0x39u);
  EXPECT_EQ(oracle<e4m3>(1.1875), 0x3Au) << "the tie between 39 and 3A";
  EXPECT_EQ(oracle<e4m3>(tie, rounding::nearest_away), 0x39u);
  EXPECT_EQ(oracle<e4m3>(below, rounding::nearest_away), 0x38u);
  EXPECT_EQ(oracle<e4m3>(-above, rounding::toward_zero), 0xB8u);
  EXPECT_EQ(oracle<e4m3>(below, rounding::upward), 0x39u);
  EXPECT_EQ(oracle<e4m3>(-above, rounding::upward), 0xB8u);
  EXPECT_EQ(oracle<e4m3>(above, rounding::downward), 0x38u);
  EXPECT_EQ(oracle<e4m3>(-below, rounding::downward), 0xB9u);
  EXPECT_EQ(oracle<e4m3>(below, rounding::to_odd), 0x39u);
  EXPECT_EQ(oracle<e4m3>(1.126, rounding::to_odd), 0x39u);
  EXPECT_EQ(oracle<e4m3>(1.0, rounding::to_odd), 0x38u);
}

TEST(ReferenceEncode, rounds_with_an_unbounded_exponent_before_it_asks_about_overflow) {
  EXPECT_EQ(oracle<e4m3>(464.0, rounding::nearest_even, nonfinite), 0x7Eu);
  EXPECT_EQ(oracle<e4m3>(464.0001, rounding::nearest_even, nonfinite), 0x7Fu);
  EXPECT_EQ(oracle<e4m3>(464.0, rounding::nearest_away, nonfinite), 0x7Fu);
  EXPECT_EQ(oracle<e5m2>(61439.9, rounding::nearest_even, nonfinite), 0x7Bu);
  EXPECT_EQ(oracle<e5m2>(61440.0, rounding::nearest_even, nonfinite), 0x7Cu) << "7B is odd";
  EXPECT_EQ(oracle<e5m2>(-61440.0, rounding::nearest_even, nonfinite), 0xFCu);
  EXPECT_EQ(oracle<e5m2>(61440.0), 0x7Bu);
  EXPECT_EQ(oracle<e2m1>(1e9, rounding::nearest_even, nonfinite), 0x07u);
  EXPECT_EQ(oracle<binary8p4>(-232.0, rounding::nearest_even, nonfinite), 0xFEu) << "FE is even, the tie is inside";
  EXPECT_EQ(oracle<binary8p4>(-232.1, rounding::nearest_even, nonfinite), 0xFFu);
}

TEST(ReferenceEncode, overflows_inward_to_the_largest_value) {
  for (const double x : {449.0, 480.0, 1e30}) {
    EXPECT_EQ(oracle<e4m3>(x, rounding::toward_zero, nonfinite), 0x7Eu);
    EXPECT_EQ(oracle<e4m3>(x, rounding::to_odd, nonfinite), 0x7Eu);
    EXPECT_EQ(oracle<e4m3>(x, rounding::downward, nonfinite), 0x7Eu);
    EXPECT_EQ(oracle<e4m3>(x, rounding::upward, nonfinite), 0x7Fu);
    EXPECT_EQ(oracle<e4m3>(-x, rounding::upward, nonfinite), 0xFEu);
    EXPECT_EQ(oracle<e4m3>(-x, rounding::downward, nonfinite), 0x7Fu) << "a NaN has no sign";
    EXPECT_EQ(oracle<e4m3>(-x, rounding::downward, overflow::saturate_finite), 0xFEu);
  }
}

TEST(ReferenceEncode, turns_infinities_into_what_the_mode_and_the_format_have) {
  for (const rounding r : deterministic_roundings) {
    EXPECT_EQ(oracle<e5m2>(-INFINITY, r, overflow::saturate), 0xFBu);
    EXPECT_EQ(oracle<e5m2>(-INFINITY, r, overflow::saturate_finite), 0xFCu);
    EXPECT_EQ(oracle<e5m2>(-INFINITY, r, nonfinite), 0xFCu);
    EXPECT_EQ(oracle<e4m3>(-INFINITY, r, overflow::saturate), 0xFEu);
    EXPECT_EQ(oracle<e4m3>(-INFINITY, r, overflow::saturate_finite), 0x7Fu);
    EXPECT_EQ(oracle<e4m3fnuz>(INFINITY, r, nonfinite), 0x80u);
    EXPECT_EQ(oracle<e3m2>(-INFINITY, r, nonfinite), 0x3Fu);
    EXPECT_EQ(oracle<e8m0>(INFINITY, r, overflow::saturate), 0xFEu);
    EXPECT_EQ(oracle<e8m0>(INFINITY, r, overflow::saturate_finite), 0xFFu);
  }
}

TEST(ReferenceEncode, gives_each_format_its_one_nan) {
  for (const double nan : {std::nan(""), -std::nan("")}) {
    for (const rounding r : deterministic_roundings) {
      for (const overflow o : overflows) {
        EXPECT_EQ(oracle<e4m3>(nan, r, o), 0x7Fu);
        EXPECT_EQ(oracle<e5m2>(nan, r, o), 0x7Fu);
        EXPECT_EQ(oracle<e5m2fnuz>(nan, r, o), 0x80u);
        EXPECT_EQ(oracle<binary8p3>(nan, r, o), 0x80u);
        EXPECT_EQ(oracle<e8m0>(nan, r, o), 0xFFu);
        EXPECT_EQ(oracle<e2m1>(nan, r, o), 0x07u);
        EXPECT_EQ(oracle<half>(nan, r, o), 0x7E00u);
        EXPECT_EQ(oracle<bfloat16>(nan, r, o), 0x7FC0u);
      }
    }
  }
}

TEST(ReferenceEncode, keeps_the_sign_of_zero_where_the_format_has_one) {
  EXPECT_EQ(oracle<e4m3>(-0.0), 0x80u);
  EXPECT_EQ(oracle<e4m3>(-1e-30), 0x80u);
  EXPECT_EQ(oracle<e2m1>(-0.0), 0x08u);
  EXPECT_EQ(oracle<e4m3fnuz>(-0.0), 0x00u);
  EXPECT_EQ(oracle<e4m3fnuz>(-1e-30), 0x00u);
  EXPECT_EQ(oracle<binary8p4>(-1e-30, rounding::downward), 0x81u);
}

TEST(ReferenceEncode, follows_the_rules_of_e8m0) {
  for (const rounding r : deterministic_roundings) {
    for (const overflow o : overflows) {
      EXPECT_EQ(oracle<e8m0>(0.0, r, o), 0x00u);
      EXPECT_EQ(oracle<e8m0>(-0.0, r, o), 0x00u);
      EXPECT_EQ(oracle<e8m0>(0x1p-1074, r, o), 0x00u);
      EXPECT_EQ(oracle<e8m0>(0x1.FFp-128, r, o), 0x00u);
      EXPECT_EQ(oracle<e8m0>(-0x1p-1074, r, o), 0xFFu);
      EXPECT_EQ(oracle<e8m0>(-INFINITY, r, o), 0xFFu);
    }
  }
  EXPECT_EQ(oracle<e8m0>(1.5), 0x80u) << "7F and 80 tie, 80 is even";
  EXPECT_EQ(oracle<e8m0>(3.0), 0x80u) << "80 and 81 tie, 80 is even";
  EXPECT_EQ(oracle<e8m0>(0x1.8p127, rounding::nearest_even, nonfinite), 0xFEu);
  EXPECT_EQ(oracle<e8m0>(0x1.800001p127, rounding::nearest_even, nonfinite), 0xFFu);
  EXPECT_EQ(oracle<e8m0>(0x1.800001p127), 0xFEu);
  EXPECT_EQ(oracle<e8m0>(0x1p128, rounding::toward_zero, nonfinite), 0xFEu);
}

TEST(ReferenceEncode, counts_the_random_words_that_round_away) {
  EXPECT_EQ(reference::stochastic_threshold<e4m3>(reference::from_value(1.0)), 0u);
  EXPECT_EQ(reference::stochastic_threshold<e4m3>(reference::from_value(-1.0625)), 0x8000'0000u);
  EXPECT_EQ(reference::stochastic_threshold<e4m3>(reference::from_value(0x1p-41)), 1u)
      << "2^-32 of the first step, 2^-9";
  EXPECT_EQ(reference::stochastic_threshold<e4m3>(reference::from_value(0x1.FFFFFFFFp-42)), 0u);
  EXPECT_EQ(reference::stochastic_threshold<e4m3>(reference::from_value(464.0)), 0x8000'0000u);
  EXPECT_EQ(reference::stochastic_threshold<e4m3>(reference::from_value(480.0)), 0u);
  EXPECT_EQ(reference::encode_stochastic<e4m3>(reference::from_value(-1.0625), 0x7FFF'FFFF, overflow::saturate).bits(),
            0xB9);
  EXPECT_EQ(reference::encode_stochastic<e4m3>(reference::from_value(-1.0625), 0x8000'0000, overflow::saturate).bits(),
            0xB8);
  EXPECT_EQ(reference::encode_stochastic<e4m3>(reference::from_value(464.0), 0, nonfinite).bits(), 0x7F);
}

template <class F>
class ReferenceEncodeOf : public ::testing::Test {};
TYPED_TEST_SUITE(ReferenceEncodeOf, quaver_test::all_formats, quaver_test::format_names);

/// The whole search once more, without a search: the two neighbours among all decoded values by a linear scan and by
/// long double arithmetic, whose 64 bits (or more) hold every difference here exactly.
template <class F>
unsigned nearest_by_scan(double x) {
  unsigned best     = 0;
  long double least = -1;
  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const double value = reference::decode(F::from_bits(static_cast<typename F::storage>(code)));
    if (!std::isfinite(value) || (value != 0 && std::signbit(value) != std::signbit(x))) continue;
    if (value == 0 && std::signbit(value) != (std::signbit(x) && F::has_signed_zero)) continue;
    const long double distance = std::fabs(static_cast<long double>(value) - x);
    if (least < 0 || distance < least || (distance == least && code % 2 == 0)) {
      least = distance;
      best  = code;
    }
  }
  return best;
}

TYPED_TEST(ReferenceEncodeOf, agrees_with_a_linear_scan_of_all_values) {
  using F = TypeParam;
  quaver_test::generator random(1);
  const int lowest_exponent = F::width > 8 || same_type<F, e8m0> ? -20 : -4 - F::exponent_bias - F::mantissa_bits;
  for (int i = 0; i < (F::width > 8 ? 100 : 20'000); ++i) {
    const uint64_t word = random();
    double x =
        std::ldexp(1.0 + static_cast<double>(word >> 12) * 0x1p-52, lowest_exponent + static_cast<int>(word % 45));
    if (i % 2 == 0) x = std::ldexp(std::nearbyint(std::ldexp(x, 6 - std::ilogb(x))), std::ilogb(x) - 6);  // many ties
    if (word % 2 != 0 && !same_type<F, e8m0>) x = -x;
    ASSERT_EQ(oracle<F>(x), nearest_by_scan<F>(x)) << x;
  }
}

TYPED_TEST(ReferenceEncodeOf, gives_every_value_its_own_code_back_in_every_mode) {
  using F = TypeParam;
  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const double value = reference::decode(F::from_bits(static_cast<typename F::storage>(code)));
    if (std::isnan(value)) continue;
    for (const rounding r : deterministic_roundings) {
      for (const overflow o : overflows) {
        if (std::isinf(value) && o == overflow::saturate) continue;
        ASSERT_EQ(oracle<F>(value, r, o), code);
      }
    }
  }
}

TEST(ReferenceEncode, rounds_to_half_as_the_compiler_does) {
#if defined(__FLT16_MANT_DIG__)
  quaver_test::generator random(2);
  for (int i = 0; i < 1'000'000; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random());
    const float x       = bitwise_cast<float>(bits);
    if (std::isnan(x)) continue;
    const uint16_t theirs = bitwise_cast<uint16_t>(static_cast<_Float16>(x));
    ASSERT_EQ(reference::encode<half>(reference::from_f32(bits), rounding::nearest_even, nonfinite).bits(), theirs)
        << x;
  }
#else
  GTEST_SKIP() << "this compiler has no _Float16";
#endif
}

TEST(ReferenceExact, reads_floats_doubles_and_integers_alike) {
  quaver_test::generator random(3);
  for (int i = 0; i < 1'000'000; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random()) >> (i % 24);  // subnormals too
    const float x       = bitwise_cast<float>(bits);
    if (std::isnan(x)) continue;
    ASSERT_EQ(reference::from_f32(bits).magnitude, bitwise_cast<uint64_t>(std::fabs(static_cast<double>(x))));
    const int64_t n = static_cast<int64_t>(random()) >> (11 + i % 50);
    ASSERT_EQ(reference::from_integer(n).magnitude, bitwise_cast<uint64_t>(std::fabs(static_cast<double>(n))));
    ASSERT_EQ(reference::from_integer(n).negative, n < 0);
  }
}

TEST(ReferenceExact, orders_a_64_bit_integer_beside_every_tie_as_long_double_does) {
  static_assert(std::numeric_limits<long double>::digits >= 64);
  quaver_test::generator random(4);
  for (unsigned code = 0; code <= bfloat16::max_magnitude; ++code) {
    const double tie =
        (reference::unbounded_magnitude<bfloat16>(code) + reference::unbounded_magnitude<bfloat16>(code + 1)) / 2;
    if (tie < 1 || tie >= 0x1p63) continue;
    for (int offset = -2; offset <= 2; ++offset) {
      const uint64_t n        = static_cast<uint64_t>(tie) + static_cast<uint64_t>(static_cast<int64_t>(offset));
      const uint64_t key      = reference::from_integer(n).magnitude;
      const uint64_t key_tie  = bitwise_cast<uint64_t>(tie);
      const long double exact = static_cast<long double>(n);
      ASSERT_EQ(key < key_tie, exact < static_cast<long double>(tie));
      ASSERT_EQ(key == key_tie, exact == static_cast<long double>(tie));
    }
  }
}

}  // namespace
