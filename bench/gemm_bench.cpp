// SPDX-License-Identifier: MIT
//
// Matrix products of E4M3 operands with one scale each, from large squares down to a matrix times a vector. Peers in
// the same process: OpenBLAS sgemm and sgemv on floats of the same shapes, where it is installed (on cores that it does
// not know set OPENBLAS_CORETYPE, say to SKYLAKEX on Zen 5). Limits: the rate of the multiply-add that the tier is made
// of, and a loop that only reads.

#include <quaver/cpu/gemm.hpp>

#include "interleaved.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#if QUAVER_BENCH_OPENBLAS
#include <cblas.h>
#endif

namespace {

using namespace quaver;
using quaver_bench::peer;

/// A matrix of random codes without NaN, as E4M3 and (where a peer wants them) as floats.
struct matrix {
  std::vector<e4m3> codes;
  std::vector<float> floats;
  matrix(int64_t rows, int64_t cols, uint64_t seed) : codes(static_cast<size_t>(rows * cols)) {
    uint64_t state = seed;
    for (e4m3& code : codes) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      code  = e4m3::from_bits(static_cast<uint8_t>((state >> 56) & 0xBF));  // up to 2 in magnitude
    }
#if QUAVER_BENCH_OPENBLAS
    floats.resize(codes.size());
    for (size_t i = 0; i < codes.size(); ++i) floats[i] = decode<float>(codes[i]);
#endif
  }
};

/// Whether sums are made by vdpbf16ps.
bool dot_products() {
  return cpu::active_tier() == cpu::tier::avx512 && cpu::fastest_gemm_sums() == cpu::gemm_sums::dot_products;
}

/// The flops of one of the multiply-adds that the best tier sums with.
double multiply_add_flops() {
#if QUAVER_X86_64
  if (cpu::active_tier() == cpu::tier::avx512) return dot_products() ? 64 : 32;
  if (cpu::active_tier() == cpu::tier::avx2) return 16;
#endif
  return 0;
}

