// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_KERNEL_CUH
#define QUAVER_CUDA_GEMM_WGMMA_KERNEL_CUH

#include <quaver/cuda/gemm/wgmma_epilogue.cuh>
#include <quaver/cuda/ptx/mbarrier.cuh>
#include <quaver/cuda/ptx/wgmma_fp8.cuh>

// The GEMM for Hopper: one thread block a multiprocessor for as long as there are tiles. One thread has the copy engine
// load steps of K (128 codes of each row of A's and B's tile) into a ring of stages; two warpgroups, each with half the
// rows of the tile, multiply them by wgmma and write D. A stage goes round between two barriers: `full` counts the bytes
// that have come, `empty` the warps that are done with it, those of both thread blocks where a cluster shares a tile.
//
// Why this shape. The matrix unit wants an instruction all the time, and shared memory feeds it only if an instruction is
// wide: 64 x 256 reads 10 KB in 128 cycles. The two warpgroups are not in step: while one waits for its sums and adds them
// to floats, or writes D, the other's instructions keep the unit busy. Sharing a tile within a cluster halves what comes
// from the second-level cache for it.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The ring of stages in a thread block's shared memory, and where a thread stands in it.
template <class Shape>
struct wgmma_ring {
  static constexpr uint32_t a_bytes = static_cast<uint32_t>(Shape::rows) * wgmma_step;
  static constexpr uint32_t b_bytes = static_cast<uint32_t>(Shape::cols) * wgmma_step;
  uint32_t stages;    ///< shared addresses: of the first stage, A's tile before B's
  uint32_t factors;   ///< Shape::factors floats a stage: for each row of A's tile the product of its scale and B's
  uint32_t barriers;  ///< full, empty, full, empty, ..., and the two by which warpgroups take turns
  uint32_t stage  = 0;
  uint32_t parity = 0;

