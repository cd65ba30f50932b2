// SPDX-License-Identifier: MIT
#include <quaver/cpu/quantize.hpp>
#include <quaver/cpu/rms_norm.hpp>
#include <quaver/cuda/rms_norm.cuh>

#include "matrices.hpp"

// RMS norm and cast on the device against cpu::rms_norm followed by cpu::quantize: the same codes, scales and residuals,
// nothing else written.

namespace {

using namespace quaver;
using quaver_test::buffer;
using quaver_test::device_array;
using quaver_test::device_matrix;
using quaver_test::pick;

struct one_case {
  int64_t rows;
  int64_t cols;
  bool vectors;
  bool residual;
  bool in_place;
  scale_layout layout;
  cuda::quantize_options options;
  int centre;
  bool specials;
  float epsilon;
};

std::string describe(const one_case& c) {
  return std::to_string(c.rows) + " x " + std::to_string(c.cols) + ", " + quaver_test::describe(c.layout) +
         (c.vectors ? ", vectors" : "") + (c.residual ? ", residual" : "") + (c.in_place ? " in place" : "") +
         (c.options.source == scale_source::given ? ", given" : ", current");
}

one_case random_case(quaver_test::generator& random) {
  one_case c{};
  c.vectors = random() % 2 == 0;
  c.rows    = pick(random, 1, 2, 3, 7, 8, 9, 31);
  c.cols    = c.vectors ? 16 * pick(random, 1, 2, 3, 8, 31, 32, 33, 100, 128, 129, 300)
                        : static_cast<int64_t>(1 + random() % 3000);
  if (random() % 16 == 0)
    c.cols = c.vectors ? 16 * pick(random, 512, 513, 1024, 1025, 2100) : pick(random, 8191, 20001);
  c.residual       = random() % 2 == 0;
  c.in_place       = c.residual && random() % 2 == 0;
  c.options.source = random() % 3 == 0 ? scale_source::given : scale_source::current;
  const int width  = static_cast<int>(pick(random, 0, 8, 16, 32, 64, 128, 128));
  c.layout         = {.block_rows = 1, .block_cols = width};
  if (random() % 4 == 0 && width != 0) c.layout.type = scale_type::mx_e8m0;
  if (c.options.source == scale_source::given) {
    c.layout.block_rows = static_cast<int>(pick(random, 0, 1, 2, 128));
    if (random() % 3 == 0) c.layout = per_tensor;
    if (random() % 8 == 0) c.layout = nvfp4_1x16;
  }
  c.layout.order             = static_cast<scale_order>(random() % 3);
  c.options.application      = random() % 4 == 0 ? scale_application::divide : scale_application::multiply;
  c.options.mx               = static_cast<mx_rule>(random() % 3);
  c.options.words            = {.seed = random(), .first = random() % 7};
  c.options.policy.direction = static_cast<scale_direction>(random() % 2);
  c.options.policy.rounding  = static_cast<scale_rounding>(random() % 2);
  c.options.policy.on_nan    = static_cast<special_amax>(random() % 3);
  c.options.policy.on_zero   = static_cast<special_amax>(random() % 3);
  c.centre                   = static_cast<int>(pick(random, 4, 0, -70, 60, -140, 100));
  c.specials                 = random() % 4 == 0;
  c.epsilon                  = random() % 4 == 0 ? 0.0f : 1e-6f;
  return c;
}

class RmsNorm : public quaver_test::GpuTest {
 protected:
  template <class F, rounding R, overflow O, class T>
  void check(const one_case& c, quaver_test::generator& random) {
    const auto x      = quaver_test::random_matrix<T>(c.rows, c.cols, c.vectors, random, c.centre, c.specials);
    const auto weight = quaver_test::random_matrix<T>(1, c.cols, true, random, 1, false);
    auto residual     = quaver_test::random_matrix<T>(c.rows, c.cols, c.vectors, random, c.centre, c.specials);
    const T unwritten = quaver_test::element_from<T>(0x4040'0000u);
    auto out          = quaver_test::some_buffer<T>(c.rows, c.cols, c.vectors, random, unwritten);
    buffer<F> codes   = quaver_test::some_buffer<F>(c.rows, c.cols, c.vectors, random, F::from_bits(0x0A));
    const auto count  = static_cast<size_t>(c.layout.scale_count(c.rows, c.cols));
    quaver_test::scale_arrays scales(count, c.options.source == scale_source::given ? &random : nullptr);

    const device_matrix<T> device_x(x);
    const device_matrix<T> device_weight(weight);
    const device_matrix<T> device_residual(residual);
    const device_matrix<T> device_out(out);
    const device_matrix<F> device_codes(codes);
    rms_norm_problem<T> here{.x = x.view, .weight = weight.view.data, .epsilon = c.epsilon};
    rms_norm_problem<T> there{.x = device_x.view, .weight = device_weight.view.data, .epsilon = c.epsilon};
    if (c.residual) {
      here.residual      = residual.view;
      here.residual_out  = c.in_place ? residual.view : out.view;
      there.residual     = device_residual.view;
      there.residual_out = c.in_place ? device_residual.view : device_out.view;
    }
    const status on_gpu = cuda::rms_norm<F, R, O>(there, scales.on_device<F>(device_codes.view, c.layout), c.options);
    ASSERT_TRUE(on_gpu.ok()) << on_gpu.message() << ": " << describe(c);

    std::vector<float> y(static_cast<size_t>(c.rows * c.cols));
    const matrix_view<float> values(y.data(), c.rows, c.cols);
    ASSERT_TRUE(cpu::rms_norm(here, values).ok());
    const cpu::quantize_options options{.source      = c.options.source,
                                        .policy      = c.options.policy,
                                        .mx          = c.options.mx,
                                        .application = c.options.application,
                                        .words       = c.options.words};
    const status on_cpu = cpu::quantize<F, R, O>(values, scales.on_host<F>(codes.view, c.layout), options);
    ASSERT_TRUE(on_cpu.ok()) << on_cpu.message();
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_codes.to_host(), codes, "codes: " + describe(c)));
    ASSERT_NO_FATAL_FAILURE(
        quaver_test::expect_same_buffer(device_residual.to_host(), residual, "residual: " + describe(c)));
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_out.to_host(), out, "output: " + describe(c)));
    ASSERT_TRUE(scales.same()) << describe(c);
  }

  template <class F, rounding R, overflow O, class T>
  void check_random_cases(int count, uint64_t seed) {
    quaver_test::generator random(seed);
    for (int i = 0; i < count && !HasFatalFailure(); ++i) {
      const one_case c = random_case(random);
      check<F, R, O, T>(c, random);
    }
  }
};

