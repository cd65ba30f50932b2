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

  /// Chunk `chunk` of a row of a stage: half of a slot.
  __device__ static __forceinline__ void write_chunk(unsigned char* stage, int row, int chunk,
                                                     const chunk_words<chunk_kind::codes>& from, element_kind,
                                                     const uint16_t*) noexcept {
    *reinterpret_cast<uint4*>(stage + piece_offset(row, chunk)) =
        make_uint4(from.words[0], from.words[1], from.words[2], from.words[3]);
  }

  __device__ static __forceinline__ void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b_low,
                                                  uint32_t b_high) noexcept {
    ptx::multiply_codes<A, B>(sums, a, b_low, b_high);
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
