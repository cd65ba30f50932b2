// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_GROUP_KERNEL_CUH
#define QUAVER_CUDA_GEMM_WGMMA_GROUP_KERNEL_CUH

#include <quaver/cuda/gemm/wgmma_group_sums.cuh>

// The grouped GEMM for Hopper: the ring of stages and the instructions of wgmma_sums.cuh, with groups whose sizes
// only the device knows.
//
// Why this shape. A group of experts' rows is seldom a multiple of anything, and each has weights of its own, which
// come from memory once: so a tile is high (256 rows), its cluster's two thread blocks share A's rows and have columns
// of their own, and nothing is loaded or multiplied for 64 rows that the group does not reach. The warpgroups take
// those 64s in turn (0 and 2, 1 and 3), so that both work on a short tile. D leaves by ordinary stores of 16 bytes, row
// by row: the rows behind a group's end are the next one's.
//
// Scales of blocks: those of A's tile come with each stage, by the copy engine; that of B's, by a warp that holds those
// of 32 steps.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Registers a thread, of the 168 that a block starts with.
inline constexpr int group_loading_registers     = 40;
inline constexpr int group_multiplying_registers = 232;
static_assert(group_loading_registers + 2 * group_multiplying_registers <= 3 * 168);

/// Bytes of shared memory: a warp's rows of D on their way out, and in all.
inline constexpr int group_room_bytes = 16 * 128;
template <class Shape, wgmma_sums Sums>
inline constexpr size_t wgmma_grouped_memory =
    size_t{Shape::stages} * ((Shape::rows + Shape::cols) * wgmma_step + group_scale_bytes<Shape, Sums> + 16) +
    size_t{4} * wgmma_warpgroups * group_room_bytes + sizeof(group_table);

/// One thread: loads all steps of all tiles of this thread block. Each block of a cluster loads every other box of A's
/// rows, for both.
template <class Shape, wgmma_sums Sums>
__device__ __forceinline__ void load_group_tiles(const wgmma_grouped_work& work, group_tiles<Shape> tiles,
                                                 wgmma_ring<Shape> ring, uint32_t rank) noexcept {
  static_assert(Shape::shared == wgmma_shared::a);
  constexpr uint16_t both      = 3;
  constexpr uint32_t box_bytes = group_box_rows * wgmma_step;
  constexpr uint32_t scales    = Sums == wgmma_sums::scaled ? Shape::rows * 4 : 0;
  for (; tiles.more(); tiles.next()) {
    const group_tile tile = tiles.here();
    const int of_a        = work.a_batched ? tile.group : 0;
    const int of_b        = work.b_batched ? tile.group : 0;
    const int col         = tile.col + static_cast<int>(rank) * Shape::cols;
    const auto boxes      = static_cast<uint32_t>(tile.boxes<Shape::rows / group_box_rows>());
    const uint32_t bytes  = boxes * box_bytes + wgmma_ring<Shape>::b_bytes + scales;
    const int steps       = tile.steps();
    for (int step = 0; step < steps; ++step) {
      const int k = tile.k + step * wgmma_step;
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
      ptx::barrier_expect(ring.full(), bytes);
      for (uint32_t box = rank; box < boxes; box += 2) {
        ptx::tma_load_to(both, &work.a, ring.a() + box * box_bytes, ring.full(), k,
                         tile.row + static_cast<int>(box) * group_box_rows, of_a);
      }
      ptx::tma_load(&work.b, ring.b(), ring.full(), k, col, of_b);
      if constexpr (Sums == wgmma_sums::scaled)
        ptx::tma_load(&work.a_scales, scales_of(ring), ring.full(), tile.row, k / wgmma_step, of_a);
      ring.advance();
    }
  }
}

