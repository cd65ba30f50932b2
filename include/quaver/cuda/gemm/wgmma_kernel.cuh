// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_KERNEL_CUH
#define QUAVER_CUDA_GEMM_WGMMA_KERNEL_CUH

#include <quaver/cuda/gemm/wgmma_sums.cuh>

// The GEMM for Hopper: one thread block a multiprocessor for as long as there are tiles. One thread has the copy engine
// load steps of K (128 codes of each row of A's and B's tile) into a ring of stages; two warpgroups, each with half the
// rows of a tile or with tiles of its own in turn, multiply them by wgmma and write D. A stage goes round between two barriers: `full` counts the bytes
// that have come, `empty` the warps that are done with it, those of both thread blocks where a cluster shares a tile.
//
// Why this shape. The matrix unit wants an instruction all the time, and the wider an instruction is, the less it asks of
// shared memory, of the second-level cache and of the power supply. The two warpgroups are not in step: while one waits for
// its sums and adds them to floats, or writes D, the other's instructions keep the unit busy. Sharing a tile within a
// cluster halves what comes from the second-level cache for it.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// What a warpgroup that multiplies does, where sums run over all of K.
template <class A, class B, class D, class Shape, wgmma_way Way, class Epilogue>
__device__ __forceinline__ void sum_whole(const wgmma_work& work, wgmma_ring<Shape>& ring, uint32_t rank,
                                          uint32_t chunks, const Epilogue& epilogue) noexcept {
  const wgmma_lane lane;
  constexpr bool in_turn = Shape::split == wgmma_split::tiles;
  const uint32_t stride  = gridDim.x / Shape::cluster;
  uint32_t at            = blockIdx.x / Shape::cluster;
  uint32_t turn = static_cast<uint32_t>(1 - lane.warpgroup);  // the parity to wait for: the first is the first's
  if (in_turn && lane.warpgroup == 1) at += stride, ring.advance(work.steps);
  for (; at < work.clusters; at += in_turn ? 2 * stride : stride) {
    const wgmma_place tile = place_of<Shape>(work, at, rank);
    const int first_row    = tile.row + lane.first_row<Shape>();
    float sums[size_t{Shape::halves}][size_t{Shape::cols} / 2];
    tile_factors<Shape::halves, Shape::cols> factors;
    // Early, but for what there are no registers left for: then there is time to wait for it.
    constexpr bool early = Shape::halves * Shape::cols <= 352;
    if constexpr (Way == wgmma_way::direct && early) factors.ask_rows(work.work, first_row, tile, lane);
    if (in_turn) ptx::barrier_wait(ring.turn(lane.warpgroup), turn), turn ^= 1;
    multiply_whole<A, B, Shape>(work.steps, lane, ring, sums);
    if (in_turn) ring.advance(work.steps);
    if constexpr (Way == wgmma_way::direct) {
      const wgmma_lane now;
      if (!early) factors.ask_rows(work.work, first_row, tile, now);
      factors.template ask_cols<false>(work.work, tile, now);
      write_directly<false, D, Shape>(work, tile, first_row, chunks, factors, sums);
    } else {
      write_by_rows<Shape>(work, tile, first_row, chunks, sums, epilogue);
    }
  }
}

/// What a warpgroup that multiplies does, where the sums of each step are added up.
template <class A, class B, class D, class Shape, wgmma_sums Sums, wgmma_way Way, class Epilogue>
__device__ __forceinline__ void sum_by_steps(const wgmma_work& work, wgmma_ring<Shape>& ring, uint32_t rank,
                                             uint32_t chunks, const Epilogue& epilogue) noexcept {
  const wgmma_lane lane;
  constexpr bool scaled = wgmma_scaled<Sums>;
  step_adder<A, B, Shape, Sums> adder(lane, ring);
  float total[size_t{Shape::halves}][size_t{Shape::cols} / 2];
  tile_factors<Shape::halves, Shape::cols> factors;
  for (uint32_t at = blockIdx.x / Shape::cluster; at < work.clusters; at += gridDim.x / Shape::cluster) {
    const wgmma_place tile = place_of<Shape>(work, at, rank);
    const int row          = tile.row + lane.first_row<Shape>();
    if constexpr (Way == wgmma_way::direct) {
      if (!scaled) factors.ask_rows(work.work, row, tile, lane);
      factors.template ask_cols<scaled>(work.work, tile, lane);
    }
#pragma unroll
    for (int h = 0; h < Shape::halves; ++h) {
#pragma unroll
      for (int i = 0; i < Shape::cols / 2; ++i) total[h][i] = 0.0f;
    }
    int left = work.steps;
    for (; left >= 8; left -= 8) adder.template run<8>(total);
    if ((left & 4) != 0) adder.template run<4>(total);
    if ((left & 2) != 0) adder.template run<2>(total);
    if ((left & 1) != 0) adder.template run<1>(total);
    if constexpr (Way == wgmma_way::direct) write_directly<scaled, D, Shape>(work, tile, row, chunks, factors, total);
    else write_by_rows<Shape>(work, tile, row, chunks, total, epilogue);
  }
}

