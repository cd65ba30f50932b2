// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_CUBLASLT_HPP
#define QUAVER_ADAPTERS_CUBLASLT_HPP

// cuBLASLt as an engine for gemm_problem. For the host compiler alone; to be linked with cublasLt (quaver::cublaslt).

#include <quaver/adapters/cublaslt_plan.hpp>

#include <memory>
#include <span>
#include <unordered_map>

QUAVER_BEGIN_NAMESPACE

/// How a problem is run.
struct cublaslt_plan {
  int64_t launches  = 0;             ///< calls of cublasLtMatmul
  size_t workspace  = 0;             ///< bytes that run() needs
  size_t algorithms = 0;             ///< how many the library offers
  size_t chosen     = 0;             ///< which of them is taken, in the library's order
  int k_parts       = 1;             ///< sums of so many parts of K are added up in binary32
  cublasLtMatmulAlgo_t algorithm{};  ///< for those who call the library themselves
  std::string text;                  ///< all of it in a sentence
};

/// Runs problems by cuBLASLt: D = activation(alpha * A * B^T + beta * C), e4m3 and e5m2 (and two e2m1 a byte
/// with NVFP4 scales), and what of the rest of gemm_problem the library has in the problem's own sense. What it has not is refused before anything is launched, in
/// a sentence; docs/gemm.md lists all of it.
///
/// The descriptions and algorithms of a problem are made on its first call and kept as long as this object lives. Later
/// calls with the same addresses (of some thousand sets) find that they have been checked before; the caller answers for
/// the memory being still there. One device and one thread at a time; all pointers are device memory.
///
/// Sums are the library's: `strict` adds each 128 of K into a binary32, `fast` does not. Scales, alpha and beta * C are
/// applied in binary32. A NaN in D is 7FFFFFFF, 7FFF or the format's.
class cublaslt_gemm {
 public:
  /// Bytes that an algorithm may ask for, unless said otherwise: what NVIDIA advises for Hopper.
  static constexpr size_t usual_workspace = size_t{32} << 20;

  /// Makes a handle for the current device at the first call, which fails where that fails.
  explicit cublaslt_gemm(size_t most_workspace = usual_workspace) noexcept : most_(most_workspace) {}
  /// Uses the caller's handle, which must outlive this object.
  explicit cublaslt_gemm(cublasLtHandle_t handle, size_t most_workspace = usual_workspace) noexcept
      : handle_(handle), most_(most_workspace) {}
  cublaslt_gemm(const cublaslt_gemm&)            = delete;
  cublaslt_gemm& operator=(const cublaslt_gemm&) = delete;
  ~cublaslt_gemm() {
    if (owned_) static_cast<void>(cublasLtDestroy(handle_));
  }

  /// Why run cannot run this problem, or ok. Nothing is launched.
  template <library_activation A, library_weight B, gemm_output D>
  status can_run(const gemm_problem<A, B, D>& problem, const cublaslt_options& options = {}) {
    const result<found> known = find(problem, options);
    return known.ok() ? status() : known.error();
  }

  /// How run runs it.
  template <library_activation A, library_weight B, gemm_output D>
  result<cublaslt_plan> plan(const gemm_problem<A, B, D>& problem, const cublaslt_options& options = {}) {
    const result<found> known = find(problem, options);
    if (!known.ok()) return known.error();
    return plan_of(*known);
  }

  /// The bytes of workspace that run needs, by the algorithm that it takes now.
  template <library_activation A, library_weight B, gemm_output D>
  result<size_t> workspace(const gemm_problem<A, B, D>& problem, const cublaslt_options& options = {}) {
    const result<found> known = find(problem, options);
    if (!known.ok()) return known.error();
    return known->matmul == nullptr ? size_t{0} : known->matmul->workspace(known->matmul->chosen);
  }

