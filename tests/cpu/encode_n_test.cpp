// SPDX-License-Identifier: MIT
#include <quaver/cpu/encode_n.hpp>

#include "environments.hpp"
#include "inputs.hpp"

#include <cstring>

namespace {

using namespace quaver;
using quaver_test::codes_of;
using quaver_test::some_numbers;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan      = std::numeric_limits<float>::quiet_NaN();

const std::vector<float> scales = {1.0f,  448.0f / 3.0f, 0x1p-20f, 0x1.234566p-130f, 0x1p-149f, 0x1.FFFFFEp127f,
                                   -2.5f, 0.0f,          -0.0f,    infinity,         nan};

enum class scaling { multiply, divide, none };

/// Element i by the oracle: one float operation, one rounding.
template <class F, rounding R, overflow O, class T>
uint32_t expected_code(T x, scaling how, float scale, uint32_t word) {
  const float value  = reference::to_float(x);
  const float scaled = how == scaling::multiply ? reference::product(value, scale)
                       : how == scaling::divide ? reference::quotient(value, scale)
                                                : value;
  const reference::exact number =
      how == scaling::none ? reference::from_value(x) : reference::from_f32(bitwise_cast<uint32_t>(scaled));
  if constexpr (R == rounding::stochastic) return reference::encode_stochastic<F>(number, word, O).bits();
  else return reference::encode<F>(number, R, O).bits();
}

template <class F, rounding R, overflow O, class T>
status encode_as(scaling how, float scale, std::span<const T> x, std::span<F> y, random_words words) {
  if (how == scaling::multiply) return cpu::encode_n<F, R, O>(x, quant_scale(scale), y, words);
  if (how == scaling::divide) return cpu::encode_n<F, R, O>(x, dequant_scale(scale), y, words);
  return cpu::encode_n<F, R, O>(x, y, words);
}

template <class F, rounding R, overflow O, class T>
void check_against_the_oracle() {
  const std::vector<T> x = some_numbers<T>(257, 31 + static_cast<uint64_t>(R));
  std::vector<F> y(x.size());
  // The counter, which is index / 4, crosses 32 bits, in the middle of a vector.
  const random_words words{.seed = 0x1234'5678'9ABC'DEF0u, .first = 0x3'FFFF'FFEAu};
  for (const scaling how : {scaling::multiply, scaling::divide, scaling::none}) {
    for (const float scale : scales) {
      ASSERT_TRUE((encode_as<F, R, O, T>(how, scale, x, y, words).ok()));
      for (size_t i = 0; i < x.size(); ++i) {
        const uint32_t word = philox_word(words.seed, words.first + i);
        ASSERT_EQ(uint32_t{y[i].bits()}, (expected_code<F, R, O>(x[i], how, scale, word)))
            << std::hexfloat << reference::to_float(x[i]) << " by " << scale << ", way " << static_cast<int>(how)
            << ", " << quaver_test::name_of(R) << ", " << quaver_test::name_of(O);
      }
      if (how == scaling::none) break;
    }
  }
}

template <class F, class T, overflow O>
void check_all_roundings() {
  check_against_the_oracle<F, rounding::nearest_even, O, T>();
  check_against_the_oracle<F, rounding::stochastic, O, T>();
#if QUAVER_TEST_EVERY_MODE
  check_against_the_oracle<F, rounding::nearest_away, O, T>();
  check_against_the_oracle<F, rounding::toward_zero, O, T>();
  check_against_the_oracle<F, rounding::upward, O, T>();
  check_against_the_oracle<F, rounding::downward, O, T>();
  check_against_the_oracle<F, rounding::to_odd, O, T>();
#endif
}

TEST(EncodeN, equals_the_oracle_in_every_mode_for_e4m3_from_float) {
  check_all_roundings<e4m3, float, overflow::saturate>();
  check_all_roundings<e4m3, float, overflow::saturate_finite>();
  check_all_roundings<e4m3, float, overflow::nonfinite>();
}
TEST(EncodeN, equals_the_oracle_in_every_rounding_for_e5m2_from_float) {
  check_all_roundings<e5m2, float, overflow::nonfinite>();
}
TEST(EncodeN, equals_the_oracle_in_every_rounding_for_e4m3fnuz_from_bfloat16) {
  check_all_roundings<e4m3fnuz, bfloat16, overflow::saturate_finite>();
}

template <class F>
class EncodeNTo : public ::testing::Test {};
#if QUAVER_TEST_EVERY_MODE
using encoded_formats = quaver_test::all_formats;
#else
using encoded_formats = ::testing::Types<e4m3, e5m2, e8m0, e2m1, bfloat16>;
#endif
TYPED_TEST_SUITE(EncodeNTo, encoded_formats, quaver_test::format_names);

TYPED_TEST(EncodeNTo, equals_the_oracle_from_float_half_and_bfloat16) {
  using F = TypeParam;
  check_against_the_oracle<F, rounding::nearest_even, overflow::saturate, float>();
  check_against_the_oracle<F, rounding::nearest_even, overflow::saturate, half>();
  check_against_the_oracle<F, rounding::nearest_even, overflow::nonfinite, bfloat16>();
  check_against_the_oracle<F, rounding::stochastic, overflow::saturate, bfloat16>();
}

TEST(EncodeN, takes_double_and_integers_without_a_scale_and_rounds_them_once) {
  const std::vector<double> x = {1.0625 + 0x1p-40, 0x1p-10 + 0x1p-60, 448.0, 464.0 + 0x1p-40, -0.0, 1e300, nan};
  std::vector<e4m3> y(x.size());
  ASSERT_TRUE(
      (cpu::encode_n<e4m3, rounding::nearest_even, overflow::nonfinite>(std::span<const double>(x), std::span<e4m3>(y))
           .ok()));
  EXPECT_EQ(codes_of(y), (std::vector<uint32_t>{0x39, 0x01, 0x7E, 0x7F, 0x80, 0x7F, 0x7F}));
  const std::vector<int64_t> n = {0, 1, -17, 464, 465, int64_t{1} << 62, std::numeric_limits<int64_t>::min()};
  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const int64_t>(n), std::span<e4m3>(y)).ok());
  EXPECT_EQ(codes_of(y), (std::vector<uint32_t>{0x00, 0x38, 0xD8, 0x7E, 0x7E, 0x7E, 0xFE}));
  const std::vector<e5m2> from = {e5m2::infinity(), e5m2::from_bits(0x4C), e5m2::nan()};
  std::vector<e4m3> to(3);
  ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const e5m2>(from), std::span<e4m3>(to)).ok());
  EXPECT_EQ(codes_of(to), (std::vector<uint32_t>{0x7E, 0x58, 0x7F}));
}

