// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ENCODE_WITH_STATS_N_HPP
#define QUAVER_CPU_ENCODE_WITH_STATS_N_HPP

#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/cast_stats_n.hpp>
#include <quaver/cpu/encode_n.hpp>

// Casts by a scale that is known beforehand, as delayed scaling and calibrated checkpoints have it, which also say what
// they saw: one pass over memory, in stretches that stay in the nearest cache between the two steps.

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Elements that are encoded, and then measured, while they are in the nearest cache.
inline constexpr size_t measured_stretch = 2048;

/// Encodes an array and adds what that did to the stats. Wants a standard_float_environment.
template <eight_bit F, rounding R, overflow O, scaling S, bulk_source T>
void encode_measured(const T* x, F* y, size_t count, uint32_t scale, uint32_t dequant, random_words words,
                     cast_stats& stats) {
  for (size_t at = 0; at < count; at += measured_stretch) {
    const size_t some = count - at < measured_stretch ? count - at : measured_stretch;
    encode_kernels<F, R, O, S, T>::run(x + at, y + at, some, scale, {words.seed, words.first + at}, false);
    stats_kernels<F, S, T>::run(x + at, y + at, some, scale, dequant, stats);
  }
}

/// encode_n(x, scale.quant, y), and what it did: amax, counts and errors, as cast_stats_n(x, scale, y) finds them after it.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
result<cast_stats> encode_with_stats_n(std::span<const T> x, tensor_scale scale, std::span<F> y,
                                       random_words words = {}, const executor& on = {}) {
  if (status bad = check_arrays("encode_with_stats_n", x, y); !bad.ok()) return bad;
  cast_stats sum;
  stats_total total(&sum);
  for_each_part(x.size(), on, [&](size_t begin, size_t end) {
    const standard_float_environment environment;
    cast_stats some;
    encode_measured<F, R, O, scaling::multiply>(
        x.data() + begin, y.data() + begin, end - begin, bitwise_cast<uint32_t>(scale.quant.value()),
        bitwise_cast<uint32_t>(scale.dequant.value()), {words.seed, words.first + begin}, some);
    total.add(some);
  });
  return sum;
}

/// encode_n(x, scale, y), and the amax of x before scaling, as amax_n(x) finds it.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
result<float> encode_with_amax_n(std::span<const T> x, quant_scale scale, std::span<F> y, random_words words = {},
                                 const executor& on = {}) {
  if (status bad = check_arrays("encode_with_amax_n", x, y); !bad.ok()) return bad;
  const bool past_caches = y.size_bytes() >= past_caches_from;
  uint32_t largest       = 0;
  for_each_part(x.size(), on, [&](size_t begin, size_t end) {
    const standard_float_environment environment;
    uint32_t here = 0;
    for (size_t at = begin; at < end; at += measured_stretch) {
      const size_t some = end - at < measured_stretch ? end - at : measured_stretch;
      here              = amax_bits(x.data() + at, some, here);
      encode_kernels<F, R, O, scaling::multiply, T>::run(x.data() + at, y.data() + at, some,
                                                         bitwise_cast<uint32_t>(scale.value()),
                                                         {words.seed, words.first + at}, past_caches);
    }
    if (past_caches) finish_stores();
    raise_to(largest, here);
  });
  return amax_from_bits(largest);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
