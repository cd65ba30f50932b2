// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_ARITHMETIC_HPP
#define QUAVER_VALUE_ARITHMETIC_HPP

#include <quaver/convert/encode.hpp>
#include <quaver/format/classify.hpp>

// Opt-in: + - * / on values of one format, and add, subtract, multiply, divide, fma, sqrt with the modes of encode.
// Each is the exact result, rounded once, in integers: so in constant expressions too, on the device, and whatever the
// rounding mode of the FPU. This is for tests, tables and small code. Sums and products of arrays belong in float, see
// cpu/ and cuda/.

QUAVER_BEGIN_NAMESPACE

/// Formats with at most 11 significant bits: all but e8m0 and binary32.
template <class F>
concept arithmetic_format = signed_format<F> && F::mantissa_bits <= 10;

/// (-1)^negative * magnitude * 2^exponent.
struct exact_number {
  uint64_t magnitude;
  int exponent;
  bool negative;
};

/// The value of a finite `f`, with a magnitude of at most 11 bits.
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr exact_number exactly(F f) noexcept {
  const auto x       = unpack_bits<float>(decode_bits(f));
  constexpr int zero = binary<float>::digits - 10;  // bits that no such format fills
  return {x.significand >> zero, x.exponent - 10, x.negative};
}

/// Rounds x * (1 + a bit, if `inexact`) to F. An inexact x has at least 25 bits: more than enough below the last that
/// counts.
template <arithmetic_format F, rounding R, overflow O>
QUAVER_HOST_DEVICE constexpr F round_to(exact_number x, bool inexact = false) noexcept {
  constexpr int digits   = 60;
  const int zeros        = leading_zeros(x.magnitude);
  const uint64_t aligned = zeros < 64 ? x.magnitude << zeros : 0;
  return encode_unpacked<F, R, O>(
      unpacked<uint64_t, digits>{
          .significand = aligned >> 3 | static_cast<uint64_t>((aligned & 7) != 0 || inexact),
          .exponent    = zeros < 64 ? 63 - zeros + x.exponent : -1024,  // zero lies below every normal
          .negative    = x.negative,
          .infinite    = false,
          .nan         = false,
      },
      0);
}

/// What encode<F, R, O> makes of an infinity.
template <arithmetic_format F, overflow O>
QUAVER_HOST_DEVICE constexpr F round_infinity(bool negative) noexcept {
  const uint32_t sign = negative ? binary<float>::sign_mask : 0;
  return encode_bits<F, rounding::nearest_even, O>(sign | binary<float>::infinity);
}

/// x + y for magnitudes of at most 22 bits. A sum of exactly zero is -0 where both are negative or, of opposite signs,
/// R is downward (IEEE 754, 6.3).
template <arithmetic_format F, rounding R, overflow O>
QUAVER_HOST_DEVICE constexpr F round_sum(exact_number x, exact_number y) noexcept {
  if (x.magnitude == 0 && y.magnitude == 0) {
    x.negative = R == rounding::downward ? x.negative || y.negative : x.negative && y.negative;
    return round_to<F, R, O>(x);
  }
  if (x.magnitude == 0) return round_to<F, R, O>(y);
  if (y.magnitude == 0) return round_to<F, R, O>(x);
  if (x.exponent < y.exponent) {
    const exact_number z = x;
    x                    = y;
    y                    = z;
  }
  // Up to 40 binades apart the sum is exact in 63 bits. Beyond, y is below 2^21 units of the last place of x * 2^40,
  // and rounding at 11 bits, 2^28 units and more apart, sees no more of it than its sign: one unit will do.
  constexpr int reach = 40;
  const int gap       = x.exponent - y.exponent;
  const int shift     = gap < reach ? gap : reach;
  const uint64_t big  = x.magnitude << shift;
  const uint64_t tiny = gap <= reach ? y.magnitude : 1;
  exact_number sum{big + tiny, x.exponent - shift, x.negative};
  if (x.negative != y.negative) {
    sum.magnitude = big > tiny ? big - tiny : tiny - big;
    sum.negative  = big > tiny ? x.negative : y.negative;
    if (big == tiny) sum.negative = R == rounding::downward;
  }
  return round_to<F, R, O>(sum);
}

/// a + b, rounded once. inf - inf and whatever meets a NaN is NaN. All these functions end as encode does, saturating
/// unless told otherwise: an infinite result, even of an infinite operand, is the largest finite value by default; ask
/// for overflow::nonfinite to have it as IEEE 754 does. A format without NaN gives its largest value for NaN.
template <rounding R = rounding::nearest_even, overflow O = overflow::saturate, arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F add(F a, F b) noexcept {
  if (isnan(a) || isnan(b)) return F::nan();
  if (isinf(a)) return isinf(b) && signbit(a) != signbit(b) ? F::nan() : round_infinity<F, O>(signbit(a));
  if (isinf(b)) return round_infinity<F, O>(signbit(b));
  return round_sum<F, R, O>(exactly(a), exactly(b));
}

