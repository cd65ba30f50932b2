// SPDX-License-Identifier: MIT
//
// Fused casts against a device copy that moves as many bytes: the fewest that the operation can move, scales included.
#include <quaver/cuda/cast.cuh>
#include <quaver/cuda/cast_stats.cuh>
#include <quaver/cuda/cast_transpose.cuh>
#include <quaver/cuda/dequantize.cuh>
#include <quaver/cuda/rms_norm.cuh>

#include "cuda_buffers.cuh"

namespace {

using namespace quaver;
using quaver_bench::contender;
using quaver_bench::device_array;
using quaver_bench::fill;
using quaver_bench::must;

/// The buffers of one call: wide values, codes, scales. What a call does not name it does not have.
struct buffers {
  device_array<bfloat16> x;
  device_array<bfloat16> more;
  device_array<bfloat16> weight;
  device_array<e4m3> codes;
  device_array<e4m3> turned;
  device_array<float> scales;
  device_array<float> amax;
  device_array<cast_stats> stats;
  device_array<cuda::cast_stats_workspace> work;

  buffers(size_t count, size_t cols, bool has_more, bool has_turned)
      : x(count),
        more(has_more ? count : 8),
        weight(cols),
        codes(count),
        turned(has_turned ? count : 16),
        scales(count / 16 + 1),
        amax(1),
        stats(1),
        work(1) {
    fill<<<1024, 256>>>(x.data, count);
    fill<<<1024, 256>>>(weight.data, cols);
    if (has_more) fill<<<1024, 256>>>(more.data, count);
    QUAVER_MUST(cudaMemset(codes.data, 0x35, count));
    QUAVER_MUST(cudaMemset(work.data, 0, sizeof(cuda::cast_stats_workspace)));
    QUAVER_MUST(cudaMemset(amax.data, 0, 4));
    const std::vector<float> made(count / 16 + 1, 0.0078125f);
    QUAVER_MUST(cudaMemcpy(scales.data, made.data(), made.size() * 4, cudaMemcpyHostToDevice));
    QUAVER_MUST(cudaDeviceSynchronize());
  }
};

using call = std::function<void(buffers&, int64_t rows, int64_t cols, cudaStream_t)>;

enum needs { alone = 0, more = 1, turned = 2 };

/// `bytes_each` bytes an element.
void add(const char* name, double bytes_each, int wants, const call& ours) {
  auto* made = benchmark::RegisterBenchmark(name, [=](benchmark::State& state) {
    const int64_t rows = state.range(0);
    const int64_t cols = state.range(1);
    const double bytes = static_cast<double>(rows) * static_cast<double>(cols) * bytes_each;
    const int sets     = static_cast<int>(std::clamp(400e6 / bytes, 1.0, 64.0));
    std::vector<std::unique_ptr<buffers>> all;
    for (int i = 0; i < sets; ++i) {
      all.push_back(std::make_unique<buffers>(static_cast<size_t>(rows * cols), static_cast<size_t>(cols),
                                              (wants & more) != 0, (wants & turned) != 0));
    }
    const contender us{"quaver", [&](int set, cudaStream_t s) { ours(*all[static_cast<size_t>(set)], rows, cols, s); }};
    quaver_bench::take_turns(state, bytes, sets, us, {});
  });
  made->Args({16384, 16384})->Args({8192, 8192});
  if (bytes_each > 3.5 || wants != 0 || name[0] == 'r') made->Args({8192, 1024});
  made->UseManualTime()->Iterations(9)->Unit(benchmark::kMicrosecond);
}

scaled_matrix<e4m3> codes(buffers& b, int64_t rows, int64_t cols, const scale_layout& layout) {
  return {.values = matrix_view<e4m3>(b.codes.data, rows, cols), .layout = layout, .scales = b.scales.data};
}
matrix_view<const bfloat16> input(buffers& b, int64_t rows, int64_t cols) {
  return matrix_view<const bfloat16>(b.x.data, rows, cols);
}
const quant_scale* factor(buffers& b) { return reinterpret_cast<const quant_scale*>(b.scales.data); }

call norm(const scale_layout& layout, scale_source source, bool residual) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    rms_norm_problem<bfloat16> p{.x = input(b, rows, cols), .weight = b.weight.data};
    if (residual) {
      p.residual     = matrix_view<const bfloat16>(b.more.data, rows, cols);
      p.residual_out = matrix_view<bfloat16>(b.more.data, rows, cols);
    }
    cuda::quantize_options options;
    options.source = source;
    must(cuda::rms_norm<e4m3>(p, codes(b, rows, cols, layout), options, s));
  };
}
call transpose(bool measures) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    cuda::cast_transpose_options options;
    options.amax = measures ? b.amax.data : nullptr;
    must(cuda::cast_transpose<e4m3>(input(b, rows, cols), factor(b), matrix_view<e4m3>(b.codes.data, rows, cols),
                                    matrix_view<e4m3>(b.turned.data, cols, rows), options, s));
  };
}
call transpose_given(const scale_layout& layout) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    must(cuda::cast_transpose<e4m3>(input(b, rows, cols), codes(b, rows, cols, layout),
                                    matrix_view<e4m3>(b.turned.data, cols, rows), {}, s));
  };
}
call cast_with(bool measures) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    cuda::cast_options options;
    options.amax = measures ? b.amax.data : nullptr;
    must(cuda::cast<e4m3>(input(b, rows, cols), factor(b), matrix_view<e4m3>(b.codes.data, rows, cols), options, s));
  };
}
call back(const scale_layout& layout) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    must(cuda::dequantize(codes(b, rows, cols, layout), matrix_view<bfloat16>(b.x.data, rows, cols), s));
  };
}
call stats(const scale_layout& layout) {
  return [=](buffers& b, int64_t rows, int64_t cols, cudaStream_t s) {
    must(cuda::quantize_with_stats<e4m3>(cuda::matrix_source<bfloat16>(input(b, rows, cols)),
                                         codes(b, rows, cols, layout), b.stats.data, b.work.data, {}, s));
  };
}

}  // namespace

int main(int argc, char** argv) {
  add("rms_norm_given", 3, alone, norm(per_tensor, scale_source::given, false));
  add("rms_norm_row", 3, alone, norm(per_row, scale_source::current, false));
  add("rms_norm_1x128", 3 + 4.0 / 128, alone, norm(blocks_1x128, scale_source::current, false));
  add("rms_norm_residual_given", 7, more, norm(per_tensor, scale_source::given, true));
  add("rms_norm_residual_row", 7, more, norm(per_row, scale_source::current, true));
  add("rms_norm_residual_1x128", 7 + 4.0 / 128, more, norm(blocks_1x128, scale_source::current, true));
  add("cast_transpose", 4, turned, transpose(false));
  add("cast_transpose_amax", 4, turned, transpose(true));
  add("cast_transpose_128x128", 4, turned, transpose_given(blocks_128x128));
  add("cast", 3, alone, cast_with(false));
  add("cast_amax", 3, alone, cast_with(true));
  add("dequantize_tensor", 3, alone, back(per_tensor));
  add("dequantize_row", 3, alone, back(per_row));
  add("dequantize_1x128", 3 + 4.0 / 128, alone, back(blocks_1x128));
  add("dequantize_128x128", 3, alone, back(blocks_128x128));
  add("cast_stats_tensor", 3, alone, stats(per_tensor));
  benchmark::Initialize(&argc, argv);
  quaver_bench::add_card_to_context();
  benchmark::RunSpecifiedBenchmarks();
}
