// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_WGMMA_GROUPED_GEMM_CUH
#define QUAVER_CUDA_WGMMA_GROUPED_GEMM_CUH

#include <quaver/cuda/gemm/wgmma_group_kernel.cuh>
#include <quaver/cuda/wgmma_gemm.cuh>

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline status wgmma_grouped_cannot(const std::string& why) {
  return {status_code::unsupported, "wgmma_grouped_gemm: " + why};
}

/// The tile of the grouped kernel: two thread blocks share A's rows.
using wgmma_grouped_256x128 = wgmma_shape<256, 128, 4, 1, wgmma_shared::a>;

/// What becomes of a problem's sums, or why its scales are none that the kernel reads.
template <class A, class B, class D>
result<wgmma_sums> grouped_sums_of(const grouped_gemm_problem<A, B, D>& problem) {
  const auto& each      = problem.each;
  const scale_layout& a = each.a.layout;
  const scale_layout& b = each.b.layout;
  const int64_t k       = each.a.cols();
  const auto text       = [](const scale_layout& x) { return shape_text(x.block_rows, x.block_cols); };
  const bool blocks     = a.block_cols == wgmma_step && b.block_cols == wgmma_step;
  const bool whole_k    = (a.block_cols == 0 || a.block_cols >= k) && (b.block_cols == 0 || b.block_cols >= k);
  const std::string have =
      "scales are of blocks of " + text(a) + " for A and " + text(b) + " for B (0: the whole axis)";
  if (a.type != scale_type::f32 || b.type != scale_type::f32) return wgmma_grouped_cannot("scales must be binary32");
  if (a.order == scale_order::tiles_128x4 || b.order == scale_order::tiles_128x4)
    return wgmma_grouped_cannot("scales lie in tiles of 128 x 4, not in rows or columns");
  if (blocks) {
    if (a.block_rows != 1 || b.block_rows == 0 || b.block_rows % wgmma_step != 0) {
      return wgmma_grouped_cannot(
          have + "; where they change along K, 1 x 128 for A, and for B 128, or a multiple, x 128 are wanted");
    }
    const int64_t rows = each.a.rows();
    const bool strided = each.batches.a_scale_stride % 4 != 0 && problem.groups == gemm_groups::masked_rows;
    if (a.order != scale_order::column_major || rows % 4 != 0 || strided ||
        reinterpret_cast<std::uintptr_t>(each.a.scales) % 16 != 0) {
      return wgmma_grouped_cannot(
          "the copy engine cannot move A's scales: column_major and every column at a multiple of 16 bytes are wanted, "
          "there are " +
          std::to_string(rows) + " in a column, " + std::to_string(each.batches.a_scale_stride) +
          " from one batch to the next, the first byte at " +
          std::to_string(reinterpret_cast<std::uintptr_t>(each.a.scales) % 16) + " of 16");
    }
    return wgmma_sums::scaled;
  }
  if (!whole_k || a.block_rows > 1 || b.block_rows > 1)
    return wgmma_grouped_cannot(have + "; one for all, one a row, or 1 x 128 by 128 x 128 are wanted");
  if (each.accumulate == accumulation::strict) return wgmma_sums::promoted;
  if (problem.groups == gemm_groups::depth)
    return wgmma_grouped_cannot("where groups are stretches of K, accumulation is strict, not fast");
  return wgmma_sums::whole;
}

/// The problem that all groups' operands make together, for those checks that dense problems have too.
template <class A, class B, class D>
gemm_problem<A, B, D> undivided(const grouped_gemm_problem<A, B, D>& problem) noexcept {
  gemm_problem<A, B, D> all = problem.each;
  gemm_batches& by          = all.batches;
  const bool blocks         = all.a.layout.block_cols != 0;
  if (problem.groups == gemm_groups::contiguous_rows) by = {};
  if (problem.groups == gemm_groups::depth) {
    by.a_stride = by.b_stride = 0;
    if (blocks) by.a_scale_stride = by.b_scale_stride = 0;
  }
  return all;
}

