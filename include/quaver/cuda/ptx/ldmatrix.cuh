// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_LDMATRIX_CUH
#define QUAVER_CUDA_PTX_LDMATRIX_CUH

#include <quaver/base/bits.hpp>

// Matrices of 8 rows x 16 bytes from shared memory to the registers of a warp, as mma wants its operands. PTX ISA,
// "ldmatrix". From sm_75 on.

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// Four matrices. Lanes 8 i .. 8 i + 7 give the shared addresses of the rows of matrix i, multiples of 16; lane l gets
/// bytes 4 (l % 4) .. 4 (l % 4) + 3 of row l / 4 of matrix i in words[i].
__device__ __forceinline__ void load_matrices(uint32_t shared_address, uint32_t (&words)[4]) noexcept {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(shared_address)
               : "memory");
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