/// a - b, rounded once.
template <rounding R = rounding::nearest_even, overflow O = overflow::saturate, arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F subtract(F a, F b) noexcept {
  if (isnan(a) || isnan(b)) return F::nan();
  if (isinf(a)) return isinf(b) && signbit(a) == signbit(b) ? F::nan() : round_infinity<F, O>(signbit(a));
  if (isinf(b)) return round_infinity<F, O>(!signbit(b));
  exact_number y = exactly(b);
  y.negative     = !y.negative;  // not through -b: a format without -0 would lose the sign of zero, and x - 0 its rule
  return round_sum<F, R, O>(exactly(a), y);
}

/// a * b, rounded once; 0 * inf is NaN.
template <rounding R = rounding::nearest_even, overflow O = overflow::saturate, arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F multiply(F a, F b) noexcept {
  if (isnan(a) || isnan(b)) return F::nan();
  const bool negative = signbit(a) != signbit(b);
  if (isinf(a) || isinf(b)) return is_zero(a) || is_zero(b) ? F::nan() : round_infinity<F, O>(negative);
  const exact_number x = exactly(a);
  const exact_number y = exactly(b);
  return round_to<F, R, O>({x.magnitude * y.magnitude, x.exponent + y.exponent, negative});
}

/// a / b, rounded once; x / 0 is infinite, 0 / 0 and inf / inf are NaN.
template <rounding R = rounding::nearest_even, overflow O = overflow::saturate, arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F divide(F a, F b) noexcept {
  if (isnan(a) || isnan(b) || (isinf(a) && isinf(b)) || (is_zero(a) && is_zero(b))) return F::nan();
  const bool negative = signbit(a) != signbit(b);
  if (isinf(a) || is_zero(b)) return round_infinity<F, O>(negative);
  if (isinf(b)) return round_to<F, R, O>({0, 0, negative});
  const exact_number x     = exactly(a);
  const exact_number y     = exactly(b);
  const uint64_t numerator = x.magnitude << 40;  // so the quotient has 29 bits at least
  return round_to<F, R, O>({numerator / y.magnitude, x.exponent - y.exponent - 40, negative},
                           numerator % y.magnitude != 0);
}

/// a * b + c, rounded once.
template <rounding R = rounding::nearest_even, overflow O = overflow::saturate, arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F fma(F a, F b, F c) noexcept {
  if (isnan(a) || isnan(b) || isnan(c)) return F::nan();
  const bool negative = signbit(a) != signbit(b);
  if (isinf(a) || isinf(b)) {
    const bool invalid = is_zero(a) || is_zero(b) || (isinf(c) && signbit(c) != negative);
    return invalid ? F::nan() : round_infinity<F, O>(negative);
  }
  if (isinf(c)) return round_infinity<F, O>(signbit(c));
  const exact_number x = exactly(a);
  const exact_number y = exactly(b);
  return round_sum<F, R, O>({x.magnitude * y.magnitude, x.exponent + y.exponent, negative}, exactly(c));
}

/// The square root, rounded once; NaN below zero, -0 of -0.
template <rounding R = rounding::nearest_even, overflow O = overflow::saturate, arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F sqrt(F a) noexcept {
  if (isnan(a) || is_zero(a)) return isnan(a) ? F::nan() : a;
  if (signbit(a)) return F::nan();
  if (isinf(a)) return round_infinity<F, O>(false);
  // A radicand of at least 51 bits has a root of at least 26; an even exponent halves.
  const exact_number x    = exactly(a);
  const int shift         = 50 + (x.exponent & 1);
  const uint64_t radicand = x.magnitude << shift;
  uint64_t root           = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= radicand) root |= bit;
  }
  return round_to<F, R, O>({root, (x.exponent - shift) / 2, false}, root * root != radicand);
}

template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F operator+(F a, F b) noexcept {
  return add(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F operator-(F a, F b) noexcept {
  return subtract(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F operator*(F a, F b) noexcept {
  return multiply(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F operator/(F a, F b) noexcept {
  return divide(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F& operator+=(F& a, F b) noexcept {
  return a = add(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F& operator-=(F& a, F b) noexcept {
  return a = subtract(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F& operator*=(F& a, F b) noexcept {
  return a = multiply(a, b);
}
template <arithmetic_format F>
QUAVER_HOST_DEVICE constexpr F& operator/=(F& a, F b) noexcept {
  return a = divide(a, b);
}

static_assert((e4m3::from_bits(0x38) + e4m3::from_bits(0x30)).bits() == 0x3C);  // 1 + 0.5
static_assert((e4m3::from_bits(0x38) / e4m3::from_bits(0x44)).bits() == 0x2B);  // 1 / 3 = 0.34375, nearly
static_assert((e4m3::max)() + (e4m3::max)() == (e4m3::max)());                  // saturates
static_assert(sqrt(half::from_bits(0x4000)).bits() == 0x3DA8 && is_zero(e4m3::from_bits(0xB8) + e4m3::from_bits(0x38)));

QUAVER_END_NAMESPACE

#endif
