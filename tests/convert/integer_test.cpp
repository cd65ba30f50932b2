// SPDX-License-Identifier: MIT
#include "../reference/modes.hpp"

namespace {

using namespace quaver;
using quaver_test::compare_in_every_mode;
using quaver_test::mismatches;

template <class F>
class FromInteger : public ::testing::Test {};
TYPED_TEST_SUITE(FromInteger, quaver_test::all_formats, quaver_test::format_names);

template <class F, class Integer>
void compare_all(mismatches& wrong) {
  using limits = std::numeric_limits<Integer>;
  for (long n = (limits::min)(); n <= (limits::max)(); ++n) compare_in_every_mode<F>(static_cast<Integer>(n), wrong);
}

TYPED_TEST(FromInteger, every_16_bit_integer_equals_the_oracle_in_every_mode) {
  mismatches wrong;
  compare_all<TypeParam, int16_t>(wrong);
  compare_all<TypeParam, uint16_t>(wrong);
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(FromInteger, the_type_of_an_integer_does_not_matter) {
  using F = TypeParam;
  for (int n = -128; n < 128; ++n) {
    const unsigned code = encode<F>(n).bits();
    ASSERT_EQ(encode<F>(static_cast<signed char>(n)).bits(), code);
    ASSERT_EQ(encode<F>(static_cast<long>(n)).bits(), code);
    ASSERT_EQ(encode<F>(static_cast<long long>(n)).bits(), code);
    if (n < 0) continue;
    ASSERT_EQ(encode<F>(static_cast<unsigned char>(n)).bits(), code);
    ASSERT_EQ(encode<F>(static_cast<unsigned long>(n)).bits(), code);
    ASSERT_EQ(encode<F>(static_cast<unsigned long long>(n)).bits(), code);
  }
}

/// The integer n and its negative in the types of 32 and 64 bits, cut to 32 where there are no more.
template <class F>
void compare_in_each_type(uint64_t n, mismatches& wrong) {
  compare_in_every_mode<F>(n, wrong);
  compare_in_every_mode<F>(static_cast<int64_t>(0 - n), wrong);
  compare_in_every_mode<F>(static_cast<uint32_t>(n), wrong);
  compare_in_every_mode<F>(static_cast<int32_t>(static_cast<uint32_t>(0 - n)), wrong);
}

TYPED_TEST(FromInteger, every_tie_value_and_power_of_two_and_their_neighbours_equal_the_oracle_in_every_mode) {
  using F = TypeParam;
  mismatches wrong;
  for (uint32_t code = 0; code <= (F::max)().bits(); ++code) {
    const double low  = reference::unbounded_magnitude<F>(code);
    const double high = reference::unbounded_magnitude<F>(code + 1);
    for (const double point : {low, (low + high) / 2, high}) {
      if (point >= 0x1p64) continue;
      const uint64_t n = static_cast<uint64_t>(point);
      for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{2}, ~uint64_t{0}, ~uint64_t{1}}) {
        compare_in_each_type<F>(n + offset, wrong);
      }
    }
  }
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
      compare_in_each_type<F>((uint64_t{1} << bit) + offset, wrong);
      compare_in_each_type<F>((uint64_t{3} << bit) + offset, wrong);
    }
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(FromInteger, random_integers_of_every_length_equal_the_oracle_in_every_mode) {
  mismatches wrong;
  quaver_test::generator random(30);
  for (int i = 0; i < 50'000; ++i) {
    uint64_t n = random() >> (i % 64);
    if (i % 3 == 0) n &= ~uint64_t{0} << (n % 64);  // few significant bits: values and ties
    compare_in_each_type<TypeParam>(n, wrong);
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TEST(FromInteger, says_what_the_limits_become) {
  EXPECT_EQ(encode<e4m3>((std::numeric_limits<int64_t>::min)()).bits(), 0xFE);
  EXPECT_EQ(encode<e5m2>(~uint64_t{0}).bits(), 0x7B);
  EXPECT_EQ(encode<bfloat16>(~uint64_t{0}).bits(), 0x5F80);  // 2^64
  EXPECT_EQ((encode<bfloat16, rounding::toward_zero>(~uint64_t{0}).bits()), 0x5F7F);
  EXPECT_EQ(encode<bfloat16>((std::numeric_limits<int64_t>::min)()).bits(), 0xDF00);  // -2^63
  EXPECT_EQ(encode<half>(2049).bits(), 0x6800);                                       // ties to 2048
  EXPECT_EQ(encode<half>(2051).bits(), 0x6802);                                       // ties to 2052
  EXPECT_EQ(encode<e8m0>(-1).bits(), 0xFF);
  EXPECT_EQ(encode<e4m3fnuz>(0).bits(), 0x00);
}

}  // namespace
