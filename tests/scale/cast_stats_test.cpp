// SPDX-License-Identifier: MIT
#include <quaver/scale/cast_stats.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace {

using namespace quaver;

TEST(CastStats, merge_adds_counts_and_sums_and_keeps_the_larger_amax) {
  cast_stats a{.count      = 10,
               .underflow  = 1,
               .saturated  = 2,
               .nan        = 3,
               .infinite   = 4,
               .amax       = 5.0f,
               .sum_x2     = 6.0,
               .sum_error2 = 7.0};
  const cast_stats b{.count      = 1,
                     .underflow  = 20,
                     .saturated  = 30,
                     .nan        = 40,
                     .infinite   = 50,
                     .amax       = 4.0f,
                     .sum_x2     = 0.5,
                     .sum_error2 = 0.25};
  a.merge(b);
  EXPECT_EQ(a.count, 11);
  EXPECT_EQ(a.underflow, 21);
  EXPECT_EQ(a.saturated, 32);
  EXPECT_EQ(a.nan, 43);
  EXPECT_EQ(a.infinite, 54);
  EXPECT_EQ(a.amax, 5.0f);
  EXPECT_EQ(a.sum_x2, 6.5);
  EXPECT_EQ(a.sum_error2, 7.25);
}

TEST(CastStats, merge_ranks_nan_above_infinity_above_numbers_from_either_side) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan      = std::numeric_limits<float>::quiet_NaN();
  const auto merged        = [](float first, float second) {
    cast_stats a;
    cast_stats b;
    a.amax = first;
    b.amax = second;
    a.merge(b);
    return a.amax;
  };
  EXPECT_EQ(merged(1.0f, infinity), infinity);
  EXPECT_EQ(merged(infinity, 1.0f), infinity);
  EXPECT_TRUE(std::isnan(merged(nan, infinity)));
  EXPECT_TRUE(std::isnan(merged(infinity, nan)));
  EXPECT_EQ(merged(0.0f, 0x1p-149f), 0x1p-149f);
  EXPECT_EQ(merged(0.0f, 0.0f), 0.0f);
}

TEST(CastStats, an_empty_part_changes_nothing) {
  cast_stats a{.count = 2, .amax = 3.0f, .sum_x2 = 13.0};
  a.merge({});
  EXPECT_EQ(a.count, 2);
  EXPECT_EQ(a.amax, 3.0f);
  EXPECT_EQ(a.sum_x2, 13.0);
}

}  // namespace
