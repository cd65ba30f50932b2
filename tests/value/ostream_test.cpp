// SPDX-License-Identifier: MIT
#include <quaver/convert/members.hpp>
#include <quaver/value/ostream.hpp>

#include <gtest/gtest.h>

#include <iomanip>
#include <sstream>
#include <string>

namespace {

using namespace quaver;

template <class... T>
std::string streamed(T... items) {
  std::ostringstream out;
  (out << ... << items);
  return out.str();
}

TEST(Ostream, shows_what_to_chars_gives) {
  EXPECT_EQ(streamed(e4m3(0.3952)), "0.4");
  EXPECT_EQ(streamed((e4m3::max)(), ' ', -e5m2::infinity(), ' ', half::nan(), ' ', e4m3(-0.0)), "448 -inf nan -0");
  EXPECT_EQ(streamed((bfloat16::max)(), ' ', (e8m0::min)(), ' ', e2m1(1.5)), "3.39e+38 6e-39 1.5");
}

TEST(Ostream, keeps_width_and_fill) {
  EXPECT_EQ(streamed(std::setw(6), e4m3(0.4), '|'), "   0.4|");
  EXPECT_EQ(streamed(std::left, std::setfill('.'), std::setw(6), e4m3(-448), '|'), "-448..|");
}

TEST(Ostream, shows_the_exact_value_in_a_notation_that_is_asked_for) {
  EXPECT_EQ(streamed(std::fixed, std::setprecision(5), e4m3(0.40625)), "0.40625");
  EXPECT_EQ(streamed(std::scientific, std::setprecision(2), bfloat16::denorm_min()), "9.18e-41");
  EXPECT_EQ(streamed(std::hexfloat, half(1.5)), "0x1.8p+0");
  EXPECT_EQ(streamed(std::setprecision(2), half(1000.5)), "1000.5") << "a precision alone says nothing";
}

TEST(Ostream, writes_to_wide_streams) {
  std::wostringstream out;
  out << e4m3(0.4);
  EXPECT_EQ(out.str(), L"0.4");
}

}  // namespace
