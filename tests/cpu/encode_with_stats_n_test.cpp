// SPDX-License-Identifier: MIT
#include <quaver/cpu/encode_with_stats_n.hpp>
#include <quaver/scale/current_scale.hpp>

#include "inputs.hpp"
#include "threads.hpp"

namespace {

using namespace quaver;
using quaver_test::codes_of;
using quaver_test::expect_same;
using quaver_test::some_numbers;

template <class F, rounding R, class T>
void expect_one_pass_is_two(size_t count, const cpu::executor& on) {
  const std::vector<T> x = some_numbers<T>(count, 91);
  const std::span<const T> in(x);
  const tensor_scale scale{quant_scale(3.7f), dequant_scale(1 / 3.7f), 0};
  const random_words words{7, 5};
  std::vector<F> separate(count), with_stats(count), with_amax(count);
  ASSERT_TRUE((cpu::encode_n<F, R>(in, scale.quant, std::span<F>(separate), words).ok()));
  const cast_stats expected = *cpu::cast_stats_n<F>(in, scale, std::span<const F>(separate));

  const result<cast_stats> stats = cpu::encode_with_stats_n<F, R>(in, scale, std::span<F>(with_stats), words, on);
  ASSERT_TRUE(stats.ok()) << stats.message();
  EXPECT_EQ(codes_of(with_stats), codes_of(separate));
  expect_same(*stats, expected);

  const result<float> amax = cpu::encode_with_amax_n<F, R>(in, scale.quant, std::span<F>(with_amax), words, on);
  ASSERT_TRUE(amax.ok()) << amax.message();
  EXPECT_EQ(codes_of(with_amax), codes_of(separate));
  EXPECT_EQ(bitwise_cast<uint32_t>(*amax), bitwise_cast<uint32_t>(cpu::amax_n(in)));
}

TEST(EncodeWithStatsN, is_encode_n_then_cast_stats_n_and_amax_n_with_any_threads) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{63}, size_t{2048}, size_t{2049}, size_t{10001}}) {
    for (const size_t width : std::initializer_list<size_t>{1, 2, 3, 7}) {
      expect_one_pass_is_two<e4m3, rounding::nearest_even, float>(count, quaver_test::threads(width));
      expect_one_pass_is_two<e5m2, rounding::stochastic, bfloat16>(count, quaver_test::threads(width));
    }
    expect_one_pass_is_two<e3m2, rounding::toward_zero, half>(count, quaver_test::backwards(5));
  }
}

TEST(EncodeWithStatsN, refuses_what_encode_n_refuses) {
  const std::vector<float> x(5);
  std::vector<e4m3> y(4);
  const auto stats = cpu::encode_with_stats_n<e4m3>(std::span<const float>(x), tensor_scale{}, std::span<e4m3>(y));
  EXPECT_EQ(stats.error().code(), status_code::invalid_argument);
  EXPECT_NE(stats.message().find("encode_with_stats_n: the input has 5 elements, the output 4"), std::string::npos)
      << stats.message();
  const auto amax = cpu::encode_with_amax_n<e4m3>(std::span<const float>(x), quant_scale(1), std::span<e4m3>(y));
  EXPECT_NE(amax.message().find("encode_with_amax_n: the input has 5 elements, the output 4"), std::string::npos)
      << amax.message();
}

}  // namespace