TEST_F(RmsNorm, bfloat16_to_e4m3_gives_the_hosts_codes_scales_and_residuals) {
  check_random_cases<e4m3, rounding::nearest_even, overflow::saturate, bfloat16>(500, 21);
}
#if QUAVER_TEST_EVERY_MIX
TEST_F(RmsNorm, float_to_e5m2_rounded_stochastically_gives_the_hosts_codes_scales_and_residuals) {
  check_random_cases<e5m2, rounding::stochastic, overflow::nonfinite, float>(500, 22);
}
#endif

TEST_F(RmsNorm, is_captured_with_its_scales_in_tiles_and_a_residual_that_goes_on_from_run_to_run) {
  quaver_test::generator random(23);
  auto x            = quaver_test::random_matrix<bfloat16>(9, 544, true, random, 3, false);
  const auto weight = quaver_test::random_matrix<bfloat16>(1, 544, true, random, 1, false);
  auto residual     = quaver_test::random_matrix<bfloat16>(9, 544, true, random, 3, false);
  buffer<e4m3> codes(9, 544, quaver_test::lie::dense, e4m3::from_bits(0x0A));
  quaver_test::scale_arrays scales(static_cast<size_t>(mx_1x32_tiles.scale_count(9, 544)));
  const device_matrix<bfloat16> device_x(x);
  const device_matrix<bfloat16> device_weight(weight);
  const device_matrix<bfloat16> device_residual(residual);
  const device_matrix<e4m3> device_codes(codes);
  rms_norm_problem<bfloat16> here{.x = x.view, .weight = weight.view.data};
  rms_norm_problem<bfloat16> there{.x = device_x.view, .weight = device_weight.view.data};
  here.residual      = residual.view;
  here.residual_out  = residual.view;
  there.residual     = device_residual.view;
  there.residual_out = device_residual.view;
  const quaver_test::captured_graph graph([&](cudaStream_t stream) {
    return cuda::rms_norm<e4m3>(there, scales.on_device<e4m3>(device_codes.view, mx_1x32_tiles), {}, stream);
  });
  ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
  std::vector<float> y(9 * 544);
  const matrix_view<float> values(y.data(), 9, 544);
  for (int run = 0; run < 3; ++run) {
    quaver_test::refill(x, device_x, random);
    graph.run();
    ASSERT_TRUE(cpu::rms_norm(here, values).ok());
    ASSERT_TRUE(cpu::quantize<e4m3>(values, scales.on_host<e4m3>(codes.view, mx_1x32_tiles)).ok());
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_codes.to_host(), codes, "codes"));
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_residual.to_host(), residual, "residual"));
    ASSERT_TRUE(scales.same()) << run;
  }
}

TEST_F(RmsNorm, refuses_what_it_cannot_do_by_its_numbers) {
  device_array<bfloat16> x(1024);
  device_array<e4m3> y(1024);
  device_array<float> scales(64);
  rms_norm_problem<bfloat16> p{.x = {x.data(), 4, 64}, .weight = x.data() + 512};
  scaled_matrix<e4m3> out{.values = {y.data(), 4, 64}, .layout = per_row, .scales = scales.data()};
  const auto refused = [&](status_code code, const std::vector<std::string>& words) {
    quaver_test::expect_refused(cuda::rms_norm<e4m3>(p, out), code, words);
  };
  const auto bad = status_code::invalid_argument;
  p.epsilon      = -1.0f;
  refused(bad, {"epsilon", "-1"});
  p.epsilon = 1e-6f;
  p.weight  = nullptr;
  refused(bad, {"weight", "64"});
  p.weight   = x.data() + 512;
  p.residual = {x.data() + 256, 4, 64};
  refused(bad, {"residual output", "4 x 64"});
  p.residual_out = {x.data() + 300, 4, 64};
  refused(bad, {"overlaps", "4 x 64"});
  p.residual_out = {};
  p.residual     = {};
  out.values     = {y.data(), 4, 63};
  refused(bad, {"4 x 64", "4 x 63"});
  out.values = {y.data(), 4, 64};
  out.layout = blocks_128x128;
  refused(status_code::unsupported, {"128 x 128"});
  std::vector<float> host(4);
  out.layout = per_row;
  out.scales = host.data();
  if (!cuda::current_device()->reads_host_heap) refused(bad, {"scales", "host memory"});
}

}  // namespace
