// SPDX-License-Identifier: MIT

// Built once for each tier with the macro QUAVER_CPU_TIER, and run with another tier in the environment: prints the tier
// in force, which must be the macro's. No instruction of the tier is executed.

#include <quaver/cpu/gemm.hpp>

#include <cstdio>

int main() {
  static_assert(noexcept(quaver::cpu::active_tier()));
  const quaver::cpu::gemm_options options;
  if (options.tier != quaver::cpu::active_tier()) return 1;
  return std::puts(quaver::cpu::name_of(quaver::cpu::active_tier())) < 0 ? 1 : 0;
}
