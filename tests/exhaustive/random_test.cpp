// SPDX-License-Identifier: MIT
#include "sweep.hpp"

#include <quaver/base/philox.hpp>

#include <cmath>

namespace {

using namespace quaver;
using quaver_test::block_size;

/// 10^8 doubles whose sign, fraction and exponent are random, the latter from below F's range to above it.
template <class F>
void expect_random_doubles_to_equal_the_oracle() {
  quaver_test::findings result;
  quaver_test::sweep_blocks(
      100'000'000 / block_size + 1,
      [](uint64_t block, quaver_test::mismatches& wrong) {
        for (uint32_t i = 0; i < block_size; i += 2) {
          const philox_block words = philox_words(2, block * block_size + i);
          for (int j = 0; j < 4; j += 2) {
            const uint64_t word     = uint64_t{words.word[j]} << 32 | words.word[j + 1];
            const uint64_t exponent = 1023u - 24 + (word >> 52 & 0x7FF) * 42 / 2048;  // 2^-24 to 2^17
            const uint64_t bits     = (word >> 63) << 63 | exponent << 52 | (word & 0xF'FFFF'FFFF'FFFF);
            const F got             = encode<F>(bitwise_cast<double>(bits));
            const F expected =
                reference::encode<F>(reference::from_f64(bits), rounding::nearest_even, overflow::saturate);
            if (got.bits() != expected.bits())
              wrong.note(bits, got.bits(), expected.bits(), "nearest_even", "saturate");
          }
        }
        return 1ull * block_size;
      },
      result);
  EXPECT_EQ(result.count(), 0u) << result.first();
}

TEST(HundredMillionDoubles, to_e4m3_equal_the_oracle) { expect_random_doubles_to_equal_the_oracle<e4m3>(); }
TEST(HundredMillionDoubles, to_e5m2_equal_the_oracle) { expect_random_doubles_to_equal_the_oracle<e5m2>(); }

/// Inputs with nothing, one word, half, nearly all and odd counts of words that go up; normal and subnormal results,
/// and both sides of overflow.
constexpr float chosen[16] = {1.0f,       1.0625f,         -0.3952f,   3.14159274f,  0x1p-10f,      0x1.FFFFFEp-10f,
                              0x1p-41f,   0x1.FFFFFEp-42f, -0x1p-149f, 0x1.0002p-9f, 0x1.FFFFFEp0f, -4.543f,
                              447.99997f, 464.0f,          479.99997f, -1.0e-3f};

/// Over all 2^32 words exactly floor(2^32 * fraction) go away from zero.
template <class F, class Encode>
void expect_exact_counts(const Encode& encode_word) {
  for (const float x : chosen) {
    // The fraction from decoded neighbours, apart from the oracle's threshold.
    const double magnitude = std::fabs(static_cast<double>(x));
    unsigned low           = 0;
    while (reference::unbounded_magnitude<F>(low + 1) <= magnitude) ++low;
    const double step = reference::unbounded_magnitude<F>(low + 1) - reference::unbounded_magnitude<F>(low);
    const uint64_t expected =
        static_cast<uint64_t>((magnitude - reference::unbounded_magnitude<F>(low)) / step * 0x1p32);

    const unsigned inner = low | (std::signbit(x) ? 0x80u : 0u);
    const uint64_t words = uint64_t{1} << 32;
    std::atomic<uint64_t> away{0};
    std::atomic<uint64_t> inside{0};
    quaver_test::findings result;
    quaver_test::sweep_blocks(
        words >> 20,
        [&](uint64_t block, quaver_test::mismatches& wrong) {
          uint32_t stayed = 0;
          uint32_t went   = 0;
          for (uint32_t i = 0; i < 1u << 20; ++i) {
            const uint32_t code = encode_word(x, static_cast<uint32_t>(block << 20) + i).bits();
            stayed += code == inner ? 1u : 0u;
            went += code == inner + 1 ? 1u : 0u;
          }
          if (stayed + went != 1u << 20) wrong.note(block, stayed, went, "stochastic", "neither neighbour");
          away += went;
          inside += stayed;
          return 1ull << 20;
        },
        result);
    EXPECT_EQ(result.count(), 0u) << x << ": " << result.first();
    if (quaver_test::sweep_stride() == 1) EXPECT_EQ(away, expected) << x;
    else
      EXPECT_NEAR(static_cast<double>(away) / static_cast<double>(result.checked()),
                  static_cast<double>(expected) * 0x1p-32, 0.1);
  }
}

TEST(EveryRandomWord, sends_16_chosen_floats_up_to_e4m3_exactly_as_often_as_their_fraction_says) {
  expect_exact_counts<e4m3>(
      [](float x, uint32_t random) { return encode<e4m3, rounding::stochastic, overflow::nonfinite>(x, random); });
}

TEST(EveryRandomWord, sends_16_chosen_doubles_up_to_e5m2_exactly_as_often_as_their_fraction_says) {
  expect_exact_counts<e5m2>([](float x, uint32_t random) {
    return encode<e5m2, rounding::stochastic, overflow::nonfinite>(static_cast<double>(x), random);
  });
}

}  // namespace