/// What a thread block does. By rows D leaves through `epilogue`.
template <class A, class B, class D, class Shape, wgmma_sums Sums, wgmma_way Way, class Epilogue>
__device__ __forceinline__ void run_wgmma(const wgmma_work& work, const Epilogue& epilogue) noexcept {
#if QUAVER_WGMMA
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t base            = ptx::shared_address(memory);
  using ring_type                = wgmma_ring<Shape>;
  constexpr uint32_t all_stages  = static_cast<uint32_t>(Shape::stages) * (ring_type::a_bytes + ring_type::b_bytes);
  const uint32_t chunks          = base + all_stages;
  constexpr uint32_t chunk_bytes = Shape::chunks * wgmma_chunk_bytes<Shape>;  // a warpgroup's
  const uint32_t factors         = chunks + wgmma_warpgroups * chunk_bytes;
  constexpr uint32_t all_factors = wgmma_scaled<Sums> ? Shape::stages * wgmma_scale_bytes<Shape> : 0;
  ring_type ring{.stages = base, .factors = factors, .barriers = factors + all_factors};
  const uint32_t rank = Shape::cluster == 1 ? 0 : ptx::cluster_rank();
  // At a stage's barrier: the thread that loads it, and who brings scales.
  constexpr uint32_t arrivals = !wgmma_scaled<Sums> || Shape::scales == wgmma_scales::lines ? 1
                                : Shape::scales == wgmma_scales::copied                     ? 33
                                                                                            : 2;
  static_assert((Sums == wgmma_sums::scaled_lines) == (Shape::scales == wgmma_scales::lines));

  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(Shape::stages); ++i) {
      ptx::barrier_begin(ring.barriers + i * 16, arrivals);
      ptx::barrier_begin(ring.barriers + i * 16 + 8, (Shape::split == wgmma_split::rows ? 8 : 4) * Shape::cluster);
    }
    if (Shape::split == wgmma_split::tiles) {
      ptx::barrier_begin(ring.turn(0), 4);
      ptx::barrier_begin(ring.turn(1), 4);
    }
    ptx::barriers_begun();
  }
  if (threadIdx.x == 128 * wgmma_warpgroups) {
    ptx::prefetch_tensor_map(&work.a);
    ptx::prefetch_tensor_map(&work.b);
    if constexpr (Way == wgmma_way::direct) ptx::prefetch_tensor_map(&work.d);
  }
  if constexpr (Shape::cluster == 1) __syncthreads();
  else ptx::cluster_sync();

  if (threadIdx.x >= 128 * wgmma_warpgroups) {
    ptx::give_registers<wgmma_loading_registers<Sums>>();
    if (threadIdx.x == 128 * wgmma_warpgroups) load_tiles<Shape, Sums>(work, ring, rank);
    if constexpr (arrivals != 1) {
      if (threadIdx.x / 32 == 4 * wgmma_warpgroups + 1) {
        if constexpr (Shape::scales == wgmma_scales::copied) load_scales<Shape>(work, ring, rank);
        else load_tile_scales<Shape>(work, ring, rank);
      }
    }
  } else {
    ptx::take_registers<wgmma_multiplying_registers<Sums>>();
    const uint32_t own = chunks + threadIdx.x / 128 * chunk_bytes;
    if constexpr (Sums == wgmma_sums::whole) sum_whole<A, B, D, Shape, Way>(work, ring, rank, own, epilogue);
    else sum_by_steps<A, B, D, Shape, Sums, Way>(work, ring, rank, own, epilogue);
    if (threadIdx.x % 32 == 0) ptx::tma_wait_written();
  }
  // No thread block may end while another still writes to its shared memory or arrives at its barriers.
  if constexpr (Shape::cluster != 1) ptx::cluster_sync();
#endif
}

template <class A, class B, class D, class Shape, wgmma_sums Sums, wgmma_way Way>
__global__ void __launch_bounds__(wgmma_threads, 1) wgmma_kernel(const __grid_constant__ wgmma_work work) {
  run_wgmma<A, B, D, Shape, Sums, Way>(work, gemm_epilogue<finishing::all>{work.work});
}

/// The same with an epilogue that a user brings.
template <class A, class B, class Shape, wgmma_sums Sums, class Epilogue>
__global__ void __launch_bounds__(wgmma_threads, 1)
    wgmma_kernel_with(const __grid_constant__ wgmma_work work, const __grid_constant__ Epilogue epilogue) {
  run_wgmma<A, B, float, Shape, Sums, wgmma_way::by_rows>(work, epilogue);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
