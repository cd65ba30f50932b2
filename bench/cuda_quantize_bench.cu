// SPDX-License-Identifier: MIT
//
// Quantisation kernels against a device copy that moves as many bytes: the fewest that the operation can move, scales
// included.
#include <quaver/cuda/quantize.cuh>

#include "cuda_buffers.cuh"

namespace {

using namespace quaver;
using quaver_bench::contender;
using quaver_bench::device_array;
using quaver_bench::fill;
using quaver_bench::must;

/// The buffers of one call.
struct buffers {
  device_array<bfloat16> x;
  device_array<e4m3> y;
  device_array<float> scales;
  device_array<e8m0> mx;
  device_array<cuda::tensor_workspace> work;

  buffers(int64_t in, int64_t out)
      : x(static_cast<size_t>(in)),
        y(static_cast<size_t>(out)),
        scales(static_cast<size_t>(out) / 16 + 1),
        mx(static_cast<size_t>(out) / 16 + 1),
        work(1) {
    fill<<<1024, 256>>>(x.data, static_cast<size_t>(in));
    QUAVER_MUST(cudaMemset(work.data, 0, sizeof(cuda::tensor_workspace)));
    const float one = 0.0078125f;
    QUAVER_MUST(cudaMemcpy(scales.data, &one, 4, cudaMemcpyHostToDevice));
    QUAVER_MUST(cudaDeviceSynchronize());
  }
};

using call = std::function<void(buffers&, int64_t rows, int64_t cols, cudaStream_t)>;

__global__ void nothing() {}

/// `in` inputs of 2 bytes and one code an element, and scales for `scale_bytes` bytes an element.
void row(benchmark::State& state, int in, double scale_bytes, const call& ours) {
  const int64_t rows = state.range(0);
  const int64_t cols = state.range(1);
  const double count = static_cast<double>(rows) * static_cast<double>(cols);
  const double bytes = count * (2 * in + 1 + scale_bytes);
  const int sets     = static_cast<int>(std::clamp(400e6 / bytes, 1.0, 64.0));
  std::vector<std::unique_ptr<buffers>> all;
  for (int i = 0; i < sets; ++i) all.push_back(std::make_unique<buffers>(rows * cols * in, rows * cols));
  const contender us{"quaver", [&](int set, cudaStream_t s) { ours(*all[static_cast<size_t>(set)], rows, cols, s); }};
  // What a single launch is to be measured against where there is little to move.
  const auto node_and_copy = [&](int set, cudaStream_t s) {
    nothing<<<1, 32, 0, s>>>();
    buffers& b = *all[static_cast<size_t>(set)];
    QUAVER_MUST(cudaMemcpyAsync(b.y.data, b.x.data, static_cast<size_t>(bytes / 2 < count ? bytes / 2 : count),
                                cudaMemcpyDeviceToDevice, s));
  };
  std::vector<contender> peers;
  if (bytes < 4e6) peers.push_back({"empty_node_and_copy", node_and_copy});
  quaver_bench::take_turns(state, bytes, sets, us, peers);
}

scaled_matrix<e4m3> codes(buffers& b, int64_t rows, int64_t cols, const scale_layout& layout) {
  scaled_matrix<e4m3> out;
  out.values      = matrix_view<e4m3>(b.y.data, rows, cols);
  out.layout      = layout;
  out.scales      = b.scales.data;
  out.scales_e8m0 = b.mx.data;
  return out;
}

call quantize_as(const scale_layout& layout, scale_source source = scale_source::current) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    const matrix_view<const bfloat16> x(b.x.data, rows, cols);
    cuda::quantize_options options;
    options.source    = source;
    options.workspace = b.work.data;
    must(cuda::quantize<e4m3>(x, codes(b, rows, cols, layout), options, s));
  };
}
call silu_mul_as(const scale_layout& layout, scale_source source = scale_source::current) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    const matrix_view<const bfloat16> gate(b.x.data, rows, cols, 2 * cols);
    const matrix_view<const bfloat16> up(b.x.data + cols, rows, cols, 2 * cols);
    cuda::quantize_options options;
    options.source = source;
    must(cuda::quantize<e4m3>(cuda::silu_mul_source<bfloat16>(gate, up), codes(b, rows, cols, layout), options, s));
  };
}
/// Only the amax: 2 bytes an element.
call amax_alone() {
  return [](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    const matrix_view<const bfloat16> x(b.x.data, rows, cols);
    must(cuda::amax(cuda::matrix_source<bfloat16>(x), b.scales.data, b.work.data, s));
  };
}
template <activation Act>
call bias_as(const scale_layout& layout, scale_source source) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    const matrix_view<const bfloat16> x(b.x.data, rows, cols);
    cuda::quantize_options options;
    options.source = source;
    must(cuda::quantize<e4m3>(cuda::bias_activation_source<bfloat16, Act>(x, b.x.data), codes(b, rows, cols, layout),
                              options, s));
  };
}

void add(const char* name, int in, double scale_bytes, const call& ours,
         std::vector<std::pair<int64_t, int64_t>> sizes) {
  auto* made = benchmark::RegisterBenchmark(name, [=](benchmark::State& s) { row(s, in, scale_bytes, ours); });
  for (const auto& [rows, cols] : sizes) made->Args({rows, cols});
  made->UseManualTime()->Iterations(15)->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::pair<int64_t, int64_t>> large = {{16384, 16384}, {8192, 8192}};
  const std::vector<std::pair<int64_t, int64_t>> all   = {{16384, 16384}, {8192, 8192}, {4096, 4096},
                                                          {2048, 2048},   {512, 512},   {128, 512}};
  scale_layout mn_major                                = blocks_1x128;
  mn_major.order                                       = scale_order::column_major;
  add("given", 1, 0, quantize_as(per_tensor, scale_source::given), large);
  add("amax", 1, -1, amax_alone(), all);
  add("tensor", 1, 0, quantize_as(per_tensor), all);
  add("row", 1, 0, quantize_as(per_row), large);
  add("1x128", 1, 4.0 / 128, quantize_as(blocks_1x128), large);
  add("1x128_mn_major", 1, 4.0 / 128, quantize_as(mn_major), large);
  add("128x128", 1, 0, quantize_as(blocks_128x128), large);
  add("mx_1x32", 1, 1.0 / 32, quantize_as(mx_1x32), large);
  add("silu_mul_given", 2, 0, silu_mul_as(per_tensor, scale_source::given), large);
  add("silu_mul_1x128", 2, 4.0 / 128, silu_mul_as(blocks_1x128), large);
  add("bias_relu_given", 1, 0, bias_as<activation::relu>(per_tensor, scale_source::given), large);
  add("bias_silu_given", 1, 0, bias_as<activation::silu>(per_tensor, scale_source::given), large);
  add("bias_gelu_given", 1, 0, bias_as<activation::gelu>(per_tensor, scale_source::given), large);
  benchmark::Initialize(&argc, argv);
  quaver_bench::add_card_to_context();
  benchmark::RunSpecifiedBenchmarks();
}
