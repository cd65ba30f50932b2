// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_WGMMA_GEMM_CUH
#define QUAVER_CUDA_WGMMA_GEMM_CUH

#include <quaver/cuda/gemm.cuh>
#include <quaver/cuda/gemm/wgmma_launch.cuh>
#include <quaver/cuda/gemm/wgmma_tiles.cuh>

#if !QUAVER_NVRTC

#include <algorithm>
#include <utility>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

struct wgmma_options {
  wgmma_tile tile = wgmma_tile::automatic;
};

/// Whether some rows of B share a scale, but not those of a tile: not all of them, nor a multiple of 128.
template <class A, class B, class D>
bool has_narrow_blocks(const gemm_problem<A, B, D>& problem) noexcept {
  const int rows = problem.b.layout.block_rows;
  return rows % wgmma_step != 0 && rows < problem.b.rows();
}

/// What becomes of a problem's sums: see wgmma_sums.
template <class A, class B, class D>
wgmma_sums sums_of(const gemm_problem<A, B, D>& problem) noexcept {
  const auto blocks = [](const auto& x) {
    const scale_layout& by = x.layout;
    return (by.block_cols != 0 && by.block_cols < x.cols()) || (by.block_rows > 1 && by.block_rows < x.rows());
  };
  if (blocks(problem.a) || blocks(problem.b))
    return problem.d.rows > small_rows && has_narrow_blocks(problem) ? wgmma_sums::scaled_lines : wgmma_sums::scaled;
  return problem.accumulate == accumulation::fast ? wgmma_sums::whole : wgmma_sums::promoted;
}

/// Whether the copy engine can move this matrix: rows contiguous, every address that a row or a batch begins at a multiple
/// of 16 bytes.
template <class T>
bool tma_can_move(const matrix_view<T>& x, int64_t batches, int64_t batch_stride) noexcept {
  return (x.col_stride == 1 || x.cols <= 1) && steps_by(x.data, 16, x.row_stride, batch_stride, x.rows, batches);
}

/// Whether it can move an operand's scales: 1 x 128, those of all rows side by side, each 128 of K at a multiple of 16 bytes.
template <class F>
bool tma_can_move_scales(const scaled_matrix<const F>& x, int64_t batches, int64_t batch_stride) noexcept {
  const scale_layout& by    = x.layout;
  const scale_places places = by.places(x.rows(), x.cols());
  return x.scales != nullptr && by.type == scale_type::f32 && by.block_rows == 1 && by.block_cols == wgmma_step &&
         places.of_row(1) == 1 &&
         steps_by(static_cast<const float*>(x.scales), 16, places.of_col(1), batch_stride, by.scale_cols(x.cols()),
                  batches);
}

/// How D leaves: directly where nothing but scales, alpha, bias and rounding is asked for. The copy engine writes 16 bytes
/// at least: where a row ends within them it would write beyond the row.
template <class A, class B, class D>
wgmma_way way_of(const gemm_problem<A, B, D>& problem) noexcept {
  const bool plain =
      problem.beta == 0.0f && problem.act == activation::none && (problem.d_amax == nullptr || eight_bit<D>);
  const bool common = !eight_bit<D> || same_type<D, e4m3> || same_type<D, e5m2>;
  const bool whole  = problem.d.cols * static_cast<int64_t>(sizeof(D)) % 16 == 0;
  return plain && common && whole && tma_can_move(problem.d, problem.batches.count, problem.batches.d_stride)
             ? wgmma_way::direct
             : wgmma_way::by_rows;
}

inline status wgmma_cannot(const std::string& why) { return {status_code::unsupported, "wgmma_gemm: " + why}; }
inline status no_wgmma_sums(wgmma_sums sums) {
  return wgmma_cannot(std::string("the sums are ") + name_of(sums) +
                      ", for which this program has no kernels: name them in plan_wgmma's list, or change accumulate");
}
inline status no_wgmma_tile(wgmma_tile tile, int64_t m, int64_t n) {
  return wgmma_cannot(
      std::string("there is no kernel of tiles of ") + name_of(tile) + " for this problem, whose D is " +
      shape_text(m, n) +
      (tile == wgmma_tile::small && m > small_rows ? ", more than " + std::to_string(small_rows) + " rows" : ""));
}

