// SPDX-License-Identifier: MIT
#ifndef QUAVER_REFERENCE_QUANTIZE_HPP
#define QUAVER_REFERENCE_QUANTIZE_HPP

// The oracle's quantiser: each rule spelt out once more, one value at a time, with the float and long double arithmetic
// of the machine. It must run in the default float environment and without -ffast-math. Of scale/ and tensor/ it uses
// the names and plain data (policies, layouts, views) and no function.

#include <quaver/reference/encode.hpp>
#include <quaver/scale/cast_stats.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

QUAVER_BEGIN_NAMESPACE

namespace reference {

/// One float operation, in float, now: volatile operands are neither folded nor contracted nor reassociated.
inline float product(float a, float b) noexcept {
  const volatile float x = a;
  const volatile float y = b;
  const volatile float z = x * y;
  return z;
}
inline float quotient(float a, float b) noexcept {
  const volatile float x = a;
  const volatile float y = b;
  const volatile float z = x / y;
  return z;
}

/// a / b of positive numbers, FLT_MAX at most and 2^-149 at least.
inline float bounded_quotient(float a, float b) noexcept {
  return std::clamp(quotient(a, b), std::numeric_limits<float>::denorm_min(), (std::numeric_limits<float>::max)());
}

/// Any format's value as a float: exact. And a float, half or bfloat16 element.
template <any_format F>
float to_float(F f) noexcept {
  return static_cast<float>(decode(f));
}
inline float to_float(float x) noexcept { return x; }

/// The two directions of a scale.
struct scale_pair {
  float quant;
  float dequant;
};

/// The scale that takes `amax` to `largest` under a policy.
inline scale_pair scale_for(float amax, float largest, const scale_policy& policy) noexcept {
  float size = std::fabs(amax);
  if (std::isfinite(policy.amax_floor) && size < std::fabs(policy.amax_floor)) size = std::fabs(policy.amax_floor);
  if (size == 0 || !std::isfinite(size)) {
    const special_amax action = size == 0 ? policy.on_zero : std::isnan(size) ? policy.on_nan : policy.on_infinite;
    if (action == special_amax::unit) return {1.0f, 1.0f};
    if (action == special_amax::poison)
      return {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::quiet_NaN()};
    size = size == 0 ? std::numeric_limits<float>::denorm_min() : (std::numeric_limits<float>::max)();
  }
  const float target =
      static_cast<float>(std::ldexp(static_cast<double>(largest), -std::clamp(policy.margin, -126, 126)));
  if (policy.rounding == scale_rounding::power_of_two) {
    // The largest power of two that keeps amax at or below the target and has an exact reciprocal.
    int exponent = 127;
    while (exponent > -127 && std::ldexp(static_cast<long double>(size), exponent) > static_cast<long double>(target))
      --exponent;
    return {std::ldexp(1.0f, exponent), std::ldexp(1.0f, -exponent)};
  }
  if (policy.direction == scale_direction::quant_first) {
    const float quant = bounded_quotient(target, size);
    return {quant, bounded_quotient(1.0f, quant)};
  }
  const float dequant = bounded_quotient(size, target);
  return {bounded_quotient(1.0f, dequant), dequant};
}

/// The code of an MX block's scale.
template <any_format F>
uint8_t mx_code(float amax, mx_rule rule) noexcept {
  const float size = std::fabs(amax);
  if (std::isnan(size)) return 0xFF;
  if (std::isinf(size)) return 0xFE;
  const double largest = decode((F::max)());
  int code             = 0;
  if (rule == mx_rule::round_up) {
    // The first power of two at or above amax * fl(1 / max).
    const float wanted = product(size, quotient(1.0f, static_cast<float>(largest)));
    for (double power = power_of_two(-127); code < 0xFE && power < static_cast<double>(wanted); power *= 2) ++code;
    return static_cast<uint8_t>(code);
  }
  if (size == 0) return 0;
  int exponent = std::ilogb(size);
  if (rule == mx_rule::round_three_quarter && std::ldexp(static_cast<double>(size), -exponent) >= 1.75) ++exponent;
  code = exponent - std::ilogb(largest) + 127;
  return static_cast<uint8_t>(code < 0 ? 0 : code > 0xFE ? 0xFE : code);
}

/// How to quantise.
struct quantize_rules {
  scale_policy policy{};
  mx_rule mx            = mx_rule::round_up;
  bool divides          = false;  ///< x / dequant, not x * quant
  rounding round        = rounding::nearest_even;
  overflow limit        = overflow::saturate;
  const uint32_t* words = nullptr;  ///< stochastic: one an element, row-major
  const float* given    = nullptr;  ///< dequantisation scales to use, in the order of the layout; null: made from amax
};

/// What quantising a matrix gives. Matrices row-major, scales in the order of the layout.
template <any_format F>
struct quantized {
  std::vector<F> codes{};
  std::vector<float> scales{};         ///< what decoded codes are multiplied by, whatever the scale type
  std::vector<uint8_t> scale_codes{};  ///< E8M0 or E4M3
  float tensor_wide = 0.0f;            ///< NVFP4
  cast_stats stats{};
};

/// amax as every reduction here defines it: NaN above infinity above numbers.
inline float larger(float amax, float x) noexcept {
  const float size = std::fabs(x);
  return std::isnan(amax) || std::isnan(size) ? std::numeric_limits<float>::quiet_NaN() : size > amax ? size : amax;
}

/// Where the scale of a block stands in tiles of 128 x 4, `across` blocks beside each other: by the way back, from an
/// offset in a tile to its row and column, as cuBLAS documents it.
inline int64_t place_in_tiles(int64_t down, int64_t right, int64_t across) {
  static const std::vector<int64_t> offset_of = [] {
    std::vector<int64_t> found(512);
    for (int64_t offset = 0; offset < 512; ++offset) {
      const int64_t outer                           = offset % 16 / 4 * 32 + offset / 16;
      const int64_t inner                           = offset % 4;
      found[static_cast<size_t>(outer * 4 + inner)] = offset;
    }
    return found;
  }();
  int64_t tiles_across = 0;
  while (tiles_across * 4 < across) ++tiles_across;
  return 512 * (down / 128 * tiles_across + right / 4) + offset_of[static_cast<size_t>(down % 128 * 4 + right % 4)];
}

/// How many blocks an extent has, by counting.
inline int64_t count_blocks(int64_t extent, int64_t block) noexcept {
  int64_t count = 0;
  for (int64_t at = 0; at < extent; at += block) ++count;
  return count;
}

/// The oracle: the whole contract of a quantisation, one element at a time. Scales that pad tiles are zero.
template <any_format F, class T>
quantized<F> quantize(const matrix_view<const T>& x, const scale_layout& layout, const quantize_rules& rules = {}) {
  quantized<F> out;
  const float largest = to_float((F::max)());

  // Blocks by their key in the order in which their scales lie.
  using key           = std::pair<int64_t, int64_t>;
  const auto block_of = [&](int64_t r, int64_t c) {
    const int64_t down  = layout.block_rows == 0 ? 0 : r / layout.block_rows;
    const int64_t right = layout.block_cols == 0 ? 0 : c / layout.block_cols;
    if (layout.order == scale_order::tiles_128x4) {
      const int64_t across = count_blocks(x.cols, layout.block_cols == 0 ? x.cols : layout.block_cols);
      return key{place_in_tiles(down, right, across), 0};
    }
    return layout.order == scale_order::row_major ? key{down, right} : key{right, down};
  };
  std::map<key, float> amax;
  float whole = 0;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < x.cols; ++c) {
      const float value = to_float(x.data[r * x.row_stride + c * x.col_stride]);
      float& here       = amax.try_emplace(block_of(r, c), 0.0f).first->second;
      here              = larger(here, value);
      whole             = larger(whole, value);
    }
  }

  std::map<key, scale_pair> scales;
  if (layout.type == scale_type::nvfp4_e4m3 && !amax.empty()) {
    scale_policy policy = rules.policy;
    policy.direction    = scale_direction::dequant_first;
    out.tensor_wide     = scale_for(whole, 6.0f * 448.0f, policy).dequant;
  }
  const auto pad_to = [&](int64_t place) {
    while (static_cast<int64_t>(out.scales.size()) < place) {
      out.scales.push_back(0.0f);
      if (layout.type != scale_type::f32 && rules.given == nullptr) out.scale_codes.push_back(0);
    }
  };
  const bool tiles = layout.order == scale_order::tiles_128x4;
  for (const auto& [at, size] : amax) {
    if (tiles) pad_to(at.first);
    scale_pair scale{};
    const float stored_given = rules.given != nullptr ? rules.given[out.scales.size()] : 0.0f;
    if (rules.given == nullptr && layout.type == scale_type::f32) {
      scale = scale_for(size, largest, rules.policy);
    } else {
      float stored = stored_given;
      if (rules.given == nullptr && layout.type == scale_type::mx_e8m0) {
        out.scale_codes.push_back(mx_code<F>(size, rules.mx));
        stored = to_float(e8m0::from_bits(out.scale_codes.back()));
      } else if (rules.given == nullptr) {
        const exact wanted = from_f32(bitwise_cast<uint32_t>(quotient(quotient(size, 6.0f), out.tensor_wide)));
        const e4m3 code    = encode<e4m3>(wanted, rounding::nearest_even, overflow::saturate);
        out.scale_codes.push_back(code.bits());
        stored = product(to_float(code), out.tensor_wide);
      }
      // The rounded reciprocal of what is stored: FLT_MAX at most in magnitude, 0 for 0, NaN for NaN.
      const float reciprocal = stored == 0 || std::isnan(stored)
                                   ? stored
                                   : (std::min)(quotient(1.0f, std::fabs(stored)), (std::numeric_limits<float>::max)());
      scale                  = {stored < 0 ? -reciprocal : reciprocal, stored};
    }
    scales[at] = scale;
    out.scales.push_back(scale.dequant);
  }
  if (tiles) pad_to((static_cast<int64_t>(out.scales.size()) + 511) / 512 * 512);

  long double sum_x2     = 0;
  long double sum_error2 = 0;
  const double step =
      decode((F::max)()) - decode(F::from_bits(static_cast<typename F::storage>((F::max)().bits() - 1)));
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < x.cols; ++c) {
      const float value      = to_float(x.data[r * x.row_stride + c * x.col_stride]);
      const scale_pair scale = scales.at(block_of(r, c));
      // Where the stored scale is 0 there is nothing to divide by: every code is that of 0.
      const float scaled =
          rules.divides && scale.quant != 0 ? quotient(value, scale.dequant) : product(value, scale.quant);
      const exact number = from_f32(bitwise_cast<uint32_t>(scaled));
      const F code       = rules.round == rounding::stochastic
                               ? encode_stochastic<F>(number, rules.words[r * x.cols + c], rules.limit)
                               : encode<F>(number, rules.round, rules.limit);
      out.codes.push_back(code);

      out.stats.count += 1;
      out.stats.amax = larger(out.stats.amax, value);
      if (std::isnan(value)) out.stats.nan += 1;
      if (std::isinf(value)) out.stats.infinite += 1;
      if (!std::isfinite(value)) continue;
      if (value != 0 && decode(code) == 0) out.stats.underflow += 1;
      if (std::fabs(static_cast<double>(scaled)) > decode((F::max)()) + step / 2) out.stats.saturated += 1;
      const long double exact_value = static_cast<long double>(value);
      const long double error       = exact_value - static_cast<long double>(product(to_float(code), scale.dequant));
      sum_x2 += exact_value * exact_value;
      sum_error2 += error * error;
    }
  }
  out.stats.sum_x2     = static_cast<double>(sum_x2);
  out.stats.sum_error2 = static_cast<double>(sum_error2);
  return out;
}

}  // namespace reference

QUAVER_END_NAMESPACE

#endif
