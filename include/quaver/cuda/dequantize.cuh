// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_DEQUANTIZE_CUH
#define QUAVER_CUDA_DEQUANTIZE_CUH

#include <quaver/cuda/quantize/checks.cuh>
#include <quaver/cuda/quantize/octet.cuh>

// From codes and scales back to values: memory's speed is all there is to reach. A thread writes 16 bytes at a time, and
// has four of them on their way.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int dequantize_threads = 256;
inline constexpr int dequantize_groups  = 4;  ///< groups of codes a thread

/// Codes beside each other, or one by one with zeros beyond the last column. Two a byte: from an even column on.
template <int N, bool Vectors, code_byte F>
  requires is_pair<F>
__device__ __forceinline__ packed<e2m1, N> load_codes(const matrix_view<const F>& x, int64_t row,
                                                      int64_t col) noexcept {
  const F* const at = &x.pair(row, col);
  if constexpr (Vectors) return unpack_pairs(*reinterpret_cast<const packed<F, N / 2>*>(at));
  packed<e2m1, N> codes{};
#pragma unroll
  for (int i = 0; i < N; i += 2) {
    if (col + i >= x.cols) continue;
    codes.set(i, at[i / 2].low());
    if (col + i + 1 < x.cols) codes.set(i + 1, at[i / 2].high());
  }
  return codes;
}
template <int N, bool Vectors, eight_bit F>
__device__ __forceinline__ packed<F, N> load_codes(const matrix_view<const F>& x, int64_t row, int64_t col) noexcept {
  const F* const at = x.data + row * x.row_stride + col * x.col_stride;
  if constexpr (Vectors) return *reinterpret_cast<const packed<F, N>*>(at);
  packed<F, N> codes{};
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (col + i < x.cols) codes.set(i, at[i * x.col_stride]);
  }
  return codes;
}

/// Groups of N codes. Unless `found`, blocks may end within a group and every code has its own look at the scales.
/// By elements, and from two codes a byte, the compiler left to itself would spill a few registers.
template <int N, bool Vectors, bulk_source T, code_byte F>
__global__ void __launch_bounds__(dequantize_threads, Vectors && !is_pair<F> ? 0 : 1)
    dequantize_kernel(scaled_matrix<const F> x, matrix_view<T> y, scale_finder scales, bool found,
                      chunk_divider per_row, uint32_t groups) {
  const uint32_t first = blockIdx.x * (dequantize_threads * dequantize_groups) + threadIdx.x;
  uint32_t row[dequantize_groups];
  uint32_t place[dequantize_groups];
  packed<format_of<F>, N> codes[dequantize_groups];
  float scale[dequantize_groups];
#pragma unroll
  for (int i = 0; i < dequantize_groups; ++i) {
    const uint32_t group = first + static_cast<uint32_t>(i * dequantize_threads);
    if (group >= groups) continue;
    divide_index(per_row, group, row[i], place[i]);
    codes[i] = load_codes<N, Vectors>(x.values, row[i], int64_t{place[i]} * N);
    scale[i] = found ? stored_scale(x, scales.index(row[i], place[i])) : 0.0f;
  }
#pragma unroll
  for (int i = 0; i < dequantize_groups; ++i) {
    if (first + static_cast<uint32_t>(i * dequantize_threads) >= groups) continue;
    const int64_t col            = int64_t{place[i]} * N;
    const values<float, N> exact = decode_xn<float>(codes[i]);
    float v[static_cast<size_t>(N)];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      float factor = scale[i];
      if constexpr (!Vectors) {
        if (!found && col + j < y.cols) factor = x.dequant(row[i], col + j);
      }
      v[j] = multiply(exact[j], factor);
    }
    store_neighbours<Vectors>(y, row[i], col, narrow<T>(v));
  }
}

#if !QUAVER_NVRTC

/// y(r, c) = decode(code) * dequant(r, c), one multiplication in binary32, then one rounding to T: the bytes of
/// cpu::dequantize, whose contract this is. Device memory; any layout of scales and any positive strides; by vectors where
/// rows of y begin at multiples of 16 bytes and are whole sixteens of bytes, rows of codes begin accordingly, and blocks are
/// as wide as such a vector or wider by a whole factor. `stream` orders it; it may be captured.
template <class F, bulk_source T>
  requires code_byte<F>
status dequantize(const scaled_matrix<const F>& x, const matrix_view<T>& y, cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_device_view("dequantize: the output", y, *device); !bad.ok()) return bad;
  if (status bad = check_codes("dequantize", x, y.rows, y.cols, *device); !bad.ok()) return bad;
  if (y.rows == 0 || y.cols == 0) return {};
  if (overlaps(x.values.data, span_bytes(x.values), y.data, span_bytes(y)) ||
      scales_overlap(x, y.data, span_bytes(y))) {
    return invalid("dequantize: the codes or the scales and the output (" + shape_text(y.rows, y.cols) + ") overlap");
  }
  constexpr int together = 16 / static_cast<int>(sizeof(T));
  const int64_t per_row  = (y.cols + together - 1) / together;
  const int64_t most     = int64_t{1} << 31;
  const bool few         = per_row < most && y.rows < most && per_row * y.rows < most - 4 * dequantize_threads;
  if (!few) {
    return {status_code::unsupported, "dequantize: " + shape_text(y.rows, y.cols) +
                                          " elements are more than one launch takes (2^31 vectors of 16 bytes): call "
                                          "it by rows"};
  }
  const bool found   = scale_finder::fits(x.layout, y.rows, y.cols, together);
  const bool vectors = found && has_whole_groups<together, is_pair<F> ? together / 2 : together>(x.values) &&
                       has_whole_groups<together, 16>(y);
  const scale_layout any = found ? x.layout : per_tensor;  // not looked at unless found
  const scale_finder finder(any, y.rows, y.cols, together);
  const auto groups      = static_cast<uint32_t>(per_row * y.rows);
  constexpr int in_block = dequantize_threads * dequantize_groups;
  return with_vectors(vectors, [&]<bool Vectors>() {
    return launch("dequantize", &dequantize_kernel<together, Vectors, T, F>,
                  launch_shape{(int64_t{groups} + in_block - 1) / in_block, dequantize_threads}, stream, x, y, finder,
                  found, chunk_divider(static_cast<uint32_t>(per_row)), groups);
  });
}

/// The same for a matrix that could be written through, such as the one that quantize has just filled.
template <code_byte F, bulk_source T>
status dequantize(const scaled_matrix<F>& x, const matrix_view<T>& y, cudaStream_t stream = nullptr) {
  return dequantize(scaled_matrix<const F>(x), y, stream);
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
