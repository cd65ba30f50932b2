// SPDX-License-Identifier: MIT
#include "gemm_kernels.hpp"

#include <quaver/cuda/gemm.cuh>

namespace quaver_test {

namespace {

cuda::gemm_options options_of(engine with) {
  switch (with) {
    case engine::automatic: return {};
    case engine::mma_bf16: return {.engine = cuda::gemm_engine::mma_bf16};
    case engine::mma_f16: return {.engine = cuda::gemm_engine::mma_f16};
    case engine::mma_fp8: return {.engine = cuda::gemm_engine::mma_fp8};
  }
  return {};
}

}  // namespace

template <class A, class B, class D>
status run_on_device(const gemm_problem<A, B, D>& problem, engine with, cudaStream_t stream) {
  return cuda::gemm(problem, options_of(with), stream);
}

template <class A, class B, class D>
status can_run_on_device(const gemm_problem<A, B, D>& problem, engine with) {
  return cuda::can_run(problem, options_of(with));
}

template <class A, class B, class D>
std::string plan_on_device(const gemm_problem<A, B, D>& problem, engine with) {
  const auto plan = cuda::plan_gemm(problem, options_of(with));
  return plan.ok() ? plan->description() : plan.message();
}

template <class A, class B, class D>
size_t workspace_on_device(const gemm_problem<A, B, D>& problem, engine with) {
  return cuda::gemm_workspace(problem, options_of(with));
}

#define INSTANTIATE(A, B, D)                                                         \
  template status run_on_device(const gemm_problem<A, B, D>&, engine, cudaStream_t); \
  template status can_run_on_device(const gemm_problem<A, B, D>&, engine);           \
  template std::string plan_on_device(const gemm_problem<A, B, D>&, engine);         \
  template size_t workspace_on_device(const gemm_problem<A, B, D>&, engine);
QUAVER_GEMM_MIXES(INSTANTIATE)

}  // namespace quaver_test

// For other files, that call these without kernels of their own: see cublaslt_kernels.cu.
QUAVER_BEGIN_NAMESPACE
namespace cuda {
template status gemm(const gemm_problem<e4m3, e4m3, bfloat16>&, const gemm_options&, cudaStream_t);
template status can_run(const gemm_problem<e4m3, e4m3, bfloat16>&, const gemm_options&);
template result<gemm_plan> plan_gemm(const gemm_problem<e4m3, e4m3, bfloat16>&, const gemm_options&);
}  // namespace cuda
QUAVER_END_NAMESPACE
