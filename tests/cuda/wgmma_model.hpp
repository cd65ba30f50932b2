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

/// The model's sums, scales, alpha, bias; before it is rounded to D's type.
template <class A, class B, class D>
float documented(const gemm_problem<A, B, D>& p, int64_t row, int64_t col) {
  using reference::product;
  const A* a       = &p.a.values(row, 0);
  const B* b       = &p.b.values(col, 0);
  const int64_t k  = p.a.cols();
  const auto scale = [&](int64_t at) {
    return product(reference::scale_at(p.a, row, at), reference::scale_at(p.b, col, at));
  };
  float value = 0.0f;
  if (p.a.layout.block_cols == 0 && p.b.layout.block_cols == 0) {
    const binary32 sum = p.accumulate == accumulation::fast ? reference::tensor_core_fast(a, b, k)
                                                            : reference::tensor_core_strict(a, b, k);
    value              = 0.0f + product(bitwise_cast<float>(sum), scale(0));
  } else {
    for (int64_t at = 0; at < k; at += 128) {
      const binary32 part = reference::tensor_core_fast(a + at, b + at, std::min<int64_t>(128, k - at));
      value               = reference::fused(value, bitwise_cast<float>(part), scale(at));
    }
  }
  value = product(value, p.alpha);
  return p.bias == nullptr ? value : value + p.bias[col];
}

}  // namespace quaver_test

#endif
