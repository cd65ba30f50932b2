// SPDX-License-Identifier: MIT
//
// Throughput of conversions between E4M3 or E5M2 and float or bfloat16: a plain loop over the scalar functions, and the
// bulk functions with a scale. Peers in the same process: memcpy that moves as many bytes in all, and, where the CUDA
// toolkit's headers are there, a plain loop over cuda_fp8.h's host conversions.

#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/encode_n.hpp>

#include "interleaved.hpp"

#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#if QUAVER_BENCH_CUDA_HEADERS
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#endif

namespace {

using namespace quaver;
using quaver_bench::peer;

/// In the second-level cache of any machine of the last decade (5 x 32 Ki bytes), and far beyond any cache.
constexpr int64_t in_cache  = int64_t{1} << 15;
constexpr int64_t in_memory = int64_t{1} << 26;

constexpr float scale = 1.7f;

#if QUAVER_BENCH_CUDA_HEADERS
template <class F>
using cuda_format = std::conditional_t<same_type<F, e4m3>, __nv_fp8_e4m3, __nv_fp8_e5m2>;
template <class F>
constexpr __nv_fp8_interpretation_t interpretation = same_type<F, e4m3> ? __NV_E4M3 : __NV_E5M2;

template <class F>
uint8_t cuda_encode(float x) {
  return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, interpretation<F>);
}
template <class F>
uint8_t cuda_encode(bfloat16 x) {
  return __nv_cvt_bfloat16raw_to_fp8(__nv_bfloat16_raw{x.bits()}, __NV_SATFINITE, interpretation<F>);
}
template <class F>
float cuda_decode(uint8_t code) {
  cuda_format<F> x;
  x.__x = code;
  return static_cast<float>(x);
}
#endif

/// A source element as the float that is scaled.
template <class T>
float widened(T x) {
  return bitwise_cast<float>(binary32_bits(x));
}

