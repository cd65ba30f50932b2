// SPDX-License-Identifier: MIT
#ifndef QUAVER_BENCH_CUDA_TURNS_CUH
#define QUAVER_BENCH_CUDA_TURNS_CUH

// Device work timed in turns: every contender becomes a graph of as many calls as there are sets of buffers, so that the
// second-level cache is not asked twice for the same bytes and the gaps between launches are those of a graph; then the
// graphs are replayed in turns between events. The row's time is ours alone. `of_copy` is the device copy's time for as
// many bytes over ours; vs_<peer> the peer's time over ours.

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace quaver_bench {

inline void must(cudaError_t outcome, const char* call) {
  if (outcome == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", call, cudaGetErrorString(outcome));
  std::exit(1);
}
#define QUAVER_MUST(call) ::quaver_bench::must(call, #call)

/// Adds the card and the CUDA versions to the JSON's context. Clocks come from outside, before and after:
/// --benchmark_context=clocks="$(nvidia-smi --query-gpu=clocks.sm,clocks.mem --format=csv,noheader)".
inline void add_card_to_context() {
  cudaDeviceProp card{};
  int driver  = 0;
  int runtime = 0;
  QUAVER_MUST(cudaGetDeviceProperties(&card, 0));
  QUAVER_MUST(cudaDriverGetVersion(&driver));
  QUAVER_MUST(cudaRuntimeGetVersion(&runtime));
  benchmark::AddCustomContext("processor", card.name);
  benchmark::AddCustomContext("compiler",
                              "CUDA runtime " + std::to_string(runtime) + ", driver for " + std::to_string(driver));
}

/// Work on the buffers of one set, put into a stream.
struct contender {
  std::string name;
  std::function<void(int set, cudaStream_t stream)> call;
};

/// A graph of `calls` calls of a contender, over `sets` sets of buffers.
class replay {
 public:
  replay(const contender& who, int calls, int sets, cudaStream_t stream) : calls_(calls), stream_(stream) {
    cudaGraph_t graph = nullptr;
    QUAVER_MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    for (int i = 0; i < calls; ++i) who.call(i % sets, stream);
    QUAVER_MUST(cudaStreamEndCapture(stream, &graph));
    QUAVER_MUST(cudaGraphInstantiate(&graph_, graph, 0));
    QUAVER_MUST(cudaGraphDestroy(graph));
    QUAVER_MUST(cudaEventCreate(&begin_));
    QUAVER_MUST(cudaEventCreate(&end_));
  }
  replay(const replay&)            = delete;
  replay& operator=(const replay&) = delete;
  ~replay() {
    cudaGraphExecDestroy(graph_);
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  /// Seconds a call.
  double seconds() {
    QUAVER_MUST(cudaEventRecord(begin_, stream_));
    QUAVER_MUST(cudaGraphLaunch(graph_, stream_));
    QUAVER_MUST(cudaEventRecord(end_, stream_));
    QUAVER_MUST(cudaEventSynchronize(end_));
    float milliseconds = 0;
    QUAVER_MUST(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return milliseconds * 1e-3 / calls_;
  }

 private:
  cudaGraphExec_t graph_ = nullptr;
  cudaEvent_t begin_     = nullptr;
  cudaEvent_t end_       = nullptr;
  int calls_;
  cudaStream_t stream_;
};

inline double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One row: `ours` against a device copy of `bytes` bytes (read and written together) and the peers.
inline void take_turns(benchmark::State& state, double bytes, int sets, const contender& ours,
                       std::vector<contender> peers) {
  cudaStream_t stream = nullptr;
  QUAVER_MUST(cudaStreamCreate(&stream));
  const auto half = static_cast<size_t>(bytes / 2);
  std::vector<void*> from(static_cast<size_t>(sets));
  std::vector<void*> to(static_cast<size_t>(sets));
  for (int i = 0; i < sets; ++i) {
    QUAVER_MUST(cudaMalloc(&from[static_cast<size_t>(i)], half));
    QUAVER_MUST(cudaMalloc(&to[static_cast<size_t>(i)], half));
  }
  const auto copy_set = [&](int set, cudaStream_t s) {
    const auto i = static_cast<size_t>(set);
    QUAVER_MUST(cudaMemcpyAsync(to[i], from[i], half, cudaMemcpyDeviceToDevice, s));
  };
  peers.insert(peers.begin(), {"copy", copy_set});
  const int calls = std::max(sets, static_cast<int>(std::min(200.0, 2e9 / bytes)) / sets * sets);
  std::vector<std::unique_ptr<replay>> runs;
  runs.push_back(std::make_unique<replay>(ours, calls, sets, stream));
  for (const contender& peer : peers) runs.push_back(std::make_unique<replay>(peer, calls, sets, stream));
  std::vector<std::vector<double>> times(runs.size());
  for (const auto& run : runs) run->seconds();
  for ([[maybe_unused]] auto _ : state) {
    for (size_t i = 0; i < runs.size(); ++i) times[i].push_back(runs[i]->seconds());
    state.SetIterationTime(times[0].back());
  }
  const double own          = middle_of(times[0]);
  state.counters["us"]      = own * 1e6;
  state.counters["GB/s"]    = bytes / own * 1e-9;
  state.counters["of_copy"] = middle_of(times[1]) / own;
  for (size_t i = 1; i < peers.size(); ++i) state.counters["vs_" + peers[i].name] = middle_of(times[i + 1]) / own;
  runs.clear();
  for (int i = 0; i < sets; ++i) {
    cudaFree(from[static_cast<size_t>(i)]);
    cudaFree(to[static_cast<size_t>(i)]);
  }
  QUAVER_MUST(cudaStreamDestroy(stream));
}

}  // namespace quaver_bench

#endif