/// One warp: beside each stage the scale of B's tile, which lies in one block of B's scales. A lane holds that of each
/// 32nd step.
template <class Shape>
__device__ __forceinline__ void load_tile_scales(const wgmma_grouped_work& work, group_tiles<Shape> tiles,
                                                 wgmma_ring<Shape> ring, uint32_t rank) noexcept {
  const gemm_scales& scales = work.b_scales;
  const int64_t right       = scales.places.of_col(1);
  const auto lane           = static_cast<int>(threadIdx.x % 32);
  for (; tiles.more(); tiles.next()) {
    const group_tile tile = tiles.here();
    const int col         = tile.col + static_cast<int>(rank) * Shape::cols;
    const auto inside     = static_cast<uint32_t>(col < work.cols ? col : work.cols - 1);
    const float* from     = static_cast<const float*>(scales.data) + tile.group * scales.batch_stride +
                        scales.places.of_row(inside / scales.block_rows) + tile.k / wgmma_step * right;
    const int steps = tile.steps();
    float now       = 0;
    float next      = lane < steps ? ptx::load_now(from + lane * right) : 0;
    for (int step = 0; step < steps; ++step) {
      if (step % 32 == 0) {
        now = next;
        if (step + 32 + lane < steps) next = ptx::load_now(from + (step + 32 + lane) * right);
      }
      const float scale = __shfl_sync(0xFFFF'FFFF, now, step % 32);
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
      if (lane == 0) {
        ptx::store_float(scales_of(ring) + Shape::rows * 4, scale);
        ptx::barrier_publish(ring.full());
      }
      ring.advance();
    }
  }
}

/// 16 finished columns of a warp's 16 rows to shared memory at `to`, as piece `piece` of rows of 128 bytes, swizzled:
/// the 16 bytes at place p of row r lie at place p ^ r % 8.
template <class D>
__device__ __forceinline__ void store_piece(const float (&x)[8], uint32_t to, int piece,
                                            const wgmma_lane& lane) noexcept {
  static_assert(sizeof(D) == 4 || sizeof(D) == 2);
  const uint32_t index = threadIdx.x % 32;
  if constexpr (sizeof(D) == 2) {
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      words[i] = same_type<D, half> ? ptx::floats_to_halves(x[2 * i], x[2 * i + 1])
                                    : ptx::floats_to_bfloat16s(x[2 * i], x[2 * i + 1]);
      // The conversion makes 7FFF of every NaN: as signed integers, D's own NaN is above infinity and below that.
      words[i] = __vmins2(words[i], uint32_t{D::nan_code} * 0x1'0001);
    }
    // Four matrices of 8 x 8: rows 0 to 7 and 8 to 15, of two neighbouring eights of columns.
    const uint32_t row   = index % 16;
    const uint32_t place = static_cast<uint32_t>(2 * piece) + index / 16;
    ptx::store_matrices(to + row * 128 + (place ^ row % 8) * 16, words[0], words[1], words[2], words[3]);
  } else {
#pragma unroll
    for (int i = 0; i < 8; i += 2) {
      const uint32_t row = index / 4 + static_cast<uint32_t>(i / 2 % 2 * 8);
      const auto byte    = static_cast<uint32_t>(16 * piece + i / 4 * 8 + lane.col) * 4;
      const uint32_t at  = to + row * 128 + ((byte & ~15u) ^ row % 8 * 16) + byte % 16;
      ptx::store_two_words(at, canonical_nan(bitwise_cast<uint32_t>(x[i])),
                           canonical_nan(bitwise_cast<uint32_t>(x[i + 1])));
    }
  }
}

/// A warp's 16 rows of a tile, from `row` on, to D: scaled, rounded, through its `room` of shared memory. Of them those
/// from `first` to `end` are the group's.
template <class D, wgmma_sums Sums, int Cols>
__device__ __forceinline__ void write_group_rows(const wgmma_grouped_work& work, const group_tile& tile, int row,
                                                 int first, int end, uint32_t room, const wgmma_lane& lane,
                                                 const float (&sums)[size_t{Cols} / 2]) noexcept {
  constexpr int unit   = 16 / static_cast<int>(sizeof(D));
  constexpr int chunk  = 8 * unit;  // columns in 128 bytes
  constexpr int pieces = chunk / 16;
  // Where K is 0 the sums are 0, and there need be no scales.
  const bool lines          = Sums != wgmma_sums::scaled && tile.depth != 0;
  const line_values of_rows = scales_of_lines(work.a_factors, tile.group, end);
  const line_values of_cols = scales_of_lines(work.b_scales, tile.group, work.cols);
  float row_scales[2]       = {};
  if (lines) {
    row_scales[0] = of_rows[row + static_cast<int>(threadIdx.x % 32 / 4)];
    row_scales[1] = of_rows[row + static_cast<int>(threadIdx.x % 32 / 4) + 8];
  }
#pragma unroll
  for (int c = 0; c < Cols / chunk; ++c) {
#pragma unroll
    for (int p = 0; p < pieces; ++p) {
      const int at = c * pieces + p;
      float x[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] = add(sums[at * 8 + i], 0.0f);  // no negative zero
      if (lines) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {  // columns, each of two rows
          const int to       = i / 2 * 4 + i % 2;
          const float of_col = of_cols[tile.col + at * 16 + i / 2 * 8 + lane.col + i % 2];
          x[to]              = scaled_sum(x[to], multiply(row_scales[0], of_col));
          x[to + 2]          = scaled_sum(x[to + 2], multiply(row_scales[1], of_col));
        }
      }
      if (work.alpha != 1.0f) {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = multiply(x[i], work.alpha);
      }
      store_piece<D>(x, room, p, lane);
    }
    __syncwarp();
    // Four rows at a time, 8 lanes a row.
    const auto part = static_cast<int>(threadIdx.x % 8);
    const auto down = static_cast<int>(threadIdx.x % 32 / 8);
    const int col   = tile.col + c * chunk + part * unit;
    float words[4][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = down + 4 * i;
      ptx::load_four_words(room + static_cast<uint32_t>(at * 128 + (part ^ at % 8) * 16), words[i]);
    }
    D* to = static_cast<D*>(work.d) + tile.group * work.d_batch_stride + (row + down) * work.d_row_stride + col;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = row + down + 4 * i;
      if (at >= first && at < end && col < work.cols) ptx::store_four_words_globally(to, words[i]);
      to += 4 * work.d_row_stride;
    }
    __syncwarp();
  }
}

