// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_CHUNK_CUH
#define QUAVER_CUDA_QUANTIZE_CHUNK_CUH

#include <quaver/base/philox.hpp>
#include <quaver/cuda/convert.cuh>
#include <quaver/cuda/quantize/source.cuh>
#include <quaver/tensor/store_scale.hpp>

// What every quantisation kernel does with the 16 values that a thread holds: their amax, the scale, the codes.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The arithmetic of scales on the device, which gives what the integers on the host do.
struct device_arithmetic {
  __device__ static float multiply(float a, float b) noexcept { return cuda::multiply(a, b); }
  __device__ static float divide(float a, float b) noexcept { return cuda::divide(a, b); }
};

/// The larger magnitude; NaN is larger than everything.
__device__ __forceinline__ float larger_magnitude(float a, float b) noexcept {
  float larger;
  asm("{\n .reg .f32 x, y;\n abs.f32 x, %1;\n abs.f32 y, %2;\n max.NaN.f32 %0, x, y;\n}"
      : "=f"(larger)
      : "f"(a), "f"(b));
  return larger;
}

/// The largest magnitude of a chunk, and `so_far`.
__device__ __forceinline__ float chunk_amax(const float (&v)[chunk], float so_far = 0.0f) noexcept {
  float odd = 0.0f;  // two chains of half the length
#pragma unroll
  for (int i = 0; i < chunk; i += 2) {
    so_far = larger_magnitude(so_far, v[i]);
    odd    = larger_magnitude(odd, v[i + 1]);
  }
  return larger_magnitude(so_far, odd);
}

/// The larger of two pairs of halves or bfloat16s without signs; NaN is larger than everything.
template <class T>
__device__ __forceinline__ uint32_t larger_pair(uint32_t a, uint32_t b) noexcept {
  uint32_t larger;
  if constexpr (same_type<T, bfloat16>) asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
  else asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
  return larger;
}
/// The larger magnitudes of four pairs.
template <class T>
__device__ __forceinline__ uint32_t larger_magnitudes(const uint4& pairs) noexcept {
  constexpr uint32_t magnitudes = 0x7FFF'7FFFu;
  return larger_pair<T>(larger_pair<T>(pairs.x & magnitudes, pairs.y & magnitudes),
                        larger_pair<T>(pairs.z & magnitudes, pairs.w & magnitudes));
}

/// The largest magnitude of what a source made of a fetched chunk: its values v.
template <class Source, class Raw>
__device__ __forceinline__ float fetched_amax(const Source&, const Raw&, const float (&v)[chunk]) noexcept {
  return chunk_amax(v);
}
/// Of a matrix of short floats it is found two by two, before they become values.
template <class T>
  requires(sizeof(T) == 2)
__device__ __forceinline__ float fetched_amax(const matrix_source<T>&, const raw_chunk<true, T>& raw,
                                              const float (&)[chunk]) noexcept {
  float low;
  float high;
  split<T>(larger_pair<T>(larger_magnitudes<T>(raw.word[0]), larger_magnitudes<T>(raw.word[1])), low, high);
  return larger_magnitude(low, high);
}

