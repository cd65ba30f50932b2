// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_GEMM_CHECKS_HPP
#define QUAVER_PROBLEM_GEMM_CHECKS_HPP

#include <quaver/problem/gemm_problem.hpp>
#include <quaver/tensor/matrix_checks.hpp>

// What every engine asks of a GEMM before it looks at what it can do itself. For host code.
#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

/// A range of bytes that a problem reads or writes: all batches, from the first byte to the last.
struct byte_range {
  const void* data = nullptr;
  size_t bytes     = 0;

  [[nodiscard]] bool overlaps(const byte_range& other) const noexcept {
    return quaver::overlaps(data, bytes, other.data, other.bytes);
  }
};

/// The bytes of `count` arrays of `bytes` each at a distance of `stride` elements of `size`.
inline byte_range batched(const void* data, size_t bytes, int64_t count, int64_t stride, size_t size) noexcept {
  if (bytes == 0 || count == 0) return {};
  return {data, bytes + static_cast<size_t>((count - 1) * stride) * size};
}

/// The scales of a matrix that passed check_scaled; nothing where they are null.
template <class F>
byte_range scale_bytes(const scaled_matrix<F>& x, int64_t count, int64_t stride) noexcept {
  const auto scales = static_cast<size_t>(x.layout.scale_count(x.rows(), x.cols()));
  switch (x.layout.type) {
    case scale_type::f32: return batched(x.scales, x.scales == nullptr ? 0 : scales * 4, count, stride, 4);
    case scale_type::mx_e8m0: return batched(x.scales_e8m0, x.scales_e8m0 == nullptr ? 0 : scales, count, stride, 1);
    case scale_type::nvfp4_e4m3: return batched(x.scales_e4m3, x.scales_e4m3 == nullptr ? 0 : scales, count, stride, 1);
  }
  return {};
}

/// Whether none of the pointers to scales is set.
template <class F>
bool is_unscaled(const scaled_matrix<F>& x) noexcept {
  return x.scales == nullptr && x.scales_e8m0 == nullptr && x.scales_e4m3 == nullptr && x.tensor_wide == nullptr;
}

/// Strides of batches that are not negative and end within memory, and results that share no element.
template <class D>
status check_batches(const gemm_batches& by, const matrix_view<D>& d) {
  if (by.count < 0) return invalid("gemm: " + std::to_string(by.count) + " batches");
  const struct {
    const char* name;
    int64_t stride;
  } strides[] = {{"A", by.a_stride},
                 {"B", by.b_stride},
                 {"C", by.c_stride},
                 {"D", by.d_stride},
                 {"the scales of A", by.a_scale_stride},
                 {"the scales of B", by.b_scale_stride},
                 {"the bias", by.bias_stride}};
  for (const auto& [name, stride] : strides) {
    int64_t last = 0;
    if (stride < 0 || __builtin_mul_overflow(by.count, stride, &last) || last >= int64_t{1} << 59) {
      return invalid(std::string("gemm: the stride of ") + name + " is " + std::to_string(stride) + " for " +
                     std::to_string(by.count) + " batches; it must not be negative nor lead beyond memory");
    }
  }
  if (by.count <= 1 || d.rows == 0 || d.cols == 0) return {};
  const auto elements   = static_cast<int64_t>(span_bytes(d) / sizeof(D));
  const int64_t row     = (d.cols - 1) * d.col_stride + 1;
  const int64_t col     = (d.rows - 1) * d.row_stride + 1;
  const int64_t last    = (by.count - 1) * by.d_stride;
  const bool apart      = by.d_stride >= elements;
  const bool among_rows = by.d_stride >= row && (d.rows == 1 || last + row <= d.row_stride);
  const bool among_cols = by.d_stride >= col && (d.cols == 1 || last + col <= d.col_stride);
  if (apart || among_rows || among_cols) return {};
  return invalid("gemm: the " + std::to_string(by.count) + " results D (" + shape_text(d.rows, d.cols) +
                 ") share elements: their stride is " + std::to_string(by.d_stride) + ", one spans " +
                 std::to_string(elements));
}

/// What engines say that decode one code a byte.
template <class A, class B>
status pairs_unsupported() {
  return {status_code::unsupported, std::string("gemm: ") + (is_pair<A> ? "A" : "B") +
                                        " has two e2m1 a byte (e2m1x2), which this engine does not read; unpack it to "
                                        "e2m1, one a byte"};
}
/// A problem that only libraries take.
template <class A, class B>
concept has_pairs = library_activation<A> && library_weight<B> && (is_pair<A> || is_pair<B>);

