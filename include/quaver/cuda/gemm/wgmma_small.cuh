// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_SMALL_CUH
#define QUAVER_CUDA_GEMM_WGMMA_SMALL_CUH

#include <quaver/cuda/gemm/wgmma_small_sums.cuh>
#include <quaver/cuda/launch.cuh>
#include <quaver/cuda/ptx/cp_async.cuh>

// The GEMM for Hopper where A has few rows: a stream of B with some arithmetic beside it. The operands are swapped: B's
// rows stand on the instruction's 64-row side, and those of A, padded to the tile's, on the other, so that little is
// multiplied in vain. K is cut into as many parts as it takes to occupy the chip, one for each thread block of a cluster;
// their sums meet in shared memory, where each block adds a share of them in the order of K: no workspace, no atomics,
// the same bits each time.
//
// Why this shape. Memory gives a multiprocessor 128 x 128 codes in some 1200 cycles; the matrix unit takes 512 for them
// at most. So nothing overlaps within a warpgroup, formats and kinds of sums are branches, and one kernel for each
// width serves them all. What counts is that loads never cease: one warp does nothing else, up to the ring's depth ahead
// of those that multiply and into the next tile; and where the launch allows it the second-level cache is asked for the
// first stages while the kernel in front still runs.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// One warp: loads the steps of a part for a tile, and where scales change along K those of each line beside them.
template <class Shape>
__device__ __forceinline__ void load_part(const wgmma_work& whole, wgmma_ring<Shape>& ring, const wgmma_place& tile,
                                          const small_part& own) noexcept {
  constexpr int a_count = (Shape::rows + 31) / 32;
  constexpr int b_count = Shape::cols / 32;
  const gemm_work& work = whole.work;
  const auto lane       = static_cast<int>(threadIdx.x % 32);
  const float* a_from[static_cast<size_t>(a_count)];
  const float* b_from[static_cast<size_t>(b_count)];
  const auto first_of = [&](const gemm_scales& scales, int line, int lines) {
    const int inside     = line < lines ? line : lines - 1;
    const uint32_t block = scales.block_rows == 0 ? 0u : static_cast<uint32_t>(inside) / scales.block_rows;
    return static_cast<const float*>(scales.data) + tile.batch * scales.batch_stride + block * scales.places.of_row(1);
  };
  const int64_t a_right = work.a.scales.block_cols == 0 ? 0 : work.a.scales.places.of_col(1);
  const int64_t b_right = work.b.scales.block_cols == 0 ? 0 : work.b.scales.places.of_col(1);
  if (work.scales_change) {
#pragma unroll
    for (int i = 0; i < a_count; ++i) a_from[i] = first_of(work.a.scales, tile.row + lane + 32 * i, work.rows);
#pragma unroll
    for (int i = 0; i < b_count; ++i) b_from[i] = first_of(work.b.scales, tile.col + lane + 32 * i, work.cols);
  }
  for (int step = own.first; step < own.end; ++step) {
    ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
    if (lane == 0) {
      ptx::barrier_expect(ring.full(), wgmma_ring<Shape>::a_bytes + wgmma_ring<Shape>::b_bytes);
      const int k = step * wgmma_step;
      ptx::tma_load_once(&whole.b, ring.b(), ring.full(), k, tile.col, whole.b_batched ? tile.batch : 0);
      ptx::tma_load(&whole.a, ring.a(), ring.full(), k, tile.row, whole.a_batched ? tile.batch : 0);
    }
    if (work.scales_change) {
      const uint32_t to = ring.scales() + static_cast<uint32_t>(lane) * 4;
#pragma unroll
      for (int i = 0; i < a_count; ++i) {
        if (Shape::rows % 32 == 0 || lane < Shape::rows)
          ptx::copy_4_bytes(to + static_cast<uint32_t>(i) * 128, a_from[i] + step * a_right);
      }
#pragma unroll
      for (int i = 0; i < b_count; ++i)
        ptx::copy_4_bytes(to + static_cast<uint32_t>(Shape::rows * 4 + i * 128), b_from[i] + step * b_right);
      ptx::arrive_when_copied(ring.full());
    }
    ring.advance();
  }
}

/// One step for 64 rows of B and all of A, from its first instruction until its sums are there. Two warpgroups take turns.
template <class A, class B, class Shape>
__device__ __forceinline__ void multiply_and_wait(const wgmma_turns& turns, float (&sums)[size_t{Shape::rows} / 2],
                                                  uint32_t a, uint32_t b, bool add_to) noexcept {
  if (Shape::hands_over) turns.wait();
  hold(sums);
  ptx::wgmma_fence();
  multiply_step<B, A, Shape::rows>(sums, describe_operand(b), describe_operand(a), add_to);
  ptx::wgmma_commit();
  hold(sums);
  if (Shape::hands_over) turns.pass();
  ptx::wgmma_wait<0>();
  hold(sums);
}

