// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_CLASSIFY_HPP
#define QUAVER_FORMAT_CLASSIFY_HPP

#include <quaver/format/formats.hpp>

QUAVER_BEGIN_NAMESPACE

// The questions of <cmath>, answered from the code alone, and the neighbours of IEEE 754 section 5.3.1. is_zero and
// is_subnormal carry an underscore because the C library of GNU has macros of the plain names.

template <any_format F>
QUAVER_HOST_DEVICE constexpr bool isnan(F x) noexcept {
  return x.is_nan();
}

template <any_format F>
QUAVER_HOST_DEVICE constexpr bool isinf(F x) noexcept {
  if constexpr (F::has_infinity) return !x.is_nan() && (x.bits() & F::magnitude_mask) == F::infinity_magnitude;
  else return false;
}

template <any_format F>
QUAVER_HOST_DEVICE constexpr bool isfinite(F x) noexcept {
  return !isnan(x) && !isinf(x);
}

/// True for -0 too; false for e8m0 and for the NaN of the formats without -0, which have no sign.
template <any_format F>
QUAVER_HOST_DEVICE constexpr bool signbit(F x) noexcept {
  if constexpr (same_type<F, e8m0>) return false;
  else return (x.bits() & F::sign_mask) != 0 && (F::has_signed_zero || !x.is_nan());
}

template <any_format F>
QUAVER_HOST_DEVICE constexpr bool is_zero(F x) noexcept {
  if constexpr (same_type<F, e8m0>) return false;
  else return (x.bits() & F::magnitude_mask) == 0 && !x.is_nan();
}

/// Neither zero nor subnormal nor infinite nor NaN.
template <any_format F>
QUAVER_HOST_DEVICE constexpr bool isnormal(F x) noexcept {
  if constexpr (same_type<F, e8m0>) return !x.is_nan();
  else return isfinite(x) && (x.bits() & F::magnitude_mask) >> F::mantissa_bits != 0;
}

template <any_format F>
QUAVER_HOST_DEVICE constexpr bool is_subnormal(F x) noexcept {
  return isfinite(x) && !isnormal(x) && !is_zero(x);
}

template <any_format F>
QUAVER_HOST_DEVICE constexpr F abs(F x) noexcept {
  if constexpr (same_type<F, e8m0>) return x;
  else return signbit(x) ? -x : x;
}

/// The least value above `x` (IEEE 754 nextUp). Above the largest finite value comes infinity, NaN where the format has
/// none, the value itself where it has neither. NaN stays NaN.
template <any_format F>
QUAVER_HOST_DEVICE constexpr F next_up(F x) noexcept {
  using storage = typename F::storage;
  if (isnan(x)) return x;
  if constexpr (same_type<F, e8m0>) {
    return F::from_bits(static_cast<storage>(x.bits() + 1));
  } else {
    const storage magnitude = static_cast<storage>(x.bits() & F::magnitude_mask);
    if (magnitude == 0) return F::denorm_min();
    if (signbit(x)) return -F::from_bits(static_cast<storage>(magnitude - 1));
    if (isinf(x)) return x;
    if (magnitude < F::max_magnitude) return F::from_bits(static_cast<storage>(magnitude + 1));
    if constexpr (F::has_infinity) return F::from_bits(F::infinity_magnitude);
    else return F::nan();
  }
}

/// The greatest value below `x` (IEEE 754 nextDown), by the mirror of next_up. Below the smallest e8m0 there is
/// nothing: it stays.
template <any_format F>
QUAVER_HOST_DEVICE constexpr F next_down(F x) noexcept {
  if (isnan(x)) return x;
  if constexpr (same_type<F, e8m0>) {
    return x.bits() == 0 ? x : F::from_bits(static_cast<uint8_t>(x.bits() - 1));
  } else {
    // Where NaN has no code of its own the mirror of "the largest stays" is "the lowest stays".
    const F up = next_up(-x);
    return isnan(up) ? up : -up;
  }
}

/// The distance from |x| to the next larger magnitude of its binade: 2^(exponent - mantissa bits). For infinities
/// infinity, for NaN NaN. For e8m0, whose binades hold one value each, the value itself.
template <any_format F>
QUAVER_HOST_DEVICE constexpr F ulp(F x) noexcept {
  if constexpr (same_type<F, e8m0>) {
    return x;
  } else {
    if (!isfinite(x)) return abs(x);
    const int magnitude = x.bits() & F::magnitude_mask;
    const int field     = magnitude >> F::mantissa_bits;
    const int exponent  = (field != 0 ? field : 1) - F::mantissa_bits;  // biased, of the result
    if (exponent >= 1) return F::from_bits(static_cast<typename F::storage>(exponent << F::mantissa_bits));
    return F::from_bits(static_cast<typename F::storage>(1 << (F::mantissa_bits - 1 + exponent)));
  }
}

/// IEEE 754 totalOrder: -NaN < -inf < ... < -0 < +0 < ... < +inf < +NaN. A NaN without a sign counts as positive. NaNs
/// of one sign order by their codes.
template <any_format F>
QUAVER_HOST_DEVICE constexpr bool total_order(F a, F b) noexcept {
  struct rank {
    QUAVER_HOST_DEVICE static constexpr int of(F x) noexcept {
      if constexpr (same_type<F, e8m0>) return x.bits();
      else if (!F::has_signed_zero && x.is_nan()) return F::sign_mask;
      else return signbit(x) ? -1 - (x.bits() & F::magnitude_mask) : x.bits();
    }
  };
  return rank::of(a) <= rank::of(b);
}

static_assert(isinf(next_up((e5m2::max)())) && isnan(next_up((e4m3::max)())));
static_assert(next_up((e2m1::max)()) == (e2m1::max)() && next_down(e2m1::lowest()) == e2m1::lowest());
static_assert(next_down(e4m3::from_bits(0)).bits() == 0x81 && next_up(e4m3::from_bits(0x81)).bits() == 0x80);
static_assert(ulp(e4m3::from_bits(0x38)).bits() == 0x20 && ulp(e4m3::from_bits(0)).bits() == 0x01);  // 2^-3 at 1

QUAVER_END_NAMESPACE

#endif