TEST(EncodeN, stochastic_parts_with_the_right_first_give_the_bytes_of_the_whole) {
  const std::vector<float> x = some_numbers<float>(1001, 33, 6, false);
  constexpr rounding R       = rounding::stochastic;
  std::vector<e4m3> whole(x.size());
  const std::span<const float> in(x);
  const quant_scale scale(3.7f);
  ASSERT_TRUE((cpu::encode_n<e4m3, R>(in, scale, std::span<e4m3>(whole), {.seed = 5, .first = 77}).ok()));
  for (const size_t part : {size_t{1}, size_t{3}, size_t{4}, size_t{64}, size_t{1000}}) {
    std::vector<e4m3> pieces(x.size());
    for (size_t at = 0; at < x.size(); at += part) {
      const size_t size = (std::min)(part, x.size() - at);
      ASSERT_TRUE((cpu::encode_n<e4m3, R>(in.subspan(at, size), scale, std::span<e4m3>(pieces).subspan(at, size),
                                          {.seed = 5, .first = 77 + at})
                       .ok()));
    }
    EXPECT_EQ(codes_of(pieces), codes_of(whole)) << part;
  }
  std::vector<e4m3> other(x.size());
  ASSERT_TRUE((cpu::encode_n<e4m3, R>(in, scale, std::span<e4m3>(other), {.seed = 6, .first = 77}).ok()));
  EXPECT_NE(codes_of(other), codes_of(whole)) << "another seed, other bytes";
}

