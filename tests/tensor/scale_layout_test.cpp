// SPDX-License-Identifier: MIT
#include <quaver/tensor/scale_layout.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

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

/// cuBLAS's "1D block scaling factors layout", as its documentation has it: the way back from an offset within a tile to
/// outer (row) and inner (column), and where the tile with the corner (sf_outer, sf_inner) begins.
void check_tiles(const scale_layout& layout, int64_t rows, int64_t cols) {
  const int64_t down    = layout.scale_rows(rows);
  const int64_t right   = layout.scale_cols(cols);
  const int64_t per_row = (right + 3) / 4 * 4;
  std::vector<int> seen(static_cast<size_t>(layout.scale_count(rows, cols)));
  ASSERT_EQ(static_cast<int64_t>(seen.size()), (down + 127) / 128 * 128 * per_row);
  ASSERT_EQ(layout.block_count(rows, cols), down * right);
  for (int64_t tile_down = 0; tile_down * 128 < down; ++tile_down) {
    for (int64_t sf_inner = 0; sf_inner < right; sf_inner += 4) {
      const int64_t begin = (sf_inner + tile_down * per_row) * 128;
      for (int64_t offset = 0; offset < 512; ++offset) {
        const int64_t r = tile_down * 128 + offset % 16 / 4 * 32 + offset / 16;
        const int64_t c = sf_inner + offset % 4;
        ++seen[static_cast<size_t>(begin + offset)];
        if (r >= down || c >= right) continue;
        const int64_t row = r * layout.rows_per_block(rows);
        const int64_t col = c * layout.cols_per_block(cols);
        ASSERT_EQ(layout.index(row, col, rows, cols), begin + offset) << r << ", " << c;
        ASSERT_EQ(layout.places(rows, cols).at(r, c), begin + offset) << r << ", " << c;
        // The last element of the block has the same scale.
        const int64_t row_end = (std::min)(row + layout.rows_per_block(rows), rows);
        const int64_t col_end = (std::min)(col + layout.cols_per_block(cols), cols);
        ASSERT_EQ(layout.index(row_end - 1, col_end - 1, rows, cols), begin + offset) << r << ", " << c;
      }
    }
  }
  for (const int times : seen) ASSERT_EQ(times, 1);
}

TEST(ScaleLayout, tiles_lie_as_cublas_documents_them) {
  for (const scale_layout& layout :
       {mx_1x32_tiles, nvfp4_1x16_tiles,
        scale_layout{.block_rows = 16, .block_cols = 16, .order = scale_order::tiles_128x4},
        scale_layout{.block_rows = 3, .block_cols = 5, .order = scale_order::tiles_128x4},
        scale_layout{.order = scale_order::tiles_128x4}}) {
    for (const int64_t rows : {1, 2, 31, 32, 33, 127, 128, 129, 300, 513}) {
      for (const int64_t cols : {1, 16, 17, 64, 65, 128, 129, 400})
        ASSERT_NO_FATAL_FAILURE(check_tiles(layout, rows, cols)) << rows << " x " << cols;
    }
  }
}

TEST(ScaleLayout, tiles_do_not_wrap_beyond_32_bits) {
  constexpr int64_t rows = 3'000'000'001;
  constexpr int64_t cols = 5'000'000'000;  // 156,250,000 blocks of 32
  EXPECT_EQ(mx_1x32_tiles.scale_count(rows, cols), 3'000'000'128 * 156'250'000);
  EXPECT_EQ(mx_1x32_tiles.index(rows - 1, cols - 1, rows, cols),
            23'437'500 * int64_t{128} * 156'250'000 + 39'062'499 * int64_t{512} + 3);
}

TEST(ScaleLayout, an_empty_matrix_has_no_scale) {
  for (const scale_layout& layout :
       {per_tensor, per_row, blocks_1x128, blocks_128x128, mx_1x32, nvfp4_1x16, mx_1x32_tiles, nvfp4_1x16_tiles}) {
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
