// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_TILE_CUH
#define QUAVER_CUDA_GEMM_TILE_CUH

#include <quaver/cuda/gemm/epilogue.cuh>
#include <quaver/cuda/gemm/operand.cuh>
#include <quaver/cuda/ptx/ldmatrix.cuh>

// The plain GEMM kernel: right everywhere first. A thread block of 8 warps makes tiles of 128 x 128 of D, one after the
// other. Along K it goes in steps of four slots of 32 bytes. Each thread reads chunks of the next step into registers,
// multiplies the step that lies in shared memory, then writes the chunks to the other half of shared memory, decoded if
// the instruction wants bfloat16s: decoding once there costs less than in the registers of every warp that needs it.
// Whatever an operand looks like (strides, alignment, format, blocks of 3 terms), what lies in shared memory is the
// same: whole slots, zeros where terms are missing. So there is one multiplication to get right.
//
// Sums: the matrix unit's registers take one stretch (see depth_walk) from +0; the result, times scale of A * scale of B
// where scales change along K, is added to a float. Else that product comes once, when all of K is summed. Two sets of
// 64 registers a thread for that, so one thread block a multiprocessor.
//
// Then the sums go through shared memory, so that four neighbours of a row meet in one thread and the rest of the work
// (epilogue.cuh) is a short loop and not 64 copies of every activation and type.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int tile_rows    = 128;  ///< of A and of D
inline constexpr int tile_cols    = 128;  ///< rows of B, columns of D
inline constexpr int tile_threads = 256;

/// Shared memory: two stages of A and B, which later hold the sums, two of scales, the tables of codes.
struct tile_memory {
  static constexpr int row_bytes     = 32 * step_slots;
  static constexpr int operand_bytes = tile_rows * row_bytes;
  static constexpr int stage_bytes   = 2 * operand_bytes;

  unsigned char stages[2][stage_bytes];
  float scales[2][step_slots][tile_rows + tile_cols];
  uint16_t codes[3][256];
};
static_assert(tile_rows == tile_cols && tile_memory::row_bytes == 128);
static_assert(sizeof(float) * tile_rows * tile_cols == 2 * tile_memory::stage_bytes);

/// Where 16 bytes of a row of a stage stand: pieces are exchanged within the row's 128 bytes so that eight rows' same
/// piece, which is what ldmatrix reads, lie in different banks.
__device__ __forceinline__ uint32_t piece_offset(int row, int piece) noexcept {
  return static_cast<uint32_t>(row * tile_memory::row_bytes + ((piece ^ (row & 7)) << 4));
}

/// Where column `col` of a row of sums stands; four columns from a multiple of 4 on stay together.
__device__ __forceinline__ int sum_offset(int row, int col) noexcept { return row * tile_cols + (col ^ (row & 7) * 8); }

/// Tile `index` of a batch: column by column in bands of eight rows of tiles, so that tiles under way share operands in
/// the second-level cache.
struct tile_place {
  int row;
  int col;
  int64_t batch;
};
__device__ __forceinline__ tile_place place_of_tile(const gemm_work& work, int64_t index) noexcept {
  constexpr int band   = 8;
  const int64_t each   = int64_t{work.row_tiles} * work.col_tiles;
  const int64_t batch  = index / each;
  const int64_t rest   = index - batch * each;
  const int64_t number = rest / (int64_t{band} * work.col_tiles);
  const auto first     = static_cast<int>(number * band);
  const int height     = work.row_tiles - first < band ? work.row_tiles - first : band;
  const int64_t within = rest - number * band * work.col_tiles;
  return {(first + static_cast<int>(within % height)) * tile_rows, static_cast<int>(within / height) * tile_cols,
          batch};
}

/// The chunks of one operand that a thread carries from global to shared memory.
template <class Multiplier, chunk_kind Kind>
class tile_part {
 public:
  static constexpr int per_row  = step_slots * Multiplier::slot_terms / chunk_terms;  ///< chunks of a row of a step
  static constexpr int row_step = tile_threads / per_row;                             ///< between chunks of a thread
  static constexpr int count    = tile_rows / row_step;

  /// `rows` rows from `row` on are there.
  __device__ __forceinline__ void place(const gemm_operand& operand, int64_t batch, int row, int rows) noexcept {
    const int mine  = static_cast<int>(threadIdx.x) / per_row;
    const int64_t e = batch * operand.batch_stride + (row + mine) * operand.row_stride;
    row_            = static_cast<const unsigned char*>(operand.data) + e * chunk_words<Kind>::element_bytes;
    left_           = rows - row - mine;
  }
  __device__ __forceinline__ void read(const gemm_operand& operand, const slot_step& step) noexcept {
    // A slot of 32 terms is two chunks.
    const int within = static_cast<int>(threadIdx.x) % (Multiplier::slot_terms / chunk_terms) * chunk_terms;
    const int rest   = step.length - within;
    const int length = rest > chunk_terms ? chunk_terms : rest;
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int64_t down = i * row_step * operand.row_stride * chunk_words<Kind>::element_bytes;
      chunks_[i]         = read_chunk<Kind>(row_ + down, operand.col_stride, step.begin + within,
                                    i * row_step < left_ ? length : 0, operand.vectors);
    }
  }
  __device__ __forceinline__ void write(unsigned char* stage, element_kind kind, const uint16_t* table) const noexcept {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = static_cast<int>(threadIdx.x) / per_row + i * row_step;
      Multiplier::write_chunk(stage, row, static_cast<int>(threadIdx.x) % per_row, chunks_[i], kind, table);
    }
  }

 private:
  const unsigned char* row_ = nullptr;
  int left_                 = 0;
  chunk_words<Kind> chunks_[size_t{count}];
};

