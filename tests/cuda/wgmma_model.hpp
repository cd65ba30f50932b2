// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_WGMMA_MODEL_HPP
#define QUAVER_TESTS_CUDA_WGMMA_MODEL_HPP

// What the documentation of the GEMMs for Hopper says of one element.

#include <quaver/problem/gemm_problem.hpp>
#include <quaver/reference/gemm.hpp>
#include <quaver/reference/tensor_core.hpp>

#include <algorithm>

namespace quaver_test {

using namespace quaver;

/// The model's sum of steps of 128 of K, from `first` to before `end`, scaled where scales change.
template <class A, class B, class D>
float documented_sum(const gemm_problem<A, B, D>& p, int64_t row, int64_t col, int64_t first, int64_t end) {
  using reference::product;
  const int64_t k = std::min(p.a.cols(), 128 * end) - 128 * first;
  const A* a      = &p.a.values(row, 0) + 128 * first;
  const B* b      = &p.b.values(col, 0) + 128 * first;
  if (p.a.layout.block_cols == 0 && p.b.layout.block_cols == 0) {
    return bitwise_cast<float>(p.accumulate == accumulation::fast ? reference::tensor_core_fast(a, b, k)
                                                                  : reference::tensor_core_strict(a, b, k));
  }
  float value = 0.0f;
  for (int64_t at = 0; at < k; at += 128) {
    const binary32 part  = reference::tensor_core_fast(a + at, b + at, std::min<int64_t>(128, k - at));
    const int64_t column = 128 * first + at;
    value                = reference::fused(value, bitwise_cast<float>(part),
                                            product(reference::scale_at(p.a, row, column), reference::scale_at(p.b, col, column)));
  }
  return value;
}

/// One element before it is rounded to D's type: the model's sums, those of parts of K added, scales, alpha, bias.
template <class A, class B, class D>
float documented(const gemm_problem<A, B, D>& p, int64_t row, int64_t col, int64_t parts = 1) {
  using reference::product;
  const int64_t steps = (p.a.cols() + 127) / 128;
  float value         = documented_sum(p, row, col, 0, steps / parts);
  for (int64_t i = 1; i < parts; ++i) value += documented_sum(p, row, col, steps * i / parts, steps * (i + 1) / parts);
  if (p.a.layout.block_cols == 0 && p.b.layout.block_cols == 0)
    value = reference::fused(0.0f, value, product(reference::scale_at(p.a, row, 0), reference::scale_at(p.b, col, 0)));
  value = product(value, p.alpha);
  return p.bias == nullptr ? value : value + p.bias[col];
}

}  // namespace quaver_test

#endif
