// SPDX-License-Identifier: MIT
#ifndef QUAVER_TENSOR_STORE_SCALE_HPP
#define QUAVER_TENSOR_STORE_SCALE_HPP

#include <quaver/tensor/scaled_matrix.hpp>

// From the amax of a block to its scale, as stored and as used: the step that both engines' quantisation shares.

QUAVER_BEGIN_NAMESPACE

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

/// Both directions for a stored dequantisation scale: its reciprocal, with its sign and FLT_MAX at most; 0 where the
/// scale is 0 (an NVFP4 block too small for its tensor: every code becomes 0), NaN where it is NaN.
template <class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr tensor_scale from_stored(float dequant) noexcept {
  const uint32_t sign      = bitwise_cast<uint32_t>(dequant) & binary<float>::sign_mask;
  const uint32_t magnitude = bitwise_cast<uint32_t>(dequant) & binary<float>::magnitude_mask;
  if (magnitude == 0 || magnitude > binary<float>::infinity)
    return {quant_scale(dequant), dequant_scale(dequant), 0.0f};
  const auto reciprocal = bitwise_cast<uint32_t>(finite_quotient<Arithmetic>(1.0f, bitwise_cast<float>(magnitude)));
  return {quant_scale(bitwise_cast<float>(sign | reciprocal)), dequant_scale(dequant), 0.0f};
}

/// Makes the scale of a block from its amax, stores its dequantisation direction, and returns both directions as they
/// are to be used: those of the policy for f32 scales, those of what was stored for E8M0 and NVFP4.
template <class Arithmetic = integer_arithmetic, eight_bit F>
QUAVER_HOST_DEVICE constexpr tensor_scale store_scale(const scaled_matrix<F>& out, int64_t row, int64_t col, float amax,
                                                      const scale_policy& policy, mx_rule mx) noexcept {
  const int64_t at = out.layout.index(row, col, out.rows(), out.cols());
  switch (out.layout.type) {
    case scale_type::f32: {
      const tensor_scale scale = current_scale<F, Arithmetic>(amax, policy);
      out.scales[at]           = scale.dequant.value();
      return scale;
    }
    case scale_type::mx_e8m0: {
      const e8m0 scale    = mx_scale<F, Arithmetic>(amax, mx);
      out.scales_e8m0[at] = scale;
      return {quant_scale(reciprocal(scale)), dequant_scale(decode<float>(scale)), amax};
    }
    case scale_type::nvfp4_e4m3: {
      out.scales_e4m3[at] = nvfp4_block_scale<Arithmetic>(amax, dequant_scale(*out.tensor_wide));
      return from_stored<Arithmetic>(out.dequant(row, col));
    }
  }
  return {};
}

QUAVER_END_NAMESPACE

#endif
