// SPDX-License-Identifier: MIT
#include "convert_kernels.hpp"

#include <quaver/reference/encode.hpp>

#include "gpu_test.hpp"

#include <cmath>
#include <random>
#include <thread>

// The device's conversions against the oracle, in every format and mode: all halves, all bfloat16s, a million floats
// with their ties, and all codes back. All 2^32 floats are in convert_sweep_test.cpp.

namespace {

using namespace quaver;
using quaver_test::byte_formats;
using quaver_test::device_array;
using quaver_test::source;

constexpr const char* format_names[] = {"e4m3",     "e5m2", "e4m3fnuz",  "e5m2fnuz",  "e4m3b11fnuz",
                                        "e4m3ieee", "e3m4", "binary8p3", "binary8p4", "e8m0",
                                        "e2m3",     "e3m2", "e2m1"};
static_assert(std::size(format_names) == byte_formats::size);

/// Inputs as words, with a random word each, here and on the device.
struct inputs {
  source type;
  std::vector<uint32_t> words;
  std::vector<uint32_t> random;
  device_array<uint32_t> device_words;
  device_array<uint32_t> device_random;

  inputs(source s, std::vector<uint32_t> w)
      : type(s), words(std::move(w)), random(random_words(words.size())), device_words(words), device_random(random) {}

  [[nodiscard]] uint32_t count() const { return static_cast<uint32_t>(words.size()); }
  [[nodiscard]] reference::exact exact(size_t i) const {
    if (type == source::binary32) return reference::from_f32(words[i]);
    const auto code = static_cast<uint16_t>(words[i]);
    return type == source::binary16 ? reference::from_format(half::from_bits(code))
                                    : reference::from_format(bfloat16::from_bits(code));
  }

  static std::vector<uint32_t> random_words(size_t count) {
    std::mt19937 generator(1);
    std::vector<uint32_t> result(count);
    for (uint32_t& word : result) word = static_cast<uint32_t>(generator());
    result[0] = 0;
    result[1] = 0xFFFF'FFFF;
    return result;
  }
};

std::vector<uint32_t> all_16_bits() {
  std::vector<uint32_t> result(65536);
  for (uint32_t i = 0; i < 65536; ++i) result[i] = i;
  return result;
}

/// Each exponent with each choice of its first five mantissa bits, and the neighbours of each: so every tie, every
/// value and every limit of every format. Then random bits.
std::vector<uint32_t> chosen_floats() {
  std::vector<uint32_t> result;
  for (uint32_t upper = 0; upper < 1u << 14; ++upper) {
    for (const uint32_t lower : {0u, 1u, 0x0003'FFFFu}) result.push_back(upper << 18 | lower);
  }
  std::mt19937 generator(2);
  while (result.size() < 1u << 19) result.push_back(static_cast<uint32_t>(generator()));
  return result;
}

/// Calls work(begin, end) for parts of [0, count) on every core.
template <class Work>
void in_parallel(size_t count, const Work& work) {
  const size_t cores = (std::max)(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < cores; ++i) {
    threads.emplace_back([&, i] { work(count * i / cores, count * (i + 1) / cores); });
  }
  for (std::thread& thread : threads) thread.join();
}

template <class F>
std::vector<uint8_t> oracle_codes(const inputs& in, rounding r, overflow o) {
  std::vector<uint8_t> codes(in.words.size());
  in_parallel(codes.size(), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const reference::exact x = in.exact(i);
      codes[i]                 = (r == rounding::stochastic ? reference::encode_stochastic<F>(x, in.random[i], o)
                                                            : reference::encode<F>(x, r, o))
                     .bits();
    }
  });
  return codes;
}

/// The number of bytes that differ; the first few in words.
size_t expect_equal(const inputs& in, const std::vector<uint8_t>& got, const std::vector<uint8_t>& expected, int format,
                    rounding r, overflow o, const char* what) {
  size_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (got[i] == expected[i] || ++wrong > 4) continue;
    ADD_FAILURE() << format_names[format] << " " << what << ", rounding " << static_cast<int>(r) << ", overflow "
                  << static_cast<int>(o) << std::hex << ": input " << in.words[i] << ", random " << in.random[i]
                  << " gives " << +got[i] << ", not " << +expected[i];
  }
  return wrong;
}

constexpr rounding all_roundings[] = {rounding::nearest_even, rounding::nearest_away, rounding::toward_zero,
                                      rounding::upward,       rounding::downward,     rounding::to_odd,
                                      rounding::stochastic};
constexpr overflow all_overflows[] = {overflow::saturate, overflow::saturate_finite, overflow::nonfinite};