/// Why the scales of an operand are not among those this kernel reads, or ok.
template <class F>
status check_wgmma_scales(const char* name, const scaled_matrix<const F>& x) {
  const scale_layout& by = x.layout;
  if (by.type != scale_type::f32) return wgmma_cannot(std::string("the scales of ") + name + " must be binary32");
  if (by.order == scale_order::tiles_128x4)
    return wgmma_cannot(std::string("the scales of ") + name + " lie in tiles of 128 x 4, not in rows or columns");
  const std::string blocks = std::string("the scales of ") + name + " are of blocks of " +
                             std::to_string(by.block_rows) + " x " + std::to_string(by.block_cols) +
                             " (0: the whole axis); ";
  const bool changes = by.block_cols != 0 && by.block_cols < x.cols();
  if (changes && by.block_cols != wgmma_step) return wgmma_cannot(blocks + "along K it must be 128 or all");
  return {};
}

/// Whether the chip has the instruction, and A, B and their scales are as this kernel reads them.
template <gemm_activation A, gemm_weight B, gemm_output D>
status check_wgmma_operands(const gemm_problem<A, B, D>& problem, const device_limits& device) {
  static_assert(ptx::is_fp8<A> && ptx::is_fp8<B>, "the instruction multiplies E4M3 and E5M2");
  if (device.capability != 90) {
    return wgmma_cannot("it needs compute capability 9.0, this device has " + std::to_string(device.capability / 10) +
                        "." + std::to_string(device.capability % 10));
  }
  const wgmma_sums sums  = sums_of(problem);
  const gemm_batches& by = problem.batches;
  if (status bad = check_wgmma_scales("A", problem.a); !bad.ok()) return bad;
  if (status bad = check_wgmma_scales("B", problem.b); !bad.ok()) return bad;
  if (sums == wgmma_sums::scaled_lines && !(tma_can_move_scales(problem.a, by.count, by.a_scale_stride) &&
                                            tma_can_move_scales(problem.b, by.count, by.b_scale_stride))) {
    return wgmma_cannot(
        "where M is " + std::to_string(problem.d.rows) +
        ", blocks of B's scales must have 128 rows or a multiple, not " + std::to_string(problem.b.layout.block_rows) +
        "; or those of A and B must be 1 x 128, column_major, at multiples of 16 bytes, M (" +
        std::to_string(problem.d.rows) + ") and N (" + std::to_string(problem.d.cols) + ") multiples of 4");
  }
  if (problem.a.cols() == 0) return wgmma_cannot("K is 0: there is nothing to load");
  const auto check = [&](const char* name, const auto& x, int64_t stride) -> status {
    if (tma_can_move(x, by.count, stride)) return {};
    return wgmma_cannot(
        std::string("the copy engine cannot move ") + name + ": column stride 1 and every row at a multiple of " +
        "16 bytes are wanted, it has row stride " + std::to_string(x.row_stride) + ", column stride " +
        std::to_string(x.col_stride) + ", batch stride " + std::to_string(stride) + ", its first byte at " +
        std::to_string(reinterpret_cast<std::uintptr_t>(x.data) % 16) + " of 16");
  };
  if (status bad = check("A", problem.a.values, by.a_stride); !bad.ok()) return bad;
  if (status bad = check("B", problem.b.values, by.b_stride); !bad.ok()) return bad;
  return {};
}

/// Why wgmma_gemm cannot run this problem, or ok. Whatever it says, nothing was launched.
template <gemm_activation A, gemm_weight B, gemm_output D>
status can_run_wgmma(const gemm_problem<A, B, D>& problem) {
  if (status bad = check_gemm(problem); !bad.ok()) return bad;
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_device_gemm(problem, *device); !bad.ok()) return bad;
  return check_wgmma_operands(problem, *device);
}

/// How K is cut, for a description.
inline std::string parts_text(int parts) { return parts == 1 ? "" : ", K in " + std::to_string(parts) + " parts"; }

