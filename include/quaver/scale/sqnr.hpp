// SPDX-License-Identifier: MIT
#ifndef QUAVER_SCALE_SQNR_HPP
#define QUAVER_SCALE_SQNR_HPP

#include <quaver/scale/cast_stats.hpp>

#include <cmath>
#include <limits>

QUAVER_BEGIN_NAMESPACE

/// The signal-to-quantisation-noise ratio of a cast in decibels, 10 log10(sum x^2 / sum error^2): about 31.5 for
/// Gaussian data in E4M3. Over the finite values; infinite where nothing was lost, of an all-zero tensor too; NaN or
/// -infinity where a finite value became NaN or infinite.
inline double sqnr_db(const cast_stats& stats) noexcept {
  if (stats.sum_error2 == 0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(stats.sum_x2 / stats.sum_error2);
}

QUAVER_END_NAMESPACE

#endif
