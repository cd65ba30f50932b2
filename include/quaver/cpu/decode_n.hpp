// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_DECODE_N_HPP
#define QUAVER_CPU_DECODE_N_HPP

#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/array_checks.hpp>
#include <quaver/cpu/float_environment.hpp>
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

/// Rounds a binary32, given as its bits, to what bulk functions write: float, half or bfloat16, to nearest even,
/// infinity beyond the range.
template <bulk_source T>
T from_binary32_bits(uint32_t bits) noexcept {
  if constexpr (same_type<T, float>) return bitwise_cast<float>(bits);
  else return encode_bits<T, rounding::nearest_even, overflow::nonfinite>(bits);
}

/// The bits with every NaN made 7FC00000: one that went through arithmetic carries the machine's payload and sign.
inline uint32_t canonical_nan(uint32_t bits) noexcept {
  return (bits & binary<float>::magnitude_mask) > binary<float>::infinity ? binary<float>::nan : bits;
}

/// y[i] = decode(x[i]) * scale: one multiplication in binary32 to nearest even with subnormals kept, then (for half and
/// bfloat16) one rounding to T. NaN codes give NaN. The float environment and -ffast-math do not matter; lengths,
/// overlap and alignment as for encode_n.
template <any_format F, bulk_source T>
status decode_n(std::span<const F> x, dequant_scale scale, std::span<T> y) {
  if (status bad = check_arrays("decode_n", x, y); !bad.ok()) return bad;
  const uint32_t factor = bitwise_cast<uint32_t>(scale.value());
  const standard_float_environment environment;
  for (size_t i = 0; i < x.size(); ++i)
    y[i] = from_binary32_bits<T>(canonical_nan(product_bits(lookup_bits(x[i]), factor)));
  return {};
}

/// y[i] = decode(x[i]), exact as float.
template <any_format F, bulk_source T>
status decode_n(std::span<const F> x, std::span<T> y) {
  if (status bad = check_arrays("decode_n", x, y); !bad.ok()) return bad;
  for (size_t i = 0; i < x.size(); ++i) y[i] = from_binary32_bits<T>(lookup_bits(x[i]));
  return {};
}

// The same for arrays that could be written through.

template <any_format F, bulk_source T>
status decode_n(std::span<F> x, dequant_scale scale, std::span<T> y) {
  return decode_n(std::span<const F>(x), scale, y);
}
template <any_format F, bulk_source T>
status decode_n(std::span<F> x, std::span<T> y) {
  return decode_n(std::span<const F>(x), y);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
