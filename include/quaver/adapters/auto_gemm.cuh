// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_AUTO_GEMM_CUH
#define QUAVER_ADAPTERS_AUTO_GEMM_CUH

// Our GEMM for Hopper or cuBLASLt, whichever is the faster. For nvcc; to be linked with cublasLt (quaver::cublaslt).

#include <quaver/adapters/auto_gemm_record.hpp>
#include <quaver/adapters/cublaslt_epilogue.cuh>
#include <quaver/cuda/wgmma_engine.cuh>

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

/// Runs problems by the engine that was the faster at the nearest shape of gemm_record, or in tune(), and by another where
/// that one cannot: see auto_order. The contract is that of the engines: one device and one thread at a time, addresses
/// that come again are not checked again. D's bits can depend on the engine where sums are not exact, so they are those of
/// one build's record on one kind of device.
///
/// `Sums` are those of plan_wgmma: the kinds whose kernels are compiled, all where none is named.
template <cuda::wgmma_sums... Sums>
class auto_gemm {
 public:
  static constexpr size_t most_choices = 4096;

  /// Makes a handle for cuBLASLt when it is first asked.
  explicit auto_gemm(size_t most_workspace = cublaslt_gemm::usual_workspace) noexcept : library_(most_workspace) {}
  /// Uses the caller's handle, which must outlive this object.
  explicit auto_gemm(cublasLtHandle_t handle, size_t most_workspace = cublaslt_gemm::usual_workspace) noexcept
      : library_(handle, most_workspace) {}