  /// Puts the problem into the stream, without waiting and without allocating device memory; it may be captured into a
  /// graph. The workspace is device memory at a multiple of 256 bytes, of workspace() bytes or more, and belongs to the
  /// calls of one stream. It may overlap nothing of the problem. D's scale, a number of the host, is written to it for
  /// each call (unless it is 1, or in the options), and so are 128x128 scales with K not a multiple of 512, which the library wants padded.
  template <library_activation A, library_weight B, gemm_output D>
  status run(const gemm_problem<A, B, D>& problem, std::span<std::byte> workspace, cudaStream_t stream,
             const cublaslt_options& options = {}) {
    const result<found> known = find(problem, options);
    if (!known.ok()) return known.error();
    if (known->matmul == nullptr) return set_amax_of_nothing(problem.d_amax, stream);
    cublaslt_matmul& matmul = *known->matmul;
    if (status bad = check_workspace(workspace, matmul.workspace(matmul.chosen)); !bad.ok()) return bad;
    return matmul.enqueue(handle_, known->request, matmul.chosen, workspace.data(), stream);
  }

  /// Runs the problem some dozen times with each algorithm that fits the workspace, and keeps the fastest for this and
  /// all alike problems. Waits for the stream. D is the problem's in the end, so C may not be D.
  template <library_activation A, library_weight B, gemm_output D>
  status tune(const gemm_problem<A, B, D>& problem, std::span<std::byte> workspace, cudaStream_t stream,
              const cublaslt_options& options = {}) {
    const result<found> known = find(problem, options);
    if (!known.ok()) return known.error();
    if (known->matmul == nullptr) return {};
    if (known->request.c == known->request.d) {
      return invalid("cuBLASLt: tune runs a problem often, and C is D (" + shape_text(problem.d.rows, problem.d.cols) +
                     "), which every run changes");
    }
    return tune_found(*known, workspace, stream);
  }

  // The same for a request: for what is built upon this class, and has made the request from what passed check_gemm and
  // has elements.
  result<size_t> workspace(const cublaslt_request& request) {
    const result<found> known = find(request);
    if (!known.ok()) return known.error();
    return known->matmul->workspace(known->matmul->chosen);
  }
  result<cublaslt_plan> plan(const cublaslt_request& request) {
    const result<found> known = find(request);
    if (!known.ok()) return known.error();
    return plan_of(*known);
  }
  status run(const cublaslt_request& request, std::span<std::byte> workspace, cudaStream_t stream) {
    const result<found> known = find(request);
    if (!known.ok()) return known.error();
    cublaslt_matmul& matmul = *known->matmul;
    if (status bad = check_workspace(workspace, matmul.workspace(matmul.chosen)); !bad.ok()) return bad;
    return matmul.enqueue(handle_, request, matmul.chosen, workspace.data(), stream);
  }

  /// Forgets all algorithms and addresses.
  void forget() noexcept {
    checked_.clear();
    matmuls_.clear();
  }

 private:
  struct found {
    cublaslt_matmul* matmul = nullptr;  ///< null where there is nothing to compute
    cublaslt_request request{};
  };

  /// Two events that are destroyed with it.
  struct event_pair {
    cudaEvent_t begin = nullptr;
    cudaEvent_t end   = nullptr;

    event_pair()                             = default;
    event_pair(const event_pair&)            = delete;
    event_pair& operator=(const event_pair&) = delete;
    ~event_pair() {
      if (begin != nullptr) static_cast<void>(cudaEventDestroy(begin));
      if (end != nullptr) static_cast<void>(cudaEventDestroy(end));
    }
    status make() {
      if (status bad = cuda::from_runtime("cudaEventCreate", cudaEventCreate(&begin)); !bad.ok()) return bad;
      return cuda::from_runtime("cudaEventCreate", cudaEventCreate(&end));
    }
    static status record(cudaEvent_t event, cudaStream_t stream) {
      return cuda::from_runtime("cudaEventRecord", cudaEventRecord(event, stream));
    }
    /// Waits for the end.
    status elapsed(float& milliseconds) const {
      if (status bad = cuda::from_runtime("cudaEventSynchronize", cudaEventSynchronize(end)); !bad.ok()) return bad;
      return cuda::from_runtime("cudaEventElapsedTime", cudaEventElapsedTime(&milliseconds, begin, end));
    }
  };

  cublasLtHandle_t handle_ = nullptr;
  bool owned_              = false;
  int device_              = -1;  ///< the first one asked about
  size_t most_;
  std::unordered_map<cublaslt_request, std::unique_ptr<cublaslt_matmul>, cublaslt_request_hash> matmuls_;
  std::unordered_map<cublaslt_request, cublaslt_matmul*, cublaslt_request_hash> checked_;