/// The largest magnitude over `Lanes` neighbouring lanes, a power of two; in all of them.
template <int Lanes>
__device__ __forceinline__ float lanes_amax(float mine) noexcept {
#pragma unroll
  for (int step = Lanes / 2; step > 0; step /= 2) {
    mine = larger_magnitude(mine, __shfl_xor_sync(0xFFFF'FFFFu, mine, step));
  }
  return mine;
}

/// The largest magnitude over the block; in all of its threads. `shared` has 32 floats, and is free again after the next
/// barrier of the block.
template <int Threads>
__device__ __forceinline__ float block_amax(float mine, float* shared) noexcept {
  mine = lanes_amax<32>(mine);
  if constexpr (Threads == 32) return mine;
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = mine;
  __syncthreads();
  constexpr int warps = Threads / 32;
  return lanes_amax<warps>(shared[threadIdx.x % warps]);
}

/// Division of chunk numbers by a constant that only the host knows beforehand: for n and d below 2^31.
class chunk_divider {
 public:
  chunk_divider() noexcept = default;  ///< by 1
  explicit chunk_divider(uint32_t d) noexcept : divisor_(d) {
    while ((uint64_t{1} << shift_) < d) ++shift_;
    factor_ = static_cast<uint32_t>(((uint64_t{1} << (31 + shift_)) + d - 1) / d);
  }
  __device__ __forceinline__ uint32_t quotient(uint32_t n) const noexcept {
    return shift_ == 0 ? n : __umulhi(n, factor_) >> (shift_ - 1);
  }
  __device__ __forceinline__ uint32_t rest(uint32_t n, uint32_t quotient_of_n) const noexcept {
    return n - quotient_of_n * divisor_;
  }

 private:
  uint32_t divisor_ = 1;
  uint32_t factor_  = 0;
  int shift_        = 0;
};

/// How a kernel encodes.
struct encoding_plan {
  scale_policy policy;
  mx_rule mx;
  bool divides;  ///< x / dequant instead of x * quant
  bool current;  ///< scales are made and stored; otherwise read
  random_words words;
  /// A scale for everything that the kernel before this one has made, or null.
  const tensor_scale* made = nullptr;
  /// The codes are so many that they had better not displace what else the second-level cache holds.
  bool many_codes = false;
  scale_places places{};
  /// Rows and chunks of a row that one block of values has.
  chunk_divider block_rows{};
  chunk_divider block_chunks{};
};

/// Whether a kernel makes the scales itself.
__device__ __forceinline__ bool makes_scales(const encoding_plan& plan) noexcept {
  return plan.current && plan.made == nullptr;
}
/// A scale that need not be made: that of everything, or the one which stands at `at` in its array.
template <class F>
__device__ __forceinline__ tensor_scale known_scale(const scaled_matrix<F>& out, int64_t at,
                                                    const encoding_plan& plan) noexcept {
  if (plan.made != nullptr) return *plan.made;
  return from_stored<device_arithmetic>(out.template dequant_at<device_arithmetic>(at));
}
/// Makes the scale of a block of values, to stand at `at`. All threads that share the block compute it; `stores` says
/// which one stores it.
template <code_byte F>
__device__ __forceinline__ tensor_scale new_scale(const scaled_matrix<F>& out, int64_t at, float amax,
                                                  const encoding_plan& plan, bool stores) noexcept {
  const made_scale made = make_scale<device_arithmetic, F>(out, amax, plan.policy, plan.mx);
  if (stores) put_scale(out, at, made);
  return made.use;
}
/// Either.
template <class F>
__device__ __forceinline__ tensor_scale scale_of_block(const scaled_matrix<F>& out, int64_t at, float amax,
                                                       const encoding_plan& plan, bool stores) noexcept {
  return makes_scales(plan) ? new_scale(out, at, amax, plan, stores) : known_scale(out, at, plan);
}

/// A value times its scale, or over it: rounded once.
__device__ __forceinline__ void apply_scale(float (&v)[chunk], const tensor_scale& scale, bool divides) noexcept {
  const bool by_zero = (bitwise_cast<uint32_t>(scale.quant.value()) & binary<float>::magnitude_mask) == 0;
  if (divides && !by_zero) {
#pragma unroll
    for (int i = 0; i < chunk; ++i) v[i] = divide(v[i], scale.dequant.value());
  } else {
#pragma unroll
    for (int i = 0; i < chunk; ++i) v[i] = multiply(v[i], scale.quant.value());
  }
}

/// The words for the elements from `first` on.
__device__ __forceinline__ void words_of_chunk(uint64_t seed, uint64_t first, uint32_t (&words)[chunk]) noexcept {
  // Five blocks of four words have the sixteen, wherever the first stands in its block.
  uint32_t all[chunk + 4];
  const auto offset = static_cast<int>(first % 4);
#pragma unroll
  for (int i = 0; i < chunk + 4; i += 4) {
    if (i == chunk && offset == 0) break;
    const philox_block block = philox_words(seed, first / 4 + static_cast<uint64_t>(i / 4));
#pragma unroll
    for (int j = 0; j < 4; ++j) all[i + j] = block.word[j];
  }
#pragma unroll
  for (int i = 0; i < chunk; ++i) {
    words[i] = offset == 0 ? all[i] : offset == 1 ? all[i + 1] : offset == 2 ? all[i + 2] : all[i + 3];
  }
}

/// The codes of a chunk: 16 bytes, or 8 where two stand in one.
template <code_byte F>
using chunk_codes = packed<F, is_pair<F> ? chunk / 2 : chunk>;

/// The codes of a chunk of scaled values. `first` is the row-major position of its first element.
template <code_byte F, rounding R, overflow O>
__device__ __forceinline__ chunk_codes<F> encode_chunk(const float (&v)[chunk], const random_words& words,
                                                       uint64_t first) noexcept {
  if constexpr (R == rounding::stochastic) {
    uint32_t random[chunk];
    words_of_chunk(words.seed, words.first + first, random);
    return encode_xn<F, R, O>(v, random);
  } else {
    return encode_xn<F, R, O>(v);
  }
}

/// Writes a chunk of codes: as one vector, or element by element up to column `end`.
template <bool Vectors, eight_bit F>
__device__ __forceinline__ void store_chunk(const matrix_view<F>& y, int64_t row, int64_t col, int64_t end,
                                            const packed<F, chunk>& codes, cache_hint hint) noexcept {
  F* const at = y.data + row * y.row_stride + col * y.col_stride;
  if constexpr (Vectors) {
    asm volatile("st.global.L2::cache_hint.v4.u32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(at), "r"(codes.words[0]),
                 "r"(codes.words[1]), "r"(codes.words[2]), "r"(codes.words[3]), "l"(hint)
                 : "memory");
  } else {
#pragma unroll
    for (int i = 0; i < chunk; ++i) {
      if (col + i < end) at[i * y.col_stride] = codes[i];
    }
  }
}

/// The same two a byte, from an even column on: as one vector, or byte by byte up to column `end`, the
/// high nibble of an odd one's byte +0.
template <bool Vectors>
__device__ __forceinline__ void store_chunk(const matrix_view<e2m1x2>& y, int64_t row, int64_t col, int64_t end,
                                            const packed<e2m1x2, chunk / 2>& codes, cache_hint hint) noexcept {
  e2m1x2* const at = &y.pair(row, col);
  if constexpr (Vectors) {
    asm volatile("st.global.L2::cache_hint.v2.u32 [%0], {%1, %2}, %3;" ::"l"(at), "r"(codes.words[0]),
                 "r"(codes.words[1]), "l"(hint)
                 : "memory");
  } else {
#pragma unroll
    for (int i = 0; i < chunk; i += 2) {
      if (col + i >= end) continue;
      const e2m1x2 both = codes[i / 2];
      at[i / 2]         = col + i + 1 < end ? both : e2m1x2(both.low(), e2m1::from_bits(0));
    }
  }
}

/// Scales, encodes and writes a chunk up to column `end`.
template <bool Vectors, rounding R, overflow O, code_byte F>
__device__ __forceinline__ void quantize_chunk(float (&v)[chunk], const matrix_view<F>& y, int64_t row, int64_t col,
                                               int64_t end, const tensor_scale& scale,
                                               const encoding_plan& plan) noexcept {
  apply_scale(v, scale, plan.divides);
  const auto first      = static_cast<uint64_t>(row * y.cols + col);
  const cache_hint hint = plan.many_codes ? make_hint<keeping::first_to_go>() : make_hint<keeping::normal>();
  store_chunk<Vectors>(y, row, col, end, encode_chunk<F, R, O>(v, plan.words, first), hint);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
