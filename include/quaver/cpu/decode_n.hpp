// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_DECODE_N_HPP
#define QUAVER_CPU_DECODE_N_HPP

#include <quaver/convert/elements.hpp>
#include <quaver/cpu/array_checks.hpp>
#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/features.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/isa/avx2/decode.hpp>
#include <quaver/cpu/isa/avx512/decode.hpp>
#include <quaver/cpu/isa/neon/decode.hpp>
#include <quaver/scale/scale.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// All 256 codes of an 8-bit format as binary32 bits. 256 for the narrower too: bytes that came from elsewhere may have
/// bits above the format's, which are ignored as by from_bits.
template <eight_bit F>
struct decode_table {
  uint32_t bits[256];
  constexpr decode_table() : bits{} {
    for (int code = 0; code < 256; ++code) bits[code] = decode_bits(F::from_bits(static_cast<uint8_t>(code)));
  }
};
template <eight_bit F>
inline constexpr decode_table<F> decode_table_of{};

/// The binary32 bits of any format's value: a table look-up where a table is small.
template <any_format F>
uint32_t lookup_bits(F f) noexcept {
  if constexpr (eight_bit<F>) return decode_table_of<F>.bits[f.bits()];
  else return decode_bits(f);
}

/// The kernels of one conversion in each tier. They want a standard_float_environment.
template <any_format F, bool Scaled, bulk_source T>
struct decode_kernels {
  using call = decode_call<T>;

  static void portable_part(const call& c, size_t first, size_t end) {
    const F* const x = reinterpret_cast<const F*>(c.x);
    for (size_t i = first; i < end; ++i) {
      const uint32_t value = lookup_bits(x[i]);
      c.y[i]               = from_binary32_bits<T>(Scaled ? canonical_nan(product_bits(value, c.scale)) : value);
    }
  }
  static void portable(const call& c) { portable_part(c, 0, c.count); }
#if QUAVER_X86_64
  static void avx512(const call& c) {
    if constexpr (same_type<T, half> && !Scaled) cpu::avx512::decode<Scaled>(c, decoding_of<half, F>);
    else cpu::avx512::decode<Scaled>(c, decoding_of<bfloat16, F>);
  }
  static void avx2(const call& c) {
    if constexpr (same_type<T, half> && !Scaled) cpu::avx2::decode<Scaled>(c, nibble_decoding_of<half, F>);
    else cpu::avx2::decode<Scaled>(c, nibble_decoding_of<bfloat16, F>);
  }
#endif
#if QUAVER_AARCH64
  static void neon(const call& c) {
    if constexpr (same_type<T, half> && !Scaled) cpu::neon::decode<Scaled>(c, decoding_of<half, F>);
    else cpu::neon::decode<Scaled>(c, decoding_of<bfloat16, F>);
  }
#endif
  static auto of(tier t) noexcept -> void (*)(const call&) {
    return kernel_of<decode_kernels, (signed_format<F> && eight_bit<F>)>(t);
  }

  /// Decodes in the tier that is in force.
  static void run(const F* x, T* y, size_t count, uint32_t scale, bool past_caches) {
    static const auto kernel = of(active_tier());
    kernel({reinterpret_cast<const uint8_t*>(x), y, count, scale, past_caches, &portable_part});
  }
};

template <bool Scaled, any_format F, bulk_source T>
status decode_array(std::span<const F> x, uint32_t scale, std::span<T> y, const executor& on) {
  if (status bad = check_arrays("decode_n", x, y); !bad.ok()) return bad;
  const bool past_caches = y.size_bytes() >= past_caches_from;
  for_each_part(x.size(), on, [&](size_t begin, size_t end) {
    const standard_float_environment environment;
    decode_kernels<F, Scaled, T>::run(x.data() + begin, y.data() + begin, end - begin, scale, past_caches);
    if (past_caches) finish_stores();
  });
  return {};
}

/// y[i] = decode(x[i]) * scale: one multiplication in binary32 to nearest even with subnormals kept, then (for half and
/// bfloat16) one rounding to T. NaN codes give NaN. The float environment and -ffast-math do not matter; lengths,
/// overlap and alignment as for encode_n.
template <any_format F, bulk_source T>
status decode_n(std::span<const F> x, dequant_scale scale, std::span<T> y, const executor& on = {}) {
  return decode_array<true>(x, bitwise_cast<uint32_t>(scale.value()), y, on);
}

/// y[i] = decode(x[i]), exact as float.
template <any_format F, bulk_source T>
status decode_n(std::span<const F> x, std::span<T> y, const executor& on = {}) {
  return decode_array<false>(x, 0, y, on);
}

// The same for arrays that could be written through.

template <any_format F, bulk_source T>
status decode_n(std::span<F> x, dequant_scale scale, std::span<T> y, const executor& on = {}) {
  return decode_n(std::span<const F>(x), scale, y, on);
}
template <any_format F, bulk_source T>
status decode_n(std::span<F> x, std::span<T> y, const executor& on = {}) {
  return decode_n(std::span<const F>(x), y, on);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