/// What is wrong with a problem, whoever is to run it, or ok: shapes, strides, null pointers, operands that overlap.
template <library_activation A, library_weight B, gemm_output D>
status check_gemm(const gemm_problem<A, B, D>& problem) {
  // Activations that were not quantised need no scales.
  const bool unscaled_a = !code_byte<A> && is_unscaled(problem.a);
  if (status bad = unscaled_a ? check_view("gemm: A", problem.a.values) : check_scaled("gemm: A", problem.a); !bad.ok())
    return bad;
  if (status bad = check_scaled("gemm: B", problem.b); !bad.ok()) return bad;
  if (status bad = check_view("gemm: D", problem.d); !bad.ok()) return bad;
  const int64_t m = problem.d.rows;
  const int64_t n = problem.d.cols;
  if (problem.a.cols() != problem.b.cols() || problem.a.rows() != m || problem.b.rows() != n) {
    return invalid("gemm: A is " + shape_text(problem.a.rows(), problem.a.cols()) + ", B is " +
                   shape_text(problem.b.rows(), problem.b.cols()) + ", D is " + shape_text(m, n) +
                   "; they must be M x K, N x K and M x N");
  }
  const gemm_batches& by = problem.batches;
  if (status bad = check_batches(by, problem.d); !bad.ok()) return bad;
  const std::string shape = shape_text(m, n);

  const auto view_bytes = [&]<class T>(const matrix_view<T>& view, int64_t stride) {
    return batched(view.data, span_bytes(view), by.count, stride, sizeof(T));
  };
  const byte_range d        = view_bytes(problem.d, by.d_stride);
  const byte_range a        = view_bytes(problem.a.values, by.a_stride);
  const byte_range b        = view_bytes(problem.b.values, by.b_stride);
  const byte_range a_scales = scale_bytes(problem.a, by.count, by.a_scale_stride);
  const byte_range b_scales = scale_bytes(problem.b, by.count, by.b_scale_stride);
  const byte_range a_wide   = {problem.a.tensor_wide, problem.a.tensor_wide != nullptr ? sizeof(float) : 0};
  const byte_range b_wide   = {problem.b.tensor_wide, problem.b.tensor_wide != nullptr ? sizeof(float) : 0};
  const size_t bias_bytes   = problem.bias != nullptr ? static_cast<size_t>(n) * sizeof(float) : 0;
  const byte_range bias     = batched(problem.bias, bias_bytes, by.count, by.bias_stride, sizeof(float));
  if (d.overlaps(a) || d.overlaps(b)) return invalid("gemm: D (" + shape + ") overlaps an input");
  if (d.overlaps(a_scales) || d.overlaps(b_scales) || d.overlaps(a_wide) || d.overlaps(b_wide))
    return invalid("gemm: D (" + shape + ") overlaps the scales of an input");
  if (d.overlaps(bias)) return invalid("gemm: D (" + shape + ") overlaps the bias (" + std::to_string(n) + " values)");

  byte_range c;
  if (problem.beta != 0.0f) {
    if (status bad = check_view("gemm: C", problem.c); !bad.ok()) return bad;
    if (problem.c.rows != m || problem.c.cols != n) {
      return invalid("gemm: C is " + shape_text(problem.c.rows, problem.c.cols) + ", D is " + shape);
    }
    c               = view_bytes(problem.c, by.c_stride);
    const bool is_d = problem.c.data == problem.d.data && (m == 1 || problem.c.row_stride == problem.d.row_stride) &&
                      (n == 1 || problem.c.col_stride == problem.d.col_stride) &&
                      (by.count <= 1 || by.c_stride == by.d_stride);
    if (!is_d && d.overlaps(c)) return invalid("gemm: C overlaps D without being D (" + shape + ")");
  }
  if (problem.d_amax != nullptr) {
    const byte_range amax = {problem.d_amax, sizeof(float)};
    for (const byte_range& other : {d, a, b, a_scales, b_scales, a_wide, b_wide, bias, c})
      if (amax.overlaps(other)) return invalid("gemm: d_amax lies within another operand of D (" + shape + ")");
  }
  return {};
}

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
