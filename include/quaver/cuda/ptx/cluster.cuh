// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_CLUSTER_CUH
#define QUAVER_CUDA_PTX_CLUSTER_CUH

#include <quaver/base/bits.hpp>

// Who is who in a cluster of thread blocks and in a block of warpgroups, and how they share registers and meet. For
// sm_90 and later, setmaxnreg for compute_90a; elsewhere these do nothing. PTX ISA, "cluster_ctarank",
// "barrier.cluster", "setmaxnreg", "bar".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// This thread block's place in its cluster.
__device__ __forceinline__ uint32_t cluster_rank() noexcept {
  uint32_t rank = 0;
#if QUAVER_CLUSTERS
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
  return rank;
}

/// This thread's place in its warp, read where this stands: not kept in a register from long before.
__device__ __forceinline__ uint32_t lane_index() noexcept {
  uint32_t index;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(index));
  return index;
}

/// Waits until all threads of the cluster are here and see what each wrote before.
__device__ __forceinline__ void cluster_sync() noexcept {
#if QUAVER_CLUSTERS
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/// Begins to store four words in thread block `rank` of the cluster, at this address there, a multiple of 16; the barrier at
/// `barrier` there counts their 16 bytes, as it does the copy engine's. Nobody need wait for a fence.
__device__ __forceinline__ void store_far(uint32_t shared_address, uint32_t barrier, uint32_t rank,
                                          const float (&words)[4]) noexcept {
#if QUAVER_CLUSTERS
  asm volatile(
      "{\n"
      ".reg .b32 there, counts;\n"
      "mapa.shared::cluster.u32 there, %0, %2;\n"
      "mapa.shared::cluster.u32 counts, %1, %2;\n"
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [there], {%3, %4, %5, %6}, [counts];\n"
      "}\n" ::"r"(shared_address),
      "r"(barrier), "r"(rank), "f"(words[0]), "f"(words[1]), "f"(words[2]), "f"(words[3])
      : "memory");
#endif
}

/// Waits until `threads` threads, whole warps, have come to the barrier of this number (1 to 15).
__device__ __forceinline__ void named_barrier(uint32_t number, uint32_t threads) noexcept {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

/// Counts this warp among them without waiting.
__device__ __forceinline__ void named_barrier_arrive(uint32_t number, uint32_t threads) noexcept {
  asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

/// Hands registers of this warpgroup back, down to so many a thread.
template <int Registers>
__device__ __forceinline__ void give_registers() noexcept {
#if QUAVER_WGMMA
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}

/// Takes what others have handed back, up to so many registers a thread.
template <int Registers>
__device__ __forceinline__ void take_registers() noexcept {
#if QUAVER_WGMMA
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
