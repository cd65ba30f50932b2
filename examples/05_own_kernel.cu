// SPDX-License-Identifier: MIT
//
// A kernel of one's own, made of the library's parts: tiles that the copy engine loads into a ring, the matrix instruction,
// scales of blocks, an epilogue. One tile of 64 x 128 a thread block, so that little hides anything; cuda::wgmma_gemm is the
// same with all that makes it fast. D = relu(A * B^T + bias) in bfloat16, against the host's.

#include <quaver/base/philox.hpp>
#include <quaver/convert/members.hpp>
#include <quaver/cuda/wgmma_gemm_with.cuh>

#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace quaver;
namespace ptx = quaver::cuda::ptx;

/// Tiles of 64 x 128, four steps of 128 of K in flight.
using shape               = cuda::wgmma_shape<64, 128, 4, 1, cuda::wgmma_shared::nothing, cuda::wgmma_split::tiles>;
using ring_type           = cuda::wgmma_ring<shape>;
constexpr uint32_t stages = shape::stages;
constexpr uint32_t bytes  = ring_type::a_bytes + ring_type::b_bytes;  // of a stage

struct own_work {
  cuda::tensor_map a, b;
  const float *a_scales, *b_scales;  // 1x128 and 128x128, row after row
  int m, n, steps;
};

template <cuda::product_epilogue Epilogue>
__global__ void __launch_bounds__(160) own_kernel(const __grid_constant__ own_work work, Epilogue epilogue) {
#if QUAVER_WGMMA
  extern __shared__ __align__(1024) unsigned char memory[];
  ring_type ring{};
  ring.stages   = ptx::shared_address(memory);
  ring.barriers = ring.stages + stages * bytes;
  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < stages; ++i) {
      ptx::barrier_begin(ring.barriers + 16 * i, 1);      // full: one thread expects the bytes
      ptx::barrier_begin(ring.barriers + 16 * i + 8, 4);  // empty: four warps have read them
    }
    ptx::barriers_begun();
  }
  __syncthreads();
  const int row = static_cast<int>(blockIdx.y) * shape::rows;
  const int col = static_cast<int>(blockIdx.x) * shape::cols;
  if (threadIdx.x >= 128) {  // one thread loads: rows and K beyond the matrices come as zeros
    for (int step = 0; threadIdx.x == 128 && step < work.steps; ++step, ring.advance()) {
      ptx::barrier_wait(ring.empty(), ring.parity ^ 1);
      ptx::barrier_expect(ring.full(), bytes);
      ptx::tma_load(&work.a, ring.a(), ring.full(), step * cuda::wgmma_step, row, 0);
      ptx::tma_load(&work.b, ring.b(), ring.full(), step * cuda::wgmma_step, col, 0);
    }
    return;
  }
  // A warpgroup multiplies. Of its 64 rows a thread has `own` and the one 8 below.
  const int own        = row + static_cast<int>(threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4);
  const float* low     = work.a_scales + min(own, work.m - 1) * work.steps;
  const float* high    = work.a_scales + min(own + 8, work.m - 1) * work.steps;
  const float* b_scale = work.b_scales + col / 128 * work.steps;
  float total[64]      = {};
  float sums[64];
  for (int step = 0; step < work.steps; ++step, ring.advance()) {
    const float scales[2] = {cuda::multiply(low[step], b_scale[step]), cuda::multiply(high[step], b_scale[step])};
    ptx::barrier_wait(ring.full(), ring.parity);
    cuda::hold(sums);
    ptx::wgmma_fence();
    cuda::multiply_step<e4m3, e4m3, shape::cols>(sums, cuda::describe_operand(ring.a()),
                                                 cuda::describe_operand(ring.b()), false);
    ptx::wgmma_commit();
    cuda::hold(sums);
    ptx::wgmma_wait<0>();
    cuda::hold(sums);
    if (threadIdx.x % 32 == 0) ptx::barrier_arrive(ring.empty());
#pragma unroll
    for (int i = 0; i < 64; ++i) total[i] = cuda::fused_multiply_add(sums[i], scales[i / 2 % 2], total[i]);
  }
  cuda::finish_from_registers(total, 0, row, col, work.m, work.n, epilogue);
  cuda::end_tile_of(epilogue);
