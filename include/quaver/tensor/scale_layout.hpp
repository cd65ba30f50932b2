// SPDX-License-Identifier: MIT
#ifndef QUAVER_TENSOR_SCALE_LAYOUT_HPP
#define QUAVER_TENSOR_SCALE_LAYOUT_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// What a scale is stored as.
enum class scale_type : uint8_t {
  f32,         ///< binary32
  mx_e8m0,     ///< a power of two in a byte (MX)
  nvfp4_e4m3,  ///< E4M3 under one binary32 for the whole tensor (NVFP4)
};

/// How the matrix of scales lies in memory.
enum class scale_order : uint8_t {
  row_major,     ///< the scales of one row of blocks beside each other
  column_major,  ///< the scales of one column of blocks beside each other (MN-major, as GEMM kernels load 1x128 scales)
  /// Tiles of 128 rows x 4 columns of scales, tiles row-major; in a tile, row r and column c stand at
  /// r % 32 * 16 + r / 32 * 4 + c. What cuBLASLt and the matrix units from compute capability 10.0 on read for MX and
  /// NVFP4 ("1D block scaling factors layout"). Tiles at the lower and right edge are whole: what pads them is zero.
  tiles_128x4,
};

/// Where scales stand, by the row and the column of their block: the sum of a part for each. In every order both parts are
/// steps times the digits of the number, that of the row to the bases 32 and 4, that of the column to the base 4, so
/// kernels need not ask which order it is.
class scale_places {
 public:
  static constexpr int64_t tile_rows = 128;
  static constexpr int64_t tile_cols = 4;

  constexpr scale_places() noexcept = default;  ///< one scale for all
  /// Of a matrix of scales of this shape.
  QUAVER_HOST_DEVICE constexpr scale_places(scale_order order, int64_t down, int64_t right) noexcept {
    switch (order) {
      case scale_order::row_major: linear(right, 1); break;
      case scale_order::column_major: linear(1, down); break;
      case scale_order::tiles_128x4:
        row_        = 16;
        group_      = 4;
        tile_down_  = whole_tiles(right, tile_cols) * tile_rows;
        col_        = 1;
        tile_right_ = tile_rows * tile_cols;
        break;
    }
  }

  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t of_row(int64_t r) const noexcept {
    return (r >> 7) * tile_down_ + (r >> 5 & 3) * group_ + (r & 31) * row_;
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t of_col(int64_t c) const noexcept {
    return (c >> 2) * tile_right_ + (c & 3) * col_;
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t at(int64_t r, int64_t c) const noexcept {
    return of_row(r) + of_col(c);
  }

  /// `count` rounded up to a multiple of `tile`.
  QUAVER_HOST_DEVICE static constexpr int64_t whole_tiles(int64_t count, int64_t tile) noexcept {
    return (count + tile - 1) / tile * tile;
  }

 private:
  QUAVER_HOST_DEVICE constexpr void linear(int64_t down, int64_t right) noexcept {
    row_        = down;
    group_      = 32 * down;
    tile_down_  = tile_rows * down;
    col_        = right;
    tile_right_ = tile_cols * right;
  }

  int64_t row_        = 0;
  int64_t group_      = 0;  ///< 32 rows
  int64_t tile_down_  = 0;
  int64_t col_        = 0;
  int64_t tile_right_ = 0;
};
static_assert(scale_places(scale_order::tiles_128x4, 300, 9).at(128 + 65, 6) == 512 * (3 + 1) + 16 + 2 * 4 + 2);
static_assert(scale_places(scale_order::row_major, 300, 9).at(193, 6) == 193 * 9 + 6);
static_assert(scale_places(scale_order::column_major, 300, 9).at(193, 6) == 6 * 300 + 193);

/// Which values share a scale: blocks of block_rows x block_cols, 0 meaning the whole axis. Blocks at the lower and
/// right edge are cut off. Tensor-wise, row-wise, 1x128, 128x128, MX and NVFP4 differ in values alone.
struct scale_layout {
  int block_rows    = 0;
  int block_cols    = 0;
  scale_type type   = scale_type::f32;
  scale_order order = scale_order::row_major;

  friend constexpr bool operator==(const scale_layout&, const scale_layout&) = default;

  /// Rows of the matrix of scales of a matrix with this many rows; the same for columns.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t scale_rows(int64_t rows) const noexcept {
    return blocks(rows, block_rows);
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t scale_cols(int64_t cols) const noexcept {
    return blocks(cols, block_cols);
  }
  /// How many blocks, and so scales that count.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t block_count(int64_t rows, int64_t cols) const noexcept {
    return scale_rows(rows) * scale_cols(cols);
  }
  /// How many scales lie in memory: with those that pad tiles.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t scale_count(int64_t rows, int64_t cols) const noexcept {
    if (order != scale_order::tiles_128x4) return block_count(rows, cols);
    return scale_places::whole_tiles(scale_rows(rows), scale_places::tile_rows) *
           scale_places::whole_tiles(scale_cols(cols), scale_places::tile_cols);
  }
  /// Where the scale of a block stands, for who counts blocks.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr scale_places places(int64_t rows, int64_t cols) const noexcept {
    return {order, scale_rows(rows), scale_cols(cols)};
  }

  /// Extents of one block in a matrix of this shape, before it is cut off at the edges.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t rows_per_block(int64_t rows) const noexcept {
    return extent(rows, block_rows);
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t cols_per_block(int64_t cols) const noexcept {
    return extent(cols, block_cols);
  }

  /// Where the scale of element (row, col) of a rows x cols matrix stands.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t index(int64_t row, int64_t col, int64_t rows,
                                                           int64_t cols) const noexcept {
    const int64_t r = block_rows == 0 ? 0 : row / block_rows;
    const int64_t c = block_cols == 0 ? 0 : col / block_cols;
    return places(rows, cols).at(r, c);
  }

 private:
  QUAVER_HOST_DEVICE static constexpr int64_t blocks(int64_t extent, int block) noexcept {
    if (block == 0) return extent != 0 ? 1 : 0;
    return extent / block + (extent % block != 0 ? 1 : 0);  // no sum that could overflow
  }
  QUAVER_HOST_DEVICE static constexpr int64_t extent(int64_t whole, int block) noexcept {
    return block == 0 ? whole : block;
  }
};

