// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_FLOAT_ENVIRONMENT_HPP
#define QUAVER_CPU_FLOAT_ENVIRONMENT_HPP

#include <quaver/base/bits.hpp>

#if !QUAVER_X86_64 && !QUAVER_AARCH64
#include <cfenv>
#endif

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// While one lives, this thread rounds to nearest even and keeps subnormals; then the caller's rounding mode, DAZ, FTZ,
/// masks and flags return. Bulk functions hold one around their loops. The asm statements clobber memory, so the
/// compiler moves neither loads above the first nor stores below the last: arithmetic on array elements stays between.
class standard_float_environment {
 public:
#if QUAVER_X86_64
  standard_float_environment() noexcept {
    const uint32_t standard = 0x1F80;  // MXCSR after reset: round to nearest, every exception masked, no DAZ, no FTZ
    __asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(saved_) : "m"(standard) : "memory");
  }
  ~standard_float_environment() { __asm__ volatile("ldmxcsr %0" : : "m"(saved_) : "memory"); }
#elif QUAVER_AARCH64
  standard_float_environment() noexcept {
    const uint64_t standard = 0;  // FPCR: round to nearest, no flush to zero, no traps
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr\n\tmsr fpcr, %2"
                     : "=&r"(saved_), "=&r"(flags_)
                     : "r"(standard)
                     : "memory");
  }
  ~standard_float_environment() {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(saved_), "r"(flags_) : "memory");
  }
#else
  standard_float_environment() noexcept {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~standard_float_environment() { std::fesetenv(&saved_); }
#endif

  standard_float_environment(const standard_float_environment&)            = delete;
  standard_float_environment& operator=(const standard_float_environment&) = delete;

 private:
#if QUAVER_X86_64
  uint32_t saved_;
#elif QUAVER_AARCH64
  uint64_t saved_;
  uint64_t flags_;
#else
  std::fenv_t saved_;
#endif
};

// Scaling in floats, written so that no flag changes a bit. Operands and results travel as bits, because under
// -ffast-math a float that is passed or returned is promised to be finite; there the operations themselves are asm.

/// The bits of a * b, one rounding. Call it inside a standard_float_environment.
inline uint32_t product_bits(uint32_t a, uint32_t b) noexcept {
  float x       = bitwise_cast<float>(a);
  const float y = bitwise_cast<float>(b);
#if QUAVER_FINITE_MATH && QUAVER_X86_64
  __asm__("mulss %1, %0" : "+x"(x) : "x"(y));
#elif QUAVER_FINITE_MATH && QUAVER_AARCH64
  __asm__("fmul %s0, %s0, %s1" : "+w"(x) : "w"(y));
#else
  x = x * y;
#endif
  return bitwise_cast<uint32_t>(x);
}

/// The bits of a / b, one rounding: asm always, because gcc has no macro that tells of -freciprocal-math. Call it
/// inside a standard_float_environment.
inline uint32_t quotient_bits(uint32_t a, uint32_t b) noexcept {
  float x       = bitwise_cast<float>(a);
  const float y = bitwise_cast<float>(b);
#if QUAVER_X86_64
  __asm__("divss %1, %0" : "+x"(x) : "x"(y));
#elif QUAVER_AARCH64
  __asm__("fdiv %s0, %s0, %s1" : "+w"(x) : "w"(y));
#else
  x = x / y;
#endif
  return bitwise_cast<uint32_t>(x);
}

/// The bits of the square root of a, one rounding: asm, because -ffast-math makes an estimate of a root that is divided by.
/// Call it inside a standard_float_environment.
inline uint32_t root_bits(uint32_t a) noexcept {
  float x = bitwise_cast<float>(a);
#if QUAVER_X86_64
  __asm__("sqrtss %0, %0" : "+x"(x));
#elif QUAVER_AARCH64
  __asm__("fsqrt %s0, %s0" : "+w"(x));
#else
  x = __builtin_sqrtf(x);
#endif
  return bitwise_cast<uint32_t>(x);
}

/// Hides from the compiler where a value came from, so that it neither contracts it into a fused multiply-add nor
/// reorders a sum.
inline void keep(float& x) noexcept {
#if QUAVER_X86_64
  __asm__("" : "+x"(x));
#elif QUAVER_AARCH64
  __asm__("" : "+w"(x));
#else
  __asm__("" : "+m"(x));
#endif
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
