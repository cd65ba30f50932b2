// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_KERNEL_CUH
#define QUAVER_CUDA_GEMM_WGMMA_KERNEL_CUH

#include <quaver/cuda/gemm/wgmma_epilogue.cuh>
#include <quaver/cuda/ptx/cp_async.cuh>
#include <quaver/cuda/ptx/mbarrier.cuh>
#include <quaver/cuda/ptx/wgmma_fp8.cuh>

// The GEMM for Hopper: one thread block a multiprocessor for as long as there are tiles. One thread has the copy engine
// load steps of K (128 codes of each row of A's and B's tile) into a ring of stages; two warpgroups, each with half the
// rows of the tile, multiply them by wgmma and write D. A stage goes round between two barriers: `full` counts the bytes
// that have come, `empty` the warps that are done with it, those of both thread blocks where a cluster shares a tile.
//
// Why this shape. The matrix unit wants an instruction all the time, and the wider an instruction is, the less it asks of
// shared memory, of the second-level cache and of the power supply. The two warpgroups are not in step: while one waits for
// its sums and adds them to floats, or writes D, the other's instructions keep the unit busy. Sharing a tile within a
// cluster halves what comes from the second-level cache for it.

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

/// By which the two warpgroups start instructions in turn, where each waits for its own before it adds them: they would soon
/// wait and add at the same time.
struct wgmma_turns {
  static constexpr uint32_t first   = 4;  ///< of the named barriers, one each
  static constexpr uint32_t threads = 128 * wgmma_warpgroups;
  uint32_t number;  ///< of this warpgroup's

  __device__ explicit wgmma_turns(const wgmma_lane& lane) noexcept
      : number(first + static_cast<uint32_t>(lane.warpgroup)) {}
  /// The first warpgroup has the first turn.
  __device__ __forceinline__ void begin() const noexcept {
    if (number != first) pass();
  }
  __device__ __forceinline__ void wait() const noexcept { ptx::named_barrier(number, threads); }
  __device__ __forceinline__ void pass() const noexcept { ptx::named_barrier_arrive(2 * first + 1 - number, threads); }
};

/// Sums of each step, added to floats, scaled where the scales change: total[i] += sums[i] (* product of the scales).
/// A step is done in parts. Where two sets of registers take turns a part is some of the columns, and while one is added,
/// the instructions of the next run. Where there is one set a part is 64 rows, and the other warpgroup's instructions run.
template <class A, class B, class Shape, wgmma_sums Sums>
struct step_adder {
  static constexpr bool in_turn  = Shape::sets == 2;
  static constexpr bool scaled   = wgmma_scaled<Sums>;
  static constexpr bool by_lines = scaled && Shape::scales == wgmma_scales::lines;
  static constexpr int halves    = Shape::halves;
  static constexpr int col_parts = in_turn && Shape::cols > 128 ? 2 : 1;
  static constexpr int parts     = halves * col_parts;
  static constexpr int cols      = Shape::cols / col_parts;
  static constexpr int count     = cols / 2;
  static constexpr int blocks    = by_lines ? 1 : Shape::cols / Shape::scaled_cols;  ///< of B's scales
  using total_type               = float[size_t{halves}][size_t{Shape::cols} / 2];

  wgmma_ring<Shape>& ring;
  stage_operands<Shape> operands;
  wgmma_ring<Shape> done;  ///< the stage to be released next
  uint32_t row;            ///< this thread's in the tile
  uint32_t col;
  wgmma_turns turns;
  float sums[size_t{Shape::sets}][size_t{count}];
  /// For the steps that may be under way: products of the scales of its rows and of B's blocks, or the rows' alone.
  float products[size_t{Shape::sets}][size_t{halves}][size_t{blocks}][2]{};

  __device__ __forceinline__ step_adder(const wgmma_lane& lane, wgmma_ring<Shape>& at) noexcept
      : ring(at),
        operands(lane),
        done(at),
        row(static_cast<uint32_t>(lane.first_row<Shape>() + lane.row)),
        col(static_cast<uint32_t>(lane.col)),
        turns(lane) {
    if (!in_turn) turns.begin();
  }

