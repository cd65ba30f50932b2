// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_TILE_CUH
#define QUAVER_CUDA_GEMM_TILE_CUH

#include <quaver/cuda/gemm/epilogue.cuh>
#include <quaver/cuda/gemm/operand.cuh>
#include <quaver/cuda/ptx/ldmatrix.cuh>

// The plain GEMM kernel: right everywhere first. A thread block of 8 warps makes tiles of 128 x 128 of D, one after the
// other. Along K it goes in steps of four slots of 32 bytes. While it multiplies the step that lies in one half of
// shared memory, the next is on its way to the other: codes that the multiplier takes as they are by asynchronous copies,
// what becomes bfloat16s by way of registers. Whatever an operand looks like (strides, alignment, format, blocks of 3
// terms), what lies in shared memory is the same: whole slots, zeros where terms are missing. So there is one
// multiplication to get right.
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

/// What a thread does to bring one operand from global to shared memory: some chunks of 16 terms. Rows beyond the last
/// are the last one again: what they give lies outside D.
template <class Multiplier, chunk_kind Kind>
class tile_part {
 public:
  static constexpr int chunks_in_slot = Multiplier::slot_terms / chunk_terms;
  static constexpr int per_row        = step_slots * chunks_in_slot;  ///< chunks of a row of a step
  static constexpr int row_step       = tile_threads / per_row;       ///< between chunks of a thread
  static constexpr int count          = tile_rows / row_step;

  /// The slot that this thread reads from.
  __device__ static __forceinline__ int slot() noexcept {
    return static_cast<int>(threadIdx.x) % per_row / chunks_in_slot;
  }

  /// `rows` rows are there in all, `row` is the tile's first.
  __device__ __forceinline__ void place(const gemm_operand& operand, int64_t batch, int row, int rows) noexcept {
    const int wanted = row + first_row();
    const int mine   = wanted < rows ? wanted : rows - 1;
    const int64_t at = batch * operand.batch_stride + mine * operand.row_stride;
    row_             = static_cast<const unsigned char*>(operand.data) + at * chunk_words<Kind>::element_bytes;
    further_         = rows - 1 - mine;
  }

