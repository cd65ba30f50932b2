// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_SMALL_SUMS_CUH
#define QUAVER_CUDA_GEMM_WGMMA_SMALL_SUMS_CUH

#include <quaver/cuda/gemm/wgmma_sums.cuh>

// The sums of the kernel for small M, wgmma_small.cuh: the shapes of its tiles, how the parts of K are added, and the two
// ways in which sums leave the registers, to floats in shared memory or straight to D.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Tiles of D, of Rows (all that there are, padded) x Cols; so many thread blocks a multiprocessor. A type, like
/// wgmma_shape.
template <int Rows, int Cols, int Stages, int Blocks>
struct wgmma_small_shape {
  static_assert(Rows % 16 == 0 && Rows <= 128 && (Cols == 64 || Cols == 128));
  static constexpr int rows            = Rows;
  static constexpr int cols            = Cols;
  static constexpr int stages          = Stages;
  static constexpr int blocks          = Blocks;
  static constexpr int factors         = Rows + Cols;  ///< beside a stage: the scales of A's tile, then of B's
  static constexpr wgmma_shared shared = wgmma_shared::nothing;
  static constexpr wgmma_scales scales = wgmma_scales::copied;
  static constexpr int cluster_rows    = Rows;
  static constexpr int cluster_cols    = Cols;
  static constexpr bool reads_b_once   = true;
  static constexpr int multiplying     = 2 * Cols;  ///< threads: a warpgroup for 64 columns
  /// Where there are two warpgroups of them one more loads, and hands its registers over; else one warp does.
  static constexpr bool hands_over           = Cols == 128;
  static constexpr int loading_registers     = 56;  ///< of the 168 that a thread begins with
  static constexpr int multiplying_registers = 168 + (168 - loading_registers) / 2;
  static constexpr int threads               = multiplying + (hands_over ? 128 : 32);
  /// Sums are exchanged between the parts of K in units of 8 rows: their bytes, for how many there is room, and how many of
  /// them may belong to one part.
  static constexpr uint32_t unit = 8 * Cols * 4;
  static constexpr int units     = Rows == 16 ? 8 : Rows == 64 ? 12 : Rows / 8 + 2;
  static constexpr int most_own  = Rows / 16;
  static_assert(units >= Rows / 8);
};

inline constexpr int wgmma_most_parts = 8;  ///< of K: thread blocks of a cluster that every such chip holds

template <class Shape>
inline constexpr size_t wgmma_small_memory =
    size_t{Shape::stages} * ((Shape::rows + Shape::cols) * wgmma_step + Shape::factors * 4 + 16) +
    size_t{Shape::units} * Shape::unit + Shape::factors * 4 + 16;

/// Which part of K a thread block of the cluster adds up.
struct small_part {
  int parts;
  int part;
  int first;  ///< step of K
  int end;

  __device__ explicit small_part(const wgmma_work& work) noexcept
      : parts(work.parts),
        part(work.parts == 1 ? 0 : static_cast<int>(ptx::cluster_rank())),
        first(work.steps * part / parts),
        end(work.steps * (part + 1) / parts) {}
  /// Of `units`, those that are this block's.
  [[nodiscard]] __device__ int count(int units) const noexcept { return (units - part + parts - 1) / parts; }
};

/// Whether there is room for what `parts` thread blocks exchange of a D of so many rows.
template <class Shape>
constexpr bool wgmma_small_parts_fit(int64_t rows, int parts) noexcept {
  const auto units = static_cast<int>((rows + 7) / 8);
  const int own    = (units + parts - 1) / parts;
  return own * parts <= Shape::units && own <= Shape::most_own;
}

/// Where four sums of a row lie in shared memory: rows of Cols, whose eights are swapped so that neither the warps that
/// store columns nor those that load rows meet in a bank.
template <int Cols>
__device__ __forceinline__ uint32_t small_sum_place(uint32_t sums, int row, int col) noexcept {
  const auto r = static_cast<uint32_t>(row);
  return sums + (r * Cols + (static_cast<uint32_t>(col) ^ (r >> 1 & 3) << 3)) * 4;
}

