// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ENCODE_N_HPP
#define QUAVER_CPU_ENCODE_N_HPP

#include <quaver/base/philox.hpp>
#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/array_checks.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/scale/cast_stats.hpp>
#include <quaver/scale/scale.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Where stochastic rounding takes its words: element i of the call uses philox_word(seed, first + i), i being the
/// row-major position. Casts of parts with the right `first` give the bytes of one cast of the whole.
struct random_words {
  uint64_t seed  = 0;
  uint64_t first = 0;
};

/// Multiplies by a scale, in binary32, to nearest even: what encode_n does with a quant_scale and with none.
struct scale_by {
  uint32_t factor;
  uint32_t operator()(uint32_t x) const noexcept { return product_bits(x, factor); }
};

/// Divides by a scale, rounded once: what encode_n does with a dequant_scale.
struct divide_by {
  uint32_t divisor;
  uint32_t operator()(uint32_t x) const noexcept { return quotient_bits(x, divisor); }
};

/// One element: scale, then round. Call it inside a standard_float_environment.
template <any_format F, rounding R, overflow O, bulk_source T, class Scale>
F encode_element(const T& x, const Scale& scale, uint32_t random) noexcept {
  return encode_bits<F, R, O>(scale(binary32_bits(x)), random);
}

/// The word for element i, or none where the rounding asks for none.
template <rounding R>
uint32_t random_word(random_words words, size_t i) noexcept {
  if constexpr (R == rounding::stochastic) return philox_word(words.seed, words.first + i);
  else return 0;
}

template <any_format F, rounding R, overflow O, bulk_source T, class Scale>
status encode_array(std::span<const T> x, const Scale& scale, std::span<F> y, random_words words) {
  if (status bad = check_arrays("encode_n", x, y); !bad.ok()) return bad;
  const standard_float_environment environment;
  for (size_t i = 0; i < x.size(); ++i) y[i] = encode_element<F, R, O>(x[i], scale, random_word<R>(words, i));
  return {};
}

/// y[i] = encode(x[i] * scale), from float, half or bfloat16 (a double would take a second rounding): one
/// multiplication in binary32 to nearest even with subnormals kept, then one rounding to F. The caller's rounding mode,
/// DAZ and FTZ do not matter and are left as they were; under -ffast-math NaN and infinity keep their meaning.
///
/// Any alignment. The arrays must have the same length and must not overlap; otherwise nothing is written and the
/// status names the numbers. `words` is read by rounding::stochastic alone.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
status encode_n(std::span<const T> x, quant_scale scale, std::span<F> y, random_words words = {}) {
  return encode_array<F, R, O>(x, scale_by{bitwise_cast<uint32_t>(scale.value())}, y, words);
}

/// y[i] = encode(x[i] / scale), the quotient rounded once in binary32.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
status encode_n(std::span<const T> x, dequant_scale scale, std::span<F> y, random_words words = {}) {
  return encode_array<F, R, O>(x, divide_by{bitwise_cast<uint32_t>(scale.value())}, y, words);
}

/// y[i] = encode(x[i]), one rounding straight from any source of encode (double and integers too).
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, conversion_source T>
status encode_n(std::span<const T> x, std::span<F> y, random_words words = {}) {
  if (status bad = check_arrays("encode_n", x, y); !bad.ok()) return bad;
  for (size_t i = 0; i < x.size(); ++i) {
    // Bits, where -ffast-math could fold a test of a float.
    if constexpr (same_type<T, float>)
      y[i] = encode_bits<F, R, O>(bitwise_cast<uint32_t>(x[i]), random_word<R>(words, i));
    else if constexpr (same_type<T, double>)
      y[i] = encode_bits64<F, R, O>(bitwise_cast<uint64_t>(x[i]), random_word<R>(words, i));
    else if constexpr (R == rounding::stochastic) y[i] = encode<F, R, O>(x[i], random_word<R>(words, i));
    else y[i] = encode<F, R, O>(x[i]);
  }
  return {};
}

// The same for arrays that could be written through.

template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T,
          class Scale>
  requires same_type<Scale, quant_scale> || same_type<Scale, dequant_scale>
status encode_n(std::span<T> x, Scale scale, std::span<F> y, random_words words = {}) {
  return encode_n<F, R, O>(std::span<const T>(x), scale, y, words);
}
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, conversion_source T>
status encode_n(std::span<T> x, std::span<F> y, random_words words = {}) {
  return encode_n<F, R, O>(std::span<const T>(x), y, words);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
