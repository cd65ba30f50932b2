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

/// Blocks of 1 x (16 * Lanes), a chunk a thread. Also elementwise work, with given scales and Lanes 1. Rows are counted
/// in `per_row` chunks, a multiple of Lanes, so that no block of values crosses from one warp to the next.
template <int Lanes, bool Vectors, rounding R, overflow O, signed_format F, class Source>
__global__ void __launch_bounds__(block_threads)
    quantize_row_blocks(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row, uint32_t chunks) {
  const uint32_t i = blockIdx.x * block_threads + threadIdx.x;
  uint32_t row     = 0;
  uint32_t place   = 0;
  per_row.divide(i < chunks ? i : 0, row, place);
  const int64_t col = int64_t{place} * chunk;
  const bool inside = i < chunks && col < x.cols;
  float v[chunk]    = {};
  if (inside) x.template load<Vectors>(row, col, v);
  const float amax = plan.current ? lanes_amax<Lanes>(chunk_amax(v)) : 0.0f;
  if (!inside) return;
  const tensor_scale scale = scale_of_block(out, row, col, amax, plan, place % Lanes == 0);
  quantize_chunk<Vectors, R, O>(v, out.values, row, col, x.cols, scale, plan);
}

/// Whole rows, one a thread block, of up to Threads * Chunks chunks; longer ones are read again for their codes.
template <int Threads, int Chunks, bool Vectors, rounding R, overflow O, signed_format F, class Source>
__global__ void __launch_bounds__(Threads, 1) quantize_rows(Source x, scaled_matrix<F> out, encoding_plan plan) {
  __shared__ float shared[32];
  const int64_t row      = blockIdx.x;
  constexpr int64_t step = int64_t{Threads} * chunk;
  const int64_t begin    = int64_t{threadIdx.x} * chunk;
  float v[Chunks][chunk] = {};
  float largest          = 0.0f;
#pragma unroll
  for (int i = 0; i < Chunks; ++i) {
    const int64_t col = begin + i * step;
    if (col < x.cols) x.template load<Vectors>(row, col, v[i]);
  }
#pragma unroll
  for (int i = 0; i < Chunks; ++i) largest = chunk_amax(v[i], largest);
  for (int64_t col = begin + Chunks * step; col < x.cols; col += step) {
    float more[chunk];
    x.template load<Vectors>(row, col, more);
    largest = chunk_amax(more, largest);
  }
  const float amax         = block_amax<Threads>(largest, shared);
  const tensor_scale scale = scale_of_block(out, row, int64_t{0}, amax, plan, threadIdx.x == 0);
#pragma unroll
  for (int i = 0; i < Chunks; ++i) {
    const int64_t col = begin + i * step;
    if (col < x.cols) quantize_chunk<Vectors, R, O>(v[i], out.values, row, col, x.cols, scale, plan);
  }
  for (int64_t col = begin + Chunks * step; col < x.cols; col += step) {
    float more[chunk];
    x.template load<Vectors>(row, col, more);
    quantize_chunk<Vectors, R, O>(more, out.values, row, col, x.cols, scale, plan);
  }
}

/// Squares of 128 x 128, one a thread block: eight threads a row, four rows a thread.
inline constexpr int square = 128;

template <bool Vectors, rounding R, overflow O, signed_format F, class Source>
__global__ void __launch_bounds__(block_threads, 2)
    quantize_squares(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row) {
  __shared__ float shared[32];
  constexpr int across = square / chunk;
  constexpr int rows   = block_threads / across;
  constexpr int passes = square / rows;
  uint32_t down        = 0;
  uint32_t right       = 0;
  per_row.divide(blockIdx.x, down, right);
  const int64_t top      = int64_t{down} * square;
  const int64_t left     = int64_t{right} * square;
  const int64_t row      = top + threadIdx.x / across;
  const int64_t col      = left + threadIdx.x % across * chunk;
  float v[passes][chunk] = {};
  float largest          = 0.0f;
#pragma unroll
  for (int i = 0; i < passes; ++i) {
    if (row + i * rows < x.rows && col < x.cols) x.template load<Vectors>(row + i * rows, col, v[i]);
  }
#pragma unroll
  for (int i = 0; i < passes; ++i) largest = chunk_amax(v[i], largest);
  const float amax         = block_amax<block_threads>(largest, shared);
  const tensor_scale scale = scale_of_block(out, top, left, amax, plan, threadIdx.x == 0);
#pragma unroll
  for (int i = 0; i < passes; ++i) {
    if (row + i * rows < x.rows && col < x.cols)
      quantize_chunk<Vectors, R, O>(v[i], out.values, row + i * rows, col, x.cols, scale, plan);
  }
}

/// Blocks of any shape, one a thread block at a time: read once for the amax and once for the codes.
template <rounding R, overflow O, signed_format F, class Source>
__global__ void __launch_bounds__(block_threads)
    quantize_any(Source x, scaled_matrix<F> out, encoding_plan plan, int64_t blocks) {
  __shared__ float shared[32];
  const int64_t height = out.layout.rows_per_block(x.rows);
  const int64_t width  = out.layout.cols_per_block(x.cols);
  const int64_t across = out.layout.scale_cols(x.cols);
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t top     = block / across * height;
    const int64_t left    = block % across * width;
    const int64_t bottom  = top + height < x.rows ? top + height : x.rows;
    const int64_t right   = left + width < x.cols ? left + width : x.cols;
    const int64_t per_row = (right - left + chunk - 1) / chunk;
    const int64_t chunks  = per_row * (bottom - top);
    const auto load       = [&](int64_t i, int64_t& row, int64_t& col, float(&v)[chunk]) {
      row = top + i / per_row;
      col = left + i % per_row * chunk;
      x.template load<false>(row, col, v);
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
    const tensor_scale scale = scale_of_block(out, top, left, amax, plan, threadIdx.x == 0);
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
