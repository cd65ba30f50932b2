// SPDX-License-Identifier: MIT
//
// The grouped GEMM for Hopper at the shapes of a mixture of experts, scales 1x128 by 128x128, D bfloat16, beside the
// dense kernel with as many groups of the mean size as batches (vs_dense: its time for as many multiplications over
// ours). Sizes of groups are drawn from 0.7 to 1.3 of the mean. TFLOP/s counts the rows that there are, of_copy the
// bytes of A and D of those rows and of B.
#include <quaver/cuda/wgmma_grouped_gemm.cuh>

#include "cuda_buffers.cuh"

#include <random>

namespace {

using namespace quaver;
using quaver_bench::contender;
using quaver_bench::device_array;
using quaver_bench::must;

/// Codes of normal numbers: those of `table`, drawn by a hash.
__global__ void draw(uint8_t* codes, size_t count, const uint8_t* table) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count; i += size_t{gridDim.x} * blockDim.x) {
    uint32_t h = static_cast<uint32_t>(i) * 0x9E3779B9u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    codes[i] = table[h >> 16];
  }
}

struct shape {
  const char* name;
  gemm_groups groups;
  int count, mean, room;  ///< room: rows of a batch where groups are masked
};
constexpr shape shapes[] = {{"contiguous", gemm_groups::contiguous_rows, 4, 8192, 0},
                            {"contiguous", gemm_groups::contiguous_rows, 8, 4096, 0},
                            {"masked", gemm_groups::masked_rows, 6, 1024, 2048},
                            {"masked", gemm_groups::masked_rows, 32, 192, 512},
                            {"masked", gemm_groups::masked_rows, 32, 20, 128}};

/// The buffers of one call, and the grouped problem and the dense one on them.
struct buffers {
  device_array<uint8_t> a, b;
  device_array<float> a_scales, b_scales;
  device_array<bfloat16> d;
  device_array<int32_t> bounds;
  grouped_gemm_problem<e4m3, e4m3, bfloat16> grouped;
  gemm_problem<e4m3, e4m3, bfloat16> dense;

  buffers(const shape& s, int64_t rows, int64_t batches, int64_t n, int64_t k, const std::vector<int32_t>& limits)
      : a(size_t(batches * rows * k)),
        b(size_t(s.count * n * k)),
        a_scales(size_t(batches * rows * (k / 128))),
        b_scales(size_t(s.count * (n / 128) * (k / 128))),
        d(size_t(batches * rows * n)),
        bounds(limits.size()) {
    std::vector<uint8_t> table(65536);
    std::minstd_rand random;
    std::normal_distribution<float> normal;
    for (uint8_t& code : table) code = encode<e4m3>(normal(random)).bits();
    const device_array<uint8_t> there(table.size());
    QUAVER_MUST(cudaMemcpy(there.data, table.data(), table.size(), cudaMemcpyHostToDevice));
    draw<<<1024, 256>>>(a.data, size_t(batches * rows * k), there.data);
    draw<<<1024, 256>>>(b.data, size_t(s.count * n * k), there.data);
    const std::vector<float> halves(size_t(batches * rows * (k / 128) + s.count * (n / 128) * (k / 128)), 0.5f);
    QUAVER_MUST(
        cudaMemcpy(a_scales.data, halves.data(), size_t(batches * rows * (k / 128)) * 4, cudaMemcpyHostToDevice));
    QUAVER_MUST(
        cudaMemcpy(b_scales.data, halves.data(), size_t(s.count * (n / 128) * (k / 128)) * 4, cudaMemcpyHostToDevice));
    QUAVER_MUST(cudaMemcpy(bounds.data, limits.data(), limits.size() * 4, cudaMemcpyHostToDevice));

    auto& each                  = grouped.each;
    each.a.values               = {reinterpret_cast<const e4m3*>(a.data), rows, k};
    each.b.values               = {reinterpret_cast<const e4m3*>(b.data), n, k};
    each.d                      = {d.data, rows, n};
    each.a.layout               = blocks_1x128;
    each.a.layout.order         = scale_order::column_major;
    each.b.layout               = blocks_128x128;
    each.a.scales               = a_scales.data;
    each.b.scales               = b_scales.data;
    each.batches.count          = s.count;
    each.batches.a_stride       = rows * k;
    each.batches.b_stride       = n * k;
    each.batches.d_stride       = rows * n;
    each.batches.a_scale_stride = rows * (k / 128);
    each.batches.b_scale_stride = (n / 128) * (k / 128);
    grouped.groups              = s.groups;
    grouped.bounds              = bounds.data;
    dense                       = each;
    dense.a.values.rows = dense.d.rows = s.mean;
    dense.batches.a_stride             = s.mean * k;
    dense.batches.d_stride             = s.mean * n;
    dense.batches.a_scale_stride       = s.mean * (k / 128);
  }
};

