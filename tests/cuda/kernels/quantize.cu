// SPDX-License-Identifier: MIT
//
// Not run: compiled for each kind of chip, to see that no kernel spills registers. What users ask for most.
#include <quaver/cuda/quantize.cuh>

using namespace quaver;

status matrix(const matrix_view<const bfloat16>& x, const scaled_matrix<e4m3>& y, cudaStream_t s) {
  return cuda::quantize<e4m3>(x, y, {}, s);
}
#if QUAVER_TEST_ALL_KERNELS
status swiglu(const cuda::silu_mul_source<bfloat16>& x, const scaled_matrix<e4m3>& y, cudaStream_t s) {
  return cuda::quantize<e4m3>(x, y, {}, s);
}
status relu(const cuda::bias_activation_source<bfloat16, activation::relu>& x, const scaled_matrix<e4m3>& y,
            cudaStream_t s) {
  return cuda::quantize<e4m3>(x, y, {}, s);
}
#endif