/// The same for whichever formats.
template <class Shape>
__device__ __forceinline__ void multiply_any(const gemm_work& work, const wgmma_turns& turns,
                                             float (&sums)[size_t{Shape::rows} / 2], uint32_t a, uint32_t b,
                                             bool add_to) noexcept {
  const bool wide_a = work.a.kind == element_kind::e5m2_code;
  const bool wide_b = work.b.kind == element_kind::e5m2_code;
  if (!wide_a && !wide_b) multiply_and_wait<e4m3, e4m3, Shape>(turns, sums, a, b, add_to);
  else if (!wide_a) multiply_and_wait<e4m3, e5m2, Shape>(turns, sums, a, b, add_to);
  else if (!wide_b) multiply_and_wait<e5m2, e4m3, Shape>(turns, sums, a, b, add_to);
  else multiply_and_wait<e5m2, e5m2, Shape>(turns, sums, a, b, add_to);
}

/// total += sums of a step (* scale of A * scale of B). What the instruction calls rows, see wgmma_lane, are D's columns
/// here: `first` is the tile's that this thread's 64 begin with.
template <class Shape>
__device__ __forceinline__ void add_step(const gemm_work& work, const wgmma_ring<Shape>& ring, const wgmma_lane& lane,
                                         uint32_t first, const float (&sums)[size_t{Shape::rows} / 2],
                                         float (&total)[size_t{Shape::rows} / 2]) noexcept {
  constexpr int count = Shape::rows / 2;
  if (work.scales_change) {
    const uint32_t of_b    = ring.scales() + (Shape::rows + first + static_cast<uint32_t>(lane.row)) * 4;
    const float b_scale[2] = {ptx::load_float(of_b), ptx::load_float(of_b + 32)};
#pragma unroll
    for (int i = 0; i < count; i += 4) {
      float a_scale[2];
      ptx::load_two_words(ring.scales() + static_cast<uint32_t>(i / 4 * 8 + lane.col) * 4, a_scale);
#pragma unroll
      for (int k = 0; k < 4; ++k)
        total[i + k] = fused_multiply_add(sums[i + k], multiply(a_scale[k % 2], b_scale[k / 2]), total[i + k]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < count; ++i) total[i] = add(total[i], sums[i]);
  }
}

/// A warpgroup's columns of D: the sums of this block's steps.
template <class Shape>
__device__ __forceinline__ void multiply_part(const wgmma_work& whole, const small_part& own, const wgmma_lane& lane,
                                              const wgmma_turns& turns, wgmma_ring<Shape>& ring,
                                              float (&total)[size_t{Shape::rows} / 2]) noexcept {
  constexpr int count   = Shape::rows / 2;
  const auto first      = static_cast<uint32_t>(lane.warpgroup * 64);
  const gemm_work& work = whole.work;
#pragma unroll
  for (int i = 0; i < count; ++i) total[i] = 0.0f;
  for (int step = own.first; step < own.end; ++step) {
    ptx::barrier_wait(ring.full(), ring.parity);
    const uint32_t b = ring.b() + first * wgmma_step;
    if (whole.sums == wgmma_sums::whole) {
      multiply_any<Shape>(work, turns, total, ring.a(), b, true);
    } else {
      float sums[size_t{count}];
      multiply_any<Shape>(work, turns, sums, ring.a(), b, false);
      add_step(work, ring, lane, first, sums, total);
    }
    __syncwarp();
    if (threadIdx.x % 32 == 0) ptx::barrier_publish(ring.empty());
    ring.advance();
  }
}

/// Asks for the scales of the tile's rows, then of its columns, where they do not change along K: to `to` in shared
/// memory, which ptx::wait_for_copies waits for.
template <class Shape>
__device__ __forceinline__ void ask_for_scales(const gemm_work& work, const wgmma_place& tile, uint32_t to) noexcept {
  const line_values of_rows = scales_of_lines(work.a.scales, tile.batch, work.rows);
  const line_values of_cols = scales_of_lines(work.b.scales, tile.batch, work.cols);
  for (int i = static_cast<int>(threadIdx.x); i < Shape::factors; i += Shape::multiplying) {
    ptx::copy_4_bytes(to + static_cast<uint32_t>(i) * 4,
                      i < Shape::rows ? of_rows.at(tile.row + i) : of_cols.at(tile.col + i - Shape::rows));
  }
}

/// From sums in shared memory to an epilogue: the units of 8 rows that belong to this part. Each thread takes four columns,
/// and where the tile has 128 a warp takes a row.
template <class Shape, int Unroll, class Epilogue>
__device__ __forceinline__ void write_rows(const wgmma_work& whole, const wgmma_place& tile, int part, uint32_t sums,
                                           uint32_t scales, Epilogue epilogue) noexcept {
  constexpr int quads = Shape::cols / finished_at_once;
  static_assert(8 * quads == Shape::multiplying);  // a unit at once
  const gemm_work& work = whole.work;
  const auto own_row    = static_cast<int>(threadIdx.x) / quads;
  const auto col        = static_cast<int>(threadIdx.x) % quads * finished_at_once;
  const int count       = finished_of(work.cols - tile.col - col);
  float col_scales[finished_at_once];
  ptx::load_four_words(scales + static_cast<uint32_t>(Shape::rows + col) * 4, col_scales);
#pragma unroll Unroll
  for (int unit = 0; unit < Shape::rows / 8; ++unit) {
    const int row = (unit * whole.parts + part) * 8 + own_row;
    if (row - own_row >= work.rows) break;
    float x[finished_at_once];
    ptx::load_four_words(small_sum_place<Shape::cols>(sums, unit * 8 + own_row, col), x);
    const float row_scale = ptx::load_float(scales + static_cast<uint32_t>(row) * 4);
#pragma unroll
    for (int k = 0; k < finished_at_once; ++k)
      x[k] = work.scales_change ? add(x[k], 0.0f) : scaled_sum(x[k], multiply(row_scale, col_scales[k]));
    product_quad at{tile.batch, row, tile.col + col, count};
    if (row < work.rows) epilogue(at, x);
  }
  end_tile_of(epilogue);
}

/// What a thread block does. `write` is called for each tile when its sums and scales are in shared memory, unless D leaves
/// directly, which it never does where `May` is false.
template <class Shape, bool May, class Write>
__device__ __forceinline__ void run_small(const wgmma_work& work, const Write& write) noexcept {
#if QUAVER_WGMMA
  extern __shared__ __align__(1024) unsigned char memory[];
  using ring_type            = wgmma_ring<Shape>;
  constexpr auto stages      = static_cast<uint32_t>(Shape::stages);
  constexpr uint32_t all     = stages * (ring_type::a_bytes + ring_type::b_bytes);
  const uint32_t base        = ptx::shared_address(memory);
  const uint32_t sums        = base + all;
  const uint32_t scales      = sums + Shape::units * Shape::unit;
  constexpr uint32_t factors = Shape::factors * 4;
  ring_type ring{.stages = base, .factors = scales + factors, .barriers = scales + factors * (1 + stages)};
  small_exchange<Shape> exchange{.room = sums, .barriers = ring.barriers + stages * 16};
  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < stages; ++i) {
      ptx::barrier_begin(ring.barriers + i * 16, work.work.scales_change ? 33 : 1);
      ptx::barrier_begin(ring.barriers + i * 16 + 8, Shape::multiplying / 32);
    }
    exchange.begin(work.parts);
    ptx::barriers_begun();
  }
  const small_part own(work);
  const auto cluster    = static_cast<uint32_t>(own.parts);
  const uint32_t stride = gridDim.x / cluster;
  uint32_t at           = blockIdx.x / cluster;
  if (threadIdx.x == Shape::multiplying) {
    ptx::prefetch_tensor_map(&work.a);
    ptx::prefetch_tensor_map(&work.b);
    const wgmma_place tile = place_of<Shape>(work, at, 0);
    for (int step = own.first; step < own.end && step < own.first + Shape::stages; ++step)
      ptx::tma_prefetch(&work.b, step * wgmma_step, tile.col, work.b_batched ? tile.batch : 0);
  }
  if (cluster == 1) __syncthreads();
  else ptx::cluster_sync();
  wait_for_grid_before();
  let_next_grid_begin();

  if (threadIdx.x >= Shape::multiplying) {
    if constexpr (Shape::hands_over) ptx::give_registers<Shape::loading_registers>();
    if (threadIdx.x < Shape::multiplying + 32) {
      for (; at < work.clusters; at += stride) load_part<Shape>(work, ring, place_of<Shape>(work, at, 0), own);
    }
  } else {
    if constexpr (Shape::hands_over) ptx::take_registers<Shape::multiplying_registers>();
    const wgmma_lane lane;
    const wgmma_turns turns(lane);
    if (Shape::hands_over) turns.begin();
    const int units = (work.work.rows + 7) / 8;
    const auto meet = [] { ptx::named_barrier(1, Shape::multiplying); };
    for (; at < work.clusters; at += stride) {
      const wgmma_place tile = place_of<Shape>(work, at, 0);
      if (!work.work.scales_change) ask_for_scales<Shape>(work.work, tile, scales);
      float total[size_t{Shape::rows} / 2];
      multiply_part<Shape>(work, own, lane, turns, ring, total);
      if (own.parts != 1) exchange.send(units, own, total);
      // Gives each of this block's units of 8 rows away, the parts of K added.
      const auto give_units = [&](const auto& take) {
        if (own.parts != 1) return exchange.gather(units, own, meet, take);
#pragma unroll
        for (int u = 0; u < Shape::rows / 8; ++u) {
          float four[4];
          take_four(total, u, four);
          if (u < units) take(u, four);
        }
      };
      if (May && work.way == wgmma_way::direct) {
        ptx::wait_for_copies();
        meet();
        const small_units<Shape> out(work, tile, own, lane, sums, scales);
        give_units([&](int u, const float(&four)[4]) { out.take(u, four); });
        out.send(own.count(units));
        if (own.parts != 1 && lane.index == 0) ptx::tma_wait_read<0>();
      } else {
        const small_sum_places<Shape> to(sums, lane);
        give_units([&](int u, const float(&four)[4]) { to.store(u, four); });
        ptx::wait_for_copies();
        meet();
        write(tile, own.part, sums, scales);
      }
      meet();  // all have read: the places of sums and scales are free
      if (own.parts != 1) exchange.done(own.parts);
    }
    if (May && lane.index == 0) ptx::tma_wait_written();
  }
  // No thread block may end while another stores in its memory or arrives at its barriers.
  if (cluster != 1) ptx::cluster_sync();
