// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CPU_ENVIRONMENTS_HPP
#define QUAVER_TESTS_CPU_ENVIRONMENTS_HPP

// The float environments that no result may depend on and every call must leave as it found them: each rounding mode,
// with and without flushing of subnormals, with flags raised and (on x86) exceptions unmasked.

#include <quaver/base/config.hpp>

#include <array>
#include <cfenv>
#include <cstdint>
#include <string>

#if QUAVER_X86_64
#include <immintrin.h>
#endif

namespace quaver_test {

/// One environment: a rounding mode as <cfenv> names it and, on x86, further bits of MXCSR.
struct environment {
  int rounding;
  uint32_t control;
  const char* name;
};

#if QUAVER_X86_64
inline constexpr uint32_t flush_bits  = 0x8040;  // FTZ and DAZ
inline constexpr uint32_t raised_bits = 0x0021;  // the flags "inexact" and "invalid"
#else
inline constexpr uint32_t flush_bits  = 0;
inline constexpr uint32_t raised_bits = 0;
#endif

inline constexpr std::array environments = {
    environment{FE_TONEAREST, 0, "nearest"},
    environment{FE_UPWARD, 0, "upward"},
    environment{FE_DOWNWARD, raised_bits, "downward, flags raised"},
    environment{FE_TOWARDZERO, flush_bits, "toward zero, subnormals flushed"},
    environment{FE_TONEAREST, flush_bits | raised_bits, "nearest, subnormals flushed, flags raised"},
    environment{FE_UPWARD, flush_bits, "upward, subnormals flushed"},
};

/// What a call may change in the environment, in one number.
inline uint64_t environment_state() {
#if QUAVER_X86_64
  uint16_t x87 = 0;
  __asm__ volatile("fnstcw %0" : "=m"(x87));
  return uint64_t{x87} << 32 | _mm_getcsr();
#else
  return static_cast<uint64_t>(std::fegetround()) << 32 | static_cast<uint64_t>(std::fetestexcept(FE_ALL_EXCEPT));
#endif
}

/// Runs `call` under `e` and returns whether the environment afterwards is the one before. The asm keeps the compiler from
/// moving the call's arithmetic out.
template <class Call>
bool keeps_environment(const environment& e, const Call& call) {
  std::fenv_t saved;
  std::fegetenv(&saved);
  std::fesetround(e.rounding);
#if QUAVER_X86_64
  _mm_setcsr(_mm_getcsr() | e.control);
#endif
  const uint64_t before = environment_state();
  __asm__ volatile("" ::: "memory");
  call();
  __asm__ volatile("" ::: "memory");
  const uint64_t after = environment_state();
  std::fesetenv(&saved);
  return before == after;
}

}  // namespace quaver_test

#endif
