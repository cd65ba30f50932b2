// SPDX-License-Identifier: MIT
#include <quaver/cpu/cast_stats_n.hpp>
#include <quaver/cpu/encode_n.hpp>
#include <quaver/scale/current_scale.hpp>

#include "environments.hpp"
#include "inputs.hpp"

namespace {

using namespace quaver;
using quaver_test::expect_same;
using quaver_test::some_numbers;

/// Everything once more, in long double.
template <class F, class T>
cast_stats by_brute_force(const std::vector<T>& x, tensor_scale scale, const std::vector<F>& y) {
  cast_stats s;
  long double x2 = 0, e2 = 0;
  const double most = reference::decode((F::max)());
  const double step = most - reference::decode(F::from_bits(static_cast<typename F::storage>((F::max)().bits() - 1)));
  for (size_t i = 0; i < x.size(); ++i) {
    const float value = reference::to_float(x[i]);
    ++s.count;
    s.amax = reference::larger(s.amax, value);
    s.nan += std::isnan(value) ? 1 : 0;
    s.infinite += std::isinf(value) ? 1 : 0;
    if (!std::isfinite(value)) continue;
    s.underflow += value != 0 && reference::decode(y[i]) == 0 ? 1 : 0;
    s.saturated +=
        std::fabs(static_cast<double>(reference::product(value, scale.quant.value()))) > most + step / 2 ? 1 : 0;
    const long double error = static_cast<long double>(value) - static_cast<long double>(reference::product(
                                                                    reference::to_float(y[i]), scale.dequant.value()));
    x2 += static_cast<long double>(value) * static_cast<long double>(value);
    e2 += error * error;
  }
  s.sum_x2     = static_cast<double>(x2);
  s.sum_error2 = static_cast<double>(e2);
  return s;
}

template <class F>
class CastStatsNOf : public ::testing::Test {};
using cast_formats = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3ieee, e3m4, binary8p3, e2m3, e3m2, e2m1>;
TYPED_TEST_SUITE(CastStatsNOf, cast_formats, quaver_test::format_names);

TYPED_TEST(CastStatsNOf, counts_exactly_and_sums_within_a_millionth) {
  using F = TypeParam;
  for (const bool with_specials : {false, true}) {
    for (const float factor : {0.1f, 1.0f, 40.0f}) {
      const std::vector<float> x    = some_numbers<float>(3000, 41, 6, with_specials);
      const std::vector<bfloat16> w = some_numbers<bfloat16>(3000, 42, -30, with_specials);
      const tensor_scale scale{quant_scale(factor), dequant_scale(1.0f / factor), 0};
      std::vector<F> y(x.size());
      ASSERT_TRUE(cpu::encode_n<F>(std::span<const float>(x), scale.quant, std::span<F>(y)).ok());
      expect_same(*cpu::cast_stats_n<F>(std::span<const float>(x), scale, std::span<const F>(y)),
                  by_brute_force(x, scale, y));
      ASSERT_TRUE(
          (cpu::encode_n<F, rounding::toward_zero>(std::span<const bfloat16>(w), scale.quant, std::span<F>(y)).ok()));
      expect_same(*cpu::cast_stats_n<F>(std::span<const bfloat16>(w), scale, std::span<const F>(y)),
                  by_brute_force(w, scale, y));
    }
  }
}

TEST(CastStatsN, saturation_begins_past_half_a_step_above_the_largest_value) {
  const auto saturated = [](float x) {
    const e4m3 y = encode<e4m3>(x);
    return cpu::cast_stats_n<e4m3>(std::span<const float>(&x, 1), tensor_scale{}, std::span<const e4m3>(&y, 1))
        ->saturated;
  };
  EXPECT_EQ(saturated(448.0f), 0);
  EXPECT_EQ(saturated(464.0f), 0);
  EXPECT_EQ(saturated(std::nextafter(464.0f, 500.0f)), 1);
  EXPECT_EQ(saturated(-465.0f), 1);
  EXPECT_EQ(saturated(std::numeric_limits<float>::infinity()), 0) << "counted as infinite";
}

TEST(CastStatsN, a_product_beyond_the_floats_is_saturation_and_a_nan_scale_is_not) {
  constexpr int times = 40;  // so many that vectors are full of them
  std::vector<float> x;
  for (int i = 0; i < times; ++i) x.insert(x.end(), {1e30f, -1e30f, 1.0f, 0.0f});
  const auto with = [&](float factor) {
    std::vector<e4m3> y(x.size());
    EXPECT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(x), quant_scale(factor), std::span<e4m3>(y)).ok());
    return *cpu::cast_stats_n<e4m3>(std::span<const float>(x), {quant_scale(factor), dequant_scale(1), 0},
                                    std::span<const e4m3>(y));
  };
  EXPECT_EQ(with(1e30f).saturated, 3 * times);
  EXPECT_EQ(with(std::numeric_limits<float>::quiet_NaN()).saturated, 0);
  EXPECT_EQ(with(std::numeric_limits<float>::infinity()).saturated, 3 * times) << "0 * inf is NaN";
}

TEST(CastStatsN, parts_merge_to_the_whole) {
  const std::vector<float> x = some_numbers<float>(1000, 43);
  std::vector<e4m3> y(x.size());
  const tensor_scale scale = current_scale<e4m3>(300.0f);
  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(x), scale.quant, std::span<e4m3>(y)).ok());
  const std::span<const float> in(x);
  const std::span<const e4m3> codes(y);
  cast_stats merged;
  for (size_t at = 0; at < x.size(); at += 37) {
    const size_t size = (std::min)(size_t{37}, x.size() - at);
    merged.merge(*cpu::cast_stats_n<e4m3>(in.subspan(at, size), scale, codes.subspan(at, size)));
  }
  expect_same(merged, by_brute_force(x, scale, y));
}

TEST(CastStatsN, keeps_the_environment_and_its_counts_in_every_environment) {
  std::vector<float> x = some_numbers<float>(500, 44);
  for (const float tiny : some_numbers<float>(200, 45, -130, false)) x.push_back(tiny);
  const tensor_scale scale{quant_scale(0x1.8p-20f), dequant_scale(0x1p20f / 1.5f), 0};
  std::vector<e4m3> y(x.size());
  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(x), scale.quant, std::span<e4m3>(y)).ok());
  const cast_stats expected = by_brute_force(x, scale, y);
  for (const quaver_test::environment& e : quaver_test::environments) {
    cast_stats got;
    EXPECT_TRUE(quaver_test::keeps_environment(e, [&] {
      got = *cpu::cast_stats_n<e4m3>(std::span<const float>(x), scale, std::span<const e4m3>(y));
    })) << e.name;
    expect_same(got, expected);
  }
}

TEST(CastStatsN, refuses_unequal_lengths_and_null) {
  const std::vector<float> x(5);
  const std::vector<e4m3> y(4);
  const auto unequal = cpu::cast_stats_n<e4m3>(std::span<const float>(x), tensor_scale{}, std::span<const e4m3>(y));
  EXPECT_FALSE(unequal.ok());
  EXPECT_NE(unequal.message().find("5"), std::string::npos);
  EXPECT_NE(unequal.message().find("4"), std::string::npos);
  EXPECT_FALSE(cpu::cast_stats_n<e4m3>(std::span<const float>(static_cast<const float*>(nullptr), 4), tensor_scale{},
                                       std::span<const e4m3>(y))
                   .ok());
  EXPECT_EQ(cpu::cast_stats_n<e4m3>(std::span<const float>(), tensor_scale{}, std::span<const e4m3>())->count, 0);
}

}  // namespace
