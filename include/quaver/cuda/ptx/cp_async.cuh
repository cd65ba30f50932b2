// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_CP_ASYNC_CUH
#define QUAVER_CUDA_PTX_CP_ASYNC_CUH

#include <quaver/base/bits.hpp>

// Copies from global to shared memory that pass by the registers. PTX ISA, "cp.async". From sm_80 on.

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// Begins to copy 16 bytes; both addresses are multiples of 16.
__device__ __forceinline__ void copy_16_bytes(uint32_t shared_address, const void* from) noexcept {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address), "l"(__cvta_generic_to_global(from))
               : "memory");
}

/// The same for 4 bytes.
__device__ __forceinline__ void copy_4_bytes(uint32_t shared_address, const void* from) noexcept {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address), "l"(__cvta_generic_to_global(from))
               : "memory");
}

/// Arrives at a barrier (see mbarrier.cuh) once all copies that this thread has begun are there: one of the arrivals that
/// the barrier was begun with. Whoever waits for the phase sees them. From sm_90 on.
__device__ __forceinline__ void arrive_when_copied(uint32_t barrier) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
#endif
}

/// Waits until all copies that this thread has begun are there, for itself; a barrier shows them to others.
__device__ __forceinline__ void wait_for_copies() noexcept { asm volatile("cp.async.wait_all;" ::: "memory"); }

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
