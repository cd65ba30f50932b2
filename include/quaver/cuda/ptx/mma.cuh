// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_MMA_CUH
#define QUAVER_CUDA_PTX_MMA_CUH

#include <quaver/format/formats.hpp>

// Products of matrices within a warp: sums += a * b, a being 16 rows of 32 bytes, b 8 rows of 32 bytes (so b is N x K),
// sums 16 x 8 floats. Lane l holds of a the bytes 4 (l % 4) .. + 3 of row l / 4 (word 0), of row l / 4 + 8 (word 1) and
// the same 16 bytes further (words 2 and 3); of b those of row l / 4 (word 0) and 16 bytes further (word 1); of the sums
// columns 2 (l % 4) and + 1 of row l / 4 (0 and 1) and of row l / 4 + 8 (2 and 3). PTX ISA, "mma".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// 16 x 8 x 16 bfloat16s. From sm_80 on.
__device__ __forceinline__ void multiply_bfloat16s(float (&sums)[4], const uint32_t (&a)[4], uint32_t b_low,
                                                   uint32_t b_high) noexcept {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_low), "r"(b_high));
}

/// The formats whose codes the unit multiplies.
template <class F>
inline constexpr bool is_fp8 = same_type<F, e4m3> || same_type<F, e5m2>;

#define QUAVER_MMA_FP8(A, B)                                       \
  asm("mma.sync.aligned.m16n8k32.row.col.f32." #A "." #B           \
      ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "        \
      "{%0, %1, %2, %3};"                                          \
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]) \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_low), "r"(b_high))

/// 16 x 8 x 32 codes. From sm_89 on, elsewhere nothing; on sm_90 the assembler makes it of conversions and products of
/// halves.
template <class A, class B>
  requires is_fp8<A> && is_fp8<B>
__device__ __forceinline__ void multiply_codes(float (&sums)[4], const uint32_t (&a)[4], uint32_t b_low,
                                               uint32_t b_high) noexcept {
#if QUAVER_FP8_INSTRUCTIONS
  if constexpr (same_type<A, e4m3> && same_type<B, e4m3>) QUAVER_MMA_FP8(e4m3, e4m3);
  if constexpr (same_type<A, e4m3> && same_type<B, e5m2>) QUAVER_MMA_FP8(e4m3, e5m2);
  if constexpr (same_type<A, e5m2> && same_type<B, e4m3>) QUAVER_MMA_FP8(e5m2, e4m3);
  if constexpr (same_type<A, e5m2> && same_type<B, e5m2>) QUAVER_MMA_FP8(e5m2, e5m2);
#endif
}
#undef QUAVER_MMA_FP8

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
