// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_GROUP_SUMS_CUH
#define QUAVER_CUDA_GEMM_WGMMA_GROUP_SUMS_CUH

#include <quaver/cuda/gemm/wgmma_group_tiles.cuh>
#include <quaver/cuda/gemm/wgmma_sums.cuh>

// What the warpgroups of the grouped kernel for Hopper multiply: of a tile's 64s of rows every other one each, as many
// as the group reaches, over the group's part of K.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Bytes of shared memory where a stage's scales stand: those of A's rows, then that of B's tile.
template <class Shape, wgmma_sums Sums>
inline constexpr int group_scale_bytes = Sums == wgmma_sums::scaled ? 4 * (Shape::rows + 32) : 0;

/// The shared address of the scales of the present stage.
template <class Shape>
__device__ __forceinline__ uint32_t scales_of(const wgmma_ring<Shape>& ring) noexcept {
  return ring.factors + ring.stage * group_scale_bytes<Shape, wgmma_sums::scaled>;
}

/// Both warpgroups make zeros of what follows the first `depth` of K in the next stage, in A's rows and in B's: it is
/// another group's.
template <class Shape>
__device__ __forceinline__ void clear_tail(const wgmma_ring<Shape>& ring, int depth) noexcept {
  constexpr uint32_t threads = 128 * wgmma_warpgroups;
  ptx::barrier_wait(ring.full(), ring.parity);
#pragma unroll 1
  for (uint32_t row = threadIdx.x; row < Shape::rows + Shape::cols; row += threads) {
#pragma unroll 1
    for (int word = depth / 4; word < wgmma_step / 4; ++word) {
      const auto place  = static_cast<uint32_t>(word);
      const uint32_t at = ring.a() + row * wgmma_step + ((place / 4 ^ row % 8) * 16) + place % 4 * 4;
      const int kept    = depth - word * 4;  // bytes
      ptx::store_word(at, kept <= 0 ? 0 : ptx::load_word(at) & ((uint32_t{1} << 8 * kept) - 1));
    }
  }
  ptx::fence_proxy_async();
  ptx::named_barrier(1 + wgmma_warpgroups, threads);
}

template <size_t Halves, size_t Count>
__device__ __forceinline__ void clear(float (&total)[Halves][Count]) noexcept {
#pragma unroll
  for (size_t h = 0; h < Halves; ++h) {
#pragma unroll
    for (size_t i = 0; i < Count; ++i) total[h][i] = 0.0f;
  }
}

/// The sums of a tile for a warpgroup of whose rows the group reaches Halves times 64: every other 64 of the tile's.
template <class A, class B, class Shape, wgmma_sums Sums, int Halves>
struct group_sums {
  static constexpr int cols    = Shape::cols;
  static constexpr int count   = cols / 2;
  static constexpr int sets    = Halves == 1 ? 2 : 1;  ///< of registers; for two halves there is no room for a second
  static constexpr bool scaled = Sums == wgmma_sums::scaled;

  wgmma_ring<Shape>& ring;
  wgmma_ring<Shape> done;                             ///< the stage to be released next
  uint32_t first_row;                                 ///< of the tile's, the warpgroup's first
  uint32_t row;                                       ///< and this thread's
  float products[size_t{sets}][size_t{Halves}][2]{};  ///< of its rows, for the steps that may be under way

  __device__ __forceinline__ group_sums(const wgmma_lane& lane, wgmma_ring<Shape>& at) noexcept
      : ring(at),
        done(at),
        first_row(static_cast<uint32_t>(lane.warpgroup * group_box_rows)),
        row(first_row + static_cast<uint32_t>(lane.row)) {}

  /// One step's instructions for half `h`.
  __device__ __forceinline__ void multiply(int h, bool add_to, float (&sums)[size_t{count}]) noexcept {
    const uint32_t rows = first_row + static_cast<uint32_t>(h * 2 * group_box_rows);
    multiply_step<A, B, cols>(sums, describe_operand(ring.a() + rows * wgmma_step), describe_operand(ring.b()), add_to);
  }

