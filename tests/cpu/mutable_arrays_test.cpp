// SPDX-License-Identifier: MIT
#include <quaver/quaver.hpp>

#include <gtest/gtest.h>

#include <vector>

// Inputs that could be written through need no cast to const: what quantize filled goes to dequantize as it stands.

namespace {

using namespace quaver;

TEST(MutableArrays, are_taken_by_every_bulk_function_and_give_what_const_ones_give) {
  std::vector<float> x{1, -2, 3, -4, 5, 6};
  std::vector<e4m3> y(6), again(6);
  std::vector<float> z(6), twice(6);
  const tensor_scale s = current_scale<e4m3>(cpu::amax_n(std::span(x)));
  EXPECT_EQ(s.amax, 6.0f);

  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span(x), s.quant, std::span(y)).ok());
  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(x), s.quant, std::span(again)).ok());
  EXPECT_EQ(y, again);
  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span(x), s.dequant, std::span(again)).ok());
  EXPECT_EQ(y, again);

  ASSERT_TRUE(cpu::decode_n(std::span(y), s.dequant, std::span(z)).ok());
  ASSERT_TRUE(cpu::decode_n(std::span<const e4m3>(y), s.dequant, std::span(twice)).ok());
  EXPECT_EQ(z, twice);

  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span(x), std::span(y)).ok());
  ASSERT_TRUE(cpu::decode_n(std::span(y), std::span(z)).ok());
  EXPECT_EQ(z, x);
}

TEST(MutableArrays, are_taken_by_quantize_and_dequantize) {
  std::vector<float> x{1, -2, 3, -4, 5, 6}, z(6), scales(2);
  std::vector<e4m3> codes(6);
  const scaled_matrix<e4m3> out{.values = {codes.data(), 2, 3}, .layout = per_row, .scales = scales.data()};
  ASSERT_TRUE(cpu::quantize(matrix_view<float>(x.data(), 2, 3), out).ok());
  ASSERT_TRUE(cpu::dequantize(out, matrix_view<float>(z.data(), 2, 3)).ok());
  EXPECT_EQ(z[2], 3.0f);
  EXPECT_EQ(z[5], 6.0f);
}

}  // namespace
