// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_CAST_TRANSPOSE_CUH
#define QUAVER_CUDA_CAST_TRANSPOSE_CUH

#include <quaver/cuda/quantize/checks.cuh>
#include <quaver/cuda/quantize/octet.cuh>

// Codes of a matrix and the same codes transposed, the matrix read once: what training asks for, whose backward products
// contract over the other axis and whose FP8 instructions take operands along K alone.
//
// A thread block has a tile of 128 x 128. Each thread loads octets of four rows above one another, encodes them, writes
// the codes of each row, and turns the 4 x 8 bytes into eight words of four codes down a column. The words go to shared
// memory by columns and come back as 16 codes of one column for one store. Between every eight columns of shared memory
// lie four words, and in the right half pairs of words are exchanged: then the 32 words that a warp writes at a time (sixteen
// octets, two groups of rows) are in 32 banks.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int turned_tile    = 128;
inline constexpr int turned_threads = 256;
inline constexpr int turned_pitch   = turned_tile / 4;  ///< words of a column in shared memory
inline constexpr int turned_words   = turned_tile * turned_pitch + turned_tile / octet * 4;

/// Where the words of a column from `group` on, a multiple of 4, stand in shared memory.
__device__ __forceinline__ int turned_place(int col, int group) noexcept {
  return col * turned_pitch + col / octet * 4 + group;
}
/// Where word `group`, rows 4 group to 4 group + 3, stands: in the right half of the tile pairs of words are exchanged.
__device__ __forceinline__ int turned_word(int col, int group) noexcept {
  return turned_place(col, group ^ (col / (turned_tile / 2) * 2));
}

/// Four words of four bytes each with rows and columns exchanged.
__device__ __forceinline__ void turn_bytes(uint32_t (&w)[4]) noexcept {
  const uint32_t low_01  = __byte_perm(w[0], w[1], 0x5140);
  const uint32_t low_23  = __byte_perm(w[2], w[3], 0x5140);
  const uint32_t high_01 = __byte_perm(w[0], w[1], 0x7362);
  const uint32_t high_23 = __byte_perm(w[2], w[3], 0x7362);
  w[0]                   = __byte_perm(low_01, low_23, 0x5410);
  w[1]                   = __byte_perm(low_01, low_23, 0x7632);
  w[2]                   = __byte_perm(high_01, high_23, 0x5410);
  w[3]                   = __byte_perm(high_01, high_23, 0x7632);
}

/// One scale for all, from device memory.
struct one_scale {
  const quant_scale* quant;
  [[nodiscard]] __device__ __forceinline__ tensor_scale start(uint32_t /*row*/, uint32_t /*place*/) const noexcept {
    return {*quant, {}, 0.0f};
  }
  __device__ __forceinline__ tensor_scale at(const tensor_scale& first, uint32_t /*row*/,
                                             uint32_t /*place*/) const noexcept {
    return first;
  }
};

/// The scales that stand beside the codes.
template <class F>
struct given_scales {
  scaled_matrix<F> matrix;
  scale_finder finder;
  bool one_a_tile;  ///< no tile has parts of two blocks
  [[nodiscard]] __device__ __forceinline__ tensor_scale start(uint32_t row, uint32_t place) const noexcept {
    if (!one_a_tile) return {};
    return from_stored<device_arithmetic>(stored_scale(matrix, finder.index(row, place)));
  }
  __device__ __forceinline__ tensor_scale at(const tensor_scale& first, uint32_t row, uint32_t place) const noexcept {
    if (one_a_tile) return first;
    return from_stored<device_arithmetic>(stored_scale(matrix, finder.index(row, place)));
  }
};