/// The sums of a warp: 64 x 32 of the tile, warps 2 x 4.
template <class Multiplier>
class warp_sums {
 public:
  __device__ __forceinline__ warp_sums() noexcept
      : lane_(static_cast<int>(threadIdx.x) % 32),
        row_(static_cast<int>(threadIdx.x) / 128 * 64),
        col_(static_cast<int>(threadIdx.x) / 32 % 4 * 32) {}

  __device__ __forceinline__ void clear() noexcept {
    each([](float& total, float& sum, int, int) { total = sum = 0.0f; });
  }

  /// Adds the products of a slot of a stage.
  __device__ __forceinline__ void multiply_slot(uint32_t stage, int slot) noexcept {
    // Lanes 0-15 point to 16 rows' first half of the slot, 16-31 to the second; for B the halves alternate by eights.
    const uint32_t across = static_cast<uint32_t>(slot) << 5;
    const uint32_t a_at   = stage + (piece_offset(row_ + lane_ % 16, lane_ / 16) ^ across);
    const uint32_t b_at =
        stage + tile_memory::operand_bytes + (piece_offset(col_ + lane_ % 8 + lane_ / 16 * 8, lane_ / 8 % 2) ^ across);
    constexpr uint32_t rows_16 = 16 * tile_memory::row_bytes;
    uint32_t a[4][4];
    uint32_t b[2][4];
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) ptx::load_matrices(b_at + i * rows_16, b[i]);
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) ptx::load_matrices(a_at + i * rows_16, a[i]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) Multiplier::multiply(sums_[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }

  /// Ends a stretch whose scales are not applied yet.
  __device__ __forceinline__ void end_stretch() noexcept {
    each([](float& total, float& sum, int, int) {
      total = add(total, sum);
      sum   = 0.0f;
    });
  }
  /// Ends a stretch with the scales of the tile's rows, then columns.
  __device__ __forceinline__ void end_stretch(const float* scales) noexcept {
    each([&](float& total, float& sum, int row, int col) {
      total = add(total, cuda::multiply(sum, cuda::multiply(scales[row], scales[tile_rows + col])));
      sum   = 0.0f;
    });
  }

  /// Writes the totals as sum_offset has them.
  __device__ __forceinline__ void write(float* to) noexcept {
    each([&](float& total, float&, int row, int col) { to[sum_offset(row, col)] = total; });
  }

 private:
  /// Calls visit(total, sum, row, col) for each element of this thread, row and col within the tile.
  template <class Visit>
  __device__ __forceinline__ void each(const Visit& visit) noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          visit(totals_[i][j][e], sums_[i][j][e], row_ + i * 16 + lane_ / 4 + e / 2 * 8,
                col_ + j * 8 + lane_ % 4 * 2 + e % 2);
        }
      }
    }
  }

  int lane_;
  int row_;
  int col_;
  float totals_[4][4][4];
  float sums_[4][4][4];
};

/// Multiplies the slots of a stage that are used, and ends the stretches that end with them.
template <class Multiplier>
__device__ __forceinline__ void multiply_step(warp_sums<Multiplier>& sums, uint32_t stage, int used, uint32_t ends,
                                              const float (&scales)[step_slots][tile_rows + tile_cols],
                                              bool scales_change) noexcept {
  const auto end = [&](int slot) {
    if ((ends >> slot & 1) == 0) return;
    if (scales_change) sums.end_stretch(scales[slot]);
    else sums.end_stretch();
  };
  constexpr int last = step_slots - 1;
  if (used == step_slots && (ends & ((1u << last) - 1)) == 0) {  // nothing ends within: no branches
#pragma unroll Multiplier::slots_unrolled
    for (int slot = 0; slot < step_slots; ++slot) sums.multiply_slot(stage, slot);
    end(last);
    return;
  }
#pragma unroll 1
  for (int slot = 0; slot < used; ++slot) {
    sums.multiply_slot(stage, slot);
    end(slot);
  }
}

