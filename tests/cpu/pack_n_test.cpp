// SPDX-License-Identifier: MIT
#include <quaver/cpu/pack_n.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace quaver;

TEST(PackN, puts_the_first_value_in_the_low_nibble_and_pads_with_zero) {
  for (size_t n = 0; n <= 33; ++n) {
    std::vector<e2m1> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = e2m1::from_bits(static_cast<uint8_t>(i * 7 + 3));
    std::vector<e2m1x2> pairs((n + 1) / 2 + 1, e2m1x2::from_bits(0x5A));
    ASSERT_TRUE(cpu::pack_n(values, std::span<e2m1x2>(pairs).first((n + 1) / 2)).ok());
    for (size_t i = 0; i < (n + 1) / 2; ++i) {
      const unsigned low  = (2 * i * 7 + 3) % 16;
      const unsigned high = 2 * i + 1 < n ? ((2 * i + 1) * 7 + 3) % 16 : 0;
      EXPECT_EQ(pairs[i].bits(), low + 16 * high);
    }
    EXPECT_EQ(pairs.back().bits(), 0x5A);

    std::vector<e2m1> back(n + 1, e2m1::from_bits(0x9));
    ASSERT_TRUE(cpu::unpack_n(std::span<const e2m1x2>(pairs).first((n + 1) / 2), std::span<e2m1>(back).first(n)).ok());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(back[i].bits(), values[i].bits());
    EXPECT_EQ(back.back().bits(), 0x9);
  }
}

TEST(PackN, all_256_pairs_come_back) {
  std::vector<e2m1x2> pairs(256);
  for (unsigned i = 0; i < 256; ++i) pairs[i] = e2m1x2::from_bits(static_cast<uint8_t>(i));
  std::vector<e2m1> values(512);
  std::vector<e2m1x2> again(256);
  ASSERT_TRUE(cpu::unpack_n(pairs, values).ok());
  ASSERT_TRUE(cpu::pack_n(values, again).ok());
  for (unsigned i = 0; i < 256; ++i) EXPECT_EQ(again[i].bits(), i);
}

TEST(PackN, refuses_wrong_lengths_null_and_overlap_by_their_numbers_and_writes_nothing) {
  std::vector<e2m1> values(10, e2m1::from_bits(1));
  std::vector<e2m1x2> pairs(10, e2m1x2::from_bits(0x5A));
  const auto refused = [&](const status& s, const std::vector<std::string>& words) {
    EXPECT_EQ(s.code(), status_code::invalid_argument);
    for (const std::string& word : words)
      EXPECT_NE(s.message().find(word), std::string::npos) << s.message() << " lacks " << word;
    for (const e2m1x2 pair : pairs) EXPECT_EQ(pair.bits(), 0x5A);
    for (const e2m1 value : values) EXPECT_EQ(value.bits(), 1);
  };
  refused(cpu::pack_n(values, std::span<e2m1x2>(pairs).first(4)), {"pack_n", "10", "5", "4"});
  refused(cpu::pack_n(values, std::span<e2m1x2>(pairs).first(6)), {"10", "5", "6"});
  refused(cpu::pack_n(std::span<const e2m1>(values).first(9), std::span<e2m1x2>(pairs).first(4)), {"9", "5", "4"});
  refused(cpu::unpack_n(std::span<const e2m1x2>(pairs).first(4), values), {"unpack_n", "10", "5", "4"});
  refused(cpu::pack_n(std::span<const e2m1>(static_cast<const e2m1*>(nullptr), 10), std::span<e2m1x2>(pairs).first(5)),
          {"values are null", "10"});
  refused(cpu::pack_n(values, std::span<e2m1x2>(static_cast<e2m1x2*>(nullptr), 5)), {"pairs are null", "10"});
  refused(cpu::unpack_n(std::span<const e2m1x2>(static_cast<const e2m1x2*>(nullptr), 5), values), {"null", "10"});
  refused(cpu::pack_n(values, std::span<e2m1x2>(reinterpret_cast<e2m1x2*>(values.data()) + 9, 5)), {"overlap", "10"});
  EXPECT_TRUE(cpu::pack_n(std::span<const e2m1>(), std::span<e2m1x2>()).ok());
  EXPECT_TRUE(cpu::unpack_n(std::span<const e2m1x2>(), std::span<e2m1>()).ok());
}

}  // namespace
