// SPDX-License-Identifier: MIT
#ifndef QUAVER_TENSOR_MATRIX_VIEW_HPP
#define QUAVER_TENSOR_MATRIX_VIEW_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// A matrix that somebody else owns, in host or device memory: element (r, c) is data[r * row_stride + c * col_stride],
/// strides in elements. A view of FP8 bytes held as uint8_t or __nv_fp8_* is made by a reinterpret_cast of the pointer:
/// the formats are trivially copyable and as large as their codes.
template <class T>
struct matrix_view {
  T* data            = nullptr;
  int64_t rows       = 0;
  int64_t cols       = 0;
  int64_t row_stride = 0;
  int64_t col_stride = 1;

  constexpr matrix_view() = default;
  /// Row-major without gaps.
  QUAVER_HOST_DEVICE constexpr matrix_view(T* first, int64_t row_count, int64_t col_count) noexcept
      : data(first), rows(row_count), cols(col_count), row_stride(col_count) {}
  QUAVER_HOST_DEVICE constexpr matrix_view(T* first, int64_t row_count, int64_t col_count, int64_t between_rows,
                                           int64_t between_cols = 1) noexcept
      : data(first), rows(row_count), cols(col_count), row_stride(between_rows), col_stride(between_cols) {}

  QUAVER_HOST_DEVICE constexpr T& operator()(int64_t row, int64_t col) const noexcept {
    return data[row * row_stride + col * col_stride];
  }

  /// The same elements read with rows and columns exchanged.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr matrix_view transposed() const noexcept {
    return {data, cols, rows, col_stride, row_stride};
  }

  /// A read-only view.
  template <class Const>
    requires(same_type<Const, const T> && !same_type<Const, T>)
  QUAVER_HOST_DEVICE constexpr operator matrix_view<Const>() const noexcept {  // NOLINT(google-explicit-constructor)
    return {data, rows, cols, row_stride, col_stride};
  }
};

QUAVER_END_NAMESPACE

#endif
