// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_WGMMA_GEMM_WITH_CUH
#define QUAVER_CUDA_WGMMA_GEMM_WITH_CUH

#include <quaver/cuda/gemm/epilogue_steps.cuh>
#include <quaver/cuda/wgmma_gemm.cuh>

// The GEMM for Hopper with an epilogue of the caller's own: any type that is a product_epilogue. It is compiled into kernels
// of its own, one for each kind of sums that is asked for, and one for small M that serves all formats and sums.

#if !QUAVER_NVRTC

#include <optional>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// A * B^T of scaled matrices, what a gemm_problem is without its D: an epilogue says what becomes of it. A is M x K, B is
/// N x K. Of `batches` count and the strides of A, B and their scales are read; an epilogue knows its own.
template <class A, class B>
struct gemm_product {
  scaled_matrix<const A> a{};
  scaled_matrix<const B> b{};
  accumulation accumulate = accumulation::strict;
  gemm_batches batches{};

  /// The same as a problem whose D has a shape and no elements: for what looks at A and B alone.
  [[nodiscard]] gemm_problem<A, B, float> problem() const noexcept {
    gemm_problem<A, B, float> all;
    all.a                      = a;
    all.b                      = b;
    all.d                      = {nullptr, a.rows(), b.rows()};
    all.accumulate             = accumulate;
    all.batches.count          = batches.count;
    all.batches.a_stride       = batches.a_stride;
    all.batches.b_stride       = batches.b_stride;
    all.batches.a_scale_stride = batches.a_scale_stride;
    all.batches.b_scale_stride = batches.b_scale_stride;
    return all;
  }
};

/// Why wgmma_gemm_with cannot run this, or ok. Whatever it says, nothing was launched.
template <gemm_activation A, gemm_weight B, class Epilogue>
status can_run_wgmma_with(const gemm_product<A, B>& product, const Epilogue& epilogue) {
  const gemm_problem<A, B, float> problem = product.problem();
  if (status bad = check_scaled("gemm: A", product.a); !bad.ok()) return bad;
  if (status bad = check_scaled("gemm: B", product.b); !bad.ok()) return bad;
  if (product.a.cols() != product.b.cols()) {
    return invalid("gemm: A is " + shape_text(product.a.rows(), product.a.cols()) + ", B is " +
                   shape_text(product.b.rows(), product.b.cols()) + "; they must be M x K and N x K");
  }
  if (status bad = check_batches(problem.batches, matrix_view<float>()); !bad.ok()) return bad;
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_device_operands(problem, *device); !bad.ok()) return bad;
  if (status bad = check_wgmma_operands(problem, *device); !bad.ok()) return bad;
  product_shape shape{problem.d.rows, problem.d.cols, problem.batches.count};
  if constexpr (requires { epilogue.check(shape); }) return epilogue.check(shape);
  else return {};
}

/// A product with its epilogue made ready for launches, like wgmma_plan. Holds the pointers of both.
template <class Epilogue>
class wgmma_plan_with {
  // Not as constraints, since nvcc does not say which of them a type fails.
  static_assert(passed_to_kernels<Epilogue>, "an epilogue must be trivially copyable, and of at most 1024 bytes");
  static_assert(called_with_four_elements<Epilogue>,
                "an epilogue must be callable with (product_quad& at, float (&x)[4])");
  static_assert(has_const_members<Epilogue>, "an epilogue's check and begin must be const and return a status");

 public:
  /// Of nothing: its launch does nothing.
  wgmma_plan_with() noexcept = default;
  /// See plan_wgmma_with.
  template <wgmma_sums... Sums, class A, class B>
  static result<wgmma_plan_with> make(const gemm_product<A, B>& product, const Epilogue& epilogue,
                                      const wgmma_options& options) {
    if (status bad = can_run_wgmma_with(product, epilogue); !bad.ok()) return bad;
    const result<device_limits> device = current_device();
    if (!device.ok()) return device.error();
    wgmma_plan_with plan;
    plan.device_ = device->device;
    plan.epilogue_.emplace(epilogue);
    const gemm_problem<A, B, float> problem = product.problem();
    if (status bad = plan.choose_among<Sums...>(sums_of(problem), problem, options.tile); !bad.ok()) return bad;
    return plan;
  }