  /// Starts the instructions of a half. The last one leaves the stage.
  __device__ __forceinline__ void issue(int half, int parity, float (&sums)[size_t{count}]) noexcept {
    if (half == 0) {
      ptx::barrier_wait(ring.full(), ring.parity);
      if constexpr (scaled) {
        const float of_b = ptx::load_float(scales_of(ring) + Shape::rows * 4);
#pragma unroll
        for (int h = 0; h < Halves; ++h) {
          const uint32_t at      = scales_of(ring) + (row + static_cast<uint32_t>(h * 2 * group_box_rows)) * 4;
          products[parity][h][0] = cuda::multiply(ptx::load_float(at), of_b);
          products[parity][h][1] = cuda::multiply(ptx::load_float(at + 32), of_b);
        }
      }
    }
    hold(sums);
    ptx::wgmma_fence();
    multiply(half, false, sums);
    ptx::wgmma_commit();
    hold(sums);
    if (half == Halves - 1) ring.advance();
  }
  __device__ __forceinline__ void add_half(int half, int parity, const float (&sums)[size_t{count}],
                                           float (&total)[size_t{Halves}][size_t{count}]) noexcept {
    if (half == Halves - 1) release<Shape>(done.empty()), done.advance();
#pragma unroll
    for (int i = 0; i < count; ++i) {
      float& to = total[half][i];
      to        = scaled ? fused_multiply_add(sums[i], products[parity][half][i / 2 % 2], to) : add(to, sums[i]);
    }
  }
  /// So many steps. The compiler follows instructions in flight through straight code, not around a loop (it would wait
  /// for each of them), so none are left at the end.
  template <int Steps>
  __device__ __forceinline__ void run(float (&sums)[size_t{sets}][size_t{count}],
                                      float (&total)[size_t{Halves}][size_t{count}]) noexcept {
    constexpr int items = Steps * Halves;
    issue(0, 0, sums[0]);
#pragma unroll
    for (int i = 0; i < items; ++i) {
      if (sets == 2 && i + 1 < items) {
        issue(0, (i + 1) % sets, sums[(i + 1) % sets]);
        ptx::wgmma_wait<1>();
      } else {
        ptx::wgmma_wait<0>();
      }
      hold(sums[i % sets]);
      add_half(i % Halves, i / Halves % sets, sums[i % sets], total);
      if (sets == 1 && i + 1 < items) issue((i + 1) % Halves, 0, sums[0]);
    }
  }

  /// Each step's sums, added to `total`, which they begin.
  __device__ __forceinline__ void by_steps(const group_tile& tile,
                                           float (&total)[size_t{Halves}][size_t{count}]) noexcept {
    float sums[size_t{sets}][size_t{count}];
    clear(total);
    constexpr int together = 4;
    const int alone        = tile.tail != 0 ? 1 : 0;
    int left               = tile.steps();
    for (; left >= together + alone; left -= together) run<together>(sums, total);
    for (; left > 0; --left) {
      if (left == alone) clear_tail(ring, tile.tail);
      run<1>(sums, total);
    }
  }
  /// The instruction's sums over all of K: one step's instructions run while the next one's are issued.
  __device__ __forceinline__ void whole(int steps, float (&total)[size_t{Halves}][size_t{count}]) noexcept {
    if (steps == 0) {
      clear(total);
      return;
    }
    for (int step = 0; step < steps; ++step) {
      ptx::barrier_wait(ring.full(), ring.parity);
#pragma unroll
      for (int h = 0; h < Halves; ++h) hold(total[h]);
      ptx::wgmma_fence();
#pragma unroll
      for (int h = 0; h < Halves; ++h) multiply(h, step != 0, total[h]);
      ptx::wgmma_commit();
#pragma unroll
      for (int h = 0; h < Halves; ++h) hold(total[h]);
      ptx::wgmma_wait<1>();
      if (step != 0) release<Shape>(done.empty()), done.advance();
      ring.advance();
    }
    ptx::wgmma_wait<0>();
#pragma unroll
    for (int h = 0; h < Halves; ++h) hold(total[h]);
    release<Shape>(done.empty());
  }
};

/// The same for a warpgroup of whose rows the group reaches none: its arrivals are counted on.
template <class Shape>
__device__ __forceinline__ void multiply_nothing(const group_tile& tile, wgmma_ring<Shape>& ring) noexcept {
  for (int left = tile.steps(); left > 0; --left) {
    if (left == 1 && tile.tail != 0) clear_tail(ring, tile.tail);
    ptx::barrier_wait(ring.full(), ring.parity);
    release<Shape>(ring.empty());
    ring.advance();
  }
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
