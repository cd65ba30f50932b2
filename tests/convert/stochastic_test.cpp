// SPDX-License-Identifier: MIT
#include "../reference/modes.hpp"

#include <quaver/base/philox.hpp>

#include <vector>

// With a random word r, x goes away from zero iff r < floor(2^32 * fraction), where the fraction is what is discarded
// in units of the last place kept. Over all words it therefore goes up exactly floor(2^32 * fraction) times. Where the
// fraction is a multiple of 2^-16 the upper half of the word decides alone, and counting its 2^16 values is a proof.

namespace {

using namespace quaver;

/// How often x rounds away from zero over the 2^16 values of the leading half, with this trailing half.
template <class F, class T>
uint32_t count_away(T x, F toward, uint32_t trailing) {
  uint32_t away = 0;
  for (uint32_t leading = 0; leading < 65536; ++leading) {
    const F f = encode<F, rounding::stochastic>(x, leading << 16 | trailing);
    away += f.bits() != toward.bits();
  }
  return away;
}

/// One x for each discarded fraction that T has below 2^-16: the count equals the fraction times 2^16, exactly.
template <class F, class T>
void every_fraction_is_met_exactly() {
  std::vector<bool> seen(65536, false);
  int cases = 0;
  for (unsigned code = 0; code < 65536; ++code) {
    const T x                    = T::from_bits(static_cast<uint16_t>(code));
    const reference::exact value = reference::from_format(x);
    const reference::bracket at  = reference::find<F>(value);
    if (at.where != reference::place::below && at.where != reference::place::midpoint &&
        at.where != reference::place::above)
      continue;
    // The fraction once more, without the oracle's threshold: exact, as the step is a power of two.
    const double low      = reference::unbounded_magnitude<F>(at.low);
    const double step     = reference::unbounded_magnitude<F>(at.low + 1u) - low;
    const double away     = (bitwise_cast<double>(value.magnitude) - low) / step * 0x1p16;
    const uint32_t expect = static_cast<uint32_t>(away);
    if (static_cast<double>(expect) != away || seen[expect]) continue;  // discards more than 16 bits, or was counted
    seen[expect]   = true;
    const F toward = encode<F, rounding::toward_zero>(x);
    ASSERT_EQ((count_away<F>(x, toward, 0x0000)), expect) << quaver_test::name_of<T>() << " " << std::hex << code;
    ASSERT_EQ((count_away<F>(x, toward, 0xFFFF)), expect) << quaver_test::name_of<T>() << " " << std::hex << code;
    ++cases;
  }
  EXPECT_GE(cases, (1 << (T::mantissa_bits - F::mantissa_bits)) - 1) << "every fraction of a normal result, at least";
}

TEST(Stochastic, counts_over_all_leading_words_are_exact_from_half_to_e4m3) {
  every_fraction_is_met_exactly<e4m3, half>();
}
TEST(Stochastic, counts_over_all_leading_words_are_exact_from_half_to_e5m2) {
  every_fraction_is_met_exactly<e5m2, half>();
}
TEST(Stochastic, counts_over_all_leading_words_are_exact_from_bfloat16_to_e4m3) {
  every_fraction_is_met_exactly<e4m3, bfloat16>();
}
TEST(Stochastic, counts_over_all_leading_words_are_exact_from_bfloat16_to_e5m2) {
  every_fraction_is_met_exactly<e5m2, bfloat16>();
}
TEST(Stochastic, counts_over_all_leading_words_are_exact_from_bfloat16_to_e2m1) {
  every_fraction_is_met_exactly<e2m1, bfloat16>();
}

TEST(Stochastic, counts_over_all_leading_words_are_exact_from_float_to_bfloat16) {
  // A normal bfloat16 discards just 16 bits of a binary32: every trailing half is its own count.
  for (uint32_t discarded = 0; discarded < 65536; discarded += 257) {
    const float x         = bitwise_cast<float>(0xC049'0000u | discarded);
    const bfloat16 toward = bfloat16::from_bits(0xC049);
    ASSERT_EQ((count_away<bfloat16>(x, toward, 0x0000)), discarded);
    ASSERT_EQ((count_away<bfloat16>(x, toward, 0xFFFF)), discarded);
  }
}

TEST(Stochastic, exact_values_stay_whatever_the_word) {
  quaver_test::for_each_format([]<class F>() {
    for (unsigned code = 0; code < 1u << F::width; ++code) {
      const F f = F::from_bits(static_cast<typename F::storage>(code));
      if (f.is_nan()) continue;
      for (const uint32_t random : {0u, 1u, 0x8000'0000u, 0xFFFF'FFFFu}) {
        ASSERT_EQ((encode<F, rounding::stochastic, overflow::saturate_finite>(f, random).bits()), code)
            << quaver_test::name_of<F>();
      }
    }
  });
}

TEST(Stochastic, goes_up_for_words_below_the_fraction_and_down_from_it_on) {
  const double quarter = 1.0 + 0.125 / 4;  // a quarter of the way from 38 to 39
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(quarter, 0x0000'0000).bits()), 0x39);
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(quarter, 0x3FFF'FFFF).bits()), 0x39);
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(quarter, 0x4000'0000).bits()), 0x38);
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(-quarter, 0x3FFF'FFFF).bits()), 0xB9);
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(-quarter, 0xFFFF'FFFF).bits()), 0xB8);
}

TEST(Stochastic, lets_what_is_smaller_than_2_to_minus_32_of_a_step_never_go_up) {
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(0x1p-41, 0u).bits()), 0x01) << "2^-32 of 2^-9 has one word";
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(0x1p-41, 1u).bits()), 0x00);
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(0x1.FFFp-42, 0u).bits()), 0x00);
  EXPECT_EQ((encode<e4m3, rounding::stochastic>(0x1p-1074, 0u).bits()), 0x00);
}

TEST(Stochastic, overflows_with_the_probability_of_the_fraction_above_the_largest_value) {
  const float middle = 464.0f;  // half way from 448 to 480
  EXPECT_EQ((encode<e4m3, rounding::stochastic, overflow::nonfinite>(middle, 0x7FFF'FFFF).bits()), 0x7F);
  EXPECT_EQ((encode<e4m3, rounding::stochastic, overflow::nonfinite>(middle, 0x8000'0000).bits()), 0x7E);
  EXPECT_EQ((encode<e4m3, rounding::stochastic, overflow::saturate>(middle, 0u).bits()), 0x7E);
}

TEST(Stochastic, has_no_bias_with_words_from_philox) {
  // The mean of 2^16 roundings of 1 + k/1024 lies within 5 standard deviations, 5 * sqrt(p (1 - p) / 65536) of a step.
  for (int k = 1; k < 128; k += 9) {
    const double x = 1.0 + k / 1024.0;
    const double p = k / 128.0;
    int away       = 0;
    for (uint64_t i = 0; i < 65536; ++i)
      away += encode<e4m3, rounding::stochastic>(x, philox_word(7, i)).bits() == 0x39;
    const double deviation = (away / 65536.0 - p) * (away / 65536.0 - p) * 65536.0 / (p * (1 - p));
    EXPECT_LT(deviation, 25.0) << k;
  }
}

}  // namespace
