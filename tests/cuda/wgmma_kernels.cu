// SPDX-License-Identifier: MIT
#include "wgmma_plans.cuh"

// The kernels of the mixes that are always compiled.

QUAVER_BEGIN_NAMESPACE
namespace cuda {
#define INSTANTIATE_PLAN(A, B, D, ...) \
  template result<wgmma_plan> plan_wgmma<__VA_ARGS__>(const gemm_problem<A, B, D>&, const wgmma_options&);
QUAVER_WGMMA_USUAL_MIXES(INSTANTIATE_PLAN)
}  // namespace cuda
QUAVER_END_NAMESPACE
