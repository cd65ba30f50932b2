// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_RMS_NORM_PROBLEM_HPP
#define QUAVER_PROBLEM_RMS_NORM_PROBLEM_HPP

#include <quaver/convert/elements.hpp>
#include <quaver/scale/binary32.hpp>
#include <quaver/tensor/matrix_checks.hpp>

// RMS norm, alone or after a residual: what is asked, and the arithmetic that both engines follow to the bit.
//
//   h = x, or x + residual, added in binary32 and rounded to T: what is stored for the next layer is what is normed here
//   sum of squares of a row: the column c belongs to lane (c / 8) % 256; each lane takes fma(h, h, sum) from +0 on in the
//     order of c; then the lanes are added by halves, sum[i] += sum[i + 128], then 64, 32, ..., 1
//   mean = sum / cols, inverse = 1 / sqrt(mean + epsilon), y = (h * inverse) * weight
//
// Every step is one operation in binary32, rounded once to nearest even, subnormals kept. Eight columns are what one load
// of 16 bytes brings, and 256 lanes the threads of a thread block. A row of zeros with an epsilon of 0 becomes NaN, 0 *
// (1 / 0); NaN and infinity in a row reach all of it.

QUAVER_BEGIN_NAMESPACE

inline constexpr int norm_lanes    = 256;
inline constexpr int norm_together = 8;  ///< columns that follow each other in one lane

/// y = rms_norm(x + residual) * weight.
template <bulk_source T>
struct rms_norm_problem {
  matrix_view<const T> x;
  const T* weight = nullptr;  ///< a value for each column
  float epsilon   = 1e-6f;    ///< not negative, finite
  /// Both or neither. The output may be the residual itself, but overlaps nothing else.
  matrix_view<const T> residual{};
  matrix_view<T> residual_out{};

  [[nodiscard]] QUAVER_HOST_DEVICE constexpr bool has_residual() const noexcept { return residual.data != nullptr; }
};

/// The number of columns as the float that sums are divided by; rounded to nearest even from 2^24 on.
constexpr float norm_divisor(int64_t cols) noexcept {
  return round_to_float(false, 0, static_cast<uint64_t>(cols), false);
}
static_assert(norm_divisor(3) == 3.0f && norm_divisor((int64_t{1} << 24) + 1) == 0x1p24f);

#if !QUAVER_NVRTC

/// Whether a byte range shares a byte with what the problem reads or writes.
template <bulk_source T>
bool touches(const rms_norm_problem<T>& p, const void* data, size_t bytes) noexcept {
  const size_t weights = static_cast<size_t>(p.x.cols) * sizeof(T);
  return overlaps(p.x.data, span_bytes(p.x), data, bytes) || overlaps(p.weight, weights, data, bytes) ||
         (p.has_residual() && (overlaps(p.residual.data, span_bytes(p.residual), data, bytes) ||
                               overlaps(p.residual_out.data, span_bytes(p.residual_out), data, bytes)));
}

/// What both engines ask of a problem.
template <bulk_source T>
status check_rms_norm(const std::string& name, const rms_norm_problem<T>& p) {
  const std::string shape = shape_text(p.x.rows, p.x.cols);
  if (status bad = check_view(name + ": the input", p.x); !bad.ok()) return bad;
  if (bitwise_cast<uint32_t>(p.epsilon) >= binary<float>::infinity) {
    return invalid(name + ": epsilon is " + std::to_string(p.epsilon) + "; it is finite and not negative");
  }
  if (p.x.rows == 0 || p.x.cols == 0) return {};
  if (p.weight == nullptr) return invalid(name + ": the weight is null, for " + std::to_string(p.x.cols) + " columns");
  if ((p.residual.data == nullptr) != (p.residual_out.data == nullptr)) {
    return invalid(name + " (" + shape + "): the " + (p.has_residual() ? "residual output" : "residual") +
                   " is null; both are given or neither");
  }
  if (!p.has_residual()) return {};
  if (status bad = check_view(name + ": the residual", p.residual); !bad.ok()) return bad;
  if (status bad = check_view(name + ": the residual output", p.residual_out); !bad.ok()) return bad;
  if (status bad = check_same_shape(name + " (residual)", p.x, p.residual); !bad.ok()) return bad;
  if (status bad = check_same_shape(name + " (residual output)", p.x, p.residual_out); !bad.ok()) return bad;
  const size_t bytes = span_bytes(p.residual_out);
  const bool same    = p.residual.data == p.residual_out.data && p.residual.row_stride == p.residual_out.row_stride &&
                    p.residual.col_stride == p.residual_out.col_stride;
  const bool in_part = !same && overlaps(p.residual.data, span_bytes(p.residual), p.residual_out.data, bytes);
  if (in_part || overlaps(p.x.data, span_bytes(p.x), p.residual_out.data, bytes) ||
      overlaps(p.weight, static_cast<size_t>(p.x.cols) * sizeof(T), p.residual_out.data, bytes)) {
    return invalid(name + ": the residual output (" + shape + ") overlaps an input that it is not");
  }
  return {};
}

#endif  // !QUAVER_NVRTC

QUAVER_END_NAMESPACE

#endif