  /// Ordered by `stream`; may be captured into a graph.
  status launch(cudaStream_t stream = nullptr) const {
    if (!epilogue_.has_value()) return {};
    int current = 0;
    if (status bad = from_runtime("cudaGetDevice", cudaGetDevice(&current)); !bad.ok()) return bad;
    if (current != device_) {
      return invalid("wgmma_gemm_with: planned for device " + std::to_string(device_) + ", the current device is " +
                     std::to_string(current));
    }
    if constexpr (epilogues::begins_launches<Epilogue>) {
      if (status bad = epilogue_->begin(stream); !bad.ok()) return bad;
    }
    return cuda::launch("wgmma_gemm_with", kernel_, shape_, stream, work_, *epilogue_);
  }
  [[nodiscard]] wgmma_tile tile() const noexcept { return tile_; }
  /// As wgmma_plan::k_parts.
  [[nodiscard]] int k_parts() const noexcept { return work_.parts; }
  /// How it runs, in a sentence.
  [[nodiscard]] std::string description() const {
    return "wgmma: tiles of " + std::string(name_of(tile_)) + parts_text(work_.parts) + ", " +
           std::to_string(shape_.blocks) + " thread blocks, an epilogue of " + std::to_string(sizeof(Epilogue)) +
           " bytes";
  }

 private:
  using kernel_type = void (*)(wgmma_work, Epilogue);

  /// Takes a kernel; where the product is empty that is all, and there are no thread blocks.
  template <class A, class B>
  status take(const gemm_problem<A, B, float>& problem, kernel_type kernel, wgmma_tile tile, int threads,
              size_t shared) {
    tile_          = tile;
    kernel_        = kernel;
    shape_.blocks  = 0;
    shape_.threads = threads;
    shape_.shared  = shared;
    return is_empty(problem) ? status() : ready_wgmma("wgmma_gemm_with", kernel, shared);
  }
  template <class A, class B>
  static bool is_empty(const gemm_problem<A, B, float>& problem) noexcept {
    return problem.d.rows == 0 || problem.d.cols == 0 || problem.batches.count == 0;
  }
  /// How many clusters of so many blocks the device holds at once; 0 where none.
  result<int> at_once(int blocks, known_clusters& known) const {
    launch_shape shape = shape_;
    shape.cluster      = blocks;
    return clusters_at_once("wgmma_gemm_with", kernel_, shape, device_, known);
  }
  /// Clusters of `blocks` take the tiles in turn, so many at once.
  status fill_device(int blocks, int together) {
    if (together == 0) return wgmma_cannot("this device holds no cluster of its thread blocks");
    const auto clusters = int64_t{work_.clusters};
    shape_.cluster      = blocks;
    shape_.blocks       = (clusters < together ? clusters : together) * blocks;
    return {};
  }

  template <wgmma_sums Sums, class A, class B>
  status prepare_large(const gemm_problem<A, B, float>& problem) {
    constexpr bool lines    = Sums == wgmma_sums::scaled_lines;
    using shape             = std::conditional_t<lines, wgmma_lines_by_rows_128x128, wgmma_by_rows_128x128>;
    constexpr size_t shared = wgmma_memory<shape, Sums>;
    static_assert(shared <= 227 * 1024);
    static known_clusters known{};
    constexpr kernel_type kernel = wgmma_kernel_with<A, B, shape, Sums, Epilogue>;
    if (status bad = take(problem, kernel, wgmma_tile::rows_128x128, wgmma_threads, shared); !bad.ok()) return bad;
    if (is_empty(problem)) return {};
    result<wgmma_work> work = prepare_wgmma<shape, Sums, wgmma_way::by_rows>(problem);
    if (!work.ok()) return work.error();
    work_                      = *work;
    const result<int> together = at_once(shape::cluster, known);
    return together.ok() ? fill_device(shape::cluster, *together) : together.error();
  }

