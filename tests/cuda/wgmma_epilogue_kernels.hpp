// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_WGMMA_EPILOGUE_KERNELS_HPP
#define QUAVER_TESTS_CUDA_WGMMA_EPILOGUE_KERNELS_HPP

// What the tests of cuda::wgmma_gemm_with ask the device for, compiled once, apart from them.

#include "wgmma_kernels.hpp"

namespace quaver_test {

/// D = SwiGLU of alpha * A * B^T + bias, times d_scale, with its amax: D has the first N / 2 of the columns that the problem
/// says. Neither C nor an activation. In CI for e4m3 with scales of blocks, where QUAVER_TEST_EVERY_MIX is on for all below.
template <class D>
status run_swiglu(const gemm_problem<e4m3, e4m3, D>& problem, tile with, cudaStream_t stream = nullptr);
template <class D>
std::string plan_of_swiglu(const gemm_problem<e4m3, e4m3, D>& problem, tile with);

/// An epilogue of the test's own: each 128 columns of a row of alpha * A * B^T in E4M3 with a scale of their own, of which D's
/// rows have (N + 127) / 128, those of the batches one after the other. Where QUAVER_TEST_EVERY_MIX is on.
status run_row_blocks(const gemm_problem<e4m3, e4m3, e4m3>& problem, float* scales, tile with,
                      cudaStream_t stream = nullptr);

/// All that a gemm_problem with scales a row, C and gelu asks for, by the other steps, its scales too: `one` is 1.0 in device
/// memory, for the product itself. Where QUAVER_TEST_EVERY_MIX is on.
status run_steps(const gemm_problem<e4m3, e4m3, half>& problem, const float* one, tile with);

}  // namespace quaver_test

#endif