/// Exponents from 2^-9 to 2^8, all alike: in E4M3 a sixth is subnormal, and one in a hundred saturates, scaled one in
/// twenty.
template <class T>
std::vector<T> source(int64_t n) {
  std::vector<T> x(static_cast<size_t>(n));
  uint64_t state = 1;
  for (T& value : x) {
    state           = state * 6364136223846793005u + 1442695040888963407u;
    const auto bits = static_cast<uint32_t>(state >> 33);
    const float f   = bitwise_cast<float>((bits & 0x807F'FFFFu) | (118u + (bits >> 23) % 18u) << 23 |
                                          static_cast<uint32_t>(state >> 63) << 31);
    if constexpr (same_type<T, float>) value = f;
    else value = encode<T>(f);
  }
  return x;
}

/// memcpy that reads and writes as many bytes as the conversion does.
struct copying {
  std::vector<char> from, to;
  explicit copying(int64_t bytes) : from(static_cast<size_t>(bytes / 2), 'x'), to(static_cast<size_t>(bytes / 2)) {}
  void operator()() {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
};

/// Not inlined, so that each loop is compiled as a user's would be.
template <class F, class T>
[[gnu::noinline]] void encode_loop(const T* x, F* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = encode<F>(x[i]);
}
template <class F, class T>
[[gnu::noinline]] void decode_loop(const F* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = decode<T>(x[i]);
}

template <class F, class T>
void encode_rows(benchmark::State& state, bool bulk) {
  const int64_t n        = state.range(0);
  const int64_t bytes    = n * static_cast<int64_t>(sizeof(T) + 1);
  const std::vector<T> x = source<T>(n);
  std::vector<F> y(x.size());
  std::vector<uint8_t> z(x.size());
  copying copy(bytes);
  std::vector<peer> peers = {{"memcpy", [&] { copy(); }}};
#if QUAVER_BENCH_CUDA_HEADERS
  peers.push_back({"cuda_fp8", [&] {
                     if (bulk) {
                       for (size_t i = 0; i < x.size(); ++i) z[i] = cuda_encode<F>(widened(x[i]) * scale);
                     } else {
                       for (size_t i = 0; i < x.size(); ++i) z[i] = cuda_encode<F>(x[i]);
                     }
                     benchmark::DoNotOptimize(z.data());
                     benchmark::ClobberMemory();
                   }});
#endif
  const auto ours = [&] {
    if (!bulk) {
      encode_loop(x.data(), y.data(), n);
    } else if (!cpu::encode_n<F>(std::span<const T>(x), quant_scale(scale), std::span<F>(y)).ok()) {
      std::abort();
    }
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  };
  quaver_bench::run_interleaved(state, n, bytes, ours, peers);
#if QUAVER_BENCH_CUDA_HEADERS
  // Equally long ways to the same bytes, or the comparison means nothing.
  if (std::memcmp(y.data(), z.data(), z.size()) != 0) state.SkipWithError("cuda_fp8.h gives other bytes");
#endif
}

template <class F, class T>
void decode_rows(benchmark::State& state, bool bulk) {
  const int64_t n     = state.range(0);
  const int64_t bytes = n * static_cast<int64_t>(sizeof(T) + 1);
  std::vector<F> x(static_cast<size_t>(n));
  const std::vector<float> numbers = source<float>(n);
  encode_loop(numbers.data(), x.data(), n);
  std::vector<T> y(x.size());
  std::vector<T> z(x.size());
  copying copy(bytes);
  std::vector<peer> peers = {{"memcpy", [&] { copy(); }}};
#if QUAVER_BENCH_CUDA_HEADERS
  peers.push_back({"cuda_fp8", [&] {
                     const float factor = bulk ? scale : 1.0f;
                     for (size_t i = 0; i < x.size(); ++i) {
                       const float value = bulk ? cuda_decode<F>(x[i].bits()) * factor : cuda_decode<F>(x[i].bits());
                       if constexpr (same_type<T, float>) {
                         z[i] = value;
                       } else {
                         const __nv_bfloat16_raw raw = __float2bfloat16(value);
                         z[i]                        = T::from_bits(raw.x);
                       }
                     }
                     benchmark::DoNotOptimize(z.data());
                     benchmark::ClobberMemory();
                   }});
#endif
  const auto ours = [&] {
    if (!bulk) {
      decode_loop(x.data(), y.data(), n);
    } else if (!cpu::decode_n(std::span<const F>(x), dequant_scale(scale), std::span<T>(y)).ok()) {
      std::abort();
    }
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  };
  quaver_bench::run_interleaved(state, n, bytes, ours, peers);
#if QUAVER_BENCH_CUDA_HEADERS
  if (std::memcmp(y.data(), z.data(), z.size() * sizeof(T)) != 0) state.SkipWithError("cuda_fp8.h gives other bytes");
#endif
}

template <class F, class T>
void add_rows(const std::string& from_to, const std::string& to_from) {
  for (const bool bulk : {false, true}) {
    for (const int64_t n : {in_cache, in_memory}) {
      const auto name = [&](const char* operation, const std::string& formats) {
        std::string whole = operation;
        whole.append(bulk ? "_n/" : "/").append(formats).append(n == in_cache ? "/cache" : "/memory");
        return whole;
      };
      const auto configure = [&](benchmark::internal::Benchmark* row) {
        row->Arg(n)->UseManualTime()->Unit(benchmark::kMicrosecond);
        if (n == in_memory) row->Iterations(2);
        else row->MinTime(0.1);
      };
      configure(benchmark::RegisterBenchmark(name("encode", from_to).c_str(),
                                             [bulk](benchmark::State& state) { encode_rows<F, T>(state, bulk); }));
      configure(benchmark::RegisterBenchmark(name("decode", to_from).c_str(),
                                             [bulk](benchmark::State& state) { decode_rows<F, T>(state, bulk); }));
    }
  }
}

const bool rows_added = [] {
  add_rows<e4m3, float>("float_to_e4m3", "e4m3_to_float");
  add_rows<e5m2, float>("float_to_e5m2", "e5m2_to_float");
  add_rows<e4m3, bfloat16>("bfloat16_to_e4m3", "e4m3_to_bfloat16");
  add_rows<e5m2, bfloat16>("bfloat16_to_e5m2", "e5m2_to_bfloat16");
  return true;
}();

}  // namespace