  /// One kernel for all M that are small, since its tiles have 128 columns: a warp has a row of them.
  template <class A, class B>
  status prepare_small(const gemm_problem<A, B, float>& problem, wgmma_sums sums) {
    using shape             = wgmma_small_128;
    constexpr size_t shared = wgmma_small_memory<shape>;
    static std::array<known_clusters, size_t{wgmma_most_parts} + 1> known{};
    constexpr kernel_type kernel = wgmma_small_kernel_with<shape, Epilogue>;
    if (status bad = take(problem, kernel, wgmma_tile::small, shape::threads, shared); !bad.ok()) return bad;
    if (is_empty(problem)) return {};
    result<wgmma_work> work = prepare_wgmma<shape, wgmma_sums::whole, wgmma_way::by_rows>(problem);
    if (!work.ok()) return work.error();
    work_                       = *work;
    work_.sums                  = sums;
    work_.work.scales_change    = sums == wgmma_sums::scaled;
    const auto together         = [&](int parts) { return at_once(parts, known[static_cast<size_t>(parts)]); };
    const result<small_cut> cut = cut_small<shape>(work_, together);
    if (!cut.ok()) return cut.error();
    work_.parts = cut->parts;
    // Not before what the epilogue puts in front of the launch.
    shape_.begins_early = !epilogues::begins_launches<Epilogue>;
    return fill_device(cut->parts, cut->together);
  }

  template <wgmma_sums First, wgmma_sums... Others, class A, class B>
  status choose_among(wgmma_sums sums, const gemm_problem<A, B, float>& problem, wgmma_tile tile) {
    if (sums == First) {
      const bool is_small = problem.d.rows <= small_rows;
      if (is_small && (tile == wgmma_tile::automatic || tile == wgmma_tile::small)) return prepare_small(problem, sums);
      const bool b_fits  = sums != wgmma_sums::scaled || !has_narrow_blocks(problem);
      const bool is_tile = tile == wgmma_tile::automatic || tile == wgmma_tile::rows_128x128;
      if (is_tile && b_fits) return prepare_large<First>(problem);
      return no_wgmma_tile(tile, problem.d.rows, problem.d.cols);
    }
    if constexpr (sizeof...(Others) != 0) return choose_among<Others...>(sums, problem, tile);
    else return no_wgmma_sums(sums);
  }

  int device_ = 0;
  wgmma_work work_{};
  std::optional<Epilogue> epilogue_;
  kernel_type kernel_ = nullptr;
  launch_shape shape_ = {0};
  wgmma_tile tile_    = wgmma_tile::automatic;
};

/// Makes a product ready for launches on the current device, or says why it cannot run. Only kernels for the kinds of sums
/// that are named are compiled, all four where none is: a product of another kind is refused. Of the tiles there are
/// automatic, small and rows_128x128.
template <wgmma_sums... Sums, gemm_activation A, gemm_weight B, class Epilogue>
result<wgmma_plan_with<Epilogue>> plan_wgmma_with(const gemm_product<A, B>& product, const Epilogue& epilogue,
                                                  const wgmma_options& options = {}) {
  using plan = wgmma_plan_with<Epilogue>;
  using enum wgmma_sums;
  if constexpr (sizeof...(Sums) != 0) return plan::template make<Sums...>(product, epilogue, options);
  else return plan::template make<whole, promoted, scaled, scaled_lines>(product, epilogue, options);
}

/// A * B^T on Hopper, by wgmma, given to an epilogue; see product_epilogue, and plan_wgmma_with for a product that is run
/// often. A, B, their scales and the arithmetic of the product are those of wgmma_gemm, which see. What the epilogue reads
/// and writes is its own affair: it must not write A, B and their scales. Ordered by `stream`, capturable,
/// allocates nothing. On error nothing is written.
template <wgmma_sums... Sums, gemm_activation A, gemm_weight B, class Epilogue>
status wgmma_gemm_with(const gemm_product<A, B>& product, const Epilogue& epilogue, const wgmma_options& options = {},
                       cudaStream_t stream = nullptr) {
  const result<wgmma_plan_with<Epilogue>> plan = plan_wgmma_with<Sums...>(product, epilogue, options);
  return plan.ok() ? plan->launch(stream) : plan.error();
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
