// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_BLOCK_SCALES_HPP
#define QUAVER_CPU_BLOCK_SCALES_HPP

#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/isa/encoding.hpp>
#include <quaver/scale/cast_stats.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Where quantize takes its scales from.
enum class scale_source : uint8_t {
  current,  ///< made from the amax of each block, and written to the output
  given,    ///< those that already stand in the output (static scales, calibrated ones); read only
};

/// How a value meets its scale.
enum class scale_application : uint8_t {
  multiply,  ///< x * quant, quant being the rounded reciprocal of what is stored where a policy makes it so
  divide,    ///< x / dequant, rounded once
};

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

/// Both directions for a stored dequantisation scale: its reciprocal, with its sign and FLT_MAX at most; 0 where the
/// scale is 0 (an NVFP4 block too small for its tensor: every code becomes 0), NaN where it is NaN.
inline tensor_scale from_stored(float dequant) noexcept {
  const uint32_t sign      = bitwise_cast<uint32_t>(dequant) & binary<float>::sign_mask;
  const uint32_t magnitude = bitwise_cast<uint32_t>(dequant) & binary<float>::magnitude_mask;
  if (magnitude == 0 || magnitude > binary<float>::infinity)
    return {quant_scale(dequant), dequant_scale(dequant), 0.0f};
  const auto reciprocal =
      bitwise_cast<uint32_t>(finite_quotient<machine_arithmetic>(1.0f, bitwise_cast<float>(magnitude)));
  return {quant_scale(bitwise_cast<float>(sign | reciprocal)), dequant_scale(dequant), 0.0f};
}

/// Makes the scale of a block from its amax, stores its dequantisation direction, and returns both directions as they
/// are to be used: those of the policy for f32 scales, those of what was stored for E8M0 and NVFP4.
template <eight_bit F>
tensor_scale store_scale(const scaled_matrix<F>& out, int64_t row, int64_t col, float amax,
                         const quantize_options& options) noexcept {
  const int64_t at = out.layout.index(row, col, out.rows(), out.cols());
  switch (out.layout.type) {
    case scale_type::f32: {
      const tensor_scale scale = current_scale<F, machine_arithmetic>(amax, options.policy);
      out.scales[at]           = scale.dequant.value();
      return scale;
    }
    case scale_type::mx_e8m0: {
      const e8m0 scale    = mx_scale<F, machine_arithmetic>(amax, options.mx);
      out.scales_e8m0[at] = scale;
      return {quant_scale(reciprocal(scale)), dequant_scale(decode<float>(scale)), amax};
    }
    case scale_type::nvfp4_e4m3: {
      out.scales_e4m3[at] = nvfp4_block_scale<machine_arithmetic>(amax, dequant_scale(*out.tensor_wide));
      return from_stored(out.dequant(row, col));
    }
  }
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
