// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_OCTET_CUH
#define QUAVER_CUDA_QUANTIZE_OCTET_CUH

#include <quaver/cuda/quantize/chunk.cuh>

// Elements of a row as the fused kernels hold them: eight neighbours a thread, which are 16 bytes of half or bfloat16, so
// that a warp's loads and its stores of codes both cover memory without gaps. They stay packed as they were loaded until
// they are needed, in half the registers that floats would take.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The elements of one octet.
inline constexpr int octet = 8;

/// n / d and what is left, for groups counted by a kernel.
__device__ __forceinline__ void divide_index(const chunk_divider& d, uint32_t n, uint32_t& quotient,
                                             uint32_t& rest) noexcept {
  quotient = d.quotient(n);
  rest     = d.rest(n, quotient);
}

/// A chunk of a source.
template <bool Vectors, class Source>
__device__ __forceinline__ void load_values(const Source& x, int64_t row, int64_t col, float (&v)[chunk]) noexcept {
  x.template values<Vectors>(x.template fetch<Vectors>(row, col, make_hint<keeping::normal>()), v);
}

/// Whether others on this multiprocessor read the same: what one thread reads once need not stay in the first-level cache.
enum class use : uint8_t { once, shared };

template <use Times>
__device__ __forceinline__ uint4 load_words(const void* address) noexcept {
  if constexpr (Times == use::shared) return *static_cast<const uint4*>(address);
  uint4 words;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "l"(address));
  return words;
}

/// N neighbours as they lie in memory: 16 bytes, or several times 16.
template <bulk_source T, size_t N = octet>
struct neighbours {
  static constexpr int word_count = static_cast<int>(N * sizeof(T)) / 4;
  static_assert(word_count % 4 == 0);
  uint32_t words[static_cast<size_t>(word_count)];
};

/// Whether the rows of a view consist of whole groups of `Together` elements that begin at multiples of `Bytes`.
template <int Together, int Bytes, class T>
constexpr bool has_whole_groups(const matrix_view<T>& x) noexcept {
  return x.col_stride == 1 && x.cols % Together == 0 && reinterpret_cast<uintptr_t>(x.data) % Bytes == 0 &&
         (x.rows == 1 || x.row_stride * static_cast<int64_t>(sizeof(T)) % Bytes == 0);
}

/// Elements (row, col) to (row, col + N - 1): by vectors, or one by one with zeros beyond the last column.
template <bool Vectors, use Times = use::once, size_t N = octet, bulk_source T>
__device__ __forceinline__ neighbours<T, N> load_neighbours(const matrix_view<const T>& x, int64_t row,
                                                            int64_t col) noexcept {
  const T* const at    = x.data + row * x.row_stride + col * x.col_stride;
  neighbours<T, N> got = {};
  if constexpr (Vectors) {
#pragma unroll
    for (int i = 0; i < got.word_count; i += 4) {
      const uint4 part = load_words<Times>(reinterpret_cast<const char*>(at) + 4 * i);
      got.words[i]     = part.x;
      got.words[i + 1] = part.y;
      got.words[i + 2] = part.z;
      got.words[i + 3] = part.w;
    }
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(N); ++i) {
      if (col + i >= x.cols) continue;
      if constexpr (same_type<T, float>) got.words[i] = bitwise_cast<uint32_t>(at[i * x.col_stride]);
      else got.words[i / 2] |= static_cast<uint32_t>(at[i * x.col_stride].bits()) << (i % 2 * 16);
    }
  }
  return got;
}

