// SPDX-License-Identifier: MIT
#include <quaver/cpu/quantize.hpp>
#include <quaver/cuda/cast_stats.cuh>

#include "matrices.hpp"

// A cast that measures, against cpu::quantize with stats: codes and counts equal, sums within a millionth, and every run
// like the one before.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::device_matrix;
using quaver_test::pick;

class CastStats : public quaver_test::GpuTest {
 protected:
  template <class F, rounding R, overflow O, class T>
  void check_random_case(quaver_test::generator& random, cuda::cast_stats_workspace* work) {
    const bool vectors = random() % 2 == 0;
    int64_t rows       = pick(random, 1, 2, 3, 31, 64, 129);
    int64_t cols       = vectors ? 16 * pick(random, 1, 2, 3, 8, 9, 40) : static_cast<int64_t>(1 + random() % 500);
    if (random() % 64 == 0) {
      rows = 3000;  // more chunks than threads
      cols = 16 * 250;
    }
    scale_layout layout;
    switch (random() % 5) {
      case 0: layout = per_tensor; break;
      case 1: layout = per_row; break;
      case 2: layout = blocks_1x128; break;
      case 3: layout = mx_1x32; break;
      default:
        layout = {.block_rows = static_cast<int>(pick(random, 0, 1, 5)),
                  .block_cols = static_cast<int>(pick(random, 3, 8, 48, 100))};
    }
    layout.order     = static_cast<scale_order>(random() % 3);
    const int centre = static_cast<int>(pick(random, 6, 0, -120, 100, -140));
    const auto x     = quaver_test::random_matrix<T>(rows, cols, vectors, random, centre, random() % 4 == 0);
    auto codes       = quaver_test::some_buffer<F>(rows, cols, vectors, random, F::from_bits(0x0A));
    quaver_test::scale_arrays scales(static_cast<size_t>(layout.scale_count(rows, cols)), &random);
    const device_matrix<T> device_x(x);
    const device_matrix<F> device_codes(codes);
    const device_array<cast_stats> device_stats(2);
    cuda::quantize_options options;
    options.application    = random() % 4 == 0 ? scale_application::divide : scale_application::multiply;
    options.words          = {.seed = random(), .first = random() % 7};
    const std::string what = std::to_string(rows) + " x " + std::to_string(cols) + (vectors ? ", vectors, " : ", ") +
                             quaver_test::describe(layout);
    for (int run = 0; run < 2; ++run) {
      const status on_gpu = cuda::quantize_with_stats<F, R, O>(cuda::matrix_source<T>(device_x.view),
                                                               scales.on_device<F>(device_codes.view, layout),
                                                               device_stats.data() + run, work, options);
      ASSERT_TRUE(on_gpu.ok()) << on_gpu.message() << ": " << what;
    }
    cast_stats expected;
    const cpu::quantize_options host{
        .source = scale_source::given, .application = options.application, .words = options.words, .stats = &expected};
    const auto out = scales.on_host<F>(codes.view, layout);
    ASSERT_TRUE((cpu::quantize<F, R, O>(matrix_view<const T>(x.view), out, host).ok()));
    ASSERT_NO_FATAL_FAILURE(quaver_test::expect_same_buffer(device_codes.to_host(), codes, what));
    const std::vector<cast_stats> got = device_stats.to_host();
    quaver_test::expect_same(got[0], expected);
    ASSERT_FALSE(HasFailure()) << what;
    ASSERT_EQ(bitwise_cast<uint32_t>(got[0].amax), bitwise_cast<uint32_t>(expected.amax)) << what;
    ASSERT_EQ(bitwise_cast<uint64_t>(got[0].sum_x2), bitwise_cast<uint64_t>(got[1].sum_x2)) << what;
    ASSERT_EQ(bitwise_cast<uint64_t>(got[0].sum_error2), bitwise_cast<uint64_t>(got[1].sum_error2)) << what;
  }
  template <class F, rounding R, overflow O, class T>
  void check_random_cases(int count, uint64_t seed) {
    quaver_test::generator random(seed);
    device_array<cuda::cast_stats_workspace> work(1);
    work.fill_bytes(0);
    for (int i = 0; i < count && !HasFailure(); ++i) check_random_case<F, R, O, T>(random, work.data());
  }
};

