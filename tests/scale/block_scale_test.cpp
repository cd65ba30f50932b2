// SPDX-License-Identifier: MIT
#include <quaver/reference/quantize.hpp>
#include <quaver/scale/block_scale.hpp>

#include "../cpu/environments.hpp"
#include "../reference/modes.hpp"

#include <cmath>
#include <vector>

namespace {

using namespace quaver;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan      = std::numeric_limits<float>::quiet_NaN();

constexpr mx_rule rules[] = {mx_rule::round_up, mx_rule::round_down, mx_rule::round_three_quarter};

/// Mantissas where some rule changes its mind, with their neighbours: 1, 1.25 (e2m3's 7.5 is 1.875), 1.5 (e2m1's 6),
/// 1.75 (e4m3's 448, e5m2's 57344, e3m2's 28), 1.875, and the ends.
std::vector<float> boundary_sizes() {
  std::vector<float> sizes;
  for (uint32_t field = 0; field < 255; ++field) {
    for (const uint32_t fraction : {0u, 0x20'0000u, 0x40'0000u, 0x60'0000u, 0x70'0000u, 0x7F'FFFFu}) {
      for (int offset = -3; offset <= 3; ++offset) {
        const uint32_t bits = (field << 23 | fraction) + static_cast<uint32_t>(offset);
        if (bits < 0x7F80'0000u) sizes.push_back(bitwise_cast<float>(bits));
      }
    }
  }
  return sizes;
}

template <class F>
class MxScaleOf : public ::testing::Test {};
using mx_formats = ::testing::Types<e4m3, e5m2, e2m1, e2m3, e3m2, e4m3fnuz, e3m4>;
TYPED_TEST_SUITE(MxScaleOf, mx_formats, quaver_test::format_names);

TYPED_TEST(MxScaleOf, equals_the_reference_in_three_rules_at_every_exponent_and_boundary_mantissa) {
  using F = TypeParam;
  for (const mx_rule rule : rules) {
    for (const float amax : boundary_sizes()) {
      ASSERT_EQ(mx_scale<F>(amax, rule).bits(), reference::mx_code<F>(amax, rule))
          << std::hexfloat << amax << " rule " << static_cast<int>(rule);
      ASSERT_EQ(mx_scale<F>(-amax, rule).bits(), mx_scale<F>(amax, rule).bits());
    }
  }
}

TYPED_TEST(MxScaleOf, equals_the_reference_for_random_bits) {
  using F = TypeParam;
  quaver_test::generator random(21);
  for (int i = 0; i < 20'000; ++i) {
    const float amax = bitwise_cast<float>(static_cast<uint32_t>(random()));
    for (const mx_rule rule : rules)
      ASSERT_EQ(mx_scale<F>(amax, rule).bits(), reference::mx_code<F>(amax, rule)) << std::hexfloat << amax;
  }
}

TYPED_TEST(MxScaleOf, gives_nan_ff_infinity_fe_and_zero_00_in_every_rule) {
  using F = TypeParam;
  for (const mx_rule rule : rules) {
    EXPECT_EQ(mx_scale<F>(nan, rule).bits(), 0xFF);
    EXPECT_EQ(mx_scale<F>(-nan, rule).bits(), 0xFF);
    EXPECT_EQ(mx_scale<F>(infinity, rule).bits(), 0xFE);
    EXPECT_EQ(mx_scale<F>(-infinity, rule).bits(), 0xFE);
    EXPECT_EQ(mx_scale<F>(0.0f, rule).bits(), 0x00);
    EXPECT_EQ(mx_scale<F>(-0.0f, rule).bits(), 0x00);
    EXPECT_EQ(mx_scale<F>(0x1p-149f, rule).bits(), 0x00);
    EXPECT_EQ(mx_scale<F>(0x1.FFFFFCp-127f, rule).bits(), 0x00);
  }
}

TYPED_TEST(MxScaleOf, never_saturates_a_block_maximum_when_rounding_up) {
  using F           = TypeParam;
  const double most = reference::decode((F::max)());
  for (const float amax : boundary_sizes()) {
    if (amax == 0) continue;
    const e8m0 scale = mx_scale<F>(amax);
    // amax * fl(1/max) may round down to a power of two from just above it: one part in 2^24 past the largest value.
    ASSERT_LE(static_cast<double>(amax), most * reference::decode(scale) * (1 + 0x1p-23)) << amax;
    if (scale.bits() > 1) {
      ASSERT_GT(static_cast<double>(amax), most * reference::decode(scale) / 2 * (1 - 0x1p-23)) << amax;
    }
  }
}

TEST(MxScale, the_rules_part_at_these_sizes) {
  const auto codes = [](float amax) {
    return std::vector<int>{mx_scale<e4m3>(amax, mx_rule::round_up).bits(),
                            mx_scale<e4m3>(amax, mx_rule::round_down).bits(),
                            mx_scale<e4m3>(amax, mx_rule::round_three_quarter).bits()};
  };
  EXPECT_EQ(codes(256.0f), (std::vector<int>{127, 127, 127}));
  EXPECT_EQ(codes(std::nextafter(448.0f, 0.0f)), (std::vector<int>{127, 127, 127}));
  EXPECT_EQ(codes(448.0f), (std::vector<int>{127, 127, 128}));
  EXPECT_EQ(codes(std::nextafter(448.0f, 500.0f)), (std::vector<int>{128, 127, 128}));
  EXPECT_EQ(codes(511.0f), (std::vector<int>{128, 127, 128}));
  EXPECT_EQ(codes(512.0f), (std::vector<int>{128, 128, 128}));
  EXPECT_EQ(codes(0x1.FFFFFEp127f), (std::vector<int>{247, 246, 247}));
  EXPECT_EQ(codes(0x1p-118f), (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(codes(0x1p-119f), (std::vector<int>{0, 0, 0}));
}

TEST(MxScale, rounding_up_is_transformer_engines_sequence_of_bit_operations) {
  // val = amax * fl(1 / 448); exponent = its field; + 1 where a fraction is left, but not past FE, and not for
  // subnormals up to 2^-127, which code 00 stands for.
  quaver_test::generator random(22);
  for (int i = 0; i < 200'000; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random()) & 0x7FFF'FFFFu;
    const float amax    = bitwise_cast<float>(i % 4 == 0 ? bits % 0x0600'0000u : bits);
    if (!std::isfinite(amax)) continue;
    const volatile float third = 1.0f / 448.0f;
    const volatile float value = amax * third;
    const uint32_t v           = bitwise_cast<uint32_t>(static_cast<float>(value));
    uint32_t exponent          = v >> 23;
    const uint32_t fraction    = v & 0x7F'FFFFu;
    if (fraction > 0 && exponent != 0xFE && !(exponent == 0 && fraction <= 0x40'0000u)) ++exponent;
    ASSERT_EQ(mx_scale<e4m3>(amax).bits(), exponent) << std::hexfloat << amax;
  }
}

TEST(MxScale, the_reciprocal_is_exact_for_every_code) {
  for (int code = 0; code < 255; ++code) {
    const e8m0 scale = e8m0::from_bits(static_cast<uint8_t>(code));
    ASSERT_EQ(static_cast<double>(reciprocal(scale)) * reference::decode(scale), 1.0) << code;
  }
  EXPECT_EQ(bitwise_cast<uint32_t>(reciprocal(e8m0::nan())), 0x7FC0'0000u);
}

TEST(Nvfp4Scale, the_tensors_scale_is_amax_over_2688_rounded_once) {
  quaver_test::generator random(23);
  int differs_from_two_roundings = 0;
  for (int i = 0; i < 100'000; ++i) {
    const float amax           = bitwise_cast<float>(0x2000'0000u + static_cast<uint32_t>(random() % 0x4000'0000u));
    const volatile float once  = amax / 2688.0f;
    const volatile float sixth = amax / 6.0f;
    const volatile float twice = sixth / 448.0f;
    ASSERT_EQ(nvfp4_global_scale(amax).value(), once) << amax;
    differs_from_two_roundings += once != twice ? 1 : 0;
  }
  EXPECT_GT(differs_from_two_roundings, 10'000) << "so this test can tell one rounding from two";
  EXPECT_EQ(nvfp4_global_scale(0.0f).value(), 1.0f);
  EXPECT_EQ(nvfp4_global_scale(infinity).value(), 1.0f);
  EXPECT_TRUE(std::isnan(nvfp4_global_scale(nan, {.on_nan = special_amax::poison}).value()));
  EXPECT_EQ(nvfp4_global_scale(1e-6f, {.amax_floor = 1e-4f}).value(), 1e-4f / 2688.0f) << "the floor is of amax itself";
}

TEST(Nvfp4Scale, the_block_with_the_tensors_amax_gets_448_and_others_their_share) {
  quaver_test::generator random(24);
  for (int i = 0; i < 100'000; ++i) {
    const float whole         = bitwise_cast<float>(0x2000'0000u + static_cast<uint32_t>(random() % 0x4000'0000u));
    const dequant_scale level = nvfp4_global_scale(whole);
    ASSERT_EQ(nvfp4_block_scale(whole, level), (e4m3::max)()) << whole;
    const float block  = whole * static_cast<float>(random() % 1000) / 1000.0f;
    const double share = static_cast<double>(block) / static_cast<double>(whole) * 448;
    const double got   = reference::decode(nvfp4_block_scale(block, level));
    ASSERT_NEAR(got, share, (std::max)(share / 16, 0x1p-10) * (1 + 1e-6)) << block << " of " << whole;
  }
  const dequant_scale unit{1.0f};
  EXPECT_EQ(nvfp4_block_scale(0.0f, unit).bits(), 0x00);
  EXPECT_EQ(nvfp4_block_scale(nan, unit).bits(), 0x7F);
  EXPECT_EQ(nvfp4_block_scale(infinity, unit), (e4m3::max)());
}

TEST(BlockScale, is_blind_to_the_float_environment) {
  const std::vector<float> sizes = boundary_sizes();
  const auto run                 = [&] {
    std::vector<uint32_t> out;
    for (size_t i = 0; i < sizes.size(); i += 5) {
      for (const mx_rule rule : rules) out.push_back(mx_scale<e4m3>(sizes[i], rule).bits());
      out.push_back(bitwise_cast<uint32_t>(reciprocal(mx_scale<e2m1>(sizes[i]))));
      out.push_back(bitwise_cast<uint32_t>(nvfp4_global_scale(sizes[i]).value()));
      out.push_back(nvfp4_block_scale(sizes[i], dequant_scale(0x1.8p-20f)).bits());
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
