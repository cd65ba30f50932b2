// SPDX-License-Identifier: MIT
#include <quaver/convert/members.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <type_traits>
#include <vector>

namespace {

using namespace quaver;

TEST(ScaledMatrix, knows_which_pointers_its_layout_asks_for) {
  float scale = 1;
  e8m0 power  = e8m0::from_bits(127);
  e4m3 level  = e4m3::from_bits(0x38);
  scaled_matrix<e4m3> m;
  EXPECT_FALSE(m.has_scales());
  m.scales = &scale;
  EXPECT_TRUE(m.has_scales());
  m.layout = mx_1x32;
  EXPECT_FALSE(m.has_scales()) << "a pointer of the other type does not count";
  m.scales_e8m0 = &power;
  EXPECT_TRUE(m.has_scales());
  m.layout      = nvfp4_1x16;
  m.scales_e4m3 = &level;
  EXPECT_FALSE(m.has_scales()) << "two levels, two pointers";
  m.tensor_wide = &scale;
  EXPECT_TRUE(m.has_scales());
}

TEST(ScaledMatrix, finds_the_multiplier_of_every_element) {
  for (const scale_order order : {scale_order::row_major, scale_order::column_major}) {
    constexpr int64_t rows = 5;
    constexpr int64_t cols = 7;
    std::vector<e4m3> codes(rows * cols);
    const scale_layout layout{.block_rows = 2, .block_cols = 3, .order = order};
    std::vector<float> scales(static_cast<size_t>(layout.scale_count(rows, cols)));
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i) + 0.5f;
    scaled_matrix<const e4m3> m;
    m.values = {codes.data(), rows, cols};
    m.layout = layout;
    m.scales = scales.data();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const int64_t at = order == scale_order::row_major ? r / 2 * 3 + c / 3 : c / 3 * 3 + r / 2;
        EXPECT_EQ(m.dequant(r, c), static_cast<float>(at) + 0.5f);
      }
    }
  }
}

TEST(ScaledMatrix, decodes_scales_of_each_type) {
  e2m1 codes[32]         = {};
  const e8m0 powers[2]   = {e8m0::from_bits(0), e8m0::from_bits(0xFF)};
  const e4m3 levels[2]   = {e4m3::from_bits(0x01), (e4m3::max)()};
  const float tensor     = 0x1.000002p-140f;
  scaled_matrix<const e2m1> m;
  m.values      = {codes, 1, 32};
  m.layout      = {.block_rows = 1, .block_cols = 16, .type = scale_type::mx_e8m0};
  m.scales_e8m0 = powers;
  EXPECT_EQ(m.dequant(0, 15), 0x1p-127f);
  EXPECT_TRUE(std::isnan(m.dequant(0, 16)));
  m.layout      = nvfp4_1x16;
  m.scales_e4m3 = levels;
  m.tensor_wide = &tensor;
  EXPECT_EQ(m.dequant(0, 0), 0x1p-149f) << "rounded as a subnormal, to even";
  EXPECT_EQ(m.dequant(0, 31), 448.0f * tensor);
}

TEST(ScaledMatrix, becomes_read_only_with_all_its_scales) {
  static_assert(std::is_convertible_v<scaled_matrix<e4m3>, scaled_matrix<const e4m3>>);
  static_assert(!std::is_convertible_v<scaled_matrix<const e4m3>, scaled_matrix<e4m3>>);
  static_assert(!std::is_convertible_v<scaled_matrix<e4m3>, scaled_matrix<const e5m2>>);
  static_assert(std::is_same_v<decltype(scaled_matrix<const e4m3>{}.scales), const float*>);
  static_assert(std::is_same_v<decltype(scaled_matrix<e4m3>{}.scales_e8m0), e8m0*>);
  static_assert(std::is_trivially_copyable_v<scaled_matrix<e4m3>>, "kernels take it by value");
  float scale = 1;
  e8m0 power  = e8m0::from_bits(127);
  e4m3 code   = e4m3::from_bits(0);
  scaled_matrix<e4m3> m;
  m.values      = {&code, 1, 1, 9, 4};
  m.layout      = nvfp4_1x16;
  m.scales      = &scale;
  m.scales_e8m0 = &power;
  m.scales_e4m3 = &code;
  m.tensor_wide = &scale;
  const scaled_matrix<const e4m3> read = m;
  EXPECT_EQ(read.values.data, &code);
  EXPECT_EQ(read.values.col_stride, 4);
  EXPECT_EQ(read.layout, nvfp4_1x16);
  EXPECT_EQ(read.scales, &scale);
  EXPECT_EQ(read.scales_e8m0, &power);
  EXPECT_EQ(read.scales_e4m3, &code);
  EXPECT_EQ(read.tensor_wide, &scale);
}

}  // namespace