void row(benchmark::State& state, const shape& s, int64_t n, int64_t k) {
  std::minstd_rand random(5);
  std::uniform_real_distribution<double> size(0.7, 1.3);
  const bool masked = s.groups == gemm_groups::masked_rows;
  std::vector<int32_t> limits(masked ? 0 : 1, 0);
  int64_t total = 0;
  for (int i = 0; i < s.count; ++i) {
    const auto rows = static_cast<int32_t>(s.mean * size(random));
    total += rows;
    limits.push_back(masked ? rows : static_cast<int32_t>(total));
  }
  const int64_t most = std::max<int64_t>(total, int64_t{s.count} * s.mean);
  std::vector<std::unique_ptr<buffers>> all;
  std::vector<cuda::wgmma_grouped_plan> plans;
  std::vector<cuda::wgmma_plan> dense;
  constexpr int sets = 2;  // each is larger than the second-level cache
  for (int i = 0; i < sets; ++i) {
    all.push_back(
        std::make_unique<buffers>(s, masked ? s.room : (most + 3) / 4 * 4, masked ? s.count : 1, n, k, limits));
    const auto plan = cuda::plan_wgmma_grouped<cuda::wgmma_sums::scaled>(all.back()->grouped);
    const auto peer = cuda::plan_wgmma<cuda::wgmma_sums::scaled>(all.back()->dense);
    must(plan.error()), must(peer.error());
    plans.push_back(*plan), dense.push_back(*peer);
  }
  QUAVER_MUST(cudaDeviceSynchronize());
  const contender us{"grouped", [&](int set, cudaStream_t stream) { must(plans[size_t(set)].launch(stream)); }};
  const contender peer{"dense", [&](int set, cudaStream_t stream) { must(dense[size_t(set)].launch(stream)); }};
  const double bytes = double(total * k) + double(s.count * n * k) + 2.0 * double(total * n);
  quaver_bench::take_turns(state, bytes, sets, us, {peer});
  const double us_taken      = state.counters["us"];
  state.counters["TFLOP/s"]  = 2e-6 * double(total) * double(n) * double(k) / us_taken;
  state.counters["vs_dense"] = double(state.counters["vs_dense"]) * double(total) / (double(s.count) * double(s.mean));
}

const int registered = [] {
  struct weights {
    int64_t n, k;
  };
  for (const shape& s : shapes) {
    for (const weights& w : {weights{6144, 7168}, weights{7168, 3072}, weights{4096, 4096}, weights{4096, 2048}}) {
      const std::string name = std::string(s.name) + "/" + std::to_string(s.count) + "x" + std::to_string(s.mean) +
                               "/" + std::to_string(w.n) + "x" + std::to_string(w.k);
      const auto run = [&s, w](benchmark::State& state) { row(state, s, w.n, w.k); };
      benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(15);
    }
  }
  return 0;
}();

}  // namespace

int main(int count, char** arguments) {
  benchmark::Initialize(&count, arguments);
  quaver_bench::add_card_to_context();
  benchmark::RunSpecifiedBenchmarks();
}