#endif
}

template <class Shape>
__global__ void __launch_bounds__(Shape::threads, Shape::blocks)
    wgmma_small_kernel(const __grid_constant__ wgmma_work work) {
  const bool plain = finishes_plainly(work.work);
  run_small<Shape, true>(work, [&](const wgmma_place& tile, int part, uint32_t sums, uint32_t scales) {
    constexpr int unroll = Shape::rows > 16 ? 2 : 1;
    if (plain) write_rows<Shape, unroll>(work, tile, part, sums, scales, gemm_epilogue<finishing::plain>{work.work});
    else write_rows<Shape, 1>(work, tile, part, sums, scales, gemm_epilogue<finishing::all>{work.work});
  });
}

/// The same with an epilogue that a user brings.
template <class Shape, class Epilogue>
__global__ void __launch_bounds__(Shape::threads, Shape::blocks)
    wgmma_small_kernel_with(const __grid_constant__ wgmma_work work, const __grid_constant__ Epilogue epilogue) {
  static_assert(Shape::cols == 32 * finished_at_once);  // a warp has a row
  run_small<Shape, false>(work, [&](const wgmma_place& tile, int part, uint32_t sums, uint32_t scales) {
    write_rows<Shape, 1>(work, tile, part, sums, scales, epilogue);
  });
}

#if !QUAVER_NVRTC

/// Into how many parts K is cut, and how many clusters of that many blocks are on the device together; 0 where none can be.
struct small_cut {
  int parts    = 0;
  int together = 0;
};

/// Those that occupy the device best: the fewest steps for the block that has the most; between two tiles pass as many
/// cycles as two steps take. `at_once` says how many clusters of so many blocks the device holds.
template <class Shape, class AtOnce>
result<small_cut> cut_small(const wgmma_work& work, const AtOnce& at_once) {
  small_cut best;
  int64_t least = 0;
  for (int parts = 1; parts <= wgmma_most_parts && parts <= work.steps; ++parts) {
    if (parts != 1 && !wgmma_small_parts_fit<Shape>(work.work.rows, parts)) continue;
    const result<int> together = at_once(parts);
    if (!together.ok()) return together.error();
    if (*together == 0) continue;
    const int64_t rounds = (int64_t{work.clusters} + *together - 1) / *together;
    const int64_t steps  = rounds * ((work.steps + parts - 1) / parts + 2);
    if (least != 0 && steps >= least) continue;
    least         = steps;
    best.parts    = parts;
    best.together = *together;
  }
  return best;
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
