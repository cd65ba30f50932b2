// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_GROUPED_GEMM_PROBLEM_HPP
#define QUAVER_PROBLEM_GROUPED_GEMM_PROBLEM_HPP

#include <quaver/problem/gemm_problem.hpp>

QUAVER_BEGIN_NAMESPACE

/// What belongs to a group of a grouped GEMM, and where its bounds come from. `each` is grouped_gemm_problem::each.
enum class gemm_groups : uint8_t {
  /// Rows of A and D, the groups' one after the other: group g has rows bounds[g] to bounds[g + 1] of each.a and
  /// each.d, and each.b + g * b_stride. groups + 1 bounds, none smaller than that before it. Rows before the first
  /// bound and from the last on belong to none.
  contiguous_rows,
  /// The first bounds[g] rows of batch g of A and D: those of a problem of `groups` batches of each.d.rows rows.
  masked_rows,
  /// Stretches of K: group g has columns bounds[g] to bounds[g + 1] of each.a and each.b, and each.d + g * d_stride,
  /// the sum over them; zeros where there are none. groups + 1 bounds, as for rows.
  depth,
};

/// Several GEMMs in one, of sizes that stand in memory which the engine reads when it runs: a mixture's experts, each
/// with its own tokens. `each` is as in a gemm_problem of each.batches.count groups, but for what gemm_groups says; its
/// strides are those of whatever is not divided (contiguous rows: of B and its scales; depth: of D, and of scales that
/// do not change along K). Scales that change along the divided axis lie as those of the whole matrix.
template <class A, class B, class D = float>
struct grouped_gemm_problem {
  gemm_problem<A, B, D> each{};
  gemm_groups groups = gemm_groups::contiguous_rows;
  /// One of these two, the other null. Bounds outside the matrix count as its nearest edge.
  const int32_t* bounds      = nullptr;
  const int64_t* wide_bounds = nullptr;
};

QUAVER_END_NAMESPACE

#endif
