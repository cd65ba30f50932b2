// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_ACTIVATION_HPP
#define QUAVER_PROBLEM_ACTIVATION_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// What happens to alpha * A * B^T + beta * C + bias before it is stored.
enum class activation : uint8_t {
  none,
  relu,  ///< negative values and -0 become +0; NaN stays
};

QUAVER_END_NAMESPACE

#endif
