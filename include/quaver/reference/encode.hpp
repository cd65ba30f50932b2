// SPDX-License-Identifier: MIT
#ifndef QUAVER_REFERENCE_ENCODE_HPP
#define QUAVER_REFERENCE_ENCODE_HPP

// The oracle's encoder: a search over the decoded values, exact midpoints, and the rules of rounding and overflow spelt
// out case by case. Finding the place of a number is one step (find), deciding what to do there another (choose), so
// that one search serves all modes when a test sweeps 2^32 inputs.

#include <quaver/reference/exact.hpp>

QUAVER_BEGIN_NAMESPACE

namespace reference {

/// Where a magnitude lies between two neighbouring magnitudes of a format.
enum class place : uint8_t {
  exact,     ///< it is `low` itself
  below,     ///< above low, below the midpoint
  midpoint,  ///< half way, to the bit
  above,     ///< above the midpoint, below low + 1
  beyond,    ///< at or above the first value of the unbounded exponent: 480 in E4M3, 65536 in E5M2
  infinite,
  nan,
};

/// The result of a search: the place of |x|, the code of the magnitude below it (0 to the largest finite one), the
/// sign.
struct bracket {
  uint16_t low  = 0;
  place where   = place::exact;
  bool negative = false;
};

/// Magnitudes of `F` in the order of their codes, with one more on top where the exponent would go on, and the
/// midpoints between neighbours; all as bits of binary64. Padded to a power of two with a number above every other.
template <any_format F>
struct magnitude_table {
  static constexpr uint32_t largest = (F::max)().bits();
  static constexpr uint32_t size    = sizeof(F) == 1 ? 256 : 65536;

  uint64_t value[size];
  uint64_t middle[size];

  magnitude_table() noexcept {
    for (uint32_t code = 0; code < size; ++code) {
      value[code]  = ~uint64_t{0};
      middle[code] = ~uint64_t{0};
    }
    for (uint32_t code = 0; code <= largest + 1; ++code) value[code] = bits_of(unbounded_magnitude<F>(code));
    // Sum and half are exact: neighbours differ in the last of at most 11 bits.
    for (uint32_t code = 0; code <= largest; ++code) {
      middle[code] = bits_of((unbounded_magnitude<F>(code) + unbounded_magnitude<F>(code + 1)) * 0.5);
    }
  }

