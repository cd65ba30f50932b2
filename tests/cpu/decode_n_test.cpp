// SPDX-License-Identifier: MIT
#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/encode_n.hpp>

#include "environments.hpp"
#include "inputs.hpp"

namespace {

using namespace quaver;
using quaver_test::codes_of;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// decode(code) * scale by the machine, then the oracle's rounding; NaN always the same.
template <class T, class F>
uint32_t expected_element(F code, float scale) {
  const float product = reference::product(reference::to_float(code), scale);
  if (std::isnan(product)) return same_type<T, float> ? 0x7FC0'0000u : same_type<T, half> ? 0x7E00u : 0x7FC0u;
  return quaver_test::code_of(quaver_test::element_from<T>(bitwise_cast<uint32_t>(product)));
}

template <class F>
std::vector<F> all_codes() {
  std::vector<F> codes;
  for (unsigned code = 0; code < 1u << F::width; ++code)
    codes.push_back(F::from_bits(static_cast<typename F::storage>(code)));
  return codes;
}

template <class F, class T>
void check_every_code() {
  const std::vector<F> x = all_codes<F>();
  std::vector<T> y(x.size());
  for (const float scale : {1.0f, 1.0f / 3.0f, -2.5f, 0x1p-140f, 0x1.234566p-133f, 0x1.FFFFFEp127f, 0.0f,
                            std::numeric_limits<float>::infinity(), nan}) {
    ASSERT_TRUE(cpu::decode_n(std::span<const F>(x), dequant_scale(scale), std::span<T>(y)).ok());
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(uint32_t{quaver_test::code_of(y[i])}, expected_element<T>(x[i], scale))
          << std::hex << +x[i].bits() << " by " << scale;
    }
  }
  ASSERT_TRUE(cpu::decode_n(std::span<const F>(x), std::span<T>(y)).ok());
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(uint32_t{quaver_test::code_of(y[i])}, expected_element<T>(x[i], 1.0f)) << std::hex << +x[i].bits();
}

template <class F>
class DecodeNOf : public ::testing::Test {};
TYPED_TEST_SUITE(DecodeNOf, quaver_test::all_formats, quaver_test::format_names);

TYPED_TEST(DecodeNOf, equals_the_oracle_for_every_code_as_float_half_and_bfloat16) {
  check_every_code<TypeParam, float>();
  check_every_code<TypeParam, half>();
  check_every_code<TypeParam, bfloat16>();
}

TEST(DecodeN, ignores_bits_above_a_narrow_format_in_bytes_from_elsewhere) {
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(i);
  std::vector<float> y(256);
  ASSERT_TRUE(
      cpu::decode_n(std::span<const e2m1>(reinterpret_cast<const e2m1*>(bytes.data()), 256), std::span<float>(y)).ok());
  for (unsigned i = 0; i < 256; ++i)
    EXPECT_EQ(y[i], reference::to_float(e2m1::from_bits(static_cast<uint8_t>(i % 16)))) << i;
  ASSERT_TRUE(cpu::decode_n(std::span<const e3m2>(reinterpret_cast<const e3m2*>(bytes.data()), 256), dequant_scale(2),
                            std::span<float>(y))
                  .ok());
  for (unsigned i = 0; i < 256; ++i)
    EXPECT_EQ(y[i], 2 * reference::to_float(e3m2::from_bits(static_cast<uint8_t>(i % 64)))) << i;
}

TEST(DecodeN, is_undone_by_encode_n_for_every_code_but_nan) {
  const std::vector<e4m3> x = all_codes<e4m3>();
  std::vector<float> y(x.size());
  std::vector<e4m3> back(x.size());
  for (const float scale : {1.0f, 0x1p-20f, 0x1p100f, 0x1.8p3f}) {
    ASSERT_TRUE(cpu::decode_n(std::span<const e4m3>(x), dequant_scale(scale), std::span<float>(y)).ok());
    ASSERT_TRUE(cpu::encode_n<e4m3>(std::span<const float>(y), dequant_scale(scale), std::span<e4m3>(back)).ok());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(back[i].bits(), i == 0xFF ? 0x7F : i) << scale;
  }
}

TEST(DecodeN, leaves_every_float_environment_as_it_was_and_gives_the_same_bits_in_each) {
  const std::vector<e4m3> x = all_codes<e4m3>();
  const std::vector<e8m0> p = all_codes<e8m0>();
  const std::vector<half> h = all_codes<half>();
  for (const float scale : {1.0f / 3.0f, 0x1.234566p-133f}) {
    std::vector<float> a(x.size()), b(p.size()), c(h.size()), plain(h.size());
    std::vector<bfloat16> w(x.size());
    const auto run = [&] {
      bool ok = cpu::decode_n(std::span<const e4m3>(x), dequant_scale(scale), std::span<float>(a)).ok();
      ok      = cpu::decode_n(std::span<const e8m0>(p), dequant_scale(scale), std::span<float>(b)).ok() && ok;
      ok      = cpu::decode_n(std::span<const half>(h), dequant_scale(scale), std::span<float>(c)).ok() && ok;
      ok      = cpu::decode_n(std::span<const half>(h), std::span<float>(plain)).ok() && ok;
      return cpu::decode_n(std::span<const e4m3>(x), dequant_scale(scale), std::span<bfloat16>(w)).ok() && ok;
    };
    ASSERT_TRUE(run());
    const auto all_bits = [&] {
      std::vector<std::vector<uint32_t>> bits = {codes_of(a), codes_of(b), codes_of(c), codes_of(plain), codes_of(w)};
      return bits;
    };
    const auto expected = all_bits();
    for (const quaver_test::environment& e : quaver_test::environments) {
      bool ok = false;
      EXPECT_TRUE(quaver_test::keeps_environment(e, [&] { ok = run(); })) << e.name;
      EXPECT_TRUE(ok && all_bits() == expected) << e.name;
    }
  }
}

TEST(DecodeN, refuses_unequal_lengths_null_and_overlap_by_their_numbers_and_writes_nothing) {
  std::vector<e4m3> x(8, e4m3::from_bits(0x38));
  std::vector<float> y(8, -7.0f);
  const std::span<const e4m3> in(x);
  const auto refused = [&](const status& s, const std::vector<std::string>& words) {
    EXPECT_EQ(s.code(), status_code::invalid_argument);
    for (const std::string& word : words)
      EXPECT_NE(s.message().find(word), std::string::npos) << s.message() << " lacks " << word;
    EXPECT_EQ(y, std::vector<float>(8, -7.0f));
  };
  refused(cpu::decode_n(in.first(3), dequant_scale(1), std::span<float>(y)), {"decode_n", "3", "8"});
  refused(cpu::decode_n(in.first(3), std::span<float>(y)), {"3", "8"});
  refused(
      cpu::decode_n(std::span<const e4m3>(static_cast<const e4m3*>(nullptr), 8), dequant_scale(1), std::span<float>(y)),
      {"input", "null", "8"});
  refused(cpu::decode_n(in, std::span<float>(static_cast<float*>(nullptr), 8)), {"output", "null", "8"});
  refused(cpu::decode_n(std::span<const e4m3>(reinterpret_cast<const e4m3*>(y.data()) + 24, 8), dequant_scale(1),
                        std::span<float>(y)),
          {"overlap", "8 bytes", "32 bytes"});
  EXPECT_TRUE(cpu::decode_n(std::span<const e4m3>(), dequant_scale(1), std::span<float>()).ok());
}

}  // namespace
