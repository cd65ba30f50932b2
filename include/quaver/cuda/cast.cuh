// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_CAST_CUH
#define QUAVER_CUDA_CAST_CUH

#include <quaver/cuda/quantize/checks.cuh>
#include <quaver/cuda/quantize/octet.cuh>

// A cast by one scale that lies in device memory, as delayed scaling has it: the scale was made from earlier amaxes by
// another kernel, and this one measures the next. A captured graph that is replayed follows both.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int cast_threads = 256;

/// A chunk a thread. `Scale` says how the scale is meant: quant_scale or dequant_scale.
template <bool Vectors, rounding R, overflow O, signed_format F, class Source, class Scale>
__global__ void __launch_bounds__(cast_threads)
    cast_kernel(Source x, matrix_view<F> y, const Scale* scale, random_words words, float* amax, chunk_divider per_row,
                uint32_t chunks) {
  __shared__ uint32_t shared[32];
  const uint32_t seen = amax != nullptr && threadIdx.x == 0 ? *reinterpret_cast<const volatile uint32_t*>(amax) : 0;
  const uint32_t i    = blockIdx.x * cast_threads + threadIdx.x;
  float largest       = 0.0f;
  if (i < chunks) {
    uint32_t row;
    uint32_t place;
    divide_index(per_row, i, row, place);
    const int64_t col = int64_t{place} * chunk;
    float v[chunk];
    load_values<Vectors>(x, row, col, v);
    const float factor = scale->value();
    if (amax != nullptr) largest = chunk_amax(v);
#pragma unroll
    for (int j = 0; j < chunk; ++j) {
      if constexpr (same_type<Scale, dequant_scale>) v[j] = divide(v[j], factor);
      else v[j] = multiply(v[j], factor);
    }
    const auto first = static_cast<uint64_t>(row * y.cols + col);
    store_chunk<Vectors>(y, row, col, x.cols, encode_chunk<F, R, O>(v, words, first), make_hint<keeping::normal>());
  }
  if (amax != nullptr) raise_amax<cast_threads>(amax, seen, largest, shared);
}

#if !QUAVER_NVRTC

/// How cast works.
struct cast_options {
  random_words words = {};  ///< rounding::stochastic: element (r, c) uses word first + r * cols + c
  /// Device memory, or null: raised to the largest magnitude of the source before scaling. Zeroed by the caller when a new
  /// measurement begins; NaN (7FC00000) if any element was NaN.
  float* amax = nullptr;
};

/// y(r, c) = encode(x(r, c) * *scale), or encode(x(r, c) / *scale) for a dequant_scale, one operation in binary32 and one
/// rounding to F; the scale lies in device memory and is not judged: 0, NaN and infinity do what the arithmetic says. The
/// bytes are those of cpu::encode_n. Any source and positive strides; by vectors as quantize. `stream` orders it; it may
/// be captured.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, quantize_source Source,
          class Scale>
  requires signed_format<F> && (same_type<Scale, quant_scale> || same_type<Scale, dequant_scale>)
status cast(Source x, const Scale* scale, matrix_view<F> y, const cast_options& options = {},
            cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = x.check(*device); !bad.ok()) return {bad.code(), "cast: " + bad.message()};
  if (status bad = check_device_view("cast: the output", y, *device); !bad.ok()) return bad;
  if (x.rows != y.rows || x.cols != y.cols) {
    return invalid("cast: the input is " + shape_text(x.rows, x.cols) + ", the output " + shape_text(y.rows, y.cols));
  }
  if (x.rows == 0 || x.cols == 0) return {};
  if (status bad = check_number("cast: the scale", scale, true, *device); !bad.ok()) return bad;
  if (status bad = check_number("cast: the amax", options.amax, false, *device); !bad.ok()) return bad;
  const size_t bytes = span_bytes(y);
  if (x.touches(y.data, bytes) || overlaps(scale, 4, y.data, bytes) ||
      (options.amax != nullptr && overlaps(options.amax, 4, y.data, bytes))) {
    return invalid("cast: the output (" + shape_text(y.rows, y.cols) + ") overlaps the input, the scale or the amax");
  }
  flatten(x, y);
  const chunk_count chunks = count_chunks(x.rows, x.cols);
  if (status bad = check_chunks("cast", x.rows, x.cols, chunks); !bad.ok()) return bad;
  const chunk_divider per_row(static_cast<uint32_t>(chunks.per_row));
  return with_vectors(x.vectors() && has_whole_chunks(y), [&]<bool Vectors>() {
    return launch("cast", &cast_kernel<Vectors, R, O, F, Source, Scale>,
                  launch_shape{(chunks.all + cast_threads - 1) / cast_threads, cast_threads}, stream, x, y, scale,
                  options.words, options.amax, per_row, static_cast<uint32_t>(chunks.all));
  });
}

/// The same for a matrix in memory.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T, class Scale>
  requires signed_format<F> && (same_type<Scale, quant_scale> || same_type<Scale, dequant_scale>)
status cast(const matrix_view<const T>& x, const Scale* scale, const matrix_view<F>& y,
            const cast_options& options = {}, cudaStream_t stream = nullptr) {
  return cast<F, R, O>(matrix_source<T>(x), scale, y, options, stream);
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
