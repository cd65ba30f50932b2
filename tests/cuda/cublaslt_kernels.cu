// SPDX-License-Identifier: MIT
#include <quaver/adapters/cublaslt_epilogue.cuh>

#include "cublaslt_kernels.hpp"

namespace quaver_test {

template <class A, class B, class D>
quaver::status run_with_epilogue(quaver::cublaslt_gemm& engine, const quaver::gemm_problem<A, B, D>& problem,
                                 std::span<std::byte> workspace, cudaStream_t stream) {
  return quaver::cublaslt_gemm_with_epilogue(engine).run(problem, workspace, stream);
}
template <class A, class B, class D>
quaver::result<quaver::cublaslt_plan> plan_with_epilogue(quaver::cublaslt_gemm& engine,
                                                         const quaver::gemm_problem<A, B, D>& problem) {
  return quaver::cublaslt_gemm_with_epilogue(engine).plan(problem);
}

#define QUAVER_TEST_EPILOGUE(A, B, D)                                                                     \
  template quaver::status run_with_epilogue(quaver::cublaslt_gemm&, const quaver::gemm_problem<A, B, D>&, \
                                            std::span<std::byte>, cudaStream_t);                          \
  template quaver::result<quaver::cublaslt_plan> plan_with_epilogue(quaver::cublaslt_gemm&,               \
                                                                    const quaver::gemm_problem<A, B, D>&);
QUAVER_TEST_EPILOGUE(quaver::e4m3, quaver::e4m3, float)
QUAVER_TEST_EPILOGUE(quaver::e4m3, quaver::e4m3, quaver::bfloat16)
QUAVER_TEST_EPILOGUE(quaver::e5m2, quaver::e4m3, quaver::half)
QUAVER_TEST_EPILOGUE(quaver::e4m3, quaver::e5m2, quaver::e4m3)
QUAVER_TEST_EPILOGUE(quaver::e4m3, quaver::e4m3, quaver::e5m2)

}  // namespace quaver_test
