// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_MMA_F16_CUH
#define QUAVER_CUDA_GEMM_MMA_F16_CUH

#include <quaver/cuda/gemm/tile.cuh>
#include <quaver/cuda/ptx/mma.cuh>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The `Multiplier` of E4M3 and E5M2 by way of halves, which hold both exactly. Codes stay codes in shared memory, which
/// halves what is read from there, the narrowest place of the kernel; they are decoded in registers, on chips from sm_89 on
/// two by an instruction.
template <class A, class B>
  requires ptx::is_fp8<A> && ptx::is_fp8<B>
struct half_multiplier {
  static constexpr int slot_terms     = 32;
  static constexpr int slots_unrolled = 2;
  static constexpr bool takes_codes   = true;

  /// Of the 32 terms of a slot a lane has 4 neighbours of each half. Which of them meet in an instruction is free, as long
  /// as A and B agree: the first takes both pairs of the first half, the second those of the second.
  __device__ static __forceinline__ void multiply(float (&sums)[4][4][4], const uint32_t (&a)[4][4],
                                                  const uint32_t (&b)[2][4]) noexcept {
    uint32_t right[4][4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int part = 0; part < 4; ++part) right[j][part] = decode_pair<B>(b[j / 2][j % 2 * 2 + part / 2], part % 2);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        const uint32_t upper   = a[i][2 * part];  // of the row, the other is of the row 8 below
        const uint32_t lower   = a[i][2 * part + 1];
        const uint32_t left[4] = {decode_pair<A>(upper, 0), decode_pair<A>(lower, 0), decode_pair<A>(upper, 1),
                                  decode_pair<A>(lower, 1)};
#pragma unroll
        for (int j = 0; j < 4; ++j) ptx::multiply_halves(sums[i][j], left, right[j][2 * part], right[j][2 * part + 1]);
      }
    }
  }

 private:
  /// Pair 0 or 1 of four codes.
  template <class F>
  __device__ static __forceinline__ uint32_t decode_pair(uint32_t codes, int pair) noexcept {
    return decode_two_to_halves<F>(static_cast<uint16_t>(codes >> (pair * 16)));
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
