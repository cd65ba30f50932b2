// SPDX-License-Identifier: MIT
#include <quaver/cpu/activations.hpp>

#include "quantize_cases.cuh"

// Quantisation of what is computed on the way, against cpu::quantize of what the host computes and stores.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::device_matrix;

class QuantizeSource : public quaver_test::GpuTest {};

TEST_F(QuantizeSource, silu_times_up_gives_the_hosts_bytes_and_scales) {
  quaver_test::generator random(15);
  device_array<cuda::tensor_workspace> work(1);
  work.fill_bytes(0);
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    const quaver_test::one_case c = quaver_test::random_case(random, false);
    const auto gate               = quaver_test::some_matrix<bfloat16>(c, c.x_lies, random);
    const auto up                 = quaver_test::some_matrix<bfloat16>(c, c.x_lies, random);
    const device_matrix<bfloat16> device_gate(gate);
    const device_matrix<bfloat16> device_up(up);
    std::vector<float> values(static_cast<size_t>(c.rows * c.cols));
    const matrix_view<float> y(values.data(), c.rows, c.cols);
    ASSERT_TRUE(cpu::silu_mul(matrix_view<const bfloat16>(gate.view), matrix_view<const bfloat16>(up.view), y).ok());
    quaver_test::expect_the_hosts_bytes<e4m3, rounding::nearest_even, overflow::saturate>(
        c, cuda::silu_mul_source<bfloat16>(device_gate.view, device_up.view), matrix_view<const float>(y), work.data());
  }
}

#if QUAVER_TEST_EVERY_MIX
TEST_F(QuantizeSource, gelu_of_a_biased_matrix_gives_the_hosts_bytes_and_scales) {
  quaver_test::generator random(16);
  device_array<cuda::tensor_workspace> work(1);
  work.fill_bytes(0);
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    const quaver_test::one_case c = quaver_test::random_case(random, false);
    const auto x                  = quaver_test::some_matrix<half>(c, c.x_lies, random);
    const auto bias               = quaver_test::random_matrix<half>(1, c.cols, true, random, c.centre, c.specials);
    const device_matrix<half> device_x(x);
    const device_matrix<half> device_bias(bias);
    std::vector<float> values(static_cast<size_t>(c.rows * c.cols));
    const matrix_view<float> y(values.data(), c.rows, c.cols);
    const half* const host_bias = bias.view.data;
    ASSERT_TRUE(cpu::bias_activation(matrix_view<const half>(x.view), host_bias, activation::gelu, y).ok());
    using source = cuda::bias_activation_source<half, activation::gelu>;
    quaver_test::expect_the_hosts_bytes<e4m3, rounding::nearest_even, overflow::saturate>(
        c, source(device_x.view, device_bias.view.data), matrix_view<const float>(y), work.data());
  }
}
#endif

}  // namespace
