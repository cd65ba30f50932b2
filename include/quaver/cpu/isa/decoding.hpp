// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_DECODING_HPP
#define QUAVER_CPU_ISA_DECODING_HPP

#include <quaver/convert/recode.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// A format as tables, so that one vector kernel serves all formats: bfloat16 or half values of the 128 codes without
/// the top bit, in two halves as byte shuffles want them. Narrower formats have all their codes there, sign included,
/// again and again: the bits above them are ignored, as by from_bits. In formats of 8 bits the top bit is the sign but
/// for NaNs, which have none.
struct decoding {
  alignas(64) uint8_t low[128];
  alignas(64) uint8_t high[128];
  uint8_t sign_mask;          ///< 0x80, or 0 for narrower formats
  uint8_t last_with_sign;     ///< codes above this are NaNs
  bool nan_is_negative_zero;  ///< the one NaN stands at 80, and is:
  uint8_t nan_low;
  uint8_t nan_high;

  template <class T, signed_format F>
  static constexpr decoding of() noexcept {
    decoding d{};
    for (int code = 0; code < 128; ++code) {
      const uint16_t bits = decode<T>(F::from_bits(static_cast<uint8_t>(code))).bits();
      d.low[code]         = static_cast<uint8_t>(bits & 0xFF);
      d.high[code]        = static_cast<uint8_t>(bits >> 8);
    }
    d.sign_mask            = F::width == 8 ? 0x80 : 0;
    d.nan_is_negative_zero = F::has_nan && F::nan_code == 0x80;
    const uint16_t nan     = T::nan().bits();
    d.nan_low              = static_cast<uint8_t>(nan & 0xFF);
    d.nan_high             = static_cast<uint8_t>(nan >> 8);
    uint8_t last           = 0xFF;
    while (F::width == 8 && F::from_bits(last).is_nan()) --last;
    d.last_with_sign = last;
    return d;
  }
};

/// The tables for values of F as T: bfloat16, also on the way to float (every value of an 8-bit format is one), or half.
template <class T, signed_format F>
  requires eight_bit<F>
inline constexpr decoding decoding_of = decoding::of<T, F>();

/// A format as tables of 16 entries, for byte shuffles no wider than that: the bytes of a normal value are put together
/// from one table for each half of the code's magnitude, low = low_of_low ^ low_of_high and high = high_of_low +
/// high_of_high; those of subnormals, infinities and NaNs follow from the low half.
struct nibble_decoding {
  alignas(16) uint8_t low_of_low[16];
  alignas(16) uint8_t low_of_high[16];
  alignas(16) uint8_t high_of_low[16];
  alignas(16) uint8_t high_of_high[16];
  alignas(16) uint8_t subnormal_low[16];
  alignas(16) uint8_t subnormal_high[16];
  alignas(16) uint8_t special_low[16];
  alignas(16) uint8_t special_high[16];
  uint8_t magnitude_mask;
  uint8_t first_normal;       ///< the smallest magnitude that is normal in F and in T
  uint8_t largest;            ///< magnitude of the largest finite value
  uint8_t sign_shift;         ///< unused bits above the format
  uint8_t last_with_sign;     ///< codes above this, shifted, are NaNs
  bool nan_is_negative_zero;  ///< the one NaN stands at 80, and is:
  uint8_t nan_low;
  uint8_t nan_high;

  template <class T, signed_format F>
  static constexpr nibble_decoding of() noexcept {
    // A normal value of T with the mantissa and exponent of a magnitude: a shift and a change of bias.
    const auto normal = [](unsigned magnitude) {
      const unsigned bias = static_cast<unsigned>(T::exponent_bias - F::exponent_bias) << T::mantissa_bits;
      return (magnitude << (T::mantissa_bits - F::mantissa_bits)) + bias;
    };
    const auto low  = [](unsigned bits) { return static_cast<uint8_t>(bits & 0xFF); };
    const auto high = [](unsigned bits) { return static_cast<uint8_t>(bits >> 8 & 0xFF); };
    nibble_decoding d{};
    for (unsigned i = 0; i < 16; ++i) {
      d.low_of_low[i]          = low(normal(i));
      d.high_of_low[i]         = high(normal(i));
      d.low_of_high[i]         = low(normal(16 * i)) ^ low(normal(0));
      d.high_of_high[i]        = static_cast<uint8_t>(high(normal(16 * i)) - high(normal(0)));
      const uint16_t subnormal = decode<T>(F::from_bits(static_cast<uint8_t>(i))).bits();
      const uint16_t special   = decode<T>(F::from_bits(static_cast<uint8_t>((F::magnitude_mask & 0x70) | i))).bits();
      d.subnormal_low[i]       = low(subnormal);
      d.subnormal_high[i]      = high(subnormal);
      d.special_low[i]         = low(special);
      d.special_high[i]        = high(special);
    }
    d.magnitude_mask = F::magnitude_mask;
    d.first_normal   = 1u << F::mantissa_bits;
    while ((decode<T>(F::from_bits(d.first_normal)).bits() >> T::mantissa_bits) == 0) ++d.first_normal;
    d.largest              = F::max_magnitude;
    d.sign_shift           = 8 - F::width;
    d.last_with_sign       = decoding_of<T, F>.last_with_sign;
    d.nan_is_negative_zero = decoding_of<T, F>.nan_is_negative_zero;
    d.nan_low              = decoding_of<T, F>.nan_low;
    d.nan_high             = decoding_of<T, F>.nan_high;
    return d;
  }
};
template <class T, signed_format F>
  requires eight_bit<F>
inline constexpr nibble_decoding nibble_decoding_of = nibble_decoding::of<T, F>();

/// What a decode kernel of any tier is given.
template <class T>
struct decode_call {
  const uint8_t* x;
  T* y;
  size_t count;
  uint32_t scale;    ///< binary32 bits of what to multiply by; read by kernels that scale
  bool past_caches;  ///< whether y is written with non-temporal stores; the caller calls finish_stores() at the end
  /// Decodes elements [first, end): for scales that make NaNs or are one, and for the ends of arrays.
  void (*portable)(const decode_call&, size_t first, size_t end);
};

/// Whether products with this scale are NaN for NaN codes alone: then no NaN needs to be made canonical.
constexpr bool is_plain_scale(uint32_t bits) noexcept {
  const uint32_t magnitude = bits & binary<float>::magnitude_mask;
  return magnitude != 0 && magnitude < binary<float>::infinity;
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