template <bool Vectors, rounding R, overflow O, signed_format F, bulk_source T, class Scales>
__global__ void __launch_bounds__(turned_threads, Vectors && sizeof(T) == 2 && R != rounding::stochastic ? 3 : 2)
    cast_transpose_kernel(matrix_view<const T> x, matrix_view<F> codes, matrix_view<F> turned, Scales scales,
                          encoding_plan plan, float* amax, uint32_t tiles_across) {
  __shared__ alignas(16) uint32_t tile[turned_words];
  __shared__ uint32_t amax_shared[32];
  const int64_t top   = int64_t{blockIdx.x / tiles_across} * turned_tile;
  const int64_t left  = int64_t{blockIdx.x % tiles_across} * turned_tile;
  const int thread    = static_cast<int>(threadIdx.x);
  const int lane      = thread % 32;
  const int warp      = thread / 32;
  const uint32_t seen = amax != nullptr && thread == 0 ? *reinterpret_cast<const volatile uint32_t*>(amax) : 0;

  // A warp has whole lines of eight rows, in each half of the tile: sixteen octets, two groups of four rows.
  const int in_tile   = lane % 16 * octet;
  const int64_t col   = left + in_tile;
  const bool inside   = col < x.cols;
  const auto group_of = [&](int half) { return 16 * half + warp * 2 + lane / 16; };
  neighbours<T> loaded[2][4];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t row = top + group_of(half) * 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      loaded[half][i] = {};
      if (inside && row + i < x.rows) loaded[half][i] = load_neighbours<Vectors>(x, row + i, col);
    }
  }
  const tensor_scale first = scales.start(static_cast<uint32_t>(top), static_cast<uint32_t>(left / octet));
  float largest            = 0.0f;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t row = top + group_of(half) * 4;
    uint32_t low[4];
    uint32_t high[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float v[octet];
      widen(loaded[half][i], v);
      if (amax != nullptr) largest = amax_of(v, largest);
      packed<F, octet> out{};
      if (inside && row + i < x.rows) {
        const auto place = static_cast<uint32_t>(col / octet);
        scale_values(v, scales.at(first, static_cast<uint32_t>(row + i), place), plan.divides);
        out = encode_octet<F, R, O>(v, plan.words, static_cast<uint64_t>((row + i) * x.cols + col));
        store_codes<Vectors>(codes, row + i, col, out);
      }
      low[i]  = out.words[0];
      high[i] = out.words[1];
    }
    turn_bytes(low);
    turn_bytes(high);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      tile[turned_word(in_tile + j, group_of(half))]     = low[j];
      tile[turned_word(in_tile + 4 + j, group_of(half))] = high[j];
    }
  }
  __syncthreads();
  const int64_t below = top + thread % 8 * 16;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int tile_col       = thread / 8 + 32 * i;
    const int64_t source_col = left + tile_col;
    if (source_col >= x.cols || below >= x.rows) continue;
    uint4 words = *reinterpret_cast<const uint4*>(&tile[turned_place(tile_col, thread % 8 * 4)]);
    if (i >= 2) words = make_uint4(words.z, words.w, words.x, words.y);
    const packed<F, 16> down{{words.x, words.y, words.z, words.w}};
    F* const at = turned.data + source_col * turned.row_stride + below * turned.col_stride;
    if constexpr (Vectors) {
      *reinterpret_cast<packed<F, 16>*>(at) = down;
    } else {
#pragma unroll
      for (int j = 0; j < 16; ++j) {
        if (below + j < x.rows) at[j * turned.col_stride] = down[j];
      }
    }
  }
  if (amax != nullptr) raise_amax<turned_threads>(amax, seen, largest, amax_shared);
}

#if !QUAVER_NVRTC

/// How cast_transpose works.
struct cast_transpose_options {
  scale_application application = scale_application::multiply;  ///< scales beside the codes: x * quant or x / dequant
  random_words words            = {};  ///< rounding::stochastic: element (r, c) of the source uses first + r * cols + c
  /// Device memory, or null: raised to the largest magnitude of x before scaling, for delayed scaling. Zeroed by the
  /// caller when a new measurement begins; NaN (7FC00000) if any x was NaN.
  float* amax = nullptr;
};

/// What both forms check.
template <class F, bulk_source T>
status check_cast_transpose(const matrix_view<const T>& x, const matrix_view<F>& codes, const matrix_view<F>& turned,
                            const cast_transpose_options& options, const device_limits& device) {
  const std::string name = "cast_transpose";
  if (status bad = check_device_view(name + ": the input", x, device); !bad.ok()) return bad;
  if (status bad = check_device_view(name + ": the codes", codes, device); !bad.ok()) return bad;
  if (status bad = check_device_view(name + ": the transposed codes", turned, device); !bad.ok()) return bad;
  if (status bad = check_same_shape(name, x, codes); !bad.ok()) return bad;
  if (turned.rows != x.cols || turned.cols != x.rows) {
    return invalid(name + ": the input is " + shape_text(x.rows, x.cols) + ", the transposed codes " +
                   shape_text(turned.rows, turned.cols));
  }
  if (overlaps(x.data, span_bytes(x), codes.data, span_bytes(codes)) ||
      overlaps(x.data, span_bytes(x), turned.data, span_bytes(turned)) ||
      overlaps(codes.data, span_bytes(codes), turned.data, span_bytes(turned))) {
    return invalid(name + ": the input (" + shape_text(x.rows, x.cols) + ") and the outputs overlap");
  }
  const int64_t down  = (x.rows + turned_tile - 1) / turned_tile;
  const int64_t right = (x.cols + turned_tile - 1) / turned_tile;
  int64_t tiles       = 0;
  if (__builtin_mul_overflow(down, right, &tiles) || tiles >= int64_t{1} << 31 || x.rows >= int64_t{1} << 31) {
    return {status_code::unsupported, name + ": " + shape_text(x.rows, x.cols) +
                                          " elements are more than one launch takes (2^31 tiles of 128 x 128)"};
  }
  return check_number(name + ": the amax", options.amax, false, device);
}

