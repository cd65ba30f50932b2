// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CPU_MATRICES_HPP
#define QUAVER_TESTS_CPU_MATRICES_HPP

// Matrices in buffers with guards, dense or strided, for tests that watch what is written where.

#include <quaver/tensor/matrix_view.hpp>

#include "inputs.hpp"

#include <vector>

namespace quaver_test {

/// How a matrix lies in its buffer.
enum class lie { dense, padded, transposed, spread };
inline constexpr lie lies[] = {lie::dense, lie::padded, lie::transposed, lie::spread};

/// A matrix in a buffer with guards before, between and after its elements.
template <class T>
struct buffer {
  std::vector<T> data;
  matrix_view<T> view;
  T guard;

  buffer(int64_t rows, int64_t cols, lie how, T guard_value) : guard(guard_value) {
    constexpr int64_t before = 3;
    const int64_t wide       = how == lie::padded ? cols + 5 : how == lie::spread ? 3 * cols + 2 : cols;
    const int64_t tall       = how == lie::transposed ? rows + 2 : rows;
    data.assign(static_cast<size_t>(before + wide * tall + 3), guard_value);
    if (how == lie::transposed) view = {data.data() + before, rows, cols, 1, rows + 2};
    else view = {data.data() + before, rows, cols, wide, how == lie::spread ? 3 : 1};
  }

  buffer(buffer&&) = default;  // the view follows the vector's memory, which a copy would not share

  /// Whether every element outside the view is still the guard.
  [[nodiscard]] bool guards_stand() const {
    std::vector<bool> inside(data.size());
    for (int64_t r = 0; r < view.rows; ++r) {
      for (int64_t c = 0; c < view.cols; ++c) inside[static_cast<size_t>(&view(r, c) - data.data())] = true;
    }
    for (size_t i = 0; i < data.size(); ++i) {
      if (!inside[i] && code_of(data[i]) != code_of(guard)) return false;
    }
    return true;
  }
  [[nodiscard]] std::vector<uint32_t> elements() const {
    std::vector<uint32_t> codes;
    for (int64_t r = 0; r < view.rows; ++r) {
      for (int64_t c = 0; c < view.cols; ++c) codes.push_back(code_of(view(r, c)));
    }
    return codes;
  }
};

}  // namespace quaver_test

#endif
