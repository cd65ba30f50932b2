// SPDX-License-Identifier: MIT
#ifndef QUAVER_REFERENCE_GEMM_HPP
#define QUAVER_REFERENCE_GEMM_HPP

// Three oracles of one element of D = alpha * A * B^T + beta * C + bias, before activation and rounding to D's type:
//   gemm_exact     in 128-bit integers, for problems in which every term is a multiple of 2^-60 and small;
//   gemm_wide      in long double, with the sum of the magnitudes beside it, for error bounds on any data;
//   gemm_in_order  the stated order of summation of the portable tier, one float operation at a time.
// They run in the default float environment and without -ffast-math. `Problem` is a gemm_problem: a template parameter,
// because this folder knows tensor/ and not problem/.

#include <quaver/reference/quantize.hpp>

QUAVER_BEGIN_NAMESPACE

namespace reference {

__extension__ typedef __int128 int128;  // NOLINT(modernize-use-using): __extension__ silences -Wpedantic here alone

/// Where the scale of element (row, col) stands, by counting blocks.
template <class F>
int64_t scale_index(const scaled_matrix<F>& matrix, int64_t row, int64_t col) noexcept {
  const int64_t rows   = matrix.values.rows;
  const int64_t cols   = matrix.values.cols;
  const int64_t height = matrix.layout.block_rows == 0 ? rows : matrix.layout.block_rows;
  const int64_t width  = matrix.layout.block_cols == 0 ? cols : matrix.layout.block_cols;
  if (matrix.layout.order == scale_order::tiles_128x4)
    return place_in_tiles(row / height, col / width, count_blocks(cols, width));
  if (matrix.layout.order == scale_order::row_major) return row / height * count_blocks(cols, width) + col / width;
  return col / width * count_blocks(rows, height) + row / height;
}

/// What element (row, col) is multiplied by once decoded. Activations that were not quantised have no scales.
template <class F>
float scale_at(const scaled_matrix<F>& matrix, int64_t row, int64_t col) noexcept {
  if (matrix.scales == nullptr && matrix.scales_e8m0 == nullptr && matrix.scales_e4m3 == nullptr) return 1.0f;
  const int64_t at = scale_index(matrix, row, col);
  if (matrix.layout.type == scale_type::f32) return matrix.scales[at];
  if (matrix.layout.type == scale_type::mx_e8m0) return to_float(matrix.scales_e8m0[at]);
  return product(to_float(matrix.scales_e4m3[at]), *matrix.tensor_wide);
}

/// The element of any view, as a float.
template <class T>
float value_at(const matrix_view<T>& view, int64_t row, int64_t col) noexcept {
  return to_float(view.data[row * view.row_stride + col * view.col_stride]);
}

/// The element of A: a float becomes the nearest bfloat16 first, unless the problem asks for fused multiply-adds.
template <class Problem>
float activation_at(const Problem& problem, int64_t row, int64_t col) noexcept {
  using A           = std::remove_cvref_t<decltype(*problem.a.values.data)>;
  const float value = value_at(problem.a.values, row, col);
  if constexpr (same_type<A, float>) {
    if (problem.a_floats == decltype(problem.a_floats)::multiplied_by_fma) return value;
    return to_float(
        encode<bfloat16>(from_f32(bitwise_cast<uint32_t>(value)), rounding::nearest_even, overflow::nonfinite));
  }
  return value;
}

/// An exact sum in units of 2^-60. `fits` turns false for good when a term was none.
struct exact_sum {
  int128 units = 0;
  bool fits    = true;

