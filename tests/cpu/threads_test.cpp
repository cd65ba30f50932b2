// SPDX-License-Identifier: MIT

// Bulk functions with the caller's threads: the bytes of one thread, whatever the number.

#include <quaver/cpu/dequantize.hpp>
#include <quaver/cpu/gemm.hpp>
#include <quaver/cpu/quantize.hpp>

#include "inputs.hpp"
#include "matrices.hpp"
#include "threads.hpp"

namespace {

using namespace quaver;
using quaver_test::codes_of;
using quaver_test::some_numbers;

/// Calls visit for one thread and for others, real and contrary.
template <class Visit>
void for_each_executor(const Visit& visit) {
  for (const size_t width : std::initializer_list<size_t>{2, 3, 7}) visit(quaver_test::threads(width));
  visit(quaver_test::backwards(5));
  visit(cpu::executor{.width = 0});
}

TEST(Threads, give_the_bytes_of_one_thread_to_arrays_of_every_length) {
  for (size_t count = 0; count < 700; count += count < 5 ? 1 : 61) {
    const std::vector<float> x = some_numbers<float>(count, 17);
    const std::span<const float> in(x);
    std::vector<e4m3> expected(count), y(count);
    ASSERT_TRUE(
        (cpu::encode_n<e4m3, rounding::stochastic>(in, quant_scale(2.5f), std::span<e4m3>(expected), {3, 10}).ok()));
    std::vector<float> decoded(count), z(count);
    ASSERT_TRUE(cpu::decode_n(std::span<const e4m3>(expected), dequant_scale(0.4f), std::span<float>(decoded)).ok());
    for_each_executor([&](const cpu::executor& on) {
      ASSERT_TRUE(
          (cpu::encode_n<e4m3, rounding::stochastic>(in, quant_scale(2.5f), std::span<e4m3>(y), {3, 10}, on).ok()));
      EXPECT_EQ(codes_of(y), codes_of(expected)) << count << " elements, width " << on.width;
      ASSERT_TRUE(cpu::decode_n(std::span<const e4m3>(expected), dequant_scale(0.4f), std::span<float>(z), on).ok());
      EXPECT_EQ(codes_of(z), codes_of(decoded)) << count << " elements, width " << on.width;
      EXPECT_EQ(bitwise_cast<uint32_t>(cpu::amax_n(in, on)), bitwise_cast<uint32_t>(cpu::amax_n(in)));
    });
  }
}

/// What quantize wrote.
struct quantised {
  std::vector<e4m3> codes;
  std::vector<float> scales;
  std::vector<e8m0> powers;
  std::vector<float> back;
  cast_stats stats;
};
quantised quantise(const std::vector<float>& x, int64_t rows, int64_t cols, const scale_layout& layout,
                   const cpu::executor& on) {
  const auto scales = static_cast<size_t>(layout.scale_count(rows, cols));
  quantised out{std::vector<e4m3>(x.size()),
                std::vector<float>(scales),
                std::vector<e8m0>(scales, e8m0::from_bits(0)),
                std::vector<float>(x.size()),
                {}};
  const scaled_matrix<e4m3> y{{out.codes.data(), rows, cols}, layout, out.scales.data(), out.powers.data()};
  EXPECT_TRUE((cpu::quantize<e4m3, rounding::stochastic>(matrix_view<const float>(x.data(), rows, cols), y,
                                                         {.words = {5, 1}, .stats = &out.stats, .on = on})
                   .ok()));
  EXPECT_TRUE(cpu::dequantize(y, matrix_view<float>(out.back.data(), rows, cols), on).ok());
  return out;
}

TEST(Threads, give_the_bytes_of_one_thread_to_matrices_of_every_layout) {
  constexpr std::pair<int64_t, int64_t> shapes[] = {{1, 1}, {1, 1000}, {1000, 1}, {3, 300}, {130, 257}, {0, 5}};
  for (const auto& shape : shapes) {
    const int64_t rows         = shape.first;
    const int64_t cols         = shape.second;
    const std::vector<float> x = some_numbers<float>(static_cast<size_t>(rows * cols), 18, 0);
    for (const scale_layout& layout :
         {per_tensor, per_row, blocks_1x128, blocks_128x128, mx_1x32, mx_1x32_tiles, scale_layout{.block_cols = 100}}) {
      const quantised expected = quantise(x, rows, cols, layout, {});
      for_each_executor([&](const cpu::executor& on) {
        const quantised got = quantise(x, rows, cols, layout, on);
        EXPECT_EQ(codes_of(got.codes), codes_of(expected.codes)) << rows << " x " << cols << ", width " << on.width;
        EXPECT_EQ(codes_of(got.scales), codes_of(expected.scales));
        EXPECT_EQ(codes_of(got.powers), codes_of(expected.powers));
        EXPECT_EQ(codes_of(got.back), codes_of(expected.back));
        quaver_test::expect_same(got.stats, expected.stats);
      });
    }
  }
}

/// What a product leaves: the codes of D, and the amax.
using product = std::pair<std::vector<uint32_t>, uint32_t>;

TEST(Threads, give_the_bytes_of_one_thread_to_matrix_products_of_every_shape) {
  constexpr struct {
    int64_t m, n, k, batches;
  } shapes[] = {{1, 1, 1, 1}, {1, 300, 600, 1}, {40, 100, 70, 2}, {5, 33, 1100, 1}, {130, 20, 129, 1}, {7, 9, 0, 3}};
  for (const auto& shape : shapes) {
    const auto [m, n, k, batches] = shape;
    const auto codes              = [](int64_t count, uint64_t seed) {
      std::vector<e4m3> x(static_cast<size_t>(count));
      quaver_test::generator random(seed);
      for (e4m3& code : x) code = e4m3::from_bits(static_cast<uint8_t>(random() >> 20 & 0xBF));
      return x;
    };
    const std::vector<e4m3> a     = codes(m * k * batches, 19);
    const std::vector<e4m3> b     = codes(n * k, 20);
    const std::vector<float> ones = std::vector<float>(static_cast<size_t>(n * (k + 1)), 1.5f);
    std::vector<e5m2> d(static_cast<size_t>(m * n * batches));
    float amax = 0;
    gemm_problem<e4m3, e4m3, e5m2> problem;
    problem.a         = {{a.data(), m, k}, per_tensor, ones.data()};
    problem.b         = {{b.data(), n, k}, blocks_1x128, ones.data()};
    problem.d         = {d.data(), m, n};
    problem.d_amax    = &amax;
    problem.batches   = {.count = batches, .a_stride = m * k, .d_stride = m * n};
    const auto weight = cpu::packed_weight<e4m3>::make(problem.b, quaver_test::threads(2));
    ASSERT_TRUE(weight.ok()) << weight.message();

    for (const cpu::gemm_sums sums : {cpu::gemm_sums::dot_products, cpu::gemm_sums::multiply_adds}) {
      const auto run = [&](const cpu::executor& on, bool packed) {
        const cpu::gemm_options options{.threads = on, .workspace = {}, .tier = cpu::active_tier(), .sums = sums};
        const status done = packed ? cpu::gemm(problem, *weight, options) : cpu::gemm(problem, options);
        EXPECT_TRUE(done.ok()) << done.message();
        return product(codes_of(d), bitwise_cast<uint32_t>(amax));
      };
      const product expected = run({}, false);
      for_each_executor([&](const cpu::executor& on) {
        EXPECT_EQ(run(on, false), expected) << m << " x " << n << " x " << k << ", width " << on.width;
        EXPECT_EQ(run(on, true), expected) << m << " x " << n << " x " << k << " packed, width " << on.width;
      });
    }
  }
}

}  // namespace
