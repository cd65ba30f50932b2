// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_WGMMA_KERNELS_HPP
#define QUAVER_TESTS_CUDA_WGMMA_KERNELS_HPP

// What the tests of the GEMM for Hopper ask the device for: cuda::wgmma_gemm for a list of formats, compiled once, apart
// from the tests.

#include <quaver/base/status.hpp>
#include <quaver/problem/gemm_problem.hpp>

#include <cuda_runtime_api.h>

namespace quaver_test {

using namespace quaver;

/// cuda::wgmma_tile, without the kernels.
enum class tile : uint8_t {
  automatic,
  in_turn_128x128,
  in_turn_128x176,
  in_turn_128x192,
  rows_128x192,
  rows_128x176,
  rows_128x128,
  rows_256x128,
  alone_128x256,
  small
};

template <class A, class B, class D>
status run_wgmma(const gemm_problem<A, B, D>& problem, tile with, cudaStream_t stream = nullptr);
/// The description of the plan, or why there is none.
template <class A, class B, class D>
std::string plan_of_wgmma(const gemm_problem<A, B, D>& problem, tile with);

/// The parts that K is cut into; 0 where there is no plan.
template <class A, class B, class D>
int k_parts_of_wgmma(const gemm_problem<A, B, D>& problem, tile with);

/// cpu::gemm, compiled once, in wgmma_test.cpp.
template <class A, class B, class D>
status gemm_of_host(const gemm_problem<A, B, D>& problem);

/// The mixes that the functions above exist for, with the kinds of sums that there are kernels for: those that are always
/// compiled, and those where QUAVER_CUDA_TEST_VARIANTS is on.
#if QUAVER_TEST_EVERY_MIX
#define QUAVER_WGMMA_USUAL_MIXES(mix)                              \
  mix(e4m3, e4m3, bfloat16, whole, promoted, scaled, scaled_lines) \
      mix(e4m3, e4m3, float, whole, promoted, scaled, scaled_lines) mix(e4m3, e4m3, e4m3, whole, scaled)
#define QUAVER_WGMMA_OTHER_MIXES(mix)                                                                        \
  mix(e5m2, e5m2, float, whole) mix(e5m2, e4m3, bfloat16, scaled, scaled_lines) mix(e4m3, e4m3, half, whole) \
      mix(e4m3, e4m3, e5m2, promoted) mix(e4m3, e5m2, bfloat16, promoted)
#else
#define QUAVER_WGMMA_USUAL_MIXES(mix)                                                                              \
  mix(e4m3, e4m3, bfloat16, whole, promoted, scaled, scaled_lines) mix(e4m3, e4m3, float, whole, promoted, scaled) \
      mix(e4m3, e4m3, e4m3, whole)
#define QUAVER_WGMMA_OTHER_MIXES(mix)
#endif
#define QUAVER_WGMMA_MIXES(mix) QUAVER_WGMMA_USUAL_MIXES(mix) QUAVER_WGMMA_OTHER_MIXES(mix)

}  // namespace quaver_test

#endif
