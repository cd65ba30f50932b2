// SPDX-License-Identifier: MIT

// Every tier that can run here against the portable one, byte for byte: the portable tier itself is judged by the oracle
// in the other files of this folder, which run once in each tier (see CMakeLists.txt).

#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/encode_n.hpp>

#include "inputs.hpp"

#include <numeric>

namespace {

using namespace quaver;
using quaver_test::element_from;
using quaver_test::generator;
using quaver_test::some_numbers;

/// The tiers to compare with the portable one.
std::vector<cpu::tier> fast_tiers() {
  std::vector<cpu::tier> tiers;
  for (const cpu::tier t : cpu::all_tiers) {
    if (t != cpu::tier::portable && cpu::can_run(t)) tiers.push_back(t);
  }
  return tiers;
}

/// Every value and tie of F, their neighbours on either side, both signs, and numbers of every size; in random order, so
/// that each lane meets each. With infinities and NaNs here and there, or without.
template <class F, class T>
std::vector<T> numbers_about(bool with_specials) {
  std::vector<T> x;
  const auto& table = reference::magnitudes<F>;
  for (uint32_t code = 0; code <= (F::max)().bits(); ++code) {
    for (const uint64_t point : {table.value[code], table.middle[code]}) {
      const uint32_t centre = bitwise_cast<uint32_t>(static_cast<float>(bitwise_cast<double>(point)));
      for (const uint32_t bits : {centre - (centre != 0 ? 1u : 0u), centre, centre + 1}) {
        x.push_back(element_from<T>(bits));
        x.push_back(element_from<T>(bits | 0x8000'0000u));
      }
    }
  }
  const std::vector<T> more = some_numbers<T>(2000, 71, 0, false);
  x.insert(x.end(), more.begin(), more.end());
  generator random(72);
  for (size_t i = x.size() - 1; i != 0; --i) std::swap(x[i], x[random() % (i + 1)]);
  if (with_specials) {
    for (size_t i = 100; i < x.size(); i += 90 + random() % 90) {
      constexpr uint32_t specials[] = {0x7F80'0000, 0xFF80'0000, 0x7FC0'0000, 0xFFFF'FFFF, 0x7F80'0001};
      x[i]                          = element_from<T>(specials[random() % 5]);
    }
  }
  return x;
}

template <class F, rounding R, overflow O, cpu::scaling S, class T>
void expect_tiers_agree(const std::vector<T>& x, float scale) {
  using kernels          = cpu::encode_kernels<F, R, O, S, T>;
  const uint32_t bits    = bitwise_cast<uint32_t>(scale);
  const auto encode_with = [&](cpu::tier t, size_t first, size_t count, std::vector<F>& y) {
    const cpu::standard_float_environment environment;
    kernels::of(t)({.x        = x.data() + first,
                    .y        = reinterpret_cast<uint8_t*>(y.data() + first),
                    .count    = count,
                    .scale    = bits,
                    .words    = {9, first},
                    .portable = &kernels::portable_part});
  };
  std::vector<F> expected(x.size());
  encode_with(cpu::tier::portable, 0, x.size(), expected);
  for (const cpu::tier t : fast_tiers()) {
    std::vector<F> y(x.size(), F::from_bits(0x15));
    // In pieces of every length and alignment, so that each step is once the last.
    size_t length = 1;
    for (size_t at = 0; at < x.size(); at += length, length = length % 131 + 1) {
      encode_with(t, at, (std::min)(length, x.size() - at), y);
    }
    size_t different = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (y[i].bits() == expected[i].bits() || ++different > 3) continue;
      ADD_FAILURE() << cpu::name_of(t) << " " << quaver_test::name_of(R) << " " << quaver_test::name_of(O) << " scale "
                    << scale << " x " << std::hex << quaver_test::code_of(x[i]) << ": " << int{y[i].bits()} << ", not "
                    << int{expected[i].bits()};
    }
    std::vector<F> whole(x.size(), F::from_bits(0x15));
    encode_with(t, 0, x.size(), whole);
    EXPECT_EQ(quaver_test::codes_of(whole), quaver_test::codes_of(expected)) << cpu::name_of(t);
  }
}

template <class F, cpu::scaling S, class T>
void expect_tiers_agree_in_every_mode(float scale) {
  for (const bool with_specials : {false, true}) {
    const std::vector<T> x = numbers_about<F, T>(with_specials);
    const auto in_mode     = [&]<rounding R>() {
      expect_tiers_agree<F, R, overflow::saturate, S>(x, scale);
#if QUAVER_TEST_EVERY_MODE
      expect_tiers_agree<F, R, overflow::saturate_finite, S>(x, scale);
      expect_tiers_agree<F, R, overflow::nonfinite, S>(x, scale);
#endif
    };
    in_mode.template operator()<rounding::nearest_even>();
    in_mode.template operator()<rounding::stochastic>();
#if QUAVER_TEST_EVERY_MODE
    in_mode.template operator()<rounding::nearest_away>();
    in_mode.template operator()<rounding::toward_zero>();
    in_mode.template operator()<rounding::upward>();
    in_mode.template operator()<rounding::downward>();
    in_mode.template operator()<rounding::to_odd>();
#endif
  }
}

template <class F>
class TiersOf : public ::testing::Test {};
using vector_formats = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3,
                                        binary8p4, e2m3, e3m2, e2m1>;
TYPED_TEST_SUITE(TiersOf, vector_formats, quaver_test::format_names);

TYPED_TEST(TiersOf, encode_alike_in_every_mode) {
  expect_tiers_agree_in_every_mode<TypeParam, cpu::scaling::none, float>(1.0f);
}

TYPED_TEST(TiersOf, decode_every_code_alike_at_every_position_scaled_or_not) {
  using F = TypeParam;
  std::vector<uint8_t> codes(256 + 131);
  std::iota(codes.begin(), codes.end(), uint8_t{0});
  const auto check = [&]<class T, bool Scaled>(float scale) {
    using kernels          = cpu::decode_kernels<F, Scaled, T>;
    const auto decode_with = [&](cpu::tier t, size_t first, size_t count, std::vector<T>& y) {
      const cpu::standard_float_environment environment;
      kernels::of(t)({codes.data() + first, y.data() + first, count, bitwise_cast<uint32_t>(scale), false,
                      &kernels::portable_part});
    };
    std::vector<T> expected(codes.size(), T{});
    decode_with(cpu::tier::portable, 0, codes.size(), expected);
    for (const cpu::tier t : fast_tiers()) {
      for (size_t first = 0; first < 131; first += 13) {
        std::vector<T> y(codes.size(), T{});
        for (size_t at = 0; at < first; ++at) y[at] = expected[at];
        decode_with(t, first, codes.size() - first, y);
        EXPECT_EQ(quaver_test::codes_of(y), quaver_test::codes_of(expected))
            << cpu::name_of(t) << " scale " << scale << " from " << first;
      }
    }
  };
  check.template operator()<float, false>(1.0f);
  check.template operator()<half, false>(1.0f);
  check.template operator()<bfloat16, false>(1.0f);
  for (const float scale : {0.37f, -3.0f, 0x1p-130f, 0x1p120f, 0.0f, INFINITY, NAN}) {
    check.template operator()<float, true>(scale);
    check.template operator()<half, true>(scale);
    check.template operator()<bfloat16, true>(scale);
  }
}

TEST(Tiers, encode_alike_from_every_source_multiplied_and_divided) {
  for (const float scale : {0.37f, -3.0f, 0x1p-130f, 0x1p120f, 0.0f, INFINITY, NAN}) {
    const auto check = [&]<class F, class T>() {
      for (const bool with_specials : {false, true}) {
        const std::vector<T> x = numbers_about<F, T>(with_specials);
        expect_tiers_agree<F, rounding::nearest_even, overflow::saturate, cpu::scaling::multiply>(x, scale);
        expect_tiers_agree<F, rounding::nearest_even, overflow::nonfinite, cpu::scaling::divide>(x, scale);
        expect_tiers_agree<F, rounding::stochastic, overflow::saturate, cpu::scaling::divide>(x, scale);
      }
    };
    check.operator()<e4m3, float>();
    check.operator()<e4m3, half>();
    check.operator()<e5m2, bfloat16>();
  }
}

TEST(Tiers, all_halves_and_bfloat16s_encode_alike) {
  std::vector<half> halves;
  std::vector<bfloat16> bfloats;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    halves.push_back(half::from_bits(static_cast<uint16_t>(bits)));
    bfloats.push_back(bfloat16::from_bits(static_cast<uint16_t>(bits)));
  }
  expect_tiers_agree<e4m3, rounding::nearest_even, overflow::saturate, cpu::scaling::none>(halves, 1.0f);
  expect_tiers_agree<e5m2, rounding::nearest_even, overflow::nonfinite, cpu::scaling::none>(halves, 1.0f);
  expect_tiers_agree<e4m3, rounding::nearest_even, overflow::saturate, cpu::scaling::none>(bfloats, 1.0f);
  expect_tiers_agree<e5m2, rounding::nearest_even, overflow::nonfinite, cpu::scaling::none>(bfloats, 1.0f);
}

TEST(Tiers, have_kernels_of_their_own_so_that_none_is_compared_with_itself) {
  using encode = cpu::encode_kernels<e4m3, rounding::nearest_even, overflow::saturate, cpu::scaling::multiply, float>;
  using decode = cpu::decode_kernels<e5m2, true, bfloat16>;
  for (const cpu::tier t : fast_tiers()) {
    for (const cpu::tier other : cpu::all_tiers) {
      if (other == t || !cpu::can_run(other)) continue;
      EXPECT_NE(encode::of(t), encode::of(other)) << cpu::name_of(t) << " and " << cpu::name_of(other);
      EXPECT_NE(decode::of(t), decode::of(other)) << cpu::name_of(t) << " and " << cpu::name_of(other);
      EXPECT_NE(cpu::amax_kernel<half>(t), cpu::amax_kernel<half>(other)) << cpu::name_of(t);
      EXPECT_NE(cpu::amax_blocks_kernel<half>(t), cpu::amax_blocks_kernel<half>(other)) << cpu::name_of(t);
    }
  }
}

TEST(Tiers, decode_by_tables_that_know_where_the_nans_are) {
  static_assert(cpu::decoding_of<bfloat16, e4m3>.last_with_sign == 0xFE &&
                cpu::decoding_of<bfloat16, e5m2>.last_with_sign == 0xFC);
  static_assert(cpu::decoding_of<half, e4m3fnuz>.nan_is_negative_zero && cpu::decoding_of<half, e2m1>.sign_mask == 0);
}

TEST(Tiers, encode_blocks_by_factors_of_their_own) {
  using kernels =
      cpu::encode_kernels<e4m3, rounding::nearest_even, overflow::nonfinite, cpu::scaling::multiply_blocks, half>;
  for (const size_t block : {size_t{16}, size_t{32}, size_t{48}, size_t{128}}) {
    for (size_t blocks = 0; blocks < 12; ++blocks) {
      std::vector<half> x = some_numbers<half>(block * blocks, 77 + block, 3, blocks % 2 != 0);
      std::vector<uint32_t> scales;
      std::vector<uint32_t> expected_amax(blocks, 0x3000'0000);
      for (const float scale : some_numbers<float>(blocks, 78, 0, true))
        scales.push_back(bitwise_cast<uint32_t>(scale));
      const auto encode_with = [&](cpu::tier t, std::vector<e4m3>& y) {
        const cpu::standard_float_environment environment;
        kernels::of(t)({.x            = x.data(),
                        .y            = reinterpret_cast<uint8_t*>(y.data()),
                        .count        = x.size(),
                        .block_scales = scales.data(),
                        .block        = block,
                        .portable     = &kernels::portable_part});
      };
      std::vector<e4m3> expected(x.size());
      encode_with(cpu::tier::portable, expected);
      cpu::amax_blocks_kernel<half>(cpu::tier::portable)(x.data(), blocks, block, expected_amax.data());
      for (const cpu::tier t : fast_tiers()) {
        std::vector<e4m3> y(x.size());
        encode_with(t, y);
        EXPECT_EQ(quaver_test::codes_of(y), quaver_test::codes_of(expected))
            << cpu::name_of(t) << " " << blocks << " of " << block;
        std::vector<uint32_t> amax(blocks, 0x3000'0000);
        cpu::amax_blocks_kernel<half>(t)(x.data(), blocks, block, amax.data());
        EXPECT_EQ(amax, expected_amax) << cpu::name_of(t);
      }
    }
  }
}

TEST(Tiers, find_the_same_amax_wherever_it_stands) {
  const auto check = [&]<class T>() {
    std::vector<T> x = some_numbers<T>(300, 75, 0, false);
    for (const uint32_t bits : {0x7F00'0000u, 0xFF00'0000u, 0x7F80'0000u, 0xFFC0'0000u}) {
      for (size_t at = 0; at < x.size(); at += 7) {
        const T kept = x[at];
        x[at]        = element_from<T>(bits);
        for (const size_t count : {at, at + 1, x.size()}) {
          const uint32_t expected = cpu::amax_kernel<T>(cpu::tier::portable)(x.data(), count, 0);
          for (const cpu::tier t : fast_tiers())
            EXPECT_EQ(cpu::amax_kernel<T>(t)(x.data(), count, 0), expected) << cpu::name_of(t);
        }
        x[at] = kept;
      }
    }
  };
  check.operator()<float>();
  check.operator()<half>();
  check.operator()<bfloat16>();
}

TEST(Tiers, write_large_outputs_past_the_caches_and_nothing_beside_them) {
  const size_t count = cpu::past_caches_from + 77;
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) x[i] = bitwise_cast<float>(static_cast<uint32_t>(i * 2654435761u) & 0xBFFF'FFFF);
  x[count / 2] = NAN;
  for (const cpu::tier t : fast_tiers()) {
    using encode = cpu::encode_kernels<e4m3, rounding::nearest_even, overflow::saturate, cpu::scaling::none, float>;
    using decode = cpu::decode_kernels<e4m3, false, bfloat16>;
    for (const size_t shift : {size_t{0}, size_t{5}}) {
      std::vector<e4m3> y(count + 64, e4m3::from_bits(0x15));
      encode::of(t)({.x           = x.data(),
                     .y           = reinterpret_cast<uint8_t*>(y.data() + shift),
                     .count       = count,
                     .past_caches = true,
                     .portable    = &encode::portable_part});
      size_t different = 0;
      for (size_t i = 0; i < y.size(); ++i) {
        const bool inside = i >= shift && i < shift + count;
        different +=
            y[i].bits() != (inside ? encode_bits<e4m3>(bitwise_cast<uint32_t>(x[i - shift])).bits() : 0x15) ? 1u : 0u;
      }
      EXPECT_EQ(different, 0u) << cpu::name_of(t);
      std::vector<bfloat16> back(count + 64, bfloat16::from_bits(0x1234));
      decode::of(t)({reinterpret_cast<const uint8_t*>(y.data() + shift), back.data() + shift, count, 0, true,
                     &decode::portable_part});
      different = 0;
      for (size_t i = 0; i < back.size(); ++i) {
        const bool inside = i >= shift && i < shift + count;
        different += back[i].bits() != (inside ? quaver::decode<bfloat16>(y[i]).bits() : 0x1234) ? 1u : 0u;
      }
      EXPECT_EQ(different, 0u) << cpu::name_of(t);
    }
  }
}

TEST(Tiers, the_one_asked_for_is_the_one_in_force) {
  const char* asked          = std::getenv("QUAVER_CPU_TIER");
  const std::string expected = asked != nullptr && *asked != '\0' ? asked : cpu::name_of(cpu::best_tier());
  EXPECT_EQ(cpu::name_of(cpu::active_tier()), expected);
}

/// Where the tier asked for cannot run there is nothing to test: the program ends at once, and ctest says "skipped".
class asked_for : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* asked = std::getenv("QUAVER_CPU_TIER");
    if (asked != nullptr && *asked != '\0' && std::strcmp(cpu::name_of(cpu::active_tier()), asked) != 0)
      GTEST_SKIP() << "the tier " << asked;
  }
};
[[maybe_unused]] ::testing::Environment* const environment = ::testing::AddGlobalTestEnvironment(new asked_for);

}  // namespace
