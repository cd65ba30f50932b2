// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_FORMAT_VALUES_HPP
#define QUAVER_TESTS_FORMAT_VALUES_HPP

// What every code stands for, once more and from the published definitions: fields and biases are written out here, and
// nothing is asked of the format under test but its bits.

#include <quaver/format/formats.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace quaver_test {

using namespace quaver;

enum class reserved { ieee, all_ones_is_nan, minus_zero_is_nan, minus_zero_is_nan_all_ones_is_infinity, nothing };

struct definition {
  const char* name;
  int exponent_bits;
  int mantissa_bits;
  int bias;
  reserved codes;
};

template <class F>
inline constexpr definition definition_of{};
template <>
inline constexpr definition definition_of<e4m3>{"e4m3", 4, 3, 7, reserved::all_ones_is_nan};
template <>
inline constexpr definition definition_of<e5m2>{"e5m2", 5, 2, 15, reserved::ieee};
template <>
inline constexpr definition definition_of<e4m3fnuz>{"e4m3fnuz", 4, 3, 8, reserved::minus_zero_is_nan};
template <>
inline constexpr definition definition_of<e5m2fnuz>{"e5m2fnuz", 5, 2, 16, reserved::minus_zero_is_nan};
template <>
inline constexpr definition definition_of<e4m3b11fnuz>{"e4m3b11fnuz", 4, 3, 11, reserved::minus_zero_is_nan};
template <>
inline constexpr definition definition_of<e4m3ieee>{"e4m3ieee", 4, 3, 7, reserved::ieee};
template <>
inline constexpr definition definition_of<e3m4>{"e3m4", 3, 4, 3, reserved::ieee};
template <>
inline constexpr definition definition_of<binary8p3>{"binary8p3", 5, 2, 16,
                                                     reserved::minus_zero_is_nan_all_ones_is_infinity};
template <>
inline constexpr definition definition_of<binary8p4>{"binary8p4", 4, 3, 8,
                                                     reserved::minus_zero_is_nan_all_ones_is_infinity};
template <>
inline constexpr definition definition_of<e2m3>{"e2m3", 2, 3, 1, reserved::nothing};
template <>
inline constexpr definition definition_of<e3m2>{"e3m2", 3, 2, 3, reserved::nothing};
template <>
inline constexpr definition definition_of<e2m1>{"e2m1", 2, 1, 1, reserved::nothing};
template <>
inline constexpr definition definition_of<half>{"half", 5, 10, 15, reserved::ieee};
template <>
inline constexpr definition definition_of<bfloat16>{"bfloat16", 8, 7, 127, reserved::ieee};
template <>
inline constexpr definition definition_of<e8m0>{"e8m0", 8, 0, 127, reserved::nothing};

using signed_formats = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3,
                                        binary8p4, e2m3, e3m2, e2m1, half, bfloat16>;
using every_format = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4,
                                      e2m3, e3m2, e2m1, half, bfloat16, e8m0>;
using byte_formats = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4,
                                      e2m3, e3m2, e2m1, e8m0>;

/// Names the instances of a typed test after their format.
struct definition_names {
  template <class F>
  static std::string GetName(int) {
    return definition_of<F>.name;
  }
};

template <class F>
constexpr int code_count() {
  const definition d = definition_of<F>;
  return 1 << (d.exponent_bits + d.mantissa_bits + (same_type<F, e8m0> ? 0 : 1));
}

template <class F>
F from_code(int code) {
  return F::from_bits(static_cast<typename F::storage>(code));
}

/// The value of a code; infinities and NaN as doubles have them.
template <class F>
double value_of(int code) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan      = std::numeric_limits<double>::quiet_NaN();
  const definition d        = definition_of<F>;
  if (same_type<F, e8m0>) return code == 0xFF ? nan : std::ldexp(1.0, code - d.bias);

  const int half_way  = code_count<F>() / 2;
  const bool negative = code >= half_way;
  const int magnitude = code % half_way;
  const int field     = magnitude >> d.mantissa_bits;
  const int mantissa  = magnitude & ((1 << d.mantissa_bits) - 1);
  const int top       = (1 << d.exponent_bits) - 1;
  double value        = field == 0 ? std::ldexp(mantissa, 1 - d.bias - d.mantissa_bits)
                                   : std::ldexp((1 << d.mantissa_bits) + mantissa, field - d.bias - d.mantissa_bits);
  switch (d.codes) {
    case reserved::ieee:
      if (field == top) value = mantissa == 0 ? infinity : nan;
      break;
    case reserved::all_ones_is_nan:
      if (magnitude == half_way - 1) value = nan;
      break;
    case reserved::minus_zero_is_nan:
      if (code == half_way) value = nan;
      break;
    case reserved::minus_zero_is_nan_all_ones_is_infinity:
      if (code == half_way) value = nan;
      if (magnitude == half_way - 1) value = infinity;
      break;
    case reserved::nothing: break;
  }
  return negative ? -value : value;
}

/// All finite values of a format, in order, each once.
template <class F>
std::vector<double> finite_values() {
  std::vector<double> values;
  for (int code = 0; code < code_count<F>(); ++code) {
    if (std::isfinite(value_of<F>(code))) values.push_back(value_of<F>(code));
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

}  // namespace quaver_test

#endif
