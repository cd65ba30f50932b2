// SPDX-License-Identifier: MIT
#include <quaver/cpu/dequantize.hpp>
#include <quaver/cuda/dequantize.cuh>

#include "quantize_cases.cuh"

// Two e2m1 a byte, to and from, against the host: the same bytes, the same scales, nothing else written.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::device_matrix;

class QuantizePairs : public quaver_test::GpuTest {
 protected:
  template <rounding R, class T>
  void check_random_case(quaver_test::generator& random, cuda::tensor_workspace* work) {
    quaver_test::one_case c = quaver_test::random_case(random, true);
    if (c.layout.block_cols % 2 != 0) c.layout.block_cols = 2;
    if (random() % 2 == 0) {
      const scale_order order = c.layout.order;
      c.layout                = random() % 2 == 0 ? nvfp4_1x16 : mx_1x32;
      c.layout.order          = order;
    }
    const auto x         = quaver_test::some_matrix<T>(c, c.x_lies, random);
    const int64_t stride = (c.cols + 1) / 2 + quaver_test::pick(random, 0, 0, 8, 3);
    const int64_t before = quaver_test::pick(random, 16, 16, 8, 3);
    const auto guard     = e2m1x2::from_bits(0xA5);
    std::vector<e2m1x2> codes(static_cast<size_t>(before + c.rows * stride + 5), guard);
    const matrix_view<e2m1x2> here(codes.data() + before, c.rows, c.cols, stride);
    const bool given = c.options.source == scale_source::given;
    quaver_test::scale_arrays scales(static_cast<size_t>(c.layout.scale_count(c.rows, c.cols)),
                                     given ? &random : nullptr);
    const device_matrix<T> device_x(x);
    const device_array<e2m1x2> device_codes(codes);
    const matrix_view<e2m1x2> there(device_codes.data() + before, c.rows, c.cols, stride);
    cuda::quantize_options options = c.options;
    options.workspace              = work;
    const status on_gpu =
        cuda::quantize<e2m1x2, R>(cuda::matrix_source<T>(device_x.view), scales.on_device(there, c.layout), options);
    ASSERT_TRUE(on_gpu.ok()) << on_gpu.message() << ": " << describe(c);
    const cpu::quantize_options host{.source      = c.options.source,
                                     .policy      = c.options.policy,
                                     .mx          = c.options.mx,
                                     .application = c.options.application,
                                     .words       = c.options.words};
    const status on_cpu = cpu::quantize<e2m1x2, R>(matrix_view<const T>(x.view), scales.on_host(here, c.layout), host);
    ASSERT_TRUE(on_cpu.ok()) << on_cpu.message();
    const std::vector<e2m1x2> got = device_codes.to_host();
    for (size_t i = 0; i < codes.size(); ++i)
      ASSERT_EQ(unsigned{got[i].bits()}, unsigned{codes[i].bits()}) << "byte " << i << ": " << describe(c);
    ASSERT_TRUE(scales.same()) << describe(c);

    auto y = quaver_test::some_buffer<T>(c.rows, c.cols, c.cols % 16 == 0, random, quaver_test::element_from<T>(0));
    const device_matrix<T> device_y(y);
    const status back = cuda::dequantize(scales.on_device(there, c.layout), device_y.view);
    ASSERT_TRUE(back.ok()) << back.message() << ": " << describe(c);
    ASSERT_TRUE(cpu::dequantize(scales.on_host(here, c.layout), y.view).ok());
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_y.to_host(), y, "back: " + describe(c)));
  }
  template <rounding R, class T>
  void check_random_cases(int count, uint64_t seed) {
    quaver_test::generator random(seed);
    device_array<cuda::tensor_workspace> work(1);
    work.fill_bytes(0);
    for (int i = 0; i < count && !HasFatalFailure(); ++i) check_random_case<R, T>(random, work.data());
  }
};

TEST_F(QuantizePairs, from_bfloat16_and_back_have_the_hosts_bytes_and_scales) {
  check_random_cases<rounding::nearest_even, bfloat16>(200, 17);
}
#if QUAVER_TEST_EVERY_MIX
TEST_F(QuantizePairs, from_float_rounded_stochastically_and_back_have_the_hosts_bytes_and_scales) {
  check_random_cases<rounding::stochastic, float>(200, 18);
}
#endif

TEST_F(QuantizePairs, blocks_that_begin_within_a_byte_are_refused) {
  const device_array<bfloat16> x(512);
  const device_array<e2m1x2> y(512);
  const device_array<float> scales(512);
  scaled_matrix<e2m1x2> out;
  out.values = {y.data(), 16, 30};
  out.layout = {.block_rows = 1, .block_cols = 5};
  out.scales = scales.data();
  quaver_test::expect_refused(cuda::quantize(matrix_view<const bfloat16>(x.data(), 16, 30), out),
                              status_code::unsupported, {"5 columns wide", "even"});
}

}  // namespace