/// A problem made ready for its launches: its tensor maps, its kernel, its grid. Holds the problem's pointers, no memory of
/// its own; may be copied, and launched from several threads.
class wgmma_plan {
 public:
  /// Of nothing: its launch does nothing.
  wgmma_plan() noexcept = default;
  /// See plan_wgmma.
  template <wgmma_sums... Sums, class A, class B, class D>
  static result<wgmma_plan> make(const gemm_problem<A, B, D>& problem, const wgmma_options& options) {
    if (status bad = can_run_wgmma(problem); !bad.ok()) return bad;
    wgmma_plan plan;
    if (status bad = plan.choose_among<Sums...>(sums_of(problem), problem, options); !bad.ok()) return bad;
    return plan;
  }

  /// D = activation(alpha * A * B^T + beta * C + bias), ordered by `stream`; may be captured into a graph.
  status launch(cudaStream_t stream = nullptr) const {
    int current = 0;
    if (status bad = from_runtime("cudaGetDevice", cudaGetDevice(&current)); !bad.ok()) return bad;
    if (kernel_ != nullptr && current != device_) {
      return invalid("wgmma_gemm: planned for device " + std::to_string(device_) + ", the current device is " +
                     std::to_string(current));
    }
    if (work_.work.amax != nullptr) {
      const cudaError_t cleared = cudaMemsetAsync(work_.work.amax, 0, sizeof(float), stream);
      if (status bad = from_runtime("wgmma_gemm: d_amax", cleared); !bad.ok()) return bad;
    }
    return launch_in_place("wgmma_gemm", kernel_, shape_, stream, work_);
  }
  /// What launch launches, behind the memset that clears d_amax where there is one: for who makes a graph's node of it.
  [[nodiscard]] void (*kernel() const noexcept)(wgmma_work) { return kernel_; }
  [[nodiscard]] const launch_shape& shape() const noexcept { return shape_; }
  [[nodiscard]] const wgmma_work& work() const noexcept { return work_; }
  [[nodiscard]] wgmma_tile tile() const noexcept { return tile_; }
  /// K is cut into so many parts: of s steps of 128, part i of p has those from s * i / p to s * (i + 1) / p. Their sums are
  /// added in binary32, in the order of K. More than one for small M alone; how many depends on the device too.
  [[nodiscard]] int k_parts() const noexcept { return work_.parts; }
  /// How it runs, in a sentence.
  [[nodiscard]] std::string description() const {
    return "wgmma: tiles of " + std::string(name_of(tile_)) + parts_text(work_.parts) + ", " +
           std::to_string(shape_.blocks) + " thread blocks, D leaves " +
           (way_ == wgmma_way::direct ? "directly" : "by rows");
  }

 private:
  template <class A, class B, class D>
  static bool is_empty(const gemm_problem<A, B, D>& problem) noexcept {
    return problem.d.rows == 0 || problem.d.cols == 0 || problem.batches.count == 0;
  }

  /// Takes a kernel, and where D is empty that is all.
  template <class A, class B, class D>
  status take(const gemm_problem<A, B, D>& problem, void (*function)(wgmma_work), wgmma_tile tile, wgmma_way way,
              int threads, size_t shared) {
    tile_   = tile;
    way_    = way;
    kernel_ = function;
    // One by one: nvcc 13.0 was seen to shift designated initialisers by a member that is left out before them.
    shape_.threads                     = threads;
    shape_.shared                      = shared;
    const result<device_limits> device = current_device();
    if (!device.ok()) return device.error();
    device_ = device->device;
    if (is_empty(problem)) {
      shape_.blocks   = 0;
      work_.work.amax = reinterpret_cast<uint32_t*>(problem.d_amax);
      return {};
    }
    return ready_wgmma("wgmma_gemm", function, shared);
  }

  /// How many clusters of so many blocks the device holds at once; 0 where none.
  result<int> at_once(int blocks, known_clusters& known) const {
    launch_shape shape = shape_;
    shape.cluster      = blocks;
    return clusters_at_once("wgmma_gemm", kernel_, shape, device_, known);
  }
  /// Clusters of `blocks` take the work's tiles in turn, so many at once.
  void fill_device(int blocks, int together) noexcept {
    shape_.cluster = blocks;
    shape_.blocks  = int64_t{work_.clusters} < together ? int64_t{work_.clusters} * blocks : int64_t{together} * blocks;
  }