/// D = epilogue of A * B^T. A `Multiplier` has slot_terms (the terms of 32 bytes), slots_unrolled (for the
/// compiler), write_chunk and multiply.
template <class Multiplier, chunk_kind AKind>
__global__ void __launch_bounds__(tile_threads, 1) gemm_kernel(const __grid_constant__ gemm_work work) {
  extern __shared__ __align__(128) unsigned char shared[];
  auto& memory       = *reinterpret_cast<tile_memory*>(shared);
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const auto thread  = static_cast<int>(threadIdx.x);
  if (work.a.kind == element_kind::other_code) memory.codes[0][thread] = work.codes[0].values[thread];
  if (work.b.kind == element_kind::other_code) memory.codes[1][thread] = work.codes[1].values[thread];
  if (work.c.data != nullptr) memory.codes[2][thread] = work.codes[2].values[thread];
  __syncthreads();

  // Threads 0-127 read the scales of the tile's rows, the others those of its columns.
  const bool reads_b      = thread >= tile_rows;
  const auto& scales_read = reads_b ? work.b.scales : work.a.scales;
  uint32_t amax           = 0;
  for (int64_t index = blockIdx.x; index < work.tiles; index += gridDim.x) {
    const tile_place tile  = place_of_tile(work, index);
    const int scaled_row   = reads_b ? tile.col + thread - tile_rows : tile.row + thread;
    const bool has_scale   = scaled_row < (reads_b ? work.cols : work.rows);
    const int64_t scale_at = has_scale ? scales_of_row(scales_read, scaled_row, tile.batch) : 0;

    tile_part<Multiplier, AKind> a;
    tile_part<Multiplier, chunk_kind::codes> b;
    a.place(work.a, tile.batch, tile.row, work.rows);
    b.place(work.b, tile.batch, tile.col, work.cols);
    warp_sums<Multiplier> sums;
    sums.clear();

    depth_walk walk(work);
    slot_step step{};
    float scales[step_slots];
    const auto read = [&] {
      const int mine = thread % decltype(b)::per_row / (Multiplier::slot_terms / chunk_terms);
      step           = walk.next<Multiplier::slot_terms>(mine, reads_b);
      a.read(work.a, step);
      b.read(work.b, step);
      if (!work.scales_change) return;
#pragma unroll
      for (int s = 0; s < step_slots; ++s) {
        if (has_scale && (step.ends >> s & 1) != 0) scales[s] = read_scale(scales_read, scale_at, step.block[s]);
      }
    };
    const auto write = [&](int stage) {
      a.write(memory.stages[stage], work.a.kind, memory.codes[0]);
      b.write(memory.stages[stage] + tile_memory::operand_bytes, work.b.kind, memory.codes[1]);
      if (!work.scales_change) return;
#pragma unroll
      for (int s = 0; s < step_slots; ++s) {
        if ((step.ends >> s & 1) != 0) memory.scales[stage][s][thread] = has_scale ? scales[s] : 1.0f;
      }
    };
    if (walk.goes_on()) {
      read();
      write(0);
      __syncthreads();
      for (int stage = 0;; stage ^= 1) {
        const int used      = step.used;
        const uint32_t ends = step.ends;
        const bool more     = walk.goes_on();
        if (more) read();
        multiply_step(sums, address + static_cast<uint32_t>(stage * tile_memory::stage_bytes), used, ends,
                      memory.scales[stage], work.scales_change);
        if (more) write(stage ^ 1);
        __syncthreads();
        if (!more) break;
      }
    }

    auto* const totals = reinterpret_cast<float*>(memory.stages);
    sums.write(totals);
    const bool scale_now = !work.scales_change && (work.a.scales.data != nullptr || work.b.scales.data != nullptr);
    if (scale_now) memory.scales[0][0][thread] = has_scale ? read_scale(scales_read, scale_at, 0) : 1.0f;
    __syncthreads();
#pragma unroll 1
    for (int i = thread * finished_at_once; i < tile_rows * tile_cols; i += tile_threads * finished_at_once) {
      const int row   = i / tile_cols;
      const int col   = i % tile_cols;
      const int there = work.cols - tile.col - col;
      if (tile.row + row >= work.rows || there <= 0) continue;
      const auto four                = *reinterpret_cast<const float4*>(totals + sum_offset(row, col));
      float values[finished_at_once] = {four.x, four.y, four.z, four.w};
      if (scale_now) {
        const float* by = memory.scales[0][0];
#pragma unroll
        for (int j = 0; j < finished_at_once; ++j)
          values[j] = add(0.0f, cuda::multiply(values[j], cuda::multiply(by[row], by[tile_rows + col + j])));
      }
      amax = finish_elements(work, memory.codes[2], tile.batch, tile.row + row, tile.col + col,
                             there < finished_at_once ? there : finished_at_once, values, amax);
    }
    __syncthreads();
  }
  if (work.amax != nullptr) {
    amax = __reduce_max_sync(0xFFFF'FFFFu, amax);
    if (thread % 32 == 0) atomicMax(work.amax, amax);
  }
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
