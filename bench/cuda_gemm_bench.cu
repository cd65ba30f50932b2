// SPDX-License-Identifier: MIT
//
// cublaslt_gemm against cublasLtMatmul called by hand with the algorithm that it chose: device time in turns (vs_hand,
// to be 1), host time of a call (overhead_us: ours less that by hand), results compared byte for byte.
//
// wgmma/...: the kernel for Hopper against cublaslt_gemm at the best of all its algorithms (vs_cublaslt).
//
// host/...: host time of a call of a tiny problem in several ways; what each takes longer than cudaLaunchKernelExC of the
// same kernel with the same attributes and arguments is plan_overhead_us, engine_overhead_us, ...
#include <quaver/adapters/auto_gemm.cuh>
#include <quaver/adapters/cublaslt.hpp>
#include <quaver/cuda/wgmma_gemm.cuh>

#include "cuda_turns.cuh"

#include <chrono>
#include <cstring>
#include <random>

namespace {

using namespace quaver;
using quaver_bench::contender;

void must(const status& done) {
  if (done.ok()) return;
  std::fprintf(stderr, "%s\n", done.message().c_str());
  std::exit(1);
}
void must(cublasStatus_t outcome) { must(from_cublaslt("by hand", outcome)); }

/// Device memory with what is given, repeated.
struct device_bytes {
  std::byte* data = nullptr;
  explicit device_bytes(size_t bytes) { QUAVER_MUST(cudaMalloc(reinterpret_cast<void**>(&data), bytes)); }
  device_bytes(const device_bytes&)            = delete;
  device_bytes& operator=(const device_bytes&) = delete;
  ~device_bytes() { cudaFree(data); }
  void fill(size_t bytes, const std::vector<uint8_t>& from) {
    for (size_t at = 0; at < bytes; at += from.size())
      QUAVER_MUST(cudaMemcpy(data + at, from.data(), std::min(bytes - at, from.size()), cudaMemcpyHostToDevice));
  }
};

const std::vector<uint8_t>& gaussian_codes() {
  static const std::vector<uint8_t> codes = [] {
    std::vector<uint8_t> all((size_t{1} << 22) - 3);
    std::minstd_rand random;
    std::normal_distribution<float> normal;
    for (uint8_t& code : all) code = encode<e4m3>(normal(random)).bits();
    return all;
  }();
  return codes;
}

struct kind {
  const char* name;
  scale_layout a, b;
  accumulation sum;
  float d_scale;
  bool scale_in_memory = false;
};
constexpr scale_layout lines = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};
constexpr kind kinds[]       = {{"tensor_fast", {}, {}, accumulation::fast, 1},
                                {"tensor_strict", {}, {}, accumulation::strict, 1},
                                {"rows_fast", per_row, per_row, accumulation::fast, 1},
                                {"rows_strict", per_row, per_row, accumulation::strict, 1},
                                {"1x128_128x128", lines, blocks_128x128, accumulation::strict, 1},
                                {"1x128_1x128", lines, lines, accumulation::strict, 1},
                                {"e4m3_out_fast", {}, {}, accumulation::fast, 0.5f},
                                {"e4m3_out_fast_scale_in_memory", {}, {}, accumulation::fast, 0.5f, true}};

/// The buffers of one call, and its descriptions made by hand.
template <class D>
struct buffers {
  device_bytes a, b, d, d_by_hand, scales, memory;
  gemm_problem<e4m3, e4m3, D> problem;
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t la{}, lb{}, ld{}, lc{};
  static constexpr size_t room = cublaslt_gemm::usual_workspace + 65536;

