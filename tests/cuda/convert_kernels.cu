// SPDX-License-Identifier: MIT
#include "convert_kernels.hpp"

#include <quaver/cuda/convert.cuh>

namespace quaver_test {

namespace {

constexpr int threads = 256;

/// Looks at `width` bytes one by one, once it is known that some differ: out of line, since it should never be called.
__device__ __noinline__ void note(differences* found, uint32_t input, uint32_t width, uint4 got,
                                  const uint8_t* expected) {
  const uint32_t words[4] = {got.x, got.y, got.z, got.w};
  for (uint32_t i = 0; i < width; ++i) {
    const uint8_t byte = static_cast<uint8_t>(words[i / 4] >> (i % 4 * 8));
    if (byte == expected[i]) continue;
    const unsigned long long at = atomicAdd(&found->count, 1ull);
    if (at < 8) found->first[at] = {input + i, static_cast<uint8_t>(width), byte, expected[i]};
  }
}

/// Calls visit.operator()<R, O>() for the modes. Not for stochastic where `Stochastic` is false.
template <bool Stochastic, class Visit, rounding R>
void visit_overflow(overflow o, Visit visit) {
  if (o == overflow::saturate) visit.template operator()<R, overflow::saturate>();
  if (o == overflow::saturate_finite) visit.template operator()<R, overflow::saturate_finite>();
  if (o == overflow::nonfinite) visit.template operator()<R, overflow::nonfinite>();
}
template <bool Stochastic, class Visit>
void visit_modes(rounding r, overflow o, Visit visit) {
  if (r == rounding::nearest_even) visit_overflow<Stochastic, Visit, rounding::nearest_even>(o, visit);
  if (r == rounding::nearest_away) visit_overflow<Stochastic, Visit, rounding::nearest_away>(o, visit);
  if (r == rounding::toward_zero) visit_overflow<Stochastic, Visit, rounding::toward_zero>(o, visit);
  if (r == rounding::upward) visit_overflow<Stochastic, Visit, rounding::upward>(o, visit);
  if (r == rounding::downward) visit_overflow<Stochastic, Visit, rounding::downward>(o, visit);
  if (r == rounding::to_odd) visit_overflow<Stochastic, Visit, rounding::to_odd>(o, visit);
  if constexpr (Stochastic) {
    if (r == rounding::stochastic) visit_overflow<Stochastic, Visit, rounding::stochastic>(o, visit);
  }
}

template <class F, rounding R, overflow O, class T>
__device__ F encode_one(T x, uint32_t random) {
  if constexpr (R == rounding::stochastic) return cuda::encode<F, R, O>(x, random);
  else return cuda::encode<F, R, O>(x);
}
template <class F, rounding R, overflow O, class T, size_t N>
__device__ auto encode_many(const T (&x)[N], const uint32_t (&random)[N]) {
  if constexpr (R == rounding::stochastic) return cuda::encode_xn<F, R, O>(x, random);
  else return cuda::encode_xn<F, R, O>(x);
}

// ---- all floats ----------------------------------------------------------------------------------------------------

/// Sixteen floats, N at a time.
template <class F, rounding R, overflow O, int N>
__device__ void compare_width(uint32_t first, const uint8_t* expected, differences* found) {
#pragma unroll 1
  for (uint32_t group = 0; group < 16; group += N) {
    float x[size_t{N}];
    for (uint32_t i = 0; i < N; ++i) x[i] = bitwise_cast<float>(first + group + i);
    const auto got  = cuda::encode_xn<F, R, O>(x);
    const auto want = *reinterpret_cast<const cuda::packed<F, N>*>(expected + group);
    if (got == want) continue;
    uint4 words = {};
    words.x     = got.words[0];
    if constexpr (N >= 8) words.y = got.words[1];
    if constexpr (N == 16) words.z = got.words[2];
    if constexpr (N == 16) words.w = got.words[3];
    note(found, first + group, N, words, expected + group);
  }
}

template <class F, rounding R, overflow O>
__global__ void compare_kernel(uint32_t first, uint32_t count, const uint8_t* expected, differences* found) {
  const uint32_t offset = (blockIdx.x * threads + threadIdx.x) * 16;
  if (offset >= count) return;
  first += offset;
  expected += offset;
#pragma unroll 1
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t got = cuda::encode<F, R, O>(bitwise_cast<float>(first + i)).bits();
    if (got != expected[i]) note(found, first + i, 1, make_uint4(got, 0, 0, 0), expected + i);
  }
  compare_width<F, R, O, 2>(first, expected, found);
  compare_width<F, R, O, 4>(first, expected, found);
  compare_width<F, R, O, 8>(first, expected, found);
  compare_width<F, R, O, 16>(first, expected, found);
}

// ---- chosen inputs -------------------------------------------------------------------------------------------------

__device__ float value_of(source s, uint32_t bits) {
  if (s == source::binary16) return cuda::source_value(half::from_bits(static_cast<uint16_t>(bits)));
  if (s == source::brain16) return cuda::source_value(bfloat16::from_bits(static_cast<uint16_t>(bits)));
  return bitwise_cast<float>(bits);
}

template <class F, rounding R, overflow O>
__global__ void encode_kernel(source s, const uint32_t* inputs, const uint32_t* random, uint32_t count, uint8_t* scalar,
                              uint8_t* pairs) {
  const uint32_t at = (blockIdx.x * threads + threadIdx.x) * 2;
  if (at >= count) return;
#pragma unroll 1
  for (uint32_t i = at; i < at + 2; ++i) scalar[i] = encode_one<F, R, O>(value_of(s, inputs[i]), random[i]).bits();
  const float x[2]        = {value_of(s, inputs[at]), value_of(s, inputs[at + 1])};
  const uint32_t words[2] = {random[at], random[at + 1]};
  const auto both         = encode_many<F, R, O>(x, words);
  pairs[at]               = both[0].bits();
  pairs[at + 1]           = both[1].bits();
}

template <class T>
__device__ T source_of(uint32_t bits) {
  if constexpr (same_type<T, float>) return bitwise_cast<float>(bits);
  else return T::from_bits(static_cast<uint16_t>(bits));
}

template <class F, rounding R, overflow O, class T, int N>
__device__ void encode_width(const uint32_t* inputs, const uint32_t* random, uint8_t* codes) {
#pragma unroll 1
  for (uint32_t group = 0; group < 16; group += N) {
    T x[size_t{N}];
    uint32_t words[size_t{N}];
    for (uint32_t i = 0; i < N; ++i) {
      x[i]     = source_of<T>(inputs[group + i]);
      words[i] = random[group + i];
    }
    *reinterpret_cast<cuda::packed<F, N>*>(codes + group) = encode_many<F, R, O>(x, words);
  }
}

template <class F, rounding R, overflow O, class T, int N>
__global__ void widths_kernel(const uint32_t* inputs, const uint32_t* random, uint32_t count, uint8_t* codes) {
  const uint32_t at = (blockIdx.x * threads + threadIdx.x) * 16;
  if (at < count) encode_width<F, R, O, T, N>(inputs + at, random + at, codes + at);
}

template <rounding R, int N>
__device__ void encode_pairs(const uint32_t* inputs, const uint32_t* random, uint8_t* codes) {
#pragma unroll 1
  for (uint32_t group = 0; group < 32; group += N) {
    float x[size_t{N}];
    uint32_t words[size_t{N}];
    for (uint32_t i = 0; i < N; ++i) {
      x[i]     = bitwise_cast<float>(inputs[group + i]);
      words[i] = random[group + i];
    }
    *reinterpret_cast<cuda::packed<e2m1x2, N / 2>*>(codes + group / 2) =
        encode_many<e2m1x2, R, overflow::saturate>(x, words);
  }
}

template <rounding R>
__global__ void pairs_kernel(const uint32_t* inputs, const uint32_t* random, uint32_t count, uint8_t* by_32,
                             uint8_t* by_4) {
  const uint32_t at = (blockIdx.x * threads + threadIdx.x) * 32;
  if (at >= count) return;
  encode_pairs<R, 32>(inputs + at, random + at, by_32 + at / 2);
  encode_pairs<R, 4>(inputs + at, random + at, by_4 + at / 2);
}

// ---- all codes -----------------------------------------------------------------------------------------------------

template <class T>
__device__ uint32_t bits_of(T x) {
  if constexpr (same_type<T, float>) return bitwise_cast<uint32_t>(x);
  else return x.bits();
}

/// N codes a byte each, or `Each` values a byte.
template <class F, class T, int N, int Each>
__device__ void decode_width(uint32_t* results) {
  for (uint32_t group = threadIdx.x * N; group < 256; group += threads * N) {
    cuda::packed<F, N> codes{};
    for (int i = 0; i < N; ++i) codes.set(i, F::from_bits(static_cast<uint8_t>(group + static_cast<uint32_t>(i))));
    const auto values = cuda::decode_xn<T>(codes);
    for (int i = 0; i < N * Each; ++i) results[group * Each + static_cast<uint32_t>(i)] = bits_of(values[i]);
  }
}

template <class F, class T>
__global__ void decode_kernel(uint32_t* results) {
  results[threadIdx.x] = bits_of(cuda::decode<T>(F::from_bits(static_cast<uint8_t>(threadIdx.x))));
  decode_width<F, T, 2, 1>(results + 256);
  decode_width<F, T, 16, 1>(results + 512);
  if constexpr (same_type<F, e4m3> || same_type<F, e5m2>) {
    decode_width<F, T, 4, 1>(results + 768);
    decode_width<F, T, 8, 1>(results + 1024);
  }
}

template <class T>
__global__ void decode_pairs_kernel(uint32_t* results) {
  decode_width<e2m1x2, T, 2, 2>(results);
  decode_width<e2m1x2, T, 16, 2>(results + 512);
}

unsigned blocks_for(uint32_t count, uint32_t each) { return (count / each + threads - 1) / threads; }

template <class Visit>
void visit_source(source s, Visit visit) {
  if (s == source::binary32) visit.template operator()<float>();
  if (s == source::binary16) visit.template operator()<half>();
  if (s == source::brain16) visit.template operator()<bfloat16>();
}

}  // namespace