  /// Ok, or why no engine can run this problem: the reason of each. Nothing is launched.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  status can_run(const gemm_problem<A, B, D>& problem) {
    return choose(problem).error();
  }

  /// Which engine run takes, and why.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  result<auto_choice> choice(const gemm_problem<A, B, D>& problem) {
    return decide(problem);
  }

  /// How run runs it.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  result<auto_plan> plan(const gemm_problem<A, B, D>& problem) {
    const result<auto_engine> engine = choose(problem);
    if (!engine.ok()) return engine.error();
    const auto plan_of = [&engine](const auto& made) -> result<auto_plan> {
      if (!made.ok()) return made.error();
      auto_plan plan;
      plan.engine = *engine;
      if constexpr (requires { made->text; }) plan.text = made->text;
      else plan.text = made->description();
      if constexpr (requires { made->workspace; }) plan.workspace = made->workspace;
      return plan;
    };
    switch (*engine) {
      case auto_engine::wgmma:
        if constexpr (ours_takes<A, B>) return plan_of(ours_.plan(problem));
        break;
      case auto_engine::cublaslt: return plan_of(library_.plan(problem));
      case auto_engine::cublaslt_with_epilogue: return plan_of(with_epilogue_.plan(problem));
      case auto_engine::plain: break;
    }
    return plan_of(cuda::plan_gemm(problem));
  }

  /// The bytes of workspace that run needs.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  result<size_t> workspace(const gemm_problem<A, B, D>& problem) {
    const result<auto_engine> engine = choose(problem);
    if (!engine.ok()) return engine.error();
    return workspace_of(problem, *engine);
  }

  /// As cublaslt_gemm::run: stream-ordered, allocates nothing on the device, may be captured. The workspace is device memory
  /// at a multiple of 256 bytes, of workspace() bytes or more.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  status run(const gemm_problem<A, B, D>& problem, std::span<std::byte> workspace, cudaStream_t stream) {
    const result<auto_engine> engine = choose(problem);
    if (!engine.ok()) return engine.error();
    return run_by(problem, *engine, workspace, stream);
  }

  /// Tunes both engines for this problem where they can run it within the workspace, then times them in turns and keeps the
  /// faster for this and all alike problems (those of gemm_shape_of), whatever the record says. Waits for the stream. D is
  /// the problem's in the end, so C may not be D.
  template <gemm_activation A, gemm_weight B, gemm_output D>
  status tune(const gemm_problem<A, B, D>& problem, std::span<std::byte> workspace, cudaStream_t stream) {
    if (status bad = cuda::check_timed_stream("auto_gemm", stream); !bad.ok()) return bad;
    int device = 0;
    if (status bad = cuda::from_runtime("cudaGetDevice", cudaGetDevice(&device)); !bad.ok()) return bad;
    if (status bad = can_run(problem); !bad.ok()) return bad;
    if (problem.d.rows == 0 || problem.d.cols == 0 || problem.batches.count == 0) return {};
    if (problem.beta != 0.0f && static_cast<const void*>(problem.c.data) == problem.d.data) {
      return invalid("auto_gemm: tune runs a problem often, and C is D (" + shape_text(problem.d.rows, problem.d.cols) +
                     "), which every run changes");
    }
    std::vector<auto_engine> runners;
    if constexpr (ours_takes<A, B>) {
      if (ours_.can_run(problem).ok()) {
        if (status bad = ours_.tune(problem, {}, stream); !bad.ok()) return bad;
        runners.push_back(auto_engine::wgmma);
      }
    }
    // Where no algorithm fits the workspace, nothing is wrong with the problem.
    if (library_.can_run(problem).ok() && library_.tune(problem, workspace, stream).ok()) {
      runners.push_back(auto_engine::cublaslt);
    } else if (fits(with_epilogue_.workspace(problem), workspace)) {
      runners.push_back(auto_engine::cublaslt_with_epilogue);
    }
    if (runners.empty()) return {};
    const auto times = cuda::time_in_turns(
        runners.size(), stream, [&](size_t i, cudaStream_t in) { return run_by(problem, runners[i], workspace, in); });
    if (!times.ok()) return times.error();
    const auto best = static_cast<size_t>(std::min_element(times->begin(), times->end()) - times->begin());
    tuned of{runners[best], {}};
    for (size_t i = 0; i < runners.size(); ++i) {
      of.why += (i == 0 ? "tuned: " : ", ") + std::string(name_of(runners[i])) + " took " +
                std::to_string((*times)[i] * 1000.0f) + " us";
    }
    tuned_.insert_or_assign(gemm_shape_of(gemm_key_of(problem, device)), of);
    choices_.clear();
    return {};
  }

  /// Forgets all plans, algorithms and what was tuned.
  void forget() noexcept {
    choices_.clear();
    tuned_.clear();
    ours_.forget();
    library_.forget();
  }

  /// The engines that it chooses between.
  cuda::wgmma_engine<Sums...>& wgmma() noexcept { return ours_; }
  cublaslt_gemm& cublaslt() noexcept { return library_; }

 private:
  template <class A, class B>
  static constexpr bool ours_takes = cuda::ptx::is_fp8<A> && cuda::ptx::is_fp8<B>;

  struct tuned {
    auto_engine engine = auto_engine::plain;
    std::string why;
  };

  cuda::wgmma_engine<Sums...> ours_;
  cublaslt_gemm library_;
  cublaslt_gemm_with_epilogue with_epilogue_{library_};
  std::unordered_map<gemm_key, auto_engine, gemm_key_hash> choices_;
  std::unordered_map<gemm_key, tuned, gemm_key_hash> tuned_;

  static bool fits(const result<size_t>& bytes, std::span<std::byte> workspace) noexcept {
    return bytes.ok() && *bytes <= workspace.size();
  }

  template <class A, class B, class D>
  status can_run_by(const gemm_problem<A, B, D>& problem, auto_engine engine) {
    switch (engine) {
      case auto_engine::wgmma:
        if constexpr (ours_takes<A, B>) return ours_.can_run(problem);
        else return cuda::wgmma_cannot("the instruction multiplies E4M3 and E5M2, and A or B is something else");
      case auto_engine::cublaslt: return library_.can_run(problem);
      case auto_engine::cublaslt_with_epilogue: return with_epilogue_.can_run(problem);
      case auto_engine::plain: return cuda::can_run(problem);
    }
    return {};
  }

  template <class A, class B, class D>
  result<size_t> workspace_of(const gemm_problem<A, B, D>& problem, auto_engine engine) {
    if (engine == auto_engine::cublaslt) return library_.workspace(problem);
    if (engine == auto_engine::cublaslt_with_epilogue) return with_epilogue_.workspace(problem);
    return size_t{0};
  }

  template <class A, class B, class D>
  status run_by(const gemm_problem<A, B, D>& problem, auto_engine engine, std::span<std::byte> workspace,
                cudaStream_t stream) {
    switch (engine) {
      case auto_engine::wgmma:
        if constexpr (ours_takes<A, B>) return ours_.run(problem, workspace, stream);
        break;
      case auto_engine::cublaslt: return library_.run(problem, workspace, stream);
      case auto_engine::cublaslt_with_epilogue: return with_epilogue_.run(problem, workspace, stream);
      case auto_engine::plain: return cuda::gemm(problem, {}, stream);
    }
    return {};
  }

  /// The engine alone, found again where the problem has come before.
  template <class A, class B, class D>
  result<auto_engine> choose(const gemm_problem<A, B, D>& problem) {
    int device = 0;
    if (status bad = cuda::from_runtime("cudaGetDevice", cudaGetDevice(&device)); !bad.ok()) return bad;
    const gemm_key key = gemm_key_of(problem, device);
    if (const auto at = choices_.find(key); at != choices_.end()) return at->second;
    const result<auto_choice> made = decide(problem);
    if (!made.ok()) return made.error();
    if (choices_.size() >= most_choices) choices_.clear();
    choices_.emplace(key, made->engine);
    return made->engine;
  }

  template <class A, class B, class D>
  result<auto_choice> decide(const gemm_problem<A, B, D>& problem) {
    int device = 0;
    if (status bad = cuda::from_runtime("cudaGetDevice", cudaGetDevice(&device)); !bad.ok()) return bad;
    auto_choice made;
    auto_engine faster = auto_engine::wgmma;
    if (const auto at = tuned_.find(gemm_shape_of(gemm_key_of(problem, device))); at != tuned_.end()) {
      faster   = at->second.engine;
      made.why = at->second.why;
    } else {
      const measured_kind kind = measured_kind_of(problem);
      const gemm_measurement* nearest =
          nearest_measurement(gemm_record, kind, problem.d.rows, problem.d.cols, problem.a.cols());
      faster   = faster_by(nearest);
      made.why = measurement_text(nearest, kind);
    }
    std::string reasons;
    for (const auto_engine engine : auto_order(faster)) {
      const status can = can_run_by(problem, engine);
      if (can.ok()) {
        made.engine = engine;
        made.why    = std::string(name_of(engine)) + ": " + made.why + reasons;
        return made;
      }
      if (can.code() != status_code::unsupported) return can;  // no engine takes it
      reasons += "; not " + std::string(name_of(engine)) + ": " + can.message();
    }
    return status(status_code::unsupported, "auto_gemm: no engine can run this problem" + reasons);
  }

  static std::string measurement_text(const gemm_measurement* nearest, measured_kind kind) {
    if (nearest == nullptr) return std::string("nothing was measured with ") + name_of(kind);
    const auto percent = static_cast<int>(std::lround(nearest->vs_cublaslt * 100.0f));
    return std::string("at the nearest measured shape, ") + std::to_string(nearest->m) + " x " +
           std::to_string(nearest->n) + " x " + std::to_string(nearest->k) + ", " + name_of(kind) + ", cublaslt took " +
           std::to_string(percent) + " % of wgmma's time (" + gemm_record_card + ", " + gemm_record_date + ")";
  }
};

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
