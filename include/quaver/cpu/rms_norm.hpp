// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_RMS_NORM_HPP
#define QUAVER_CPU_RMS_NORM_HPP

#include <quaver/cpu/blocks.hpp>
#include <quaver/cpu/features.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/isa/portable/operations.hpp>
#include <quaver/problem/rms_norm_problem.hpp>

// RMS norm on hosts, in the order that problem/rms_norm_problem.hpp states. A row is taken in stretches of all lanes,
// turned so that neighbours in memory are neighbouring lanes: then the sums are vectors.

QUAVER_BEGIN_NAMESPACE

namespace cpu {

inline constexpr int norm_stretch = norm_lanes * norm_together;

/// A stretch of a row: value[j][lane] is column lane * 8 + j of it.
struct norm_values {
  float value[norm_together][norm_lanes];
};

/// The loops of a row, in a tier.
struct norm_kernels {
  void (*add_squares)(const norm_values& h, float* sums);
  /// y = (h * inverse) * weight, every NaN 7FC00000. `y` may be `h`.
  void (*scale)(const float* h, float inverse, const float* weight, float* y, int count);
};

template <class Operations>
QUAVER_ALWAYS_INLINE void add_squares_by(const Operations& op, const norm_values& h, float* sums) noexcept {
  for (const auto& values : h.value) {
    for (int lane = 0; lane < norm_lanes; ++lane) sums[lane] = op.fma(values[lane], values[lane], sums[lane]);
  }
}
template <class Operations>
QUAVER_ALWAYS_INLINE void scale_by(const Operations& op, const float* h, float inverse, const float* weight, float* y,
                                   int count) noexcept {
  for (int i = 0; i < count; ++i) {
    const float normed = op.multiply(op.multiply(h[i], inverse), weight[i]);
    y[i]               = bitwise_cast<float>(canonical_nan(bitwise_cast<uint32_t>(normed)));
  }
}

namespace portable {
inline void add_squares(const norm_values& h, float* sums) { add_squares_by(called_operations(), h, sums); }
inline void scale(const float* h, float inverse, const float* weight, float* y, int count) {
  scale_by(called_operations(), h, inverse, weight, y, count);
}
}  // namespace portable

#if QUAVER_X86_64
namespace avx2 {
QUAVER_TARGET_AVX2 inline void add_squares(const norm_values& h, float* sums) {
  add_squares_by(rounded_operations(), h, sums);
}
QUAVER_TARGET_AVX2 inline void scale(const float* h, float inverse, const float* weight, float* y, int count) {
  scale_by(rounded_operations(), h, inverse, weight, y, count);
}
}  // namespace avx2
#endif

inline const norm_kernels& active_norm_kernels() noexcept {
  static const norm_kernels kernels = [] {
#if QUAVER_X86_64
    const tier t = active_tier();
    if (t == tier::avx2 || t == tier::avx512) return norm_kernels{&avx2::add_squares, &avx2::scale};
#endif
    return norm_kernels{&portable::add_squares, &portable::scale};
  }();
  return kernels;
}

/// The sum of the lanes, by halves.
inline float sum_of_lanes(float* sums) noexcept {
  const rounded_operations op;
  for (int half = norm_lanes / 2; half != 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) sums[lane] = op.add(sums[lane], sums[lane + half]);
  }
  return sums[0];
}

/// 1 / sqrt(sum / cols + epsilon).
inline float norm_inverse(float sum, int64_t cols, float epsilon) noexcept {
  const uint32_t divisor = bitwise_cast<uint32_t>(norm_divisor(cols));
  const float mean       = bitwise_cast<float>(quotient_bits(bitwise_cast<uint32_t>(sum), divisor));
  const float raised     = rounded_operations().add(mean, epsilon);
  const uint32_t root    = root_bits(bitwise_cast<uint32_t>(raised));
  return bitwise_cast<float>(quotient_bits(bitwise_cast<uint32_t>(1.0f), root));
}

/// The bits of h(row, col); stores the residual's output on the way.
template <bulk_source T>
uint32_t add_residual(const rms_norm_problem<T>& p, int64_t row, int64_t col) noexcept {
  const uint32_t x = binary32_bits(p.x(row, col));
  if (!p.has_residual()) return x;
  const rounded_operations op;
  const float sum          = op.add(bitwise_cast<float>(x), bitwise_cast<float>(binary32_bits(p.residual(row, col))));
  const T rounded          = from_binary32_bits<T>(canonical_nan(bitwise_cast<uint32_t>(sum)));
  p.residual_out(row, col) = rounded;
  return binary32_bits(rounded);
}

/// One row. Wants a standard_float_environment.
template <bulk_source T>
void norm_row(const rms_norm_problem<T>& p, int64_t row, const matrix_view<float>& y) {
  const norm_kernels& kernels        = active_norm_kernels();
  alignas(64) float sums[norm_lanes] = {};
  alignas(64) norm_values values;
  for (int64_t col = 0; col < p.x.cols; col += norm_stretch) {
    const int64_t rest = p.x.cols - col;
    for (int i = 0; i < norm_stretch; ++i) {
      // What lies beyond the row adds +0 to a sum, which changes none: no sum is -0.
      const uint32_t h = i < rest ? add_residual(p, row, col + i) : 0;

      values.value[i % norm_together][i / norm_together] = bitwise_cast<float>(h);
    }
    kernels.add_squares(values, sums);
  }
  const float inverse = norm_inverse(sum_of_lanes(sums), p.x.cols, p.epsilon);

  constexpr int together = 256;
  float h[together];
  float weight[together];
  for (int64_t col = 0; col < p.x.cols; col += together) {
    const int count = p.x.cols - col < together ? static_cast<int>(p.x.cols - col) : together;
    for (int i = 0; i < count; ++i) {
      const uint32_t stored = p.has_residual() ? binary32_bits(static_cast<const T&>(p.residual_out(row, col + i)))
                                               : binary32_bits(p.x(row, col + i));
      h[i]                  = bitwise_cast<float>(stored);
      weight[i]             = bitwise_cast<float>(binary32_bits(p.weight[col + i]));
    }
    kernels.scale(h, inverse, weight, h, count);
    for (int i = 0; i < count; ++i) y(row, col + i) = h[i];
  }
}

/// y = rms_norm(x + residual) * weight as floats, and the residual's output. Any positive strides; y overlaps nothing
/// that the problem reads or writes. On error nothing is written. Codes: cpu::quantize of y, which gives the bytes and
/// scales of cuda::rms_norm.
template <bulk_source T>
status rms_norm(const rms_norm_problem<T>& problem, matrix_view<float> y, const executor& on = {}) {
  if (status bad = check_rms_norm("rms_norm", problem); !bad.ok()) return bad;
  if (status bad = check_view("rms_norm: the output", y); !bad.ok()) return bad;
  if (status bad = check_same_shape("rms_norm", problem.x, y); !bad.ok()) return bad;
  if (y.rows == 0 || y.cols == 0) return {};
  if (touches(problem, y.data, span_bytes(y))) {
    return invalid("rms_norm: the output (" + shape_text(y.rows, y.cols) +
                   ") overlaps an input or the residual output");
  }
  const auto parts = on.width < 1 ? size_t{1} : on.width;
  on.for_each(parts, [&](size_t index) {
    const standard_float_environment environment;
    const part rows = part_of(y.rows, parts, index);
    for (int64_t row = rows.begin; row < rows.end; ++row) norm_row(problem, row, y);
  });
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
