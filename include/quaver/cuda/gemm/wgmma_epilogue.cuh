// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_EPILOGUE_CUH
#define QUAVER_CUDA_GEMM_WGMMA_EPILOGUE_CUH

#include <quaver/cuda/convert.cuh>
#include <quaver/cuda/gemm/product_epilogue.cuh>
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
// chunks have D's type, and leave while the next are made. Else as float sums, which an epilogue (see product_epilogue)
// then takes row by row; its code, which may be long, stands in a loop over the rows, not once for each.

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
  uint32_t index;  ///< in its warp
  __device__ wgmma_lane() noexcept {
    const int warp = __shfl_sync(0xFFFF'FFFF, static_cast<int>(threadIdx.x / 32), 0);
    index          = ptx::lane_index();
    warpgroup      = warp / 4;
    warp_row       = warp % 4 * 16;
    row            = warp_row + static_cast<int>(index / 4);
    col            = static_cast<int>(index % 4 * 2);
  }
  /// The first of the tile's rows that this warpgroup computes.
  template <class Shape>
  [[nodiscard]] __device__ int first_row() const noexcept {
    return Shape::split == wgmma_split::rows ? warpgroup * (64 * Shape::halves) : 0;
  }
  /// Waits for the other threads of the warpgroup.
  __device__ void meet() const noexcept { ptx::named_barrier(static_cast<uint32_t>(1 + warpgroup), 128); }
};

/// A sum where no scale changes along K: what adding sum * scales to a total of +0, rounded once, makes of it.
__device__ __forceinline__ float scaled_sum(float sum, float scales) noexcept {
  return fused_multiply_add(sum, scales, 0.0f);
}

/// One float a column for a tile, spread over the lanes of a warp: lane l keeps columns 64 i + 2 l and the next.
template <int Cols>
struct column_values {
  static constexpr int each = (Cols + 63) / 64;
  float low[size_t{each}];
  float high[size_t{each}];

