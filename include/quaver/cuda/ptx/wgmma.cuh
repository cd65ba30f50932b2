// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_WGMMA_CUH
#define QUAVER_CUDA_PTX_WGMMA_CUH

#include <quaver/base/bits.hpp>

// What surrounds a wgmma: descriptors of operands in shared memory, and the order of register and memory accesses. The
// instruction itself is written where it is used, since its operand list is as long as the tile is wide. For compute_90a
// alone; elsewhere these do nothing. PTX ISA, "Asynchronous warpgroup level matrix instructions".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// How rows of an operand are spread over the banks of shared memory.
enum class wgmma_swizzle : uint8_t { none = 0, bytes_128 = 1, bytes_64 = 2, bytes_32 = 3 };

/// Describes an 8-bit operand in shared memory, K contiguous: core matrices of 8 rows x 16 bytes. `leading_bytes` lie
/// between core matrices that are neighbours along K (swizzle none), `stride_bytes` between neighbours along M or N. All
/// multiples of 16; the address below 2^18.
__device__ __forceinline__ uint64_t wgmma_descriptor(uint32_t shared_address, uint32_t leading_bytes,
                                                     uint32_t stride_bytes, wgmma_swizzle swizzle) noexcept {
  return static_cast<uint64_t>(shared_address >> 4 & 0x3FFF) |
         static_cast<uint64_t>(leading_bytes >> 4 & 0x3FFF) << 16 |
         static_cast<uint64_t>(stride_bytes >> 4 & 0x3FFF) << 32 | static_cast<uint64_t>(swizzle) << 62;
}

/// Before the first wgmma, and whenever accumulators were touched by other instructions.
__device__ __forceinline__ void wgmma_fence() noexcept {
#if QUAVER_WGMMA
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

/// Closes a group of wgmmas.
__device__ __forceinline__ void wgmma_commit() noexcept {
#if QUAVER_WGMMA
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

/// Waits until no more than `Pending` groups are unfinished. Accumulators may be read after they are.
template <int Pending>
__device__ __forceinline__ void wgmma_wait() noexcept {
#if QUAVER_WGMMA
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
#endif
}

/// Lets wgmma and the copy engine see what this thread has written to shared memory by ordinary stores; a barrier among
/// the writers follows it. From sm_90 on.
__device__ __forceinline__ void fence_proxy_async() noexcept {
#if QUAVER_WGMMA
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
