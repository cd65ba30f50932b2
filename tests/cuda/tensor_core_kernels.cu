// SPDX-License-Identifier: MIT
#include "tensor_core_kernels.hpp"

#include <quaver/cuda/ptx/wgmma_fp8.cuh>

#include <cuda_runtime_api.h>

#include <type_traits>

// The instruction under the microscope: nothing here is fast. Operands go to shared memory as core matrices without
// swizzle.

namespace quaver_test {

namespace {

using namespace quaver;

constexpr int max_steps = 8;

#if QUAVER_WGMMA

/// Moves `rows` rows of 32 * steps bytes to shared memory: for each step two columns of core matrices.
__device__ void place(const uint8_t* from, unsigned char* to, int rows, int steps) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * steps * 2; i += 128) {
    const int row                                    = i / (steps * 2);
    const int part                                   = i % (steps * 2);  // 16 bytes of the row
    const int core                                   = part / 2 * rows / 4 + row / 8 * 2 + part % 2;
    reinterpret_cast<uint4*>(to)[core * 8 + row % 8] = reinterpret_cast<const uint4*>(from)[i];
  }
}

#endif

template <int N, bool Half, class A, class B>
__global__ void __launch_bounds__(128) wgmma_kernel(wgmma_call call) {
#if QUAVER_WGMMA
  extern __shared__ __align__(128) unsigned char shared[];
  constexpr int words = N / (Half ? 4 : 2);
  const int tile      = static_cast<int>(blockIdx.x);
  const int a_bytes   = 64 * 32;
  const int b_bytes   = N * 32;
  place(call.a + static_cast<size_t>(tile * a_bytes * call.steps), shared, 64, call.steps);
  place(call.b + static_cast<size_t>(tile * b_bytes * call.steps), shared + a_bytes * call.steps, N, call.steps);

  using word = std::conditional_t<Half, uint32_t, float>;
  word d[words];
  const size_t mine = (static_cast<size_t>(tile) * 128 + threadIdx.x) * words;
  for (int i = 0; i < words; ++i)
    d[i] = bitwise_cast<word>(call.c == nullptr ? 0xFFFF'FFFFu : call.c[mine + static_cast<size_t>(i)]);

  // The values are there before the first instruction is issued, not moved there after it.
  for (int i = 0; i < words; ++i) {
    if constexpr (Half) asm volatile("" : "+r"(d[i])::"memory");
    else asm volatile("" : "+f"(d[i])::"memory");
  }
  cuda::ptx::fence_proxy_async();
  __syncthreads();
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const auto multiply    = [&](int step) {
    const uint32_t at_a = address + static_cast<uint32_t>(step * a_bytes);
    const uint32_t at_b = address + static_cast<uint32_t>(call.steps * a_bytes + step * b_bytes);
    cuda::ptx::wgmma_fp8<N, A, B>(d, cuda::ptx::wgmma_descriptor(at_a, 128, 256, cuda::ptx::wgmma_swizzle::none),
                                     cuda::ptx::wgmma_descriptor(at_b, 128, 256, cuda::ptx::wgmma_swizzle::none),
                                  step > 0 || call.c != nullptr ? 1u : 0u);
  };
  // In pairs, so that one follows another that has not finished.
  int step = 0;
#pragma unroll 1
  for (; step + 2 <= call.steps; step += 2) {
    cuda::ptx::wgmma_fence();
    multiply(step);
    multiply(step + 1);
    cuda::ptx::wgmma_commit();
    cuda::ptx::wgmma_wait<0>();
  }
  if (step < call.steps) {
    cuda::ptx::wgmma_fence();
    multiply(step);
    cuda::ptx::wgmma_commit();
    cuda::ptx::wgmma_wait<0>();
  }
  for (int i = 0; i < words; ++i) call.d[mine + static_cast<size_t>(i)] = bitwise_cast<uint32_t>(d[i]);
#endif
}

template <int N, bool Half, class A, class B>
bool launch(const wgmma_call& call) {
  constexpr int step_bytes = (64 + N) * 32;
  const auto kernel        = wgmma_kernel<N, Half, A, B>;
  // Always the most: threads launch this kernel at once, and the attribute is the kernel's, not the launch's.
  const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  if (cudaFuncSetAttribute(kernel, attribute, step_bytes * max_steps) != cudaSuccess) return false;
  const auto bytes = static_cast<size_t>(step_bytes * call.steps);
  kernel<<<static_cast<unsigned>(call.tiles), 128, bytes>>>(call);
  return cudaGetLastError() == cudaSuccess;
}

template <int N, bool Half>
bool launch_mix(const wgmma_call& call) {
  if (call.a_is_e5m2) return call.b_is_e5m2 ? launch<N, Half, e5m2, e5m2>(call) : launch<N, Half, e5m2, e4m3>(call);
  return call.b_is_e5m2 ? launch<N, Half, e4m3, e5m2>(call) : launch<N, Half, e4m3, e4m3>(call);
}

template <bool Half>
bool launch_width(const wgmma_call& call) {
  switch (call.n) {
    case 8: return launch_mix<8, Half>(call);
    case 16: return launch_mix<16, Half>(call);
    case 64: return launch_mix<64, Half>(call);
    case 128: return launch_mix<128, Half>(call);
    case 256: return launch_mix<256, Half>(call);
    default: return false;
  }
}

}  // namespace

bool run_wgmma(const wgmma_call& call) {
  if (call.steps > max_steps) return false;
  return call.half_accumulators ? launch_width<true>(call) : launch_width<false>(call);
}

}  // namespace quaver_test
