// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_PORTABLE_OPERATIONS_HPP
#define QUAVER_CPU_ISA_PORTABLE_OPERATIONS_HPP

#include <quaver/problem/activation.hpp>

#if QUAVER_FINITE_MATH
#include <cmath>
#endif

// The operations of activations and norms where the target has no fused multiply-add of its own.

QUAVER_BEGIN_NAMESPACE

namespace cpu::portable {

/// a * b + c in one rounding. Under -ffast-math clang takes the builtin apart where the target has no instruction for
/// it, so there libm is called by an address that the compiler does not know.
QUAVER_HOST_DEVICE inline float fused(float a, float b, float c) noexcept {
#if QUAVER_FINITE_MATH
  float (*libm)(float, float, float) = ::fmaf;
  __asm__("" : "+r"(libm));
  return libm(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

/// rounded_operations by way of that. Marked for devices only because the functions that take it are.
class called_operations : public rounded_operations {
 public:
  [[nodiscard]] QUAVER_HOST_DEVICE float fma(float a, float b, float c) const noexcept { return fused(a, b, c); }
  [[nodiscard]] QUAVER_HOST_DEVICE float reciprocal(float d) const noexcept { return reciprocal_by(*this, d); }
};

}  // namespace cpu::portable

QUAVER_END_NAMESPACE

#endif