void compare_floats(int format, rounding r, overflow o, uint32_t first, uint32_t count, const uint8_t* expected,
                    differences* found, cudaStream_t stream) {
  format_list<e4m3, e5m2>::visit(format, [&]<class F> {
    visit_modes<false>(r, o, [&]<rounding R, overflow O> {
      compare_kernel<F, R, O><<<blocks_for(count, 16), threads, 0, stream>>>(first, count, expected, found);
    });
  });
}

void encode_inputs(int format, source s, rounding r, overflow o, const uint32_t* inputs, const uint32_t* random,
                   uint32_t count, uint8_t* scalar, uint8_t* pairs) {
  byte_formats::visit(format, [&]<class F> {
    visit_modes<true>(r, o, [&]<rounding R, overflow O> {
      encode_kernel<F, R, O><<<blocks_for(count, 2), threads>>>(s, inputs, random, count, scalar, pairs);
    });
  });
}

bool encode_widths(int format, source s, rounding r, overflow o, const uint32_t* inputs, const uint32_t* random,
                   uint32_t count, uint8_t* codes) {
  bool there            = false;
  const unsigned blocks = blocks_for(count, 16);
  const auto launch     = [&]<class F, rounding R, overflow O, int N> {
    if (s == source::binary16) widths_kernel<F, R, O, half, N><<<blocks, threads>>>(inputs, random, count, codes);
    else widths_kernel<F, R, O, bfloat16, N><<<blocks, threads>>>(inputs, random, count, codes);
    there = true;
  };
  byte_formats::visit(format, [&]<class F> {
    if constexpr (same_type<F, e4m3> || same_type<F, e5m2>) {
      visit_modes<true>(r, o, [&]<rounding R, overflow O> {
        if constexpr (R == rounding::nearest_even || O == overflow::saturate) {
          launch.template operator()<F, R, O, 16>();
        }
      });
    } else if (r == rounding::nearest_even && o == overflow::saturate) {
      launch.template operator()<F, rounding::nearest_even, overflow::saturate, 2>();
    }
  });
  return there;
}

void encode_e2m1_pairs(rounding r, const uint32_t* inputs, const uint32_t* random, uint32_t count, uint8_t* by_32,
                       uint8_t* by_4) {
  const unsigned blocks = blocks_for(count, 32);
  if (r == rounding::stochastic) {
    pairs_kernel<rounding::stochastic><<<blocks, threads>>>(inputs, random, count, by_32, by_4);
  } else {
    pairs_kernel<rounding::nearest_even><<<blocks, threads>>>(inputs, random, count, by_32, by_4);
  }
}

void decode_codes(int format, source to, uint32_t* results) {
  byte_formats::visit(
      format, [&]<class F> { visit_source(to, [&]<class T> { decode_kernel<F, T><<<1, threads>>>(results); }); });
}

void decode_e2m1_pairs(source to, uint32_t* results) {
  visit_source(to, [&]<class T> { decode_pairs_kernel<T><<<1, threads>>>(results); });
}

}  // namespace quaver_test
