// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_GROUP_TILES_CUH
#define QUAVER_CUDA_GEMM_WGMMA_GROUP_TILES_CUH

#include <quaver/cuda/gemm/wgmma_shape.cuh>
#include <quaver/problem/grouped_gemm_problem.hpp>

// How the grouped kernel for Hopper finds its work. The groups' sizes stand in device memory and may change between two
// replays of a graph, so each thread block puts them into a table when it begins, with the number of tiles before each
// group; then each of its warps walks forward through the groups as its tiles' numbers grow.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Groups that the table has room for.
inline constexpr int most_groups    = 1024;
inline constexpr int group_box_rows = 64;  ///< of A, moved at once and multiplied by one warpgroup

/// What a launch is given.
struct wgmma_grouped_work {
  tensor_map a{};
  tensor_map b{};
  tensor_map a_scales{};    ///< where scales are those of blocks
  gemm_scales a_factors{};  ///< where they do not change along K
  gemm_scales b_scales{};
  bool a_batched         = false;  ///< false: all groups find theirs in one matrix
  bool b_batched         = false;
  void* d                = nullptr;
  int64_t d_row_stride   = 0;
  int64_t d_batch_stride = 0;
  const void* bounds     = nullptr;
  bool wide_bounds       = false;  ///< of 64 bits
  gemm_groups groups_are = gemm_groups::contiguous_rows;
  int groups             = 0;
  int rows               = 0;  ///< of A: all of them, or those of one batch
  int cols               = 0;  ///< N
  int depth              = 0;  ///< K
  int together           = 8;  ///< rows of clusters, so that their operands stay in the cache
  float alpha            = 1;
};

/// A group in the table. One more follows the last: it begins where all whole tiles end.
struct group_entry {
  uint32_t tiles_before;  ///< of whole height
  int begin;              ///< of its rows, or of its part of K
  int size;
};

/// The table. Tiles of whole height come first, group after group, then the lower one of each group, those that reach
/// most rows first: so multiprocessors that have more of the first get less of the second.
struct group_table {
  group_entry groups[most_groups + 1];
  uint16_t lower[most_groups];  ///< the groups of the lower tiles, in their order
  int lower_count;
};

/// The copy engine wants the first column of what it moves at a multiple of 16 bytes (else it is an illegal
/// instruction). Tiles begin at rows that have this for A's scales, whose columns A's rows are, and parts of K for A
/// and B.
inline constexpr int group_row_step   = 4;
inline constexpr int group_depth_step = 16;

/// Group `g` as the bounds have it, within the matrix whatever they say.
__device__ __forceinline__ group_entry group_of(const wgmma_grouped_work& work, int g) noexcept {
  const int whole  = work.groups_are == gemm_groups::depth ? work.depth : work.rows;
  const auto bound = [&](int i) {
    const int64_t at  = work.wide_bounds ? static_cast<const int64_t*>(work.bounds)[i]
                                         : int64_t{static_cast<const int32_t*>(work.bounds)[i]};
    const auto inside = static_cast<int>(at < 0 ? 0 : at > whole ? whole : at);
    return work.groups_are != gemm_groups::depth || inside == whole ? inside : inside & -group_depth_step;
  };
  const int first = bound(g);
  if (work.groups_are == gemm_groups::masked_rows) return {0, 0, first};
  const int next = bound(g + 1);
  return {0, first, next > first ? next - first : 0};
}

template <class Shape>
__device__ __forceinline__ uint32_t col_clusters(const wgmma_grouped_work& work) noexcept {
  return static_cast<uint32_t>(work.cols + Shape::cluster_cols - 1) / Shape::cluster_cols;
}
/// Rows that a group's tiles have to reach.
__device__ __forceinline__ int tile_rows_of(const wgmma_grouped_work& work, const group_entry& group) noexcept {
  if (work.groups_are == gemm_groups::depth) return work.rows;
  return group.size == 0 ? 0 : group.begin % group_row_step + group.size;
}

