// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_BLOCK_SCALES_HPP
#define QUAVER_CPU_BLOCK_SCALES_HPP

#include <quaver/base/philox.hpp>
#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/scale/cast_stats.hpp>
#include <quaver/tensor/store_scale.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// How quantize works.
struct quantize_options {
  scale_source source           = scale_source::current;
  scale_policy policy           = {};                 ///< f32 scales, and NVFP4's tensor-wide one
  mx_rule mx                    = mx_rule::round_up;  ///< E8M0 scales
  scale_application application = scale_application::multiply;
  random_words words            = {};       ///< rounding::stochastic: element (r, c) uses word first + r * cols + c
  cast_stats* stats             = nullptr;  ///< where to add what the cast did, or null
  executor on = {};  ///< the threads; bytes do not depend on them, the two sums of stats in their last bits
};

/// The arithmetic of scales inside a standard_float_environment, where the machine's own gives what integers would.
struct machine_arithmetic {
  static float multiply(float a, float b) noexcept {
    return bitwise_cast<float>(product_bits(bitwise_cast<uint32_t>(a), bitwise_cast<uint32_t>(b)));
  }
  static float divide(float a, float b) noexcept {
    return bitwise_cast<float>(quotient_bits(bitwise_cast<uint32_t>(a), bitwise_cast<uint32_t>(b)));
  }
};

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
