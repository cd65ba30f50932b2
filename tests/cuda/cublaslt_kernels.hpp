// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_CUBLASLT_KERNELS_HPP
#define QUAVER_TESTS_CUDA_CUBLASLT_KERNELS_HPP

// cublaslt_gemm_with_epilogue for the host compiler: nvcc compiles it in cublaslt_kernels.cu.

#include <quaver/adapters/cublaslt.hpp>

namespace quaver_test {

template <class A, class B, class D>
quaver::status run_with_epilogue(quaver::cublaslt_gemm& engine, const quaver::gemm_problem<A, B, D>& problem,
                                 std::span<std::byte> workspace, cudaStream_t stream);
template <class A, class B, class D>
quaver::result<quaver::cublaslt_plan> plan_with_epilogue(quaver::cublaslt_gemm& engine,
                                                         const quaver::gemm_problem<A, B, D>& problem);

}  // namespace quaver_test

#endif
