// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_CAST_STATS_N_HPP
#define QUAVER_CPU_CAST_STATS_N_HPP

#include <quaver/cpu/decode_n.hpp>
#include <quaver/format/classify.hpp>
#include <quaver/scale/cast_stats.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Adds one value and what became of it: `dequantised` is decode(code) * scale as decode_n gives it, `scaled` what was
/// rounded to F.
template <eight_bit F>
void add_to(cast_stats& stats, uint32_t x_bits, uint32_t scaled, F code, uint32_t dequantised) noexcept {
  constexpr float largest  = decode<float>((F::max)());
  constexpr uint32_t limit = bitwise_cast<uint32_t>(largest + decode<float>(ulp((F::max)())) / 2);  // exact in 8 bits
  const uint32_t magnitude = x_bits & binary<float>::magnitude_mask;
  stats.count += 1;
  if (magnitude > bitwise_cast<uint32_t>(stats.amax)) {
    stats.amax = bitwise_cast<float>(magnitude > binary<float>::infinity ? binary<float>::nan : magnitude);
  }
  if (magnitude >= binary<float>::infinity) {
    (magnitude > binary<float>::infinity ? stats.nan : stats.infinite) += 1;
    return;
  }
  const double value = static_cast<double>(bitwise_cast<float>(x_bits));
  const double error = value - static_cast<double>(bitwise_cast<float>(dequantised));
  stats.underflow += static_cast<int64_t>(magnitude != 0 && is_zero(code));
  const uint32_t reached = scaled & binary<float>::magnitude_mask;  // NaN where the scale was: that is not saturation
  stats.saturated += static_cast<int64_t>(reached > limit && reached <= binary<float>::infinity);
  stats.sum_x2 += value * value;
  stats.sum_error2 += error * error;
}

/// What the cast of x to y by `scale` did. y holds the codes that were made from x; see encode_n for the arrays.
template <eight_bit F, bulk_source T>
result<cast_stats> cast_stats_n(std::span<const T> x, tensor_scale scale, std::span<const F> y) {
  if (status bad = check_arrays("cast_stats_n", x, y); !bad.ok()) return bad;
  const standard_float_environment environment;
  cast_stats stats;
  for (size_t i = 0; i < x.size(); ++i) {
    const uint32_t bits        = binary32_bits(x[i]);
    const uint32_t scaled      = product_bits(bits, bitwise_cast<uint32_t>(scale.quant.value()));
    const uint32_t dequantised = product_bits(lookup_bits(y[i]), bitwise_cast<uint32_t>(scale.dequant.value()));
    add_to(stats, bits, scaled, y[i], dequantised);
  }
  return stats;
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
