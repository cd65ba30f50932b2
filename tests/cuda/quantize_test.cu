// SPDX-License-Identifier: MIT
#include <quaver/cuda/quantize.cuh>

#include "quantize_cases.cuh"

// Quantisation of matrices on the device against cpu::quantize.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::lie;
using quaver_test::one_case;
using quaver_test::random_case;
using quaver_test::some_matrix;

class Quantize : public quaver_test::GpuTest {
 protected:
  template <class F, rounding R, overflow O, class T>
  void check_random_cases(int count, uint64_t seed) {
    quaver_test::generator random(seed);
    device_array<cuda::tensor_workspace> work(1);
    work.fill_bytes(0);
    for (int i = 0; i < count && !HasFatalFailure(); ++i) {
      const one_case c = random_case(random, same_type<F, e2m1>);
      const auto x     = some_matrix<T>(c, c.x_lies, random);
      const quaver_test::device_matrix<T> on_device(x);
      quaver_test::expect_the_hosts_bytes<F, R, O>(c, cuda::matrix_source<T>(on_device.view),
                                                   matrix_view<const T>(x.view), work.data());
    }
  }
};

TEST_F(Quantize, bfloat16_to_e4m3_gives_the_hosts_bytes_and_scales) {
  check_random_cases<e4m3, rounding::nearest_even, overflow::saturate, bfloat16>(500, 11);
}
#if QUAVER_TEST_EVERY_MIX
TEST_F(Quantize, float_to_e5m2_rounded_stochastically_gives_the_hosts_bytes_and_scales) {
  check_random_cases<e5m2, rounding::stochastic, overflow::nonfinite, float>(500, 12);
}
TEST_F(Quantize, half_to_e2m1_gives_the_hosts_bytes_and_scales) {
  check_random_cases<e2m1, rounding::nearest_even, overflow::saturate, half>(500, 13);
}
#endif

TEST_F(Quantize, is_captured_and_each_run_of_the_graph_makes_its_scales_anew) {
  quaver_test::generator random(14);
  device_array<cuda::tensor_workspace> work(1);
  work.fill_bytes(0);
  for (const scale_layout& layout :
       {per_tensor, per_row, blocks_128x128, mx_1x32_tiles, scale_layout{.block_rows = 5, .block_cols = 48}}) {
    one_case c{.rows = 150, .cols = 160, .x_lies = lie::dense, .y_lies = lie::dense, .layout = layout, .centre = 3};
    auto x = some_matrix<bfloat16>(c, c.x_lies, random);
    quaver_test::buffer<e4m3> y(c.rows, c.cols, lie::dense, e4m3::from_bits(0x0A));
    quaver_test::scale_arrays scales(static_cast<size_t>(layout.scale_count(c.rows, c.cols)));
    const quaver_test::device_matrix<bfloat16> device_x(x);
    const quaver_test::device_matrix<e4m3> device_y(y);
    c.options.workspace = work.data();
    const quaver_test::captured_graph graph([&](cudaStream_t stream) {
      return cuda::quantize<e4m3>(matrix_view<const bfloat16>(device_x.view), scales.on_device(device_y.view, layout),
                                  c.options, stream);
    });
    ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
    for (int run = 0; run < 3; ++run) {
      quaver_test::refill(x, device_x, random);
      graph.run();
      ASSERT_TRUE(cpu::quantize(matrix_view<const bfloat16>(x.view), scales.on_host(y.view, layout)).ok());
      ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_y.to_host(), y, quaver_test::describe(layout)));
      ASSERT_TRUE(scales.same()) << quaver_test::describe(layout);
    }
  }
}

// What stays in registers, in one, two or four chunks a thread, what stays in shared memory, and what is read twice.
TEST_F(Quantize, one_scale_for_tensors_of_every_size_gives_the_hosts_bytes_and_scale) {
  quaver_test::generator random(14);
  device_array<cuda::tensor_workspace> work(1);
  work.fill_bytes(0);
  const int64_t sizes[][2] = {{16, 16}, {100, 640}, {500, 512}, {1000, 1024}, {2100, 2064}, {3000, 3008}, {4500, 5008}};
  for (const auto& [rows, cols] : sizes) {
    one_case c{};
    c.rows   = rows;
    c.cols   = cols;
    c.x_lies = c.y_lies = lie::dense;
    c.layout            = per_tensor;
    c.centre            = 6;
    const auto x        = some_matrix<bfloat16>(c, c.x_lies, random);
    const quaver_test::device_matrix<bfloat16> on_device(x);
    for (int again = 0; again < 2; ++again) {  // in a workspace that earlier calls have used
      ASSERT_NO_FATAL_FAILURE((quaver_test::expect_the_hosts_bytes<e4m3, rounding::nearest_even, overflow::saturate>(
          c, cuda::matrix_source<bfloat16>(on_device.view), matrix_view<const bfloat16>(x.view), work.data())));
    }
  }
}

}  // namespace
