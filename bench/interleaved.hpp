// SPDX-License-Identifier: MIT
#ifndef QUAVER_BENCH_INTERLEAVED_HPP
#define QUAVER_BENCH_INTERLEAVED_HPP

// A row of a benchmark and its peers, timed in turns inside one process, so that a clock that drifts or a neighbour that
// wakes up meets all of them alike. The row's time is ours alone; a counter vs_<peer> is the median of the peer's time
// over the median of ours: above 1 we are faster.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <time.h>

namespace quaver_bench {

/// A contender for the same work.
struct peer {
  std::string name;
  std::function<void()> run;
};

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Seconds that this thread has run: what a neighbour takes away while the core is his does not count. Rows that start
/// threads of their own need another clock.
inline double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline double seconds_of(const std::function<void()>& run) {
  const double start = thread_seconds();
  run();
  return thread_seconds() - start;
}

/// Times `ours` against its peers; needs UseManualTime. `items` and `bytes` are those of one run, bytes counting what is
/// read and what is written.
inline void run_interleaved(benchmark::State& state, int64_t items, int64_t bytes, const std::function<void()>& ours,
                            const std::vector<peer>& peers) {
  std::vector<double> times;
  std::vector<std::vector<double>> peer_times(peers.size());
  ours();
  for (const peer& other : peers) other.run();  // pages and caches are warm for all
  for ([[maybe_unused]] auto _ : state) {
    times.push_back(seconds_of(ours));
    state.SetIterationTime(times.back());
    for (size_t i = 0; i < peers.size(); ++i) peer_times[i].push_back(seconds_of(peers[i].run));
  }
  const double own           = median(times);
  state.counters["Gitems/s"] = static_cast<double>(items) / own * 1e-9;
  state.counters["GB/s"]     = static_cast<double>(bytes) / own * 1e-9;
  for (size_t i = 0; i < peers.size(); ++i) state.counters["vs_" + peers[i].name] = median(peer_times[i]) / own;
}

/// Adds the processor's name and the compiler's to the JSON's context. Before main, which is not ours.
inline const bool context_added = [] {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    benchmark::AddCustomContext("processor", line.substr(line.find(':') + 2));
    break;
  }
#if defined(__clang__)
  benchmark::AddCustomContext("compiler", std::string("clang ") + __clang_version__);
#else
  benchmark::AddCustomContext("compiler", std::string("gcc ") + __VERSION__);
#endif
#if defined(__AVX512F__)
  benchmark::AddCustomContext("instructions", "AVX-512");
#elif defined(__AVX2__)
  benchmark::AddCustomContext("instructions", "AVX2");
#elif defined(__x86_64__)
  benchmark::AddCustomContext("instructions", "SSE2");
#else
  benchmark::AddCustomContext("instructions", "baseline");
#endif
  return true;
}();

}  // namespace quaver_bench

#endif