  template <class A, class B, class D>
  result<found> find(const gemm_problem<A, B, D>& problem, const cublaslt_options& options) {
    const result<cuda::device_limits> device = cuda::current_device();
    if (!device.ok()) return device.error();
    found known{nullptr, cublaslt_request_of(problem, device->device, options)};
    if (const auto at = checked_.find(known.request); at != checked_.end()) {
      known.matmul = at->second;
      return known;
    }
    if (status bad = check_gemm(problem); !bad.ok()) return bad;
    if (problem.d.rows == 0 || problem.d.cols == 0 || problem.batches.count == 0) {
      if (status bad = cuda::check_reachable("cuBLASLt: d_amax", problem.d_amax, *device); !bad.ok()) return bad;
      return known;
    }
    if (status bad = look_up(known, *device); !bad.ok()) return bad;
    return known;
  }

  result<found> find(const cublaslt_request& request) {
    found known{nullptr, request};
    if (const auto at = checked_.find(request); at != checked_.end()) {
      known.matmul = at->second;
      return known;
    }
    const result<cuda::device_limits> device = cuda::current_device();
    if (!device.ok()) return device.error();
    if (status bad = look_up(known, *device); !bad.ok()) return bad;
    return known;
  }

  /// The matmul of a request that passed check_gemm.
  status look_up(found& known, const cuda::device_limits& device) {
    const cublaslt_request& request = known.request;
    cublaslt_form form;
    if (status bad = check_cublaslt(request, device.capability, form); !bad.ok()) return bad;
    const std::pair<const char*, const void*> places[] = {
        {"cuBLASLt: A", request.a.data},
        {"cuBLASLt: the scales of A", request.a.scales},
        {"cuBLASLt: B", request.b.data},
        {"cuBLASLt: the scales of B", request.b.scales},
        {"cuBLASLt: D", request.d},
        {"cuBLASLt: C", request.c},
        {"cuBLASLt: d_amax", request.d_amax},
        {"cuBLASLt: the scale of D", request.d_scale_at},
        {"cuBLASLt: tensor_wide of A", request.a.tensor_wide},
        {"cuBLASLt: tensor_wide of B", request.b.tensor_wide},
    };
    for (const auto& [name, pointer] : places) {
      if (status bad = cuda::check_reachable(name, pointer, device); !bad.ok()) return bad;
    }
    if (device_ < 0) device_ = device.device;
    if (device_ != device.device) {
      return invalid("cuBLASLt: this object's handle belongs to device " + std::to_string(device_) +
                     ", the current device is " + std::to_string(device.device));
    }
    if (handle_ == nullptr) {
      if (status bad = from_cublaslt("cublasLtCreate", cublasLtCreate(&handle_)); !bad.ok()) return bad;
      owned_ = true;
    }
    const cublaslt_request key = cublaslt_key_of(request);
    auto at                    = matmuls_.find(key);
    if (at == matmuls_.end()) {
      auto matmul  = std::make_unique<cublaslt_matmul>();
      matmul->form = form;
      if (status bad = matmul->prepare(handle_, request, most_); !bad.ok()) return bad;
      at = matmuls_.emplace(key, std::move(matmul)).first;
    }
    constexpr size_t most_checked = 4096;
    if (checked_.size() >= most_checked) checked_.clear();
    known.matmul = at->second.get();
    checked_.emplace(request, known.matmul);
    return {};
  }