  template <class A, class B, class D, class Shape, wgmma_sums Sums, wgmma_way Way>
  status prepare(const gemm_problem<A, B, D>& problem, wgmma_tile tile) {
    // The other way finishes D by its kind alone: one kernel serves all types.
    using direct_type       = std::conditional_t<Way == wgmma_way::direct, D, float>;
    constexpr size_t shared = wgmma_memory<Shape, Sums>;
    static_assert(shared <= 227 * 1024);
    static known_clusters known{};
    constexpr auto function = wgmma_kernel<A, B, direct_type, Shape, Sums, Way>;
    if (status bad = take(problem, function, tile, Way, wgmma_threads, shared); !bad.ok()) return bad;
    if (is_empty(problem)) return {};
    const result<int> together = at_once(Shape::cluster, known);
    if (!together.ok()) return together.error();
    if (*together == 0) return wgmma_cannot("this device holds no cluster of its thread blocks");
    result<wgmma_work> work = prepare_wgmma<Shape, Sums, Way>(problem);
    if (!work.ok()) return work.error();
    work_ = *work;
    // Fewer rows of clusters at once read less of the rest again where K is long; measured: docs/performance.md.
    constexpr int long_k = Shape::cols == 128 ? 9 : Shape::split == wgmma_split::rows ? 24 : 64;
    if (work_.steps >= long_k) work_.group = 4;
    fill_device(Shape::cluster, *together);
    return {};
  }

  template <class Shape, class A, class B, class D>
  status prepare_small(const gemm_problem<A, B, D>& problem, wgmma_sums sums) {
    constexpr size_t shared = wgmma_small_memory<Shape>;
    static_assert(shared <= 227 * 1024 / Shape::blocks);
    static std::array<known_clusters, size_t{wgmma_most_parts} + 1> known{};
    // Float D has no stmatrix, and 8 bits would want an amax.
    const wgmma_way way = sizeof(D) == 2 ? way_of(problem) : wgmma_way::by_rows;
    if (status bad = take(problem, wgmma_small_kernel<Shape>, wgmma_tile::small, way, Shape::threads, shared);
        !bad.ok()) {
      return bad;
    }
    if (is_empty(problem)) return {};
    result<wgmma_work> work = prepare_wgmma<Shape, wgmma_sums::whole, wgmma_way::by_rows>(problem);
    if (!work.ok()) return work.error();
    work_                    = *work;
    work_.sums               = sums;
    work_.way                = way;
    work_.work.scales_change = sums == wgmma_sums::scaled;
    if (way == wgmma_way::direct) {
      if (status bad = make_d_map(problem, 8, 64, CU_TENSOR_MAP_SWIZZLE_128B, work_.d); !bad.ok()) return bad;
    }
    // What is made ready for the launch would begin before D's amax is cleared.
    shape_.begins_early         = work_.work.amax == nullptr;
    const auto together         = [&](int parts) { return at_once(parts, known[static_cast<size_t>(parts)]); };
    const result<small_cut> cut = cut_small<Shape>(work_, together);
    if (!cut.ok()) return cut.error();
    if (cut->parts == 0) return wgmma_cannot("this device holds none of its thread blocks");
    work_.parts = cut->parts;
    fill_device(cut->parts, cut->together);
    return {};
  }

  template <wgmma_sums Sums, class A, class B, class D>
  status choose(const gemm_problem<A, B, D>& problem, const wgmma_options& options);
  template <wgmma_sums First, wgmma_sums... Others, class A, class B, class D>
  status choose_among(wgmma_sums sums, const gemm_problem<A, B, D>& problem, const wgmma_options& options) {
    if (sums == First) return choose<First>(problem, options);
    if constexpr (sizeof...(Others) != 0) return choose_among<Others...>(sums, problem, options);
    else return no_wgmma_sums(sums);
  }

  int device_ = 0;
  wgmma_work work_{};
  void (*kernel_)(wgmma_work) = nullptr;
  launch_shape shape_         = {0};
  wgmma_tile tile_            = wgmma_tile::automatic;
  wgmma_way way_              = wgmma_way::direct;
};

