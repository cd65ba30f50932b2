// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_GOLDEN_VECTORS_HPP
#define QUAVER_TESTS_GOLDEN_VECTORS_HPP

// The golden vectors as text: which inputs are listed, and what the oracle makes of them. generate.cpp writes the
// files, golden_test.cpp reads them back. README.md says what the columns mean.

#include "../reference/modes.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace quaver_golden {

using namespace quaver;
using quaver_test::name_of;

/// A file of comma-separated values that is being written: lines end in a bare newline on every system.
class csv {
 public:
  explicit csv(const char* header) : text_(header) { text_ += '\n'; }
  template <class... Arguments>
  void row(const char* format, Arguments... arguments) {
    char line[128];
    std::snprintf(line, sizeof line, format, arguments...);
    text_ += line;
    text_ += '\n';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The codes whose neighbourhoods are listed: all of the 8-bit and narrower formats. Of half and bfloat16 each end of
/// each binade and some in between.
template <class F>
bool is_listed(uint32_t magnitude) {
  if (F::width <= 8) return true;
  const uint32_t binade   = 1u << F::mantissa_bits;
  const uint32_t mantissa = magnitude % binade;
  const bool sparse       = F::exponent_bits == 8 && magnitude / binade % 16 != 0 && magnitude / binade > 4;
  return magnitude < 4 || (!sparse && (mantissa == 0 || mantissa == binade - 1)) || magnitude % 4093 == 0 ||
         magnitude + 4 > (F::max)().bits();
}

template <class F>
class encode_rows {
 public:
  static std::string text() {
    encode_rows rows;
    rows.in_range();
    rows.around_overflow();
    rows.zeros_infinities_and_nans();
    rows.from_other_types();
    rows.at_random();
    rows.stochastic();
    return rows.out_.text();
  }

 private:
  static constexpr uint32_t largest   = (F::max)().bits();
  static constexpr bool has_negatives = !same_type<F, e8m0>;
  static double at(uint32_t code) { return reference::unbounded_magnitude<F>(code); }
  static float up(float x) { return std::nextafterf(x, HUGE_VALF); }
  static float down(float x) { return std::nextafterf(x, 0.0f); }

  template <class T>
  static const char* type_name() {
    if constexpr (same_type<T, float>) return "float32";
    else if constexpr (same_type<T, double>) return "float64";
    else if constexpr (same_type<T, half>) return "float16";
    else if constexpr (same_type<T, bfloat16>) return "bfloat16";
    else if constexpr (same_type<T, int32_t>) return "int32";
    else if constexpr (same_type<T, int64_t>) return "int64";
  }

  template <class T>
  void add(rounding r, overflow o, T x, uint32_t random = 0) {
    const reference::exact value = reference::from_value(x);
    const F f                    = r == rounding::stochastic ? reference::encode_stochastic<F>(value, random, o)
                                                             : reference::encode<F>(value, r, o);
    char word[9]                 = "";
    if (r == rounding::stochastic) std::snprintf(word, sizeof word, "%08x", random);
    const unsigned long long mask = ~0ull >> (64 - 8 * sizeof(T));
    out_.row("%s,%s,%s,%s,%0*llx,%s,%0*x", name_of<F>(), name_of(r), name_of(o), type_name<T>(),
             static_cast<int>(2 * sizeof(T)), quaver_test::shown(x) & mask, word, static_cast<int>(2 * sizeof(F)),
             static_cast<unsigned>(f.bits()));
  }
  template <class T>
  void add_roundings(T x) {
    for (const rounding r : quaver_test::deterministic_roundings) add(r, overflow::saturate, x);
  }
  template <class T>
  void add_all(T x) {
    for (const rounding r : quaver_test::deterministic_roundings) {
      for (const overflow o : quaver_test::overflows) add(r, o, x);
    }
  }

  /// Values and ties below overflow. The overflow mode has no say there, so `saturate` stands for all three.
  void in_range() {
    for (uint32_t code = 0; code < largest; ++code) {
      if (!is_listed<F>(code)) continue;
      const float value = static_cast<float>(at(code));
      const float tie   = static_cast<float>((at(code) + at(code + 1)) / 2);
      add(rounding::nearest_even, overflow::saturate, value);
      for (const rounding r : {rounding::upward, rounding::to_odd}) add(r, overflow::saturate, up(value));
      if (code != 0) {
        if (has_negatives) add(rounding::nearest_even, overflow::saturate, -value);
        for (const rounding r : {rounding::toward_zero, rounding::to_odd}) add(r, overflow::saturate, down(value));
      }
      add_roundings(tie);
      for (const rounding r : {rounding::nearest_even, rounding::nearest_away}) {
        add(r, overflow::saturate, down(tie));
        add(r, overflow::saturate, up(tie));
      }
      for (const rounding r : {rounding::nearest_even, rounding::upward, rounding::downward})
        add(r, overflow::saturate, -tie);
    }
  }

  void around_overflow() {
    const double top    = at(largest);
    const double beyond = at(largest + 1);
    std::vector<float> inputs;
    for (const double point : {top, (top + beyond) / 2, beyond, (beyond + 2 * beyond - top) / 2, 2 * beyond}) {
      if (point >= 0x1p128) continue;
      const float x = static_cast<float>(point);
      for (const float y : {down(x), x, up(x)}) {
        if (std::isfinite(y)) inputs.push_back(y);
      }
    }
    inputs.push_back((std::numeric_limits<float>::max)());
    std::sort(inputs.begin(), inputs.end());
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    for (const float x : inputs) {
      add_all(x);
      add_all(-x);
    }
  }

  void zeros_infinities_and_nans() {
    for (const uint32_t bits : {0x0000'0000u, 0x0000'0001u, 0x007F'FFFFu, 0x0080'0000u, 0x7F80'0000u, 0x7FC0'0000u}) {
      add_all(bitwise_cast<float>(bits));
      add_all(bitwise_cast<float>(bits | 0x8000'0000u));
    }
    for (const uint32_t nan : {0x7F80'0001u, 0xFF80'0001u, 0x7FFF'FFFFu, 0xFFFF'FFFFu, 0x7FA0'0000u, 0xFFD5'5555u}) {
      for (const overflow o : quaver_test::overflows) add(rounding::nearest_even, o, bitwise_cast<float>(nan));
    }
  }

  /// Doubles that a detour through float would round twice, halves, bfloat16s and integers: nearest even.
  void from_other_types() {
    for (uint32_t code = 0; code <= largest; ++code) {
      if (F::width > 8 ? !is_listed<F>(code) : code % 8 != 0 && code != largest) continue;
      const double tie = (at(code) + at(code + 1)) / 2;
      for (const double x : {tie, std::nextafter(tie, 0.0), std::nextafter(tie, HUGE_VAL), tie * (1 + 0x1p-40)}) {
        add(rounding::nearest_even, overflow::saturate, x);
      }
    }
    for (const double x : {0x1p-1074, 0x1.FFFFFFFFFFFFFp1023, HUGE_VAL}) {
      add(rounding::nearest_even, overflow::nonfinite, x);
      add(rounding::nearest_even, overflow::nonfinite, -x);
    }
    quaver_test::generator random(40);
    for (int i = 0; i < 24; ++i) {
      const uint16_t bits = static_cast<uint16_t>(random() >> 16);
      add(rounding::nearest_even, overflow::saturate, half::from_bits(bits));
      add(rounding::nearest_even, overflow::nonfinite, half::from_bits(bits));
      add(rounding::nearest_even, overflow::saturate, bfloat16::from_bits(bits));
      add(rounding::nearest_even, overflow::nonfinite, bfloat16::from_bits(bits));
    }
    for (const int32_t n :
         {0, 1, -1, 5, 7, 9, -15, 17, 25, 33, -99, 232, 233, 464, 465, -2049, 61439, 61440, 65519, -65520, 16777217}) {
      add(rounding::nearest_even, overflow::saturate, n);
      add(rounding::nearest_even, overflow::nonfinite, n);
    }
    for (const int64_t n :
         {int64_t{1} << 62, (int64_t{1} << 62) + (int64_t{1} << 54), (int64_t{1} << 62) + (int64_t{1} << 54) + 1,
          (std::numeric_limits<int64_t>::max)(), (std::numeric_limits<int64_t>::min)()}) {
      add(rounding::nearest_even, overflow::saturate, n);
    }
  }

  /// Floats whose exponent lies in the format's range or a little outside.
  static float near_the_range(uint64_t word) {
    const int lowest  = (std::max)(-126, 1 - F::exponent_bias - F::mantissa_bits - 2);
    const int highest = (std::min)(127, std::ilogb(at(largest)) + 2);
    const int span    = highest - lowest + 1;
    const int exp     = lowest + static_cast<int>((word >> 32) % static_cast<uint64_t>(span)) + 127;
    return bitwise_cast<float>(static_cast<uint32_t>(exp) << 23 | (static_cast<uint32_t>(word) & 0x807F'FFFFu));
  }

  void at_random() {
    quaver_test::generator random(41);
    for (int i = 0; i < 48; ++i) add_roundings(near_the_range(random()));
    for (int i = 0; i < 16; ++i) add_all(bitwise_cast<float>(static_cast<uint32_t>(random() >> 20)));
  }

  /// Either side of the word that decides, and the two ends.
  void stochastic() {
    quaver_test::generator random(42);
    std::vector<float> inputs = {static_cast<float>((at(0) + at(1)) / 2), static_cast<float>(at(1)), 0.0f, -1.0f,
                                 static_cast<float>((std::min)((at(largest) + at(largest + 1)) / 2, 0x1.FFFFFEp127))};
    for (int i = 0; i < 27; ++i) inputs.push_back(near_the_range(random()));
    for (const float x : inputs) {
      const uint32_t threshold    = reference::stochastic_threshold<F>(reference::from_value(x));
      std::vector<uint32_t> words = {0, threshold - 1, threshold, 0xFFFF'FFFF};
      std::sort(words.begin(), words.end());
      words.erase(std::unique(words.begin(), words.end()), words.end());
      for (const uint32_t word : words) add(rounding::stochastic, overflow::nonfinite, x, word);
    }
  }

  csv out_{"format,rounding,overflow,source,input,random,code"};
};

/// Every listed code with its value, exactly: as a hexadecimal float, and as the bits of a binary32.
template <class F>
std::string decode_rows() {
  csv out("format,code,value,float32");
  for (uint32_t code = 0; code < 1u << F::width; ++code) {
    if (F::width > 8 && !is_listed<F>(code % (1u << (F::width - 1)))) continue;
    const F f           = F::from_bits(static_cast<typename F::storage>(code));
    const double value  = reference::decode(f);
    const int digits    = static_cast<int>(2 * sizeof(F));
    const uint32_t bits = std::isnan(value) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(static_cast<float>(value));
    if (std::isnan(value)) out.row("%s,%0*x,nan,%08x", name_of<F>(), digits, code, bits);
    else out.row("%s,%0*x,%a,%08x", name_of<F>(), digits, code, value, bits);
  }
  return out.text();
}

}  // namespace quaver_golden

#endif
