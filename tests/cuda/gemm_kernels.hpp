// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_GEMM_KERNELS_HPP
#define QUAVER_TESTS_CUDA_GEMM_KERNELS_HPP

// What the GEMM tests ask the device for: cuda::gemm for a list of formats, compiled once for each architecture, apart
// from the tests.

#include <quaver/base/status.hpp>
#include <quaver/problem/gemm_problem.hpp>

#include <cuda_runtime_api.h>

namespace quaver_test {

using namespace quaver;

enum class engine { automatic, mma_bf16, mma_fp8 };

/// cuda::gemm, cuda::can_run, the description of cuda::plan_gemm (or why there is none), cuda::gemm_workspace.
template <class A, class B, class D>
status run_on_device(const gemm_problem<A, B, D>& problem, engine with, cudaStream_t stream = nullptr);
template <class A, class B, class D>
status can_run_on_device(const gemm_problem<A, B, D>& problem, engine with);
template <class A, class B, class D>
std::string plan_on_device(const gemm_problem<A, B, D>& problem, engine with);
template <class A, class B, class D>
size_t workspace_on_device(const gemm_problem<A, B, D>& problem, engine with);

/// Every mix that the functions above exist for.
#define QUAVER_GEMM_MIXES(mix)                                                                                       \
  mix(e4m3, e4m3, float) mix(e4m3, e4m3, bfloat16) mix(e4m3, e4m3, half) mix(e4m3, e4m3, e4m3) mix(e4m3, e4m3, e5m2) \
      mix(e4m3, e5m2, float) mix(e4m3, e5m2, bfloat16) mix(e5m2, e4m3, half) mix(e5m2, e4m3, e5m2)                   \
          mix(e5m2, e5m2, float) mix(e2m1, e4m3, bfloat16) mix(e2m3, e3m2, float) mix(e3m4, binary8p3, half)         \
              mix(e4m3fnuz, e5m2fnuz, float) mix(e4m3fnuz, e4m3fnuz, e4m3fnuz) mix(float, e4m3, float)               \
                  mix(float, e2m1, e2m1) mix(bfloat16, e5m2, bfloat16)

}  // namespace quaver_test

#endif