template <wgmma_sums Sums, class A, class B, class D>
status wgmma_plan::choose(const gemm_problem<A, B, D>& problem, const wgmma_options& options) {
  const auto device = current_device();
  if (!device.ok()) return device.error();
  // The cheapest, the first of those that cost the same.
  const auto cheapest = [&](std::initializer_list<wgmma_cost> all) {
    wgmma_tile best = wgmma_tile::automatic;
    double least    = 0;
    for (const wgmma_cost& one : all) {
      if (!one.there) continue;
      const double cost =
          one.of(problem.d.rows, problem.d.cols, problem.a.cols(), problem.batches.count, device->multiprocessors);
      if (best == wgmma_tile::automatic || cost < least) best = one.tile, least = cost;
    }
    return best;
  };
  const auto missing = [&](wgmma_tile tile) { return no_wgmma_tile(tile, problem.d.rows, problem.d.cols); };
  wgmma_tile tile    = options.tile;
  const int64_t m    = problem.d.rows;
  if (Sums == wgmma_sums::whole && sizeof(D) != 4 && tile == wgmma_tile::automatic && m > wgmma_small_64::rows &&
      m <= small_rows && way_of(problem) == wgmma_way::direct) {
    // Wide tiles read A less often than small ones do, where K need not be cut to occupy the device: the last round is nearly
    // full, or one of many.
    const int64_t tiles = (problem.d.cols + 255) / 256 * problem.batches.count;
    const int64_t most  = device->multiprocessors;
    if ((tiles - 1) % most + 1 > most * 3 / 4 || tiles > 4 * most) tile = wgmma_tile::alone_128x256;
  }
  if (Sums != wgmma_sums::scaled_lines &&
      (tile == wgmma_tile::small || (tile == wgmma_tile::automatic && m <= small_rows))) {
    if (m <= wgmma_small_16::rows) return prepare_small<wgmma_small_16>(problem, Sums);
    if (m <= wgmma_small_64::rows) return prepare_small<wgmma_small_64>(problem, Sums);
    if (m <= wgmma_small_128::rows) return prepare_small<wgmma_small_128>(problem, Sums);
    return missing(tile);
  }
  // A tile that was asked for has no kernel where M is small and blocks are narrow.
  if (Sums == wgmma_sums::scaled && has_narrow_blocks(problem)) return missing(tile);
  constexpr bool lines  = Sums == wgmma_sums::scaled_lines;
  constexpr bool narrow = sizeof(D) != 4;  // as 176 columns have no whole chunks of float
  if (way_of(problem) == wgmma_way::by_rows) {
    if (tile != wgmma_tile::automatic && tile != wgmma_tile::rows_128x128) return missing(tile);
    using shape = std::conditional_t<lines, wgmma_lines_by_rows_128x128, wgmma_by_rows_128x128>;
    return prepare<A, B, D, shape, Sums, wgmma_way::by_rows>(problem, wgmma_tile::rows_128x128);
  }
  const auto directly = [&]<class Shape>() { return prepare<A, B, D, Shape, Sums, wgmma_way::direct>(problem, tile); };
  if constexpr (Sums == wgmma_sums::whole) {
    if (tile == wgmma_tile::automatic) {
      tile = cheapest({{wgmma_tile::in_turn_128x128, 128, 1.0},
                       {wgmma_tile::in_turn_128x176, 176, 0.968, 0.32, narrow},
                       {wgmma_tile::in_turn_128x192, 192, 0.965}});
    }
    if (tile == wgmma_tile::in_turn_128x128) return directly.template operator()<wgmma_in_turn_128x128>();
    if (tile == wgmma_tile::in_turn_128x192) return directly.template operator()<wgmma_in_turn_128x192>();
    if constexpr (narrow) {
      if (tile == wgmma_tile::in_turn_128x176) return directly.template operator()<wgmma_in_turn_128x176>();
      if (tile == wgmma_tile::alone_128x256) return directly.template operator()<wgmma_alone_128x256>();
    }
  } else if constexpr (Sums == wgmma_sums::promoted) {
    if (tile == wgmma_tile::automatic) {
      tile = cheapest({{wgmma_tile::rows_128x128, 128, 1.0},
                       {wgmma_tile::rows_128x176, 176, 0.968, 0.35, narrow},
                       {wgmma_tile::rows_128x192, 192, 0.965},
                       {wgmma_tile::rows_256x128, 256, 0.972, 0.25}});
    }
    if (tile == wgmma_tile::rows_128x128) return directly.template operator()<wgmma_rows_128x128>();
    if (tile == wgmma_tile::rows_128x192) return directly.template operator()<wgmma_rows_128x192>();
    if (tile == wgmma_tile::rows_256x128) return directly.template operator()<wgmma_rows_256x128>();
    if constexpr (narrow) {
      if (tile == wgmma_tile::rows_128x176) return directly.template operator()<wgmma_rows_128x176>();
    }
  } else if constexpr (lines) {
    if (tile == wgmma_tile::automatic) tile = wgmma_tile::rows_128x128;
    if (tile == wgmma_tile::rows_128x128) return directly.template operator()<wgmma_lines_128x128>();
  } else {
    const bool moved = tma_can_move_scales(problem.a, problem.batches.count, problem.batches.a_scale_stride);
    if (tile == wgmma_tile::automatic) {
      tile = cheapest({{wgmma_tile::rows_128x128, 128, 1.0},
                       {wgmma_tile::rows_128x192, 192, 0.975},
                       {wgmma_tile::rows_256x128, 256, 0.96, 0.08, moved}});
    }
    if (tile == wgmma_tile::rows_128x128) return directly.template operator()<wgmma_scaled_128x128>();
    if (tile == wgmma_tile::rows_128x192) return directly.template operator()<wgmma_scaled_128x192>();
    if (tile == wgmma_tile::rows_256x128 && moved) return directly.template operator()<wgmma_scaled_256x128>();
  }
  return missing(tile);
}

