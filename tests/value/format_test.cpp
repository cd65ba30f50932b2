// SPDX-License-Identifier: MIT
#include "../format/values.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/value/format.hpp>

#if defined(__cpp_lib_format)
#include <format>
#endif

#include <string>

namespace {

using namespace quaver_test;

#if defined(__cpp_lib_format)

template <class F>
class Format : public ::testing::Test {};
TYPED_TEST_SUITE(Format, every_format, definition_names);

TYPED_TEST(Format, shows_what_to_chars_gives) {
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    const TypeParam f = from_code<TypeParam>(code);
    char text[64];
    const std::string expected(text, to_chars(text, text + sizeof text, f).ptr);
    ASSERT_EQ(std::format("{}", f), expected) << code;
    ASSERT_EQ(std::format("{:>12}", f), std::string(12 - expected.size(), ' ') + expected) << code;
  }
}

TYPED_TEST(Format, shows_the_exact_value_where_a_type_or_a_precision_is_given) {
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    const TypeParam f  = from_code<TypeParam>(code);
    const double value = value_of<TypeParam>(code);
    if (std::isnan(value)) continue;
    ASSERT_EQ(std::format("{:.3}", f), std::format("{:.3}", value)) << code;
    ASSERT_EQ(std::format("{:e}", f), std::format("{:e}", value)) << code;
    ASSERT_EQ(std::format("{:<+12.2F}", f), std::format("{:<+12.2F}", value)) << code;
    ASSERT_EQ(std::format("{:a}", f), std::format("{:a}", value)) << code;
  }
}

TEST(Format, takes_the_specification_of_floats) {
  const e4m3 f(0.40625);
  EXPECT_EQ(std::format("{:+}|{: }|{:08}|{:*^9}|{:>{}}", f, f, f, f, f, 5), "+0.4| 0.4|000000.4|***0.4***|  0.4");
  EXPECT_EQ(std::format("{:f<6}", f), "0.4fff") << "a fill is not a type";
  EXPECT_EQ(std::format("{:.<6}", f), "0.4...") << "nor a precision";
  EXPECT_EQ(std::format("{:.<8.4f}", f), "0.4062..");
  EXPECT_EQ(std::format("{:g} {:.1f} {:.{}f}", f, f, f, 3), "0.40625 0.4 0.406");
  EXPECT_EQ(std::format("{} {} {}", e4m3::nan(), -e4m3::nan(), -e5m2::infinity()), "nan -nan -inf");
  EXPECT_EQ(std::format(L"{:>5}", f), L"  0.4");
}

#else

TEST(Format, needs_a_standard_library_with_std_format) { GTEST_SKIP() << "this one has no <format>"; }

#endif

}  // namespace
