// SPDX-License-Identifier: MIT
#include <quaver/tensor/scale_layout.hpp>

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

namespace {

using namespace quaver;

/// Blocks by their grid position; every element asked for by brute force.
void check_by_brute_force(const scale_layout& layout, int64_t rows, int64_t cols) {
  std::map<std::pair<int64_t, int64_t>, int64_t> index_of_block;
  std::set<int64_t> indices;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const std::pair<int64_t, int64_t> block{layout.block_rows == 0 ? 0 : r / layout.block_rows,
                                              layout.block_cols == 0 ? 0 : c / layout.block_cols};
      const int64_t index    = layout.index(r, c, rows, cols);
      const auto [at, first] = index_of_block.try_emplace(block, index);
      ASSERT_EQ(at->second, index) << "one block, one scale";
      indices.insert(index);
      if (first) {
        ASSERT_EQ(indices.size(), index_of_block.size()) << "two blocks, two scales";
      }
    }
  }
  const int64_t count = static_cast<int64_t>(index_of_block.size());
  ASSERT_EQ(layout.scale_count(rows, cols), count);
  if (count == 0) return;
  ASSERT_EQ(*indices.begin(), 0);
  ASSERT_EQ(*indices.rbegin(), count - 1);

  // A map is sorted by (block row, block column), which is row-major order; column-major steps over the rows first.
  const int64_t down  = index_of_block.rbegin()->first.first + 1;
  const int64_t right = count / down;
  ASSERT_EQ(layout.scale_rows(rows), down);
  ASSERT_EQ(layout.scale_cols(cols), right);
  for (const auto& [block, index] : index_of_block) {
    ASSERT_EQ(index, layout.order == scale_order::row_major ? block.first * right + block.second
                                                            : block.second * down + block.first);
  }
}

TEST(ScaleLayout, counts_and_indices_match_brute_force_in_both_orders) {
  for (const scale_order order : {scale_order::row_major, scale_order::column_major}) {
    for (const int block_rows : {0, 1, 2, 3, 5, 8}) {
      for (const int block_cols : {0, 1, 2, 4, 7, 9}) {
        const scale_layout layout{.block_rows = block_rows, .block_cols = block_cols, .order = order};
        for (int64_t rows = 0; rows <= 9; ++rows) {
          for (int64_t cols = 0; cols <= 11; ++cols) ASSERT_NO_FATAL_FAILURE(check_by_brute_force(layout, rows, cols));
        }
      }
    }
  }
}

TEST(ScaleLayout, an_empty_matrix_has_no_scale) {
  for (const scale_layout& layout : {per_tensor, per_row, blocks_1x128, blocks_128x128, mx_1x32, nvfp4_1x16}) {
    EXPECT_EQ(layout.scale_count(0, 0), 0);
    EXPECT_EQ(layout.scale_count(0, 7), 0);
    EXPECT_EQ(layout.scale_count(7, 0), 0);
  }
}

TEST(ScaleLayout, the_named_layouts_count_as_their_systems_do) {
  EXPECT_EQ(per_tensor.scale_count(4096, 4096), 1);
  EXPECT_EQ(per_row.scale_count(4096, 11008), 4096);
  EXPECT_EQ(blocks_1x128.scale_count(4, 7168), 4 * 56);
  EXPECT_EQ(blocks_128x128.scale_rows(2112), 17) << "DeepSeek-V3's 2112 x 7168: the last row of blocks is half full";
  EXPECT_EQ(blocks_128x128.scale_cols(7168), 56);
  EXPECT_EQ(mx_1x32.scale_count(3, 65), 9);
  EXPECT_EQ(nvfp4_1x16.scale_count(3, 65), 15);
  EXPECT_EQ(mx_1x32.type, scale_type::mx_e8m0);
  EXPECT_EQ(nvfp4_1x16.type, scale_type::nvfp4_e4m3);
  EXPECT_EQ(per_tensor, scale_layout{});
  EXPECT_NE(per_tensor, per_row);
}

TEST(ScaleLayout, extents_beyond_32_bits_do_not_wrap) {
  constexpr int64_t rows = 3'000'000'000;
  constexpr int64_t cols = 5'000'000'000;
  EXPECT_EQ(blocks_128x128.scale_rows(rows), 23'437'500);
  EXPECT_EQ(blocks_1x128.scale_count(rows, 1), rows);
  EXPECT_EQ(blocks_1x128.index(rows - 1, cols - 1, rows, cols), rows * 39'062'500 - 1);
  EXPECT_EQ((scale_layout{.block_rows = 1, .block_cols = 128, .order = scale_order::column_major}.index(0, cols - 1,
                                                                                                        rows, cols)),
            39'062'499 * rows);
}

TEST(ScaleLayout, block_extents_are_whole_axes_where_the_layout_says_0) {
  EXPECT_EQ(per_tensor.rows_per_block(7), 7);
  EXPECT_EQ(per_tensor.cols_per_block(9), 9);
  EXPECT_EQ(per_row.rows_per_block(7), 1);
  EXPECT_EQ(per_row.cols_per_block(9), 9);
  EXPECT_EQ(blocks_128x128.rows_per_block(7), 128) << "before it is cut off";
}

}  // namespace
