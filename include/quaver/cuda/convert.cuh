// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_CONVERT_CUH
#define QUAVER_CUDA_CONVERT_CUH

#include <quaver/cuda/decode.cuh>
#include <quaver/cuda/encode.cuh>

// Conversions in device code: encode and decode for one value, encode_xn and decode_xn for 2, 4, 8 or 16 at a time. The
// bytes are those of quaver::encode on hosts, in every rounding and overflow, under -use_fast_math too.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// True where two halves become two codes in one instruction. A half rounds once on that way as it does as a float.
template <class F, rounding R, overflow O, class T>
inline constexpr bool encodes_halves_by_instruction =
    same_type<T, half> && (same_type<F, e4m3> || same_type<F, e5m2>) && ptx::has_cvt<F> &&
    R == rounding::nearest_even && O == overflow::saturate;

/// Two codes, that of `low` in the low byte, before the last step. What is above the low 16 bits is left open.
template <eight_bit F, rounding R, overflow O, device_source T>
__device__ __forceinline__ uint32_t encode_pair(T low, T high, uint32_t random_low, uint32_t random_high) noexcept {
  if constexpr (encodes_halves_by_instruction<F, R, O, T>) {
    return ptx::encode_two_halves<F>(low.bits() | static_cast<uint32_t>(high.bits()) << 16);
  } else if constexpr (!same_type<F, e2m1> && encodes_by_instruction<F, R, O>) {
    return ptx::encode_two<F>(before_instruction<F, R, O>(source_value(low)),
                              before_instruction<F, R, O>(source_value(high)));
  } else {
    const uint32_t first  = encode_code<F, R, O>(source_value(low), random_low);
    const uint32_t second = encode_code<F, R, O>(source_value(high), random_high);
    return __byte_perm(first, second, 0x0040);
  }
}

/// The words for stochastic rounding where no rounding asks for any.
struct no_random_words {
  __device__ constexpr uint32_t operator[](int) const noexcept { return 0; }
};

/// The low halves of two words in one. By mov, because the conversion instruction can then merge into the word itself.
__device__ __forceinline__ uint32_t join_halves(uint32_t low, uint32_t high) noexcept {
  uint32_t word;
  asm("mov.b32 %0, {%1, %2};" : "=r"(word) : "h"(static_cast<uint16_t>(low)), "h"(static_cast<uint16_t>(high)));
  return word;
}

template <eight_bit F, rounding R, overflow O, device_source T, size_t N, class Words>
__device__ __forceinline__ packed<F, static_cast<int>(N)> encode_array(const T (&x)[N], const Words& random) noexcept {
  packed<F, static_cast<int>(N)> codes;
  if constexpr (N == 2) {
    codes.words[0] = static_cast<uint16_t>(encode_pair<F, R, O>(x[0], x[1], random[0], random[1]));
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(N); i += 4) {
      const uint32_t low  = encode_pair<F, R, O>(x[i], x[i + 1], random[i], random[i + 1]);
      const uint32_t high = encode_pair<F, R, O>(x[i + 2], x[i + 3], random[i + 2], random[i + 3]);
      codes.words[i / 4]  = join_halves(low, high);
    }
  }
  if constexpr (one_short_after_instruction<F, R, O>) {
#pragma unroll
    for (int i = 0; i < static_cast<int>(N); ++i) {
      const uint32_t step = step_after_instruction<O>(source_value(x[i]), uint32_t{1} << (i % 4 * 8));
      codes.words[i / 4]  = static_cast<typename packed_word<static_cast<int>(N)>::type>(codes.words[i / 4] + step);
    }
  }
  return codes;
}

/// N values rounded once each to values of F, x[i] to byte i. N is 2, 4, 8 or 16.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, device_source T, size_t N>
  requires(R != rounding::stochastic)
__device__ __forceinline__ packed<F, static_cast<int>(N)> encode_xn(const T (&x)[N]) noexcept {
  return encode_array<F, R, O>(x, no_random_words{});
}

/// The same with stochastic rounding: x[i] goes away from zero iff random[i] < floor(2^32 * discarded fraction).
template <eight_bit F, rounding R, overflow O = overflow::saturate, device_source T, size_t N>
  requires(R == rounding::stochastic)
__device__ __forceinline__ packed<F, static_cast<int>(N)> encode_xn(const T (&x)[N],
                                                                    const uint32_t (&random)[N]) noexcept {
  return encode_array<F, R, O>(x, random);
}

template <rounding R, overflow O, device_source T, size_t N, class Words>
__device__ __forceinline__ packed<e2m1x2, static_cast<int>(N / 2)> encode_array_of_pairs(const T (&x)[N],
                                                                                         const Words& random) noexcept {
  packed<e2m1x2, static_cast<int>(N / 2)> pairs{};
#pragma unroll
  for (int i = 0; i < static_cast<int>(N); i += 2) {
    uint32_t pair = 0;
    if constexpr (encodes_by_instruction<e2m1, R, O>) {
      pair = ptx::encode_two<e2m1>(before_instruction<e2m1, R, O>(source_value(x[i])),
                                   before_instruction<e2m1, R, O>(source_value(x[i + 1])));
    } else {
      pair = encode_code<e2m1, R, O>(source_value(x[i]), random[i]) |
             encode_code<e2m1, R, O>(source_value(x[i + 1]), random[i + 1]) << 4;
    }
    pairs.words[i / 8] = static_cast<typename packed<e2m1x2, static_cast<int>(N / 2)>::word>(pairs.words[i / 8] |
                                                                                             pair << (i / 2 % 4 * 8));
  }
  return pairs;
}

/// encode_xn<e2m1x2>: two values a byte, the first in the low nibble. N is 4, 8, 16 or 32.
template <class Pair, rounding R = rounding::nearest_even, overflow O = overflow::saturate, device_source T, size_t N>
  requires(R != rounding::stochastic) && same_type<Pair, e2m1x2>
__device__ __forceinline__ packed<e2m1x2, static_cast<int>(N / 2)> encode_xn(const T (&x)[N]) noexcept {
  return encode_array_of_pairs<R, O>(x, no_random_words{});
}
template <class Pair, rounding R, overflow O = overflow::saturate, device_source T, size_t N>
  requires(R == rounding::stochastic) && same_type<Pair, e2m1x2>
__device__ __forceinline__ packed<e2m1x2, static_cast<int>(N / 2)> encode_xn(const T (&x)[N],
                                                                             const uint32_t (&random)[N]) noexcept {
  return encode_array_of_pairs<R, O>(x, random);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
