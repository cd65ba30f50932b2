// SPDX-License-Identifier: MIT
#ifndef QUAVER_CONVERT_DECODE_HPP
#define QUAVER_CONVERT_DECODE_HPP

#include <quaver/format/formats.hpp>

QUAVER_BEGIN_NAMESPACE

/// The layout of the two wide formats that values are decoded to and encoded from.
template <class T>
struct binary;
template <>
struct binary<float> {
  using bits                           = uint32_t;
  static constexpr int digits          = 23;
  static constexpr int bias            = 127;
  static constexpr bits sign_mask      = 0x8000'0000u;
  static constexpr bits magnitude_mask = 0x7FFF'FFFFu;
  static constexpr bits implicit_bit   = 0x0080'0000u;
  static constexpr bits infinity       = 0x7F80'0000u;
  static constexpr bits nan            = 0x7FC0'0000u;
};
template <>
struct binary<double> {
  using bits                           = uint64_t;
  static constexpr int digits          = 52;
  static constexpr int bias            = 1023;
  static constexpr bits sign_mask      = 0x8000'0000'0000'0000u;
  static constexpr bits magnitude_mask = 0x7FFF'FFFF'FFFF'FFFFu;
  static constexpr bits implicit_bit   = 0x0010'0000'0000'0000u;
  static constexpr bits infinity       = 0x7FF0'0000'0000'0000u;
  static constexpr bits nan            = 0x7FF8'0000'0000'0000u;
};

/// The bits of `f` as a binary32 or binary64: exact for every format. NaN becomes the quiet NaN without sign or
/// payload.
template <class T, signed_format F>
QUAVER_HOST_DEVICE constexpr typename binary<T>::bits decode_to_bits(F f) noexcept {
  using layout             = binary<T>;
  using word               = typename layout::bits;
  constexpr int widening   = layout::digits - F::mantissa_bits;
  constexpr int rebias     = layout::bias - F::exponent_bias;
  constexpr bool same_bias = rebias == 0;  // bfloat16 as binary32: subnormals stay subnormals
  static_assert(same_bias || rebias > F::mantissa_bits, "the subnormals of F are normal in T");

  const word magnitude = f.bits() & F::magnitude_mask;
  const word sign      = (f.bits() & F::sign_mask) != 0 ? layout::sign_mask : word{0};
  if (f.is_nan()) return layout::nan;
  if constexpr (F::has_infinity) {
    if (magnitude == F::infinity_magnitude) return sign | layout::infinity;
  }
  if (same_bias || magnitude >> F::mantissa_bits != 0)
    return sign | ((magnitude << widening) + (word{rebias} << layout::digits));
  if (magnitude == 0) return sign;
  // A subnormal is a small integer times 2^(1 - bias - M). That integer converts exactly, whatever the rounding mode,
  // and scaling it is a subtraction from its exponent.
  const word integer = bitwise_cast<word>(static_cast<T>(static_cast<int>(magnitude)));
  return sign | (integer - (word{F::exponent_bias - 1 + F::mantissa_bits} << layout::digits));
}

/// e8m0: a power of two. 2^-127 is a subnormal binary32.
template <class T, class F>
  requires same_type<F, e8m0>
QUAVER_HOST_DEVICE constexpr typename binary<T>::bits decode_to_bits(F f) noexcept {
  using layout = binary<T>;
  using word   = typename layout::bits;
  if (f.is_nan()) return layout::nan;
  constexpr int rebias = layout::bias - e8m0::exponent_bias;
  if (rebias == 0 && f.bits() == 0) return layout::implicit_bit / 2;
  return (word{f.bits()} + word{rebias}) << layout::digits;
}

/// The bits of `f` as a binary32.
template <any_format F>
QUAVER_HOST_DEVICE constexpr uint32_t decode_bits(F f) noexcept {
  return decode_to_bits<float>(f);
}

/// `f` as an integer: the fraction is cut off as by static_cast, what is out of range becomes the nearest limit, NaN
/// becomes 0.
template <conversion_integer T, any_format F>
QUAVER_HOST_DEVICE constexpr T decode_to_integer(F f) noexcept {
  constexpr int digits     = static_cast<int>(sizeof(T)) * 8 - (static_cast<T>(-1) < T{0} ? 1 : 0);
  constexpr T largest      = static_cast<T>(~uint64_t{0} >> (64 - digits));
  constexpr T smallest     = digits % 8 == 0 ? T{0} : static_cast<T>(-largest - 1);
  const uint64_t bits      = decode_to_bits<double>(f);
  const uint64_t magnitude = bits & binary<double>::magnitude_mask;
  const bool negative      = bits != magnitude;
  const int exponent       = static_cast<int>(magnitude >> binary<double>::digits) - binary<double>::bias;
  if (f.is_nan() || exponent < 0) return T{0};
  if (exponent >= digits) return negative ? smallest : largest;
  // No format has more than 24 significant bits, so the integer part is exact in either direction of the shift.
  const uint64_t significand = (magnitude & (binary<double>::implicit_bit - 1)) | binary<double>::implicit_bit;
  const uint64_t integer     = exponent <= binary<double>::digits ? significand >> (binary<double>::digits - exponent)
                                                                  : significand << (exponent - binary<double>::digits);
  if (!negative) return static_cast<T>(integer);
  return smallest == T{0} ? T{0} : static_cast<T>(-static_cast<int64_t>(integer));
}

/// The value of `f` as a T. float and double hold every value exactly. Integers: see decode_to_integer. half and
/// bfloat16 are in convert/recode.hpp.
template <arithmetic T, any_format F>
QUAVER_HOST_DEVICE constexpr T decode(F f) noexcept {
  if constexpr (conversion_integer<T>) return decode_to_integer<T>(f);
  else return bitwise_cast<T>(decode_to_bits<T>(f));
}

static_assert(decode<float>(e4m3::from_bits(0x01)) == 0x1p-9f && decode<double>((e4m3::max)()) == 448.0);
static_assert(decode_bits(e8m0::from_bits(0)) == 0x0040'0000u && decode<float>((bfloat16::max)()) == 0x1.FEp127f);
static_assert(decode<int>(e5m2::lowest()) == -57344 && decode<signed char>(e5m2::lowest()) == -128);

QUAVER_END_NAMESPACE

#endif