/// A million times twelve of them, in independent chains.
void multiply_adds() {
#if QUAVER_X86_64
  // What lies in the registers may be subnormal, and adding to that takes a hundred cycles.
  __asm__ volatile("vzeroall" ::
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                         "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  for (int i = 0; i < 1'000'000; ++i) {
    if (dot_products()) {
      __asm__ volatile(
          "vdpbf16ps %%zmm12, %%zmm13, %%zmm0\n\tvdpbf16ps %%zmm12, %%zmm13, %%zmm1\n\t"
          "vdpbf16ps %%zmm12, %%zmm13, %%zmm2\n\tvdpbf16ps %%zmm12, %%zmm13, %%zmm3\n\t"
          "vdpbf16ps %%zmm12, %%zmm13, %%zmm4\n\tvdpbf16ps %%zmm12, %%zmm13, %%zmm5\n\t"
          "vdpbf16ps %%zmm12, %%zmm13, %%zmm6\n\tvdpbf16ps %%zmm12, %%zmm13, %%zmm7\n\t"
          "vdpbf16ps %%zmm12, %%zmm13, %%zmm8\n\tvdpbf16ps %%zmm12, %%zmm13, %%zmm9\n\t"
          "vdpbf16ps %%zmm12, %%zmm13, %%zmm10\n\tvdpbf16ps %%zmm12, %%zmm13, %%zmm11" ::
              : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
    } else if (cpu::active_tier() == cpu::tier::avx512) {
      __asm__ volatile(
          "vfmadd231ps %%zmm12, %%zmm13, %%zmm0\n\tvfmadd231ps %%zmm12, %%zmm13, %%zmm1\n\t"
          "vfmadd231ps %%zmm12, %%zmm13, %%zmm2\n\tvfmadd231ps %%zmm12, %%zmm13, %%zmm3\n\t"
          "vfmadd231ps %%zmm12, %%zmm13, %%zmm4\n\tvfmadd231ps %%zmm12, %%zmm13, %%zmm5\n\t"
          "vfmadd231ps %%zmm12, %%zmm13, %%zmm6\n\tvfmadd231ps %%zmm12, %%zmm13, %%zmm7\n\t"
          "vfmadd231ps %%zmm12, %%zmm13, %%zmm8\n\tvfmadd231ps %%zmm12, %%zmm13, %%zmm9\n\t"
          "vfmadd231ps %%zmm12, %%zmm13, %%zmm10\n\tvfmadd231ps %%zmm12, %%zmm13, %%zmm11" ::
              : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
    } else {
      __asm__ volatile(
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm0\n\tvfmadd231ps %%ymm12, %%ymm13, %%ymm1\n\t"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm2\n\tvfmadd231ps %%ymm12, %%ymm13, %%ymm3\n\t"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm4\n\tvfmadd231ps %%ymm12, %%ymm13, %%ymm5\n\t"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm6\n\tvfmadd231ps %%ymm12, %%ymm13, %%ymm7\n\t"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm8\n\tvfmadd231ps %%ymm12, %%ymm13, %%ymm9\n\t"
          "vfmadd231ps %%ymm12, %%ymm13, %%ymm10\n\tvfmadd231ps %%ymm12, %%ymm13, %%ymm11" ::
              : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
    }
  }
#endif
}

gemm_problem<e4m3, e4m3> problem_of(const matrix& a, const matrix& b, std::vector<float>& d, int64_t m, int64_t n,
                                    int64_t k) {
  static const float one = 1;
  gemm_problem<e4m3, e4m3> problem;
  problem.a.values = {a.codes.data(), m, k};
  problem.b.values = {b.codes.data(), n, k};
  problem.a.scales = problem.b.scales = &one;
  problem.d                           = {d.data(), m, n};
  return problem;
}

void check(const status& done) {
  if (!done.ok()) std::fprintf(stderr, "%s\n", done.message().c_str()), std::abort();
}

/// Flops from the multiply-adds of a row, and their share of what the instruction could do.
void report_flops(benchmark::State& state, int64_t items) {
  state.counters["GFLOP/s"] = state.counters["Gitems/s"] * 2;
  const auto peer_time      = state.counters.find("vs_multiply_adds");
  if (peer_time == state.counters.end()) return;
  state.counters["of_multiply_adds"] =
      peer_time->second * 2 * static_cast<double>(items) / (12e6 * multiply_add_flops());
  state.counters.erase(peer_time);
}

/// Large products: against sgemm, and as a share of the multiply-adds.
void products(benchmark::State& state) {
  const int64_t m = state.range(0);
  const int64_t n = state.range(1);
  const int64_t k = state.range(2);
  const matrix a(m, k, 1);
  const matrix b(n, k, 2);
  std::vector<float> d(static_cast<size_t>(m * n));
  const gemm_problem<e4m3, e4m3> problem = problem_of(a, b, d, m, n, k);
  std::vector<std::byte> memory(cpu::gemm_workspace(problem));
  cpu::gemm_options options;
  options.workspace = memory;

  std::vector<peer> peers;
#if QUAVER_BENCH_OPENBLAS
  openblas_set_num_threads(1);
  std::vector<float> d2(d.size());
  const auto i = [](int64_t x) { return static_cast<blasint>(x); };
  peers.push_back({"sgemm", [&] {
                     cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, i(m), i(n), i(k), 1.0f, a.floats.data(), i(k),
                                 b.floats.data(), i(k), 0.0f, d2.data(), i(n));
                   }});
#endif
  if (multiply_add_flops() > 0) peers.push_back({"multiply_adds", multiply_adds});
  quaver_bench::run_interleaved(state, m * n * k, 0, [&] { check(cpu::gemm(problem, options)); }, peers);
  report_flops(state, m * n * k);
}
BENCHMARK(products)
    ->Args({1024, 4096, 4096})
    ->Args({2048, 2048, 2048})
    ->Args({4096, 4096, 4096})
    ->Args({32, 4096, 4096})
    ->ArgNames({"m", "n", "k"})
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

/// The same product in one thread and in two, by the clock on the wall.
void two_threads(benchmark::State& state) {
  constexpr int64_t m = 1024;
  constexpr int64_t n = 4096;
  constexpr int64_t k = 4096;
  const matrix a(m, k, 1);
  const matrix b(n, k, 2);
  std::vector<float> d(static_cast<size_t>(m * n));
  const gemm_problem<e4m3, e4m3> problem = problem_of(a, b, d, m, n, k);
  cpu::gemm_options one;
  cpu::gemm_options two;
  two.threads.width = 2;
  two.threads.run   = [](void*, size_t count, cpu::executor::task work, void* data) {
    std::vector<std::thread> others;
    for (size_t i = 1; i < count; ++i) others.emplace_back(work, data, i);
    work(data, 0);
    for (std::thread& other : others) other.join();
  };
  std::vector<std::byte> memory(cpu::gemm_workspace(problem, two));
  one.workspace = two.workspace = memory;

  const auto seconds = [&](const cpu::gemm_options& options) {
    const auto start = std::chrono::steady_clock::now();
    check(cpu::gemm(problem, options));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<double> single;
  std::vector<double> both;
  for ([[maybe_unused]] auto _ : state) {
    both.push_back(seconds(two));
    single.push_back(seconds(one));
    state.SetIterationTime(both.back());
  }
  state.counters["vs_one_thread"] = quaver_bench::median(single) / quaver_bench::median(both);
}
BENCHMARK(two_threads)->Iterations(5)->UseManualTime()->Unit(benchmark::kMillisecond);

/// Few rows times weights that come from memory: more than 256 MiB of them in turns.
void few_rows(benchmark::State& state, bool packed) {
  const int64_t m    = state.range(0);
  const int64_t n    = state.range(1);
  const int64_t k    = state.range(2);
  const size_t count = static_cast<size_t>((int64_t{1} << 28) / (n * k)) + 1;
  const matrix a(m, k, 1);
  std::vector<float> d(static_cast<size_t>(m * n));
  std::vector<matrix> weights;
  std::vector<cpu::packed_weight<e4m3>> packed_weights;
  for (size_t i = 0; i < count; ++i) {
    weights.emplace_back(n, k, i);
    if (!packed) continue;
    auto made = cpu::packed_weight<e4m3>::make(problem_of(a, weights[i], d, m, n, k).b);
    check(made.error());
    packed_weights.push_back(std::move(made).value());
  }
  std::vector<std::byte> memory(cpu::gemm_workspace(problem_of(a, weights[0], d, m, n, k)) + (size_t{1} << 20));
  cpu::gemm_options options;
  options.workspace = memory;

  std::vector<peer> peers;
#if QUAVER_BENCH_OPENBLAS
  openblas_set_num_threads(1);
  std::vector<float> d2(d.size());
  size_t next_peer = 0;
  const auto i     = [](int64_t x) { return static_cast<blasint>(x); };
  const auto blas  = [&] {
    const matrix& b = weights[next_peer++ % count];
    if (m == 1)
      cblas_sgemv(CblasRowMajor, CblasNoTrans, i(n), i(k), 1.0f, b.floats.data(), i(k), a.floats.data(), 1, 0.0f,
                   d2.data(), 1);
    else
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, i(m), i(n), i(k), 1.0f, a.floats.data(), i(k),
                   b.floats.data(), i(k), 0.0f, d2.data(), i(n));
  };
  peers.push_back({m == 1 ? "sgemv" : "sgemm", blas});
#endif
  // libc looks for a byte that is not there: FF is no code of these matrices.
  size_t next_read = count / 2;
  peers.push_back({"read", [&] {
                     const std::vector<e4m3>& codes = weights[next_read++ % count].codes;
                     if (std::memchr(codes.data(), 0xFF, codes.size()) != nullptr) std::abort();
                   }});
  if (multiply_add_flops() > 0) peers.push_back({"multiply_adds", multiply_adds});
  size_t next     = 0;
  const auto ours = [&] {
    const matrix& b = weights[next % count];
    if (packed) check(cpu::gemm(problem_of(a, b, d, m, n, k), packed_weights[next % count], options));
    else check(cpu::gemm(problem_of(a, b, d, m, n, k), options));
    ++next;
  };
  quaver_bench::run_interleaved(state, m * n * k, n * k, ours, peers);
  state.counters["of_read_limit"] = state.counters["vs_read"];
  state.counters.erase("vs_read");
  report_flops(state, m * n * k);
}
#define QUAVER_FEW_ROWS(name, packed)       \
  BENCHMARK_CAPTURE(few_rows, name, packed) \
      ->Args({1, 4096, 4096})               \
      ->Args({8, 11008, 4096})              \
      ->ArgNames({"m", "n", "k"})           \
      ->Iterations(16)                      \
      ->UseManualTime()                     \
      ->Unit(benchmark::kMillisecond)
QUAVER_FEW_ROWS(row_major, false);
QUAVER_FEW_ROWS(packed, true);

}  // namespace
