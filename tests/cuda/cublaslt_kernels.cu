// SPDX-License-Identifier: MIT
#include <quaver/adapters/auto_gemm.cuh>

#include "cublaslt_auto.hpp"
#include "cublaslt_kernels.hpp"
#include "wgmma_plans.cuh"

// The plain kernels are in gemm_kernels.cu.
QUAVER_BEGIN_NAMESPACE
namespace cuda {
extern template status gemm(const gemm_problem<e4m3, e4m3, bfloat16>&, const gemm_options&, cudaStream_t);
extern template status can_run(const gemm_problem<e4m3, e4m3, bfloat16>&, const gemm_options&);
extern template result<gemm_plan> plan_gemm(const gemm_problem<e4m3, e4m3, bfloat16>&, const gemm_options&);
}  // namespace cuda
QUAVER_END_NAMESPACE

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

struct auto_engine_of_host::held {
  using enum quaver::cuda::wgmma_sums;
  quaver::auto_gemm<whole, promoted, scaled, scaled_lines> engine;
};
auto_engine_of_host::auto_engine_of_host() : held_(std::make_unique<held>()) {}
auto_engine_of_host::~auto_engine_of_host() = default;
quaver::status auto_engine_of_host::can_run(const problem_of_host& problem) { return held_->engine.can_run(problem); }
quaver::result<quaver::auto_choice> auto_engine_of_host::choice(const problem_of_host& problem) {
  return held_->engine.choice(problem);
}
quaver::result<quaver::auto_plan> auto_engine_of_host::plan(const problem_of_host& problem) {
  return held_->engine.plan(problem);
}
quaver::result<size_t> auto_engine_of_host::workspace(const problem_of_host& problem) {
  return held_->engine.workspace(problem);
}
quaver::status auto_engine_of_host::run(const problem_of_host& problem, std::span<std::byte> workspace,
                                        cudaStream_t stream) {
  return held_->engine.run(problem, workspace, stream);
}
quaver::status auto_engine_of_host::tune(const problem_of_host& problem, std::span<std::byte> workspace,
                                         cudaStream_t stream) {
  return held_->engine.tune(problem, workspace, stream);
}
void auto_engine_of_host::forget() { held_->engine.forget(); }
bool auto_engine_of_host::wgmma_can(const problem_of_host& problem) {
  return held_->engine.wgmma().can_run(problem).ok();
}
bool auto_engine_of_host::cublaslt_can(const problem_of_host& problem) {
  return held_->engine.cublaslt().can_run(problem).ok();
}

}  // namespace quaver_test
