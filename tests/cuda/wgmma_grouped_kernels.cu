// SPDX-License-Identifier: MIT
#include "wgmma_grouped_kernels.hpp"

#include <quaver/cuda/wgmma_grouped_gemm.cuh>

namespace quaver_test {

template <class D>
status run_grouped(const grouped_gemm_problem<e4m3, e4m3, D>& problem, cudaStream_t stream) {
  using enum cuda::wgmma_sums;
  if constexpr (same_type<D, float>) return cuda::wgmma_grouped_gemm<promoted, scaled>(problem, stream);
  else return cuda::wgmma_grouped_gemm<whole, promoted, scaled>(problem, stream);
}
template status run_grouped(const grouped_gemm_problem<e4m3, e4m3, bfloat16>&, cudaStream_t);
template status run_grouped(const grouped_gemm_problem<e4m3, e4m3, float>&, cudaStream_t);

}  // namespace quaver_test