/// Where a thread's sums lie there. Of its rows r >> 1 & 3 is the same.
template <class Shape>
struct small_sum_places {
  uint32_t at[2];
  __device__ small_sum_places(uint32_t sums, const wgmma_lane& lane) noexcept {
    const int col = lane.warpgroup * 64 + lane.row;
    at[0]         = small_sum_place<Shape::cols>(sums, lane.col, col);
    at[1]         = small_sum_place<Shape::cols>(sums, lane.col, col + 8);
  }
  /// Four sums, as the instruction leaves them, of a unit of 8 rows.
  __device__ __forceinline__ void store(int unit, const float (&four)[4]) const noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      ptx::store_float(at[i / 2] + static_cast<uint32_t>(unit * 8 + i % 2) * (Shape::cols * 4), four[i]);
  }
};

/// Four of a thread's sums, plus zero: what is stored must not be the instruction's own registers.
template <size_t Count>
__device__ __forceinline__ void take_four(const float (&total)[Count], int unit, float (&four)[4]) noexcept {
#pragma unroll
  for (int i = 0; i < 4; ++i) four[i] = add(total[4 * unit + i], 0.0f);
}

/// The exchange of sums between the parts of K, the thread blocks of a cluster. Eight rows of D are a unit; unit u of a
/// tile belongs to part u % parts, which gets all parts' sums of it, thread by thread as they stand in registers, adds
/// them in the order of K and stores the result in its own rows.
template <class Shape>
struct small_exchange {
  uint32_t room;  ///< shared addresses: of the units' parts, then of their sums
  /// The first counts the bytes of the parts, the second the warps of all blocks that have used them.
  uint32_t barriers;
  uint32_t parity = 0;

  static constexpr uint32_t warps = Shape::multiplying / 32;

  __device__ void begin(int parts) const noexcept {
    ptx::barrier_begin(barriers, 1);
    ptx::barrier_begin(barriers + 8, warps * static_cast<uint32_t>(parts));
  }
  [[nodiscard]] __device__ uint32_t place(int own_unit, int part, int parts) const noexcept {
    return room + static_cast<uint32_t>(own_unit * parts + part) * Shape::unit + threadIdx.x * 16;
  }

  /// Sends this block's sums off.
  __device__ __forceinline__ void send(int units, const small_part& own,
                                       const float (&total)[size_t{Shape::rows} / 2]) const noexcept {
    if (threadIdx.x == 0)
      ptx::barrier_expect(barriers, static_cast<uint32_t>(own.count(units) * own.parts) * Shape::unit);
    ptx::barrier_wait(barriers + 8, parity ^ 1);
    uint32_t owner = 0;
    int turn       = 0;
#pragma unroll
    for (int u = 0; u < Shape::rows / 8; ++u) {
      if (u < units) {
        float four[4];
        take_four(total, u, four);
        ptx::store_far(place(turn, own.part, own.parts), barriers, owner, four);
        if (++owner == static_cast<uint32_t>(own.parts)) owner = 0, ++turn;
      }
    }
  }

  /// Adds up this block's units and gives each to `take`, when all threads have added: `meet` waits for that.
  template <class Meet, class Take>
  __device__ __forceinline__ void gather(int units, const small_part& own, const Meet& meet,
                                         const Take& take) const noexcept {
    ptx::barrier_wait(barriers, parity);
    const int mine = own.count(units);
    float sums[size_t{Shape::most_own}][4];
#pragma unroll
    for (int u = 0; u < Shape::most_own; ++u) {
      if (u < mine) add_parts(place(u, 0, own.parts), own.parts, sums[u]);
    }
    meet();
#pragma unroll
    for (int u = 0; u < Shape::most_own; ++u) {
      if (u < mine) take(u, sums[u]);
    }
  }
  /// In the order of K.
  static __device__ __forceinline__ void add_parts(uint32_t at, int parts, float (&sums)[4]) noexcept {
    ptx::load_four_words(at, sums);
#pragma unroll
    for (int p = 1; p < wgmma_most_parts; ++p) {
      if (p < parts) {
        float next[4];
        ptx::load_four_words(at + static_cast<uint32_t>(p) * Shape::unit, next);
#pragma unroll
        for (int k = 0; k < 4; ++k) sums[k] = add(sums[k], next[k]);
      }
    }
  }
  /// The sums have been used: others may store here again.
  __device__ __forceinline__ void done(int parts) noexcept {
    if (threadIdx.x % 32 < static_cast<uint32_t>(parts)) ptx::barrier_arrive(barriers + 8, threadIdx.x % 32);
    parity ^= 1;
  }
};

