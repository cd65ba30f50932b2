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
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic>
QUAVER_HOST_DEVICE constexpr tensor_scale from_stored(float dequant) noexcept {
  const uint32_t sign      = bitwise_cast<uint32_t>(dequant) & binary<float>::sign_mask;
  const uint32_t magnitude = bitwise_cast<uint32_t>(dequant) & binary<float>::magnitude_mask;
  if (magnitude == 0 || magnitude > binary<float>::infinity)
    return {quant_scale(dequant), dequant_scale(dequant), 0.0f};
  const auto reciprocal = bitwise_cast<uint32_t>(finite_quotient<Arithmetic>(1.0f, bitwise_cast<float>(magnitude)));
  return {quant_scale(bitwise_cast<float>(sign | reciprocal)), dequant_scale(dequant), 0.0f};
}

/// A scale as it is stored, and both directions as they are to be used: those of the policy for f32 scales, those of
/// what is stored for E8M0 and NVFP4.
struct made_scale {
  tensor_scale use{};
  float f32 = 0.0f;
  e8m0 mx{};
  e4m3 nvfp4{};
};

/// The scale of a block of `out` from its amax.
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic, code_byte F>
QUAVER_HOST_DEVICE constexpr made_scale make_scale(const scaled_matrix<F>& out, float amax, const scale_policy& policy,
                                                   mx_rule mx) noexcept {
  made_scale made;
  switch (out.layout.type) {
    case scale_type::f32:
      made.use = current_scale<format_of<F>, Arithmetic>(amax, policy);
      made.f32 = made.use.dequant.value();
      break;
    case scale_type::mx_e8m0:
      made.mx  = mx_scale<format_of<F>, Arithmetic>(amax, mx);
      made.use = {quant_scale(reciprocal(made.mx)), dequant_scale(decode<float>(made.mx)), amax};
      break;
    case scale_type::nvfp4_e4m3:
      made.nvfp4 = nvfp4_block_scale<Arithmetic>(amax, dequant_scale(*out.tensor_wide));
      made.use   = from_stored<Arithmetic>(Arithmetic::multiply(decode<float>(made.nvfp4), *out.tensor_wide));
      break;
  }
  return made;
}

/// Stores a scale at its place in its array.
template <code_byte F>
QUAVER_HOST_DEVICE constexpr void put_scale(const scaled_matrix<F>& out, int64_t at, const made_scale& made) noexcept {
  switch (out.layout.type) {
    case scale_type::f32: out.scales[at] = made.f32; break;
    case scale_type::mx_e8m0: out.scales_e8m0[at] = made.mx; break;
    case scale_type::nvfp4_e4m3: out.scales_e4m3[at] = made.nvfp4; break;
  }
}

/// Makes the scale of the block with the element (row, col), stores it, and returns it as it is to be used.
QUAVER_SIDE_OF_ARGUMENTS
template <class Arithmetic = integer_arithmetic, code_byte F>
QUAVER_HOST_DEVICE constexpr tensor_scale store_scale(const scaled_matrix<F>& out, int64_t row, int64_t col, float amax,
                                                      const scale_policy& policy, mx_rule mx) noexcept {
  const made_scale made = make_scale<Arithmetic>(out, amax, policy, mx);
  put_scale(out, out.layout.index(row, col, out.rows(), out.cols()), made);
  return made.use;
}

QUAVER_END_NAMESPACE

#endif