  __device__ __forceinline__ void ask(const line_values& from, int col, const wgmma_lane& lane) noexcept {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      low[i]  = from[col + 64 * i + static_cast<int>(lane.index * 2)];
      high[i] = from[col + 64 * i + static_cast<int>(lane.index * 2) + 1];
    }
  }
  /// Those of columns 8 j + lane.col and the next.
  __device__ __forceinline__ void give(int j, const wgmma_lane& lane, float& first, float& second) const noexcept {
    const auto from = static_cast<int>(static_cast<uint32_t>(j % 8 * 4) + lane.index % 4);
    first           = __shfl_sync(0xFFFF'FFFF, low[j / 8], from);
    second          = __shfl_sync(0xFFFF'FFFF, high[j / 8], from);
  }
};

/// What the direct way needs besides the sums; asked for before it is used.
template <int Halves, int Cols>
struct tile_factors {
  float rows[static_cast<size_t>(Halves)][2];
  float all_cols;
  column_values<Cols> cols;
  column_values<Cols> bias;

  /// The scales of the rows, and the one of all columns.
  __device__ __forceinline__ void ask_rows(const gemm_work& work, int first_row, const wgmma_place& tile,
                                           const wgmma_lane& lane) noexcept {
    const line_values of_rows = scales_of_lines(work.a.scales, tile.batch, work.rows);
#pragma unroll
    for (int h = 0; h < Halves; ++h) {
      const int row = first_row + h * 64 + lane.row;
      rows[h][0]    = of_rows[row];
      rows[h][1]    = of_rows[row + 8];
    }
    // All the same; with an address of its own no thread waits for it here.
    if (work.b.scales.block_rows == 0) all_cols = scales_of_lines(work.b.scales, tile.batch, work.cols)[lane.col];
  }
  /// The scales of the columns, and the bias.
  template <bool Scaled>
  __device__ __forceinline__ void ask_cols(const gemm_work& work, const wgmma_place& tile,
                                           const wgmma_lane& lane) noexcept {
    if (!Scaled && work.b.scales.block_rows != 0)
      cols.ask(scales_of_lines(work.b.scales, tile.batch, work.cols), tile.col, lane);
    if (work.bias != nullptr) bias.ask({work.bias + tile.batch * work.bias_stride, 1, work.cols - 1}, tile.col, lane);
  }
};

/// A chunk of D that leaves directly.
template <class D, class Shape>
struct d_chunk {
  static constexpr bool whole    = Shape::cols % 64 != 0;  ///< all the tile's columns
  static constexpr bool swizzled = !whole && sizeof(D) != 1;
  static constexpr int cols      = whole ? Shape::cols : sizeof(D) == 4 ? 32 : 64;
  static constexpr int pitch     = cols * static_cast<int>(sizeof(D));  ///< bytes from row to row
  static_assert(pitch <= wgmma_chunk_pitch<Shape> && Shape::cols % cols == 0);
  /// Where byte `byte` of a row is.
  static __device__ uint32_t place(uint32_t row, uint32_t byte) noexcept {
    return row * pitch + (swizzled ? ((byte & ~15u) ^ (row % 8 * 16)) + byte % 16 : byte);
  }
};

/// Two floats as halves or bfloat16s. The conversion makes 7FFF of every NaN: as integers, the type's own is the next larger
/// after infinity.
__device__ __forceinline__ uint32_t two_of_16_bits(float low, float high, bool to_half) noexcept {
  return ptx::smaller_integers(to_half ? ptx::floats_to_halves(low, high) : ptx::floats_to_bfloat16s(low, high),
                               (to_half ? uint32_t{half::nan_code} : uint32_t{bfloat16::nan_code}) * 0x1'0001);
}

/// 16 columns of a warp's 16 rows, finished, to its rows of a chunk at `to`; `piece` is their place among the chunk's.
template <class D, class Shape>
__device__ __forceinline__ void write_piece(const float (&x)[8], uint32_t to, int piece,
                                            const wgmma_lane& lane) noexcept {
  if constexpr (sizeof(D) == 2) {
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = two_of_16_bits(x[2 * i], x[2 * i + 1], same_type<D, half>);
    // Four matrices of 8 x 8: rows 0 to 7 and 8 to 15 of this warp's, of two neighbouring eights of columns.
    const uint32_t row   = lane.index % 16;
    const uint32_t eight = static_cast<uint32_t>(2 * piece) + lane.index / 16;
    ptx::store_matrices(to + d_chunk<D, Shape>::place(row, eight * 16), words[0], words[1], words[2], words[3]);
  } else {
    const uint32_t row = lane.index / 4;
#pragma unroll
    for (int i = 0; i < 8; i += 2) {
      const uint32_t r   = row + static_cast<uint32_t>(i / 2 % 2 * 8);
      const auto col     = static_cast<uint32_t>(16 * piece + i / 4 * 8 + lane.col);
      const float two[2] = {x[i], x[i + 1]};
      const uint32_t at  = to + d_chunk<D, Shape>::place(r, col * static_cast<uint32_t>(sizeof(D)));
      if constexpr (sizeof(D) == 4) {
        ptx::store_two_words(at, canonical_nan(bitwise_cast<uint32_t>(two[0])),
                             canonical_nan(bitwise_cast<uint32_t>(two[1])));
      } else {
        const auto codes = encode_array<D, rounding::nearest_even, overflow::saturate>(two, no_random_words{});
        ptx::store_halfword(at, codes.words[0]);
      }
    }
  }
}

/// What D asks for. Without branches between them, instructions of one piece run while others wait: twice as fast.
enum class wgmma_finish : uint8_t {
  row_scales,  ///< and one for all columns
  col_scales,  ///< one a column, too
  all,         ///< any scales, alpha, bias, D of 8 bits
};

/// Finishes 16 columns of a thread's two rows: its eight sums of piece `at`, the first of which belongs to `row` and `col`.
/// `scales` are those of the two rows.
template <wgmma_finish Finish, bool Scaled, class D, int Halves, int Cols>
__device__ __forceinline__ void finish_piece(const gemm_work& work, const tile_factors<Halves, Cols>& factors,
                                             const wgmma_lane& lane, const float (&scales)[2], int at, int row, int col,
                                             float (&x)[8], uint32_t& largest) noexcept {
  const bool by_col =
      !Scaled && (Finish == wgmma_finish::col_scales || (Finish == wgmma_finish::all && work.b.scales.block_rows != 0));
  if (by_col) {
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
      float low  = 0;
      float high = 0;
      factors.cols.give(2 * at + i / 4, lane, low, high);
      x[i]     = scaled_sum(x[i], multiply(scales[0], low));
      x[i + 1] = scaled_sum(x[i + 1], multiply(scales[0], high));
      x[i + 2] = scaled_sum(x[i + 2], multiply(scales[1], low));
      x[i + 3] = scaled_sum(x[i + 3], multiply(scales[1], high));
    }
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      // Plus zero: no negative zero, as by rows.
      x[i] = Scaled ? add(x[i], 0.0f) : scaled_sum(x[i], scales[i / 2 % 2]);
    }
  }
  if constexpr (Finish == wgmma_finish::all) {
#pragma unroll
    for (int i = 0; i < 8; ++i) x[i] = multiply(x[i], work.alpha);
    if (work.bias != nullptr) {
#pragma unroll
      for (int i = 0; i < 8; i += 4) {
        float low  = 0;
        float high = 0;
        factors.bias.give(2 * at + i / 4, lane, low, high);
        x[i]     = add(x[i], low);
        x[i + 1] = add(x[i + 1], high);
        x[i + 2] = add(x[i + 2], low);
        x[i + 3] = add(x[i + 3], high);
      }
    }
    if constexpr (eight_bit<D>) {
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const bool inside        = row + i / 2 % 2 * 8 < work.rows && col + i / 4 * 8 + i % 2 < work.cols;
        const uint32_t magnitude = canonical_nan(bitwise_cast<uint32_t>(x[i])) & binary<float>::magnitude_mask;
        largest                  = inside && magnitude > largest ? magnitude : largest;
        x[i]                     = multiply(x[i], work.quant);
      }
    }
  }
}