  [[nodiscard]] __device__ uint32_t a() const noexcept { return stages + stage * (a_bytes + b_bytes); }
  [[nodiscard]] __device__ uint32_t b() const noexcept { return a() + a_bytes; }
  [[nodiscard]] __device__ uint32_t scales() const noexcept { return factors + stage * (Shape::factors * 4); }
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
template <class Shape>
__device__ __forceinline__ void load_tiles(const wgmma_work& work, wgmma_ring<Shape> ring, uint32_t rank) noexcept {
  constexpr bool share_a  = Shape::shared == wgmma_shared::a;
  constexpr bool share_b  = Shape::shared == wgmma_shared::b;
  constexpr uint16_t both = 3;
  const int own           = static_cast<int>(rank);
  for (uint32_t at = blockIdx.x / Shape::cluster; at < work.clusters; at += gridDim.x / Shape::cluster) {
    const wgmma_place place = place_of<Shape>(work, at);
    const int row           = place.row + (share_b ? own * Shape::rows : 0);
    const int col           = place.col + (share_a ? own * Shape::cols : 0);
    const int a_batch       = work.a_batched ? place.batch : 0;
    const int b_batch       = work.b_batched ? place.batch : 0;
    for (int step = 0; step < work.steps; ++step) {
      const int k = step * wgmma_step;
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
      ptx::barrier_expect(ring.full(), wgmma_ring<Shape>::a_bytes + wgmma_ring<Shape>::b_bytes);
      if constexpr (share_a) {
        constexpr int part = Shape::rows / 2;
        ptx::tma_load_to(both, &work.a, ring.a() + rank * part * wgmma_step, ring.full(), k, row + own * part, a_batch);
      } else {
        ptx::tma_load(&work.a, ring.a(), ring.full(), k, row, a_batch);
      }
      if constexpr (share_b) {
        constexpr int part = Shape::cols / 2;
        ptx::tma_load_to(both, &work.b, ring.b() + rank * part * wgmma_step, ring.full(), k, col + own * part, b_batch);
      } else {
        ptx::tma_load(&work.b, ring.b(), ring.full(), k, col, b_batch);
      }
      ring.advance();
    }
  }
}

/// One of the warps that load scales: for each of its steps, the product of the scale of each row of A's tile and that of
/// B's tile, which lies in one block of B's scales. Loads of the next step are under way while this one waits for its
/// stage. `warps` of them take the steps in turn.
template <class Shape>
__device__ __forceinline__ void load_scales(const wgmma_work& whole, wgmma_ring<Shape> ring, uint32_t rank, int warp,
                                            int warps) noexcept {
  constexpr int count   = Shape::rows / 32;
  const gemm_work& work = whole.work;
  const auto lane       = static_cast<int>(threadIdx.x % 32);
  const int64_t a_right = work.a.scales.block_cols == 0 ? 0 : work.a.scales.places.of_col(1);
  const int64_t b_right = work.b.scales.block_cols == 0 ? 0 : work.b.scales.places.of_col(1);
  const int64_t a_down  = work.a.scales.places.of_row(1);
  const auto block_of   = [](const gemm_scales& scales, int line, int lines) {
    const int inside = line < lines ? line : lines - 1;
    return scales.block_rows == 0 ? 0u : static_cast<uint32_t>(inside) / scales.block_rows;
  };
  int step = warp;
  ring.advance(warp);
  for (uint32_t at = blockIdx.x / Shape::cluster; at < whole.clusters; at += gridDim.x / Shape::cluster) {
    const wgmma_place place = place_of<Shape>(whole, at);
    const int row           = place.row + (Shape::shared == wgmma_shared::b ? static_cast<int>(rank) * Shape::rows : 0);
    const int col           = place.col + (Shape::shared == wgmma_shared::a ? static_cast<int>(rank) * Shape::cols : 0);
    const float* of_a       = static_cast<const float*>(work.a.scales.data) + place.batch * work.a.scales.batch_stride;
    const float* of_b       = static_cast<const float*>(work.b.scales.data) + place.batch * work.b.scales.batch_stride +
                        block_of(work.b.scales, col, work.cols) * work.b.scales.places.of_row(1);
    uint32_t blocks[static_cast<size_t>(count)];
    float a[static_cast<size_t>(count)];
    float b        = 0;
    const auto ask = [&](int k) {
      b = ptx::load_now(of_b + k * b_right);
#pragma unroll
      for (int i = 0; i < count; ++i) a[i] = ptx::load_now(of_a + blocks[i] * a_down + k * a_right);
    };
#pragma unroll
    for (int i = 0; i < count; ++i) blocks[i] = block_of(work.a.scales, row + lane + 32 * i, work.rows);
    if (step < whole.steps) ask(step);
    for (; step < whole.steps; step += warps) {
      float products[static_cast<size_t>(count)];
#pragma unroll
      for (int i = 0; i < count; ++i) products[i] = multiply(a[i], b);
      if (step + warps < whole.steps) ask(step + warps);
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
#pragma unroll
      for (int i = 0; i < count; ++i)
        ptx::store_float(ring.scales() + static_cast<uint32_t>(lane + 32 * i) * 4, products[i]);
      __syncwarp();
      if (lane == 0) ptx::barrier_publish(ring.full());
      ring.advance(warps);
    }
    step -= whole.steps;
  }
}

/// This warp is done with a stage.
template <class Shape>
__device__ __forceinline__ void release(uint32_t empty) noexcept {
  if (threadIdx.x % 32 < static_cast<uint32_t>(Shape::cluster)) ptx::barrier_arrive(empty, threadIdx.x % 32);
}

/// Starts the instructions of one step for one half of this warpgroup's rows.
template <class A, class B, int Cols>
__device__ __forceinline__ void multiply_step(float (&sums)[size_t{Cols} / 2], uint64_t a, uint64_t b,
                                              bool add_to) noexcept {
#pragma unroll
  for (uint32_t k = 0; k < wgmma_step / 32; ++k)
    ptx::wgmma_fp8<Cols, A, B>(sums, a + 2 * k, b + 2 * k, add_to || k != 0 ? 1u : 0u);
}

/// Keeps the compiler from moving registers that instructions still write. Loops over registers count, here and elsewhere:
/// a loop over references leaves an array in local memory.
template <size_t Count>
__device__ __forceinline__ void hold(float (&sums)[Count]) noexcept {
#pragma unroll
  for (size_t i = 0; i < Count; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

/// An operand in a stage, from a row on that is a multiple of 8.
__device__ __forceinline__ uint64_t describe_operand(uint32_t address) noexcept {
  constexpr uint32_t swizzled_rows = 8 * wgmma_step;  // the swizzle spans 8 rows of 128 bytes
  return ptx::wgmma_descriptor(address, 16, swizzled_rows, ptx::wgmma_swizzle::bytes_128);
}

/// The descriptors of this warpgroup's rows of A's tile in a stage, from its half `h` on, and of B's tile from `col` on.
template <class Shape>
struct stage_operands {
  uint32_t a_offset;

  __device__ explicit stage_operands(const wgmma_lane& lane) noexcept
      : a_offset(static_cast<uint32_t>(lane.first_row<Shape>()) * wgmma_step) {}
  [[nodiscard]] __device__ uint64_t a(const wgmma_ring<Shape>& ring, int h) const noexcept {
    return describe_operand(ring.a() + a_offset + static_cast<uint32_t>(h * 64 * wgmma_step));
  }
  [[nodiscard]] __device__ uint64_t b(const wgmma_ring<Shape>& ring, int col) const noexcept {
    return describe_operand(ring.b() + static_cast<uint32_t>(col * wgmma_step));
  }
};

/// Sums over all of K: one step's instructions run while the next one's are issued.
template <class A, class B, class Shape>
__device__ __forceinline__ void multiply_whole(
    int steps, const wgmma_lane& lane, wgmma_ring<Shape>& ring,
    float (&total)[size_t{Shape::halves}][size_t{Shape::cols} / 2]) noexcept {
  const stage_operands<Shape> operands{lane};
  uint32_t before = 0;
  for (int step = 0; step < steps; ++step) {
    ptx::barrier_wait(ring.full(), ring.parity);
#pragma unroll
    for (int h = 0; h < Shape::halves; ++h) hold(total[h]);
    ptx::wgmma_fence();
#pragma unroll
    for (int h = 0; h < Shape::halves; ++h)
      multiply_step<A, B, Shape::cols>(total[h], operands.a(ring, h), operands.b(ring, 0), step != 0);
    ptx::wgmma_commit();
#pragma unroll
    for (int h = 0; h < Shape::halves; ++h) hold(total[h]);
    ptx::wgmma_wait<1>();
    if (step != 0) release<Shape>(before);
    before = ring.empty();
    ring.advance();
  }
  if (Shape::split == wgmma_split::tiles && threadIdx.x % 32 == 0) {
    ptx::barrier_arrive(ring.turn(1 - lane.warpgroup));
  }
  ptx::wgmma_wait<0>();
#pragma unroll
  for (int h = 0; h < Shape::halves; ++h) hold(total[h]);
  release<Shape>(before);
}

/// Sums of each step, added to floats, scaled where the scales change: total[i] += sums[i] (* product of the scales).
/// A step is done in parts, of its columns where a tile is wide. Two sets of registers take turns: while one part is
/// added, the instructions of the next run.
template <class A, class B, class Shape, wgmma_sums Sums>
struct step_adder {
  static constexpr int halves  = Shape::halves;
  static constexpr int parts   = halves == 1 && Shape::cols > 128 ? 2 : halves;
  static constexpr int cols    = halves == 1 ? Shape::cols / parts : Shape::cols;
  static constexpr int count   = cols / 2;
  static constexpr int sets    = halves == 1 ? 2 : 1;  ///< of registers; for two halves there is no room for a second
  static constexpr bool scaled = Sums == wgmma_sums::scaled;

  wgmma_ring<Shape>& ring;
  stage_operands<Shape> operands;
  wgmma_ring<Shape> done;                             ///< the stage to be released next
  uint32_t row;                                       ///< this thread's in the tile
  float products[size_t{sets}][size_t{halves}][2]{};  ///< of its rows, for the steps that may be under way

  __device__ __forceinline__ step_adder(const wgmma_lane& lane, wgmma_ring<Shape>& at) noexcept
      : ring(at), operands(lane), done(at), row(static_cast<uint32_t>(lane.first_row<Shape>() + lane.row)) {}

  /// Starts the instructions of a part. The last part leaves the stage.
  __device__ __forceinline__ void issue(int part, int parity, float (&sums)[size_t{count}]) noexcept {
    if (part == 0) {
      ptx::barrier_wait(ring.full(), ring.parity);
      if constexpr (scaled) {
#pragma unroll
        for (int h = 0; h < halves; ++h) {
          const uint32_t at      = ring.scales() + (row + static_cast<uint32_t>(h * 64)) * 4;
          products[parity][h][0] = ptx::load_float(at);
          products[parity][h][1] = ptx::load_float(at + 32);
        }
      }
    }
    hold(sums);
    ptx::wgmma_fence();
    multiply_step<A, B, cols>(sums, operands.a(ring, halves == 1 ? 0 : part),
                              operands.b(ring, halves == 1 ? part * cols : 0), false);
    ptx::wgmma_commit();
    hold(sums);
    if (part == parts - 1) ring.advance();
  }
  __device__ __forceinline__ void add_part(int part, int parity, const float (&sums)[size_t{count}],
                                           float (&total)[size_t{halves}][size_t{Shape::cols} / 2]) noexcept {
    if (part == parts - 1) release<Shape>(done.empty()), done.advance();
    const int h = halves == 1 ? 0 : part;
#pragma unroll
    for (int i = 0; i < count; ++i) {
      float& to = total[h][halves == 1 ? part * count + i : i];
      to        = scaled ? fused_multiply_add(sums[i], products[parity][h][i / 2 % 2], to) : add(to, sums[i]);
    }
  }
  /// So many steps. The compiler follows instructions in flight through straight code, not around a loop (it would wait
  /// for each of them), so none are left at the end.
  template <int Steps>
  __device__ __forceinline__ void run(float (&sums)[size_t{sets}][size_t{count}],
                                      float (&total)[size_t{halves}][size_t{Shape::cols} / 2]) noexcept {
    constexpr int items = Steps * parts;
    issue(0, 0, sums[0]);
#pragma unroll
    for (int i = 0; i < items; ++i) {
      if (sets == 2 && i + 1 < items) {
        issue((i + 1) % parts, (i + 1) / parts % sets, sums[(i + 1) % sets]);
        ptx::wgmma_wait<1>();
      } else {
        ptx::wgmma_wait<0>();
      }
      hold(sums[i % sets]);
      add_part(i % parts, i / parts % sets, sums[i % sets], total);
      if (sets == 1 && i + 1 < items) issue((i + 1) % parts, (i + 1) / parts % sets, sums[0]);
    }
  }
};

template <class A, class B, class Shape, wgmma_sums Sums>
__device__ __forceinline__ void multiply_by_steps(
    int steps, const wgmma_lane& lane, wgmma_ring<Shape>& ring,
    float (&total)[size_t{Shape::halves}][size_t{Shape::cols} / 2]) noexcept {
  using adder_type = step_adder<A, B, Shape, Sums>;
  adder_type adder(lane, ring);
  float sums[size_t{adder_type::sets}][size_t{adder_type::count}];
#pragma unroll
  for (int h = 0; h < Shape::halves; ++h) {
#pragma unroll
    for (int i = 0; i < Shape::cols / 2; ++i) total[h][i] = 0.0f;
  }
  constexpr int together = 4;
  int left               = steps;
  for (; left >= together; left -= together) adder.template run<together>(sums, total);
  for (; left > 0; --left) adder.template run<1>(sums, total);
}

template <class A, class B, class D, class Shape, wgmma_sums Sums, wgmma_way Way>
__global__ void __launch_bounds__(wgmma_threads, 1) wgmma_kernel(const __grid_constant__ wgmma_work work) {
#if QUAVER_WGMMA
  extern __shared__ __align__(1024) unsigned char memory[];
  const uint32_t base            = ptx::shared_address(memory);
  using ring_type                = wgmma_ring<Shape>;
  constexpr uint32_t all_stages  = static_cast<uint32_t>(Shape::stages) * (ring_type::a_bytes + ring_type::b_bytes);
  const uint32_t chunks          = base + all_stages;
  const uint32_t factors         = chunks + wgmma_warpgroups * Shape::chunks * wgmma_chunk_bytes;
  constexpr uint32_t all_factors = Sums == wgmma_sums::scaled ? Shape::stages * Shape::factors * 4 : 0;
  ring_type ring{.stages = base, .factors = factors, .barriers = factors + all_factors};
  const uint32_t rank = Shape::cluster == 1 ? 0 : ptx::cluster_rank();

  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(Shape::stages); ++i) {
      ptx::barrier_begin(ring.barriers + i * 16, Sums == wgmma_sums::scaled ? 2 : 1);
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
    if (threadIdx.x == 128 * wgmma_warpgroups) load_tiles<Shape>(work, ring, rank);
    if constexpr (Sums == wgmma_sums::scaled) {
      const int warp = static_cast<int>(threadIdx.x / 32) - 4 * wgmma_warpgroups;
      if (warp != 0) load_scales<Shape>(work, ring, rank, warp - 1, 3);
    }
  } else {
    ptx::take_registers<wgmma_multiplying_registers<Sums>>();
    const wgmma_lane lane;
    const uint32_t own     = chunks + static_cast<uint32_t>(lane.warpgroup) * (Shape::chunks * wgmma_chunk_bytes);
    constexpr bool in_turn = Shape::split == wgmma_split::tiles;
    const uint32_t stride  = gridDim.x / Shape::cluster;
    uint32_t at            = blockIdx.x / Shape::cluster;
    uint32_t turn = static_cast<uint32_t>(1 - lane.warpgroup);  // the parity to wait for: the first is the first's
    if (in_turn && lane.warpgroup == 1) at += stride, ring.advance(work.steps);
    for (; at < work.clusters; at += in_turn ? 2 * stride : stride) {
      wgmma_place tile = place_of<Shape>(work, at);
      if constexpr (Shape::shared == wgmma_shared::b) tile.row += static_cast<int>(rank) * Shape::rows;
      if constexpr (Shape::shared == wgmma_shared::a) tile.col += static_cast<int>(rank) * Shape::cols;
      const int first_row = tile.row + lane.first_row<Shape>();
      float sums[size_t{Shape::halves}][size_t{Shape::cols} / 2];
      tile_factors<Shape::halves, Shape::cols> factors;
      if constexpr (Way == wgmma_way::direct) factors.ask(work.work, first_row, tile, lane);
      if (in_turn) ptx::barrier_wait(ring.turn(lane.warpgroup), turn), turn ^= 1;
      if constexpr (Sums == wgmma_sums::whole) multiply_whole<A, B, Shape>(work.steps, lane, ring, sums);
      else multiply_by_steps<A, B, Shape, Sums>(work.steps, lane, ring, sums);
      if (in_turn) ring.advance(work.steps);
      if constexpr (Way == wgmma_way::direct) {
        write_directly<D, Shape::chunks, Shape::halves, Shape::cols>(work, tile, first_row, own, factors, sums);
      } else {
        write_by_rows<Shape>(work, tile, first_row, own, sums);
      }
    }
    if (threadIdx.x % 32 == 0) ptx::tma_wait_written();
  }
  // No thread block may end while another still writes to its shared memory or arrives at its barriers.
  if constexpr (Shape::cluster != 1) ptx::cluster_sync();
#endif
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
