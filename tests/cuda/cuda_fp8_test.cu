// SPDX-License-Identifier: MIT
#include <quaver/adapters/cuda_fp8.cuh>

#include "gpu_test.hpp"

// The toolkit's types: free casts both ways, and its own conversion beside ours on all pairs of halves and bfloat16s.

namespace {

using namespace quaver;

TEST(CudaFp8, types_have_our_bits_in_our_order) {
  EXPECT_EQ(cuda::to_nv(e4m3::from_bits(0x2D)).__x, 0x2D);
  EXPECT_EQ(cuda::from_nv(cuda::to_nv(e8m0::from_bits(0x80))).bits(), 0x80);
  const cuda::packed<e5m2, 4> four{{0x0403'0201}};
  EXPECT_EQ(cuda::to_nv(four).__x, 0x0403'0201u);
  EXPECT_EQ(cuda::from_nv(cuda::to_nv(four)), four);
  EXPECT_EQ(cuda::from_nv(cuda::to_nv(cuda::packed<e4m3, 2>{{0x0201}})), (cuda::packed<e4m3, 2>{{0x0201}}));
  EXPECT_EQ(cuda::from_nv(cuda::to_nv(bfloat16::from_bits(0x3F80))).bits(), 0x3F80);
  EXPECT_EQ(static_cast<float>(cuda::to_nv(quaver::half::from_bits(0x3C00))), 1.0f);
}

/// Four values made of one 16-bit pattern: what differs in any of three ways is counted.
template <class F, class Pair>
__global__ void compare(int* differences) {
  using element       = typename cuda::nv_pair_element<Pair>::type;
  const uint32_t bits = blockIdx.x * blockDim.x + threadIdx.x;
  element x[4];
  x[0]                = element::from_bits(static_cast<uint16_t>(bits));
  x[1]                = element::from_bits(static_cast<uint16_t>(bits ^ 0x8000));
  x[2]                = element::from_bits(static_cast<uint16_t>(bits ^ 1));
  x[3]                = element::from_bits(static_cast<uint16_t>(bits));
  const Pair pairs[2] = {Pair(cuda::to_nv(x[0]), cuda::to_nv(x[1])), Pair(cuda::to_nv(x[2]), cuda::to_nv(x[3]))};
  const auto ours     = cuda::encode_xn<F>(pairs);
  const auto plain    = cuda::encode_xn<F>(x);
  using theirs        = typename cuda::nv_types<F>::x4;
  int wrong           = ours == plain ? 0 : 1;
  wrong += ours == cuda::from_nv(theirs(pairs[0], pairs[1])) ? 0 : 1;

  const uint32_t words[4]   = {bits * 0x9E37'79B9u, bits * 0x85EB'CA6Bu, bits << 16, ~bits};
  constexpr rounding random = rounding::stochastic;
  wrong += cuda::encode_xn<F, random>(pairs, words) == cuda::encode_xn<F, random>(x, words) ? 0 : 1;

  const auto back     = cuda::decode_xn<Pair>(ours);
  const auto elements = cuda::decode_xn<element>(ours);
  for (int i = 0; i < 4; ++i) {
    const element one = cuda::from_nv(i % 2 == 0 ? back[i / 2].x : back[i / 2].y);
    wrong += one.bits() == elements[i].bits() ? 0 : 1;
  }
  if (wrong != 0) atomicAdd(differences, wrong);
}

template <class F, class Pair>
void expect_no_difference() {
  const quaver_test::device_array<int> differences(std::vector<int>{0});
  compare<F, Pair><<<256, 256>>>(differences.data());
  QUAVER_CHECK_CUDA(cudaGetLastError());
  EXPECT_EQ(differences.to_host()[0], 0);
}

class CudaFp8OnTheDevice : public quaver_test::GpuTest {};

TEST_F(CudaFp8OnTheDevice, pairs_encode_as_single_values_do_and_as_the_toolkit_does) {
  expect_no_difference<e4m3, __half2>();
  expect_no_difference<e5m2, __half2>();
  expect_no_difference<e4m3, __nv_bfloat162>();
  expect_no_difference<e5m2, __nv_bfloat162>();
}

}  // namespace
