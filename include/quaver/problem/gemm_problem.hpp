// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_GEMM_PROBLEM_HPP
#define QUAVER_PROBLEM_GEMM_PROBLEM_HPP

#include <quaver/tensor/scaled_matrix.hpp>

QUAVER_BEGIN_NAMESPACE

/// What happens to alpha * A * B^T + beta * C + bias before it is stored.
enum class activation : uint8_t {
  none,
  relu,  ///< negative values and -0 become +0; NaN stays
};

/// D = activation(alpha * A * B^T + beta * C + bias), asked of any engine.
///
/// A is M x K, B is N x K (both row-major in the field's "TN" case), D and C are M x N, bias has N elements. `A` and
/// `B` are 8-bit formats; `D` is float, half or bfloat16, and C has D's type. The sizes are those of the views. alpha
/// and beta are host scalars. C may be D itself; nothing else may overlap D.
template <class A, class B, class D = float>
struct gemm_problem {
  scaled_matrix<const A> a{};
  scaled_matrix<const B> b{};
  matrix_view<D> d{};
  matrix_view<const D> c{};     ///< read where beta is not 0; then it must have D's shape
  const float* bias = nullptr;  ///< N values, or null for none
  float alpha       = 1.0f;
  float beta        = 0.0f;
  activation act    = activation::none;
};

QUAVER_END_NAMESPACE

#endif