/// Makes a problem ready for launches on the current device, or says why it cannot run. Only kernels for the kinds of sums
/// that are named are compiled, all four where none is: a problem of another kind is refused.
template <wgmma_sums... Sums, gemm_activation A, gemm_weight B, gemm_output D>
result<wgmma_plan> plan_wgmma(const gemm_problem<A, B, D>& problem, const wgmma_options& options = {}) {
  using enum wgmma_sums;
  if constexpr (sizeof...(Sums) != 0) return wgmma_plan::make<Sums...>(problem, options);
  else return wgmma_plan::make<whole, promoted, scaled, scaled_lines>(problem, options);
}

/// D = activation(alpha * A * B^T + beta * C + bias) on Hopper, by wgmma; see gemm_problem, and plan_wgmma for a problem
/// that is run often. A and B are E4M3 or E5M2 in any mix, K-major: rows contiguous, each at a multiple of 16 bytes. Scales
/// are binary32: one for all, one a row, or of blocks: 128 along K or all of it, of any number of rows for A and of 128 or
/// a multiple for B; where M is at most 128 of any number too, else 1 x 128 for both, column_major, M and N multiples of 4.
/// D may lie anyhow; where its rows are aligned like A's and as long as a multiple of 16 bytes, and nothing but scales,
/// alpha, bias (and amax of an 8-bit D) is asked for, it leaves without a detour. Ordered by `stream`, capturable,
/// allocates nothing. On error D is as it was.
///
/// The arithmetic is reference/tensor_core.hpp: accumulation::fast sums all of K in the instruction, strict sums each 128
/// and adds that to a binary32 that starts at +0. Where scales are those of blocks, the sum of each 128 is multiplied by
/// (scale of A * scale of B), and added, with one rounding. For small M so for each part of K (wgmma_plan::k_parts), whose
/// sums are added in binary32. Then as cuda::gemm.
template <wgmma_sums... Sums, gemm_activation A, gemm_weight B, gemm_output D>
status wgmma_gemm(const gemm_problem<A, B, D>& problem, const wgmma_options& options = {},
                  cudaStream_t stream = nullptr) {
  const result<wgmma_plan> plan = plan_wgmma<Sums...>(problem, options);
  return plan.ok() ? plan->launch(stream) : plan.error();
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
