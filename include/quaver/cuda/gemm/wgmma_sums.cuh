// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_SUMS_CUH
#define QUAVER_CUDA_GEMM_WGMMA_SUMS_CUH

#include <quaver/cuda/gemm/wgmma_epilogue.cuh>
#include <quaver/cuda/gemm/wgmma_ring.cuh>
#include <quaver/cuda/ptx/wgmma_fp8.cuh>

// What the warpgroups of the kernel for Hopper multiply: the instructions of a step, and the sums of all steps, by the
// instruction itself or added up in floats.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

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

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
