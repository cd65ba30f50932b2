// SPDX-License-Identifier: MIT
#include <quaver/problem/activation.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace quaver;

uint32_t gelu(uint32_t x, const rounded_operations& op) { return gelu_bits(x, op); }
uint32_t silu(uint32_t x, const rounded_operations& op) { return silu_bits(x, op); }

// Double, accurate to far less than an ulp of a float: erfc has no cancellation where x is below 0.
double exact_gelu(double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double exact_silu(double x) { return x < 0 ? x * std::exp(x) / (1 + std::exp(x)) : x / (1 + std::exp(-x)); }

/// The distance from `got` to `exact` in ulp of the float nearest to exact; those of subnormals are 2^-149.
double error_in_ulp(uint32_t got, double exact) {
  const int exponent = std::fabs(exact) < 0x1p-126 ? -126 : std::ilogb(exact);
  return std::fabs(static_cast<double>(bitwise_cast<float>(got)) - exact) / std::ldexp(1.0, exponent - 23);
}

/// The worst error over floats of both signs, every `step`th of their bits: all magnitudes, dense where it matters.
template <class Got, class Exact>
double worst_error(const Got& got, const Exact& exact, uint32_t step) {
  const rounded_operations op;
  double worst = 0;
  for (uint32_t sign : {0u, 0x8000'0000u}) {
    for (uint32_t magnitude = 0; magnitude < 0x7F80'0000u; magnitude += step) {
      const uint32_t bits = sign | magnitude;
      const double error  = error_in_ulp(got(bits, op), exact(static_cast<double>(bitwise_cast<float>(bits))));
      if (!(error <= worst)) {
        worst = error;
        if (!(error <= 2.0)) {
          ADD_FAILURE() << std::hexfloat << bitwise_cast<float>(bits) << " is off by " << std::defaultfloat << error;
          return worst;
        }
      }
    }
  }
  return worst;
}

TEST(Activation, gelu_and_silu_are_within_2_ulp_of_the_exact_value_for_floats_of_every_magnitude) {
  const double gelu_ulp = worst_error(gelu, exact_gelu, 997);
  const double silu_ulp = worst_error(silu, exact_silu, 997);
  RecordProperty("gelu_ulp", std::to_string(gelu_ulp));
  RecordProperty("silu_ulp", std::to_string(silu_ulp));
  EXPECT_LE(gelu_ulp, 2.0);
  EXPECT_LE(silu_ulp, 2.0);
}

TEST(Activation, zeros_keep_their_sign_infinities_go_to_the_limit_and_nan_is_the_canonical_one) {
  const rounded_operations op;
  for (const auto f : {gelu, silu}) {
    EXPECT_EQ(f(0x0000'0000u, op), 0x0000'0000u);
    EXPECT_EQ(f(0x8000'0000u, op), 0x8000'0000u);
    EXPECT_EQ(f(0x7F80'0000u, op), 0x7F80'0000u);
    EXPECT_EQ(f(0xFF80'0000u, op), 0x8000'0000u);
    EXPECT_EQ(f(0x7F7F'FFFFu, op), 0x7F7F'FFFFu);
    EXPECT_EQ(f(0xFF7F'FFFFu, op), 0x8000'0000u);
    for (const uint32_t nan : {0x7F80'0001u, 0x7FC0'0000u, 0xFFFF'FFFFu}) EXPECT_EQ(f(nan, op), 0x7FC0'0000u);
  }
}

TEST(Activation, reciprocals_are_rounded_to_nearest_for_every_significand) {
  const rounded_operations op;
  for (uint32_t fraction = 0; fraction < 0x0080'0000u; ++fraction) {
    // One binade stands for all: 1 / 2 to 1 has floats 2^-24 apart, and 1 / d is never half way between two.
    const float d       = bitwise_cast<float>(0x3F80'0000u | fraction);
    const float nearest = static_cast<float>(1.0 / static_cast<double>(d));
    ASSERT_EQ(bitwise_cast<uint32_t>(op.reciprocal(d)), bitwise_cast<uint32_t>(nearest)) << std::hexfloat << d;
  }
  for (const int exponent : {-126, -40, 125}) {
    EXPECT_EQ(op.reciprocal(std::ldexp(1.5f, exponent)), std::ldexp(op.reciprocal(1.5f), -exponent));
  }
}

TEST(Activation, the_short_sequences_for_numbers_near_zero_have_the_bits_of_those_for_all) {
  const rounded_operations op;
  for (uint32_t sign : {0u, 0x8000'0000u}) {
    for (uint32_t magnitude = 0; magnitude < 0x7F80'0000u; magnitude += 9973) {
      const uint32_t bits = sign | magnitude;
      const float x       = bitwise_cast<float>(bits);
      if (std::fabs(x) < silu_near_end) {
        ASSERT_EQ(bitwise_cast<uint32_t>(silu_of_near(x, op)), silu(bits, op)) << std::hexfloat << x;
      }
      if (x >= -gelu_near_end) {
        ASSERT_EQ(bitwise_cast<uint32_t>(gelu_of_near(x, op)), gelu(bits, op)) << std::hexfloat << x;
      }
    }
  }
}

}  // namespace
