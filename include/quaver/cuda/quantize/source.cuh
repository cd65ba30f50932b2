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
//     vectors()            on the host: whether fetch<true> may be used: cols a multiple of 16 and every address that it
//                          reads a multiple of 16 bytes
//     check(device)        on the host: what is wrong with its shapes and pointers, as a status
//     touches(data, bytes) on the host: whether it reads any of these bytes
//     bytes()              on the host: how many it reads
//     fetch<Vectors>(r, c, hint)   on the device: what the elements (r, c) to (r, c + 15) are made of, as it lies in
//                          memory. It computes nothing, so that several fetches are under way before one is waited for;
//                          `hint` is for what only this chunk reads
//     values(fetched, v)   on the device: those elements; where Vectors is false those beyond the last column are 0

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The elements that a thread handles together.
inline constexpr int chunk = 16;

/// Whether rows of a view consist of whole aligned chunks.
template <class T>
constexpr bool has_whole_chunks(const matrix_view<T>& x) noexcept {
  constexpr int aligned = is_pair<T> ? 8 : 16;  // a chunk of codes is a vector of 16 bytes, or of 8
  return x.col_stride == 1 && x.cols % chunk == 0 && reinterpret_cast<uintptr_t>(x.data) % aligned == 0 &&
         (x.rows == 1 || x.row_stride * static_cast<int64_t>(sizeof(T)) % aligned == 0);
}

/// How long what is read should stay in the second-level cache, beside what else comes through it. As the instructions
/// take it: see make_hint.
using cache_hint = uint64_t;

enum class keeping : uint8_t { normal, first_to_go, last_to_go };

template <keeping Keeping>
__device__ __forceinline__ cache_hint make_hint() noexcept {
  cache_hint hint;
  if constexpr (Keeping == keeping::normal) asm("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(hint));
  if constexpr (Keeping == keeping::first_to_go)
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(hint));
  if constexpr (Keeping == keeping::last_to_go) asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(hint));
  return hint;
}

/// 16 bytes that nobody else on this multiprocessor reads: they need not stay in the first-level cache.
__device__ __forceinline__ uint4 load_16_bytes(const void* address, cache_hint hint) noexcept {
  uint4 word;
  asm volatile("ld.global.L1::no_allocate.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
               : "=r"(word.x), "=r"(word.y), "=r"(word.z), "=r"(word.w)
               : "l"(address), "l"(hint));
  return word;
}
/// 16 bytes that others read too.
__device__ __forceinline__ uint4 load_16_bytes(const void* address) noexcept {
  return *static_cast<const uint4*>(address);
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

/// A chunk of a view as it lies in memory.
template <bool Vectors, bulk_source T>
struct raw_chunk {
  static constexpr int words = chunk * static_cast<int>(sizeof(T)) / 16;
  uint4 word[static_cast<size_t>(words)];
};
/// A chunk that was read element by element.
template <bulk_source T>
struct raw_chunk<false, T> {
  float value[chunk];
};

/// Reads a chunk of a view: by vectors, or element by element with zeros beyond the last column.
template <bool Vectors, bulk_source T, class... Hint>
__device__ __forceinline__ raw_chunk<Vectors, T> fetch_chunk(const matrix_view<const T>& x, int64_t row, int64_t col,
                                                             Hint... hint) noexcept {
  raw_chunk<Vectors, T> raw;
  const T* const at = x.data + row * x.row_stride + col * x.col_stride;
  if constexpr (Vectors) {
#pragma unroll
    for (int i = 0; i < raw.words; ++i)
      raw.word[i] = load_16_bytes(reinterpret_cast<const char*>(at) + 16 * i, hint...);
  } else {
#pragma unroll
    for (int i = 0; i < chunk; ++i) raw.value[i] = col + i < x.cols ? element_value(at[i * x.col_stride]) : 0.0f;
  }
  return raw;
}

/// Its elements.
template <bool Vectors, bulk_source T>
__device__ __forceinline__ void unpack_chunk(const raw_chunk<Vectors, T>& raw, float (&v)[chunk]) noexcept {
  if constexpr (!Vectors) {
#pragma unroll
    for (int i = 0; i < chunk; ++i) v[i] = raw.value[i];
  } else {
#pragma unroll
    for (int i = 0; i < raw.words; ++i) {
      const uint32_t words[4] = {raw.word[i].x, raw.word[i].y, raw.word[i].z, raw.word[i].w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if constexpr (same_type<T, float>) v[4 * i + j] = bitwise_cast<float>(words[j]);
        else split<T>(words[j], v[8 * i + 2 * j], v[8 * i + 2 * j + 1]);
      }
    }
  }
}

/// Two chunks that belong together.
template <class First, class Second>
struct raw_pair {
  First first;
  Second second;
};

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
  [[nodiscard]] int64_t bytes() const noexcept { return rows * cols * static_cast<int64_t>(sizeof(T)); }
  /// Asks the second-level cache for a chunk: a hint, which reads nothing that another kernel may still be writing.
  __device__ __forceinline__ void will_fetch(int64_t row, int64_t col) const noexcept {
    const T* const at = x.data + row * x.row_stride + col;
    asm volatile("prefetch.global.L2 [%0];" ::"l"(at));
    if constexpr (sizeof(T) == 4) asm volatile("prefetch.global.L2 [%0];" ::"l"(at + chunk / 2));
  }
  template <bool Vectors>
  __device__ __forceinline__ raw_chunk<Vectors, T> fetch(int64_t row, int64_t col, cache_hint hint) const noexcept {
    return fetch_chunk<Vectors>(x, row, col, hint);
  }
  template <bool Vectors>
  __device__ __forceinline__ void values(const raw_chunk<Vectors, T>& raw, float (&v)[chunk]) const noexcept {
    unpack_chunk(raw, v);
  }
};

