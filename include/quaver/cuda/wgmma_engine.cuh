// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_WGMMA_ENGINE_CUH
#define QUAVER_CUDA_WGMMA_ENGINE_CUH

#include <quaver/cuda/time_in_turns.hpp>
#include <quaver/cuda/wgmma_gemm.cuh>
#include <quaver/problem/gemm_key.hpp>

#if !QUAVER_NVRTC

#include <span>
#include <unordered_map>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// All tiles that a problem can be planned with by name.
inline constexpr wgmma_tile wgmma_tiles[] = {
    wgmma_tile::in_turn_128x128, wgmma_tile::in_turn_128x176, wgmma_tile::in_turn_128x192, wgmma_tile::rows_128x192,
    wgmma_tile::rows_128x176,    wgmma_tile::rows_128x128,    wgmma_tile::rows_256x128,    wgmma_tile::alone_128x256,
    wgmma_tile::small};

/// wgmma_gemm with a memory: the calls of cublaslt_gemm, for problems that come again. The plan of a problem is made and
/// its operands are checked on the first call; later calls with the same addresses, shapes and numbers find it, and the
/// caller answers for the memory being still there. It keeps `most_plans` and then begins anew. One thread at a time; any
/// device that is current.
///
/// `Sums` are those of plan_wgmma: the kinds whose kernels are compiled, all where none is named.
template <wgmma_sums... Sums>
class wgmma_engine {
 public:
  static constexpr size_t most_plans = 1024;  ///< 3 KiB each

  wgmma_engine()                               = default;
  wgmma_engine(const wgmma_engine&)            = delete;
  wgmma_engine& operator=(const wgmma_engine&) = delete;

  /// Why run cannot run this problem, or ok. Nothing is launched.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  status can_run(const gemm_problem<A, B, D>& problem) {
    return find(problem).error();
  }

  /// How run runs it.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  result<wgmma_plan> plan(const gemm_problem<A, B, D>& problem) {
    const result<const wgmma_plan*> known = find(problem);
    if (!known.ok()) return known.error();
    return **known;
  }

  /// The bytes of workspace that run needs: none.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  result<size_t> workspace(const gemm_problem<A, B, D>& problem) {
    if (status bad = can_run(problem); !bad.ok()) return bad;
    return size_t{0};
  }

  /// Puts the problem into the stream, as wgmma_plan::launch does. The workspace is not looked at.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  status run(const gemm_problem<A, B, D>& problem, std::span<std::byte> /*workspace*/, cudaStream_t stream) {
    const result<const wgmma_plan*> known = find(problem);
    return known.ok() ? (*known)->launch(stream) : known.error();
  }

  /// Runs the problem some hundred times with each tile that it can have, and keeps the fastest for this and all alike
  /// problems: same formats, extents, layouts and strides, other addresses and numbers. Waits for the stream. D is written
  /// and is the problem's in the end, so C may not be D.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  status tune(const gemm_problem<A, B, D>& problem, std::span<std::byte> /*workspace*/, cudaStream_t stream) {
    if (status bad = check_timed_stream("wgmma_gemm", stream); !bad.ok()) return bad;
    int device = 0;
    if (status bad = from_runtime("cudaGetDevice", cudaGetDevice(&device)); !bad.ok()) return bad;
    const result<wgmma_plan> usual = plan_wgmma<Sums...>(problem);
    if (!usual.ok()) return usual.error();
    if (usual->shape().blocks == 0) return {};
    if (problem.beta != 0.0f && static_cast<const void*>(problem.c.data) == problem.d.data) {
      return invalid("wgmma_gemm: tune runs a problem often, and C is D (" +
                     shape_text(problem.d.rows, problem.d.cols) + "), which every run changes");
    }
    std::vector<wgmma_plan> plans;
    for (const wgmma_tile tile : wgmma_tiles) {
      wgmma_options options;
      options.tile = tile;
      if (const result<wgmma_plan> made = plan_wgmma<Sums...>(problem, options); made.ok()) plans.push_back(*made);
    }
    const auto times =
        time_in_turns(plans.size(), stream, [&plans](size_t i, cudaStream_t in) { return plans[i].launch(in); });
    if (!times.ok()) return times.error();
    const auto fastest = static_cast<size_t>(std::min_element(times->begin(), times->end()) - times->begin());
    tiles_.insert_or_assign(gemm_shape_of(gemm_key_of(problem, device)), plans[fastest].tile());
    plans_.clear();  // others of this shape were planned with another tile
    return {};
  }

  /// Forgets all plans and what was tuned.
  void forget() noexcept {
    plans_.clear();
    tiles_.clear();
  }

  /// How many plans it holds.
  [[nodiscard]] size_t plans() const noexcept { return plans_.size(); }

 private:
  std::unordered_map<gemm_key, wgmma_plan, gemm_key_hash> plans_;
  std::unordered_map<gemm_key, wgmma_tile, gemm_key_hash> tiles_;

  template <class A, class B, class D>
  result<const wgmma_plan*> find(const gemm_problem<A, B, D>& problem) {
    int device = 0;
    if (status bad = from_runtime("cudaGetDevice", cudaGetDevice(&device)); !bad.ok()) return bad;
    const gemm_key key = gemm_key_of(problem, device);
    if (const auto at = plans_.find(key); at != plans_.end()) return &at->second;
    wgmma_options options;
    if (const auto at = tiles_.find(gemm_shape_of(key)); at != tiles_.end()) options.tile = at->second;
    const result<wgmma_plan> made = plan_wgmma<Sums...>(problem, options);
    if (!made.ok()) return made.error();
    if (plans_.size() >= most_plans) plans_.clear();
    return &plans_.emplace(key, *made).first->second;
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