 private:
  static uint64_t bits_of(double x) noexcept { return bitwise_cast<uint64_t>(x); }
};

template <any_format F>
inline const magnitude_table<F> magnitudes{};

/// Finds x among the magnitudes of F. A binary search whose steps depend on data only through conditional moves.
template <any_format F>
bracket find(exact x) noexcept {
  const magnitude_table<F>& table = magnitudes<F>;
  const bool no_negatives         = same_type<F, e8m0>;
  bracket b;
  b.negative = x.negative && !no_negatives;
  if (x.magnitude > exact::infinity || (no_negatives && x.negative && x.magnitude != 0)) {
    b.where = place::nan;
    return b;
  }
  if (x.magnitude == exact::infinity) {
    b.where = place::infinite;
    return b;
  }
  uint32_t low = 0;
  for (uint32_t step = magnitude_table<F>::size / 2; step != 0; step /= 2) {
    low = table.value[low + step] <= x.magnitude ? low + step : low;
  }
  if (low > magnitude_table<F>::largest) {
    b.low   = static_cast<uint16_t>(magnitude_table<F>::largest);
    b.where = place::beyond;
    return b;
  }
  b.low = static_cast<uint16_t>(low);
  // Less than the value itself is possible at code 0 of E8M0 alone: there everything from 0 to 2^-127 is 00 in every
  // mode, as if it were exact.
  b.where = x.magnitude <= table.value[low]    ? place::exact
            : x.magnitude < table.middle[low]  ? place::below
            : x.magnitude == table.middle[low] ? place::midpoint
                                               : place::above;
  return b;
}

/// Whether a finite x that is not beyond all values goes to the larger of its two neighbours. Not for stochastic.
constexpr bool away_from_zero(bracket b, rounding mode) noexcept {
  if (b.where == place::exact) return false;
  const bool low_is_odd = b.low % 2 != 0;
  switch (mode) {
    case rounding::nearest_even: return b.where == place::above || (b.where == place::midpoint && low_is_odd);
    case rounding::nearest_away: return b.where == place::above || b.where == place::midpoint;
    case rounding::upward: return !b.negative;
    case rounding::downward: return b.negative;
    case rounding::to_odd: return !low_is_odd;
    case rounding::toward_zero:
    case rounding::stochastic: break;
  }
  return false;
}

/// F's code of this magnitude and sign; +0 for the -0 of formats without one.
template <any_format F>
constexpr F with_sign(uint32_t magnitude, bool negative) noexcept {
  const bool minus    = negative && (magnitude != 0 || F::has_signed_zero);
  const uint32_t sign = minus ? uint32_t{1} << (F::exponent_bits + F::mantissa_bits) : 0;
  return F::from_bits(static_cast<typename F::storage>(magnitude | sign));
}

/// What F has for an infinity: inf; else NaN, which carries no sign; else the largest value.
template <any_format F>
constexpr F infinity_or_nan(bool negative) noexcept {
  if constexpr (F::has_infinity) return with_sign<F>(F::infinity_magnitude, negative);
  else if constexpr (F::has_nan) return F::nan();
  else return with_sign<F>((F::max)().bits(), negative);
}

/// The code of an infinite or NaN bracket, or of a finite one once it is known whether it rounds away from zero.
template <any_format F>
constexpr F settle(bracket b, bool away, rounding mode, overflow limit) noexcept {
  if (b.where == place::nan) return F::nan();
  const F largest = with_sign<F>((F::max)().bits(), b.negative);
  if (b.where == place::infinite) return limit == overflow::saturate ? largest : infinity_or_nan<F>(b.negative);

  const uint32_t magnitude = b.low + (away ? 1u : 0u);
  const bool too_large     = b.where == place::beyond || magnitude > (F::max)().bits();
  if (!too_large) return with_sign<F>(magnitude, b.negative);
  if (limit != overflow::nonfinite) return largest;

  // IEEE 754, 7.4: infinity, unless the rounding points inward.
  const bool inward = mode == rounding::toward_zero || mode == rounding::to_odd ||
                      (mode == rounding::upward && b.negative) || (mode == rounding::downward && !b.negative);
  return inward ? largest : infinity_or_nan<F>(b.negative);
}

/// The code for a bracket under one of the six deterministic roundings.
template <any_format F>
constexpr F choose(bracket b, rounding mode, overflow limit) noexcept {
  return settle<F>(b, away_from_zero(b, mode), mode, limit);
}

/// The oracle: x rounded to F under any but stochastic rounding.
template <any_format F>
F encode(exact x, rounding mode, overflow limit) noexcept {
  return choose<F>(find<F>(x), mode, limit);
}

/// How many of the 2^32 random words send x away from zero: floor(2^32 * (|x| - low) / (high - low)), exactly.
template <any_format F>
uint32_t stochastic_threshold(exact x) noexcept {
  const bracket b = find<F>(x);
  if (b.where != place::below && b.where != place::midpoint && b.where != place::above) return 0;
  const double low = bitwise_cast<double>(magnitudes<F>.value[b.low]);
  const double gap = bitwise_cast<double>(magnitudes<F>.value[b.low + 1u]) - low;  // a power of two
  // The difference is exact: either low is 0, or x <= 2 * low. The quotient and the factor only move the exponent, and
  // upward where x could be subnormal; the conversion cuts, in every rounding mode of the FPU.
  return static_cast<uint32_t>((bitwise_cast<double>(x.magnitude) - low) / gap * 0x1p32);
}

/// The oracle of stochastic rounding with the random word r: away from zero iff r < threshold.
template <any_format F>
F encode_stochastic(exact x, uint32_t r, overflow limit) noexcept {
  return settle<F>(find<F>(x), r < stochastic_threshold<F>(x), rounding::stochastic, limit);
}

}  // namespace reference

QUAVER_END_NAMESPACE

#endif
