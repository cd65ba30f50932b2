// SPDX-License-Identifier: MIT
#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/quantize.hpp>
#include <quaver/cuda/cast_transpose.cuh>

#include "matrices.hpp"

// Codes and transposed codes against the host: both are the codes of the same positions, and nothing else is written.

namespace {

using namespace quaver;
using quaver_test::buffer;
using quaver_test::device_array;
using quaver_test::device_matrix;
using quaver_test::pick;

class CastTranspose : public quaver_test::GpuTest {
 protected:
  template <class F, rounding R, overflow O, class T>
  void check_random_case(quaver_test::generator& random) {
    const bool vectors  = random() % 2 == 0;
    const int64_t rows  = vectors ? 16 * pick(random, 1, 2, 7, 8, 9, 20) : static_cast<int64_t>(1 + random() % 300);
    const int64_t cols  = vectors ? 16 * pick(random, 1, 3, 8, 9, 17) : static_cast<int64_t>(1 + random() % 300);
    const int centre    = static_cast<int>(pick(random, 6, 0, -120, 100, -140));
    const bool specials = random() % 4 == 0;
    const auto x        = quaver_test::random_matrix<T>(rows, cols, vectors, random, centre, specials);
    const F guard       = F::from_bits(0x0A);
    auto codes          = quaver_test::some_buffer<F>(rows, cols, vectors, random, guard);
    auto turned         = quaver_test::some_buffer<F>(cols, rows, vectors, random, guard);
    const device_matrix<T> device_x(x);
    const device_matrix<F> device_codes(codes);
    const device_matrix<F> device_turned(turned);
    scale_layout layout = per_tensor;
    const bool one      = random() % 2 == 0;  // a quant_scale in device memory
    if (!one) {
      layout = {.block_rows = static_cast<int>(pick(random, 0, 1, 3, 128)),
                .block_cols = static_cast<int>(pick(random, 0, 8, 32, 128)),
                .type       = random() % 4 == 0 ? scale_type::mx_e8m0 : scale_type::f32,
                .order      = static_cast<scale_order>(random() % 3)};
    }
    quaver_test::scale_arrays scales(static_cast<size_t>(layout.scale_count(rows, cols)), &random);
    cuda::cast_transpose_options options;
    options.application = !one && random() % 4 == 0 ? scale_application::divide : scale_application::multiply;
    options.words       = {.seed = random(), .first = random() % 7};
    const std::vector<float> so_far(1, random() % 2 == 0 ? 0.0f : 3.0f);
    const device_array<float> amax(so_far);
    options.amax = random() % 4 != 0 ? amax.data() : nullptr;

    const std::string what = std::to_string(rows) + " x " + std::to_string(cols) + (vectors ? ", vectors, " : ", ") +
                             quaver_test::describe(layout) + (one ? ", one scale" : ", given");
    // One scale is what x is multiplied by; given ones are read in the other direction.
    const std::vector<quant_scale> quant(1, quant_scale(scales.f32[0]));
    const device_array<quant_scale> device_quant(quant);
    const auto out = scales.on_device<F>(device_codes.view, layout);
    const status on_gpu =
        one ? cuda::cast_transpose<F, R, O>(matrix_view<const T>(device_x.view), device_quant.data(), device_codes.view,
                                            device_turned.view, options)
            : cuda::cast_transpose<F, R, O>(matrix_view<const T>(device_x.view), out, device_turned.view, options);
    ASSERT_TRUE(on_gpu.ok()) << on_gpu.message() << ": " << what;

    std::vector<T> dense;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) dense.push_back(x.view(r, c));
    }
    std::vector<F> expected(dense.size());
    if (one) {
      const std::span<const T> from(dense);
      ASSERT_TRUE((cpu::encode_n<F, R, O>(from, quant[0], std::span<F>(expected), options.words).ok()));
    } else {
      const cpu::quantize_options host{
          .source = scale_source::given, .application = options.application, .words = options.words};
      const auto to = scales.on_host<F>(matrix_view<F>(expected.data(), rows, cols), layout);
      ASSERT_TRUE((cpu::quantize<F, R, O>(matrix_view<const T>(x.view), to, host).ok()));
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        codes.view(r, c)  = expected[static_cast<size_t>(r * cols + c)];
        turned.view(c, r) = codes.view(r, c);
      }
    }
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_codes.to_host(), codes, "codes: " + what));
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_turned.to_host(), turned, "transposed: " + what));
    ASSERT_TRUE(scales.same()) << what;
    const uint32_t largest = cpu::amax_bits(dense.data(), dense.size(), bitwise_cast<uint32_t>(so_far[0]));
    const float measured   = options.amax != nullptr ? cpu::amax_from_bits(largest) : so_far[0];
    ASSERT_EQ(bitwise_cast<uint32_t>(amax.to_host()[0]), bitwise_cast<uint32_t>(measured)) << what;
  }
  template <class F, rounding R, overflow O, class T>
  void check_random_cases(int count, uint64_t seed) {
    quaver_test::generator random(seed);
    for (int i = 0; i < count && !HasFatalFailure(); ++i) check_random_case<F, R, O, T>(random);
  }
};