  /// Starts the instructions of an item, one part of one step, into the set that its number says. The last part leaves
  /// the stage.
  __device__ __forceinline__ void issue(int item) noexcept {
    const int part            = item % parts;
    const int step            = item / parts % Shape::sets;
    float(&to)[size_t{count}] = sums[item % Shape::sets];
    if (part == 0) ptx::barrier_wait(ring.full(), ring.parity);
    if (!in_turn) turns.wait();
    hold(to);
    ptx::wgmma_fence();
    multiply_step<A, B, cols>(to, operands.a(ring, part / col_parts), operands.b(ring, part % col_parts * cols), false);
    ptx::wgmma_commit();
    hold(to);
    if (!in_turn) turns.pass();
    if (scaled && part == 0) {  // after the instructions, so that they do not wait for it
#pragma unroll
      for (int b = 0; b < blocks; ++b) {
        const float of_b =
            by_lines ? 1.0f : ptx::load_float(ring.scales() + static_cast<uint32_t>(Shape::rows + b) * 4);
#pragma unroll
        for (int h = 0; h < halves; ++h) {
          const uint32_t at       = ring.scales() + (row + static_cast<uint32_t>(64 * h)) * 4;
          products[step][h][b][0] = by_lines ? ptx::load_float(at) : multiply(ptx::load_float(at), of_b);
          products[step][h][b][1] = by_lines ? ptx::load_float(at + 32) : multiply(ptx::load_float(at + 32), of_b);
        }
      }
    }
    if (part == parts - 1) ring.advance();
  }
  /// Hands the oldest stage back.
  __device__ __forceinline__ void leave() noexcept {
    release<Shape>(done.empty());
    done.advance();
  }
  /// Adds an item that has been waited for.
  __device__ __forceinline__ void add_item(int item, total_type& total) noexcept {
    const int part = item % parts;
    const int half = part / col_parts;
    const int step = item / parts % Shape::sets;
    const int from = part % col_parts * cols;
    if (!by_lines && part == parts - 1) {
      if constexpr (scaled) {
#pragma unroll
        for (int i = 0; i < halves * blocks; ++i) hold(products[step][i / blocks][i % blocks]);  // they have been read
      }
      leave();
    }
    float of_cols[2] = {1.0f, 1.0f};
#pragma unroll
    for (int i = 0; i < count; ++i) {
      float& to       = total[half][from / 2 + i];
      const float sum = sums[item % Shape::sets][i];
      if constexpr (by_lines) {
        if (i % 4 == 0)
          ptx::load_two_words(done.scales() + (static_cast<uint32_t>(Shape::rows + from + i / 4 * 8) + col) * 4,
                              of_cols);
        to = fused_multiply_add(sum, multiply(products[step][half][0][i / 2 % 2], of_cols[i % 2]), to);
      } else if constexpr (scaled) {
        to = fused_multiply_add(sum, products[step][half][(from + i / 4 * 8) / Shape::scaled_cols][i / 2 % 2], to);
      } else {
        to = add(to, sum);
      }
    }
    if (by_lines && part == parts - 1) {
      hold(of_cols);  // the last of the scales has been read
      leave();
    }
  }
  /// So many steps. The compiler follows instructions in flight through straight code, not around a loop (it would wait
  /// for each of them), so none are left at the end.
  template <int Steps>
  __device__ __forceinline__ void run(total_type& total) noexcept {
    constexpr int items = Steps * parts;
    issue(0);
#pragma unroll
    for (int i = 0; i < items; ++i) {
      if (in_turn && i + 1 < items) {
        issue(i + 1);
        ptx::wgmma_wait<1>();
      } else {
        ptx::wgmma_wait<0>();
      }
      hold(sums[i % Shape::sets]);
      add_item(i, total);
      if (!in_turn && i + 1 < items) issue(i + 1);
    }
  }
};

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
