// SPDX-License-Identifier: MIT
#include "../format/values.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/value/hash.hpp>

#include <functional>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace {

using namespace quaver_test;

template <class F>
class Hash : public ::testing::Test {};
TYPED_TEST_SUITE(Hash, every_format, definition_names);

TYPED_TEST(Hash, is_equal_for_equal_values_and_for_no_others) {
  std::set<double> values;
  std::set<std::size_t> hashes;
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    const double value = value_of<TypeParam>(code);
    if (std::isnan(value)) continue;
    values.insert(value);
    hashes.insert(std::hash<TypeParam>{}(from_code<TypeParam>(code)));
  }
  EXPECT_EQ(hashes.size(), values.size());
}

TYPED_TEST(Hash, makes_values_keys) {
  std::unordered_set<TypeParam> seen;
  std::size_t distinct = 0;
  std::set<double> values;
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    if (std::isnan(value_of<TypeParam>(code))) continue;
    const bool fresh = values.insert(value_of<TypeParam>(code)).second;
    ASSERT_EQ(seen.insert(from_code<TypeParam>(code)).second, fresh) << code;
    distinct += fresh;
  }
  EXPECT_EQ(seen.size(), distinct);
}

TEST(Hash, of_both_zeros_is_the_same) {
  EXPECT_EQ(std::hash<e4m3>{}(e4m3(0.0)), std::hash<e4m3>{}(e4m3(-0.0)));
  EXPECT_EQ(std::hash<half>{}(half(0.0)), std::hash<half>{}(half(-0.0)));
  std::unordered_map<bfloat16, int> counts;
  ++counts[bfloat16(0.0)];
  ++counts[bfloat16(-0.0)];
  EXPECT_EQ(counts.at(bfloat16(0.0)), 2);
}

}  // namespace
