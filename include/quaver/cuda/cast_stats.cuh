// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_CAST_STATS_CUH
#define QUAVER_CUDA_CAST_STATS_CUH

#include <quaver/cuda/quantize/checks.cuh>
#include <quaver/cuda/quantize/octet.cuh>
#include <quaver/format/classify.hpp>
#include <quaver/scale/cast_stats.hpp>

// A cast with given scales that also says what it did, in one pass. Counts are exact. The two sums are doubles, squares of
// 16 at a time in binary32 (twice its rate, and no conversions), added in an order that depends on the shape alone: a thread its own chunks in order, then lanes, warps and thread blocks by
// halves; so the same call gives the same bits again. How many thread blocks there are does not depend on the device.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int stats_threads = 256;
inline constexpr int stats_blocks  = 2048;

/// What the thread blocks of a call leave for the last of them, in device memory: 128 KiB and a counter. The counter is
/// zero before the first call (cudaMemset) and again after each. Calls that may run at the same time need one each.
struct cast_stats_workspace {
  cast_stats part[stats_blocks];
  uint32_t arrived;
};

/// The statistics of another lane.
__device__ __forceinline__ cast_stats stats_of_lane(const cast_stats& mine, int step) noexcept {
  const auto from = [&](auto value) { return __shfl_down_sync(0xFFFF'FFFFu, value, static_cast<unsigned>(step)); };
  return {from(mine.count),    from(mine.underflow), from(mine.saturated), from(mine.nan),
          from(mine.infinite), from(mine.amax),      from(mine.sum_x2),    from(mine.sum_error2)};
}

/// The statistics of the thread block, in thread 0. `shared` has one for each warp.
__device__ __forceinline__ cast_stats block_stats(cast_stats mine, cast_stats* shared) noexcept {
#pragma unroll 1
  for (int step = 16; step > 0; step /= 2) mine.merge(stats_of_lane(mine, step));
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = mine;
  __syncthreads();
  if (threadIdx.x >= 32) return mine;
  constexpr int warps = stats_threads / 32;
  mine                = shared[threadIdx.x % warps];
#pragma unroll 1
  for (int step = warps / 2; step > 0; step /= 2) mine.merge(stats_of_lane(mine, step));
  return mine;
}

/// What the largest value after scaling may be for nothing to have saturated, as bits of a magnitude: half a step above
/// the largest value.
template <eight_bit F>
QUAVER_HOST_DEVICE constexpr uint32_t saturation_limit() noexcept {
  const float largest = quaver::decode<float>((F::max)());
  const float below   = quaver::decode<float>(F::from_bits(static_cast<uint8_t>((F::max)().bits() - 1)));
  return bitwise_cast<uint32_t>(largest + (largest - below) / 2);
}

/// The sum of the squares of 16 floats whose largest magnitude is given, finite: in binary32 after a power of two has
/// brought them to about 1, within 2^-21.4 (four terms a chain, two additions), and back as a double.
__device__ __forceinline__ double sum_of_squares(const float (&v)[chunk], float largest) noexcept {
  const auto own   = static_cast<int>(bitwise_cast<uint32_t>(largest) >> 23);  // it has no sign
  const int field  = own > 253 ? 1 : own < 1 ? 253 : 254 - own;
  const float near = bitwise_cast<float>(static_cast<uint32_t>(field) << 23);
  float sums[4]    = {};
#pragma unroll
  for (int i = 0; i < chunk; ++i) {
    const float x = multiply(v[i], near);
    sums[i % 4]   = fused_multiply_add(x, x, sums[i % 4]);
  }
  const float sum  = cuda::add(cuda::add(sums[0], sums[1]), cuda::add(sums[2], sums[3]));
  const auto power = static_cast<uint64_t>(1023 - 2 * (field - 127)) << 52;
  return static_cast<double>(sum) * bitwise_cast<double>(power);
}

/// How many of 16 codes are zero.
template <signed_format F>
__device__ __forceinline__ uint32_t zero_codes(const packed<F, chunk>& codes) noexcept {
  constexpr uint32_t ones = 0x0101'0101;
  constexpr uint32_t low  = ones * (F::has_signed_zero ? F::magnitude_mask : 0x7Fu);
  constexpr uint32_t top  = F::has_signed_zero ? 0 : 0x8080'8080u;  // where a lone sign bit is no zero
  uint32_t count          = 0;
#pragma unroll
  for (int i = 0; i < codes.word_count; ++i) {
    const uint32_t word = codes.words[i];
    count += static_cast<uint32_t>(__popc(~(((word & low) + 0x7F * ones) | (word & top)) & 0x8080'8080u));
  }
  return count;
}

/// What one thread has counted: in 32 bits, which 2^31 chunks over all threads stay below.
struct thread_stats {
  uint32_t underflow = 0;
  uint32_t saturated = 0;
  uint32_t nan       = 0;
  uint32_t infinite  = 0;
  uint32_t amax      = 0;
  double sum_x2      = 0;
  double sum_error2  = 0;

  /// A value, what was rounded to a code, the code and what that stands for: as cpu::add_to.
  template <eight_bit F>
  __device__ __forceinline__ void add(float x, float scaled, F code, float dequantised) noexcept {
    constexpr uint32_t limit = saturation_limit<F>();
    const uint32_t bits      = bitwise_cast<uint32_t>(x) & binary<float>::magnitude_mask;
    amax                     = bits > amax ? bits : amax;
    nan += static_cast<uint32_t>(bits > binary<float>::infinity);
    infinite += static_cast<uint32_t>(bits == binary<float>::infinity);
    if (bits >= binary<float>::infinity) return;
    const auto value       = static_cast<double>(x);
    const double error     = value - static_cast<double>(dequantised);
    const uint32_t reached = bitwise_cast<uint32_t>(scaled) & binary<float>::magnitude_mask;
    underflow += static_cast<uint32_t>(bits != 0 && is_zero(code));
    saturated += static_cast<uint32_t>(reached > limit && reached <= binary<float>::infinity);
    sum_x2     = __fma_rn(value, value, sum_x2);
    sum_error2 = __fma_rn(error, error, sum_error2);
  }

  /// A whole chunk, or false where one of its values wants a look of its own: where something is not finite or saturated.
  /// Zeros beyond a matrix's end count for nothing.
  template <eight_bit F>
  __device__ __forceinline__ bool add_chunk(const float (&x)[chunk], const float (&scaled)[chunk],
                                            const packed<F, chunk>& codes, const float (&dequantised)[chunk]) noexcept {
    float error[chunk];
#pragma unroll
    for (int i = 0; i < chunk; ++i) error[i] = subtract(x[i], dequantised[i]);
    const float largest       = chunk_amax(x);
    const float largest_error = chunk_amax(error);
    const uint32_t bits       = bitwise_cast<uint32_t>(largest);
    const bool plain          = bits < binary<float>::infinity &&
                       bitwise_cast<uint32_t>(largest_error) < binary<float>::infinity &&
                       bitwise_cast<uint32_t>(chunk_amax(scaled)) <= saturation_limit<F>();
    if (!plain) return false;
    amax = bits > amax ? bits : amax;
    sum_x2 += sum_of_squares(x, largest);
    sum_error2 += sum_of_squares(error, largest_error);
    const uint32_t zeros = zero_codes(codes);
    if (zeros != 0) {
      underflow += zeros;
#pragma unroll
      for (int i = 0; i < chunk; ++i) underflow -= static_cast<uint32_t>(bitwise_cast<uint32_t>(x[i]) << 1 == 0);
    }
    return true;
  }
};

/// Chunks that lie in one block of the layout each (Width 16), or single elements (Width 1), for which a chunk is loaded
/// and its first element used: a layout with odd blocks is slow here.
template <int Width, bool Vectors, rounding R, overflow O, signed_format F, class Source>
__global__ void __launch_bounds__(stats_threads, 2)
    cast_stats_kernel(Source x, scaled_matrix<F> out, encoding_plan plan, scale_finder scales, chunk_divider per_row,
                      uint32_t places, cast_stats* to, cast_stats_workspace* work) {
  __shared__ cast_stats shared[stats_threads / 32];
  __shared__ bool last;
  thread_stats counted;
  for (uint32_t i = blockIdx.x * stats_threads + threadIdx.x; i < places; i += gridDim.x * stats_threads) {
    uint32_t row;
    uint32_t place;
    divide_index(per_row, i, row, place);
    const int64_t col = int64_t{place} * Width;
    const int64_t end = Width == 1 ? col + 1 : x.cols;
    float v[chunk];
    float scaled[chunk];
    load_values<Vectors>(x, row, col, v);
#pragma unroll
    for (int j = 0; j < chunk; ++j) scaled[j] = v[j];
    const float stored = Width == 1 ? out.dequant(row, col) : stored_scale(out, scales.index(row, place));
    const auto scale   = from_stored<device_arithmetic>(stored);
    scale_values(scaled, scale, plan.divides);
    const auto first                = static_cast<uint64_t>(row * x.cols + col);
    const packed<F, chunk> codes    = encode_chunk<F, R, O>(scaled, plan.words, first);
    const values<float, chunk> back = decode_xn<float>(codes);
    store_chunk<Vectors>(out.values, row, col, end, codes, make_hint<keeping::normal>());
    float kept[chunk];
#pragma unroll
    for (int j = 0; j < chunk; ++j) kept[j] = multiply(back[j], stored);
    if constexpr (Width == chunk) {
      if (counted.add_chunk<F>(v, scaled, codes, kept)) continue;
    }
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      if (Vectors || col + j < end) counted.add<F>(v[j], scaled[j], codes[j], kept[j]);
    }
  }
  const cast_stats all =
      block_stats({0, counted.underflow, counted.saturated, counted.nan, counted.infinite,
                   bitwise_cast<float>(canonical_nan(counted.amax)), counted.sum_x2, counted.sum_error2},
                  shared);
  if (threadIdx.x == 0) {
    work->part[blockIdx.x] = all;
    last                   = add_release(&work->arrived, 1) + 1 == gridDim.x;
  }
  __syncthreads();
  if (!last) return;
  cast_stats sum;
  for (uint32_t i = threadIdx.x; i < gridDim.x; i += stats_threads) sum.merge(work->part[i]);
  sum = block_stats(sum, shared);
  if (threadIdx.x != 0) return;
  sum.count     = x.rows * x.cols;
  *to           = sum;
  work->arrived = 0;
}

#if !QUAVER_NVRTC

/// quantize with given scales (options.source is not looked at), and *to = what that did, in device memory: the counts of
/// cpu::quantize with `stats`, its sums within a relative 1e-6, the same bits in every run. Any layout, source and strides;
/// blocks that are not a multiple of 16 columns wide take an element at a time. `work`: see its type.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, quantize_source Source>
  requires signed_format<F>
status quantize_with_stats(const Source& x, const scaled_matrix<F>& out, cast_stats* to, cast_stats_workspace* work,
                           const quantize_options& options = {}, cudaStream_t stream = nullptr) {
  const std::string name             = "quantize_with_stats";
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = x.check(*device); !bad.ok()) return {bad.code(), name + ": " + bad.message()};
  if (status bad = check_codes(name, out, x.rows, x.cols, *device); !bad.ok()) return bad;
  if (status bad = check_number(name + ": the result", to, true, *device); !bad.ok()) return bad;
  if (work == nullptr) {
    return invalid(name + " needs a workspace of " + std::to_string(sizeof(cast_stats_workspace)) +
                   " zeroed bytes on the device, and `work` is null");
  }
  if (status bad = check_reachable(name + ": the workspace", work, *device); !bad.ok()) return bad;
  const size_t bytes = span_bytes(out.values);
  if (x.touches(out.values.data, bytes) || x.touches(scales_of(out), scale_bytes(out)) ||
      scales_overlap(out, out.values.data, bytes)) {
    return invalid(name + ": the input, the codes or the scales overlap (" + shape_text(x.rows, x.cols) + ")");
  }
  const bool found      = scale_finder::fits(out.layout, x.rows, x.cols, chunk);
  const int width       = found ? chunk : 1;
  const int64_t per_row = (x.cols + width - 1) / width;
  const int64_t most    = int64_t{1} << 31;
  const int64_t in_grid = int64_t{stats_blocks} * stats_threads;
  if (per_row >= most || x.rows >= most || per_row * x.rows >= most - in_grid) {
    return {status_code::unsupported,
            name + ": " + shape_text(x.rows, x.cols) + " elements are more than one launch takes: call it by rows"};
  }
  const int64_t places = per_row * x.rows;
  const int64_t wanted = (places + stats_threads - 1) / stats_threads;
  const int64_t blocks = wanted < 1 ? 1 : wanted < stats_blocks ? wanted : stats_blocks;
  const scale_finder finder(found ? out.layout : per_tensor, x.rows, x.cols, chunk);
  const chunk_divider rows(static_cast<uint32_t>(per_row < 1 ? 1 : per_row));
  const auto run = [&](auto* kernel) {
    return launch("quantize_with_stats", kernel, launch_shape{blocks, stats_threads}, stream, x, out, plan_of(options),
                  finder, rows, static_cast<uint32_t>(places), to, work);
  };
  if (!found) return run(&cast_stats_kernel<1, false, R, O, F, Source>);
  if (x.vectors() && has_whole_chunks(out.values)) return run(&cast_stats_kernel<chunk, true, R, O, F, Source>);
  return run(&cast_stats_kernel<chunk, false, R, O, F, Source>);
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
