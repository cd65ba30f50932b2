// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_SOURCE_CUH
#define QUAVER_CUDA_QUANTIZE_SOURCE_CUH

#include <quaver/convert/elements.hpp>
#include <quaver/cuda/arithmetic.cuh>
#include <quaver/cuda/launch.cuh>
#include <quaver/cuda/ptx/cvt.cuh>
#include <quaver/problem/activation.hpp>
#include <quaver/tensor/matrix_view.hpp>

// What is quantised: a matrix in memory, or one that is computed on the way from others and never stored. A source is
// plain data that a kernel takes by value; element (r, c) is a binary32, and 16 neighbours come at once. A type of a
// user's own works as well:
//
//     rows, cols           extents
//     vectors()            on the host: whether load<true> may be used: cols a multiple of 16 and every address that it
//                          reads a multiple of 16 bytes
//     check(device)        on the host: what is wrong with its shapes and pointers, as a status
//     touches(data, bytes) on the host: whether it reads any of these bytes
//     load<Vectors>(r, c, v)   on the device: the elements (r, c) to (r, c + 15); without Vectors those beyond the last
//                          column are 0

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The elements that a thread handles together.
inline constexpr int chunk = 16;

/// Whether rows of a view consist of whole aligned chunks.
template <class T>
constexpr bool has_whole_chunks(const matrix_view<T>& x) noexcept {
  return x.col_stride == 1 && x.cols % chunk == 0 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0 &&
         (x.rows == 1 || x.row_stride * static_cast<int64_t>(sizeof(T)) % 16 == 0);
}

/// How often a chunk is read: what one thread reads once need not stay in the first-level cache.
enum class reading : uint8_t { once, often };

template <reading Times>
__device__ __forceinline__ uint4 load_16_bytes(const void* address) noexcept {
  if constexpr (Times == reading::often) return *static_cast<const uint4*>(address);
  uint4 word;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(word.x), "=r"(word.y), "=r"(word.z), "=r"(word.w)
               : "l"(address));
  return word;
}

template <bulk_source T>
__device__ __forceinline__ float element_value(T x) noexcept {
  if constexpr (same_type<T, float>) return x;
  else if constexpr (same_type<T, bfloat16>) return bitwise_cast<float>(static_cast<uint32_t>(x.bits()) << 16);
  else return ptx::half_to_float(x.bits());
}

