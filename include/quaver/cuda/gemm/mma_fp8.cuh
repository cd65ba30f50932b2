// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_MMA_FP8_CUH
#define QUAVER_CUDA_GEMM_MMA_FP8_CUH

#include <quaver/cuda/gemm/tile.cuh>
#include <quaver/cuda/ptx/mma.cuh>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The `Multiplier` of E4M3 and E5M2 codes as they are, on chips from sm_89 on. How the unit rounds within its 32 products
/// depends on the chip; where every sum is exact the results are those of the other multiplier.
template <class A, class B>
  requires ptx::is_fp8<A> && ptx::is_fp8<B>
struct fp8_multiplier {
  static constexpr int slot_terms     = 32;
  static constexpr int slots_unrolled = 1;  // where the instruction is made of others, they want the registers
  static constexpr bool takes_codes   = true;

  __device__ static __forceinline__ void multiply(float (&sums)[4][4][4], const uint32_t (&a)[4][4],
                                                  const uint32_t (&b)[2][4]) noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j)
        ptx::multiply_codes<A, B>(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
