// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_STMATRIX_CUH
#define QUAVER_CUDA_PTX_STMATRIX_CUH

#include <quaver/base/bits.hpp>

// Matrices of 8 rows x 16 bytes from the registers of a warp to shared memory: the way back of ldmatrix. From sm_90 on;
// elsewhere it does nothing. PTX ISA, "stmatrix".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// Four matrices. Lanes 8 i .. 8 i + 7 give the shared addresses of the rows of matrix i, multiples of 16; lane l holds
/// bytes 4 (l % 4) .. 4 (l % 4) + 3 of row l / 4 of matrix i in its i-th word.
__device__ __forceinline__ void store_matrices(uint32_t shared_address, uint32_t first, uint32_t second, uint32_t third,
                                               uint32_t fourth) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address), "r"(first),
               "r"(second), "r"(third), "r"(fourth)
               : "memory");
#endif
}

/// Two matrices, turned: lanes 0 to 15 give the addresses of the rows as they stand in shared memory, lane l holds rows
/// 2 (l % 4) and the next, of 16 bits each, of column l / 4 of matrix i in its i-th word.
__device__ __forceinline__ void store_turned_matrices(uint32_t shared_address, uint32_t first,
                                                      uint32_t second) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(shared_address), "r"(first),
               "r"(second)
               : "memory");
#endif
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
