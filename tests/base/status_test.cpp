// SPDX-License-Identifier: MIT
#include <quaver/base/status.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <type_traits>

namespace {

using namespace quaver;

TEST(Status, is_ok_and_silent_unless_told_otherwise) {
  const status fine;
  EXPECT_TRUE(fine.ok());
  EXPECT_TRUE(static_cast<bool>(fine));
  EXPECT_EQ(fine.code(), status_code::ok);
  EXPECT_TRUE(fine.message().empty());
}

TEST(Status, carries_the_code_and_the_sentence_of_a_failure) {
  const status failed(status_code::invalid_argument, "3 values do not fit into 2");
  EXPECT_FALSE(failed.ok());
  EXPECT_FALSE(static_cast<bool>(failed));
  EXPECT_EQ(failed.code(), status_code::invalid_argument);
  EXPECT_EQ(failed.message(), "3 values do not fit into 2");
}

TEST(Status, says_by_its_type_that_nothing_throws) {
  static_assert(std::is_nothrow_default_constructible_v<status> && std::is_nothrow_move_constructible_v<status>);
  static_assert(!std::is_convertible_v<status, bool>, "`if (s)` is meant, arithmetic on it is not");
  SUCCEED();
}

TEST(Result, holds_a_value) {
  result<int> seven = 7;
  ASSERT_TRUE(seven.ok());
  EXPECT_TRUE(static_cast<bool>(seven));
  EXPECT_EQ(seven.value(), 7);
  *seven += 1;
  EXPECT_EQ(*seven, 8);
  EXPECT_TRUE(seven.error().ok());
  EXPECT_TRUE(seven.message().empty());
}

TEST(Result, holds_the_reason_why_there_is_no_value) {
  const result<int> none = status(status_code::not_found, "no tensor named \"lm_head\"");
  EXPECT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), status_code::not_found);
  EXPECT_EQ(none.message(), "no tensor named \"lm_head\"");
  EXPECT_EQ(none.value(), 0);  // default-made, as documented
}

TEST(Result, moves_a_value_out_that_cannot_be_copied) {
  result<std::unique_ptr<int>> owner = std::make_unique<int>(5);
  EXPECT_EQ(*owner->get(), 5);
  const std::unique_ptr<int> taken = std::move(owner).value();
  EXPECT_EQ(*taken, 5);
}

TEST(Result, gives_access_to_members) {
  const result<std::string> text = std::string("abc");
  EXPECT_EQ(text->size(), 3u);
}

}  // namespace
