// SPDX-License-Identifier: MIT
#include <quaver/base/config.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <typeinfo>

QUAVER_BEGIN_NAMESPACE
struct resident {};
QUAVER_END_NAMESPACE

namespace {

// -Wundef turns a macro that is not defined into an error; these comparisons do the rest.
TEST(Config, defines_every_feature_macro_to_zero_or_one) {
  static_assert(QUAVER_NVRTC == 0 || QUAVER_NVRTC == 1);
  static_assert(QUAVER_CUDA == 0 || QUAVER_CUDA == 1);
  static_assert(QUAVER_DEVICE_CODE == 0 || QUAVER_DEVICE_CODE == 1);
  static_assert(QUAVER_FP8_INSTRUCTIONS == 0 && QUAVER_FP4_INSTRUCTIONS == 0 && QUAVER_WGMMA == 0, "this is host code");
  static_assert(QUAVER_X86_64 == 0 || QUAVER_X86_64 == 1);
  static_assert(QUAVER_AARCH64 == 0 || QUAVER_AARCH64 == 1);
  static_assert(QUAVER_X86_64 + QUAVER_AARCH64 <= 1);
  static_assert(QUAVER_FINITE_MATH == 0 || QUAVER_FINITE_MATH == 1);
  static_assert(QUAVER_CPLUSPLUS >= 202002L);
#if defined(__x86_64__)
  static_assert(QUAVER_X86_64 == 1);
#endif
#if defined(__aarch64__)
  static_assert(QUAVER_AARCH64 == 1);
#endif
  SUCCEED();
}

TEST(Version, is_one_number_that_orders_releases) {
  static_assert(QUAVER_VERSION == 10000 * QUAVER_VERSION_MAJOR + 100 * QUAVER_VERSION_MINOR + QUAVER_VERSION_PATCH);
  static_assert(QUAVER_VERSION_MINOR < 100 && QUAVER_VERSION_PATCH < 100);
  SUCCEED();
}

TEST(Version, stands_in_every_symbol_and_in_no_name_that_users_write) {
  const std::string_view symbol = typeid(quaver::resident).name();  // without the inline namespace in the source
  const std::string expected = "v" + std::to_string(QUAVER_VERSION_MAJOR) + "_" + std::to_string(QUAVER_VERSION_MINOR);
  EXPECT_NE(symbol.find(expected), std::string_view::npos) << symbol;
}

}  // namespace
