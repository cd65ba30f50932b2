// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_RING_CUH
#define QUAVER_CUDA_GEMM_WGMMA_RING_CUH

#include <quaver/cuda/gemm/wgmma_shape.cuh>
#include <quaver/cuda/ptx/cluster.cuh>
#include <quaver/cuda/ptx/cp_async.cuh>
#include <quaver/cuda/ptx/mbarrier.cuh>
#include <quaver/cuda/ptx/shared.cuh>
#include <quaver/cuda/ptx/tma.cuh>

// The ring of stages of the kernels for Hopper, and who fills it: a thread that has the copy engine load tiles, and where
// scales change along K a warp that brings them.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The ring of stages in a thread block's shared memory, and where a thread stands in it.
template <class Shape>
struct wgmma_ring {
  static constexpr uint32_t a_bytes = static_cast<uint32_t>(Shape::rows) * wgmma_step;
  static constexpr uint32_t b_bytes = static_cast<uint32_t>(Shape::cols) * wgmma_step;
  uint32_t stages;    ///< shared addresses: of the first stage, A's tile before B's
  uint32_t factors;   ///< the scales of the stages: one for each row of A's tile, then B's
  uint32_t barriers;  ///< full, empty, full, empty, ..., and the two by which warpgroups take turns
  uint32_t stage  = 0;
  uint32_t parity = 0;

  [[nodiscard]] __device__ uint32_t a() const noexcept { return stages + stage * (a_bytes + b_bytes); }
  [[nodiscard]] __device__ uint32_t b() const noexcept { return a() + a_bytes; }
  [[nodiscard]] __device__ uint32_t scales() const noexcept { return factors + stage * wgmma_scale_bytes<Shape>; }
  [[nodiscard]] __device__ uint32_t full() const noexcept { return barriers + stage * 16; }
  [[nodiscard]] __device__ uint32_t empty() const noexcept { return full() + 8; }
  /// Phase i of the barrier for a warpgroup ends when the other one has begun the last step of its tile before.
  [[nodiscard]] __device__ uint32_t turn(int warpgroup) const noexcept {
    return barriers + static_cast<uint32_t>(Shape::stages * 16 + warpgroup * 8);
  }
  __device__ void advance() noexcept {
    if (++stage == static_cast<uint32_t>(Shape::stages)) stage = 0, parity ^= 1;
  }
  /// As so many times.
  __device__ void advance(int steps) noexcept {
    const uint32_t to = stage + static_cast<uint32_t>(steps);
    stage             = to % static_cast<uint32_t>(Shape::stages);
    parity ^= to / static_cast<uint32_t>(Shape::stages) & 1;
  }
};

/// One thread: loads all steps of all tiles of this thread block.
template <class Shape, wgmma_sums Sums>
__device__ __forceinline__ void load_tiles(const wgmma_work& work, wgmma_ring<Shape> ring, uint32_t rank) noexcept {
  constexpr bool share_a   = Shape::shared == wgmma_shared::a;
  constexpr bool share_b   = Shape::shared == wgmma_shared::b;
  constexpr uint16_t both  = 3;
  constexpr bool a_scales  = wgmma_scaled<Sums> && Shape::scales != wgmma_scales::copied;
  constexpr bool b_scales  = a_scales && Shape::scales == wgmma_scales::lines;
  constexpr uint32_t bytes = wgmma_ring<Shape>::a_bytes + wgmma_ring<Shape>::b_bytes +
                             (a_scales ? Shape::rows * 4 : 0) + (b_scales ? Shape::cols * 4 : 0);
  // Where this thread block's part of a tile begins.
  const uint32_t a_own = share_a ? rank * (Shape::rows / 2) : 0;
  const uint32_t b_own = share_b ? rank * (Shape::cols / 2) : 0;
  for (uint32_t at = blockIdx.x / Shape::cluster; at < work.clusters; at += gridDim.x / Shape::cluster) {
    const wgmma_place place = place_of<Shape>(work, at, rank);
    const int a_row         = place.row + static_cast<int>(a_own);
    const int b_row         = place.col + static_cast<int>(b_own);
    const int a_batch       = work.a_batched ? place.batch : 0;
    const int b_batch       = work.b_batched ? place.batch : 0;
    for (int step = 0; step < work.steps; ++step) {
      const int k = step * wgmma_step;
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
      ptx::barrier_expect(ring.full(), bytes);
      if constexpr (a_scales) {
        const int batch = work.a_scales_batched ? place.batch : 0;
        if constexpr (share_a) {
          ptx::tma_load_to(both, &work.a_scales, ring.scales() + a_own * 4, ring.full(), a_row, step, batch);
        } else {
          ptx::tma_load(&work.a_scales, ring.scales(), ring.full(), a_row, step, batch);
        }
      }
      if constexpr (b_scales) {
        const int batch   = work.b_scales_batched ? place.batch : 0;
        const uint32_t to = ring.scales() + Shape::rows * 4 + b_own * 4;
        if constexpr (share_b) ptx::tma_load_to(both, &work.b_scales, to, ring.full(), b_row, step, batch);
        else ptx::tma_load(&work.b_scales, to, ring.full(), b_row, step, batch);
      }
      if constexpr (share_a) {
        ptx::tma_load_to(both, &work.a, ring.a() + a_own * wgmma_step, ring.full(), k, a_row, a_batch);
      } else {
        ptx::tma_load(&work.a, ring.a(), ring.full(), k, a_row, a_batch);
      }
      if constexpr (share_b) {
        ptx::tma_load_to(both, &work.b, ring.b() + b_own * wgmma_step, ring.full(), k, b_row, b_batch);
      } else {
        ptx::tma_load(&work.b, ring.b(), ring.full(), k, b_row, b_batch);
      }
      ring.advance();
    }
  }
}

