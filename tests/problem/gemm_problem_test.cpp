// SPDX-License-Identifier: MIT
#include <quaver/problem/gemm_problem.hpp>

#include <gtest/gtest.h>

#include <type_traits>

namespace {

using namespace quaver;

TEST(GemmProblem, is_plain_data_that_asks_for_a_b_transposed_and_nothing_else_by_default) {
  using problem = gemm_problem<e4m3, e5m2, bfloat16>;
  static_assert(std::is_trivially_copyable_v<problem> && std::is_aggregate_v<problem>);
  static_assert(std::is_same_v<decltype(problem::a), scaled_matrix<const e4m3>>, "operands are read only");
  static_assert(std::is_same_v<decltype(problem::b), scaled_matrix<const e5m2>>);
  static_assert(std::is_same_v<decltype(problem::d), matrix_view<bfloat16>>);
  static_assert(std::is_same_v<decltype(gemm_problem<e4m3, e4m3>::d), matrix_view<float>>);
  const problem p;
  EXPECT_EQ(p.alpha, 1.0f);
  EXPECT_EQ(p.beta, 0.0f);
  EXPECT_EQ(p.bias, nullptr);
  EXPECT_EQ(p.act, activation::none);
  EXPECT_EQ(p.c.data, nullptr);
  EXPECT_EQ(p.d.rows, 0);
}

TEST(GemmProblem, takes_writable_operands_as_they_are) {
  e4m3 codes[4] = {};
  float scale   = 1;
  scaled_matrix<e4m3> a;
  a.values = {codes, 2, 2};
  a.scales = &scale;
  const gemm_problem<e4m3, e4m3> p{.a = a, .b = a};
  EXPECT_EQ(p.a.values.data, codes);
  EXPECT_EQ(p.b.scales, &scale);
}

}  // namespace
