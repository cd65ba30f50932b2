// SPDX-License-Identifier: MIT
#ifndef QUAVER_SCALE_CAST_STATS_HPP
#define QUAVER_SCALE_CAST_STATS_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// What a cast did to the numbers. Counts and amax are exact; the two sums are within a relative 1e-6. Stats of parts
/// add up to the stats of the whole.
struct cast_stats {
  int64_t count     = 0;  ///< values cast
  int64_t underflow = 0;  ///< nonzero, became zero
  int64_t saturated = 0;  ///< finite, and after scaling more than half a step beyond the largest finite value
  int64_t nan       = 0;  ///< NaN before the cast
  int64_t infinite  = 0;  ///< infinite before the cast
  float amax        = 0;  ///< largest magnitude before scaling: NaN if there was a NaN, else inf if there was one
  double sum_x2     = 0;  ///< sum of x^2 over the finite x
  double sum_error2 = 0;  ///< sum of (x - dequantised)^2 over the same

  /// Adds the stats of another part.
  QUAVER_HOST_DEVICE constexpr void merge(const cast_stats& other) noexcept {
    count += other.count;
    underflow += other.underflow;
    saturated += other.saturated;
    nan += other.nan;
    infinite += other.infinite;
    sum_x2 += other.sum_x2;
    sum_error2 += other.sum_error2;
    // As bits, NaN is above infinity is above every number.
    if (bitwise_cast<uint32_t>(other.amax) > bitwise_cast<uint32_t>(amax)) amax = other.amax;
  }
};

QUAVER_END_NAMESPACE

#endif