void compare_in_every_mode(const inputs& in) {
  const device_array<uint8_t> scalar(in.words.size());
  device_array<uint8_t> packed(in.words.size());
  size_t wrong    = 0;
  size_t compared = 0;
  for (int format = 0; format < byte_formats::size; ++format) {
    for (const rounding r : all_roundings) {
      for (const overflow o : all_overflows) {
        std::vector<uint8_t> expected;
        byte_formats::visit(format, [&]<class F> { expected = oracle_codes<F>(in, r, o); });
        const auto judge = [&](const device_array<uint8_t>& codes, const char* what) {
          QUAVER_CHECK_CUDA(cudaGetLastError());
          wrong += expect_equal(in, codes.to_host(), expected, format, r, o, what);
          compared += expected.size();
        };
        quaver_test::encode_inputs(format, in.type, r, o, in.device_words.data(), in.device_random.data(), in.count(),
                                   scalar.data(), packed.data());
        judge(scalar, "encode");
        judge(packed, "encode_xn of 2 floats");
        packed.fill_bytes(0xA5);
        if (in.type != source::binary32 &&
            quaver_test::encode_widths(format, in.type, r, o, in.device_words.data(), in.device_random.data(),
                                       in.count(), packed.data())) {
          judge(packed, "encode_xn of the source's type");
        }
      }
    }
  }
  EXPECT_EQ(wrong, 0u);
  std::fprintf(stderr, "%zu comparisons, %zu mismatches\n", compared, wrong);
}

class Convert : public quaver_test::GpuTest {};

TEST_F(Convert, every_half_becomes_the_oracles_byte_in_every_format_and_mode) {
  compare_in_every_mode(inputs(source::binary16, all_16_bits()));
}

TEST_F(Convert, every_bfloat16_becomes_the_oracles_byte_in_every_format_and_mode) {
  compare_in_every_mode(inputs(source::brain16, all_16_bits()));
}

TEST_F(Convert, half_a_million_floats_and_every_tie_become_the_oracles_byte_in_every_format_and_mode) {
  compare_in_every_mode(inputs(source::binary32, chosen_floats()));
}

TEST_F(Convert, two_e2m1_share_a_byte_with_the_first_in_the_low_nibble) {
  const inputs in(source::binary32, chosen_floats());
  const device_array<uint8_t> by_32(in.words.size() / 2);
  const device_array<uint8_t> by_4(in.words.size() / 2);
  for (const rounding r : {rounding::nearest_even, rounding::stochastic}) {
    const std::vector<uint8_t> codes = oracle_codes<e2m1>(in, r, overflow::saturate);
    quaver_test::encode_e2m1_pairs(r, in.device_words.data(), in.device_random.data(), in.count(), by_32.data(),
                                   by_4.data());
    QUAVER_CHECK_CUDA(cudaGetLastError());
    std::vector<uint8_t> expected(codes.size() / 2);
    for (size_t i = 0; i < expected.size(); ++i) {
      expected[i] = e2m1x2(e2m1::from_bits(codes[2 * i]), e2m1::from_bits(codes[2 * i + 1])).bits();
    }
    EXPECT_EQ(by_32.to_host(), expected);
    EXPECT_EQ(by_4.to_host(), expected);
  }
}

/// The bits that a value has as a T, by the oracle; for NaN what scalars promise.
uint32_t oracle_bits(double value, source to) {
  const reference::exact x = reference::from_value(value);
  if (to == source::binary16) return reference::encode<half>(x, rounding::nearest_even, overflow::nonfinite).bits();
  if (to == source::brain16) return reference::encode<bfloat16>(x, rounding::nearest_even, overflow::nonfinite).bits();
  return std::isnan(value) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(static_cast<float>(value));
}

bool is_nan_bits(uint32_t bits, source s) {
  if (s == source::binary16) return (bits & 0x7FFFu) > 0x7C00u;
  if (s == source::brain16) return (bits & 0x7FFFu) > 0x7F80u;
  return (bits & 0x7FFF'FFFFu) > 0x7F80'0000u;
}

TEST_F(Convert, every_code_decodes_as_the_oracle_says_scalar_and_packed) {
  for (int format = 0; format < byte_formats::size; ++format) {
    for (const source to : {source::binary32, source::binary16, source::brain16}) {
      device_array<uint32_t> results(5 * 256);
      results.fill_bytes(0x5A);
      quaver_test::decode_codes(format, to, results.data());
      QUAVER_CHECK_CUDA(cudaGetLastError());
      const std::vector<uint32_t> got = results.to_host();
      const size_t rows               = format < 2 ? 5 : 3;
      for (size_t i = 0; i < rows * 256; ++i) {
        double value = 0;
        byte_formats::visit(format, [&]<class F> { value = reference::decode(F::from_bits(static_cast<uint8_t>(i))); });
        const uint32_t expected = oracle_bits(value, to);
        const bool packed       = i >= 256;
        if (packed && std::isnan(value)) {
          EXPECT_TRUE(is_nan_bits(got[i], to)) << format_names[format] << std::hex << " " << i << ": " << got[i];
        } else {
          EXPECT_EQ(got[i], expected) << format_names[format] << std::hex << " " << i << ": " << got[i];
        }
      }
    }
  }
}

TEST_F(Convert, two_e2m1_of_a_byte_decode_to_their_values) {
  for (const source to : {source::binary32, source::binary16, source::brain16}) {
    const device_array<uint32_t> results(2 * 512);
    quaver_test::decode_e2m1_pairs(to, results.data());
    QUAVER_CHECK_CUDA(cudaGetLastError());
    const std::vector<uint32_t> got = results.to_host();
    for (size_t i = 0; i < got.size(); ++i) {
      const e2m1x2 pair   = e2m1x2::from_bits(static_cast<uint8_t>(i / 2 % 256));
      const uint32_t want = oracle_bits(reference::decode(i % 2 == 0 ? pair.low() : pair.high()), to);
      EXPECT_EQ(got[i], want) << std::hex << i;
    }
  }
}

}  // namespace
