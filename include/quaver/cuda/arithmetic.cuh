// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_ARITHMETIC_CUH
#define QUAVER_CUDA_ARITHMETIC_CUH

#include <quaver/base/bits.hpp>

// binary32 arithmetic that no compiler flag reaches. Under -use_fast_math the operators, and __fmul_rn too, become
// instructions that flush subnormals, divisions become approximate, and a * b + c may become one fma or stay two
// operations. PTX says what it means: these round once as they are named, keep subnormals, and are never contracted.
// What is NaN is the GPU's NaN, 7FFFFFFF.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// a * b to nearest even: what scaling is (x * quant_scale).
__device__ __forceinline__ float multiply(float a, float b) noexcept {
  float product;
  asm("mul.rn.f32 %0, %1, %2;" : "=f"(product) : "f"(a), "f"(b));
  return product;
}

/// a / b to nearest even: what scaling by a dequant_scale is (x / dequant_scale). A few dozen instructions.
__device__ __forceinline__ float divide(float a, float b) noexcept {
  float quotient;
  asm("div.rn.f32 %0, %1, %2;" : "=f"(quotient) : "f"(a), "f"(b));
  return quotient;
}

/// 1 / a to nearest even.
__device__ __forceinline__ float reciprocal(float a) noexcept {
  float quotient;
  asm("rcp.rn.f32 %0, %1;" : "=f"(quotient) : "f"(a));
  return quotient;
}

/// The square root to nearest even.
__device__ __forceinline__ float square_root(float a) noexcept {
  float root;
  asm("sqrt.rn.f32 %0, %1;" : "=f"(root) : "f"(a));
  return root;
}

/// a * b + c with one rounding, to nearest even.
__device__ __forceinline__ float fused_multiply_add(float a, float b, float c) noexcept {
  float sum;
  asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(sum) : "f"(a), "f"(b), "f"(c));
  return sum;
}

/// a + b to nearest even.
__device__ __forceinline__ float add(float a, float b) noexcept {
  float sum;
  asm("add.rn.f32 %0, %1, %2;" : "=f"(sum) : "f"(a), "f"(b));
  return sum;
}

/// a - b to nearest even.
__device__ __forceinline__ float subtract(float a, float b) noexcept {
  float difference;
  asm("sub.rn.f32 %0, %1, %2;" : "=f"(difference) : "f"(a), "f"(b));
  return difference;
}

/// a + b, cut off.
__device__ __forceinline__ float add_toward_zero(float a, float b) noexcept {
  float sum;
  asm("add.rz.f32 %0, %1, %2;" : "=f"(sum) : "f"(a), "f"(b));
  return sum;
}

/// a + b, rounded toward +inf.
__device__ __forceinline__ float add_upward(float a, float b) noexcept {
  float sum;
  asm("add.rp.f32 %0, %1, %2;" : "=f"(sum) : "f"(a), "f"(b));
  return sum;
}

/// a + b, rounded toward -inf.
__device__ __forceinline__ float add_downward(float a, float b) noexcept {
  float sum;
  asm("add.rm.f32 %0, %1, %2;" : "=f"(sum) : "f"(a), "f"(b));
  return sum;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
