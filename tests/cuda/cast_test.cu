// SPDX-License-Identifier: MIT
#include <quaver/cpu/activations.hpp>
#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/encode_n.hpp>
#include <quaver/cuda/cast.cuh>

#include "matrices.hpp"

// Casts by a scale in device memory, and the sources that are computed on the way, against their twins on the host.

namespace {

using namespace quaver;
using quaver_test::buffer;
using quaver_test::device_array;
using quaver_test::device_matrix;
using quaver_test::pick;

/// Extents, and whether vectors can be used.
struct extents {
  int64_t rows;
  int64_t cols;
  bool vectors;
  int centre;
  bool specials;
};
extents some_extents(quaver_test::generator& random) {
  extents e{};
  e.vectors  = random() % 2 == 0;
  e.rows     = pick(random, 1, 2, 3, 7, 31, 64, 129);
  e.cols     = e.vectors ? 16 * pick(random, 1, 2, 3, 8, 9, 40) : static_cast<int64_t>(1 + random() % 500);
  e.centre   = static_cast<int>(pick(random, 6, 0, -120, 100, -140));
  e.specials = random() % 4 == 0;
  return e;
}
template <class T>
buffer<T> some_matrix(const extents& e, quaver_test::generator& random) {
  return quaver_test::random_matrix<T>(e.rows, e.cols, e.vectors, random, e.centre, e.specials);
}

class Cast : public quaver_test::GpuTest {
 protected:
  /// cuda::cast of a source against cpu::encode_n of the values that it stands for.
  template <class F, rounding R, overflow O, class Scale, class Source>
  void check(const extents& e, const Source& source, const std::vector<float>& values, quaver_test::generator& random) {
    auto codes = quaver_test::some_buffer<F>(e.rows, e.cols, e.vectors, random, F::from_bits(0x0A));
    const device_matrix<F> device_codes(codes);
    const std::vector<Scale> scale(1, Scale(quaver_test::some_number<float>(random, 3, random() % 8 == 0)));
    const device_array<Scale> device_scale(scale);
    const device_array<float> amax(std::vector<float>(1, 0.0f));
    cuda::cast_options options;
    options.words          = {.seed = random(), .first = random() % 7};
    const bool measures    = random() % 4 != 0;
    options.amax           = measures ? amax.data() : nullptr;
    const std::string what = std::to_string(e.rows) + " x " + std::to_string(e.cols) + (e.vectors ? ", vectors" : "");
    const status on_gpu    = cuda::cast<F, R, O>(source, device_scale.data(), device_codes.view, options);
    ASSERT_TRUE(on_gpu.ok()) << on_gpu.message();

    std::vector<F> expected(values.size());
    const std::span<const float> from(values);
    ASSERT_TRUE((cpu::encode_n<F, R, O>(from, scale[0], std::span<F>(expected), options.words).ok()));
    for (int64_t r = 0; r < e.rows; ++r) {
      for (int64_t c = 0; c < e.cols; ++c) codes.view(r, c) = expected[static_cast<size_t>(r * e.cols + c)];
    }
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_codes.to_host(), codes, what));
    ASSERT_EQ(bitwise_cast<uint32_t>(amax.to_host()[0]), bitwise_cast<uint32_t>(measures ? cpu::amax_n(from) : 0.0f))
        << what;
  }
};

TEST_F(Cast, of_a_matrix_by_a_quant_scale_gives_the_hosts_bytes_and_amax) {
  quaver_test::generator random(41);
  for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
    const extents e = some_extents(random);
    const auto x    = some_matrix<float>(e, random);
    const device_matrix<float> on_device(x);
    std::vector<float> values;
    for (const uint32_t bits : x.elements()) values.push_back(bitwise_cast<float>(bits));
    check<e5m2, rounding::stochastic, overflow::nonfinite, quant_scale>(e, cuda::matrix_source<float>(on_device.view),
                                                                        values, random);
  }
}

TEST_F(Cast, of_silu_times_up_by_a_dequant_scale_gives_the_hosts_bytes_and_amax) {
  quaver_test::generator random(42);
  for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
    const extents e = some_extents(random);
    const auto gate = some_matrix<bfloat16>(e, random);
    const auto up   = some_matrix<bfloat16>(e, random);
    const device_matrix<bfloat16> device_gate(gate);
    const device_matrix<bfloat16> device_up(up);
    std::vector<float> values(static_cast<size_t>(e.rows * e.cols));
    ASSERT_TRUE(cpu::silu_mul(matrix_view<const bfloat16>(gate.view), matrix_view<const bfloat16>(up.view),
                              matrix_view<float>(values.data(), e.rows, e.cols))
                    .ok());
    check<e4m3, rounding::nearest_even, overflow::saturate, dequant_scale>(
        e, cuda::silu_mul_source<bfloat16>(device_gate.view, device_up.view), values, random);
  }
}