/// All of a tile that is this warpgroup's, of whose rows the group reaches Halves times 64. `room` is its warp's.
template <class A, class B, class D, class Shape, wgmma_sums Sums, int Halves>
__device__ __forceinline__ void compute_group_tile(const wgmma_grouped_work& work, const group_tiles<Shape>& tiles,
                                                   const group_tile& tile, const wgmma_lane& lane, uint32_t room,
                                                   wgmma_ring<Shape>& ring) noexcept {
  float total[size_t{Halves}][size_t{Shape::cols} / 2];
  group_sums<A, B, Shape, Sums, Halves> sums(lane, ring);
  if constexpr (Sums == wgmma_sums::whole) sums.whole(tile.steps(), total);
  else sums.by_steps(tile, total);
  const int first = tiles.first_row(tile.group);
  const int end   = tiles.last_row(tile.group);
#pragma unroll
  for (int h = 0; h < Halves; ++h) {
    const int row = tile.row + (lane.warpgroup + 2 * h) * group_box_rows + lane.warp_row;
    write_group_rows<D, Sums, Shape::cols>(work, tile, row, first, end, room, lane, total[h]);
  }
}

template <class A, class B, class D, class Shape, wgmma_sums Sums>
__global__ void __launch_bounds__(wgmma_threads, 1)
    wgmma_grouped_kernel(const __grid_constant__ wgmma_grouped_work work) {
#if QUAVER_WGMMA
  extern __shared__ __align__(1024) unsigned char memory[];
  using ring_type               = wgmma_ring<Shape>;
  constexpr uint32_t all_stages = static_cast<uint32_t>(Shape::stages) * (ring_type::a_bytes + ring_type::b_bytes);
  constexpr uint32_t all_scales = Shape::stages * group_scale_bytes<Shape, Sums>;
  constexpr uint32_t all_rooms  = 4 * wgmma_warpgroups * group_room_bytes;
  static_assert(Shape::split == wgmma_split::rows && Shape::cluster == 2);
  ring_type ring{};
  ring.stages   = ptx::shared_address(memory);
  ring.factors  = ring.stages + all_stages + all_rooms;
  ring.barriers = ring.factors + all_scales;
  auto& table   = *reinterpret_cast<group_table*>(memory + (wgmma_grouped_memory<Shape, Sums> - sizeof(group_table)));
  const uint32_t rank = ptx::cluster_rank();

  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(Shape::stages); ++i) {
      ptx::barrier_begin(ring.barriers + i * 16, Sums == wgmma_sums::scaled ? 2 : 1);
      ptx::barrier_begin(ring.barriers + i * 16 + 8, 8 * Shape::cluster);
    }
    ptx::barriers_begun();
  }
  make_group_table<Shape>(work, table);
  ptx::cluster_sync();

  if (threadIdx.x >= 128 * wgmma_warpgroups) {
    ptx::give_registers<group_loading_registers>();
    if (threadIdx.x == 128 * wgmma_warpgroups) load_group_tiles<Shape, Sums>(work, {work, table}, ring, rank);
    if (Sums == wgmma_sums::scaled && threadIdx.x / 32 == 4 * wgmma_warpgroups + 1)
      load_tile_scales<Shape>(work, {work, table}, ring, rank);
  } else {
    ptx::take_registers<group_multiplying_registers>();
    const wgmma_lane lane;
    const uint32_t room =
        ring.stages + all_stages + static_cast<uint32_t>(lane.warpgroup * 4 + lane.warp_row / 16) * group_room_bytes;
    const int own_cols = static_cast<int>(rank) * Shape::cols;
    for (group_tiles<Shape> tiles(work, table); tiles.more(); tiles.next()) {
      group_tile tile = tiles.here();
      tile.col += own_cols;
      const int halves = (tile.boxes<Shape::rows / group_box_rows>() + 1 - lane.warpgroup) / 2;
      if (halves == 2) compute_group_tile<A, B, D, Shape, Sums, 2>(work, tiles, tile, lane, room, ring);
      else if (halves == 1) compute_group_tile<A, B, D, Shape, Sums, 1>(work, tiles, tile, lane, room, ring);
      else multiply_nothing(tile, ring);
    }
  }
  // No thread block may end while another still writes to its shared memory or arrives at its barriers.
  ptx::cluster_sync();
#endif
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