/// One scale for everything.
inline constexpr scale_layout per_tensor{};
/// One scale a row: per token for activations, per output channel for weights stored N x K.
inline constexpr scale_layout per_row{.block_rows = 1};
/// DeepSeek's activations and weights.
inline constexpr scale_layout blocks_1x128{.block_rows = 1, .block_cols = 128};
inline constexpr scale_layout blocks_128x128{.block_rows = 128, .block_cols = 128};
/// OCP MX: 32 values along K share an E8M0 power of two.
inline constexpr scale_layout mx_1x32{.block_rows = 1, .block_cols = 32, .type = scale_type::mx_e8m0};
/// NVFP4: 16 values along K share an E4M3 scale, all of them a binary32.
inline constexpr scale_layout nvfp4_1x16{.block_rows = 1, .block_cols = 16, .type = scale_type::nvfp4_e4m3};
/// The same as GEMMs on compute capability 10.0 and later read them.
inline constexpr scale_layout mx_1x32_tiles{
    .block_rows = 1, .block_cols = 32, .type = scale_type::mx_e8m0, .order = scale_order::tiles_128x4};
inline constexpr scale_layout nvfp4_1x16_tiles{
    .block_rows = 1, .block_cols = 16, .type = scale_type::nvfp4_e4m3, .order = scale_order::tiles_128x4};

static_assert(blocks_128x128.scale_count(129, 256) == 4 && per_row.scale_count(5, 7) == 5 &&
              per_tensor.scale_count(5, 7) == 1);
static_assert(mx_1x32_tiles.scale_count(129, 160) == 256 * 8 && mx_1x32_tiles.block_count(129, 160) == 129 * 5);

QUAVER_END_NAMESPACE

#endif