/// Why wgmma_grouped_gemm cannot run this problem, or ok. Whatever it says, nothing was launched. The bounds are not
/// looked at.
template <gemm_activation A, gemm_weight B, gemm_output D>
status can_run_wgmma_grouped(const grouped_gemm_problem<A, B, D>& problem) {
  static_assert(ptx::is_fp8<A> && ptx::is_fp8<B>, "the instruction multiplies E4M3 and E5M2");
  static_assert(!eight_bit<D>, "D is float, bfloat16 or half");
  const auto& each                   = problem.each;
  const gemm_batches& by             = each.batches;
  const gemm_problem<A, B, D> all    = undivided(problem);
  const result<device_limits> device = current_device();
  if (by.b_stride < 0 || by.b_scale_stride < 0)
    return invalid("wgmma_grouped_gemm: the strides of B and of its scales must not be negative");
  if (status bad = check_gemm(all); !bad.ok()) return bad;
  if (!device.ok()) return device.error();
  if (status bad = check_device_gemm(all, *device); !bad.ok()) return bad;
  if (device->capability != 90) {
    return wgmma_grouped_cannot("it needs compute capability 9.0, this device has " +
                                std::to_string(device->capability / 10) + "." +
                                std::to_string(device->capability % 10));
  }
  if (by.count < 0 || by.count > most_groups) {
    return wgmma_grouped_cannot(std::to_string(by.count) + " groups; there may be " + std::to_string(most_groups));
  }
  if ((problem.bounds != nullptr) == (problem.wide_bounds != nullptr) && by.count != 0)
    return invalid("wgmma_grouped_gemm: one of bounds and wide_bounds is wanted, the other null");
  if (status bad = check_pointer("bounds", problem.bounds, *device); !bad.ok()) return bad;
  if (status bad = check_pointer("wide_bounds", problem.wide_bounds, *device); !bad.ok()) return bad;
  if (each.beta != 0.0f || each.bias != nullptr || each.act != activation::none || each.d_amax != nullptr)
    return wgmma_grouped_cannot("it has neither C, bias, activation nor amax");
  if (const result<wgmma_sums> sums = grouped_sums_of(problem); !sums.ok()) return sums.error();
  const auto check = [&](const char* name, const auto& x, int64_t batches, int64_t stride) -> status {
    if (tma_can_move(x, batches, stride)) return {};
    return wgmma_grouped_cannot(std::string(name) + " must have column stride 1 and every row at a multiple of 16 " +
                                "bytes, it has row stride " + std::to_string(x.row_stride) + ", column stride " +
                                std::to_string(x.col_stride) + ", " + std::to_string(stride) +
                                " from one group to the next, its first byte at " +
                                std::to_string(reinterpret_cast<std::uintptr_t>(x.data) % 16) + " of 16");
  };
  const bool along_k = problem.groups == gemm_groups::depth;
  if (status bad = check("A", each.a.values, all.batches.count, all.batches.a_stride); !bad.ok()) return bad;
  if (status bad = check("B", each.b.values, by.count, along_k ? 0 : by.b_stride); !bad.ok()) return bad;
  if (status bad = check("D", each.d, all.batches.count, all.batches.d_stride); !bad.ok()) return bad;
  if (each.d.cols * static_cast<int64_t>(sizeof(D)) % 16 != 0) {
    return wgmma_grouped_cannot("rows of D must be a multiple of 16 bytes long, not " +
                                std::to_string(each.d.cols * static_cast<int64_t>(sizeof(D))));
  }
  return {};
}

/// A problem made ready for its launches: its tensor maps, its kernel, its grid. Holds the problem's pointers, no
/// memory of its own; may be copied, and launched from several threads. The bounds are read anew by each launch.
class wgmma_grouped_plan {
 public:
  /// Of nothing: its launch does nothing.
  wgmma_grouped_plan() noexcept = default;
  /// See plan_wgmma_grouped.
  template <wgmma_sums... Sums, class A, class B, class D>
  static result<wgmma_grouped_plan> make(const grouped_gemm_problem<A, B, D>& problem) {
    if (status bad = can_run_wgmma_grouped(problem); !bad.ok()) return bad;
    wgmma_grouped_plan plan;
    if (status bad = plan.choose_among<Sums...>(*grouped_sums_of(problem), problem); !bad.ok()) return bad;
    return plan;
  }