  /// Begins to bring a step to `stage`, which nobody reads any more. `address` is that of `stage`.
  __device__ __forceinline__ void begin(const gemm_operand& operand, const slot_step& step, unsigned char* stage,
                                        uint32_t address) noexcept {
    const int within = static_cast<int>(threadIdx.x) % chunks_in_slot * chunk_terms;
    const int k      = step.begin + within;
    const int rest   = step.length - within;
    const int length = rest > chunk_terms ? chunk_terms : rest;
    if (operand.vectors && step.whole) {
#pragma unroll
      for (int i = 0; i < count; ++i) {
        if constexpr (Multiplier::takes_codes)
          ptx::copy_16_bytes(address + piece_offset(first_row() + i * row_step, own_chunk()), row_of(operand, i) + k);
        else chunks_[i] = read_whole_chunk<Kind>(row_of(operand, i), k);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const chunk_words<Kind> read =
          read_chunk<Kind>(row_of(operand, i), operand.col_stride, k, length, operand.vectors);
      if constexpr (Multiplier::takes_codes) {
        *reinterpret_cast<uint4*>(stage + piece_offset(first_row() + i * row_step, own_chunk())) =
            make_uint4(read.words[0], read.words[1], read.words[2], read.words[3]);
      } else {
        chunks_[i] = read;
      }
    }
  }

  /// Ends that, once ptx::wait_for_copies() has returned. A barrier shows the stage to others.
  __device__ __forceinline__ void end(unsigned char* stage, element_kind kind, const uint16_t* table) const noexcept {
    if constexpr (!Multiplier::takes_codes) {
#pragma unroll
      for (int i = 0; i < count; ++i)
        Multiplier::write_chunk(stage, first_row() + i * row_step, own_chunk(), chunks_[i], kind, table);
    }
  }

 private:
  __device__ static __forceinline__ int first_row() noexcept { return static_cast<int>(threadIdx.x) / per_row; }
  __device__ static __forceinline__ int own_chunk() noexcept { return static_cast<int>(threadIdx.x) % per_row; }
  __device__ __forceinline__ const unsigned char* row_of(const gemm_operand& operand, int i) const noexcept {
    const int down = i * row_step < further_ ? i * row_step : further_;
    return row_ + down * operand.row_stride * chunk_words<Kind>::element_bytes;
  }

  const unsigned char* row_ = nullptr;
  int further_              = 0;  ///< rows below this thread's first
  chunk_words<Kind> chunks_[Multiplier::takes_codes ? size_t{1} : size_t{count}];
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
    Multiplier::multiply(sums_, a, b);
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

  int lane_, row_, col_;
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

/// D = epilogue of A * B^T. A `Multiplier` has
///   slot_terms      the terms of 32 bytes
///   slots_unrolled  for the compiler
///   takes_codes     whether shared memory holds codes as they are; else write_chunk(stage, row, number, words, kind, table)
///                   writes 16 terms as it wants them
///   multiply        adds the products of 64 x 32 bytes of A and 32 x 32 bytes of B, as ldmatrix gives them
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
    const tile_place tile = place_of_tile(work, index);
    // Rows beyond the last have its scale.
    const int wanted       = reads_b ? tile.col + thread - tile_rows : tile.row + thread;
    const int last         = (reads_b ? work.cols : work.rows) - 1;
    const int64_t scale_at = scales_of_row(scales_read, wanted < last ? wanted : last, tile.batch);

    tile_part<Multiplier, AKind> a;
    tile_part<Multiplier, chunk_kind::codes> b;
    a.place(work.a, tile.batch, tile.row, work.rows);
    b.place(work.b, tile.batch, tile.col, work.cols);
    warp_sums<Multiplier> sums;
    sums.clear();

    depth_walk walk(work);
    slot_step step{};
    const auto begin = [&](int stage) {
      const uint32_t at = address + static_cast<uint32_t>(stage * tile_memory::stage_bytes);
      step              = walk.next<Multiplier::slot_terms>(decltype(b)::slot(), reads_b);
      a.begin(work.a, step, memory.stages[stage], at);
      b.begin(work.b, step, memory.stages[stage] + tile_memory::operand_bytes, at + tile_memory::operand_bytes);
      if (!work.scales_change) return;
#pragma unroll
      for (int s = 0; s < step_slots; ++s) {
        if ((step.ends >> s & 1) != 0)
          fetch_scale(scales_read, scale_at, step.block[s], &memory.scales[stage][s][thread]);
      }
    };
    const auto end = [&](int stage) {
      a.end(memory.stages[stage], work.a.kind, memory.codes[0]);
      b.end(memory.stages[stage] + tile_memory::operand_bytes, work.b.kind, memory.codes[1]);
      ptx::wait_for_copies();
    };
    if (walk.goes_on()) {
      begin(0);
      end(0);
      __syncthreads();
      for (int stage = 0;; stage ^= 1) {
        const int used      = step.used;
        const uint32_t ends = step.ends;
        const bool more     = walk.goes_on();
        if (more) begin(stage ^ 1);
        multiply_step(sums, address + static_cast<uint32_t>(stage * tile_memory::stage_bytes), used, ends,
                      memory.scales[stage], work.scales_change);
        if (more) end(stage ^ 1);
        __syncthreads();
        if (!more) break;
      }
    }

    auto* const totals = reinterpret_cast<float*>(memory.stages);
    sums.write(totals);
    const bool scale_now = !work.scales_change && (work.a.scales.data != nullptr || work.b.scales.data != nullptr);
    if (scale_now) memory.scales[0][0][thread] = read_scale(scales_read, scale_at, 0);
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
