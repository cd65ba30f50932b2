// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_SHAPE_CUH
#define QUAVER_CUDA_GEMM_WGMMA_SHAPE_CUH

#include <quaver/cuda/gemm/work.cuh>

// How the kernel for Hopper cuts a GEMM: what is chosen when it is compiled, and what it is given.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// What becomes of the matrix unit's sums.
enum class wgmma_sums : uint8_t {
  whole,         ///< they run over all of K: accumulation::fast
  promoted,      ///< each 128 of K is added to a float: accumulation::strict
  scaled,        ///< the same, times the product of the scales of that stretch
  scaled_lines,  ///< the same where B has a scale for each row, as A has, and M is not small
};
template <wgmma_sums Sums>
inline constexpr bool wgmma_scaled = Sums == wgmma_sums::scaled || Sums == wgmma_sums::scaled_lines;

/// How D leaves.
enum class wgmma_way : uint8_t {
  direct,   ///< scaled and rounded, through the copy engine
  by_rows,  ///< by finish_elements, which does all that a gemm_problem can ask for
};

/// Which operand's tile the two thread blocks of a cluster have in common: each loads half of it, for both. Those that
/// share B's tile work below each other, those that share A's beside each other.
enum class wgmma_shared : uint8_t { nothing, a, b };

/// What the two warpgroups that multiply have to do with each other.
enum class wgmma_split : uint8_t {
  rows,   ///< each takes half the rows of a tile: the widest tile that registers hold
  tiles,  ///< each takes whole tiles in turn: while one writes D, the other multiplies
};

/// How scales that change along K come beside each stage.
enum class wgmma_scales : uint8_t {
  copied,  ///< by a warp's copies: any blocks of A's, of B's those of 128 rows or a multiple
  moved,   ///< A's 1 x 128 by the copy engine, B's by a warp that holds those of 32 steps
  lines,   ///< 1 x 128 for both, by the copy engine
};

/// Tiles of D, of Rows x Cols. A step of K is 128: one row of shared memory. `Sets` of registers take the sums of a step
/// where they are added up: with two, the next instructions run while one is added; one leaves room for wider ones.
/// A type, not a value: nvcc's host stubs do not take structures as template arguments.
template <int Rows, int Cols, int Stages, int Chunks, wgmma_shared Shared, wgmma_split Split = wgmma_split::rows,
          int Sets = 2, wgmma_scales Scales = wgmma_scales::copied>
struct wgmma_shape {
  static_assert(Cols % 16 == 0 && Cols <= 256);
  static constexpr int rows            = Rows;
  static constexpr int cols            = Cols;
  static constexpr int stages          = Stages;  ///< steps of K in flight
  static constexpr int sets            = Sets;
  static constexpr wgmma_scales scales = Scales;
  /// Columns that have one of B's scales, where they are not one a column.
  static constexpr int scaled_cols = Cols % 128 == 0 ? 128 : 64;
  /// Scales beside a stage, where they change along K: one for each row of A's tile, then B's; in steps of 16 bytes, of
  /// 128 for the copy engine.
  static constexpr int factors         = Rows + (Scales == wgmma_scales::copied  ? 4
                                                 : Scales == wgmma_scales::moved ? 32
                                                                                 : Cols);
  static constexpr int chunks          = Chunks;  ///< parts of D on their way out, a warpgroup
  static constexpr bool reads_b_once   = false;   ///< B is larger than the caches, and A is not
  static constexpr wgmma_split split   = Split;
  static constexpr wgmma_shared shared = Shared;
  static constexpr int cluster         = Shared == wgmma_shared::nothing ? 1 : 2;  ///< thread blocks
  /// What a cluster computes, in rows and columns of D.
  static constexpr int cluster_rows = Shared == wgmma_shared::b ? 2 * Rows : Rows;
  static constexpr int cluster_cols = Shared == wgmma_shared::a ? 2 * Cols : Cols;
  /// Rows of a tile that one warpgroup computes, in units of the instruction's 64.
  static constexpr int halves = Rows / (Split == wgmma_split::rows ? 128 : 64);
  static_assert(halves * (Split == wgmma_split::rows ? 128 : 64) == Rows && halves * Cols <= 384);
};