  /// Ordered by `stream`; may be captured into a graph.
  status launch(cudaStream_t stream = nullptr) const {
    int current = 0;
    if (status bad = from_runtime("cudaGetDevice", cudaGetDevice(&current)); !bad.ok()) return bad;
    if (kernel_ != nullptr && current != device_) {
      return invalid("wgmma_grouped_gemm: planned for device " + std::to_string(device_) + ", the current device is " +
                     std::to_string(current));
    }
    return cuda::launch("wgmma_grouped_gemm", kernel_, shape_, stream, work_);
  }
  /// How it runs, in a sentence.
  [[nodiscard]] std::string description() const {
    return "wgmma, grouped: tiles of 256 x 128, " + std::to_string(shape_.blocks) + " thread blocks";
  }

 private:
  template <wgmma_sums First, wgmma_sums... Others, class A, class B, class D>
  status choose_among(wgmma_sums sums, const grouped_gemm_problem<A, B, D>& problem) {
    if (sums == First) return prepare<A, B, D, wgmma_grouped_256x128, First>(problem);
    if constexpr (sizeof...(Others) != 0) return choose_among<Others...>(sums, problem);
    else return wgmma_grouped_cannot("this program has no kernel for this kind of sums");
  }

  template <class A, class B, class D, class Shape, wgmma_sums Sums>
  status prepare(const grouped_gemm_problem<A, B, D>& problem) {
    constexpr auto function = wgmma_grouped_kernel<A, B, D, Shape, Sums>;
    constexpr size_t shared = wgmma_grouped_memory<Shape, Sums>;
    static_assert(shared <= 227 * 1024);
    static known_clusters known{};
    const result<device_limits> device = current_device();
    if (!device.ok()) return device.error();
    device_         = device->device;
    kernel_         = function;
    shape_.threads  = wgmma_threads;
    shape_.shared   = shared;
    shape_.cluster  = Shape::cluster;
    shape_.blocks   = 0;
    const auto& d   = problem.each.d;
    const auto size = problem.each.batches.count;
    if (d.rows == 0 || d.cols == 0 || size == 0) return {};
    if (status bad = ready_wgmma("wgmma_grouped_gemm", function, shared); !bad.ok()) return bad;
    const result<int> together = clusters_at_once("wgmma_grouped_gemm", function, shape_, device_, known);
    if (!together.ok()) return together.error();
    if (*together == 0) return wgmma_grouped_cannot("this device holds no cluster of its thread blocks");
    const auto up        = [](int64_t x, int64_t by) { return (x + by - 1) / by; };
    const bool divided   = problem.groups == gemm_groups::contiguous_rows;
    const int64_t height = divided ? d.rows / Shape::cluster_rows + size : up(d.rows, Shape::cluster_rows) * size;
    const int64_t most   = height * up(d.cols, Shape::cluster_cols);  // clusters, whatever the bounds are
    if (most >= int64_t{1} << 31) {
      return wgmma_grouped_cannot(std::to_string(size) + " groups of D " + shape_text(d.rows, d.cols) +
                                  " are too many tiles");
    }
    shape_.blocks = (most < *together ? most : *together) * Shape::cluster;
    return fill<Shape, Sums>(problem);
  }

