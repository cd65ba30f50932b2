// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_CUDA_FP8_CUH
#define QUAVER_ADAPTERS_CUDA_FP8_CUH

#include <quaver/cuda/convert.cuh>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

// The types of the toolkit's cuda_fp8.h, cuda_fp16.h and cuda_bf16.h. They have the same bits as ours, so that from_nv
// and to_nv are free; so are casts of pointers between them. The conversions take their pairs as they come from memory.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The toolkit's types for F: one, two and four side by side.
template <eight_bit F>
struct nv_types;
template <>
struct nv_types<e4m3> {
  using x1 = __nv_fp8_e4m3;
  using x2 = __nv_fp8x2_e4m3;
  using x4 = __nv_fp8x4_e4m3;
};
template <>
struct nv_types<e5m2> {
  using x1 = __nv_fp8_e5m2;
  using x2 = __nv_fp8x2_e5m2;
  using x4 = __nv_fp8x4_e5m2;
};
template <>
struct nv_types<e8m0> {
  using x1 = __nv_fp8_e8m0;
  using x2 = __nv_fp8x2_e8m0;
  using x4 = __nv_fp8x4_e8m0;
};

/// One value as the toolkit's type of the same bits, and back.
template <eight_bit F>
QUAVER_HOST_DEVICE inline typename nv_types<F>::x1 to_nv(F x) noexcept {
  return bitwise_cast<typename nv_types<F>::x1>(x);
}
QUAVER_HOST_DEVICE inline e4m3 from_nv(__nv_fp8_e4m3 x) noexcept { return e4m3::from_bits(x.__x); }
QUAVER_HOST_DEVICE inline e5m2 from_nv(__nv_fp8_e5m2 x) noexcept { return e5m2::from_bits(x.__x); }
QUAVER_HOST_DEVICE inline e8m0 from_nv(__nv_fp8_e8m0 x) noexcept { return e8m0::from_bits(x.__x); }

QUAVER_HOST_DEVICE inline __half to_nv(half x) noexcept { return bitwise_cast<__half>(x); }
QUAVER_HOST_DEVICE inline __nv_bfloat16 to_nv(bfloat16 x) noexcept { return bitwise_cast<__nv_bfloat16>(x); }
QUAVER_HOST_DEVICE inline half from_nv(__half x) noexcept { return bitwise_cast<half>(x); }
QUAVER_HOST_DEVICE inline bfloat16 from_nv(__nv_bfloat16 x) noexcept { return bitwise_cast<bfloat16>(x); }

/// Two and four values, the lowest index in the lowest byte in theirs as in ours. Their storage types,
/// __nv_fp8x2_storage_t and __nv_fp8x4_storage_t, are packed's word.
template <eight_bit F>
QUAVER_HOST_DEVICE inline typename nv_types<F>::x2 to_nv(packed<F, 2> x) noexcept {
  return bitwise_cast<typename nv_types<F>::x2>(x);
}
template <eight_bit F>
QUAVER_HOST_DEVICE inline typename nv_types<F>::x4 to_nv(packed<F, 4> x) noexcept {
  return bitwise_cast<typename nv_types<F>::x4>(x);
}
QUAVER_HOST_DEVICE inline packed<e4m3, 2> from_nv(__nv_fp8x2_e4m3 x) noexcept { return {{x.__x}}; }
QUAVER_HOST_DEVICE inline packed<e5m2, 2> from_nv(__nv_fp8x2_e5m2 x) noexcept { return {{x.__x}}; }
QUAVER_HOST_DEVICE inline packed<e8m0, 2> from_nv(__nv_fp8x2_e8m0 x) noexcept { return {{x.__x}}; }
QUAVER_HOST_DEVICE inline packed<e4m3, 4> from_nv(__nv_fp8x4_e4m3 x) noexcept { return {{x.__x}}; }
QUAVER_HOST_DEVICE inline packed<e5m2, 4> from_nv(__nv_fp8x4_e5m2 x) noexcept { return {{x.__x}}; }
QUAVER_HOST_DEVICE inline packed<e8m0, 4> from_nv(__nv_fp8x4_e8m0 x) noexcept { return {{x.__x}}; }

/// A pair of 16-bit floats of the toolkit, and the type of ours that each is.
template <class T>
struct nv_pair_element;
template <>
struct nv_pair_element<__half2> {
  using type = half;
};
template <>
struct nv_pair_element<__nv_bfloat162> {
  using type = bfloat16;
};
template <class T>
concept nv_pair = same_type<T, __half2> || same_type<T, __nv_bfloat162>;

/// The values of an array of pairs, in a row: an array that a function can return.
template <nv_pair T, size_t N>
__device__ __forceinline__ values<typename nv_pair_element<T>::type, static_cast<int>(2 * N)> elements_of(
    const T (&pairs)[N]) noexcept {
  values<typename nv_pair_element<T>::type, static_cast<int>(2 * N)> result;
#pragma unroll
  for (size_t i = 0; i < N; ++i) {
    // By members: the toolkit's pairs are not trivially copyable, though its single values are.
    result.data[2 * i]     = from_nv(pairs[i].x);
    result.data[2 * i + 1] = from_nv(pairs[i].y);
  }
  return result;
}

/// encode_xn of 2 N values in N pairs.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, nv_pair T, size_t N>
  requires(R != rounding::stochastic)
__device__ __forceinline__ packed<F, static_cast<int>(2 * N)> encode_xn(const T (&pairs)[N]) noexcept {
  return encode_xn<F, R, O>(elements_of(pairs).data);
}
template <eight_bit F, rounding R, overflow O = overflow::saturate, nv_pair T, size_t N, size_t Words>
  requires(R == rounding::stochastic && Words == 2 * N)
__device__ __forceinline__ packed<F, static_cast<int>(2 * N)> encode_xn(const T (&pairs)[N],
                                                                        const uint32_t (&random)[Words]) noexcept {
  return encode_xn<F, R, O>(elements_of(pairs).data, random);
}

/// decode_xn to N / 2 pairs.
template <nv_pair T, eight_bit F, int N>
__device__ __forceinline__ values<T, N / 2> decode_xn(const packed<F, N>& codes) noexcept {
  const auto elements = decode_xn<typename nv_pair_element<T>::type>(codes);
  values<T, N / 2> result;
#pragma unroll
  for (int i = 0; i < N / 2; ++i) {
    result[i] = T(to_nv(elements[2 * i]), to_nv(elements[2 * i + 1]));
  }
  return result;
}

static_assert(sizeof(__nv_fp8_e4m3) == sizeof(e4m3) && sizeof(__nv_fp8x4_e4m3) == sizeof(packed<e4m3, 4>));
static_assert(same_type<__nv_fp8x2_storage_t, packed<e4m3, 2>::word> &&
              same_type<__nv_fp8x4_storage_t, packed<e5m2, 4>::word>);

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
