// SPDX-License-Identifier: MIT
#include "wgmma_plans.cuh"

namespace quaver_test {

namespace {

template <class A, class B, class D>
struct kinds_of_sums;
#define KINDS(A, B, D, ...)                                                                         \
  template <>                                                                                       \
  struct kinds_of_sums<A, B, D> {                                                                   \
    static result<cuda::wgmma_plan> plan(const gemm_problem<A, B, D>& problem, tile with) {         \
      using enum cuda::wgmma_sums;                                                                  \
      return cuda::plan_wgmma<__VA_ARGS__>(problem, {.tile = static_cast<cuda::wgmma_tile>(with)}); \
    }                                                                                               \
  };
QUAVER_WGMMA_MIXES(KINDS)

static_assert(static_cast<int>(tile::small) == static_cast<int>(cuda::wgmma_tile::small));

}  // namespace

template <class A, class B, class D>
status run_wgmma(const gemm_problem<A, B, D>& problem, tile with, cudaStream_t stream) {
  const result<cuda::wgmma_plan> plan = kinds_of_sums<A, B, D>::plan(problem, with);
  return plan.ok() ? plan->launch(stream) : plan.error();
}

template <class A, class B, class D>
std::string plan_of_wgmma(const gemm_problem<A, B, D>& problem, tile with) {
  const result<cuda::wgmma_plan> plan = kinds_of_sums<A, B, D>::plan(problem, with);
  return plan.ok() ? plan->description() : plan.message();
}

template <class A, class B, class D>
int k_parts_of_wgmma(const gemm_problem<A, B, D>& problem, tile with) {
  const result<cuda::wgmma_plan> plan = kinds_of_sums<A, B, D>::plan(problem, with);
  return plan.ok() ? plan->k_parts() : 0;
}

#define INSTANTIATE(A, B, D, ...)                                              \
  template status run_wgmma(const gemm_problem<A, B, D>&, tile, cudaStream_t); \
  template std::string plan_of_wgmma(const gemm_problem<A, B, D>&, tile);      \
  template int k_parts_of_wgmma(const gemm_problem<A, B, D>&, tile);
QUAVER_WGMMA_MIXES(INSTANTIATE)

}  // namespace quaver_test
