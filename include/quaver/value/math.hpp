// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_MATH_HPP
#define QUAVER_VALUE_MATH_HPP

#include <quaver/format/classify.hpp>

QUAVER_BEGIN_NAMESPACE

// Named as in <cmath>. std::min, std::max and std::clamp take our values too, but know nothing of NaN and -0.

/// The smaller; of a number and a NaN the number; -0 below +0 (IEEE 754-2019 minimumNumber).
template <any_format F>
QUAVER_HOST_DEVICE constexpr F fmin(F a, F b) noexcept {
  if (isnan(a) || isnan(b)) return isnan(a) ? b : a;
  return total_order(a, b) ? a : b;
}

/// The larger; of a number and a NaN the number; +0 above -0 (IEEE 754-2019 maximumNumber).
template <any_format F>
QUAVER_HOST_DEVICE constexpr F fmax(F a, F b) noexcept {
  if (isnan(a) || isnan(b)) return isnan(a) ? b : a;
  return total_order(a, b) ? b : a;
}

/// The magnitude of `magnitude` with the sign of `sign`. Where a format has no -0, and no sign on its NaN, those two
/// stay.
template <signed_format F>
QUAVER_HOST_DEVICE constexpr F copysign(F magnitude, F sign) noexcept {
  return signbit(magnitude) == signbit(sign) ? magnitude : -magnitude;
}

QUAVER_END_NAMESPACE

#endif