  template <class Shape, wgmma_sums Sums, class A, class B, class D>
  status fill(const grouped_gemm_problem<A, B, D>& problem) {
    const auto& each       = problem.each;
    const gemm_batches& by = each.batches;
    const gemm_batches all = undivided(problem).batches;
    const bool along_k     = problem.groups == gemm_groups::depth;
    const bool blocks      = Sums == wgmma_sums::scaled;
    work_.a_factors        = erased_scales(each.a, all.a_scale_stride);
    work_.b_scales         = erased_scales(each.b, along_k && blocks ? 0 : by.b_scale_stride);
    work_.a_batched        = problem.groups == gemm_groups::masked_rows && by.count > 1 && by.a_stride != 0;
    work_.b_batched        = !along_k && by.count > 1 && by.b_stride != 0;
    work_.d                = each.d.data;
    work_.d_row_stride     = each.d.row_stride;
    work_.d_batch_stride   = all.d_stride;
    work_.wide_bounds      = problem.wide_bounds != nullptr;
    work_.bounds           = work_.wide_bounds ? static_cast<const void*>(problem.wide_bounds) : problem.bounds;
    work_.groups_are       = problem.groups;
    work_.groups           = static_cast<int>(by.count);
    work_.rows             = static_cast<int>(each.a.rows());
    work_.cols             = static_cast<int>(each.d.cols);
    work_.depth            = static_cast<int>(each.a.cols());
    work_.alpha            = each.alpha;
    if (work_.depth == 0) return {};  // zeros, for which nothing is loaded
    const int64_t a_batches = work_.a_batched ? by.count : 1;
    const int64_t b_batches = work_.b_batched ? by.count : 1;
    if (status bad = make_codes_map("A", each.a.values, a_batches, by.a_stride, group_box_rows, work_.a); !bad.ok())
      return bad;
    if (status bad = make_codes_map("B", each.b.values, b_batches, by.b_stride, Shape::cols, work_.b); !bad.ok())
      return bad;
    if constexpr (blocks) {
      tensor_map_request request;
      request.type          = CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
      request.element_bytes = 4;
      request.data          = each.a.scales;
      request.rows          = each.a.layout.scale_cols(each.a.cols());
      request.cols          = each.a.rows();
      request.row_stride    = each.a.rows();
      request.batches       = a_batches;
      request.batch_stride  = by.a_scale_stride;
      request.box_rows      = 1;
      request.box_cols      = Shape::rows;
      request.swizzle       = CU_TENSOR_MAP_SWIZZLE_NONE;
      return make_tensor_map("A's scales", request, work_.a_scales);
    }
    return {};
  }

  int device_ = 0;
  wgmma_grouped_work work_{};
  void (*kernel_)(wgmma_grouped_work) = nullptr;
  launch_shape shape_                 = {0};
};

/// Makes a problem ready for launches on the current device, or says why it cannot run. Only kernels for the kinds of
/// sums that are named are compiled, all three where none is: a problem of another kind is refused.
template <wgmma_sums... Sums, gemm_activation A, gemm_weight B, gemm_output D>
result<wgmma_grouped_plan> plan_wgmma_grouped(const grouped_gemm_problem<A, B, D>& problem) {
  if constexpr (sizeof...(Sums) != 0) return wgmma_grouped_plan::make<Sums...>(problem);
  else return wgmma_grouped_plan::make<wgmma_sums::whole, wgmma_sums::promoted, wgmma_sums::scaled>(problem);
}

/// Every group's D = alpha * A * B^T on Hopper, by wgmma; see grouped_gemm_problem, and plan_wgmma_grouped for a
/// problem that is run often. The groups' bounds are read from device memory by the kernel: what is captured into a
/// graph runs with those that stand there when it is replayed. Groups may be empty and of any size. Rows of D that
/// belong to no group stay as they are. Ordered by `stream`, capturable, allocates nothing. On error D is as it was.
///
/// A and B are E4M3 or E5M2 in any mix, K-major, each row at a multiple of 16 bytes; rows of D likewise, and as long as
/// a multiple of 16 bytes. Scales are binary32: one for all, one a row, or of blocks of 1x128, column_major with
/// columns at multiples of 16 bytes, for A and 128x128, or of a multiple of 128 rows, for B. Neither C, bias,
/// activation nor amax; 1024 groups at most. Where K is 0, D's rows that belong to a group become zeros.
///
/// Bounds of stretches of K (gemm_groups::depth) are to be multiples of 16 or K itself, others count as the next such
/// below; what follows a stretch within its last 128 is made zero before it is multiplied. Step i of a stretch has
/// scales of blocks bounds[g] / 128 + i: where there are such, bounds are to be multiples of 128.
///
/// The arithmetic is that of wgmma_gemm for each group by itself: a group's result does not depend on the others.
template <wgmma_sums... Sums, gemm_activation A, gemm_weight B, gemm_output D>
status wgmma_grouped_gemm(const grouped_gemm_problem<A, B, D>& problem, cudaStream_t stream = nullptr) {
  const result<wgmma_grouped_plan> plan = plan_wgmma_grouped<Sums...>(problem);
  return plan.ok() ? plan->launch(stream) : plan.error();
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
