// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_WGMMA_GROUPED_KERNELS_HPP
#define QUAVER_TESTS_CUDA_WGMMA_GROUPED_KERNELS_HPP

// What the tests of the grouped GEMM for Hopper ask the device for: cuda::wgmma_grouped_gemm for E4M3, compiled once,
// apart from the tests. With bfloat16 D there are kernels for all kinds of sums, with float D for strict ones and
// scales of blocks.

#include <quaver/base/status.hpp>
#include <quaver/problem/grouped_gemm_problem.hpp>

#include <cuda_runtime_api.h>

namespace quaver_test {

using namespace quaver;

template <class D>
status run_grouped(const grouped_gemm_problem<e4m3, e4m3, D>& problem, cudaStream_t stream = nullptr);
extern template status run_grouped(const grouped_gemm_problem<e4m3, e4m3, bfloat16>&, cudaStream_t);
extern template status run_grouped(const grouped_gemm_problem<e4m3, e4m3, float>&, cudaStream_t);

}  // namespace quaver_test

#endif