/// An activation of any four values, which NaN may be among. Rarely called, and so not copied to where it is.
template <activation Act>
__device__ __noinline__ float4 activate_any(float4 v) noexcept {
  const auto one = [](float x) {
    return bitwise_cast<float>(activate_bits(Act, canonical_nan(bitwise_cast<uint32_t>(x)), rounded_operations()));
  };
  return make_float4(one(v.x), one(v.y), one(v.z), one(v.w));
}

/// An activation of a chunk, four values at a time: where all of these are near zero, as most are, by the short sequence,
/// which gives the bits of the one for all.
template <activation Act>
__device__ __forceinline__ void activate_chunk(float (&v)[chunk]) noexcept {
  const rounded_operations op;
  constexpr int together = 4;
#pragma unroll
  for (int i = 0; i < chunk; i += together) {
    bool is_near = true;
#pragma unroll
    for (int j = i; j < i + together; ++j) {
      if constexpr (Act == activation::gelu) is_near = is_near && v[j] >= -gelu_near_end;
      else is_near = is_near && __builtin_fabsf(v[j]) < silu_near_end;
    }
    if (is_near) {
#pragma unroll
      for (int j = i; j < i + together; ++j) {
        if constexpr (Act == activation::gelu) v[j] = gelu_of_near(v[j], op);
        else v[j] = silu_of_near(v[j], op);
      }
    } else {
      const float4 y = activate_any<Act>(make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]));
      v[i]           = y.x;
      v[i + 1]       = y.y;
      v[i + 2]       = y.z;
      v[i + 3]       = y.w;
    }
  }
}

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
  [[nodiscard]] int64_t bytes() const noexcept { return 2 * rows * cols * static_cast<int64_t>(sizeof(T)); }
  template <bool Vectors>
  using raw = raw_pair<raw_chunk<Vectors, T>, raw_chunk<Vectors, T>>;
  template <bool Vectors>
  __device__ __forceinline__ raw<Vectors> fetch(int64_t row, int64_t col, cache_hint hint) const noexcept {
    return {fetch_chunk<Vectors>(gate, row, col, hint), fetch_chunk<Vectors>(up, row, col, hint)};
  }
  template <bool Vectors>
  __device__ __forceinline__ void values(const raw<Vectors>& pair, float (&v)[chunk]) const noexcept {
    float factor[chunk];
    unpack_chunk(pair.first, v);
    unpack_chunk(pair.second, factor);
    activate_chunk<activation::silu>(v);
#pragma unroll
    for (int i = 0; i < chunk; ++i) v[i] = multiply(v[i], factor[i]);
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
  [[nodiscard]] int64_t bytes() const noexcept { return rows * cols * static_cast<int64_t>(sizeof(T)); }
  template <bool Vectors>
  using raw = raw_pair<raw_chunk<Vectors, T>, raw_chunk<Vectors, T>>;
  template <bool Vectors>
  __device__ __forceinline__ raw<Vectors> fetch(int64_t row, int64_t col, cache_hint hint) const noexcept {
    return {fetch_chunk<Vectors>(x, row, col, hint), fetch_chunk<Vectors>(bias, 0, col)};
  }
  template <bool Vectors>
  __device__ __forceinline__ void values(const raw<Vectors>& pair, float (&v)[chunk]) const noexcept {
    float b[chunk];
    unpack_chunk(pair.first, v);
    unpack_chunk(pair.second, b);
#pragma unroll
    for (int i = 0; i < chunk; ++i) v[i] = add(v[i], b[i]);
    if constexpr (Act == activation::gelu || Act == activation::silu) activate_chunk<Act>(v);
    if constexpr (Act == activation::relu) {
#pragma unroll
      for (int i = 0; i < chunk; ++i)
        v[i] =
            bitwise_cast<float>(activate_bits(Act, canonical_nan(bitwise_cast<uint32_t>(v[i])), rounded_operations()));
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
  s.bytes();
};

/// What a source fetches for a chunk.
template <class T>
T& some();  // never called
template <class Source, bool Vectors>
using fetched = decltype(some<const Source>().template fetch<Vectors>(0, 0, 0));

/// True where a chunk's values are there without arithmetic, and little else is in registers.
template <class Source>
inline constexpr bool is_plain = false;
template <bulk_source T>
inline constexpr bool is_plain<matrix_source<T>> = true;

/// True for kernels that find enough registers with twice as many threads on a multiprocessor as others.
template <class Source, bool Vectors, bool Stochastic = false>
inline constexpr bool is_light = is_plain<Source> && Vectors && !Stochastic;

/// How many chunks of a source to fetch at a time so that they take `words` registers at most, or half as many where
/// computing the values takes some too; one at least.
template <class Source, bool Vectors>
QUAVER_HOST_DEVICE constexpr int chunks_in(int words) noexcept {
  constexpr int each = static_cast<int>(sizeof(fetched<Source, Vectors>) / 4);
  const int room     = is_plain<Source> ? words : words / 2;
  return room / each < 1 ? 1 : room / each;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
