// SPDX-License-Identifier: MIT
#include "tensor_core_kernels.hpp"

#include <quaver/cuda/ptx/wgmma.cuh>
#include <quaver/format/formats.hpp>

#include <cuda_runtime_api.h>

// The instruction under the microscope: nothing here is fast. Operands go to shared memory as core matrices without
// swizzle.

namespace quaver_test {

namespace {

using namespace quaver;

constexpr int max_steps = 8;

#if QUAVER_WGMMA

// The operand list, twice: by number for the instruction, by variable for the compiler.
// clang-format off
#define NAMES_2 "%0, %1"
#define NAMES_4 NAMES_2 ", " "%2, %3"
#define NAMES_8 NAMES_4 ", " "%4, %5, %6, %7"
#define NAMES_16 NAMES_8 ", " "%8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_32 NAMES_16 ", " "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_64 NAMES_32 ", " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, " \
  "%51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_128 NAMES_64 ", " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, " \
  "%83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, " \
  "%102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, " \
  "%118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define WORDS_2 "+r"(d[0]), "+r"(d[1])
#define WORDS_4 WORDS_2, "+r"(d[2]), "+r"(d[3])
#define WORDS_8 WORDS_4, "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7])
#define WORDS_16 WORDS_8, "+r"(d[8]), "+r"(d[9]), "+r"(d[10]), "+r"(d[11]), "+r"(d[12]), "+r"(d[13]), "+r"(d[14]), "+r"(d[15])
#define WORDS_32 WORDS_16, \
  "+r"(d[16]), "+r"(d[17]), "+r"(d[18]), "+r"(d[19]), "+r"(d[20]), "+r"(d[21]), "+r"(d[22]), \
  "+r"(d[23]), "+r"(d[24]), "+r"(d[25]), "+r"(d[26]), "+r"(d[27]), "+r"(d[28]), "+r"(d[29]), \
  "+r"(d[30]), "+r"(d[31])
#define WORDS_64 WORDS_32, \
  "+r"(d[32]), "+r"(d[33]), "+r"(d[34]), "+r"(d[35]), "+r"(d[36]), "+r"(d[37]), "+r"(d[38]), \
  "+r"(d[39]), "+r"(d[40]), "+r"(d[41]), "+r"(d[42]), "+r"(d[43]), "+r"(d[44]), "+r"(d[45]), \
  "+r"(d[46]), "+r"(d[47]), "+r"(d[48]), "+r"(d[49]), "+r"(d[50]), "+r"(d[51]), "+r"(d[52]), \
  "+r"(d[53]), "+r"(d[54]), "+r"(d[55]), "+r"(d[56]), "+r"(d[57]), "+r"(d[58]), "+r"(d[59]), \
  "+r"(d[60]), "+r"(d[61]), "+r"(d[62]), "+r"(d[63])
#define WORDS_128 WORDS_64, \
  "+r"(d[64]), "+r"(d[65]), "+r"(d[66]), "+r"(d[67]), "+r"(d[68]), "+r"(d[69]), "+r"(d[70]), \
  "+r"(d[71]), "+r"(d[72]), "+r"(d[73]), "+r"(d[74]), "+r"(d[75]), "+r"(d[76]), "+r"(d[77]), \
  "+r"(d[78]), "+r"(d[79]), "+r"(d[80]), "+r"(d[81]), "+r"(d[82]), "+r"(d[83]), "+r"(d[84]), \
  "+r"(d[85]), "+r"(d[86]), "+r"(d[87]), "+r"(d[88]), "+r"(d[89]), "+r"(d[90]), "+r"(d[91]), \
  "+r"(d[92]), "+r"(d[93]), "+r"(d[94]), "+r"(d[95]), "+r"(d[96]), "+r"(d[97]), "+r"(d[98]), \
  "+r"(d[99]), "+r"(d[100]), "+r"(d[101]), "+r"(d[102]), "+r"(d[103]), "+r"(d[104]), "+r"(d[105]), \
  "+r"(d[106]), "+r"(d[107]), "+r"(d[108]), "+r"(d[109]), "+r"(d[110]), "+r"(d[111]), "+r"(d[112]), \
  "+r"(d[113]), "+r"(d[114]), "+r"(d[115]), "+r"(d[116]), "+r"(d[117]), "+r"(d[118]), "+r"(d[119]), \
  "+r"(d[120]), "+r"(d[121]), "+r"(d[122]), "+r"(d[123]), "+r"(d[124]), "+r"(d[125]), "+r"(d[126]), \
  "+r"(d[127])
// clang-format on

#define WGMMA(COUNT, A_AT, B_AT, C_AT, N, D, A, B)                                                \
  asm volatile("{\n .reg .pred with_c;\n setp.ne.b32 with_c, %" #C_AT                             \
               ", 0;\n"                                                                           \
               " wgmma.mma_async.sync.aligned.m64n" #N "k32." #D "." #A "." #B " {" NAMES_##COUNT \
               "}, %" #A_AT ", %" #B_AT ", with_c, 1, 1;\n}"                                      \
               : WORDS_##COUNT                                                                    \
               : "l"(a), "l"(b), "r"(with_c))
#define WGMMA_OF_MIX(COUNT, A_AT, B_AT, C_AT, N, D)                                                           \
  do {                                                                                                        \
    if constexpr (same_type<A, e4m3> && same_type<B, e4m3>) WGMMA(COUNT, A_AT, B_AT, C_AT, N, D, e4m3, e4m3); \
    if constexpr (same_type<A, e4m3> && same_type<B, e5m2>) WGMMA(COUNT, A_AT, B_AT, C_AT, N, D, e4m3, e5m2); \
    if constexpr (same_type<A, e5m2> && same_type<B, e4m3>) WGMMA(COUNT, A_AT, B_AT, C_AT, N, D, e5m2, e4m3); \
    if constexpr (same_type<A, e5m2> && same_type<B, e5m2>) WGMMA(COUNT, A_AT, B_AT, C_AT, N, D, e5m2, e5m2); \
  } while (false)

template <int N, bool Half, class A, class B>
__device__ void multiply_accumulate(uint32_t (&d)[size_t{N / (Half ? 4 : 2)}], uint64_t a, uint64_t b,
                                    uint32_t with_c) {
  if constexpr (N == 8 && !Half) WGMMA_OF_MIX(4, 4, 5, 6, 8, f32);
  if constexpr (N == 16 && !Half) WGMMA_OF_MIX(8, 8, 9, 10, 16, f32);
  if constexpr (N == 64 && !Half) WGMMA_OF_MIX(32, 32, 33, 34, 64, f32);
  if constexpr (N == 128 && !Half) WGMMA_OF_MIX(64, 64, 65, 66, 128, f32);
  if constexpr (N == 256 && !Half) WGMMA_OF_MIX(128, 128, 129, 130, 256, f32);
  if constexpr (N == 8 && Half) WGMMA_OF_MIX(2, 2, 3, 4, 8, f16);
  if constexpr (N == 16 && Half) WGMMA_OF_MIX(4, 4, 5, 6, 16, f16);
  if constexpr (N == 64 && Half) WGMMA_OF_MIX(16, 16, 17, 18, 64, f16);
  if constexpr (N == 128 && Half) WGMMA_OF_MIX(32, 32, 33, 34, 128, f16);
  if constexpr (N == 256 && Half) WGMMA_OF_MIX(64, 64, 65, 66, 256, f16);
}

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

  uint32_t d[words];
  const size_t mine = (static_cast<size_t>(tile) * 128 + threadIdx.x) * words;
  for (int i = 0; i < words; ++i) d[i] = call.c == nullptr ? 0xFFFF'FFFFu : call.c[mine + static_cast<size_t>(i)];

  // The values are there before the first instruction is issued, not moved there after it.
  for (int i = 0; i < words; ++i) asm volatile("" : "+r"(d[i])::"memory");
  cuda::ptx::fence_proxy_async();
  __syncthreads();
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const auto multiply    = [&](int step) {
    const uint32_t at_a = address + static_cast<uint32_t>(step * a_bytes);
    const uint32_t at_b = address + static_cast<uint32_t>(call.steps * a_bytes + step * b_bytes);
    multiply_accumulate<N, Half, A, B>(d, cuda::ptx::wgmma_descriptor(at_a, 128, 256, cuda::ptx::wgmma_swizzle::none),
                                          cuda::ptx::wgmma_descriptor(at_b, 128, 256, cuda::ptx::wgmma_swizzle::none),
                                          step > 0 || call.c != nullptr);
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
  for (int i = 0; i < words; ++i) call.d[mine + static_cast<size_t>(i)] = d[i];
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
