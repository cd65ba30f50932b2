// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_EPILOGUE_CUH
#define QUAVER_CUDA_GEMM_WGMMA_EPILOGUE_CUH

#include <quaver/cuda/convert.cuh>
#include <quaver/cuda/gemm/epilogue.cuh>
#include <quaver/cuda/gemm/wgmma_shape.cuh>
#include <quaver/cuda/ptx/cluster.cuh>
#include <quaver/cuda/ptx/shared.cuh>
#include <quaver/cuda/ptx/stmatrix.cuh>
#include <quaver/cuda/ptx/tma.cuh>
#include <quaver/cuda/ptx/wgmma.cuh>

// From the registers of a warpgroup to D: 64 rows at a time, in chunks of 128 bytes a row that pass through shared memory,
// swizzled as the copy engine reads them (the 16 bytes at place p of row r lie at place p ^ r % 8).
//
// Two ways. Directly, where nothing but scales, alpha, bias and rounding is asked for and the copy engine can write D:
// chunks have D's type, and leave while the next are made. Else as float sums, which finish_elements then takes row by
// row; its long code stands in a loop over the chunks, not once for each.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// One float for each row or column of D, or one for all.
struct line_values {
  const float* first = nullptr;
  int64_t step       = 0;
  int last           = 0;  ///< lines beyond count as this one

  [[nodiscard]] __device__ __forceinline__ const float* at(int line) const noexcept {
    return first + (line < last ? line : last) * step;
  }
  /// Asked for here and now: a load that the compiler moves to its use would be waited for there.
  __device__ __forceinline__ float operator[](int line) const noexcept { return ptx::load_now(at(line)); }
};

/// The scales of A, or of B, where they do not change along K and are one for all lines or one a line.
__device__ __forceinline__ line_values scales_of_lines(const gemm_scales& scales, int batch, int lines) noexcept {
  return {static_cast<const float*>(scales.data) + batch * scales.batch_stride,
          scales.block_rows == 0 ? 0 : scales.places.of_row(1), lines - 1};
}

/// A thread's place in its warpgroup: it holds row and row + 8 of each 64, and columns 8 j + col and the next.
struct wgmma_lane {
  int warpgroup;  ///< these two by a shuffle, so that the compiler knows them to be one for all of a warp
  int warp_row;
  int row;
  int col;
  __device__ wgmma_lane() noexcept {
    const int warp = __shfl_sync(0xFFFF'FFFF, static_cast<int>(threadIdx.x / 32), 0);
    warpgroup      = warp / 4;
    warp_row       = warp % 4 * 16;
    row            = warp_row + static_cast<int>(threadIdx.x % 32 / 4);
    col            = static_cast<int>(threadIdx.x % 4 * 2);
  }
  /// The first of the tile's rows that this warpgroup computes.
  template <class Shape>
  [[nodiscard]] __device__ int first_row() const noexcept {
    return Shape::split == wgmma_split::rows ? warpgroup * (64 * Shape::halves) : 0;
  }
  /// Waits for the other threads of the warpgroup.
  __device__ void meet() const noexcept { ptx::named_barrier(static_cast<uint32_t>(1 + warpgroup), 128); }
};

/// A sum where no scale changes along K: 0 + sum * scales, as in cuda::gemm.
__device__ __forceinline__ float scaled_sum(float sum, float scales) noexcept {
  return add(multiply(sum, scales), 0.0f);
}

/// One float a column for a tile, spread over the lanes of a warp: lane l keeps columns 64 i + 2 l and the next.
template <int Cols>
struct column_values {
  float low[static_cast<size_t>(Cols / 64)];
  float high[static_cast<size_t>(Cols / 64)];

