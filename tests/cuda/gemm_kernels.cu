// SPDX-License-Identifier: MIT
#include "gemm_kernels.hpp"

#include <quaver/cuda/gemm.cuh>

namespace quaver_test {

namespace {

cuda::gemm_options options_of(engine with) {
  return {.engine = with == engine::mma_bf16  ? cuda::gemm_engine::mma_bf16
                    : with == engine::mma_fp8 ? cuda::gemm_engine::mma_fp8
                                              : cuda::gemm_engine::automatic};
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
