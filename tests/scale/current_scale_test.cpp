// SPDX-License-Identifier: MIT
#include <quaver/reference/quantize.hpp>
#include <quaver/scale/current_scale.hpp>

#include "../cpu/environments.hpp"
#include "../reference/modes.hpp"

#include <cmath>
#include <type_traits>
#include <vector>

namespace {

using namespace quaver;

constexpr float infinity   = std::numeric_limits<float>::infinity();
constexpr float nan        = std::numeric_limits<float>::quiet_NaN();
constexpr float largest    = 0x1.FFFFFEp127f;
constexpr float denorm_min = 0x1p-149f;

uint32_t bits_of(float x) { return bitwise_cast<uint32_t>(x); }

TEST(ScaleTypes, neither_direction_becomes_the_other_or_a_float_by_accident) {
  static_assert(!std::is_convertible_v<float, quant_scale> && !std::is_convertible_v<float, dequant_scale>);
  static_assert(!std::is_constructible_v<quant_scale, dequant_scale> &&
                !std::is_constructible_v<dequant_scale, quant_scale>);
  static_assert(!std::is_convertible_v<quant_scale, float> && !std::is_convertible_v<dequant_scale, float>);
  static_assert(std::is_trivially_copyable_v<tensor_scale> && sizeof(tensor_scale) == 12);
  EXPECT_EQ(quant_scale{}.value(), 1.0f);
  EXPECT_EQ(dequant_scale{}.value(), 1.0f);
  EXPECT_EQ(quant_scale{37.0f}.value(), 37.0f);
}

TEST(CurrentScale, gives_transformer_engines_numbers_by_default) {
  // compute_scale_from_amax: scale = max / amax, scale_inv = 1 / scale.
  for (const float amax : {1.0f, 0.1f, 3.0f, 447.0f, 448.0f, 1e-20f, 1e30f, 2.7182817f}) {
    const tensor_scale e4 = current_scale<e4m3>(amax);
    EXPECT_EQ(e4.quant.value(), 448.0f / amax);
    EXPECT_EQ(e4.dequant.value(), 1.0f / (448.0f / amax));
    EXPECT_EQ(e4.amax, amax);
    EXPECT_EQ(current_scale<e5m2>(amax).quant.value(), 57344.0f / amax);
  }
  for (const float special : {0.0f, -0.0f, infinity, -infinity, nan}) {
    const tensor_scale s = current_scale<e4m3>(special);
    EXPECT_EQ(s.quant.value(), 1.0f);
    EXPECT_EQ(s.dequant.value(), 1.0f);
    EXPECT_EQ(bits_of(s.amax), bits_of(std::fabs(special))) << "what was seen stays to be read";
  }
  EXPECT_EQ(current_scale<e4m3>(0x1p-130f).quant.value(), largest) << "an infinite scale becomes FLT_MAX";
}

TEST(CurrentScale, gives_vllms_and_deepseeks_numbers_with_their_policies) {
  const scale_policy vllm{.direction = scale_direction::dequant_first};
  EXPECT_EQ(current_scale<e4m3>(3.0f, vllm).dequant.value(), 3.0f / 448.0f);
  EXPECT_EQ(current_scale<e4m3>(3.0f, vllm).quant.value(), 1.0f / (3.0f / 448.0f));

  const scale_policy deepseek{.amax_floor = 1e-4f, .direction = scale_direction::dequant_first};
  EXPECT_EQ(current_scale<e4m3>(0.0f, deepseek).dequant.value(), 1e-4f / 448.0f)
      << "the clamp comes before the policy for 0";
  EXPECT_EQ(current_scale<e4m3>(0.99e-4f, deepseek).dequant.value(), 1e-4f / 448.0f);
  EXPECT_EQ(current_scale<e4m3>(1.01e-4f, deepseek).dequant.value(), 1.01e-4f / 448.0f);
  EXPECT_EQ(current_scale<e4m3>(infinity, deepseek).dequant.value(), 1.0f);
  EXPECT_EQ(current_scale<e4m3>(nan, deepseek).dequant.value(), 1.0f);
}

TEST(CurrentScale, follows_ms_amp_with_a_power_of_two_and_a_margin) {
  // 2^(floor(log2(max / amax)) - margin)
  const scale_policy policy{.margin = 2, .rounding = scale_rounding::power_of_two};
  for (const float amax : {1.0f, 0.3f, 448.0f, 449.0f, 7e-10f}) {
    EXPECT_EQ(current_scale<e4m3>(amax, policy).quant.value(),
              std::ldexp(1.0f, std::ilogb(448.0 / static_cast<double>(amax)) - 2));
  }
}

TEST(CurrentScale, tells_zero_infinity_and_nan_apart) {
  const scale_policy policy{
      .on_zero = special_amax::clamp, .on_infinite = special_amax::poison, .on_nan = special_amax::unit};
  EXPECT_EQ(current_scale<e4m3>(0.0f, policy).quant.value(), largest) << "as for the smallest float";
  EXPECT_TRUE(std::isnan(current_scale<e4m3>(infinity, policy).quant.value()));
  EXPECT_TRUE(std::isnan(current_scale<e4m3>(infinity, policy).dequant.value()));
  EXPECT_EQ(current_scale<e4m3>(nan, policy).quant.value(), 1.0f);

  const scale_policy clamped{.on_infinite = special_amax::clamp, .on_nan = special_amax::clamp};
  EXPECT_EQ(current_scale<e4m3>(infinity, clamped).quant.value(), 448.0f / largest);
  EXPECT_EQ(current_scale<e4m3>(nan, clamped).quant.value(), 448.0f / largest);
  EXPECT_EQ(current_scale<e4m3>(0.0f, clamped).quant.value(), 1.0f);
}

/// Every policy there is times a few floors and margins.
std::vector<scale_policy> policies() {
  std::vector<scale_policy> all;
  for (const special_amax special : {special_amax::unit, special_amax::clamp, special_amax::poison}) {
    for (const scale_direction direction : {scale_direction::quant_first, scale_direction::dequant_first}) {
      for (const scale_rounding round : {scale_rounding::none, scale_rounding::power_of_two}) {
        for (const float floor : {0.0f, 1e-12f, 1e-4f, 0x1p-140f, infinity, nan}) {
          for (const int margin : {0, 1, -1, 5, 120, -110}) {
            all.push_back({special, special, special, floor, margin, direction, round});
          }
        }
      }
    }
  }
  return all;
}

template <class F>
class CurrentScaleOf : public ::testing::Test {};
TYPED_TEST_SUITE(CurrentScaleOf, quaver_test::all_formats, quaver_test::format_names);

TYPED_TEST(CurrentScaleOf, equals_the_reference_under_every_policy) {
  using F                  = TypeParam;
  std::vector<float> sizes = {0.0f,  denorm_min, 0x1p-140f, 0x1.8p-139f, 0x1p-126f, 0x1.FFFFFEp-127f,
                              1e-4f, 1.0f,       448.0f,    largest,     infinity,  nan};
  quaver_test::generator random(7);
  for (int i = 0; i < 60; ++i) sizes.push_back(bitwise_cast<float>(static_cast<uint32_t>(random())));
  const float max_of_format = reference::to_float((F::max)());
  for (const scale_policy& policy : policies()) {
    for (const float amax : sizes) {
      const tensor_scale got               = current_scale<F>(amax, policy);
      const reference::scale_pair expected = reference::scale_for(amax, max_of_format, policy);
      ASSERT_EQ(bits_of(got.quant.value()), bits_of(expected.quant))
          << amax << " margin " << policy.margin << " floor " << policy.amax_floor;
      ASSERT_EQ(bits_of(got.dequant.value()), bits_of(expected.dequant))
          << amax << " margin " << policy.margin << " floor " << policy.amax_floor;
    }
  }
}

TEST(CurrentScale, powers_of_two_are_exact_and_largest_within_64_ulp_of_every_binade_of_the_quotient) {
  const scale_policy policy{.rounding = scale_rounding::power_of_two};
  for (int exponent = -120; exponent <= 120; ++exponent) {
    // Around 448 * 2^-e the quotient 448 / amax crosses 2^e.
    const uint32_t centre = bits_of(std::ldexp(448.0f, -exponent));
    for (int offset = -64; offset <= 64; ++offset) {
      const float amax = bitwise_cast<float>(centre + static_cast<uint32_t>(offset));
      if (!std::isfinite(amax)) continue;
      const float quant  = current_scale<e4m3>(amax, policy).quant.value();
      const float expect = std::ldexp(1.0f, offset <= 0 ? exponent : exponent - 1);
      ASSERT_EQ(quant, expect) << amax;
      ASSERT_LE(static_cast<double>(amax) * static_cast<double>(quant), 448.0);
      ASSERT_EQ(quant * current_scale<e4m3>(amax, policy).dequant.value(), 1.0f);
    }
  }
}

TEST(CurrentScale, no_quotient_rounds_up_to_a_power_of_two_that_the_exact_one_has_not_reached) {
  // What current_scale's power_of_two stands on: of all targets, that with the most ones comes nearest.
  for (const float target : {448.0f, 57344.0f, 240.0f, 30.0f, 15.5f, 7.5f, 28.0f, 6.0f, 0x1.FEp127f, 0x1.FFFFFEp127f}) {
    for (int exponent = -126; exponent <= 126; ++exponent) {
      const float at = std::ldexp(target, -exponent);
      if (!std::isfinite(at) || at < 0x1p-126f || std::ldexp(1.0, exponent) > 0x1p127) continue;
      const volatile float quotient = target / std::nextafter(at, infinity);
      ASSERT_LT(quotient, std::ldexp(1.0f, exponent)) << target << " " << exponent;
    }
  }
}

TEST(CurrentScale, powers_of_two_stay_reciprocals_of_each_other_at_both_ends_of_the_floats) {
  const scale_policy policy{.on_zero = special_amax::clamp, .margin = 60, .rounding = scale_rounding::power_of_two};
  EXPECT_EQ(current_scale<e4m3>(largest, policy).quant.value(), 0x1p-127f);
  EXPECT_EQ(current_scale<e4m3>(largest, policy).dequant.value(), 0x1p127f);
  EXPECT_EQ(current_scale<e4m3>(0.0f, {.on_zero = special_amax::clamp, .rounding = scale_rounding::power_of_two})
                .quant.value(),
            0x1p127f);
  EXPECT_EQ(current_scale<e4m3>(0.0f, {.on_zero = special_amax::clamp, .rounding = scale_rounding::power_of_two})
                .dequant.value(),
            0x1p-127f);
}

TEST(CurrentScale, no_margin_makes_a_scale_of_zero_or_infinity) {
  for (const int margin : {-2147483647 - 1, -127, -126, 126, 127, 2147483647}) {
    for (const scale_direction direction : {scale_direction::quant_first, scale_direction::dequant_first}) {
      for (const scale_rounding round : {scale_rounding::none, scale_rounding::power_of_two}) {
        for (const float amax : {0x1p-149f, 0x1p-126f, 1.0f, largest}) {
          const tensor_scale scale =
              current_scale<e4m3>(amax, {.margin = margin, .direction = direction, .rounding = round});
          EXPECT_TRUE(scale.quant.value() > 0 && scale.quant.value() <= largest) << margin << " " << amax;
          EXPECT_TRUE(scale.dequant.value() > 0 && scale.dequant.value() <= largest) << margin << " " << amax;
        }
      }
    }
  }
  EXPECT_EQ(current_scale<e4m3>(largest, {.margin = 126}).quant.value(), 0x1p-149f);
  EXPECT_EQ(current_scale<e4m3>(1.0f, {.margin = 1000}).quant.value(),
            current_scale<e4m3>(1.0f, {.margin = 126}).quant.value());
}

TEST(CurrentScale, the_two_directions_differ_for_exactly_this_many_of_the_2_to_the_23_mantissas) {
  int stored_differs = 0;
  int used_differs   = 0;
  for (uint32_t fraction = 0; fraction < 1u << 23; ++fraction) {
    const float amax                  = bitwise_cast<float>(0x3F80'0000u | fraction);
    const volatile float te_quant     = 448.0f / amax;
    const volatile float te_dequant   = 1.0f / te_quant;
    const volatile float vllm_dequant = amax / 448.0f;
    const volatile float vllm_quant   = 1.0f / vllm_dequant;
    stored_differs += te_dequant != vllm_dequant ? 1 : 0;
    used_differs += te_quant != vllm_quant ? 1 : 0;
    if (fraction % 61 != 0) continue;
    const tensor_scale te   = current_scale<e4m3>(amax);
    const tensor_scale vllm = current_scale<e4m3>(amax, {.direction = scale_direction::dequant_first});
    ASSERT_EQ(te.quant.value(), te_quant);
    ASSERT_EQ(te.dequant.value(), te_dequant);
    ASSERT_EQ(vllm.quant.value(), vllm_quant);
    ASSERT_EQ(vllm.dequant.value(), vllm_dequant);
  }
  EXPECT_EQ(stored_differs, 2'279'747) << "fl(1 / fl(448 / a)) against fl(a / 448): 27.2 %";
  EXPECT_EQ(used_differs, 2'247'001) << "fl(448 / a) against fl(1 / fl(a / 448))";
}

TEST(CurrentScale, takes_amax_to_the_largest_value_and_never_beyond_by_more_than_the_rounding_of_the_scale) {
  quaver_test::generator random(8);
  for (int i = 0; i < 100'000; ++i) {
    const float amax = bitwise_cast<float>(0x0400'0000u + static_cast<uint32_t>(random() % 0x7000'0000u));
    if (!std::isfinite(amax)) continue;
    for (const scale_direction direction : {scale_direction::quant_first, scale_direction::dequant_first}) {
      const tensor_scale s = current_scale<e4m3>(amax, {.direction = direction});
      if (s.quant.value() == largest || s.dequant.value() < 0x1p-120f) continue;
      ASSERT_EQ(encode<e4m3>(multiply_rn(amax, s.quant.value())), (e4m3::max)()) << amax;
      const double back = 448.0 * static_cast<double>(s.dequant.value());
      ASSERT_NEAR(back / static_cast<double>(amax), 1.0, 0x1p-22) << amax;
    }
  }
}

TEST(CurrentScale, is_a_constant_expression_and_blind_to_the_float_environment) {
  static_assert(current_scale<e5m2>(1.0f).quant.value() == 57344.0f);
  static_assert(current_scale<e4m3>(1.0f, {.margin = 1}).quant.value() == 224.0f);
  std::vector<float> sizes;
  quaver_test::generator random(9);
  for (int i = 0; i < 200; ++i) sizes.push_back(bitwise_cast<float>(static_cast<uint32_t>(random())));
  for (const float x : {0x1p-149f, 0x1p-127f, 0x1.8p127f}) sizes.push_back(x);
  const std::vector<scale_policy> all = policies();
  const auto run                      = [&] {
    std::vector<uint32_t> out;
    for (size_t i = 0; i < all.size(); i += 7) {
      for (const float amax : sizes) {
        const tensor_scale s = current_scale<e4m3>(amax, all[i]);
        out.push_back(bits_of(s.quant.value()));
        out.push_back(bits_of(s.dequant.value()));
      }
    }
    return out;
  };
  const std::vector<uint32_t> expected = run();
  for (const quaver_test::environment& e : quaver_test::environments) {
    std::vector<uint32_t> got;
    EXPECT_TRUE(quaver_test::keeps_environment(e, [&] { got = run(); })) << e.name;
    EXPECT_EQ(got, expected) << e.name;
  }
}

}  // namespace