  __device__ __forceinline__ void ask(const line_values& from, int col) noexcept {
#pragma unroll
    for (int i = 0; i < Cols / 64; ++i) {
      low[i]  = from[col + 64 * i + static_cast<int>(threadIdx.x % 32 * 2)];
      high[i] = from[col + 64 * i + static_cast<int>(threadIdx.x % 32 * 2) + 1];
    }
  }
  /// Those of columns 8 j + lane.col and the next.
  __device__ __forceinline__ void give(int j, float& first, float& second) const noexcept {
    const auto from = static_cast<int>(static_cast<uint32_t>(j % 8 * 4) + threadIdx.x % 4);
    first           = __shfl_sync(0xFFFF'FFFF, low[j / 8], from);
    second          = __shfl_sync(0xFFFF'FFFF, high[j / 8], from);
  }
};

/// What the direct way needs besides the sums; asked for before they are made.
template <int Halves, int Cols>
struct tile_factors {
  float rows[static_cast<size_t>(Halves)][2];
  float all_cols;
  column_values<Cols> cols;
  column_values<Cols> bias;

  __device__ __forceinline__ void ask(const gemm_work& work, int first_row, const wgmma_place& tile,
                                      const wgmma_lane& lane) noexcept {
    if (!work.scales_change) {
      const line_values of_rows = scales_of_lines(work.a.scales, tile.batch, work.rows);
      const line_values of_cols = scales_of_lines(work.b.scales, tile.batch, work.cols);
#pragma unroll
      for (int h = 0; h < Halves; ++h) {
        const int row = first_row + h * 64 + lane.row;
        rows[h][0]    = of_rows[row];
        rows[h][1]    = of_rows[row + 8];
      }
      if (work.b.scales.block_rows != 0) cols.ask(of_cols, tile.col);
      else all_cols = of_cols[lane.col];  // all the same; with an address of its own no thread waits for it here
    }
    if (work.bias != nullptr) bias.ask({work.bias + tile.batch * work.bias_stride, 1, work.cols - 1}, tile.col);
  }
};

/// Columns of D in a chunk that leaves directly.
template <class D>
inline constexpr int chunk_cols = sizeof(D) == 4 ? 32 : 64;

/// A warp's 16 rows of a chunk, finished, to shared memory at `to`.
template <class D, size_t Sums>
__device__ __forceinline__ void write_chunk(const float (&x)[Sums], uint32_t to, const wgmma_lane& lane) noexcept {
  const uint32_t row = threadIdx.x % 32 / 4;
  if constexpr (sizeof(D) == 4) {
    const auto place = [&](uint32_t r, int j) {
      const uint32_t byte = static_cast<uint32_t>(8 * j + lane.col) * 4;
      return to + r * 128 + ((byte & ~15u) ^ (r % 8 * 16)) + byte % 16;
    };
#pragma unroll
    for (int j = 0; j < Sums / 4; ++j) {
      ptx::store_two_words(place(row, j), canonical_nan(bitwise_cast<uint32_t>(x[4 * j])),
                           canonical_nan(bitwise_cast<uint32_t>(x[4 * j + 1])));
      ptx::store_two_words(place(row + 8, j), canonical_nan(bitwise_cast<uint32_t>(x[4 * j + 2])),
                           canonical_nan(bitwise_cast<uint32_t>(x[4 * j + 3])));
    }
  } else if constexpr (sizeof(D) == 2) {
    constexpr bool to_half = same_type<D, half>;
    uint32_t words[Sums / 2];
    uint32_t nan = 0;
#pragma unroll
    for (int i = 0; i < Sums / 2; ++i) {
      words[i] =
          to_half ? ptx::floats_to_halves(x[2 * i], x[2 * i + 1]) : ptx::floats_to_bfloat16s(x[2 * i], x[2 * i + 1]);
      nan = to_half ? ptx::larger_halves_or_nan(nan, words[i]) : ptx::larger_bfloat16s_or_nan(nan, words[i]);
    }
    // The conversion makes 7FFF of every NaN, and nothing else becomes that.
    if ((nan & 0x7FFF) == 0x7FFF || (nan >> 16 & 0x7FFF) == 0x7FFF) {
#pragma unroll
      for (uint32_t& word : words) {
        if ((word & 0xFFFF) == 0x7FFF) word = (word & 0xFFFF'0000) | D::nan_code;
        if (word >> 16 == 0x7FFF) word = (word & 0xFFFF) | uint32_t{D::nan_code} << 16;
      }
    }
    // Four matrices of 8 x 8: rows 0 to 7 and 8 to 15 of this warp's, of two neighbouring eights of columns.
    const uint32_t matrix_row = threadIdx.x % 16;
    const uint32_t next       = threadIdx.x % 32 / 16;
#pragma unroll
    for (int j = 0; j < Sums / 4; j += 2) {
      const uint32_t at = to + matrix_row * 128 + (((static_cast<uint32_t>(j) + next) ^ matrix_row % 8) * 16);
      ptx::store_matrices(at, words[2 * j], words[2 * j + 1], words[2 * j + 2], words[2 * j + 3]);
    }
  } else {
#pragma unroll
    for (int j = 0; j < Sums / 4; ++j) {
      const uint32_t at = to + row * 64 + static_cast<uint32_t>(8 * j + lane.col);
      const auto code   = [&](int i) {
        return encode_array<D, rounding::nearest_even, overflow::saturate>({x[4 * j + i], x[4 * j + i + 1]},
                                                                             no_random_words{})
            .words[0];
      };
      ptx::store_halfword(at, code(0));
      ptx::store_halfword(at + 8 * 64, code(2));
    }
  }
}

/// The direct way. `sums` are those of 64 x Cols elements for each of the halves of this warpgroup's rows; `chunks` is its
/// place for chunks.
template <class D, int Chunks, int Halves, int Cols>
__device__ __forceinline__ void write_directly(const wgmma_work& whole, const wgmma_place& tile, int first_row,
                                               uint32_t chunks, const tile_factors<Halves, Cols>& factors,
                                               const float (&sums)[size_t{Halves}][size_t{Cols} / 2]) noexcept {
  constexpr int cols  = chunk_cols<D>;
  constexpr int count = cols / 2;  // of a chunk, a thread's
  static_assert(Cols % cols == 0);
  const gemm_work& work = whole.work;
  const wgmma_lane lane;
  const bool by_col = work.b.scales.block_rows != 0;
  uint32_t largest  = 0;
#pragma unroll
  for (int h = 0; h < Halves; ++h) {
    const int first       = first_row + h * 64;
    const int row         = first + lane.row;
    const float scales[2] = {by_col ? factors.rows[h][0] : multiply(factors.rows[h][0], factors.all_cols),
                             by_col ? factors.rows[h][1] : multiply(factors.rows[h][1], factors.all_cols)};
#pragma unroll
    for (int c = 0; c < Cols / cols; ++c) {
      const int col = tile.col + c * cols + lane.col;
      float x[static_cast<size_t>(count)];
#pragma unroll
      for (int i = 0; i < count; ++i) x[i] = sums[h][c * count + i];
      if (by_col && !work.scales_change) {
#pragma unroll
        for (int j = 0; j < count / 4; ++j) {
          float low  = 0;
          float high = 0;
          factors.cols.give(c * (cols / 8) + j, low, high);
          x[4 * j]     = scaled_sum(x[4 * j], multiply(scales[0], low));
          x[4 * j + 1] = scaled_sum(x[4 * j + 1], multiply(scales[0], high));
          x[4 * j + 2] = scaled_sum(x[4 * j + 2], multiply(scales[1], low));
          x[4 * j + 3] = scaled_sum(x[4 * j + 3], multiply(scales[1], high));
        }
      } else if (!work.scales_change) {
#pragma unroll
        for (int i = 0; i < count; ++i) x[i] = scaled_sum(x[i], scales[i / 2 % 2]);
      } else {
#pragma unroll
        for (int i = 0; i < count; ++i) x[i] = add(x[i], 0.0f);  // no negative zero, as by rows
      }
      if (work.alpha != 1.0f) {
#pragma unroll
        for (float& value : x) value = multiply(value, work.alpha);
      }
      if (work.bias != nullptr) {
#pragma unroll
        for (int j = 0; j < count / 4; ++j) {
          float low  = 0;
          float high = 0;
          factors.bias.give(c * (cols / 8) + j, low, high);
          x[4 * j]     = add(x[4 * j], low);
          x[4 * j + 1] = add(x[4 * j + 1], high);
          x[4 * j + 2] = add(x[4 * j + 2], low);
          x[4 * j + 3] = add(x[4 * j + 3], high);
        }
      }
      if constexpr (eight_bit<D>) {
#pragma unroll
        for (int i = 0; i < count; ++i) {
          const bool inside        = row + i / 2 % 2 * 8 < work.rows && col + i / 4 * 8 + i % 2 < work.cols;
          const uint32_t magnitude = canonical_nan(bitwise_cast<uint32_t>(x[i])) & binary<float>::magnitude_mask;
          largest                  = inside && magnitude > largest ? magnitude : largest;
          x[i]                     = multiply(x[i], work.quant);
        }
      }
      // Each warp sends its own 16 rows off, as many chunks together as there is room for: no warp waits for another.
      constexpr int all    = Halves * (Cols / cols);
      const int number     = h * (Cols / cols) + c;
      const uint32_t room  = chunks + static_cast<uint32_t>(lane.warp_row) * 128;
      const auto place     = [&](int i) { return room + static_cast<uint32_t>(i % Chunks * wgmma_chunk_bytes); };
      const uint32_t chunk = place(number);
      if (number % Chunks == 0) {
        if (threadIdx.x % 32 == 0) ptx::tma_wait_read<0>();
        __syncwarp();
      }
      write_chunk<D>(x, chunk, lane);
      if (number % Chunks == Chunks - 1 || number == all - 1) {
        ptx::fence_proxy_async();
        __syncwarp();
        if (threadIdx.x % 32 == 0) {
#pragma unroll
          for (int i = number / Chunks * Chunks; i <= number; ++i) {
            ptx::tma_store(&whole.d, place(i), tile.col + i % (Cols / cols) * cols,
                           first_row + i / (Cols / cols) * 64 + lane.warp_row, tile.batch);
          }
          ptx::tma_commit();
        }
      }
    }
  }
  if constexpr (eight_bit<D>) {
    if (work.amax != nullptr) {
      largest = __reduce_max_sync(0xFFFF'FFFF, largest);
      if (threadIdx.x % 32 == 0) atomicMax(work.amax, largest);
    }
  }
}

/// The other way: all of the warpgroup's 64 rows as floats in shared memory, then row by row. `chunks` has room for them.
template <class Shape>
__device__ __forceinline__ void write_by_rows(const wgmma_work& whole, const wgmma_place& tile, int first_row,
                                              uint32_t chunks,
                                              const float (&sums)[1][size_t{Shape::cols} / 2]) noexcept {
  static_assert(Shape::halves == 1 && Shape::chunks * wgmma_chunk_bytes >= 64 * Shape::cols * 4);
  constexpr uint32_t pitch = Shape::cols * 4;
  const gemm_work& work    = whole.work;
  const wgmma_lane lane;
  const auto place = [&](uint32_t row, uint32_t byte) {
    return chunks + row * pitch + ((byte & ~15u) ^ (row % 8 * 16)) + byte % 16;
  };
  lane.meet();  // the last tile's have been read
  // The sums plus zero: no zero among them is negative, and what is stored must not be the instruction's own registers.
#pragma unroll
  for (int i = 0; i < Shape::cols / 2; i += 2) {
    const auto row = static_cast<uint32_t>(lane.row + i / 2 % 2 * 8);
    ptx::store_two_words(place(row, static_cast<uint32_t>(i / 4 * 8 + lane.col) * 4),
                         bitwise_cast<uint32_t>(add(sums[0][i], 0.0f)),
                         bitwise_cast<uint32_t>(add(sums[0][i + 1], 0.0f)));
  }
  lane.meet();
  const line_values of_rows = scales_of_lines(work.a.scales, tile.batch, work.rows);
  const line_values of_cols = scales_of_lines(work.b.scales, tile.batch, work.cols);
  uint32_t largest          = 0;
  constexpr uint32_t quads  = Shape::cols / finished_at_once;
#pragma unroll 1
  for (uint32_t i = threadIdx.x % 128; i < 64 * quads; i += 128) {
    const int row   = first_row + static_cast<int>(i / quads);
    const int col   = tile.col + static_cast<int>(i % quads) * finished_at_once;
    const int left  = work.cols - col;
    const int count = row >= work.rows || left < 0 ? 0 : left < finished_at_once ? left : finished_at_once;
    if (count == 0) continue;
    float x[finished_at_once];
    ptx::load_four_words(place(i / quads, i % quads * 16), x);
    if (!work.scales_change) {
      const float row_scale = of_rows[row];
#pragma unroll
      for (int k = 0; k < finished_at_once; ++k) x[k] = scaled_sum(x[k], multiply(row_scale, of_cols[col + k]));
    }
    largest = finish_elements(work, work.codes[2].values, tile.batch, row, col, count, x, largest);
  }
  if (work.amax != nullptr) {
    largest = __reduce_max_sync(0xFFFF'FFFF, largest);
    if (threadIdx.x % 32 == 0) atomicMax(work.amax, largest);
  }
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
