// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_GEMM_HPP
#define QUAVER_CPU_GEMM_HPP

#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/matrix_checks.hpp>
#include <quaver/problem/gemm_problem.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Why cpu::gemm cannot run this problem, or ok.
template <class A, class B, class D>
status can_run(const gemm_problem<A, B, D>& problem) {
  if (status bad = check_scaled("gemm: A", problem.a); !bad.ok()) return bad;
  if (status bad = check_scaled("gemm: B", problem.b); !bad.ok()) return bad;
  if (status bad = check_view("gemm: D", problem.d); !bad.ok()) return bad;
  const int64_t m = problem.d.rows;
  const int64_t n = problem.d.cols;
  if (problem.a.cols() != problem.b.cols() || problem.a.rows() != m || problem.b.rows() != n) {
    return invalid("gemm: A is " + shape_text(problem.a.rows(), problem.a.cols()) + ", B is " +
                   shape_text(problem.b.rows(), problem.b.cols()) + ", D is " + shape_text(m, n) +
                   "; they must be M x K, N x K and M x N");
  }
  const auto overlaps_d = [&](const auto& view) {
    return overlaps(view.data, span_bytes(view), problem.d.data, span_bytes(problem.d));
  };
  if (overlaps_d(problem.a.values) || overlaps_d(problem.b.values))
    return invalid("gemm: D (" + shape_text(m, n) + ") overlaps an input");
  const size_t d_bytes = span_bytes(problem.d);
  if (scales_overlap(problem.a, problem.d.data, d_bytes) || scales_overlap(problem.b, problem.d.data, d_bytes)) {
    return invalid("gemm: D (" + shape_text(m, n) + ") overlaps the scales of an input");
  }
  if (problem.bias != nullptr &&
      overlaps(problem.bias, static_cast<size_t>(n) * sizeof(float), problem.d.data, d_bytes)) {
    return invalid("gemm: D (" + shape_text(m, n) + ") overlaps the bias (" + std::to_string(n) + " values)");
  }
  if (problem.beta != 0.0f) {
    if (status bad = check_view("gemm: C", problem.c); !bad.ok()) return bad;
    if (problem.c.rows != m || problem.c.cols != n) {
      return invalid("gemm: C is " + shape_text(problem.c.rows, problem.c.cols) + ", D is " + shape_text(m, n));
    }
    const bool is_d = problem.c.data == problem.d.data && (m == 1 || problem.c.row_stride == problem.d.row_stride) &&
                      (n == 1 || problem.c.col_stride == problem.d.col_stride);
    if (!is_d && overlaps_d(problem.c)) return invalid("gemm: C overlaps D without being D (" + shape_text(m, n) + ")");
  }
  return {};
}

/// D = activation(alpha * A * B^T + beta * C + bias); see gemm_problem. The portable tier: simple, and the bytes every
/// other tier must give.
///
/// The order of summation of an element of D, every operation rounded once in binary32 to nearest even, subnormals
/// kept:
///   1. K is cut wherever a scale of A or B changes. Each piece starts at +0 and takes its terms in pairs: of terms 2i
///      and 2i + 1 of the piece the odd one is added first (the order of the vdpbf16ps instruction). The products of
///      two 8-bit values are exact.
///   2. The piece's sum is multiplied by the product of its two scales and added to the total, which starts at +0.
///   3. total * alpha; plus beta * C where beta is not 0; plus bias; activation; rounding to D's type to nearest even,
///      infinity beyond its range. NaN results are 7FC00000, 7E00 or 7FC0.
///
/// K = 0 leaves beta * C + bias. Any positive strides. On error nothing is written.
template <eight_bit A, eight_bit B, bulk_source D>
  requires signed_format<A> && signed_format<B>
status gemm(const gemm_problem<A, B, D>& problem) {
  if (status bad = can_run(problem); !bad.ok()) return bad;
  const scaled_matrix<const A>& a = problem.a;
  const scaled_matrix<const B>& b = problem.b;
  const int64_t depth             = a.cols();

  // The first k after `k` at which a scale changes.
  const auto piece_end = [depth](const scale_layout& layout, int64_t k) {
    const int64_t end = layout.block_cols == 0 ? depth : (k / layout.block_cols + 1) * layout.block_cols;
    return end < depth ? end : depth;
  };

  const standard_float_environment environment;
  for (int64_t m = 0; m < problem.d.rows; ++m) {
    for (int64_t n = 0; n < problem.d.cols; ++n) {
      const auto accumulate = [&](float& sum, int64_t k) {
        sum += bitwise_cast<float>(lookup_bits(a.values(m, k))) * bitwise_cast<float>(lookup_bits(b.values(n, k)));
        keep(sum);
      };
      float total = 0.0f;
      keep(total);  // -ffast-math takes 0 + x for x, but 0 + -0 is +0
      for (int64_t k = 0; k < depth;) {
        const int64_t end_a = piece_end(a.layout, k);
        const int64_t end_b = piece_end(b.layout, k);
        const int64_t end   = end_a < end_b ? end_a : end_b;
        float scale         = a.dequant(m, k) * b.dequant(n, k);
        keep(scale);
        float sum = 0.0f;
        keep(sum);
        for (; k + 1 < end; k += 2) {
          accumulate(sum, k + 1);
          accumulate(sum, k);
        }
        for (; k < end; ++k) accumulate(sum, k);
        float scaled = sum * scale;
        keep(scaled);
        total += scaled;
        keep(total);
      }

      float value = total * problem.alpha;
      keep(value);
      if (problem.beta != 0.0f) {
        float old = problem.beta * bitwise_cast<float>(binary32_bits(problem.c(m, n)));
        keep(old);
        value += old;
        keep(value);
      }
      if (problem.bias != nullptr) {
        value += problem.bias[n];
        keep(value);
      }
      uint32_t bits = canonical_nan(bitwise_cast<uint32_t>(value));
      if (problem.act == activation::relu && (bits & binary<float>::sign_mask) != 0) bits = 0;
      problem.d(m, n) = from_binary32_bits<D>(bits);
    }
  }
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