/// One warp: beside each stage the scales of B's tile, one for each of its blocks. A lane holds those of each 32nd step.
template <class Shape>
__device__ __forceinline__ void load_tile_scales(const wgmma_work& whole, wgmma_ring<Shape> ring,
                                                 uint32_t rank) noexcept {
  constexpr int blocks      = Shape::cols / Shape::scaled_cols;
  const gemm_scales& scales = whole.work.b.scales;
  const int64_t right       = scales.block_cols == 0 ? 0 : scales.places.of_col(1);
  const auto lane           = static_cast<int>(threadIdx.x % 32);
  for (uint32_t at = blockIdx.x / Shape::cluster; at < whole.clusters; at += gridDim.x / Shape::cluster) {
    const wgmma_place place = place_of<Shape>(whole, at, rank);
    const float* from[static_cast<size_t>(blocks)];
    float now[static_cast<size_t>(blocks)]  = {};
    float next[static_cast<size_t>(blocks)] = {};
#pragma unroll
    for (int i = 0; i < blocks; ++i) {
      const int col        = place.col + i * Shape::scaled_cols;
      const int inside     = col < whole.work.cols ? col : whole.work.cols - 1;
      const uint32_t block = scales.block_rows == 0 ? 0 : static_cast<uint32_t>(inside) / scales.block_rows;
      from[i] =
          static_cast<const float*>(scales.data) + place.batch * scales.batch_stride + block * scales.places.of_row(1);
      if (lane < whole.steps) next[i] = ptx::load_now(from[i] + lane * right);
    }
    for (int step = 0; step < whole.steps; ++step) {
      if (step % 32 == 0) {
#pragma unroll
        for (int i = 0; i < blocks; ++i) {
          now[i] = next[i];
          if (step + 32 + lane < whole.steps) next[i] = ptx::load_now(from[i] + (step + 32 + lane) * right);
        }
      }
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
#pragma unroll
      for (int i = 0; i < blocks; ++i) {
        const float scale = __shfl_sync(0xFFFF'FFFF, now[i], step % 32);
        if (lane == 0) ptx::store_float(ring.scales() + static_cast<uint32_t>(Shape::rows + i) * 4, scale);
      }
      if (lane == 0) ptx::barrier_publish(ring.full());
      ring.advance();
    }
  }
}

/// One warp: copies the scales of all steps, of each row of A's tile and of the blocks of B's. By
/// copies that pass by the registers: nobody waits for them here, and they come when the tiles come. A load that a warp
/// waits for would take longer than all stages last, behind what the copy engine fetches.
template <class Shape>
__device__ __forceinline__ void load_scales(const wgmma_work& whole, wgmma_ring<Shape> ring, uint32_t rank) noexcept {
  constexpr int count    = Shape::rows / 32;
  constexpr int b_blocks = Shape::cols / Shape::scaled_cols;
  const gemm_work& work  = whole.work;
  const uint32_t lane    = threadIdx.x % 32;
  const int64_t a_right  = work.a.scales.block_cols == 0 ? 0 : work.a.scales.places.of_col(1);
  const int64_t b_right  = work.b.scales.block_cols == 0 ? 0 : work.b.scales.places.of_col(1);
  const auto first_of    = [](const gemm_scales& scales, int batch, int line, int lines) {
    const int inside     = line < lines ? line : lines - 1;
    const uint32_t block = scales.block_rows == 0 ? 0 : static_cast<uint32_t>(inside) / scales.block_rows;
    return static_cast<const float*>(scales.data) + batch * scales.batch_stride + block * scales.places.of_row(1);
  };
  for (uint32_t at = blockIdx.x / Shape::cluster; at < whole.clusters; at += gridDim.x / Shape::cluster) {
    const wgmma_place place = place_of<Shape>(whole, at, rank);
    const float* a[static_cast<size_t>(count)];
#pragma unroll
    for (int i = 0; i < count; ++i)
      a[i] = first_of(work.a.scales, place.batch, place.row + static_cast<int>(lane) + 32 * i, work.rows);
    const float* b = first_of(work.b.scales, place.batch,
                              place.col + static_cast<int>(lane) % b_blocks * Shape::scaled_cols, work.cols);
    for (int step = 0; step < whole.steps; ++step) {
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
#pragma unroll
      for (int i = 0; i < count; ++i) {
        ptx::copy_4_bytes(ring.scales() + (lane + static_cast<uint32_t>(32 * i)) * 4, a[i]);
        a[i] += a_right;
      }
      if (lane < b_blocks) ptx::copy_4_bytes(ring.scales() + (Shape::rows + lane) * 4, b);
      b += b_right;
      ptx::arrive_when_copied(ring.full());
      ring.advance();
    }
  }
}

/// This warp is done with a stage: says so to the thread blocks that load into it.
template <class Shape>
__device__ __forceinline__ void release(uint32_t empty) noexcept {
  const uint32_t lane = threadIdx.x % 32;
  if (lane < static_cast<uint32_t>(Shape::cluster)) ptx::barrier_arrive(empty, lane);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
