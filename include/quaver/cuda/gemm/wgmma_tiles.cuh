// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_TILES_CUH
#define QUAVER_CUDA_GEMM_WGMMA_TILES_CUH

#include <quaver/cuda/gemm/wgmma_small.cuh>

// The tiles that the GEMM for Hopper has kernels for: their names, their shapes and what a problem costs in each.

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The tiles that there are kernels for.
enum class wgmma_tile : uint8_t {
  automatic,
  in_turn_128x128,  ///< fast: each warpgroup a tile of its own
  in_turn_128x176,  ///< where D is not float
  in_turn_128x192,
  rows_128x192,   ///< strict and scales of blocks: the warpgroups share a tile
  rows_128x176,   ///< strict, where D is not float
  rows_128x128,   ///< strict, scales of blocks, and every problem whose D leaves by rows
  rows_256x128,   ///< strict, and scales of blocks where those of A are 1x128, column_major at multiples of 16 bytes
  alone_128x256,  ///< fast: the warpgroups share a tile, without a cluster; for M from 65 to 128
  small,          ///< M up to 128: operands swapped, K cut into parts
};

constexpr const char* name_of(wgmma_tile tile) noexcept {
  switch (tile) {
    case wgmma_tile::automatic: return "automatic";
    case wgmma_tile::in_turn_128x128: return "128 x 128 in turn";
    case wgmma_tile::in_turn_128x176: return "128 x 176 in turn";
    case wgmma_tile::in_turn_128x192: return "128 x 192 in turn";
    case wgmma_tile::rows_128x192: return "128 x 192";
    case wgmma_tile::rows_128x176: return "128 x 176";
    case wgmma_tile::rows_128x128: return "128 x 128";
    case wgmma_tile::rows_256x128: return "256 x 128";
    case wgmma_tile::alone_128x256: return "128 x 256 alone";
    case wgmma_tile::small: return "small M";
  }
  return "";
}

constexpr const char* name_of(wgmma_sums sums) noexcept {
  switch (sums) {
    case wgmma_sums::whole: return "whole (one scale or one a row, fast)";
    case wgmma_sums::promoted: return "promoted (one scale or one a row, strict)";
    case wgmma_sums::scaled: return "scaled (scales of blocks)";
    case wgmma_sums::scaled_lines: return "scaled_lines (1x128 scales of both)";
  }
  return "";
}

/// The tiles as the kernels have them. Two thread blocks share B's tile, those of 256 rows A's, where they are not alone.
using wgmma_in_turn_128x128 = wgmma_shape<128, 128, 6, 2, wgmma_shared::b, wgmma_split::tiles>;
using wgmma_in_turn_128x176 = wgmma_shape<128, 176, 4, 1, wgmma_shared::b, wgmma_split::tiles>;
using wgmma_in_turn_128x192 = wgmma_shape<128, 192, 4, 3, wgmma_shared::b, wgmma_split::tiles>;
template <wgmma_shared Shared, int Rows, int Cols, int Stages, int Chunks, int Sets,
          wgmma_scales Scales = wgmma_scales::copied>
using wgmma_by_steps              = wgmma_shape<Rows, Cols, Stages, Chunks, Shared, wgmma_split::rows, Sets, Scales>;
using wgmma_rows_128x128          = wgmma_by_steps<wgmma_shared::b, 128, 128, 6, 2, 2>;
using wgmma_rows_128x176          = wgmma_by_steps<wgmma_shared::b, 128, 176, 4, 1, 1>;
using wgmma_rows_128x192          = wgmma_by_steps<wgmma_shared::b, 128, 192, 4, 3, 1>;
using wgmma_rows_256x128          = wgmma_by_steps<wgmma_shared::a, 256, 128, 4, 1, 1>;
using wgmma_scaled_128x128        = wgmma_by_steps<wgmma_shared::b, 128, 128, 5, 2, 2>;
using wgmma_scaled_128x192        = wgmma_by_steps<wgmma_shared::b, 128, 192, 4, 3, 1>;
using wgmma_scaled_256x128        = wgmma_by_steps<wgmma_shared::a, 256, 128, 4, 1, 1, wgmma_scales::moved>;
using wgmma_lines_128x128         = wgmma_by_steps<wgmma_shared::b, 128, 128, 5, 2, 2, wgmma_scales::lines>;
using wgmma_by_rows_128x128       = wgmma_by_steps<wgmma_shared::b, 128, 128, 4, 4, 2>;
using wgmma_lines_by_rows_128x128 = wgmma_by_steps<wgmma_shared::b, 128, 128, 4, 4, 2, wgmma_scales::lines>;
using wgmma_alone_128x256         = wgmma_shape<128, 256, 4, 2, wgmma_shared::nothing>;
/// For small M: up to 16, 64 and 128 rows.
using wgmma_small_16            = wgmma_small_shape<16, 64, 17, 1>;
using wgmma_small_64            = wgmma_small_shape<64, 64, 4, 2>;
using wgmma_small_128           = wgmma_small_shape<128, 128, 4, 1>;
inline constexpr int small_rows = wgmma_small_128::rows;  ///< the most

/// What a problem costs in tiles of some kind: rounds of all multiprocessors, times what a round takes, in columns of the
/// 128 x 128 tiles. Wide tiles take less a column, since they load less, and those with little
/// room for D on its way out more for each tile. docs/performance.md has what was measured.
struct wgmma_cost {
  wgmma_tile tile;
  int cols;           ///< of a cluster, which has 256 rows
  double a_column;    ///< a step
  double at_end = 0;  ///< a column, once
  bool there    = true;

  [[nodiscard]] double of(int64_t m, int64_t n, int64_t k, int64_t batches, int multiprocessors) const noexcept {
    const auto up        = [](int64_t x, int64_t by) { return (x + by - 1) / by; };
    const int64_t rounds = up(up(m, 256) * up(n, cols) * batches, multiprocessors / 2);
    return static_cast<double>(rounds * cols) * (a_column + at_end / static_cast<double>(up(k, wgmma_step)));
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