TEST(EncodeN, any_alignment_and_any_length_touch_their_own_bytes_only) {
  std::vector<uint8_t> source(4 * 80 + 8);
  quaver_test::generator random(34);
  for (uint8_t& byte : source) byte = static_cast<uint8_t>(random() >> 13);
  for (size_t offset = 0; offset < 3; ++offset) {
    for (size_t n = 0; n <= 67; ++n) {
      // Floats aligned as floats must be; bytes anywhere.
      std::vector<float> x(n + offset);
      if (!x.empty()) std::memcpy(x.data(), source.data(), x.size() * sizeof(float));
      std::vector<e4m3> y(n + offset + 2, e4m3::from_bits(0x5A));
      ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(x).subspan(offset), quant_scale(2.0f),
                                      std::span<e4m3>(y).subspan(offset + 1, n))
                      .ok());
      for (size_t i = 0; i <= offset; ++i) ASSERT_EQ(y[i].bits(), 0x5A);
      ASSERT_EQ(y.back().bits(), 0x5A);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(uint32_t{y[offset + 1 + i].bits()}, (expected_code<e4m3, rounding::nearest_even, overflow::saturate>(
                                                          x[offset + i], scaling::multiply, 2.0f, 0)));
      }
    }
  }
}

TEST(EncodeN, leaves_every_float_environment_as_it_was_and_gives_the_same_bytes_in_each) {
  // Products and quotients that are subnormal in binary32 among them: 0x1p-140 * 0x1p10, and e8m0's 2^-127.
  std::vector<float> x = some_numbers<float>(500, 35);
  for (const float tiny : some_numbers<float>(200, 36, -125)) x.push_back(tiny);
  const std::span<const float> in(x);
  struct outputs {
    std::vector<e4m3> product, quotient, plain, random;
    std::vector<e8m0> power;
    std::vector<bfloat16> wide;
    bool operator==(const outputs& o) const {
      return codes_of(product) == codes_of(o.product) && codes_of(quotient) == codes_of(o.quotient) &&
             codes_of(plain) == codes_of(o.plain) && codes_of(random) == codes_of(o.random) &&
             codes_of(power) == codes_of(o.power) && codes_of(wide) == codes_of(o.wide);
    }
  };
  for (const float scale : {1.0f / 3.0f, 0x1.8p10f, 0x1.8p-140f, 0x1.5p120f}) {
    const auto run = [&](outputs& out) {
      bool ok = cpu::encode_n<e4m3>(in, quant_scale(scale), std::span<e4m3>(out.product)).ok();
      ok      = cpu::encode_n<e4m3>(in, dequant_scale(scale), std::span<e4m3>(out.quotient)).ok() && ok;
      ok      = cpu::encode_n<e4m3>(in, std::span<e4m3>(out.plain)).ok() && ok;
      ok = cpu::encode_n<e4m3, rounding::stochastic>(in, quant_scale(scale), std::span<e4m3>(out.random)).ok() && ok;
      ok = cpu::encode_n<e8m0>(in, quant_scale(scale), std::span<e8m0>(out.power)).ok() && ok;
      return cpu::encode_n<bfloat16>(in, dequant_scale(scale), std::span<bfloat16>(out.wide)).ok() && ok;
    };
    outputs expected;
    const auto size = [&](outputs& out) {
      out.product.resize(x.size());
      out.quotient.resize(x.size());
      out.plain.resize(x.size());
      out.random.resize(x.size());
      out.power.resize(x.size());
      out.wide.resize(x.size());
    };
    size(expected);
    ASSERT_TRUE(run(expected));
    for (const quaver_test::environment& e : quaver_test::environments) {
      outputs got;
      size(got);
      bool ok = false;
      EXPECT_TRUE(quaver_test::keeps_environment(e, [&] { ok = run(got); })) << e.name;
      EXPECT_TRUE(ok && got == expected) << e.name;
    }
  }
}

