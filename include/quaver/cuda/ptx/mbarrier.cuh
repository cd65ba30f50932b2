// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_MBARRIER_CUH
#define QUAVER_CUDA_PTX_MBARRIER_CUH

#include <quaver/base/bits.hpp>

// Barriers in shared memory that count arrivals and bytes: how the copy engine says that a tile is there, and how those
// who read it say that they are done. A phase ends when all arrivals of it, and all bytes it expects, have come; whoever
// waits names the parity of the phase: 0 for the first, then 1, 0, ... Waiting for parity 1 on a new barrier returns at
// once. For sm_90 and later; elsewhere these do nothing. PTX ISA, "mbarrier".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// The address of an object in shared memory, as the instructions here want it.
__device__ __forceinline__ uint32_t shared_address(const void* object) noexcept {
  return static_cast<uint32_t>(__cvta_generic_to_shared(object));
}

/// Before its first use, by one thread: each phase of the barrier takes this many arrivals.
__device__ __forceinline__ void barrier_begin(uint32_t barrier, uint32_t arrivals) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
#endif
}

/// Lets the other thread blocks of the cluster and the copy engine see barriers that this thread has begun.
__device__ __forceinline__ void barriers_begun() noexcept {
#if QUAVER_CLUSTERS
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

/// Arrives, and has the phase wait for so many bytes from the copy engine.
__device__ __forceinline__ void barrier_expect(uint32_t barrier, uint32_t bytes) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
#endif
}

/// Arrives at the barrier that lies at this address in thread block `rank` of the cluster. Relaxed: what this thread wrote
/// before is not published with it (that would be a fence of the whole GPU, some 1000 cycles); it says that what wgmma
/// has read, up to a wgmma_wait, may be overwritten.
__device__ __forceinline__ void barrier_arrive(uint32_t barrier, uint32_t rank) noexcept {
#if QUAVER_CLUSTERS
  asm volatile(
      "{\n"
      ".reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [there];\n"
      "}\n" ::"r"(barrier),
      "r"(rank)
      : "memory");
#endif
}

/// The same in this thread block.
__device__ __forceinline__ void barrier_arrive(uint32_t barrier) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}

/// The same, and whoever waits for the phase sees what this thread wrote before, and what it saw of its warp at the last
/// __syncwarp.
__device__ __forceinline__ void barrier_publish(uint32_t barrier) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}

/// Waits until the phase of this parity has ended. The phase before it must have: a barrier knows only parities.
__device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t parity) noexcept {
#if QUAVER_CLUSTERS
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
#endif
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