TEST_F(CastStats, of_bfloat16_to_e4m3_are_the_hosts) {
  check_random_cases<e4m3, rounding::nearest_even, overflow::saturate, bfloat16>(500, 61);
}
TEST_F(CastStats, of_float_to_e5m2_rounded_stochastically_are_the_hosts) {
  check_random_cases<e5m2, rounding::stochastic, overflow::nonfinite, float>(500, 62);
}

TEST_F(CastStats, are_captured_and_each_run_of_the_graph_begins_at_zero) {
  quaver_test::generator random(63);
  auto x = quaver_test::random_matrix<bfloat16>(129, 160, true, random, 3, false);
  quaver_test::buffer<e4m3> codes(129, 160, quaver_test::lie::dense, e4m3::from_bits(0x0A));
  quaver_test::scale_arrays scales(static_cast<size_t>(mx_1x32_tiles.scale_count(129, 160)), &random);
  const device_matrix<bfloat16> device_x(x);
  const device_matrix<e4m3> device_codes(codes);
  const device_array<cast_stats> stats(1);
  device_array<cuda::cast_stats_workspace> work(1);
  work.fill_bytes(0);
  const quaver_test::captured_graph graph([&](cudaStream_t stream) {
    return cuda::quantize_with_stats<e4m3>(cuda::matrix_source<bfloat16>(device_x.view),
                                           scales.on_device<e4m3>(device_codes.view, mx_1x32_tiles), stats.data(),
                                           work.data(), {}, stream);
  });
  ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
  for (int run = 0; run < 3; ++run) {
    quaver_test::refill(x, device_x, random);
    graph.run();
    cast_stats expected;
    ASSERT_TRUE(cpu::quantize<e4m3>(matrix_view<const bfloat16>(x.view),
                                    scales.on_host<e4m3>(codes.view, mx_1x32_tiles),
                                    {.source = scale_source::given, .stats = &expected})
                    .ok());
    ASSERT_NO_FATAL_FAILURE(
        quaver_test::expect_same_buffer(device_codes.to_host(), codes, "run " + std::to_string(run)));
    quaver_test::expect_same(stats.to_host()[0], expected);
  }
}

TEST_F(CastStats, of_nothing_are_zero_and_bad_arguments_are_refused_by_their_numbers) {
  const device_array<bfloat16> x(512);
  const device_array<e4m3> y(512);
  const device_array<float> scales(4);
  const device_array<cast_stats> stats(1);
  device_array<cuda::cast_stats_workspace> work(1);
  work.fill_bytes(0);
  const auto call = [&](int64_t rows, int64_t cols, int64_t code_cols, cast_stats* to, cuda::cast_stats_workspace* in) {
    scaled_matrix<e4m3> out{.values = {y.data(), rows, code_cols}, .scales = scales.data()};
    const matrix_view<const bfloat16> from(x.data(), rows, cols);
    return cuda::quantize_with_stats<e4m3>(cuda::matrix_source<bfloat16>(from), out, to, in);
  };
  ASSERT_TRUE(call(0, 32, 32, stats.data(), work.data()).ok());
  EXPECT_EQ(stats.to_host()[0].count, 0);
  EXPECT_EQ(stats.to_host()[0].sum_x2, 0.0);
  const auto bad = status_code::invalid_argument;
  quaver_test::expect_refused(call(16, 32, 31, stats.data(), work.data()), bad, {"16 x 32", "16 x 31"});
  quaver_test::expect_refused(call(16, 32, 32, nullptr, work.data()), bad, {"result", "null"});
  quaver_test::expect_refused(call(16, 32, 32, stats.data(), nullptr), bad,
                              {"workspace", std::to_string(sizeof(cuda::cast_stats_workspace))});
}

}  // namespace
