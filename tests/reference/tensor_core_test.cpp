// SPDX-License-Identifier: MIT
#include <quaver/reference/tensor_core.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

// What an H100 was seen to give for chosen operands. tests/cuda compares the model with the card on random ones.

namespace {

using namespace quaver;
using reference::tensor_core_add;

constexpr uint32_t nan = 0x7FFF'FFFF;

/// Operands that are zero but for the pairs given, as bits.
template <class A, class B>
struct operands {
  A a[32];
  B b[32];

  constexpr operands(std::initializer_list<std::pair<int, int>> pairs) {
    for (A& x : a) x = A::from_bits(0);
    for (B& x : b) x = B::from_bits(0);
    int at = 0;
    for (const auto& [x, y] : pairs) {
      a[at]   = A::from_bits(static_cast<uint8_t>(x));
      b[at++] = B::from_bits(static_cast<uint8_t>(y));
    }
  }
  /// The same pair 32 times.
  static constexpr operands all(int x, int y) {
    operands result({});
    std::fill(std::begin(result.a), std::end(result.a), A::from_bits(static_cast<uint8_t>(x)));
    std::fill(std::begin(result.b), std::end(result.b), B::from_bits(static_cast<uint8_t>(y)));
    return result;
  }
  [[nodiscard]] constexpr uint32_t added_to(uint32_t accumulator) const {
    return tensor_core_add(a, b, binary32::from_bits(accumulator)).bits();
  }
};
using fours = operands<e4m3, e4m3>;
using fives = operands<e5m2, e5m2>;

constexpr uint32_t bits(float x) { return bitwise_cast<uint32_t>(x); }

TEST(TensorCore, cuts_an_accumulator_alone_to_fourteen_bits) {
  static_assert(fours({}).added_to(bits(1.2345678f)) == 0x3F9E'0400);
  static_assert(fours({}).added_to(bits(-1.2345678f)) == 0xBF9E'0400);
  EXPECT_EQ(fours({}).added_to(0x7F7F'FFFF), 0x7F7F'FC00u);
}

TEST(TensorCore, does_not_overflow_beyond_the_largest_float) {
  EXPECT_EQ(fours::all(0x7E, 0x7E).added_to(0x7F7F'FFFF), 0x7F7F'FC00u);
  EXPECT_EQ(fives::all(0x7B, 0x7B).added_to(0x7F7F'FFFF), 0x7F7F'FC00u);
}

TEST(TensorCore, gives_plus_zero_for_every_sum_of_zero) {
  EXPECT_EQ(fours({}).added_to(0x8000'0000), 0u);
  EXPECT_EQ(fours::all(0x80, 0x38).added_to(0x8000'0000), 0u);
  EXPECT_EQ(fours({{0x38, 0x38}, {0xB8, 0x38}}).added_to(0), 0u);
  EXPECT_EQ(fours({{0x38, 0x38}}).added_to(bits(-1.0f)), 0u);
}

TEST(TensorCore, lets_subnormal_accumulators_take_part_with_the_exponent_of_the_smallest_normal) {
  EXPECT_EQ(fours({}).added_to(0x007F'FFFF), 0x007F'FC00u);
  EXPECT_EQ(fours({}).added_to(0x807F'FFFF), 0x807F'FC00u);
  EXPECT_EQ(fours({}).added_to(0x0000'0001), 0u);
}

TEST(TensorCore, cuts_the_terms_off_one_by_one_before_it_adds_them) {
  // 2^-6 * 2^-8 = 2^-14 lies below 2^-13 beside 1; 32 of them do so too.
  const uint32_t one = bits(1.0f);
  EXPECT_EQ(fours({{0x88, 0x02}}).added_to(one), one);
  EXPECT_EQ((operands<e4m3, e4m3>::all(0x08, 0x02).added_to(one)), one);
  EXPECT_EQ(fours({{0x08, 0x04}}).added_to(one), bits(1.0f + 0x1p-13f));
}

TEST(TensorCore, counts_exponents_of_products_that_are_not_normalised) {
  // 1.875 * 1.875 = 3.515625 counts with exponent 0, so that 2^-13 beside it is kept; the sum is cut to 14 bits after.
  EXPECT_EQ(fours({{0x3F, 0x3F}, {0x08, 0x04}}).added_to(0), bits(3.515625f));
  EXPECT_EQ(fours({{0x3F, 0x3F}, {0x08, 0x04}, {0x08, 0x04}}).added_to(0), bits(3.515625f + 0x1p-12f));
  // A subnormal operand counts with 2^-6, although its value is less: 2^-9 * 2^-9 has the exponent -12, and 2^-26 as
  // the accumulator is cut off beside it, though the product is 2^-18.
  EXPECT_EQ(fours({{0x01, 0x01}}).added_to(bits(0x1p-26f)), bits(0x1p-18f));
  EXPECT_EQ(fours({{0x01, 0x01}}).added_to(bits(0x1p-25f)), bits(0x1p-18f + 0x1p-25f));
}

TEST(TensorCore, gives_one_nan_for_nan_inf_times_zero_and_inf_minus_inf) {
  EXPECT_EQ(fours({{0x7F, 0x38}}).added_to(0), nan);
  EXPECT_EQ(fours({{0xFF, 0x00}}).added_to(0), nan);
  EXPECT_EQ(fours({}).added_to(0xFFC0'0001), nan);
  EXPECT_EQ(fives({{0x7C, 0x00}}).added_to(0), nan);
  EXPECT_EQ(fives({{0x7C, 0x3C}, {0xFC, 0x3C}}).added_to(0), nan);
  EXPECT_EQ(fives({{0x7C, 0x3C}}).added_to(0xFF80'0000), nan);
}

TEST(TensorCore, passes_infinities_with_their_sign) {
  EXPECT_EQ(fives({{0x7C, 0x3C}}).added_to(0), 0x7F80'0000u);
  EXPECT_EQ(fives({{0x7C, 0xBC}, {0x7B, 0x7B}}).added_to(bits(1.0f)), 0xFF80'0000u);
  EXPECT_EQ(fours({{0x7E, 0x7E}}).added_to(0xFF80'0000), 0xFF80'0000u);
}

TEST(TensorCore, mixes_formats) {
  EXPECT_EQ((operands<e4m3, e5m2>({{0x7E, 0x7B}}).added_to(0)), bits(448.0f * 57344.0f));
  EXPECT_EQ((operands<e5m2, e4m3>({{0x01, 0x81}}).added_to(0)), bits(-0x1p-25f));
}

TEST(TensorCore, rounds_half_accumulators_to_nearest_even) {
  const auto sum = [](std::initializer_list<std::pair<int, int>> pairs, int accumulator) {
    const fours x(pairs);
    return +tensor_core_add(x.a, x.b, half::from_bits(static_cast<uint16_t>(accumulator))).bits();
  };
  EXPECT_EQ(sum({}, 0x3C01), 0x3C01);                            // nothing is lost of an accumulator alone
  EXPECT_EQ(sum({{0x10, 0x08}}, 0x3C00), 0x3C00);                // 1 + 2^-11 is a tie: down to even
  EXPECT_EQ(sum({{0x10, 0x08}}, 0x3C01), 0x3C02);                // and up to even
  EXPECT_EQ(sum({{0x10, 0x08}, {0x08, 0x04}}, 0x3C00), 0x3C01);  // 2^-13 more breaks it
  EXPECT_EQ(sum({{0x10, 0x08}, {0x08, 0x02}}, 0x3C00), 0x3C00);  // 2^-14 is cut off before
  EXPECT_EQ(sum({{0xB8, 0x38}}, 0x3C00), 0x0000);
  EXPECT_EQ(sum({{0x02, 0x01}}, 0x8001), 0x007F);  // 2^-17 - 2^-24: subnormals
  EXPECT_EQ(sum({{0x7E, 0x7E}}, 0x0000), 0x7C00);  // 200704 is too large
  EXPECT_EQ(sum({{0x58, 0x50}}, 0x7BFF), 0x7C00);  // 65504 + 128, of which 16 would have been enough
  const fives tiny({{0x81, 0x01}});
  EXPECT_EQ(tensor_core_add(tiny.a, tiny.b, half::from_bits(0)).bits(), 0x0000);  // -2^-32 becomes +0
  EXPECT_EQ(sum({{0x7F, 0x38}}, 0x0000), 0x7FFF);
  EXPECT_EQ(sum({}, 0xFC00), 0xFC00);
}

TEST(TensorCore, strict_accumulation_keeps_what_fast_accumulation_loses) {
  // Ones: from 2^14 on, whose fourteenth bit is 2, the fast accumulator stands still.
  const std::vector<e4m3> ones(32768, e4m3::from_bits(0x38));
  const auto count = static_cast<int64_t>(ones.size());
  EXPECT_EQ(reference::tensor_core_strict(ones.data(), ones.data(), count).bits(), bits(32768.0f));
  EXPECT_EQ(reference::tensor_core_fast(ones.data(), ones.data(), count).bits(), bits(16384.0f));
  std::vector<e4m3> mixed(32768, e4m3::from_bits(0x00));
  for (size_t i = 0; i < mixed.size(); i += 32) mixed[i] = e4m3::from_bits(0x38);
  mixed[0] = e4m3::from_bits(0x7E);  // 448 * 448 = 1.53125 * 2^17, whose 14 bits end at 2^4
  EXPECT_EQ(reference::tensor_core_fast(mixed.data(), mixed.data(), count).bits(), bits(200704.0f));
  EXPECT_EQ(reference::tensor_core_strict(mixed.data(), mixed.data(), count).bits(), bits(200704.0f + 255 * 4.0f));
}

TEST(TensorCore, counts_what_is_missing_at_the_end_of_k_as_zeros) {
  const std::vector<e4m3> ones(200, e4m3::from_bits(0x38));
  EXPECT_EQ(reference::tensor_core_fast(ones.data(), ones.data(), 33).bits(), bits(33.0f));
  EXPECT_EQ(reference::tensor_core_strict(ones.data(), ones.data(), 200).bits(), bits(200.0f));
  EXPECT_EQ(reference::tensor_core_fast(ones.data(), ones.data(), 0, binary32::from_bits(bits(1.2345678f))).bits(),
            bits(1.2345678f));
}

}  // namespace