TEST_F(Cast, of_gelu_of_a_biased_matrix_gives_the_hosts_bytes_and_amax) {
  quaver_test::generator random(43);
  for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
    const extents e = some_extents(random);
    const auto x    = some_matrix<half>(e, random);
    const auto bias = quaver_test::random_matrix<half>(1, e.cols, true, random, e.centre, e.specials);
    const device_matrix<half> device_x(x);
    const device_matrix<half> device_bias(bias);
    std::vector<float> values(static_cast<size_t>(e.rows * e.cols));
    const matrix_view<float> y(values.data(), e.rows, e.cols);
    const half* const host_bias = bias.view.data;
    ASSERT_TRUE(cpu::bias_activation(matrix_view<const half>(x.view), host_bias, activation::gelu, y).ok());
    check<e4m3, rounding::nearest_even, overflow::saturate, quant_scale>(
        e, cuda::bias_activation_source<half, activation::gelu>(device_x.view, device_bias.view.data), values, random);
  }
}

TEST_F(Cast, is_captured_and_the_graph_follows_the_scale_and_the_amax_in_device_memory) {
  quaver_test::generator random(44);
  const extents e{.rows = 33, .cols = 160, .vectors = true, .centre = 3, .specials = false};
  auto gate = some_matrix<bfloat16>(e, random);
  auto up   = some_matrix<bfloat16>(e, random);
  buffer<e4m3> codes(e.rows, e.cols, quaver_test::lie::dense, e4m3::from_bits(0x0A));
  const device_matrix<bfloat16> device_gate(gate);
  const device_matrix<bfloat16> device_up(up);
  const device_matrix<e4m3> device_codes(codes);
  device_array<dequant_scale> scale(1);
  device_array<float> amax(std::vector<float>(1, 0.0f));
  cuda::cast_options options;
  options.amax = amax.data();
  const quaver_test::captured_graph graph([&](cudaStream_t stream) {
    return cuda::cast<e4m3>(cuda::silu_mul_source<bfloat16>(device_gate.view, device_up.view),
                            static_cast<const dequant_scale*>(scale.data()), device_codes.view, options, stream);
  });
  ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
  std::vector<float> values(static_cast<size_t>(e.rows * e.cols));
  std::vector<e4m3> expected(values.size());
  float largest = 0;
  for (int run = 0; run < 3; ++run) {
    quaver_test::refill(gate, device_gate, random);
    quaver_test::refill(up, device_up, random);
    const std::vector<dequant_scale> now(1, dequant_scale(0.25f * static_cast<float>(1 + run)));
    scale.copy_from(now);
    if (run == 2) amax.fill_bytes(0);  // a new measurement
    graph.run();
    ASSERT_TRUE(cpu::silu_mul(matrix_view<const bfloat16>(gate.view), matrix_view<const bfloat16>(up.view),
                              matrix_view<float>(values.data(), e.rows, e.cols))
                    .ok());
    const std::span<const float> from(values);
    ASSERT_TRUE((cpu::encode_n<e4m3>(from, now[0], std::span<e4m3>(expected)).ok()));
    for (int64_t r = 0; r < e.rows; ++r) {
      for (int64_t c = 0; c < e.cols; ++c) codes.view(r, c) = expected[static_cast<size_t>(r * e.cols + c)];
    }
    ASSERT_NO_FATAL_FAILURE(
        quaver_test::expect_same_buffer(device_codes.to_host(), codes, "run " + std::to_string(run)));
    const float here = cpu::amax_n(from);
    largest          = run == 2 || here > largest ? here : largest;
    ASSERT_EQ(bitwise_cast<uint32_t>(amax.to_host()[0]), bitwise_cast<uint32_t>(largest)) << run;
  }
}

TEST_F(Cast, refuses_what_it_cannot_do_by_its_numbers) {
  const device_array<float> x(512);
  const device_array<e4m3> y(512);
  const matrix_view<const float> from(x.data(), 16, 32);
  const auto* const scale          = reinterpret_cast<const quant_scale*>(x.data());
  const auto bad                   = status_code::invalid_argument;
  const quant_scale* const nowhere = nullptr;
  using quaver_test::expect_refused;
  expect_refused((cuda::cast<e5m2, rounding::stochastic, overflow::nonfinite>(
                     from, scale, matrix_view<e5m2>(reinterpret_cast<e5m2*>(y.data()), 16, 31))),
                 bad, {"16 x 32", "16 x 31"});
  expect_refused((cuda::cast<e5m2, rounding::stochastic, overflow::nonfinite>(
                     from, nowhere, matrix_view<e5m2>(reinterpret_cast<e5m2*>(y.data()), 16, 32))),
                 bad, {"scale", "null"});
  expect_refused((cuda::cast<e5m2, rounding::stochastic, overflow::nonfinite>(
                     from, scale, matrix_view<e5m2>(reinterpret_cast<e5m2*>(x.data()), 16, 32))),
                 bad, {"overlaps", "16 x 32"});
}

}  // namespace
