// SPDX-License-Identifier: MIT
#include <quaver/scale/current_scale.hpp>

#include "../cpu/environments.hpp"
#include "../reference/modes.hpp"

#include <cmath>
#include <vector>

namespace {

using namespace quaver;
using quaver_test::mismatches;

/// What the machine says, in the default environment; every NaN as ours.
uint32_t machine_product(uint32_t a, uint32_t b) {
  const volatile float x = bitwise_cast<float>(a);
  const volatile float y = bitwise_cast<float>(b);
  const volatile float z = x * y;
  const float result     = z;
  return std::isnan(result) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(result);
}
uint32_t machine_quotient(uint32_t a, uint32_t b) {
  const volatile float x = bitwise_cast<float>(a);
  const volatile float y = bitwise_cast<float>(b);
  const volatile float z = x / y;
  const float result     = z;
  return std::isnan(result) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(result);
}
uint32_t our_product(uint32_t a, uint32_t b) {
  return bitwise_cast<uint32_t>(multiply_rn(bitwise_cast<float>(a), bitwise_cast<float>(b)));
}
uint32_t our_quotient(uint32_t a, uint32_t b) {
  return bitwise_cast<uint32_t>(divide_rn(bitwise_cast<float>(a), bitwise_cast<float>(b)));
}

void compare(uint32_t a, uint32_t b, mismatches& wrong) {
  const uint32_t product  = machine_product(a, b);
  const uint32_t quotient = machine_quotient(a, b);
  if (our_product(a, b) != product) wrong.note(uint64_t{a} << 32 | b, our_product(a, b), product, "product", "");
  if (our_quotient(a, b) != quotient) wrong.note(uint64_t{a} << 32 | b, our_quotient(a, b), quotient, "quotient", "");
}

/// The edges of every class: zero, the subnormals' ends, the normals' ends, powers of two and their neighbours, the
/// significands that make ties, infinity, NaNs.
std::vector<uint32_t> edges() {
  std::vector<uint32_t> bits = {0,           1,           2,           3,           0x0000'0003, 0x0000'0005,
                                0x003F'FFFF, 0x0040'0000, 0x0040'0001, 0x007F'FFFE, 0x007F'FFFF, 0x7F7F'FFFE,
                                0x7F7F'FFFF, 0x7F80'0000, 0x7F80'0001, 0x7FC0'0000, 0x7FFF'FFFF};
  for (const uint32_t field :
       {1u, 2u, 23u, 24u, 25u, 63u, 64u, 65u, 102u, 103u, 104u, 126u, 127u, 128u, 150u, 151u, 190u, 230u, 253u, 254u}) {
    for (const uint32_t fraction :
         {0u, 1u, 2u, 3u, 0x40'0000u, 0x40'0001u, 0x3F'FFFFu, 0x7F'FFFFu, 0x7F'FFFEu, 0x55'5555u, 0x60'0000u}) {
      bits.push_back(field << 23 | fraction);
    }
  }
  return bits;
}

TEST(Binary32, products_and_quotients_equal_the_machines_at_all_pairs_of_edges) {
  const std::vector<uint32_t> bits = edges();
  mismatches wrong;
  for (const uint32_t a : bits) {
    for (const uint32_t b : bits) {
      compare(a, b, wrong);
      compare(a | 0x8000'0000u, b, wrong);
      compare(a, b | 0x8000'0000u, wrong);
    }
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TEST(Binary32, products_and_quotients_equal_the_machines_for_ten_million_random_pairs) {
  quaver_test::generator random(10);
  mismatches wrong;
  for (int i = 0; i < 10'000'000; ++i) {
    const uint64_t word = random();
    uint32_t a          = static_cast<uint32_t>(word);
    uint32_t b          = static_cast<uint32_t>(word >> 32);
    // A third over all bits, a third with results near the subnormals, a third near overflow.
    if (i % 3 == 1) b = (b & 0x807F'FFFFu) | ((127u + 127u - ((a >> 23) & 0xFFu) - 120u - b % 40u) & 0xFFu) << 23;
    if (i % 3 == 2) b = (b & 0x807F'FFFFu) | ((127u + 127u - ((a >> 23) & 0xFFu) + 120u + b % 12u) & 0xFFu) << 23;
    compare(a, b, wrong);
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TEST(Binary32, subnormal_quotients_tie_to_even) {
  // n * 2^-149 / 2^k: every tie of the subnormals is one of these.
  mismatches wrong;
  for (uint32_t n = 0; n < 4096; ++n) {
    for (uint32_t k = 1; k < 14; ++k) {
      compare(n, (127 + k) << 23, wrong);
      compare(n, (127 - k) << 23, wrong);
      compare(0x0080'0000u + n, (127 + k) << 23, wrong);
    }
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TEST(Binary32, no_rounding_mode_and_no_flushing_changes_a_bit_and_no_flag_is_raised) {
  const std::vector<uint32_t> bits = edges();
  std::vector<uint32_t> expected;
  for (const uint32_t a : bits) {
    for (const uint32_t b : bits) {
      expected.push_back(machine_product(a, b));
      expected.push_back(machine_quotient(a, b));
    }
  }
  for (const quaver_test::environment& e : quaver_test::environments) {
    std::vector<uint32_t> got(expected.size());
    EXPECT_TRUE(quaver_test::keeps_environment(e, [&] {
      size_t at = 0;
      for (const uint32_t a : bits) {
        for (const uint32_t b : bits) {
          got[at++] = our_product(a, b);
          got[at++] = our_quotient(a, b);
        }
      }
    })) << e.name;
    EXPECT_EQ(got, expected) << e.name;
  }
}

TEST(Binary32, a_finite_quotient_stops_at_the_largest_float) {
  constexpr float largest = 0x1.FFFFFEp127f;
  EXPECT_EQ(finite_quotient(1.0f, 0x1p-149f), largest);
  EXPECT_EQ(finite_quotient(448.0f, 0x1p-120f), largest);
  EXPECT_EQ(finite_quotient(1.0f, 0.0f), largest);
  EXPECT_EQ(finite_quotient(1.0f, 0x1p-127f), 0x1p127f);
  EXPECT_EQ(finite_quotient(1.0f, 3.0f), 1.0f / 3.0f);
}

TEST(Binary32, powers_of_two_reach_from_the_smallest_subnormal_to_infinity) {
  for (int exponent = -149; exponent <= 127; ++exponent) ASSERT_EQ(power_of_two(exponent), std::ldexp(1.0f, exponent));
  EXPECT_EQ(power_of_two(-150), 0.0f) << "a tie, to even";
  EXPECT_EQ(power_of_two(-100'000), 0.0f);
  EXPECT_EQ(power_of_two(128), INFINITY);
  EXPECT_EQ(power_of_two(100'000), INFINITY);
}

TEST(Binary32, the_power_of_two_at_or_below_a_number_comes_from_its_bits_within_64_ulp_of_each_power) {
  for (int exponent = -149; exponent <= 127; ++exponent) {
    const uint32_t centre = bitwise_cast<uint32_t>(std::ldexp(1.0f, exponent));
    for (uint32_t offset = 0; offset <= 64; ++offset) {
      const float above = bitwise_cast<float>(centre + offset);
      if (std::isfinite(above)) {
        ASSERT_EQ(floor_power_of_two(above), std::ldexp(1.0f, std::ilogb(above))) << above;
      }
      if (centre <= offset) continue;
      const float below = bitwise_cast<float>(centre - offset);
      ASSERT_EQ(floor_power_of_two(below), std::ldexp(1.0f, std::ilogb(below))) << below;
    }
  }
}

}  // namespace
