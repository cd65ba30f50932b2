// SPDX-License-Identifier: MIT
//
// Bulk conversions in each tier that this machine has, and quantisation in each layout in the tier in force. Peers in the
// same process: memcpy that moves as many bytes in all; for amax a plain read; for current scaling, which must see every
// value twice, that read and then that memcpy. `L2`: 2^17 values, 640 KiB with their codes; `memory`: 2^26 values.

#include <quaver/cpu/quantize.hpp>

#include "interleaved.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace quaver;
using quaver_bench::peer;

constexpr int64_t in_l2     = int64_t{1} << 17;
constexpr int64_t in_memory = int64_t{1} << 26;
constexpr int64_t columns   = 4096;

/// Exponents from 2^-9 to 2^8, all alike: in E4M3 a sixth is subnormal, and one in a hundred saturates.
template <class T>
const std::vector<T>& source(int64_t n) {
  static std::vector<T> x;
  if (static_cast<int64_t>(x.size()) == n) return x;
  x.assign(static_cast<size_t>(n), T{});
  uint64_t state = 1;
  for (T& value : x) {
    state           = state * 6364136223846793005u + 1442695040888963407u;
    const auto bits = static_cast<uint32_t>(state >> 33);
    const uint32_t made =
        (bits & 0x807F'FFFFu) | (118u + (bits >> 23) % 18u) << 23 | static_cast<uint32_t>(state >> 63) << 31;
    value = from_binary32_bits<T>(made);
  }
  return x;
}

/// memcpy that reads and writes as many bytes as a conversion does.
struct copying {
  std::vector<char> from, to;
  explicit copying(int64_t bytes) : from(static_cast<size_t>(bytes / 2), 'x'), to(static_cast<size_t>(bytes / 2)) {}
  void operator()() {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
};

/// Reads an array, eight streams of words at a time.
uint64_t read(const void* data, int64_t bytes) {
  const auto* words = static_cast<const uint64_t*>(data);
  uint64_t sums[8]  = {};
  for (int64_t i = 0; i + 8 <= bytes / 8; i += 8) {
    for (int j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

template <class F, class T>
void encode_rows(benchmark::State& state, cpu::tier t) {
  using kernels   = cpu::encode_kernels<F, rounding::nearest_even, overflow::saturate, cpu::scaling::multiply, T>;
  const int64_t n = state.range(0);
  const std::vector<T>& x = source<T>(n);
  std::vector<F> y(x.size());
  copying copy(n * static_cast<int64_t>(sizeof(T) + 1));
  const bool past_caches = y.size() >= cpu::past_caches_from;
  const auto ours        = [&] {
    const cpu::standard_float_environment environment;
    kernels::of(t)({.x           = x.data(),
                           .y           = reinterpret_cast<uint8_t*>(y.data()),
                           .count       = y.size(),
                           .scale       = bitwise_cast<uint32_t>(1.7f),
                           .past_caches = past_caches,
                           .portable    = &kernels::portable_part});
    if (past_caches) cpu::finish_stores();
    benchmark::ClobberMemory();
  };
  quaver_bench::run_interleaved(state, n, n * static_cast<int64_t>(sizeof(T) + 1), ours, {{"memcpy", [&] { copy(); }}});
}

template <class F, bool Scaled, class T>
void decode_rows(benchmark::State& state, cpu::tier t) {
  using kernels   = cpu::decode_kernels<F, Scaled, T>;
  const int64_t n = state.range(0);
  std::vector<F> x(static_cast<size_t>(n));
  if (!cpu::encode_n(std::span<const float>(source<float>(n)), std::span<F>(x)).ok()) std::abort();
  std::vector<T> y(x.size(), T{});
  copying copy(n * static_cast<int64_t>(sizeof(T) + 1));
  const bool past_caches = y.size() * sizeof(T) >= cpu::past_caches_from;
  const auto ours        = [&] {
    const cpu::standard_float_environment environment;
    kernels::of(t)({reinterpret_cast<const uint8_t*>(x.data()), y.data(), y.size(), bitwise_cast<uint32_t>(1.7f),
                    past_caches, &kernels::portable_part});
    if (past_caches) cpu::finish_stores();
    benchmark::ClobberMemory();
  };
  quaver_bench::run_interleaved(state, n, n * static_cast<int64_t>(sizeof(T) + 1), ours, {{"memcpy", [&] { copy(); }}});
}

template <class T>
void amax_rows(benchmark::State& state, cpu::tier t) {
  const int64_t n         = state.range(0);
  const std::vector<T>& x = source<T>(n);
  const int64_t bytes     = n * static_cast<int64_t>(sizeof(T));
  quaver_bench::run_interleaved(state, n, bytes,
                                [&] { benchmark::DoNotOptimize(cpu::amax_kernel<T>(t)(x.data(), x.size(), 0)); },
                                {{"read", [&] { benchmark::DoNotOptimize(read(x.data(), bytes)); }}});
}

/// A matrix of 4096 columns, quantised with scales made from it.
void quantize_rows(benchmark::State& state, const scale_layout& layout, bool with_stats) {
  const int64_t n             = state.range(0);
  const int64_t rows          = n / columns;
  const std::vector<float>& x = source<float>(n);
  std::vector<e4m3> y(x.size());
  const auto count = static_cast<size_t>(layout.scale_count(rows, columns));
  std::vector<float> scales(count);
  std::vector<e8m0> powers(count, e8m0::from_bits(0));
  const scaled_matrix<e4m3> out{{y.data(), rows, columns}, layout, scales.data(), powers.data()};
  cast_stats stats;
  copying copy(5 * n);
  const auto ours = [&] {
    if (!cpu::quantize(matrix_view<const float>(x.data(), rows, columns), out, {.stats = with_stats ? &stats : nullptr})
             .ok())
      std::abort();
    benchmark::ClobberMemory();
  };
  std::vector<peer> peers = {{"memcpy", [&] { copy(); }}};
  if (layout == per_tensor) {
    peers.push_back({"read_and_memcpy", [&] {
                       benchmark::DoNotOptimize(read(x.data(), 4 * n));
                       copy();
                     }});
  }
  quaver_bench::run_interleaved(state, n, 5 * n, ours, peers);
}

template <class Run>
void add_row(const std::string& name, const Run& run, std::initializer_list<int64_t> sizes = {in_l2, in_memory}) {
  for (const int64_t n : sizes) {
    const std::string whole = name + (n == in_l2 ? "/L2" : "/memory");
    auto* row               = benchmark::RegisterBenchmark(whole.c_str(), run);
    row->Arg(n)->UseManualTime()->Unit(benchmark::kMicrosecond);
    if (n == in_memory) row->Iterations(7);
    else row->MinTime(0.05);
  }
}

const bool rows_added = [] {
  using cpu::tier;
  for (const tier t : cpu::all_tiers) {
    if (!cpu::can_run(t)) continue;
    const auto named = [&](const char* what) { return std::string(what) + '/' + cpu::name_of(t); };
    add_row(named("encode/float_to_e4m3"), [t](benchmark::State& s) { encode_rows<e4m3, float>(s, t); });
    add_row(named("encode/bfloat16_to_e4m3"), [t](benchmark::State& s) { encode_rows<e4m3, bfloat16>(s, t); });
    add_row(named("encode/float_to_e5m2"), [t](benchmark::State& s) { encode_rows<e5m2, float>(s, t); });
    add_row(named("decode/e4m3_to_bfloat16"), [t](benchmark::State& s) { decode_rows<e4m3, false, bfloat16>(s, t); });
    add_row(named("decode/e4m3_to_float"), [t](benchmark::State& s) { decode_rows<e4m3, false, float>(s, t); });
    add_row(named("decode/e5m2_to_bfloat16"), [t](benchmark::State& s) { decode_rows<e5m2, false, bfloat16>(s, t); });
    add_row(named("decode_scaled/e4m3_to_bfloat16"),
            [t](benchmark::State& s) { decode_rows<e4m3, true, bfloat16>(s, t); });
    add_row(named("decode_scaled/e4m3_to_float"), [t](benchmark::State& s) { decode_rows<e4m3, true, float>(s, t); });
    add_row(named("amax/float"), [t](benchmark::State& s) { amax_rows<float>(s, t); });
  }
  constexpr std::pair<const char*, scale_layout> layouts[] = {{"per_tensor", per_tensor},
                                                              {"per_row", per_row},
                                                              {"1x128", blocks_1x128},
                                                              {"128x128", blocks_128x128},
                                                              {"MX", mx_1x32}};
  for (const auto& named : layouts) {
    const scale_layout layout = named.second;
    add_row(std::string("quantize/") + named.first, [layout](benchmark::State& s) { quantize_rows(s, layout, false); });
  }
  add_row("quantize_with_stats/per_tensor", [](benchmark::State& s) { quantize_rows(s, per_tensor, true); });
  return true;
}();

}  // namespace