  buffers(int64_t m, int64_t n, int64_t k, const kind& what)
      : a(size_t(m * k)),
        b(size_t(n * k)),
        d(size_t(m * n) * sizeof(D)),
        d_by_hand(size_t(m * n) * sizeof(D)),
        scales(size_t(m + n) * size_t(k / 128 + 1) * 4 + 1024),
        memory(room) {
    a.fill(size_t(m * k), gaussian_codes());
    b.fill(size_t(n * k), gaussian_codes());
    const std::vector<float> ones(size_t(m + n) * size_t(k / 128 + 1) + 256, 0.5f);
    QUAVER_MUST(cudaMemcpy(scales.data, ones.data(), ones.size() * 4, cudaMemcpyHostToDevice));
    auto* const factors = reinterpret_cast<float*>(scales.data);
    problem.a.values    = {reinterpret_cast<const e4m3*>(a.data), m, k};
    problem.b.values    = {reinterpret_cast<const e4m3*>(b.data), n, k};
    problem.d           = {reinterpret_cast<D*>(d.data), m, n};
    problem.a.layout    = what.a;
    problem.b.layout    = what.b;
    problem.a.scales    = factors;
    problem.b.scales    = factors + (m * (k / 128 + 1) + 3) / 4 * 4;  // at a multiple of 16 bytes
    problem.accumulate  = what.sum;
    problem.d_scale     = quant_scale(what.d_scale);

    cublaslt_form form;
    if (!check_cublaslt(cublaslt_request_of(problem, 0), 90, form).ok()) return;  // nor will it be called by hand
    must(cublasLtMatmulDescInit(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const auto set = [&](cublasLtMatmulDescAttributes_t at, auto value) {
      must(cublasLtMatmulDescSetAttribute(&operation, at, &value, sizeof(value)));
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t{CUBLAS_OP_T});
    set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, int8_t{what.sum == accumulation::fast});
    set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, form.b_mode);
    set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, form.a_mode);
    set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, static_cast<const void*>(problem.b.scales));
    set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, static_cast<const void*>(problem.a.scales));
    if (what.d_scale != 1) set(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, static_cast<const void*>(factors));  // 0.5 too
    must(cublasLtMatrixLayoutInit(&la, CUDA_R_8F_E4M3, uint64_t(k), uint64_t(n), k));
    must(cublasLtMatrixLayoutInit(&lb, CUDA_R_8F_E4M3, uint64_t(k), uint64_t(m), k));
    must(cublasLtMatrixLayoutInit(&ld, static_cast<cudaDataType>(cublaslt_type<D>()), uint64_t(n), uint64_t(m), n));
    must(cublasLtMatrixLayoutInit(&lc, CUDA_R_16BF, uint64_t(n), uint64_t(m), n));
  }
  void by_hand(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) {
    const float one  = 1;
    const float zero = 0;
    must(cublasLtMatmul(handle, &operation, &one, b.data, &la, a.data, &lb, &zero, nullptr, &lc, d_by_hand.data, &ld,
                        &algorithm, memory.data, cublaslt_gemm::usual_workspace, stream));
  }
};

/// Seconds a call on the host, for as many calls as the device's queue holds without making the host wait.
template <class Call>
double host_seconds(const Call& call, int sets) {
  constexpr int calls = 256;
  QUAVER_MUST(cudaDeviceSynchronize());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call(i % sets);
  const double all = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  QUAVER_MUST(cudaDeviceSynchronize());
  return all / calls;
}

template <class D>
void row(benchmark::State& state, const kind& what, int64_t m, int64_t n, int64_t k, bool tuned) {
  const double bytes      = double(m) * double(k) + double(n) * double(k) + double(m) * double(n) * double(sizeof(D));
  const int sets          = static_cast<int>(std::clamp(200e6 / bytes, 2.0, 8.0));
  cublasLtHandle_t handle = nullptr;
  must(cublasLtCreate(&handle));
  cublaslt_gemm engine(handle);
  std::vector<std::unique_ptr<buffers<D>>> all;
  for (int i = 0; i < sets; ++i) all.push_back(std::make_unique<buffers<D>>(m, n, k, what));
  const auto room    = [](buffers<D>& x) { return std::span<std::byte>(x.memory.data, buffers<D>::room); };
  const auto options = [&what](buffers<D>& x) {
    return cublaslt_options{.d_scale = what.scale_in_memory ? reinterpret_cast<const float*>(x.scales.data) : nullptr};
  };
  if (tuned) must(engine.tune(all[0]->problem, room(*all[0]), nullptr, options(*all[0])));
  const result<cublaslt_plan> plan = engine.plan(all[0]->problem, options(*all[0]));
  must(plan.error());
  const contender us{"quaver", [&](int set, cudaStream_t s) {
                       buffers<D>& x = *all[size_t(set)];
                       must(engine.run(x.problem, room(x), s, options(x)));
                     }};
  const contender hand{"hand", [&](int set, cudaStream_t s) { all[size_t(set)]->by_hand(handle, plan->algorithm, s); }};
  for (int i = 0; i < sets; ++i) {
    us.call(i, nullptr);
    hand.call(i, nullptr);
  }
  QUAVER_MUST(cudaDeviceSynchronize());
  const size_t result_bytes = size_t(m * n) * sizeof(D);
  std::vector<std::byte> ours(result_bytes);
  std::vector<std::byte> theirs(result_bytes);
  QUAVER_MUST(cudaMemcpy(ours.data(), all[0]->d.data, result_bytes, cudaMemcpyDeviceToHost));
  QUAVER_MUST(cudaMemcpy(theirs.data(), all[0]->d_by_hand.data, result_bytes, cudaMemcpyDeviceToHost));
  state.counters["equal"] = std::memcmp(ours.data(), theirs.data(), result_bytes) == 0 ? 1 : 0;

  std::vector<double> with;
  std::vector<double> without;
  const int rounds = bytes > 2e7 ? 0 : 41;  // where the device takes longer than the queue is deep, the host waits
  for (int i = 0; i < rounds; ++i) {
    without.push_back(host_seconds([&](int set) { hand.call(set, nullptr); }, sets));
    with.push_back(host_seconds([&](int set) { us.call(set, nullptr); }, sets));
  }
  quaver_bench::take_turns(state, bytes, sets, us, {hand});
  if (rounds != 0) {
    state.counters["host_us"]      = quaver_bench::middle_of(with) * 1e6;
    state.counters["hand_host_us"] = quaver_bench::middle_of(without) * 1e6;
    state.counters["overhead_us"]  = (quaver_bench::middle_of(with) - quaver_bench::middle_of(without)) * 1e6;
  }
  state.counters["TFLOP/s"]   = 2e-12 * double(m) * double(n) * double(k) / (double(state.counters["us"]) * 1e-6);
  state.counters["algorithm"] = double(plan->chosen + 1);
  all.clear();
  must(cublasLtDestroy(handle));
}