#if QUAVER_X86_64
TEST(EncodeN, unmasked_exceptions_neither_trap_inside_nor_are_lost) {
  const std::vector<float> x = some_numbers<float>(300, 37);
  std::vector<e4m3> y(x.size());
  const uint32_t saved = _mm_getcsr();
  _mm_setcsr(0x0000);  // every exception would trap
  const status done    = cpu::encode_n<e4m3>(std::span<const float>(x), quant_scale(0x1p-140f), std::span<e4m3>(y));
  const uint32_t after = _mm_getcsr();
  _mm_setcsr(saved);
  EXPECT_TRUE(done.ok());
  EXPECT_EQ(after, 0u);
}
#endif

TEST(EncodeN, empty_arrays_are_fine_null_or_not) {
  float x = 0;
  e4m3 y  = e4m3::from_bits(0x5A);
  EXPECT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(), quant_scale(1), std::span<e4m3>()).ok());
  EXPECT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(&x, 0), dequant_scale(1), std::span<e4m3>(&y, 0)).ok());
  EXPECT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(), std::span<e4m3>(&y, 0)).ok());
  EXPECT_EQ(y.bits(), 0x5A);
}

/// A refused call: its code, its words, and nothing written.
template <class Call>
void expect_refused(const Call& call, std::span<const uint8_t> guarded, const std::vector<std::string>& words) {
  const std::vector<uint8_t> before(guarded.begin(), guarded.end());
  const status refused = call();
  EXPECT_EQ(refused.code(), status_code::invalid_argument);
  for (const std::string& word : words)
    EXPECT_NE(refused.message().find(word), std::string::npos) << refused.message() << " lacks " << word;
  EXPECT_EQ(std::vector<uint8_t>(guarded.begin(), guarded.end()), before);
}

TEST(EncodeN, refuses_unequal_lengths_null_and_overlap_by_their_numbers_and_writes_nothing) {
  std::vector<float> x(20, 1.0f);
  std::vector<e4m3> y(20, e4m3::from_bits(0x5A));
  const std::span<const float> in(x);
  const std::span<e4m3> out(y);
  const std::span<const uint8_t> y_bytes(reinterpret_cast<const uint8_t*>(y.data()), y.size());
  const std::span<const uint8_t> x_bytes(reinterpret_cast<const uint8_t*>(x.data()), x.size() * 4);
  expect_refused([&] { return cpu::encode_n<e4m3>(in, quant_scale(1), out.first(19)); }, y_bytes,
                 {"encode_n", "20", "19"});
  expect_refused([&] { return cpu::encode_n<e4m3>(in.first(7), dequant_scale(1), out); }, y_bytes, {"7", "20"});
  expect_refused([&] { return cpu::encode_n<e4m3>(in.first(7), out); }, y_bytes, {"7", "20"});
  expect_refused(
      [&] {
        return cpu::encode_n<e4m3>(std::span<const float>(static_cast<const float*>(nullptr), 20), quant_scale(1), out);
      },
      y_bytes, {"input", "null", "20"});
  expect_refused(
      [&] { return cpu::encode_n<e4m3>(in, quant_scale(1), std::span<e4m3>(static_cast<e4m3*>(nullptr), 20)); },
      x_bytes, {"output", "null", "20"});
  // Over the first, a middle and the last byte of the input.
  for (const size_t byte : {size_t{0}, size_t{33}, size_t{79}}) {
    expect_refused(
        [&] {
          return cpu::encode_n<e4m3>(in, quant_scale(1), std::span<e4m3>(reinterpret_cast<e4m3*>(x.data()) + byte, 20));
        },
        x_bytes, {"overlap", "80", "20"});
  }
  // Right behind it is no overlap.
  EXPECT_TRUE(
      cpu::encode_n<e4m3>(in.first(15), quant_scale(1), std::span<e4m3>(reinterpret_cast<e4m3*>(x.data() + 15), 15))
          .ok());
}

}  // namespace
