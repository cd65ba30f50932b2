// SPDX-License-Identifier: MIT
#include "threads.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace {

using namespace quaver;

TEST(Executor, by_default_runs_every_part_in_order_in_the_calling_thread) {
  const cpu::executor here;
  EXPECT_EQ(here.width, 1u);
  std::vector<size_t> parts;
  const std::thread::id caller = std::this_thread::get_id();
  here.for_each(5, [&](size_t i) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    parts.push_back(i);
  });
  EXPECT_EQ(parts, (std::vector<size_t>{0, 1, 2, 3, 4}));
  here.for_each(0, [](size_t) { FAIL() << "there is no part"; });
}

TEST(Executor, runs_every_part_once_whatever_the_threads) {
  for (const size_t width : {1u, 2u, 3u, 7u}) {
    for (const size_t count : {0u, 1u, 2u, 7u, 100u}) {
      std::vector<std::atomic<int>> ran(count);
      quaver_test::threads(width).for_each(count, [&](size_t i) { ++ran[i]; });
      for (const std::atomic<int>& times : ran) EXPECT_EQ(times, 1);
    }
  }
  std::vector<size_t> parts;
  quaver_test::backwards(3).for_each(3, [&](size_t i) { parts.push_back(i); });
  EXPECT_EQ(parts, (std::vector<size_t>{2, 1, 0}));
}

TEST(Executor, a_single_part_needs_no_thread) {
  cpu::executor never;
  never.width = 4;
  never.run   = nullptr;
  int ran     = 0;
  never.for_each(1, [&](size_t) { ++ran; });
  EXPECT_EQ(ran, 1);
}

TEST(Executor, parts_of_a_range_follow_one_another_and_differ_by_one_at_most) {
  for (int64_t count = 0; count < 40; ++count) {
    for (size_t parts = 1; parts < 9; ++parts) {
      int64_t at = 0;
      for (size_t i = 0; i < parts; ++i) {
        const cpu::part p = cpu::part_of(count, parts, i);
        EXPECT_EQ(p.begin, at);
        EXPECT_GE(p.end - p.begin, count / static_cast<int64_t>(parts));
        EXPECT_LE(p.end - p.begin, count / static_cast<int64_t>(parts) + 1);
        at = p.end;
      }
      EXPECT_EQ(at, count);
    }
  }
}

}  // namespace
