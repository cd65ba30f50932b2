// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/format/classify.hpp>
#include <quaver/format/packed.hpp>

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#if __has_include(<stdfloat>)
#include <stdfloat>
#endif

#ifndef QUAVER_TEST_CUDA_HEADERS
#define QUAVER_TEST_CUDA_HEADERS 0
#endif
#if QUAVER_TEST_CUDA_HEADERS
// cuda_fp16.h has a global `half` too, so this file writes quaver::half.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>
#endif

namespace {

using namespace quaver_test;

template <class F>
class Layout : public ::testing::Test {};
TYPED_TEST_SUITE(Layout, every_format, definition_names);

TYPED_TEST(Layout, is_that_of_a_plain_byte_or_two) {
  constexpr definition d = definition_of<TypeParam>;
  constexpr int width    = d.exponent_bits + d.mantissa_bits + (same_type<TypeParam, e8m0> ? 0 : 1);
  static_assert(TypeParam::width == width);
  static_assert(sizeof(TypeParam) == (width <= 8 ? 1 : 2) && alignof(TypeParam) == sizeof(TypeParam));
  static_assert(sizeof(std::array<TypeParam, 5>) == 5 * sizeof(TypeParam));
  static_assert(std::is_trivial_v<TypeParam> && std::is_trivially_copyable_v<TypeParam>);
  static_assert(std::is_standard_layout_v<TypeParam> && std::is_nothrow_default_constructible_v<TypeParam>);
  // Every bit of the storage belongs to the value, so the object may be compared and hashed as bytes.
  static_assert(std::has_unique_object_representations_v<TypeParam>);
  SUCCEED();
}

TYPED_TEST(Layout, shows_the_bits_it_was_made_from_in_memory) {
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    const TypeParam f = from_code<TypeParam>(code);
    ASSERT_EQ(f.bits(), static_cast<unsigned>(code));
    typename TypeParam::storage stored;
    std::memcpy(&stored, &f, sizeof f);
    ASSERT_EQ(stored, f.bits());
  }
}

TYPED_TEST(Layout, leaves_the_bits_above_the_format_zero) {
  for (int code = 0; code < (1 << (8 * sizeof(TypeParam))); ++code) {
    ASSERT_EQ(from_code<TypeParam>(code).bits(), static_cast<unsigned>(code % code_count<TypeParam>())) << code;
  }
}

TYPED_TEST(Layout, does_not_convert_without_being_asked) {
  static_assert(!std::is_convertible_v<float, TypeParam> && !std::is_convertible_v<TypeParam, float>);
  static_assert(!std::is_convertible_v<int, TypeParam> && !std::is_convertible_v<TypeParam, bool>);
  static_assert(std::is_constructible_v<TypeParam, float> && std::is_constructible_v<float, TypeParam>);
  static_assert(std::is_constructible_v<TypeParam, long long> && std::is_constructible_v<TypeParam, quaver::half>);
  static_assert(!std::is_constructible_v<TypeParam, bool> && !std::is_constructible_v<TypeParam, char>);
  static_assert(!std::is_constructible_v<TypeParam, const char*> && !std::is_constructible_v<TypeParam, void*>);
  SUCCEED();
}

TEST(Layout, of_a_packed_pair_keeps_the_first_value_in_the_low_nibble) {
  for (int code = 0; code < 256; ++code) {
    const e2m1x2 pair = e2m1x2::from_bits(static_cast<uint8_t>(code));
    EXPECT_EQ(pair.bits(), code);
    EXPECT_EQ(pair.low().bits(), code % 16);
    EXPECT_EQ(pair.high().bits(), code / 16);
    EXPECT_EQ(e2m1x2(pair.low(), pair.high()).bits(), code);
  }
  static_assert(sizeof(e2m1x2) == 1 && std::is_trivial_v<e2m1x2>);
}

/// Every code of `Ours` means to `Theirs`, bit for bit, what it means here; NaN is NaN. `widen` makes a float of a
/// Theirs.
template <class Ours, class Theirs, class Widen>
void expect_the_same_values(Widen widen) {
  static_assert(sizeof(Ours) == sizeof(Theirs) && alignof(Ours) == alignof(Theirs));
  for (int code = 0; code < code_count<Ours>(); ++code) {
    const Ours ours     = from_code<Ours>(code);
    const Theirs theirs = std::bit_cast<Theirs>(ours);
    const float x       = decode<float>(ours);
    const float y       = widen(theirs);
    if (isnan(ours)) {
      ASSERT_NE(y, y) << code;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(x), std::bit_cast<uint32_t>(y)) << code;
    }
  }
}

TEST(Layout, of_half_is_that_of_the_compilers_Float16) {
#if defined(__FLT16_MANT_DIG__) && (defined(__clang__) || __GNUC__ >= 13)
  using theirs = decltype(__extension__ _Float16{});
  expect_the_same_values<quaver::half, theirs>([](theirs x) { return static_cast<float>(x); });
  // And back: their cast is to nearest even without saturation.
  for (uint32_t i = 0; i < 65536; ++i) {
    const uint32_t bits     = 0x3300'0000u + i * 0x1FF7u;  // from 2^-25 to far beyond 65504
    const float x           = std::bit_cast<float>(bits & 0x7FFF'FFFFu);
    const quaver::half ours = encode<quaver::half, rounding::nearest_even, overflow::nonfinite>(x);
    if (!isnan(ours)) {
      ASSERT_EQ(std::bit_cast<quaver::half>(static_cast<theirs>(x)).bits(), ours.bits()) << x;
    }
  }
#else
  GTEST_SKIP() << "this compiler has no _Float16 in C++";
#endif
}

TEST(Layout, of_half_and_bfloat16_is_that_of_the_standards_types) {
#if defined(__STDCPP_FLOAT16_T__) && defined(__STDCPP_BFLOAT16_T__) && __has_include(<stdfloat>)
  expect_the_same_values<quaver::half, std::float16_t>([](std::float16_t x) { return static_cast<float>(x); });
  expect_the_same_values<bfloat16, std::bfloat16_t>([](std::bfloat16_t x) { return static_cast<float>(x); });
#else
  GTEST_SKIP() << "this compiler has no std::float16_t and std::bfloat16_t (C++23, gcc 13)";
#endif
}

TEST(Layout, of_each_format_that_cuda_knows_is_that_of_its_headers) {
#if QUAVER_TEST_CUDA_HEADERS
  const auto from_half = [](__half_raw h) { return __half2float(__half(h)); };
  expect_the_same_values<quaver::half, __half>([](__half x) { return __half2float(x); });
  expect_the_same_values<bfloat16, __nv_bfloat16>([](__nv_bfloat16 x) { return __bfloat162float(x); });
  expect_the_same_values<e4m3, __nv_fp8_e4m3>(
      [&](__nv_fp8_e4m3 x) { return from_half(__nv_cvt_fp8_to_halfraw(x.__x, __NV_E4M3)); });
  expect_the_same_values<e5m2, __nv_fp8_e5m2>(
      [&](__nv_fp8_e5m2 x) { return from_half(__nv_cvt_fp8_to_halfraw(x.__x, __NV_E5M2)); });
  expect_the_same_values<e8m0, __nv_fp8_e8m0>([](__nv_fp8_e8m0 x) { return static_cast<float>(x); });
  expect_the_same_values<e2m1, __nv_fp4_e2m1>(
      [&](__nv_fp4_e2m1 x) { return from_half(__nv_cvt_fp4_to_halfraw(x.__x, __NV_E2M1)); });
#else
  GTEST_SKIP() << "the CUDA toolkit's headers were not found when this test was built";
#endif
}

}  // namespace