/// The kernel for Hopper. `equal`: the share of D's elements that have cuBLASLt's bits.
void wgmma_row(benchmark::State& state, const kind& what, int64_t m, int64_t n, int64_t k) {
  const double bytes      = double(m) * double(k) + double(n) * double(k) + double(m) * double(n) * sizeof(bfloat16);
  const int sets          = static_cast<int>(std::clamp(300e6 / bytes, 2.0, 16.0));
  cublasLtHandle_t handle = nullptr;
  must(cublasLtCreate(&handle));
  cublaslt_gemm engine(handle);
  std::vector<std::unique_ptr<buffers<bfloat16>>> all;
  std::vector<cuda::wgmma_plan> plans;
  for (int i = 0; i < sets; ++i) {
    all.push_back(std::make_unique<buffers<bfloat16>>(m, n, k, what));
    const auto plan = cuda::plan_wgmma(all.back()->problem);
    must(plan.error());
    plans.push_back(*plan);
  }
  const auto room = [](buffers<bfloat16>& x) { return std::span<std::byte>(x.memory.data, buffers<bfloat16>::room); };
  // One row with scales of blocks is more than the library can.
  const bool has_peer = engine.tune(all[0]->problem, room(*all[0]), nullptr).ok();
  const contender us{"wgmma", [&](int set, cudaStream_t s) { must(plans[size_t(set)].launch(s)); }};
  const contender peer{"cublaslt", [&](int set, cudaStream_t s) {
                         buffers<bfloat16>& x = *all[size_t(set)];
                         must(engine.run(x.problem, room(x), s));
                       }};
  const auto result = [&](const contender& who) {
    who.call(0, nullptr);
    std::vector<uint16_t> d(size_t(m * n));
    QUAVER_MUST(cudaMemcpy(d.data(), all[0]->d.data, d.size() * 2, cudaMemcpyDeviceToHost));
    return d;
  };
  std::vector<contender> peers;
  if (has_peer) {
    const std::vector<uint16_t> theirs = result(peer);
    const std::vector<uint16_t> ours   = result(us);
    size_t equal                       = 0;
    for (size_t i = 0; i < ours.size(); ++i) equal += ours[i] == theirs[i] ? 1 : 0;
    state.counters["equal"] = double(equal) / double(ours.size());
    peers.push_back(peer);
  }
  quaver_bench::take_turns(state, bytes, sets, us, peers);
  state.counters["k_parts"] = plans[0].k_parts();
  state.counters["TFLOP/s"] = 2e-12 * double(m) * double(n) * double(k) / (double(state.counters["us"]) * 1e-6);
  state.SetLabel(cuda::name_of(plans[0].tile()));
  all.clear();
  must(cublasLtDestroy(handle));
}

