// SPDX-License-Identifier: MIT
#ifndef QUAVER_TENSOR_SCALED_MATRIX_HPP
#define QUAVER_TENSOR_SCALED_MATRIX_HPP

#include <quaver/scale/block_scale.hpp>
#include <quaver/tensor/matrix_view.hpp>
#include <quaver/tensor/scale_layout.hpp>

QUAVER_BEGIN_NAMESPACE

/// Copies the constness of T to S.
template <class T, class S>
struct constness_of {
  using type = S;
};
template <class T, class S>
struct constness_of<const T, S> {
  using type = const S;
};

/// Codes and the scales that give them their size; owns neither. Element (r, c) stands for decode(code) * dequant(r,
/// c).
///
/// `F` is a format, const where the codes are only read. The scales are always dequantisation multipliers. Which
/// pointer counts follows from layout.type; scale_count(rows, cols) of them lie there in layout.order. Host and device
/// pointers alike; dequant() reads the scales and so runs where they lie.
template <class F>
struct scaled_matrix {
  matrix_view<F> values{};
  scale_layout layout{};
  typename constness_of<F, float>::type* scales     = nullptr;  ///< scale_type::f32
  typename constness_of<F, e8m0>::type* scales_e8m0 = nullptr;  ///< scale_type::mx_e8m0
  typename constness_of<F, e4m3>::type* scales_e4m3 = nullptr;  ///< scale_type::nvfp4_e4m3
  typename constness_of<F, float>::type* tensor_wide =
      nullptr;  ///< scale_type::nvfp4_e4m3: the one binary32 above them

  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t rows() const noexcept { return values.rows; }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t cols() const noexcept { return values.cols; }

  /// True where the pointers that layout.type asks for are set.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr bool has_scales() const noexcept {
    switch (layout.type) {
      case scale_type::f32: return scales != nullptr;
      case scale_type::mx_e8m0: return scales_e8m0 != nullptr;
      case scale_type::nvfp4_e4m3: return scales_e4m3 != nullptr && tensor_wide != nullptr;
    }
    return false;
  }

  /// What to multiply the decoded element (row, col) by. NVFP4's two levels are multiplied with one rounding.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr float dequant(int64_t row, int64_t col) const noexcept {
    return dequant_at(layout.index(row, col, values.rows, values.cols));
  }
  /// The same by the place of the scale in its array.
  QUAVER_SIDE_OF_ARGUMENTS
  template <class Arithmetic = integer_arithmetic>
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr float dequant_at(int64_t at) const noexcept {
    switch (layout.type) {
      case scale_type::f32: return scales[at];
      case scale_type::mx_e8m0: return decode<float>(scales_e8m0[at]);
      case scale_type::nvfp4_e4m3: return Arithmetic::multiply(decode<float>(scales_e4m3[at]), *tensor_wide);
    }
    return 0.0f;
  }

  /// A read-only view.
  template <class Const>
    requires(same_type<Const, const F> && !same_type<Const, F>)
  QUAVER_HOST_DEVICE constexpr operator scaled_matrix<Const>() const noexcept {  // NOLINT(google-explicit-constructor)
    return {values, layout, scales, scales_e8m0, scales_e4m3, tensor_wide};
  }
};

QUAVER_END_NAMESPACE

#endif