  /// Adds a product of factors. Each partial product must be exact in long double, as powers of two and small integers
  /// are.
  void add(long double term) noexcept {
    const long double scaled = std::ldexp(term, 60);
    fits                     = fits && std::fabs(scaled) < 0x1p120L && scaled == std::floor(scaled);
    if (fits) units += static_cast<int128>(scaled);
  }
  /// The sum as a float, if it is one.
  [[nodiscard]] float value() noexcept {
    const float nearest = static_cast<float>(std::ldexp(static_cast<long double>(units), -60));
    fits                = fits && static_cast<int128>(std::ldexp(static_cast<long double>(nearest), 60)) == units;
    return nearest;
  }
};

/// Adds the terms of an element: every product with its scales and alpha, beta * C, the bias.
template <class Problem, class Sum>
void add_terms(const Problem& problem, int64_t row, int64_t col, Sum& sum) noexcept {
  for (int64_t k = 0; k < problem.a.values.cols; ++k) {
    sum.add(static_cast<long double>(value_at(problem.a.values, row, k)) *
            static_cast<long double>(value_at(problem.b.values, col, k)) *
            static_cast<long double>(scale_at(problem.a, row, k)) *
            static_cast<long double>(scale_at(problem.b, col, k)) * static_cast<long double>(problem.alpha));
  }
  if (problem.beta != 0) {
    sum.add(static_cast<long double>(problem.beta) * static_cast<long double>(value_at(problem.c, row, col)));
  }
  if (problem.bias != nullptr) sum.add(static_cast<long double>(problem.bias[col]));
}

/// The exact element, and in `fits` whether these integers hold it and a float does.
template <class Problem>
float gemm_exact(const Problem& problem, int64_t row, int64_t col, bool& fits) noexcept {
  exact_sum sum;
  add_terms(problem, row, col, sum);
  const float value = sum.value();
  fits              = sum.fits;
  return value;
}

/// An element in long double, and the sum of the magnitudes of its terms: errors of any order of summation in binary32
/// are bounded by a multiple of it.
struct wide_sum {
  long double value     = 0;
  long double magnitude = 0;
  void add(long double term) noexcept {
    value += term;
    magnitude += std::fabs(term);
  }
};

template <class Problem>
wide_sum gemm_wide(const Problem& problem, int64_t row, int64_t col) noexcept {
  wide_sum sum;
  add_terms(problem, row, col, sum);
  return sum;
}

/// a + b in float, now.
inline float addition(float a, float b) noexcept {
  const volatile float x = a;
  const volatile float y = b;
  const volatile float z = x + y;
  return z;
}

/// sum + a * b in one rounding.
inline float fused(float sum, float a, float b) noexcept {
  const volatile float x = a;
  const volatile float y = b;
  const volatile float z = sum;
  return std::fma(x, y, z);
}

/// The stated order. K is cut where a scale of either operand changes; in a piece, counted from its start, term 1 comes
/// before term 0, 3 before 2, and a last odd one by itself; piece * (scale of A * scale of B) is added to the total.
template <class Problem>
float gemm_in_order(const Problem& problem, int64_t row, int64_t col) noexcept {
  const int64_t depth = problem.a.values.cols;
  const auto starts   = [&](int64_t k) {
    const int a = problem.a.layout.block_cols;
    const int b = problem.b.layout.block_cols;
    return k == 0 || (a != 0 && k % a == 0) || (b != 0 && k % b == 0);
  };
  float total = 0.0f;
  for (int64_t first = 0; first < depth;) {
    std::vector<std::pair<float, float>> terms;
    int64_t k = first;
    do {
      terms.emplace_back(activation_at(problem, row, k), value_at(problem.b.values, col, k));
      ++k;
    } while (k < depth && !starts(k));

    float sum = 0.0f;
    for (size_t i = 0; i < terms.size(); ++i) {
      const size_t partner = i ^ 1;
      const auto& [a, b]   = terms[partner < terms.size() ? partner : i];
      sum                  = fused(sum, a, b);
    }
    total = addition(total, product(sum, product(scale_at(problem.a, row, first), scale_at(problem.b, col, first))));
    first = k;
  }
  float value = product(total, problem.alpha);
  if (problem.beta != 0) value = addition(value, product(problem.beta, value_at(problem.c, row, col)));
  if (problem.bias != nullptr) value = addition(value, problem.bias[col]);
  return value;
}

}  // namespace reference

QUAVER_END_NAMESPACE

#endif
