// SPDX-License-Identifier: MIT
#ifndef QUAVER_TENSOR_MATRIX_CHECKS_HPP
#define QUAVER_TENSOR_MATRIX_CHECKS_HPP

#include <quaver/base/status.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

// What both engines ask of the matrices that they are given, in sentences. For host code.
#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

/// True where two byte ranges share a byte.
inline bool overlaps(const void* a, size_t a_bytes, const void* b, size_t b_bytes) noexcept {
  const auto first  = reinterpret_cast<std::uintptr_t>(a);
  const auto second = reinterpret_cast<std::uintptr_t>(b);
  return a_bytes != 0 && b_bytes != 0 && first < second + b_bytes && second < first + a_bytes;
}

/// "3 x 5", for messages.
inline std::string shape_text(int64_t rows, int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

inline status invalid(std::string message) { return {status_code::invalid_argument, std::move(message)}; }

/// The bytes from the first to the last element of a view that passed check_view.
template <class T>
size_t span_bytes(const matrix_view<T>& view) noexcept {
  if (view.rows == 0 || view.cols == 0) return 0;
  return static_cast<size_t>((view.rows - 1) * view.row_stride + (view.stored_cols() - 1) * view.col_stride + 1) *
         sizeof(T);
}

/// Whether span_bytes of a view with forward strides is a number that memory can have: below 2^62.
template <class T>
bool fits_memory(const matrix_view<T>& view) noexcept {
  int64_t down  = 0;
  int64_t right = 0;
  int64_t last  = 0;
  int64_t bytes = 0;
  return !__builtin_mul_overflow(view.rows - 1, view.row_stride, &down) &&
         !__builtin_mul_overflow(view.stored_cols() - 1, view.col_stride, &right) &&
         !__builtin_add_overflow(down, right, &last) &&
         !__builtin_mul_overflow(last, static_cast<int64_t>(sizeof(T)), &bytes) && bytes < int64_t{1} << 62;
}

/// Extents not negative, strides positive where there is more than one step, no null where there are elements, and no
/// two elements in one place: one axis must step over the whole of the other.
template <class T>
status check_view(const std::string& name, const matrix_view<T>& view) {
  const std::string shape = shape_text(view.rows, view.cols);
  if (view.rows < 0 || view.cols < 0) return invalid(name + " has a negative extent: " + shape);
  if (view.rows == 0 || view.cols == 0) return {};
  if (view.data == nullptr) return invalid(name + " is null but " + shape);
  const bool forwards = (view.rows == 1 || view.row_stride > 0) && (view.cols == 1 || view.col_stride > 0);
  const auto strides  = [&] {
    return "row stride " + std::to_string(view.row_stride) + ", column stride " + std::to_string(view.col_stride);
  };
  if (!forwards) return invalid(name + " (" + shape + ") needs positive strides: " + strides());
  if (!fits_memory(view)) return invalid(name + " (" + shape + ") is larger than memory: " + strides());
  const int64_t wide        = view.stored_cols();
  const bool row_steps_over = view.rows == 1 || view.row_stride >= (wide - 1) * view.col_stride + 1;
  const bool col_steps_over = wide == 1 || view.col_stride >= (view.rows - 1) * view.row_stride + 1;
  if (!row_steps_over && !col_steps_over) {
    return invalid(name + " (" + shape + ") has elements in one place: " + strides());
  }
  return {};
}

/// Which of the pointers that the layout asks for is null, of a matrix without has_scales().
template <class F>
const char* null_scales(const scaled_matrix<F>& matrix) noexcept {
  switch (matrix.layout.type) {
    case scale_type::f32: return "scales";
    case scale_type::mx_e8m0: return "scales_e8m0";
    case scale_type::nvfp4_e4m3: return matrix.scales_e4m3 == nullptr ? "scales_e4m3" : "tensor_wide";
  }
  return "";
}

/// A view that passes check_view, blocks that are not negative, and scales where the layout asks for them.
template <class F>
status check_scaled(const std::string& name, const scaled_matrix<F>& matrix) {
  if (status bad = check_view(name, matrix.values); !bad.ok()) return bad;
  const scale_layout& layout = matrix.layout;
  if (layout.block_rows < 0 || layout.block_cols < 0) {
    return invalid(name + " has negative blocks: " + shape_text(layout.block_rows, layout.block_cols));
  }
  const int64_t count = layout.scale_count(matrix.rows(), matrix.cols());
  if (count != 0 && !matrix.has_scales()) {
    return invalid(name + " (" + shape_text(matrix.rows(), matrix.cols()) + ") needs " + std::to_string(count) +
                   (count == 1 ? " scale" : " scales") + ", and `" + null_scales(matrix) + "` is null");
  }
  return {};
}

/// Two values in a byte are written together, so no block may begin with the second of them.
template <class F>
status check_written_blocks(const std::string& name, const scaled_matrix<F>& matrix) {
  const int width = matrix.layout.block_cols;
  if (!is_pair<F> || width % 2 == 0 || width >= matrix.cols()) return {};
  return {status_code::unsupported, name + " has two e2m1 a byte and blocks " + std::to_string(width) +
                                        " columns wide: the width must be even, so that no byte has two scales"};
}

/// Whether a byte range shares a byte with the scales that belong to a matrix which passed check_scaled.
template <class F>
bool scales_overlap(const scaled_matrix<F>& matrix, const void* data, size_t bytes) noexcept {
  const auto count = static_cast<size_t>(matrix.layout.scale_count(matrix.rows(), matrix.cols()));
  switch (matrix.layout.type) {
    case scale_type::f32: return overlaps(matrix.scales, count * sizeof(float), data, bytes);
    case scale_type::mx_e8m0: return overlaps(matrix.scales_e8m0, count, data, bytes);
    case scale_type::nvfp4_e4m3:
      return overlaps(matrix.scales_e4m3, count, data, bytes) ||
             overlaps(matrix.tensor_wide, count != 0 ? sizeof(float) : 0, data, bytes);
  }
  return false;
}

template <class T, class U>
status check_same_shape(const std::string& operation, const matrix_view<T>& from, const matrix_view<U>& to) {
  if (from.rows == to.rows && from.cols == to.cols) return {};
  return invalid(operation + ": the input is " + shape_text(from.rows, from.cols) + ", the output " +
                 shape_text(to.rows, to.cols));
}

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
