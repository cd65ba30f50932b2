// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_ROUNDING_HPP
#define QUAVER_FORMAT_ROUNDING_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// Which neighbour a value between two representable ones becomes. The exponent is unbounded while rounding; what lies
/// beyond the largest finite value afterwards is the business of `overflow`.
enum class rounding : uint8_t {
  nearest_even,  ///< the nearer; a tie goes to the even code (IEEE 754 roundTiesToEven)
  nearest_away,  ///< the nearer; a tie goes away from zero (roundTiesToAway)
  toward_zero,   ///< the smaller magnitude (roundTowardZero)
  upward,        ///< toward +inf (roundTowardPositive)
  downward,      ///< toward -inf (roundTowardNegative)
  to_odd,        ///< the odd code of the two: a later, coarser rounding then sees no double rounding
  stochastic,    ///< away from zero with the probability of the discarded fraction, by a random word of the caller's
};

/// What lies beyond the largest finite value after rounding, and what infinities become. Where a format has no infinity
/// "inf" reads NaN; where it has neither, the largest finite value. A NaN becomes NaN in every mode.
enum class overflow : uint8_t {
  saturate,         ///< everything too large, infinities too, becomes the largest finite value
  saturate_finite,  ///< finite values saturate; infinities become inf
  nonfinite,        ///< IEEE 754 section 7.4: inf, but the largest finite value where the rounding points inward
};

QUAVER_END_NAMESPACE

#endif
