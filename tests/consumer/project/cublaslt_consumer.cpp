// SPDX-License-Identifier: MIT
#include <quaver/adapters/cublaslt.hpp>

#include <cstdio>

// A problem without an operand must be an error with a sentence, with or without a GPU.
int main() {
  quaver::cublaslt_gemm engine;
  quaver::gemm_problem<quaver::e4m3, quaver::e4m3, float> problem;
  problem.a.values = {nullptr, 16, 16};
  const auto done  = engine.can_run(problem);
  std::puts(done.message().c_str());
  return done.ok() ? 1 : 0;
}