TEST_F(CastTranspose, bfloat16_to_e4m3_gives_the_hosts_codes_both_ways) {
  check_random_cases<e4m3, rounding::nearest_even, overflow::saturate, bfloat16>(500, 31);
}
TEST_F(CastTranspose, float_to_e5m2_rounded_stochastically_uses_the_words_of_the_source_for_both) {
  check_random_cases<e5m2, rounding::stochastic, overflow::nonfinite, float>(500, 32);
}

TEST_F(CastTranspose, is_captured_and_the_graph_follows_scale_and_amax_in_device_memory) {
  quaver_test::generator random(33);
  auto x = quaver_test::random_matrix<bfloat16>(144, 160, true, random, 3, false);
  buffer<e4m3> codes(144, 160, quaver_test::lie::dense, e4m3::from_bits(0x0A));
  buffer<e4m3> turned(160, 144, quaver_test::lie::dense, e4m3::from_bits(0x0A));
  const device_matrix<bfloat16> device_x(x);
  const device_matrix<e4m3> device_codes(codes);
  const device_matrix<e4m3> device_turned(turned);
  device_array<quant_scale> scale(1);
  device_array<float> amax(1);
  cuda::cast_transpose_options options;
  options.amax = amax.data();
  const quaver_test::captured_graph graph([&](cudaStream_t stream) {
    return cuda::cast_transpose(matrix_view<const bfloat16>(device_x.view),
                                static_cast<const quant_scale*>(scale.data()), device_codes.view, device_turned.view,
                                options, stream);
  });
  ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
  for (int run = 0; run < 3; ++run) {
    quaver_test::refill(x, device_x, random);
    const std::vector<quant_scale> now(1, quant_scale(0.5f + static_cast<float>(run)));
    scale.copy_from(now);
    amax.fill_bytes(0);
    graph.run();
    std::vector<bfloat16> dense;
    for (int64_t r = 0; r < 144; ++r) {
      for (int64_t c = 0; c < 160; ++c) dense.push_back(x.view(r, c));
    }
    const std::span<const bfloat16> from(dense);
    std::vector<e4m3> expected(dense.size());
    ASSERT_TRUE((cpu::encode_n<e4m3>(from, now[0], std::span<e4m3>(expected)).ok()));
    for (int64_t r = 0; r < 144; ++r) {
      for (int64_t c = 0; c < 160; ++c) {
        codes.view(r, c)  = expected[static_cast<size_t>(r * 160 + c)];
        turned.view(c, r) = codes.view(r, c);
      }
    }
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_codes.to_host(), codes, "codes"));
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_turned.to_host(), turned, "transposed"));
    ASSERT_EQ(bitwise_cast<uint32_t>(amax.to_host()[0]), bitwise_cast<uint32_t>(cpu::amax_n(from))) << run;
  }
}

TEST_F(CastTranspose, refuses_what_it_cannot_do_by_its_numbers) {
  const device_array<bfloat16> x(1024);
  const device_array<e4m3> y(2048);
  const device_array<float> scales(64);
  const matrix_view<const bfloat16> from(x.data(), 16, 32);
  const matrix_view<e4m3> codes(y.data(), 16, 32);
  const matrix_view<e4m3> turned(y.data() + 1024, 32, 16);
  const auto refused = [&](const status& s, status_code code, const std::vector<std::string>& words) {
    quaver_test::expect_refused(s, code, words);
  };
  const auto bad                   = status_code::invalid_argument;
  const quant_scale* const nowhere = nullptr;
  const auto* const quant          = reinterpret_cast<const quant_scale*>(scales.data());
  refused(cuda::cast_transpose(from, nowhere, codes, turned), bad, {"scale", "null"});
  refused(cuda::cast_transpose(from, quant, codes, codes), bad, {"16 x 32"});
  refused(cuda::cast_transpose(from, quant, codes, matrix_view<e4m3>(y.data() + 100, 32, 16)), bad, {"overlap"});
  refused(cuda::cast_transpose(from, quant, matrix_view<e4m3>(y.data(), 16, 31), turned), bad, {"16 x 31"});
  scaled_matrix<e4m3> out{.values = codes, .layout = {.block_cols = 12}, .scales = scales.data()};
  refused(cuda::cast_transpose(from, out, turned), status_code::unsupported, {"0 x 12", "multiples of 8"});
  cuda::cast_transpose_options options;
  options.amax = reinterpret_cast<float*>(reinterpret_cast<char*>(scales.data()) + 2);
  refused(cuda::cast_transpose(from, quant, codes, turned, options), bad, {"amax", "aligned"});
}

}  // namespace