inline constexpr int wgmma_step       = 128;  ///< of K; strict accumulation adds as often
inline constexpr int wgmma_warpgroups = 2;    ///< that multiply; a third one loads
inline constexpr int wgmma_threads    = 128 * (wgmma_warpgroups + 1);
/// Registers a thread: a block starts with 168 each, and what multiplies can take only what the loading warpgroup gives.
template <wgmma_sums Sums>
inline constexpr int wgmma_loading_registers = wgmma_scaled<Sums> ? 40 : 24;
template <wgmma_sums Sums>
inline constexpr int wgmma_multiplying_registers = 168 + (168 - wgmma_loading_registers<Sums>) / 2;
static_assert(wgmma_multiplying_registers<wgmma_sums::whole> == 240 && 168 * wgmma_threads <= 65536);
/// Bytes of a row of D on its way out: 128, swizzled, or a whole tile's where it is no multiple of that.
template <class Shape>
inline constexpr int wgmma_chunk_pitch = Shape::cols % 64 == 0 ? 128 : 2 * Shape::cols;
template <class Shape>
inline constexpr int wgmma_chunk_bytes = 64 * wgmma_chunk_pitch<Shape>;  ///< of 64 rows

/// Bytes of a stage's scales.
template <class Shape>
inline constexpr int wgmma_scale_bytes = 4 * Shape::factors;

/// Bytes of shared memory: the stages with their scales, the chunks and the barriers.
template <class Shape, wgmma_sums Sums>
inline constexpr size_t wgmma_memory =
    size_t{Shape::stages} * (Shape::rows + Shape::cols) * wgmma_step +
    size_t{wgmma_warpgroups} * Shape::chunks * wgmma_chunk_bytes<Shape> + size_t{16} * (Shape::stages + 1) +
    (wgmma_scaled<Sums> ? size_t{Shape::stages} * wgmma_scale_bytes<Shape> : 0);

/// CUtensorMap, whose header is the driver's.
struct alignas(64) tensor_map {
  uint64_t words[16];
};

/// What a launch is given.
struct wgmma_work {
  tensor_map a{};
  tensor_map b{};
  tensor_map d{};         ///< for wgmma_way::direct
  tensor_map a_scales{};  ///< these where the copy engine moves them
  tensor_map b_scales{};
  gemm_work work{};
  int steps             = 0;  ///< of K
  int row_clusters      = 0;
  int col_clusters      = 0;
  int group             = 8;  ///< rows of clusters that are taken together, so that their operands stay in the cache
  uint32_t clusters     = 0;  ///< of all batches
  bool a_batched        = false;  ///< false: all batches share it
  bool b_batched        = false;
  bool a_scales_batched = false;
  bool b_scales_batched = false;
  wgmma_sums sums       = wgmma_sums::whole;  ///< these for small M alone: elsewhere a kernel knows its sums
  int parts             = 1;                  ///< of K, a thread block of the cluster each
  wgmma_way way         = wgmma_way::by_rows;
};

/// Where a thread block works.
struct wgmma_place {
  int row   = 0;  ///< of D, its tile's first
  int col   = 0;
  int batch = 0;
};

/// The tile of thread block `rank` of a cluster, where that takes tile `cluster` of its own. Divisions of 32 bits: those of
/// 64 take hundreds of cycles between two tiles.
template <class Shape>
__device__ __forceinline__ wgmma_place place_of(const wgmma_work& work, uint32_t cluster, uint32_t rank) noexcept {
  const auto rows         = static_cast<uint32_t>(work.row_clusters);
  const auto cols         = static_cast<uint32_t>(work.col_clusters);
  const auto together     = static_cast<uint32_t>(work.group);
  const uint32_t batch    = cluster / (rows * cols);
  const uint32_t rest     = cluster - batch * (rows * cols);
  const uint32_t group    = rest / (together * cols);
  const uint32_t first    = group * together;
  const uint32_t height   = rows - first < together ? rows - first : together;
  const uint32_t in_group = rest - group * (together * cols);
  const uint32_t col      = in_group / height;
  const uint32_t row      = first + in_group - col * height;
  constexpr bool below    = Shape::shared == wgmma_shared::b;
  constexpr bool beside   = Shape::shared == wgmma_shared::a;
  return {static_cast<int>(row * Shape::cluster_rows + (below ? rank * Shape::rows : 0)),
          static_cast<int>(col * Shape::cluster_cols + (beside ? rank * Shape::cols : 0)), static_cast<int>(batch)};
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
