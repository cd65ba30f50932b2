// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_WGMMA_PLANS_CUH
#define QUAVER_TESTS_CUDA_WGMMA_PLANS_CUH

// plan_wgmma of the mixes that wgmma_kernels.cu and wgmma_other_kernels.cu have, without compiling their kernels again.

#include <quaver/cuda/wgmma_gemm.cuh>

#include "wgmma_kernels.hpp"

QUAVER_BEGIN_NAMESPACE
namespace cuda {
using enum wgmma_sums;
#define DECLARE_PLAN(A, B, D, ...) \
  extern template result<wgmma_plan> plan_wgmma<__VA_ARGS__>(const gemm_problem<A, B, D>&, const wgmma_options&);
QUAVER_WGMMA_MIXES(DECLARE_PLAN)
#undef DECLARE_PLAN
}  // namespace cuda
QUAVER_END_NAMESPACE

#endif
