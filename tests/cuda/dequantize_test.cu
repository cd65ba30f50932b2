// SPDX-License-Identifier: MIT
#include <quaver/cpu/dequantize.hpp>
#include <quaver/cuda/dequantize.cuh>

#include "matrices.hpp"

// Dequantisation on the device against cpu::dequantize: all codes, scales of every kind, nothing else written.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::device_matrix;
using quaver_test::pick;

class Dequantize : public quaver_test::GpuTest {
 protected:
  template <class F, class T>
  void check_random_case(quaver_test::generator& random) {
    const bool vectors = random() % 2 == 0;
    const int64_t rows = pick(random, 1, 2, 3, 7, 31, 64, 129, 200);
    const int64_t cols = vectors ? 16 * pick(random, 1, 2, 3, 8, 9, 40) : static_cast<int64_t>(1 + random() % 500);
    scale_layout layout;
    switch (random() % 6) {
      case 0: layout = per_tensor; break;
      case 1: layout = per_row; break;
      case 2: layout = blocks_1x128; break;
      case 3: layout = blocks_128x128; break;
      case 4: layout = random() % 2 == 0 ? mx_1x32 : nvfp4_1x16; break;
      default:
        layout = {.block_rows = static_cast<int>(pick(random, 0, 1, 2, 5)),
                  .block_cols = static_cast<int>(pick(random, 1, 4, 7, 8, 100))};
    }
    layout.order = static_cast<scale_order>(random() % 3);
    auto codes   = quaver_test::some_buffer<F>(rows, cols, vectors, random, F::nan());
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const F code     = F::from_bits(static_cast<uint8_t>(random()));
        codes.view(r, c) = code.is_nan() && random() % 64 != 0 ? F::from_bits(0x11) : code;
      }
    }
    auto y = quaver_test::some_buffer<T>(rows, cols, vectors, random, quaver_test::element_from<T>(0x4040'0000u));
    quaver_test::scale_arrays scales(static_cast<size_t>(layout.scale_count(rows, cols)), &random);
    const device_matrix<F> device_codes(codes);
    const device_matrix<T> device_y(y);
    const std::string what = std::to_string(rows) + " x " + std::to_string(cols) + (vectors ? ", vectors, " : ", ") +
                             quaver_test::describe(layout);
    const status on_gpu = cuda::dequantize(scales.on_device<F>(device_codes.view, layout), device_y.view);
    ASSERT_TRUE(on_gpu.ok()) << on_gpu.message() << ": " << what;
    ASSERT_TRUE(cpu::dequantize(scales.on_host<F>(codes.view, layout), y.view).ok());
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_y.to_host(), y, what));
  }
  template <class F, class T>
  void check_random_cases(int count, uint64_t seed) {
    quaver_test::generator random(seed);
    for (int i = 0; i < count && !HasFatalFailure(); ++i) check_random_case<F, T>(random);
  }
};

TEST_F(Dequantize, e4m3_to_bfloat16_gives_the_hosts_bytes) { check_random_cases<e4m3, bfloat16>(500, 51); }
#if QUAVER_TEST_EVERY_MIX
TEST_F(Dequantize, e5m2_to_half_gives_the_hosts_bytes) { check_random_cases<e5m2, half>(500, 52); }
TEST_F(Dequantize, e4m3fnuz_to_float_gives_the_hosts_bytes) { check_random_cases<e4m3fnuz, float>(500, 53); }
#endif

TEST_F(Dequantize, is_captured_and_the_graph_reads_codes_and_scales_anew) {
  quaver_test::generator random(54);
  quaver_test::buffer<e4m3> codes(129, 160, quaver_test::lie::dense, e4m3::from_bits(0x0A));
  quaver_test::buffer<bfloat16> y(129, 160, quaver_test::lie::dense, bfloat16::from_bits(0x4040));
  const device_matrix<e4m3> device_codes(codes);
  const device_matrix<bfloat16> device_y(y);
  quaver_test::scale_arrays scales(static_cast<size_t>(mx_1x32_tiles.scale_count(129, 160)), &random);
  const quaver_test::captured_graph graph([&](cudaStream_t stream) {
    return cuda::dequantize(scales.on_device<e4m3>(device_codes.view, mx_1x32_tiles), device_y.view, stream);
  });
  ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
  for (int run = 0; run < 3; ++run) {
    for (int64_t r = 0; r < 129; ++r) {
      for (int64_t c = 0; c < 160; ++c) codes.view(r, c) = e4m3::from_bits(static_cast<uint8_t>(random() % 0x7F));
    }
    device_codes.send(codes);
    for (e8m0& scale : scales.mx) scale = e8m0::from_bits(static_cast<uint8_t>(random() % 0xFF));
    scales.device_mx.copy_from(scales.mx);
    graph.run();
    ASSERT_TRUE(cpu::dequantize(scales.on_host<e4m3>(codes.view, mx_1x32_tiles), y.view).ok());
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_y.to_host(), y, "run " + std::to_string(run)));
  }
}

TEST_F(Dequantize, refuses_what_it_cannot_do_by_its_numbers) {
  const device_array<e4m3> x(512);
  const device_array<bfloat16> y(512);
  const device_array<float> scales(4);
  scaled_matrix<e4m3> from{.values = {x.data(), 16, 32}, .scales = scales.data()};
  const matrix_view<bfloat16> to(y.data(), 16, 32);
  const auto refused = [&](const status& s, const std::vector<std::string>& words) {
    quaver_test::expect_refused(s, status_code::invalid_argument, words);
  };
  refused(cuda::dequantize(from, matrix_view<bfloat16>(y.data(), 16, 31)), {"16 x 31", "16 x 32"});
  refused(cuda::dequantize(from, matrix_view<bfloat16>(reinterpret_cast<bfloat16*>(x.data()), 16, 32)), {"overlap"});
  from.scales = nullptr;
  refused(cuda::dequantize(from, to), {"1 scale,", "null"});
}

}  // namespace
