// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_CUBLASLT_AUTO_HPP
#define QUAVER_TESTS_CUDA_CUBLASLT_AUTO_HPP

// auto_gemm for the host compiler: nvcc compiles it in cublaslt_kernels.cu, and its kernels elsewhere.

#include <quaver/adapters/auto_gemm_record.hpp>
#include <quaver/adapters/cublaslt.hpp>

namespace quaver_test {

class auto_engine_of_host {
 public:
  using problem_of_host = quaver::gemm_problem<quaver::e4m3, quaver::e4m3, quaver::bfloat16>;
  auto_engine_of_host();
  ~auto_engine_of_host();
  auto_engine_of_host(const auto_engine_of_host&)            = delete;
  auto_engine_of_host& operator=(const auto_engine_of_host&) = delete;

  quaver::status can_run(const problem_of_host& problem);
  quaver::result<quaver::auto_choice> choice(const problem_of_host& problem);
  quaver::result<quaver::auto_plan> plan(const problem_of_host& problem);
  quaver::result<size_t> workspace(const problem_of_host& problem);
  quaver::status run(const problem_of_host& problem, std::span<std::byte> workspace, cudaStream_t stream);
  quaver::status tune(const problem_of_host& problem, std::span<std::byte> workspace, cudaStream_t stream);
  void forget();
  /// Whether each of the two engines can run it.
  bool wgmma_can(const problem_of_host& problem);
  bool cublaslt_can(const problem_of_host& problem);

 private:
  struct held;
  std::unique_ptr<held> held_;
};

}  // namespace quaver_test

#endif
