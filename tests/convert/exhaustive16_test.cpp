// SPDX-License-Identifier: MIT
#include "../reference/modes.hpp"

#include <cmath>

namespace {

using namespace quaver;
using quaver_test::mismatches;
using quaver_test::name_of;

template <class F>
class Exhaustive16 : public ::testing::Test {};
TYPED_TEST_SUITE(Exhaustive16, quaver_test::all_formats, quaver_test::format_names);

TYPED_TEST(Exhaustive16, every_half_equals_the_oracle_in_every_mode) {
  mismatches wrong;
  for (unsigned code = 0; code < 65536; ++code) {
    quaver_test::compare_in_every_mode<TypeParam>(half::from_bits(static_cast<uint16_t>(code)), wrong);
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

TYPED_TEST(Exhaustive16, every_bfloat16_equals_the_oracle_in_every_mode) {
  mismatches wrong;
  for (unsigned code = 0; code < 65536; ++code) {
    quaver_test::compare_in_every_mode<TypeParam>(bfloat16::from_bits(static_cast<uint16_t>(code)), wrong);
  }
  EXPECT_EQ(wrong.count(), 0u) << wrong.first();
}

/// The code that an exact double value has as a T: none, or the oracle's nearest even with overflow to infinity.
template <class T, class F>
unsigned expected_code(F f) {
  return reference::encode<T>(reference::from_format(f), rounding::nearest_even, overflow::nonfinite).bits();
}

/// What a static_cast would give, made total: out of range becomes the nearest limit, NaN becomes 0.
template <class Integer>
Integer expected_integer(double x) {
  using limits = std::numeric_limits<Integer>;
  if (std::isnan(x)) return 0;
  if (x >= std::ldexp(1.0, limits::digits)) return (limits::max)();
  if (x <= static_cast<double>((limits::min)())) return (limits::min)();
  return static_cast<Integer>(x);
}

template <class Integer, class F>
void expect_integer(F f) {
  ASSERT_EQ(decode<Integer>(f), expected_integer<Integer>(reference::decode(f))) << "code " << std::hex << +f.bits();
}

TYPED_TEST(Exhaustive16, every_code_decodes_as_the_oracle_says) {
  using F = TypeParam;
  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const F f          = F::from_bits(static_cast<typename F::storage>(code));
    const double value = reference::decode(f);
    const bool nan     = std::isnan(value);
    // Narrowing to float is exact: the least bit of any format is 2^-133.
    const uint32_t as_float  = nan ? 0x7FC0'0000u : bitwise_cast<uint32_t>(static_cast<float>(value));
    const uint64_t as_double = nan ? 0x7FF8'0000'0000'0000u : bitwise_cast<uint64_t>(value);
    ASSERT_EQ(static_cast<double>(static_cast<float>(nan ? 0 : value)), nan ? 0 : value);
    ASSERT_EQ(decode_bits(f), as_float) << "code " << std::hex << code;
    ASSERT_EQ(bitwise_cast<uint32_t>(decode<float>(f)), as_float) << "code " << std::hex << code;
    ASSERT_EQ(bitwise_cast<uint64_t>(decode<double>(f)), as_double) << "code " << std::hex << code;
    ASSERT_EQ(decode<half>(f).bits(), expected_code<half>(f)) << "code " << std::hex << code;
    ASSERT_EQ(decode<bfloat16>(f).bits(), expected_code<bfloat16>(f)) << "code " << std::hex << code;
  }
}

TYPED_TEST(Exhaustive16, every_code_decodes_to_an_integer_as_a_total_static_cast) {
  using F = TypeParam;
  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const F f = F::from_bits(static_cast<typename F::storage>(code));
    expect_integer<int8_t>(f);
    expect_integer<uint8_t>(f);
    expect_integer<int16_t>(f);
    expect_integer<uint16_t>(f);
    expect_integer<int32_t>(f);
    expect_integer<uint32_t>(f);
    expect_integer<int64_t>(f);
    expect_integer<uint64_t>(f);
  }
}

TYPED_TEST(Exhaustive16, every_code_survives_the_way_to_binary32_and_back) {
  using F = TypeParam;
  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const F f    = F::from_bits(static_cast<typename F::storage>(code));
    const F back = encode_bits<F, rounding::nearest_even, overflow::saturate_finite>(decode_bits(f));
    if (f.is_nan()) ASSERT_EQ(back.bits(), F::nan().bits());
    else ASSERT_EQ(back.bits(), code);
  }
}

/// One pair of formats, over all codes of the source.
template <class To, rounding R, overflow O, class From>
void expect_recode() {
  mismatches wrong;
  for (unsigned code = 0; code < 1u << From::width; ++code) {
    const From from   = From::from_bits(static_cast<typename From::storage>(code));
    const To got      = recode<To, R, O>(from);
    const To expected = reference::encode<To>(reference::from_format(from), R, O);
    if (got.bits() != expected.bits()) wrong.note(code, got.bits(), expected.bits(), name_of(R), name_of(O));
  }
  EXPECT_EQ(wrong.count(), 0u) << "from " << name_of<From>() << " to " << name_of<To>() << ": " << wrong.first();
}

TYPED_TEST(Exhaustive16, recoding_every_code_of_every_format_equals_the_oracle) {
  using To = TypeParam;
  quaver_test::for_each_format([]<class From>() {
    expect_recode<To, rounding::nearest_even, overflow::saturate, From>();
    expect_recode<To, rounding::upward, overflow::nonfinite, From>();
    expect_recode<To, rounding::to_odd, overflow::saturate_finite, From>();
  });
}

TYPED_TEST(Exhaustive16, recoding_to_the_same_format_changes_only_nan_payloads) {
  using F = TypeParam;
  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const F f = F::from_bits(static_cast<typename F::storage>(code));
    ASSERT_EQ((recode<F, rounding::upward, overflow::nonfinite>(f).bits()), f.is_nan() ? F::nan().bits() : code);
  }
}

}  // namespace
