// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_TMA_CUH
#define QUAVER_CUDA_PTX_TMA_CUH

#include <quaver/base/bits.hpp>

// Boxes of a matrix between global and shared memory, moved by the copy engine. A tensor map (CUtensorMap, made on the
// host) says where the matrix lies, how large a box is and how its rows are swizzled; what lies outside the matrix is read
// as zeros and not written. Coordinates are in elements: column, row, batch. For sm_90 and later; elsewhere these do
// nothing. PTX ISA, "cp.async.bulk.tensor".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

/// Fetches a tensor map ahead of its first use.
__device__ __forceinline__ void prefetch_tensor_map(const void* map) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#endif
}

/// Reads a box into shared memory; its bytes are counted by `barrier`.
__device__ __forceinline__ void tma_load(const void* map, uint32_t to, uint32_t barrier, int col, int row,
                                         int batch) noexcept {
#if QUAVER_CLUSTERS
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::
          "r"(to),
      "l"(map), "r"(barrier), "r"(col), "r"(row), "r"(batch)
      : "memory");
#endif
}

/// The same for what is read once: the second-level cache keeps other things rather than it.
__device__ __forceinline__ void tma_load_once(const void* map, uint32_t to, uint32_t barrier, int col, int row,
                                              int batch) noexcept {
#if QUAVER_CLUSTERS
  asm volatile(
      "{\n"
      ".reg .b64 policy;\n"
      "createpolicy.fractional.L2::evict_first.b64 policy, 1.0;\n"
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%3, %4, %5}], [%2], policy;\n"
      "}\n" ::"r"(to),
      "l"(map), "r"(barrier), "r"(col), "r"(row), "r"(batch)
      : "memory");
#endif
}

/// Has the second-level cache fetch a box.
__device__ __forceinline__ void tma_prefetch(const void* map, int col, int row, int batch) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("cp.async.bulk.prefetch.tensor.3d.L2.global [%0, {%1, %2, %3}];" ::"l"(map), "r"(col), "r"(row),
               "r"(batch)
               : "memory");
#endif
}

/// The same as tma_load into all thread blocks of the cluster whose bit in `ranks` is set: in each at this address, counted by the
/// barrier at this address.
__device__ __forceinline__ void tma_load_to(uint16_t ranks, const void* map, uint32_t to, uint32_t barrier, int col,
                                            int row, int batch) noexcept {
#if QUAVER_CLUSTERS
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%4, %5, %6}], [%2], %3;" ::"r"(to),
      "l"(map), "r"(barrier), "h"(ranks), "r"(col), "r"(row), "r"(batch)
      : "memory");
#endif
}

/// Writes a box from shared memory, which was written before a fence_proxy_async. Part of the thread's open group.
__device__ __forceinline__ void tma_store(const void* map, uint32_t from, int col, int row, int batch) noexcept {
#if QUAVER_CLUSTERS
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(map), "r"(from),
               "r"(col), "r"(row), "r"(batch)
               : "memory");
#endif
}

/// Closes this thread's group of stores.
__device__ __forceinline__ void tma_commit() noexcept {
#if QUAVER_CLUSTERS
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
}

/// Waits until no more than `Pending` of this thread's groups have still to read their shared memory.
template <int Pending>
__device__ __forceinline__ void tma_wait_read() noexcept {
#if QUAVER_CLUSTERS
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
#endif
}

/// Waits until all of this thread's groups are done.
__device__ __forceinline__ void tma_wait_written() noexcept {
#if QUAVER_CLUSTERS
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
#endif
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
