// SPDX-License-Identifier: MIT
#ifndef QUAVER_BENCH_CUDA_BUFFERS_CUH
#define QUAVER_BENCH_CUDA_BUFFERS_CUH

// What the benchmarks of quantisation work on: device memory, filled with numbers like those of a model.

#include <quaver/base/status.hpp>
#include <quaver/format/formats.hpp>

#include "cuda_turns.cuh"

namespace quaver_bench {

using namespace quaver;

/// Gaussian-like numbers: sums of four bytes of a hash.
static __global__ void fill(bfloat16* x, size_t count) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count; i += size_t{gridDim.x} * blockDim.x) {
    uint32_t h = static_cast<uint32_t>(i) * 0x9E3779B9u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    h ^= h >> 16;
    const float sum = static_cast<float>((h & 0xFF) + (h >> 8 & 0xFF) + (h >> 16 & 0xFF) + (h >> 24)) - 510.0f;
    x[i]            = bfloat16::from_bits(static_cast<uint16_t>(bitwise_cast<uint32_t>(sum / 147.0f) >> 16));
  }
}

template <class T>
struct device_array {
  T* data = nullptr;
  explicit device_array(size_t count) { QUAVER_MUST(cudaMalloc(reinterpret_cast<void**>(&data), count * sizeof(T))); }
  device_array(const device_array&)            = delete;
  device_array& operator=(const device_array&) = delete;
  ~device_array() { cudaFree(data); }
};

/// Ends the program with the sentence of a call that failed.
inline void must(const status& done) {
  if (done.ok()) return;
  std::fprintf(stderr, "%s\n", done.message().c_str());
  std::exit(1);
}

}  // namespace quaver_bench

#endif
