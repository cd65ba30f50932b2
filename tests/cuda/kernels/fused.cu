// SPDX-License-Identifier: MIT
//
// Not run: compiled for each kind of chip, to see that no kernel spills registers. What users ask for most.
#include <quaver/cuda/cast.cuh>
#include <quaver/cuda/cast_stats.cuh>
#include <quaver/cuda/cast_transpose.cuh>
#include <quaver/cuda/dequantize.cuh>
#include <quaver/cuda/rms_norm.cuh>

using namespace quaver;

#if QUAVER_TEST_ALL_KERNELS
status norm(const rms_norm_problem<bfloat16>& p, const scaled_matrix<e4m3>& y, cudaStream_t s) {
  return cuda::rms_norm<e4m3>(p, y, {}, s);
}
#endif
status both(const matrix_view<const bfloat16>& x, const quant_scale* quant, const matrix_view<e4m3>& y,
            const matrix_view<e4m3>& turned, cudaStream_t s) {
  return cuda::cast_transpose<e4m3>(x, quant, y, turned, {}, s);
}
status delayed(const matrix_view<const bfloat16>& x, const quant_scale* quant, const matrix_view<e4m3>& y,
               cudaStream_t s) {
  return cuda::cast<e4m3>(x, quant, y, {}, s);
}
#if QUAVER_TEST_ALL_KERNELS
status back(const scaled_matrix<const e4m3>& x, const matrix_view<bfloat16>& y, cudaStream_t s) {
  return cuda::dequantize(x, y, s);
}
status measured(const cuda::matrix_source<bfloat16>& x, const scaled_matrix<e4m3>& y, cast_stats* to,
                cuda::cast_stats_workspace* work, cudaStream_t s) {
  return cuda::quantize_with_stats<e4m3>(x, y, to, work, {}, s);
}
#endif
