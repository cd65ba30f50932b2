// SPDX-License-Identifier: MIT
#include <quaver/scale/sqnr.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace quaver;

TEST(Sqnr, is_ten_decibels_for_each_factor_of_ten_in_power) {
  cast_stats stats;
  stats.sum_x2 = 1000;
  for (int decade = 0; decade <= 6; ++decade) {
    stats.sum_error2 = std::pow(10.0, 3 - decade);
    EXPECT_NEAR(sqnr_db(stats), 10.0 * decade, 1e-12);
  }
}

TEST(Sqnr, is_infinite_where_nothing_was_lost_and_negative_where_the_error_is_larger) {
  cast_stats stats;
  EXPECT_EQ(sqnr_db(stats), INFINITY);
  stats.sum_x2 = 2;
  EXPECT_EQ(sqnr_db(stats), INFINITY);
  stats.sum_error2 = 4;
  EXPECT_LT(sqnr_db(stats), -3.0);
}

TEST(Sqnr, of_merged_parts_is_that_of_the_whole) {
  cast_stats a, b;
  a.sum_x2 = 3, a.sum_error2 = 0.25;
  b.sum_x2 = 5, b.sum_error2 = 0.5;
  a.merge(b);
  EXPECT_DOUBLE_EQ(sqnr_db(a), 10.0 * std::log10(8.0 / 0.75));
}

}  // namespace