template <bool Vectors, bulk_source T, size_t N>
__device__ __forceinline__ void store_neighbours(const matrix_view<T>& y, int64_t row, int64_t col,
                                                 const neighbours<T, N>& what) noexcept {
  T* const at = y.data + row * y.row_stride + col * y.col_stride;
  if constexpr (Vectors) {
#pragma unroll
    for (int i = 0; i < what.word_count; i += 4) {
      *reinterpret_cast<uint4*>(reinterpret_cast<char*>(at) + 4 * i) =
          make_uint4(what.words[i], what.words[i + 1], what.words[i + 2], what.words[i + 3]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(N); ++i) {
      if (col + i >= y.cols) continue;
      if constexpr (same_type<T, float>) at[i * y.col_stride] = bitwise_cast<float>(what.words[i]);
      else at[i * y.col_stride] = T::from_bits(static_cast<uint16_t>(what.words[i / 2] >> (i % 2 * 16)));
    }
  }
}

/// The elements as floats.
template <bulk_source T, size_t N>
__device__ __forceinline__ void widen(const neighbours<T, N>& x, float (&v)[N]) noexcept {
#pragma unroll
  for (int i = 0; i < x.word_count; ++i) {
    if constexpr (same_type<T, float>) v[i] = bitwise_cast<float>(x.words[i]);
    else split<T>(x.words[i], v[2 * i], v[2 * i + 1]);
  }
}

/// True where one of two values is NaN, or `so_far` is.
__device__ __forceinline__ uint32_t has_nan(float a, float b, uint32_t so_far) noexcept {
  asm("{\n .reg .pred nan;\n setp.nan.f32 nan, %1, %2;\n @nan mov.u32 %0, 1;\n}" : "+r"(so_far) : "f"(a), "f"(b));
  return so_far;
}

/// Floats rounded to T, to nearest even, every NaN made T's. NaNs are rare, so they are looked for together.
template <bulk_source T, size_t N>
__device__ __forceinline__ neighbours<T, N> narrow(float (&v)[N]) noexcept {
  uint32_t nan = 0;
#pragma unroll
  for (int i = 0; i < static_cast<int>(N); i += 2) nan = has_nan(v[i], v[i + 1], nan);
  neighbours<T, N> rounded;
#pragma unroll
  for (int i = 0; i < rounded.word_count; ++i) {
    if constexpr (same_type<T, float>) rounded.words[i] = bitwise_cast<uint32_t>(v[i]);
    else if constexpr (same_type<T, bfloat16>) rounded.words[i] = ptx::floats_to_bfloat16s(v[2 * i], v[2 * i + 1]);
    else rounded.words[i] = ptx::floats_to_halves(v[2 * i], v[2 * i + 1]);
  }
  if (nan == 0) return rounded;
#pragma unroll
  for (int i = 0; i < rounded.word_count; ++i) {
    if constexpr (same_type<T, float>) {
      rounded.words[i] = canonical_nan(rounded.words[i]);
    } else {
      constexpr uint32_t wrong = 0x7FFF;  // what the instructions make of NaN
      constexpr uint32_t right = T::nan().bits();
      uint32_t low             = rounded.words[i] & 0xFFFF;
      uint32_t high            = rounded.words[i] >> 16;
      low                      = low == wrong ? right : low;
      high                     = high == wrong ? right : high;
      rounded.words[i]         = low | high << 16;
    }
  }
  return rounded;
}

template <size_t N>
__device__ __forceinline__ float amax_of(const float (&v)[N], float so_far = 0.0f) noexcept {
#pragma unroll
  for (int i = 0; i < static_cast<int>(N); ++i) so_far = larger_magnitude(so_far, v[i]);
  return so_far;
}

/// A value times its scale, or over it: rounded once.
template <size_t N>
__device__ __forceinline__ void scale_values(float (&v)[N], const tensor_scale& scale, bool divides) noexcept {
  const bool by_zero = (bitwise_cast<uint32_t>(scale.quant.value()) & binary<float>::magnitude_mask) == 0;
  if (divides && !by_zero) {
#pragma unroll
    for (int i = 0; i < static_cast<int>(N); ++i) v[i] = divide(v[i], scale.dequant.value());
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(N); ++i) v[i] = multiply(v[i], scale.quant.value());
  }
}

/// The codes of scaled values. `first` is the row-major position of the first in the source.
template <signed_format F, rounding R, overflow O>
__device__ __forceinline__ packed<F, octet> encode_octet(const float (&v)[octet], const random_words& words,
                                                         uint64_t first) noexcept {
  if constexpr (R == rounding::stochastic) {
    // Three blocks of four words have the eight, wherever the first stands in its block.
    uint32_t all[octet + 4];
    const uint64_t word = words.first + first;
    const auto offset   = static_cast<int>(word % 4);
#pragma unroll
    for (int i = 0; i < octet + 4; i += 4) {
      const philox_block block = philox_words(words.seed, word / 4 + static_cast<uint64_t>(i / 4));
#pragma unroll
      for (int j = 0; j < 4; ++j) all[i + j] = block.word[j];
    }
    uint32_t random[octet];
#pragma unroll
    for (int i = 0; i < octet; ++i) {
      random[i] = offset == 0 ? all[i] : offset == 1 ? all[i + 1] : offset == 2 ? all[i + 2] : all[i + 3];
    }
    return encode_xn<F, R, O>(v, random);
  } else {
    return encode_xn<F, R, O>(v);
  }
}

