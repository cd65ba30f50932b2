// SPDX-License-Identifier: MIT
#include <quaver/cpu/amax_n.hpp>

#include "environments.hpp"
#include "inputs.hpp"

namespace {

using namespace quaver;
using quaver_test::some_numbers;

template <class T>
uint32_t amax_bits(const std::vector<T>& x) {
  return bitwise_cast<uint32_t>(cpu::amax_n(std::span<const T>(x)));
}

template <class T>
void check_random_arrays() {
  for (uint64_t seed = 1; seed < 60; ++seed) {
    const std::vector<T> x =
        some_numbers<T>(seed * 3 % 101, seed, static_cast<int>(seed * 5 % 200) - 100, seed % 3 == 0);
    float expected = 0;
    for (const T& value : x) expected = reference::larger(expected, reference::to_float(value));
    ASSERT_EQ(amax_bits(x), std::isnan(expected) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(expected)) << seed;
  }
}

TEST(AmaxN, equals_a_plain_maximum_of_magnitudes_from_float_half_and_bfloat16) {
  check_random_arrays<float>();
  check_random_arrays<half>();
  check_random_arrays<bfloat16>();
}

TEST(AmaxN, is_zero_for_nothing_and_for_both_zeros) {
  EXPECT_EQ(amax_bits(std::vector<float>{}), 0u);
  EXPECT_EQ(amax_bits(std::vector<float>{-0.0f, 0.0f}), 0u);
}

TEST(AmaxN, ranks_nan_above_infinity_above_numbers_wherever_they_stand) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  for (size_t at = 0; at < 9; ++at) {
    std::vector<float> x(9, -3.0f);
    x[at] = -inf;
    EXPECT_EQ(amax_bits(x), 0x7F80'0000u);
    x[8 - at] = bitwise_cast<float>(0xFF80'0001u);  // a signalling NaN
    EXPECT_EQ(amax_bits(x), 0x7FC0'0000u);
    x[at]     = 1e38f;
    x[8 - at] = bitwise_cast<float>(0x7FFF'FFFFu);
    EXPECT_EQ(amax_bits(x), 0x7FC0'0000u);
  }
}

TEST(AmaxN, sees_subnormals_and_keeps_the_environment_in_every_environment) {
  const std::vector<float> x = {0x1p-149f, -0x1.8p-140f, 0.0f};
  const std::vector<half> h  = {half::from_bits(0x8001), half::from_bits(0)};
  for (const quaver_test::environment& e : quaver_test::environments) {
    uint32_t a = 0, b = 0;
    EXPECT_TRUE(quaver_test::keeps_environment(e, [&] {
      a = amax_bits(x);
      b = amax_bits(h);
    })) << e.name;
    EXPECT_EQ(a, bitwise_cast<uint32_t>(0x1.8p-140f)) << e.name;
    EXPECT_EQ(b, bitwise_cast<uint32_t>(0x1p-24f)) << e.name;
  }
}

}  // namespace