/// What a call costs the host, beyond the launch that it makes: medians of rounds in turns. The row's time is a planned
/// launch's.
void host_row(benchmark::State& state, int64_t m, int64_t n, int64_t k) {
  buffers<bfloat16> x(m, n, k, kinds[0]);
  const std::span<std::byte> room(x.memory.data, buffers<bfloat16>::room);
  const auto planned = cuda::plan_wgmma(x.problem);
  must(planned.error());
  const cuda::wgmma_plan& plan = *planned;
  cuda::wgmma_engine engine;
  auto_gemm chooser;
  must(chooser.wgmma().can_run(x.problem));
  const cuda::launch_setup setup(plan.shape(), nullptr);
  void* arguments[] = {const_cast<cuda::wgmma_work*>(&plan.work())};
  struct way {
    const char* name;
    std::function<void()> call;
    std::vector<double> times{};
  };
  way ways[] = {
      {"bare",
       [&] {
         QUAVER_MUST(cudaLaunchKernelExC(&setup.config, reinterpret_cast<const void*>(plan.kernel()), arguments));
       }},
      {"plan", [&] { must(plan.launch()); }},
      {"engine", [&] { must(engine.run(x.problem, {}, nullptr)); }},
      {"auto", [&] { must(chooser.run(x.problem, room, nullptr)); }},
      {"unplanned", [&] { must(cuda::wgmma_gemm(x.problem)); }},
  };
  for (int round = 0; round < 3; ++round) {
    for (way& one : ways) host_seconds([&one](int) { one.call(); }, 1);
  }
  for ([[maybe_unused]] auto _ : state) {
    for (way& one : ways) one.times.push_back(host_seconds([&one](int) { one.call(); }, 1));
    state.SetIterationTime(ways[1].times.back());
  }
  const double bare = quaver_bench::middle_of(ways[0].times);
  for (const way& one : ways) {
    const double own                                   = quaver_bench::middle_of(one.times);
    state.counters[std::string(one.name) + "_host_us"] = own * 1e6;
    if (&one != ways) state.counters[std::string(one.name) + "_overhead_us"] = (own - bare) * 1e6;
  }
  const auto choice = chooser.choice(x.problem);
  state.SetLabel(plan.description() + (choice.ok() ? "; auto: " + std::string(name_of(choice->engine)) : ""));
}

const int registered = [] {
  struct shape {
    int64_t m, n, k;
  };
  for (const kind& what : kinds) {
    for (const shape& s :
         {shape{16, 512, 512}, shape{16, 4096, 4096}, shape{4096, 4096, 4096}, shape{8192, 8192, 8192}}) {
      for (const bool tuned : {false, true}) {
        if (tuned && s.m < 4096) continue;
        const std::string name = std::string(what.name) + "/" + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                                 std::to_string(s.k) + (tuned ? "/tuned" : "");
        const auto run = [&what, s, tuned](benchmark::State& state) {
          if (what.d_scale == 1) row<bfloat16>(state, what, s.m, s.n, s.k, tuned);
          else row<e4m3>(state, what, s.m, s.n, s.k, tuned);
        };
        benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(15);
      }
    }
  }
  for (const kind& what : {kinds[0], kinds[1], kinds[2], kinds[3], kinds[4], kinds[5]}) {
    for (const shape& s :
         {shape{8192, 8192, 8192}, shape{4096, 4096, 4096}, shape{4096, 6144, 4096}, shape{4096, 28672, 4096},
          shape{4096, 4096, 14336}, shape{8192, 28672, 8192}, shape{4096, 2112, 7168}, shape{4096, 24576, 1536},
          shape{4096, 32768, 512}, shape{4096, 7168, 16384}, shape{4096, 4096, 7168}, shape{4096, 7168, 2048},
          // Between the large ones and those of few rows.
          shape{256, 4096, 4096}, shape{512, 7168, 2048}, shape{1024, 4096, 4096}, shape{2048, 7168, 7168},
          // Few rows: B is most of the bytes, `of_copy` what counts.
          shape{128, 28672, 4096}, shape{128, 4096, 14336}, shape{64, 2112, 7168}, shape{16, 28672, 4096},
          shape{16, 4096, 14336}, shape{1, 28672, 4096}}) {
      const std::string name = std::string("wgmma/") + what.name + "/" + std::to_string(s.m) + "x" +
                               std::to_string(s.n) + "x" + std::to_string(s.k);
      const auto run = [what, s](benchmark::State& state) { wgmma_row(state, what, s.m, s.n, s.k); };
      benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(15);
    }
  }
  for (const shape& s : {shape{16, 512, 512}, shape{256, 256, 256}}) {
    const std::string name = "host/" + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
    const auto run         = [s](benchmark::State& state) { host_row(state, s.m, s.n, s.k); };
    benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(61);
  }
  return 0;
}();

}  // namespace

BENCHMARK_MAIN();