#endif
}

/// An array that both sides reach, until the program ends, filled with value(i).
template <class T, class Value>
T* array(int64_t count, const Value& value) {
  T* data = nullptr;
  if (cudaMallocManaged(reinterpret_cast<void**>(&data), static_cast<size_t>(count) * sizeof(T)) != cudaSuccess)
    std::exit(1);
  for (int64_t i = 0; i < count; ++i) data[i] = T(value(static_cast<uint64_t>(i)));
  return data;
}

/// What stands in D when the host computes it: sums of small integers and powers of two are exact in any order.
bfloat16 on_host(const scaled_matrix<const e4m3>& a, const scaled_matrix<const e4m3>& b, float bias, int64_t r,
                 int64_t c) {
  float sum = bias;
  for (int64_t i = 0; i < a.cols(); ++i)
    sum += decode<float>(a.values(r, i)) * a.dequant(r, i) * (decode<float>(b.values(c, i)) * b.dequant(c, i));
  return bfloat16(sum > 0 ? sum : 0.0f);
}

status run(int64_t m, int64_t n, int64_t k, bool& equal) {
  const auto integer   = [](uint64_t i) { return static_cast<float>(philox_word(1, i) % 9) - 4; };
  const auto power     = [](uint64_t i) { return std::ldexp(1.0f, -static_cast<int>(i % 5)); };
  auto* const a_scales = array<float>(blocks_1x128.scale_count(m, k), power);
  auto* const b_scales = array<float>(blocks_128x128.scale_count(n, k), power);
  const scaled_matrix<const e4m3> a{{array<e4m3>(m * k, integer), m, k}, blocks_1x128, a_scales};
  const scaled_matrix<const e4m3> b{{array<e4m3>(n * k, integer), n, k}, blocks_128x128, b_scales};
  auto* const bias = array<float>(n, integer);
  const matrix_view<bfloat16> d(array<bfloat16>(m * n, integer), m, n);

  const auto steps = static_cast<int>((k + 127) / 128);
  own_work work{{}, {}, a_scales, b_scales, static_cast<int>(m), static_cast<int>(n), steps};
  if (status bad = cuda::make_codes_map("A", a.values, 1, 0, shape::rows, work.a); !bad.ok()) return bad;
  if (status bad = cuda::make_codes_map("B", b.values, 1, 0, shape::cols, work.b); !bad.ok()) return bad;
  using namespace cuda::epilogues;
  auto epilogue       = in_order(plus_bias{bias}, activate<activation::relu>{}, store<bfloat16>{d});
  const auto kernel   = own_kernel<decltype(epilogue)>;
  const size_t shared = stages * (bytes + 16);
  if (status bad = cuda::ready_wgmma("own_kernel", kernel, shared); !bad.ok()) return bad;
  const dim3 grid(static_cast<unsigned>((n + 127) / 128), static_cast<unsigned>((m + 63) / 64));
  kernel<<<grid, 160, shared>>>(work, epilogue);
  if (status bad = cuda::from_runtime("own_kernel", cudaDeviceSynchronize()); !bad.ok()) return bad;
  equal = true;
  for (int64_t r = 0; r < m; ++r) {
    for (int64_t c = 0; c < n; ++c) equal = equal && d(r, c).bits() == on_host(a, b, bias[c], r, c).bits();
  }
  return {};
}

int main() {
  cudaDeviceProp card{};
  if (cudaGetDeviceProperties(&card, 0) != cudaSuccess || card.major != 9) {
    std::printf("no Hopper here: nothing run\n");
    return 0;
  }
  bool equal        = false;
  const status done = run(200, 328, 1008, equal);
  std::printf("200 x 328 x 1008: %s\n", !done.ok() ? done.message().c_str() : equal ? "ok" : "D is not the host's");
  return equal ? 0 : 1;
}