template <rounding R, overflow O, class F, bulk_source T, class Scales>
status launch_cast_transpose(const matrix_view<const T>& x, const matrix_view<F>& codes, const matrix_view<F>& turned,
                             const Scales& scales, const cast_transpose_options& options, cudaStream_t stream) {
  encoding_plan plan{};
  plan.divides     = options.application == scale_application::divide;
  plan.words       = options.words;
  const auto down  = static_cast<uint32_t>((x.rows + turned_tile - 1) / turned_tile);
  const auto right = static_cast<uint32_t>((x.cols + turned_tile - 1) / turned_tile);
  const bool vectors =
      has_whole_groups<octet, 16>(x) && has_whole_groups<octet, 8>(codes) && has_whole_groups<16, 16>(turned);
  return with_vectors(vectors, [&]<bool Vectors>() {
    return launch("cast_transpose", &cast_transpose_kernel<Vectors, R, O, F, T, Scales>,
                  launch_shape{int64_t{down} * right, turned_threads}, stream, x, codes, turned, scales, plan,
                  options.amax, right);
  });
}

/// codes(r, c) = turned(c, r) = encode(x(r, c) * *quant), in one pass, the scale lying in device memory. All strides
/// positive; by vectors where rows of x begin at multiples of 16 bytes and of codes at 8, both of them whole octets, and
/// rows of the transposed codes are whole sixteens at multiples of 16. The bytes are those of cpu::encode_n; stochastic
/// rounding takes the words of the position in x for both outputs. `stream` orders it; it may be captured.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<F>
status cast_transpose(const matrix_view<const T>& x, const quant_scale* quant, const matrix_view<F>& codes,
                      const matrix_view<F>& turned, const cast_transpose_options& options = {},
                      cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_cast_transpose(x, codes, turned, options, *device); !bad.ok()) return bad;
  if (x.rows == 0 || x.cols == 0) return {};
  if (status bad = check_number("cast_transpose: the scale", quant, true, *device); !bad.ok()) return bad;
  return launch_cast_transpose<R, O>(x, codes, turned, one_scale{quant}, options, stream);
}

/// The same with the scales that stand beside the codes, as cpu::quantize takes given ones: any layout whose blocks are a
/// multiple of 8 columns wide, or whole rows, or all. The transposed codes have the same scales, transposed.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<F>
status cast_transpose(const matrix_view<const T>& x, const scaled_matrix<F>& codes, const matrix_view<F>& turned,
                      const cast_transpose_options& options = {}, cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_cast_transpose(x, codes.values, turned, options, *device); !bad.ok()) return bad;
  if (status bad = check_codes("cast_transpose", codes, x.rows, x.cols, *device); !bad.ok()) return bad;
  if (x.rows == 0 || x.cols == 0) return {};
  if (scales_overlap(codes, codes.values.data, span_bytes(codes.values)) ||
      scales_overlap(codes, turned.data, span_bytes(turned))) {
    return invalid("cast_transpose: the scales overlap the codes (" + shape_text(x.rows, x.cols) + ")");
  }
  if (!scale_finder::fits(codes.layout, x.rows, x.cols, octet)) {
    return {status_code::unsupported,
            "cast_transpose: blocks of " + shape_text(codes.layout.block_rows, codes.layout.block_cols) + " over " +
                shape_text(x.rows, x.cols) + " elements: widths are multiples of 8, extents below 2^31"};
  }
  const scale_layout& layout = codes.layout;
  const bool one_a_tile      = layout.block_rows % turned_tile == 0 && layout.block_cols % turned_tile == 0;
  const given_scales<F> scales{codes, scale_finder(layout, x.rows, x.cols, octet), one_a_tile};
  return launch_cast_transpose<R, O>(x, codes.values, turned, scales, options, stream);
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
