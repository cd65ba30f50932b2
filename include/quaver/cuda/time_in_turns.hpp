// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_TIME_IN_TURNS_HPP
#define QUAVER_CUDA_TIME_IN_TURNS_HPP

#include <quaver/cuda/launch.cuh>

#if !QUAVER_NVRTC

#include <algorithm>
#include <memory>
#include <vector>

// How long several ways to do the same work take on the device, for those who keep the fastest.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Several calls captured as a graph, so that the host's time to launch them does not count, and two events around it.
class timed_calls {
 public:
  timed_calls()                              = default;
  timed_calls(const timed_calls&)            = delete;
  timed_calls& operator=(const timed_calls&) = delete;
  ~timed_calls() {
    if (program_ != nullptr) static_cast<void>(cudaGraphExecDestroy(program_));
    if (begin_ != nullptr) static_cast<void>(cudaEventDestroy(begin_));
    if (end_ != nullptr) static_cast<void>(cudaEventDestroy(end_));
    if (own_ != nullptr) static_cast<void>(cudaStreamDestroy(own_));
  }

  /// Captures `count` calls of call(stream), which gives a status.
  template <class Call>
  status capture(int count, const Call& call) {
    count_ = count;
    if (status bad = from_runtime("cudaEventCreate", cudaEventCreate(&begin_)); !bad.ok()) return bad;
    if (status bad = from_runtime("cudaEventCreate", cudaEventCreate(&end_)); !bad.ok()) return bad;
    // The stream that is timed may be the default one, which cannot be captured.
    cudaError_t error = cudaStreamCreateWithFlags(&own_, cudaStreamNonBlocking);
    if (status bad = from_runtime("cudaStreamCreate", error); !bad.ok()) return bad;
    error = cudaStreamBeginCapture(own_, cudaStreamCaptureModeThreadLocal);
    if (status bad = from_runtime("cudaStreamBeginCapture", error); !bad.ok()) return bad;
    const status called = several(count, call);
    cudaGraph_t graph   = nullptr;
    error               = cudaStreamEndCapture(own_, &graph);
    if (called.ok() && error == cudaSuccess) error = cudaGraphInstantiate(&program_, graph, 0);
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    return called.ok() ? from_runtime("capturing calls", error) : called;
  }

  /// Runs them in a stream, waits, and gives the milliseconds of one.
  result<float> run(cudaStream_t stream) {
    float all = 0.0f;
    if (status bad = from_runtime("cudaEventRecord", cudaEventRecord(begin_, stream)); !bad.ok()) return bad;
    if (status bad = from_runtime("cudaGraphLaunch", cudaGraphLaunch(program_, stream)); !bad.ok()) return bad;
    if (status bad = from_runtime("cudaEventRecord", cudaEventRecord(end_, stream)); !bad.ok()) return bad;
    if (status bad = from_runtime("cudaEventSynchronize", cudaEventSynchronize(end_)); !bad.ok()) return bad;
    if (status bad = from_runtime("cudaEventElapsedTime", cudaEventElapsedTime(&all, begin_, end_)); !bad.ok())
      return bad;
    return all / static_cast<float>(count_);
  }

 private:
  template <class Call>
  status several(int count, const Call& call) {
    for (int i = 0; i < count; ++i) {
      if (status bad = call(own_); !bad.ok()) return bad;
    }
    return {};
  }

  cudaStream_t own_        = nullptr;
  cudaGraphExec_t program_ = nullptr;
  cudaEvent_t begin_       = nullptr;
  cudaEvent_t end_         = nullptr;
  int count_               = 1;
};

/// Ok, or that a stream is captured and so cannot be timed.
inline status check_timed_stream(const char* name, cudaStream_t stream) {
  cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
  if (status bad = from_runtime("cudaStreamIsCapturing", cudaStreamIsCapturing(stream, &capturing)); !bad.ok())
    return bad;
  if (capturing == cudaStreamCaptureStatusNone) return {};
  return invalid(std::string(name) + ": tuning cannot be captured: it waits for the stream");
}

/// The milliseconds that each of `contenders` takes: the median of nine rounds, in each of which all take their turn, so
/// that a clock that changes is everybody's. call(i, stream) puts contender i's work into the stream, which may be captured
/// after its first call, and gives a status. Waits for the stream, which passed check_timed_stream. Each contender works on the
/// same memory every time, so what is small stands in the second-level cache.
template <class Call>
result<std::vector<float>> time_in_turns(size_t contenders, cudaStream_t stream, const Call& call) {
  constexpr size_t rounds = 9;
  std::vector<std::unique_ptr<timed_calls>> all;
  float once = 0.0f;
  for (size_t i = 0; i < contenders; ++i) {
    const auto own = [&call, i](cudaStream_t in) { return call(i, in); };
    if (status bad = own(stream); !bad.ok()) return bad;  // loads its kernel
    // A graph takes some microseconds to begin, so short work is repeated: for some 0.4 ms.
    if (i == 0) {
      timed_calls one;
      if (status bad = one.capture(1, own); !bad.ok()) return bad;
      const result<float> time = one.run(stream);
      if (!time.ok()) return time.error();
      once = *time;
    }
    all.push_back(std::make_unique<timed_calls>());
    const int calls = once > 0.2f ? 2 : once > 0.01f ? static_cast<int>(0.4f / once) : 40;
    if (status bad = all.back()->capture(calls, own); !bad.ok()) return bad;
  }
  std::vector<std::vector<float>> times(contenders);
  for (size_t round = 0; round <= rounds; ++round) {
    for (size_t i = 0; i < contenders; ++i) {
      const result<float> time = all[i]->run(stream);
      if (!time.ok()) return time.error();
      if (round != 0) times[i].push_back(*time);  // the first warms up
    }
  }
  std::vector<float> medians;
  for (std::vector<float>& of : times) {
    std::sort(of.begin(), of.end());
    medians.push_back(of[rounds / 2]);
  }
  return medians;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
