// SPDX-License-Identifier: MIT
#ifndef QUAVER_TENSOR_MATRIX_VIEW_HPP
#define QUAVER_TENSOR_MATRIX_VIEW_HPP

#include <quaver/format/packed.hpp>

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

  /// Elements of the array that a row takes, where its columns are not apart.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t stored_cols() const noexcept { return cols; }
  /// Whether rows, which are not empty, lie one after the other with nothing in between.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr bool is_gapless() const noexcept {
    return (col_stride == 1 || cols == 1) && (rows == 1 || row_stride == cols);
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

/// Two e2m1 a byte, as GEMMs read MXFP4 and NVFP4: rows x cols values, of which (r, c) is the low nibble of byte
/// data[r * row_stride + c / 2] where c is even, the high one where it is odd. Strides count bytes. A row begins with a byte
/// of its own: of an odd number of columns the last high nibble belongs to no value; it is written as +0 and never read.
template <class T>
  requires(same_type<T, e2m1x2> || same_type<T, const e2m1x2>)
struct matrix_view<T> {
  T* data            = nullptr;
  int64_t rows       = 0;
  int64_t cols       = 0;
  int64_t row_stride = 0;

  static constexpr int64_t col_stride = 1;  ///< from byte to byte

  constexpr matrix_view() = default;
  /// Row-major without gaps.
  QUAVER_HOST_DEVICE constexpr matrix_view(T* first, int64_t row_count, int64_t col_count) noexcept
      : data(first), rows(row_count), cols(col_count), row_stride(col_count / 2 + col_count % 2) {}
  QUAVER_HOST_DEVICE constexpr matrix_view(T* first, int64_t row_count, int64_t col_count,
                                           int64_t between_rows) noexcept
      : data(first), rows(row_count), cols(col_count), row_stride(between_rows) {}

  QUAVER_HOST_DEVICE constexpr e2m1 operator()(int64_t row, int64_t col) const noexcept {
    return col % 2 == 0 ? pair(row, col).low() : pair(row, col).high();
  }
  /// The byte that element (row, col) is in.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr T& pair(int64_t row, int64_t col) const noexcept {
    return data[row * row_stride + col / 2];
  }

  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int64_t stored_cols() const noexcept { return cols / 2 + cols % 2; }
  /// Then bytes do not straddle rows either.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr bool is_gapless() const noexcept {
    return rows == 1 || (cols % 2 == 0 && row_stride == cols / 2);
  }

  /// A read-only view.
  template <class Const>
    requires(same_type<Const, const T> && !same_type<Const, T>)
  QUAVER_HOST_DEVICE constexpr operator matrix_view<Const>() const noexcept {  // NOLINT(google-explicit-constructor)
    return {data, rows, cols, row_stride};
  }
};

QUAVER_END_NAMESPACE

#endif