/// Two neighbours in a 32-bit word as floats.
template <class T>
__device__ __forceinline__ void split(uint32_t word, float& low, float& high) noexcept {
  if constexpr (same_type<T, bfloat16>) {
    low  = bitwise_cast<float>(word << 16);
    high = bitwise_cast<float>(word & 0xFFFF'0000u);
  } else {
    low  = ptx::half_to_float(static_cast<uint16_t>(word));
    high = ptx::half_to_float(static_cast<uint16_t>(word >> 16));
  }
}

/// A chunk of a view: by vectors, or element by element with zeros beyond the last column.
template <bool Vectors, reading Times = reading::once, bulk_source T>
__device__ __forceinline__ void load_chunk(const matrix_view<const T>& x, int64_t row, int64_t col,
                                           float (&v)[chunk]) noexcept {
  const T* const at = x.data + row * x.row_stride + col * x.col_stride;
  if constexpr (Vectors) {
    constexpr int loads = chunk * static_cast<int>(sizeof(T)) / 16;
    uint4 words[loads];
#pragma unroll
    for (int i = 0; i < loads; ++i) words[i] = load_16_bytes<Times>(reinterpret_cast<const char*>(at) + 16 * i);
#pragma unroll
    for (int i = 0; i < loads; ++i) {
      if constexpr (same_type<T, float>) {
        v[4 * i]     = bitwise_cast<float>(words[i].x);
        v[4 * i + 1] = bitwise_cast<float>(words[i].y);
        v[4 * i + 2] = bitwise_cast<float>(words[i].z);
        v[4 * i + 3] = bitwise_cast<float>(words[i].w);
      } else {
        split<T>(words[i].x, v[8 * i], v[8 * i + 1]);
        split<T>(words[i].y, v[8 * i + 2], v[8 * i + 3]);
        split<T>(words[i].z, v[8 * i + 4], v[8 * i + 5]);
        split<T>(words[i].w, v[8 * i + 6], v[8 * i + 7]);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < chunk; ++i) v[i] = col + i < x.cols ? element_value(at[i * x.col_stride]) : 0.0f;
  }
}

/// A matrix in memory.
template <bulk_source T>
struct matrix_source {
  matrix_view<const T> x;
  int64_t rows;
  int64_t cols;

  explicit matrix_source(const matrix_view<const T>& view) noexcept : x(view), rows(view.rows), cols(view.cols) {}
  [[nodiscard]] bool vectors() const noexcept { return has_whole_chunks(x); }
  [[nodiscard]] status check(const device_limits& device) const { return check_device_view("the input", x, device); }
  [[nodiscard]] bool touches(const void* data, size_t bytes) const noexcept {
    return overlaps(x.data, span_bytes(x), data, bytes);
  }
  template <bool Vectors>
  __device__ __forceinline__ void load(int64_t row, int64_t col, float (&v)[chunk]) const noexcept {
    load_chunk<Vectors>(x, row, col, v);
  }
};

/// silu(gate) * up, each step rounded once in binary32: what stands between the two products of a SwiGLU feed-forward
/// layer. Where one matrix has both side by side, the views are its halves.
template <bulk_source T>
struct silu_mul_source {
  matrix_view<const T> gate;
  matrix_view<const T> up;
  int64_t rows;
  int64_t cols;

  silu_mul_source(const matrix_view<const T>& gate_view, const matrix_view<const T>& up_view) noexcept
      : gate(gate_view), up(up_view), rows(gate_view.rows), cols(gate_view.cols) {}
  [[nodiscard]] bool vectors() const noexcept { return has_whole_chunks(gate) && has_whole_chunks(up); }
  [[nodiscard]] status check(const device_limits& device) const {
    if (status bad = check_device_view("the gate", gate, device); !bad.ok()) return bad;
    if (status bad = check_device_view("the up projection", up, device); !bad.ok()) return bad;
    if (gate.rows == up.rows && gate.cols == up.cols) return {};
    return invalid("the gate is " + shape_text(gate.rows, gate.cols) + ", the up projection " +
                   shape_text(up.rows, up.cols));
  }
  [[nodiscard]] bool touches(const void* data, size_t bytes) const noexcept {
    return overlaps(gate.data, span_bytes(gate), data, bytes) || overlaps(up.data, span_bytes(up), data, bytes);
  }
  template <bool Vectors>
  __device__ __forceinline__ void load(int64_t row, int64_t col, float (&v)[chunk]) const noexcept {
    float factor[chunk];
    load_chunk<Vectors>(gate, row, col, v);
    load_chunk<Vectors>(up, row, col, factor);
    const rounded_operations op;
#pragma unroll
    for (int i = 0; i < chunk; ++i) {
      v[i] = multiply(bitwise_cast<float>(silu_of_number(bitwise_cast<uint32_t>(v[i]), op)), factor[i]);
    }
  }
};

/// act(x + bias), each step rounded once in binary32; `bias` has a value for each column.
template <bulk_source T, activation Act>
struct bias_activation_source {
  matrix_view<const T> x;
  matrix_view<const T> bias;  ///< 1 x cols
  int64_t rows;
  int64_t cols;

  bias_activation_source(const matrix_view<const T>& view, const T* bias_values) noexcept
      : x(view), bias(bias_values, 1, view.cols), rows(view.rows), cols(view.cols) {}
  [[nodiscard]] bool vectors() const noexcept { return has_whole_chunks(x) && has_whole_chunks(bias); }
  [[nodiscard]] status check(const device_limits& device) const {
    if (status bad = check_device_view("the input", x, device); !bad.ok()) return bad;
    return check_device_view("the bias", bias, device);
  }
  [[nodiscard]] bool touches(const void* data, size_t bytes) const noexcept {
    return overlaps(x.data, span_bytes(x), data, bytes) || overlaps(bias.data, span_bytes(bias), data, bytes);
  }
  template <bool Vectors>
  __device__ __forceinline__ void load(int64_t row, int64_t col, float (&v)[chunk]) const noexcept {
    float b[chunk];
    load_chunk<Vectors>(x, row, col, v);
    load_chunk<Vectors, reading::often>(bias, 0, col, b);
    const rounded_operations op;
#pragma unroll
    for (int i = 0; i < chunk; ++i) {
      const uint32_t sum = canonical_nan(bitwise_cast<uint32_t>(add(v[i], b[i])));
      v[i]               = bitwise_cast<float>(activate_bits(Act, sum, op));
    }
  }
};

template <class S>
concept quantize_source = requires(const S& s, const device_limits& device) {
  s.rows;
  s.cols;
  s.vectors();
  s.check(device);
  s.touches(nullptr, size_t{0});
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
