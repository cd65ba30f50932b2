// SPDX-License-Identifier: MIT
//
// A GEMM on a Hopper GPU with an epilogue of one's own: the first half of a feed-forward layer. silu(A * B^T) becomes E4M3
// while it is still in registers, each 128 columns of a row with a scale of their own, as the next GEMM wants its A. The same
// on the host, in three passes, gives the same bytes.

#include <quaver/base/philox.hpp>
#include <quaver/convert/members.hpp>
#include <quaver/cpu/gemm.hpp>
#include <quaver/cpu/quantize.hpp>
#include <quaver/cuda/wgmma_gemm_with.cuh>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace quaver;

/// The epilogue: any small type that is called with four elements. The 32 lanes of a warp have 128 columns of one row: see
/// product_epilogue.
struct quantize_rows {
  scaled_matrix<e4m3> to;  // blocks_1x128, in device memory

  __device__ void operator()(const cuda::product_quad& at, const float (&x)[4]) const {
    float amax = 0;
    for (int i = 0; i < 4; ++i) {
      if (i < at.count) amax = fmaxf(amax, fabsf(x[i]));
    }
    for (int apart = 16; apart != 0; apart /= 2) amax = fmaxf(amax, __shfl_xor_sync(0xFFFF'FFFF, amax, apart));
    const tensor_scale scale = current_scale<e4m3>(amax);
    if (threadIdx.x % 32 == 0) to.scales[to.layout.index(at.row, at.col, to.rows(), to.cols())] = scale.dequant.value();
    for (int i = 0; i < 4; ++i) {
      if (i < at.count) to.values(at.row, at.col + i) = cuda::encode<e4m3>(cuda::multiply(x[i], scale.quant.value()));
    }
  }
};

/// An array in device memory, until the program ends.
template <class T>
T* on_device(const std::vector<T>& from) {
  T* to = nullptr;
  if (cudaMalloc(reinterpret_cast<void**>(&to), from.size() * sizeof(T)) != cudaSuccess ||
      cudaMemcpy(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice) != cudaSuccess) {
    std::fprintf(stderr, "%s\n", cudaGetErrorString(cudaGetLastError()));
    std::exit(1);
  }
  return to;
}
template <class T>
bool same(const T* device, const std::vector<T>& host) {
  std::vector<T> copy(host.size());
  return cudaMemcpy(copy.data(), device, copy.size() * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess &&
         std::memcmp(copy.data(), host.data(), copy.size() * sizeof(T)) == 0;
}

/// m x n x k. Small integers and powers of two: every sum is exact, on any machine and in any order.
status run(int64_t m, int64_t n, int64_t k, bool& equal) {
  const auto size = [](int64_t count) { return static_cast<size_t>(count); };
  std::vector<e4m3> a(size(m * k));
  std::vector<e4m3> b(size(n * k));
  std::vector<float> a_scales(size(blocks_1x128.scale_count(m, k)));
  std::vector<float> b_scales(size(blocks_128x128.scale_count(n, k)));
  for (size_t i = 0; i < a.size(); ++i) a[i] = e4m3(static_cast<int>(philox_word(1, i) % 9) - 4);
  for (size_t i = 0; i < b.size(); ++i) b[i] = e4m3(static_cast<int>(philox_word(2, i) % 9) - 4);
  for (size_t i = 0; i < a_scales.size(); ++i) a_scales[i] = std::ldexp(1.0f, -static_cast<int>(i % 5));
  for (size_t i = 0; i < b_scales.size(); ++i) b_scales[i] = std::ldexp(1.0f, -static_cast<int>(i % 3));

  std::vector<float> x(size(m * n));
  gemm_problem<e4m3, e4m3> problem;
  problem.a   = {{a.data(), m, k}, blocks_1x128, a_scales.data()};
  problem.b   = {{b.data(), n, k}, blocks_128x128, b_scales.data()};
  problem.d   = {x.data(), m, n};
  problem.act = activation::silu;
  if (status bad = cpu::gemm(problem); !bad.ok()) return bad;
  std::vector<e4m3> codes(x.size());
  std::vector<float> scales(size(blocks_1x128.scale_count(m, n)));
  const scaled_matrix<e4m3> wanted{{codes.data(), m, n}, blocks_1x128, scales.data()};
  if (status bad = cpu::quantize(matrix_view<const float>(x.data(), m, n), wanted); !bad.ok()) return bad;

  cuda::gemm_product<e4m3, e4m3> product;
  product.a = {{on_device(a), m, k}, blocks_1x128, on_device(a_scales)};
  product.b = {{on_device(b), n, k}, blocks_128x128, on_device(b_scales)};
  const scaled_matrix<e4m3> d{
      {on_device(std::vector<e4m3>(codes.size())), m, n}, blocks_1x128, on_device(std::vector<float>(scales.size()))};
  // A step of the library's, then our own. Only the kernels for scales of blocks are compiled.
  const auto epilogue = cuda::epilogues::in_order(cuda::epilogues::activate<activation::silu>{}, quantize_rows{d});
  const auto plan     = cuda::plan_wgmma_with<cuda::wgmma_sums::scaled>(product, epilogue);
  if (!plan.ok()) return plan.error();
  if (status bad = plan->launch(); !bad.ok()) return bad;
  equal = same(d.values.data, codes) && same(d.scales, scales);
  std::printf("%d x %d x %d: %s; %s\n", static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              plan->description().c_str(), equal ? "the host's bytes" : "DIFFERENT from the host's");
  return {};
}

int main() {
  cudaDeviceProp card{};
  if (cudaGetDeviceProperties(&card, 0) != cudaSuccess || card.major != 9) {
    std::printf("no Hopper here: nothing run\n");
    return 0;
  }
  for (const int64_t m : {300, 7}) {  // the kernel for large M, and that for small
    bool equal        = false;
    const status done = run(m, 520, 1008, equal);
    if (!done.ok()) std::fprintf(stderr, "%s\n", done.message().c_str());
    if (!done.ok() || !equal) return 1;
  }
  return 0;
}
