// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ENCODE_N_HPP
#define QUAVER_CPU_ENCODE_N_HPP

#include <quaver/base/philox.hpp>
#include <quaver/convert/elements.hpp>
#include <quaver/cpu/array_checks.hpp>
#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/features.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/isa/avx2/encode.hpp>
#include <quaver/cpu/isa/avx512/encode.hpp>
#include <quaver/cpu/isa/neon/encode.hpp>
#include <quaver/scale/cast_stats.hpp>
#include <quaver/scale/scale.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The word for element i, or none where the rounding asks for none.
template <rounding R>
uint32_t random_word(random_words words, size_t i) noexcept {
  if constexpr (R == rounding::stochastic) return philox_word(words.seed, words.first + i);
  else return 0;
}

/// One element: scale, then round. Call it inside a standard_float_environment.
template <any_format F, rounding R, overflow O, scaling S>
F encode_element(uint32_t x, uint32_t scale, uint32_t random) noexcept {
  if constexpr (S == scaling::multiply || S == scaling::multiply_blocks) x = product_bits(x, scale);
  if constexpr (S == scaling::divide) x = quotient_bits(x, scale);
  return encode_bits<F, R, O>(x, random);
}

/// The kernels of one conversion in each tier. They want a standard_float_environment.
template <any_format F, rounding R, overflow O, scaling S, bulk_source T>
struct encode_kernels {
  using call = encode_call<T>;

  static void portable_part(const call& c, size_t first, size_t end) {
    F* const y = reinterpret_cast<F*>(c.y);
    for (size_t i = first; i < end; ++i) {
      const uint32_t scale = S == scaling::multiply_blocks ? c.block_scales[i / c.block] : c.scale;
      y[i]                 = encode_element<F, R, O, S>(binary32_bits(c.x[i]), scale, random_word<R>(c.words, i));
    }
  }
  static void portable(const call& c) { portable_part(c, 0, c.count); }
#if QUAVER_X86_64
  static void avx512(const call& c) { cpu::avx512::encode<F::mantissa_bits, R, S>(c, encoding_of<F, R, O>()); }
  static void avx2(const call& c) { cpu::avx2::encode<F::mantissa_bits, R, S>(c, encoding_of<F, R, O>()); }
#endif
#if QUAVER_AARCH64
  static void neon(const call& c) { cpu::neon::encode<F::mantissa_bits, R, S>(c, encoding_of<F, R, O>()); }
#endif
  static auto of(tier t) noexcept -> void (*)(const call&) {
    return kernel_of<encode_kernels, (signed_format<F> && eight_bit<F>)>(t);
  }

  /// Encodes in the tier that is in force.
  static void run(const T* x, F* y, size_t count, uint32_t scale, random_words words, bool past_caches) {
    static const auto kernel = of(active_tier());
    kernel({.x           = x,
            .y           = reinterpret_cast<uint8_t*>(y),
            .count       = count,
            .scale       = scale,
            .past_caches = past_caches,
            .words       = words,
            .portable    = &portable_part});
  }
  /// The same, each `block` elements (a multiple of 16) by a factor of their own: scaling::multiply_blocks.
  static void run(const T* x, F* y, size_t count, const uint32_t* scales, size_t block, bool past_caches) {
    static const auto kernel = of(active_tier());
    kernel({.x            = x,
            .y            = reinterpret_cast<uint8_t*>(y),
            .count        = count,
            .past_caches  = past_caches,
            .block_scales = scales,
            .block        = block,
            .portable     = &portable_part});
  }
};

template <any_format F, rounding R, overflow O, scaling S, bulk_source T>
status encode_array(std::span<const T> x, uint32_t scale, std::span<F> y, random_words words, const executor& on) {
  if (status bad = check_arrays("encode_n", x, y); !bad.ok()) return bad;
  const bool past_caches = y.size_bytes() >= past_caches_from;
  for_each_part(x.size(), on, [&](size_t begin, size_t end) {
    const standard_float_environment environment;
    const random_words here{words.seed, words.first + begin};
    encode_kernels<F, R, O, S, T>::run(x.data() + begin, y.data() + begin, end - begin, scale, here, past_caches);
    if (past_caches) finish_stores();
  });
  return {};
}

/// y[i] = encode(x[i] * scale), from float, half or bfloat16 (a double would take a second rounding): one
/// multiplication in binary32 to nearest even with subnormals kept, then one rounding to F. The caller's rounding mode,
/// DAZ and FTZ do not matter and are left as they were; under -ffast-math NaN and infinity keep their meaning.
///
/// Any alignment. The arrays must have the same length and must not overlap; otherwise nothing is written and the
/// status names the numbers. `words` is read by rounding::stochastic alone. With an executor the array is cut into as
/// many parts as it has width; the bytes stay the same. Outputs of 8 MiB and more are written past the caches.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
status encode_n(std::span<const T> x, quant_scale scale, std::span<F> y, random_words words = {},
                const executor& on = {}) {
  return encode_array<F, R, O, scaling::multiply>(x, bitwise_cast<uint32_t>(scale.value()), y, words, on);
}

/// y[i] = encode(x[i] / scale), the quotient rounded once in binary32.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
status encode_n(std::span<const T> x, dequant_scale scale, std::span<F> y, random_words words = {},
                const executor& on = {}) {
  return encode_array<F, R, O, scaling::divide>(x, bitwise_cast<uint32_t>(scale.value()), y, words, on);
}

/// y[i] = encode(x[i]), one rounding straight from any source of encode (double and integers too).
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, conversion_source T>
status encode_n(std::span<const T> x, std::span<F> y, random_words words = {}, const executor& on = {}) {
  if constexpr (bulk_source<T>) return encode_array<F, R, O, scaling::none>(x, 0, y, words, on);
  else {
    if (status bad = check_arrays("encode_n", x, y); !bad.ok()) return bad;
    for (size_t i = 0; i < x.size(); ++i) {
      const uint32_t random = random_word<R>(words, i);
      // Bits, where -ffast-math could fold a test of a double.
      if constexpr (same_type<T, double>) y[i] = encode_bits64<F, R, O>(bitwise_cast<uint64_t>(x[i]), random);
      else if constexpr (R == rounding::stochastic) y[i] = encode<F, R, O>(x[i], random);
      else y[i] = encode<F, R, O>(x[i]);
    }
    return {};
  }
}

// The same for arrays that could be written through.

template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T,
          class Scale>
  requires same_type<Scale, quant_scale> || same_type<Scale, dequant_scale>
status encode_n(std::span<T> x, Scale scale, std::span<F> y, random_words words = {}, const executor& on = {}) {
  return encode_n<F, R, O>(std::span<const T>(x), scale, y, words, on);
}
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, conversion_source T>
status encode_n(std::span<T> x, std::span<F> y, random_words words = {}, const executor& on = {}) {
  return encode_n<F, R, O>(std::span<const T>(x), y, words, on);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