/// The direct way, for what is asked. `sums` are those of 64 x Cols elements for each of the halves of this warpgroup's
/// rows; `chunks` is its place for chunks. 16 columns are finished at a time: registers for more are not left.
template <wgmma_finish Finish, bool Scaled, class D, class Shape, int Halves, int Cols>
__device__ __forceinline__ void write_finished(const wgmma_work& whole, const wgmma_place& tile, int first_row,
                                               uint32_t chunks, const tile_factors<Halves, Cols>& factors,
                                               const float (&sums)[size_t{Halves}][size_t{Cols} / 2]) noexcept {
  using chunk_type       = d_chunk<D, Shape>;
  constexpr int cols     = chunk_type::cols;
  constexpr int pieces   = cols / 16;
  constexpr int together = Shape::chunks;
  const gemm_work& work  = whole.work;
  const wgmma_lane lane;
  const bool by_col =
      Finish == wgmma_finish::col_scales || (Finish == wgmma_finish::all && work.b.scales.block_rows != 0);
  uint32_t largest = 0;
#pragma unroll
  for (int h = 0; h < Halves; ++h) {
    const int row   = first_row + h * 64 + lane.row;
    float scales[2] = {1.0f, 1.0f};
    if constexpr (!Scaled) {
      scales[0] = by_col ? factors.rows[h][0] : multiply(factors.rows[h][0], factors.all_cols);
      scales[1] = by_col ? factors.rows[h][1] : multiply(factors.rows[h][1], factors.all_cols);
    }
#pragma unroll
    for (int c = 0; c < Cols / cols; ++c) {
      // Each warp sends its own 16 rows off, as many chunks together as there is room for: no warp waits for another.
      constexpr int count = Halves * (Cols / cols);
      const int number    = h * (Cols / cols) + c;
      uint32_t room       = chunks + static_cast<uint32_t>(lane.warp_row) * chunk_type::pitch;

      const auto place = [&](int i) { return room + static_cast<uint32_t>(i % together * (64 * chunk_type::pitch)); };
      if (number % together == 0) {
        if (lane.index == 0) ptx::tma_wait_read<0>();
        __syncwarp();
      }
#pragma unroll
      for (int p = 0; p < pieces; ++p) {
        const int at = c * pieces + p;
        float x[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = sums[h][at * 8 + i];
        finish_piece<Finish, Scaled, D>(work, factors, lane, scales, at, row, tile.col + at * 16 + lane.col, x,
                                        largest);
        write_piece<D, Shape>(x, place(number), p, lane);
      }
      if (number % together == together - 1 || number == count - 1) {
        ptx::fence_proxy_async();
        __syncwarp();
        if (lane.index == 0) {
#pragma unroll
          for (int i = number / together * together; i <= number; ++i) {
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
      if (lane.index == 0) atomicMax(work.amax, largest);
    }
  }
}

/// The direct way: see write_finished.
template <bool Scaled, class D, class Shape, int Halves, int Cols>
__device__ __forceinline__ void write_directly(const wgmma_work& whole, const wgmma_place& tile, int first_row,
                                               uint32_t chunks, const tile_factors<Halves, Cols>& factors,
                                               const float (&sums)[size_t{Halves}][size_t{Cols} / 2]) noexcept {
  const gemm_work& work = whole.work;
  const auto write      = [&]<wgmma_finish Finish>() {
    write_finished<Finish, Scaled, D, Shape>(whole, tile, first_row, chunks, factors, sums);
  };
  if (eight_bit<D> || work.alpha != 1.0f || work.bias != nullptr) {
    write.template operator()<wgmma_finish::all>();
  } else if constexpr (!eight_bit<D>) {
    if (!Scaled && work.b.scales.block_rows != 0) {
      if constexpr (!Scaled) write.template operator()<wgmma_finish::col_scales>();
    } else {
      write.template operator()<wgmma_finish::row_scales>();
    }
  }
}

/// The other way: all of the warpgroup's 64 rows as floats in shared memory, then to an epilogue, a row a warp. `chunks`
/// has room for them.
template <class Shape, class Epilogue>
__device__ __forceinline__ void write_by_rows(const wgmma_work& whole, const wgmma_place& tile, int first_row,
                                              uint32_t chunks, const float (&sums)[1][size_t{Shape::cols} / 2],
                                              Epilogue epilogue) noexcept {
  static_assert(Shape::halves == 1 && Shape::chunks * wgmma_chunk_bytes<Shape> >= 64 * Shape::cols * 4);
  static_assert(Shape::cols == 32 * finished_at_once);
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
  const int col             = tile.col + static_cast<int>(lane.index) * finished_at_once;
  const int count           = finished_of(work.cols - col);
  float col_scales[finished_at_once];
  if (!work.scales_change) {
#pragma unroll
    for (int k = 0; k < finished_at_once; ++k) col_scales[k] = of_cols[col + k];
  }
#pragma unroll 1
  for (uint32_t r = threadIdx.x % 128 / 32; r < 64; r += 4) {
    const int row = first_row + static_cast<int>(r);
    if (row >= work.rows) break;
    float x[finished_at_once];
    ptx::load_four_words(place(r, lane.index * 16), x);
    if (!work.scales_change) {
      const float row_scale = of_rows[row];
#pragma unroll
      for (int k = 0; k < finished_at_once; ++k) x[k] = scaled_sum(x[k], multiply(row_scale, col_scales[k]));
    }
    product_quad at{tile.batch, row, col, count};
    epilogue(at, x);
  }
  end_tile_of(epilogue);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
