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
  int sign_bits;
  int exponent_bits;
  int mantissa_bits;
  int bias;
  reserved codes;

  [[nodiscard]] constexpr int code_count() const { return 1 << (sign_bits + exponent_bits + mantissa_bits); }
  [[nodiscard]] constexpr bool is_scale() const { return sign_bits == 0; }
  [[nodiscard]] constexpr bool has_infinity() const {
    return codes == reserved::ieee || codes == reserved::minus_zero_is_nan_all_ones_is_infinity;
  }
  [[nodiscard]] constexpr bool has_nan() const { return codes != reserved::nothing; }
  [[nodiscard]] constexpr bool has_minus_zero() const {
    return !is_scale() && (codes == reserved::ieee || codes == reserved::all_ones_is_nan || codes == reserved::nothing);
  }
};

template <class F>
inline constexpr definition definition_of{};
template <>
inline constexpr definition definition_of<e4m3>{"e4m3", 1, 4, 3, 7, reserved::all_ones_is_nan};
template <>
inline constexpr definition definition_of<e5m2>{"e5m2", 1, 5, 2, 15, reserved::ieee};
template <>
inline constexpr definition definition_of<e4m3fnuz>{"e4m3fnuz", 1, 4, 3, 8, reserved::minus_zero_is_nan};
template <>
inline constexpr definition definition_of<e5m2fnuz>{"e5m2fnuz", 1, 5, 2, 16, reserved::minus_zero_is_nan};
template <>
inline constexpr definition definition_of<e4m3b11fnuz>{"e4m3b11fnuz", 1, 4, 3, 11, reserved::minus_zero_is_nan};
template <>
inline constexpr definition definition_of<e4m3ieee>{"e4m3ieee", 1, 4, 3, 7, reserved::ieee};
template <>
inline constexpr definition definition_of<e3m4>{"e3m4", 1, 3, 4, 3, reserved::ieee};
template <>
inline constexpr definition definition_of<binary8p3>{"binary8p3", 1,  5,
                                                     2,           16, reserved::minus_zero_is_nan_all_ones_is_infinity};
template <>
inline constexpr definition definition_of<binary8p4>{"binary8p4", 1, 4,
                                                     3,           8, reserved::minus_zero_is_nan_all_ones_is_infinity};
template <>
inline constexpr definition definition_of<e2m3>{"e2m3", 1, 2, 3, 1, reserved::nothing};
template <>
inline constexpr definition definition_of<e3m2>{"e3m2", 1, 3, 2, 3, reserved::nothing};
template <>
inline constexpr definition definition_of<e2m1>{"e2m1", 1, 2, 1, 1, reserved::nothing};
template <>
inline constexpr definition definition_of<half>{"half", 1, 5, 10, 15, reserved::ieee};
template <>
inline constexpr definition definition_of<bfloat16>{"bfloat16", 1, 8, 7, 127, reserved::ieee};
template <>
inline constexpr definition definition_of<e8m0>{"e8m0", 0, 8, 0, 127, reserved::all_ones_is_nan};

using signed_formats = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3,
                                        binary8p4, e2m3, e3m2, e2m1, half, bfloat16>;
using every_format = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4,
                                      e2m3, e3m2, e2m1, half, bfloat16, e8m0>;
/// Names the instances of a typed test after their format.
struct definition_names {
  template <class F>
  static std::string GetName(int) {
    return definition_of<F>.name;
  }
};

template <class F>
constexpr int code_count() {
  return definition_of<F>.code_count();
}

template <class F>
constexpr F from_code(int code) {
  return F::from_bits(static_cast<typename F::storage>(code));
}

/// The value of a code; infinities and NaN as doubles have them.
inline double value_of(const definition& d, int code) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan      = std::numeric_limits<double>::quiet_NaN();
  if (d.is_scale()) return code == 0xFF ? nan : std::ldexp(1.0, code - d.bias);

  const int half_way  = d.code_count() / 2;
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
template <class F>
double value_of(int code) {
  return value_of(definition_of<F>, code);
}

/// All finite values of a format, in order, each once.
inline std::vector<double> finite_values(const definition& d) {
  std::vector<double> values;
  for (int code = 0; code < d.code_count(); ++code) {
    if (std::isfinite(value_of(d, code))) values.push_back(value_of(d, code));
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// The smallest normal value, by the definition: the smallest exponent field of normals is 1, in a scale format 0.
inline double smallest_normal(const definition& d) { return std::ldexp(1.0, (d.is_scale() ? 0 : 1) - d.bias); }

/// One Record a format, made by make.operator()<F>(): a test then runs over records and is compiled once, not once a
/// format, which with fifteen of them is the difference between seconds and a minute.
template <class Record, class Make>
std::vector<Record> for_every_format(Make make) {
  return [&]<class... F>(::testing::Types<F...>) {
    return std::vector<Record> { make.template operator()<F>()... };
  }(every_format{});
}

/// Names the instances of a test over records after their format.
template <class Record>
std::string name_of_record(const ::testing::TestParamInfo<Record>& info) {
  return info.param.format.name;
}

}  // namespace quaver_test

#endif
