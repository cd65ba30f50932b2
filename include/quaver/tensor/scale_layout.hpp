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
};

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
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t scale_count(int64_t rows, int64_t cols) const noexcept {
    return scale_rows(rows) * scale_cols(cols);
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
    return order == scale_order::row_major ? r * scale_cols(cols) + c : c * scale_rows(rows) + r;
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

static_assert(blocks_128x128.scale_count(129, 256) == 4 && per_row.scale_count(5, 7) == 5 &&
              per_tensor.scale_count(5, 7) == 1);

QUAVER_END_NAMESPACE

#endif