/// All threads of a block make the table; a barrier of the block follows.
template <class Shape>
__device__ __forceinline__ void make_group_table(const wgmma_grouped_work& work, group_table& table) noexcept {
  for (int g = static_cast<int>(threadIdx.x); g < work.groups; g += wgmma_threads) {
    group_entry group = group_of(work, g);
    group.tiles_before =
        static_cast<uint32_t>(tile_rows_of(work, group) / Shape::cluster_rows) * col_clusters<Shape>(work);
    table.groups[g] = group;
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  constexpr uint32_t all = 0xFFFF'FFFF;
  const auto lane        = static_cast<int>(threadIdx.x);
  uint32_t before        = 0;
  for (int first = 0; first < work.groups; first += 32) {
    const bool inside  = first + lane < work.groups;
    const uint32_t own = inside ? table.groups[first + lane].tiles_before : 0;
    uint32_t up_to     = own;
    for (int step = 1; step < 32; step *= 2) {
      const uint32_t lower = __shfl_up_sync(all, up_to, static_cast<unsigned>(step));
      if (lane >= step) up_to += lower;
    }
    if (inside) table.groups[first + lane].tiles_before = before + up_to - own;
    before += __shfl_sync(all, up_to, 31);
  }
  int count = 0;
  for (int boxes = Shape::cluster_rows / group_box_rows; boxes > 0; --boxes) {
    for (int first = 0; first < work.groups; first += 32) {
      const int g           = first + lane;
      const int rest        = g < work.groups ? tile_rows_of(work, table.groups[g]) % Shape::cluster_rows : 0;
      const bool here       = (rest + group_box_rows - 1) / group_box_rows == boxes;
      const uint32_t others = __ballot_sync(all, here);
      if (here) table.lower[count + __popc(others & ((1u << lane) - 1))] = static_cast<uint16_t>(g);
      count += __popc(others);
    }
  }
  if (lane == 0) {
    table.groups[work.groups] = {before, 0, 0};
    table.lower_count         = count;
  }
}

/// A tile of one group: a cluster's.
struct group_tile {
  int row   = 0;  ///< of A and D, in their batch
  int left  = 0;  ///< rows from there to the group's end
  int col   = 0;
  int group = 0;
  int k     = 0;  ///< where its part of K begins, and how long it is
  int depth = 0;
  int tail  = 0;  ///< what its last step has of it, where another group's follows within the step; else 0

  [[nodiscard]] __device__ int steps() const noexcept { return (depth + wgmma_step - 1) / wgmma_step; }
  /// How many of the tile's 64 rows each, `Boxes` of them, the group reaches.
  template <int Boxes>
  [[nodiscard]] __device__ int boxes() const noexcept {
    const int all = (left + 63) / 64;
    return all < Boxes ? all : Boxes;
  }
};

/// The tiles of this thread block's cluster, one after the other.
template <class Shape>
class group_tiles {
 public:
  __device__ __forceinline__ group_tiles(const wgmma_grouped_work& work, const group_table& table) noexcept
      : work_(work), table_(table), at_(blockIdx.x / Shape::cluster) {}

  [[nodiscard]] __device__ __forceinline__ bool more() const noexcept {
    const uint32_t whole = table_.groups[work_.groups].tiles_before;
    return at_ < whole + static_cast<uint32_t>(table_.lower_count) * col_clusters<Shape>(work_);
  }
  __device__ __forceinline__ void next() noexcept { at_ += gridDim.x / Shape::cluster; }
  /// The present one. There must be one.
  __device__ __forceinline__ group_tile here() noexcept {
    const uint32_t whole = table_.groups[work_.groups].tiles_before;
    const uint32_t cols  = col_clusters<Shape>(work_);
    wgmma_place place;
    if (at_ < whole) {
      while (at_ >= table_.groups[group_ + 1].tiles_before) ++group_;
      const group_entry& group = table_.groups[group_];
      // Rows of clusters that are taken together share their columns' operands in the cache. Divisions of 32 bits:
      // those of 64 take hundreds of cycles.
      const auto rows       = static_cast<uint32_t>(tile_rows_of(work_, group) / Shape::cluster_rows);
      const auto together   = static_cast<uint32_t>(work_.together);
      const uint32_t at     = at_ - group.tiles_before;
      const uint32_t first  = at / (together * cols) * together;
      const uint32_t height = rows - first < together ? rows - first : together;
      const uint32_t inside = at - first * cols;
      const uint32_t col    = inside / height;
      place.row             = static_cast<int>((first + inside - col * height) * Shape::cluster_rows);
      place.col             = static_cast<int>(col * Shape::cluster_cols);
    } else {
      const uint32_t row = (at_ - whole) / cols;
      group_             = table_.lower[row];
      place.row          = tile_rows_of(work_, table_.groups[group_]) / Shape::cluster_rows * Shape::cluster_rows;
      place.col          = static_cast<int>((at_ - whole - row * cols) * Shape::cluster_cols);
    }
    const group_entry group = table_.groups[group_];
    const bool along_k      = work_.groups_are == gemm_groups::depth;
    group_tile tile;
    tile.row   = place.row + (along_k ? 0 : group.begin & -group_row_step);
    tile.left  = last_row(group_) - tile.row;
    tile.col   = place.col;
    tile.group = group_;
    tile.k     = along_k ? group.begin : 0;
    tile.depth = along_k ? group.size : work_.depth;
    tile.tail  = along_k ? group.size % wgmma_step : 0;
    return tile;
  }

  /// The rows of a group: from the first, which may be 1 to 3 rows behind its first tile's, to before the last. Asked
  /// for when they are needed: no registers are left to keep them in.
  [[nodiscard]] __device__ __forceinline__ int first_row(int group) const noexcept {
    return work_.groups_are == gemm_groups::depth ? 0 : table_.groups[group].begin;
  }
  [[nodiscard]] __device__ __forceinline__ int last_row(int group) const noexcept {
    return work_.groups_are == gemm_groups::depth ? work_.rows : table_.groups[group].begin + table_.groups[group].size;
  }

 private:
  const wgmma_grouped_work& work_;
  const group_table& table_;
  uint32_t at_;
  int group_ = 0;
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
