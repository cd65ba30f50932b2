// SPDX-License-Identifier: MIT
//
// Not run: compiled for each kind of chip, to see that no kernel spills registers. Two e2m1 a byte, by the umbrella header.
#include <quaver/quaver.cuh>

using namespace quaver;

#if QUAVER_TEST_ALL_KERNELS
status nvfp4(const matrix_view<const bfloat16>& x, const scaled_matrix<e2m1x2>& y, cuda::tensor_workspace* work,
             cudaStream_t s) {
  return cuda::quantize<e2m1x2>(x, y, {.workspace = work}, s);
}
#endif
status back(const scaled_matrix<const e2m1x2>& x, const matrix_view<bfloat16>& y, cudaStream_t s) {
  return cuda::dequantize(x, y, s);
}
/// Refused before anything is launched.
status multiplied(const gemm_problem<e2m1x2, e2m1x2, bfloat16>& p, cudaStream_t s) { return cuda::gemm(p, {}, s); }