  static cublaslt_plan plan_of(const found& known) {
    cublaslt_plan plan;
    if (known.matmul == nullptr) {
      plan.text = "nothing to compute";
      return plan;
    }
    const cublaslt_matmul& matmul = *known.matmul;
    const cublaslt_form& form     = matmul.form;
    plan.launches                 = (form.loops ? known.request.batches : 1) + (form.two_levels ? 1 : 0);
    plan.workspace                = matmul.workspace(matmul.chosen);
    plan.algorithms               = matmul.found.size();
    plan.chosen                   = matmul.chosen;
    plan.algorithm                = matmul.found[matmul.chosen].algo;
    int32_t parts                 = 1;
    size_t written                = 0;
    static_cast<void>(cublasLtMatmulAlgoConfigGetAttribute(&plan.algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts,
                                                           sizeof(parts), &written));
    plan.k_parts         = parts > 1 ? parts : 1;
    const size_t version = cublasLtGetVersion();
    plan.text = "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
                std::to_string(version % 100) + ", scales of A " + cublaslt_mode_name(form.a_mode) + ", of B " +
                cublaslt_mode_name(form.b_mode) +
                (known.request.accumulate == accumulation::fast ? ", fast accumulation" : ", strict accumulation");
    if (form.loops)
      plan.text += ", " + std::to_string(known.request.batches) + " launches, one a batch, for the scales of each";
    if (form.two_levels) plan.text += ", a launch before for alpha times both tensor-wide scales";
    if (form.a_padded != 0) plan.text += ", the scales of A copied with padding before each launch";
    if (form.b_padded != 0) plan.text += ", the scales of B copied with padding before each launch";
    if (known.request.d_scale != 1.0f) plan.text += ", D's scale written to the workspace";
    plan.text += ", algorithm " + std::to_string(plan.chosen + 1) + " of " + std::to_string(plan.algorithms) + ", " +
                 std::to_string(plan.workspace) + " bytes of workspace";
    return plan;
  }

  static status check_workspace(std::span<std::byte> workspace, size_t needed) {
    const auto past = reinterpret_cast<std::uintptr_t>(workspace.data()) % cublaslt_workspace::part;
    if (workspace.size() >= needed && (needed == 0 || (past == 0 && workspace.data() != nullptr))) return {};
    return invalid("cuBLASLt: the workspace has " + std::to_string(workspace.size()) + " bytes, " +
                   std::to_string(past) + " past a multiple of 256; it needs " + std::to_string(needed) + " at one");
  }

  /// The amax of D without elements is 0.
  static status set_amax_of_nothing(float* amax, cudaStream_t stream) {
    if (amax == nullptr) return {};
    return cuda::from_runtime("cuBLASLt: cudaMemsetAsync", cudaMemsetAsync(amax, 0, sizeof(float), stream));
  }

  status tune_found(const found& known, std::span<std::byte> workspace, cudaStream_t stream) {
    cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
    if (status bad = cuda::from_runtime("cudaStreamIsCapturing", cudaStreamIsCapturing(stream, &capturing)); !bad.ok())
      return bad;
    if (capturing != cudaStreamCaptureStatusNone)
      return invalid("cuBLASLt: tune cannot be captured: it waits for the stream");
    if (status bad = check_workspace(workspace, known.matmul->parts.library); !bad.ok()) return bad;
    event_pair events;
    if (status bad = events.make(); !bad.ok()) return bad;
    return measure(known, workspace, stream, events);
  }

  /// In turns, so that a clock that changes is every algorithm's; the best of the rounds counts.
  status measure(const found& known, std::span<std::byte> workspace, cudaStream_t stream, const event_pair& events) {
    constexpr int rounds    = 4;  // the first of them warms up
    constexpr int calls     = 6;
    cublaslt_matmul& matmul = *known.matmul;
    float best              = 0.0f;
    bool any                = false;
    size_t fastest          = matmul.chosen;
    for (int round = 0; round < rounds; ++round) {
      for (size_t i = 0; i < matmul.found.size(); ++i) {
        if (matmul.workspace(i) > workspace.size()) continue;
        float time = 0.0f;
        if (status bad = events.record(events.begin, stream); !bad.ok()) return bad;
        for (int call = 0; call < calls; ++call) {
          if (status bad = matmul.enqueue(handle_, known.request, i, workspace.data(), stream); !bad.ok()) return bad;
        }
        if (status bad = events.record(events.end, stream); !bad.ok()) return bad;
        if (status bad = events.elapsed(time); !bad.ok()) return bad;
        if (round == 0 || (any && time >= best)) continue;
        any     = true;
        best    = time;
        fastest = i;
      }
    }
    if (!any) {
      return invalid("cuBLASLt: no algorithm fits a workspace of " + std::to_string(workspace.size()) + " bytes");
    }
    matmul.chosen = fastest;
    return {};
  }
};

QUAVER_END_NAMESPACE

#endif