/// Writes codes: as one vector, or one by one up to the last column.
template <bool Vectors, class F>
__device__ __forceinline__ void store_codes(const matrix_view<F>& y, int64_t row, int64_t col,
                                            const packed<F, octet>& codes) noexcept {
  F* const at = y.data + row * y.row_stride + col * y.col_stride;
  if constexpr (Vectors) {
    *reinterpret_cast<packed<F, octet>*>(at) = codes;
  } else {
#pragma unroll
    for (int i = 0; i < octet; ++i) {
      if (col + i < y.cols) at[i * y.col_stride] = codes[i];
    }
  }
}

/// Where the scale of a group of neighbours stands, without a division: for blocks that no group crosses and extents below
/// 2^31.
class scale_finder {
 public:
  /// Whether no group of `together` columns crosses from one block to the next.
  static bool fits(const scale_layout& layout, int64_t rows, int64_t cols, int together) noexcept {
    const int64_t most = (int64_t{1} << 31) - 1;
    return layout.block_cols % together == 0 && rows < most && cols / together < most - 1;
  }
  scale_finder(const scale_layout& layout, int64_t rows, int64_t cols, int together) noexcept
      : down_(static_cast<uint32_t>(layout.block_rows == 0 ? INT32_MAX : layout.block_rows)),
        right_(static_cast<uint32_t>(layout.block_cols == 0 ? INT32_MAX : layout.block_cols / together)),
        places_(layout.places(rows, cols)) {}
  /// `place` counts groups.
  __device__ __forceinline__ int64_t index(uint32_t row, uint32_t place) const noexcept {
    uint32_t down;
    uint32_t right;
    uint32_t rest;
    divide_index(down_, row, down, rest);
    divide_index(right_, place, right, rest);
    return places_.at(down, right);
  }

 private:
  chunk_divider down_;
  chunk_divider right_;
  scale_places places_;
};

/// The stored scale with this index: what scaled_matrix::dequant reads.
template <class F>
__device__ __forceinline__ float stored_scale(const scaled_matrix<F>& matrix, int64_t at) noexcept {
  switch (matrix.layout.type) {
    case scale_type::f32: return matrix.scales[at];
    case scale_type::mx_e8m0: return bitwise_cast<float>(decode_to_float_bits(matrix.scales_e8m0[at]));
    case scale_type::nvfp4_e4m3:
      return multiply(bitwise_cast<float>(decode_to_float_bits(matrix.scales_e4m3[at])), *matrix.tensor_wide);
  }
  return 0.0f;
}

/// Stores a scale at this index.
template <class F>
__device__ __forceinline__ void put_scale_at(const scaled_matrix<F>& out, int64_t at, const made_scale& made) noexcept {
  switch (out.layout.type) {
    case scale_type::f32: out.scales[at] = made.f32; break;
    case scale_type::mx_e8m0: out.scales_e8m0[at] = made.mx; break;
    case scale_type::nvfp4_e4m3: out.scales_e4m3[at] = made.nvfp4; break;
  }
}

/// Raises *amax, a magnitude, to the largest of the thread block: for a float that the caller has zeroed. Every NaN counts
/// as 7FC00000, above infinity. `seen` is what stood there earlier: most thread blocks have nothing larger and add nothing
/// to the queue at one address. `shared` has 32 words.
template <int Threads>
__device__ __forceinline__ void raise_amax(float* amax, uint32_t seen, float mine, uint32_t* shared) noexcept {
  const uint32_t bits = canonical_nan(bitwise_cast<uint32_t>(mine) & binary<float>::magnitude_mask);
  const uint32_t warp = __reduce_max_sync(0xFFFF'FFFFu, bits);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = warp;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  const uint32_t largest = __reduce_max_sync(0xFFFF'FFFFu, threadIdx.x < Threads / 32 ? shared[threadIdx.x] : 0);
  if (threadIdx.x == 0 && largest > seen) atomicMax(reinterpret_cast<unsigned*>(amax), largest);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