/// D of 16 bits, where nothing but scales, alpha and bias is asked for: units of 8 rows from the registers, turned by
/// stmatrix, through shared memory to the copy engine. A warpgroup has 64 columns.
template <class Shape>
class small_units {
 public:
  static constexpr uint32_t unit_bytes = 8 * 128;

  /// Waits until what was sent before has been read. The scales must be in shared memory at `scales`.
  __device__ __forceinline__ small_units(const wgmma_work& whole, const wgmma_place& tile, const small_part& own,
                                         const wgmma_lane& lane, uint32_t room, uint32_t scales) noexcept
      : whole_(whole),
        tile_(tile),
        own_(own),
        lane_(lane),
        room_(room + static_cast<uint32_t>(lane.warpgroup) * (Shape::rows / 8 * unit_bytes)),
        row_scales_(scales + static_cast<uint32_t>(lane.col) * 4) {
    const gemm_work& work = whole.work;
    const int col         = lane.warpgroup * 64 + lane.row;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int here = col + 8 * i;
      const int in_d = tile.col + here < work.cols ? tile.col + here : work.cols - 1;
      col_scales_[i] = ptx::load_float(scales + static_cast<uint32_t>(Shape::rows + here) * 4);
      bias_[i]       = work.bias == nullptr ? 0.0f : work.bias[tile.batch * work.bias_stride + in_d];
    }
    if (lane.index == 0) ptx::tma_wait_read<0>();
    meet();
  }

  /// Unit `u` of this block's, as the instruction leaves it: two rows of this thread's two columns.
  __device__ __forceinline__ void take(int u, const float (&sums)[4]) const noexcept {
    const gemm_work& work = whole_.work;
    float row_scales[2];
    ptx::load_two_words(row_scales_ + static_cast<uint32_t>(u * own_.parts + own_.part) * 32, row_scales);
    uint32_t words[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float x[2];
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const float sum = sums[2 * i + k];
        x[k] = work.scales_change ? add(sum, 0.0f) : scaled_sum(sum, multiply(row_scales[k], col_scales_[i]));
        x[k] = multiply(x[k], work.alpha);
        if (work.bias != nullptr) x[k] = add(x[k], bias_[i]);
      }
      words[i] = two_of_16_bits(x[0], x[1], work.d_kind == element_kind::half_value);
    }
    // Columns 0 to 7 and 8 to 15 of the warp's, which are the instruction's rows.
    const uint32_t row   = lane_.index % 8;
    const uint32_t eight = static_cast<uint32_t>(lane_.warp_row / 8) + lane_.index / 8 % 2;
    ptx::store_turned_matrices(room_ + static_cast<uint32_t>(u) * unit_bytes + row * 128 + (eight ^ row) * 16, words[0],
                               words[1]);
  }

  /// Sends off the first `count` units.
  __device__ __forceinline__ void send(int count) const noexcept {
    ptx::fence_proxy_async();
    meet();
    const int col = tile_.col + lane_.warpgroup * 64;
    if (lane_.index == 0 && col < whole_.work.cols) {
      for (int u = lane_.warp_row / 16; u < count; u += 4)
        ptx::tma_store(&whole_.d, room_ + static_cast<uint32_t>(u) * unit_bytes, col, (u * own_.parts + own_.part) * 8,
                       tile_.batch);
      ptx::tma_commit();
    }
  }

 private:
  const wgmma_work& whole_;
  const wgmma_place& tile_;
  const small_part& own_;
  const wgmma_lane& lane_;
  uint32_t room_;
  uint32_t row_scales_;
  float col_scales_[2];
  float bias_[2];

  /// Waits for the other threads of the warpgroup.
  __device__ __forceinline__ void meet() const noexcept {
    ptx::named_barrier(static_cast<uint32_t>(2 + lane_.warpgroup), 128);
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
