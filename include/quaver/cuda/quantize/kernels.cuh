// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_KERNELS_CUH
#define QUAVER_CUDA_QUANTIZE_KERNELS_CUH

#include <quaver/cuda/quantize/chunk.cuh>

// Quantisation kernels whose blocks of values fit in the registers of those who share a scale, so that memory is read
// once and written once: blocks within rows (some lanes), whole rows (a thread block), squares (a thread block). Each
// thread holds chunks of 16. What has another shape goes to quantize_any, which reads twice.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int block_threads = 256;

/// Thread blocks that a multiprocessor is to hold, which is a number of registers: what the compiler chooses is now a few too
/// many, now a few too few.
template <class Source, bool Vectors, rounding R>
inline constexpr int row_blocks_resident = !Vectors                                                          ? 1
                                           : is_light<Source, true, R == rounding::stochastic>               ? 5
                                           : R == rounding::stochastic || sizeof(fetched<Source, true>) > 64 ? 3
                                                                                                             : 4;

/// Blocks of 1 x (16 * Lanes), a chunk a thread. Also elementwise work, with Lanes 1: scales that are given, or that
/// another kernel has made. Rows are counted in `per_row` chunks, a multiple of Lanes, so that no block of values crosses
/// from one warp to the next. `backwards` begins at the end, which the second-level cache may still hold.
template <int Lanes, bool Vectors, rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(block_threads, row_blocks_resident<Source, Vectors, R>)
    quantize_row_blocks(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row, uint32_t chunks,
                        bool backwards) {
  const uint32_t block  = backwards ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
  const uint32_t i      = block * block_threads + threadIdx.x;
  const uint32_t row    = per_row.quotient(i < chunks ? i : 0);
  const uint32_t place  = per_row.rest(i < chunks ? i : 0, row);
  const int64_t col     = int64_t{place} * chunk;
  const bool inside     = i < chunks && col < x.cols;
  const cache_hint hint = backwards ? make_hint<keeping::first_to_go>() : make_hint<keeping::normal>();
  const int64_t at      = plan.places.at(plan.block_rows.quotient(row), plan.block_chunks.quotient(place));

  // A scale that is there already is on its way together with the values.
  const bool makes = makes_scales(plan);
  tensor_scale scale;
  float v[chunk];
  float amax = 0.0f;
  if (inside) {
    const auto raw = x.template fetch<Vectors>(row, col, hint);
    if (backwards) wait_for_grid_before();  // for plan.made; x was complete before that grid began
    if (!makes) scale = known_scale(out, at, plan);
    x.template values<Vectors>(raw, v);
    if (makes) amax = fetched_amax(x, raw, v);
  }
  if (makes) {
    amax = lanes_amax<Lanes>(amax);
    if (inside) scale = new_scale(out, at, amax, plan, place % Lanes == 0);
  }
  if (!inside) return;
  quantize_chunk<Vectors, R, O>(v, out.values, row, col, x.cols, scale, plan);
}

/// The elements of `Count` chunks, some of them fetched before the first is computed with; place(i, row, col) says where
/// chunk i lies. One that begins outside x is all zeros: it is fetched from x's beginning instead, without a branch.
template <bool Vectors, int Count, class Source, class Place>
__device__ __forceinline__ void fetch_all(const Source& x, float (&v)[static_cast<size_t>(Count)][chunk],
                                          const Place& place) noexcept {
  constexpr int room    = chunks_in<Source, Vectors>(32);
  constexpr int some    = room < Count ? room : Count;
  const cache_hint hint = make_hint<keeping::normal>();
#pragma unroll
  for (int first = 0; first < Count; first += some) {
    fetched<Source, Vectors> raw[static_cast<size_t>(some)];
    bool inside[static_cast<size_t>(some)];
#pragma unroll
    for (int i = 0; i < some && first + i < Count; ++i) {
      int64_t row = 0;
      int64_t col = 0;
      place(first + i, row, col);
      inside[i] = row < x.rows && col < x.cols;
      raw[i]    = x.template fetch<Vectors>(inside[i] ? row : 0, inside[i] ? col : 0, hint);
    }
#pragma unroll
    for (int i = 0; i < some && first + i < Count; ++i) {
      x.template values<Vectors>(raw[i], v[first + i]);
#pragma unroll
      for (int j = 0; j < chunk; ++j) v[first + i][j] = inside[i] ? v[first + i][j] : 0.0f;
    }
  }
}

/// Whole rows, one a thread block, of up to Threads * Chunks chunks; longer ones are read again for their codes.
template <int Threads, int Chunks, bool Vectors, rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(Threads, is_light<Source, Vectors, R == rounding::stochastic> ? 1024 / Threads : 1)
    quantize_rows(Source x, scaled_matrix<F> out, encoding_plan plan) {
  __shared__ float shared[32];
  const int64_t row      = blockIdx.x;
  constexpr int64_t step = int64_t{Threads} * chunk;
  const int64_t begin    = int64_t{threadIdx.x} * chunk;
  float v[Chunks][chunk];
  float largest = 0.0f;
  fetch_all<Vectors, Chunks>(x, v, [&](int i, int64_t& at_row, int64_t& at_col) {
    at_row = row;
    at_col = begin + i * step;
  });
#pragma unroll
  for (int i = 0; i < Chunks; ++i) largest = chunk_amax(v[i], largest);
  for (int64_t col = begin + Chunks * step; col < x.cols; col += step) {
    float more[chunk];
    x.template values<Vectors>(x.template fetch<Vectors>(row, col, make_hint<keeping::normal>()), more);
    largest = chunk_amax(more, largest);
  }
  const float amax         = block_amax<Threads>(largest, shared);
  const tensor_scale scale = scale_of_block(out, plan.places.of_row(row), amax, plan, threadIdx.x == 0);
#pragma unroll
  for (int i = 0; i < Chunks; ++i) {
    const int64_t col = begin + i * step;
    if (col < x.cols) quantize_chunk<Vectors, R, O>(v[i], out.values, row, col, x.cols, scale, plan);
  }
  for (int64_t col = begin + Chunks * step; col < x.cols; col += step) {
    float more[chunk];
    x.template values<Vectors>(x.template fetch<Vectors>(row, col, make_hint<keeping::normal>()), more);
    quantize_chunk<Vectors, R, O>(more, out.values, row, col, x.cols, scale, plan);
  }
}

/// Squares of 128 x 128, one a thread block: eight threads a row, four rows a thread. By vectors alone.
inline constexpr int square = 128;

template <rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(block_threads, is_light<Source, true> ? 2 : 1)
    quantize_squares(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row) {
  __shared__ float shared[32];
  constexpr int across = square / chunk;
  constexpr int rows   = block_threads / across;
  constexpr int passes = square / rows;
  const uint32_t down  = per_row.quotient(blockIdx.x);
  const uint32_t right = per_row.rest(blockIdx.x, down);
  const int64_t top    = int64_t{down} * square;
  const int64_t left   = int64_t{right} * square;
  const int64_t row    = top + threadIdx.x / across;
  const int64_t col    = left + threadIdx.x % across * chunk;
  float v[passes][chunk];
  float largest = 0.0f;
  fetch_all<true, passes>(x, v, [&](int i, int64_t& at_row, int64_t& at_col) {
    at_row = row + i * rows;
    at_col = col;
  });
#pragma unroll
  for (int i = 0; i < passes; ++i) largest = chunk_amax(v[i], largest);
  const float amax         = block_amax<block_threads>(largest, shared);
  const tensor_scale scale = scale_of_block(out, plan.places.at(down, right), amax, plan, threadIdx.x == 0);
#pragma unroll
  for (int i = 0; i < passes; ++i) {
    if (row + i * rows < x.rows && col < x.cols)
      quantize_chunk<true, R, O>(v[i], out.values, row + i * rows, col, x.cols, scale, plan);
  }
}

/// Blocks of any shape, one a thread block at a time: read once for the amax and once for the codes. By elements: see
/// quantize_row_blocks.
template <rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(block_threads, 1)
    quantize_any(Source x, scaled_matrix<F> out, encoding_plan plan, int64_t blocks) {
  __shared__ float shared[32];
  const int64_t height = out.layout.rows_per_block(x.rows);
  const int64_t width  = out.layout.cols_per_block(x.cols);
  const int64_t across = out.layout.scale_cols(x.cols);
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t down    = block / across;
    const int64_t beside  = block % across;
    const int64_t top     = down * height;
    const int64_t left    = beside * width;
    const int64_t bottom  = top + height < x.rows ? top + height : x.rows;
    const int64_t right   = left + width < x.cols ? left + width : x.cols;
    const int64_t per_row = (right - left + chunk - 1) / chunk;
    const int64_t chunks  = per_row * (bottom - top);
    const auto load       = [&](int64_t i, int64_t& row, int64_t& col, float(&v)[chunk]) {
      row = top + i / per_row;
      col = left + i % per_row * chunk;
      x.template values<false>(x.template fetch<false>(row, col, make_hint<keeping::normal>()), v);
#pragma unroll
      for (int j = 0; j < chunk; ++j) v[j] = col + j < right ? v[j] : 0.0f;
    };
    float v[chunk];
    int64_t row   = 0;
    int64_t col   = 0;
    float largest = 0.0f;
    for (int64_t i = threadIdx.x; plan.current && i < chunks; i += block_threads) {
      load(i, row, col, v);
      largest = chunk_amax(v, largest);
    }
    const float amax         = block_amax<block_threads>(largest, shared);
    const tensor_scale scale = scale_of_block(out, plan.places.at(down, beside), amax, plan, threadIdx.x == 0);
    for (int64_t i = threadIdx.x; i < chunks; i += block_threads) {
      load(i, row, col, v);
      quantize_chunk<false, R, O>(v, out.values, row, col, right, scale, plan);
    }
    __syncthreads();  // `shared` is used again
  }
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
