// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_TENSOR_CUH
#define QUAVER_CUDA_QUANTIZE_TENSOR_CUH

#include <quaver/cuda/quantize/chunk.cuh>

// One scale for a whole tensor, in one launch and without the host: every thread block takes the amax of its part, all
// of them wait for each other, then each encodes. The second pass goes backwards, because what was read last is what the
// second-level cache still holds. As many thread blocks are launched as the device holds at once, cooperatively, so that
// all of them do arrive.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// What the thread blocks of one call share, in device memory. All zero before the first call, and again after each.
struct tensor_workspace {
  uint32_t amax;  ///< bits of a magnitude: NaN is above infinity is above every number
  uint32_t arrived;
  uint32_t left;
};

inline constexpr int tensor_threads = 512;

__device__ __forceinline__ uint32_t load_acquire(const uint32_t* address) noexcept {
  uint32_t value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
__device__ __forceinline__ uint32_t add_release(uint32_t* address, uint32_t by) noexcept {
  uint32_t before;
  asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;" : "=r"(before) : "l"(address), "r"(by) : "memory");
  return before;
}

/// The bits of a magnitude with every NaN made 7FC00000.
__device__ __forceinline__ float amax_of_bits(uint32_t bits) noexcept {
  return bitwise_cast<float>(canonical_nan(bits));
}

/// Takes part in the amax of the grid. True in all threads of the thread block that comes last.
template <int Threads>
__device__ __forceinline__ bool raise_and_arrive(float mine, tensor_workspace* work) noexcept {
  __shared__ float shared[32];
  __shared__ bool last;
  const float amax = block_amax<Threads>(mine, shared);
  if (threadIdx.x == 0) {
    atomicMax(&work->amax, bitwise_cast<uint32_t>(amax));
    last = add_release(&work->arrived, 1) + 1 == gridDim.x;
  }
  __syncthreads();
  return last;
}

/// The largest magnitude of a source in `chunks` chunks, to the chunks of this thread.
template <bool Vectors, class Source>
__device__ __forceinline__ float amax_of_part(const Source& x, const chunk_divider& per_row, uint32_t chunks) noexcept {
  const uint32_t step = gridDim.x * tensor_threads;
  uint32_t i          = blockIdx.x * tensor_threads + threadIdx.x;
  float largest       = 0.0f;
  uint32_t row;
  uint32_t place;
  // Two chunks in flight.
  for (; i < chunks && chunks - i > step; i += 2 * step) {
    float first[chunk];
    float second[chunk];
    per_row.divide(i, row, place);
    x.template load<Vectors>(row, int64_t{place} * chunk, first);
    per_row.divide(i + step, row, place);
    x.template load<Vectors>(row, int64_t{place} * chunk, second);
    largest = chunk_amax(second, chunk_amax(first, largest));
  }
  if (i < chunks) {
    float first[chunk];
    per_row.divide(i, row, place);
    x.template load<Vectors>(row, int64_t{place} * chunk, first);
    largest = chunk_amax(first, largest);
  }
  return largest;
}

/// The amax of a source, given to finish(amax) by one thread.
template <bool Vectors, class Source, class Finish>
__global__ void __launch_bounds__(tensor_threads, 2)
    amax_kernel(Source x, Finish finish, chunk_divider per_row, uint32_t chunks, tensor_workspace* work) {
  const bool last = raise_and_arrive<tensor_threads>(amax_of_part<Vectors>(x, per_row, chunks), work);
  if (!last || threadIdx.x != 0) return;
  finish(amax_of_bits(load_acquire(&work->amax)));
  *work = {};
}

template <bool Vectors, rounding R, overflow O, signed_format F, class Source>
__global__ void __launch_bounds__(tensor_threads, 2)
    quantize_tensor(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row, uint32_t chunks,
                    tensor_workspace* work) {
  const bool last = raise_and_arrive<tensor_threads>(amax_of_part<Vectors>(x, per_row, chunks), work);
  if (!last && threadIdx.x == 0) {
    while (load_acquire(&work->arrived) != gridDim.x) {
    }
  }
  __syncthreads();
  const float amax         = amax_of_bits(load_acquire(&work->amax));
  const tensor_scale scale = scale_of_block(out, 0, 0, amax, plan, blockIdx.x == 0 && threadIdx.x == 0);

  const uint32_t step  = gridDim.x * tensor_threads;
  const uint32_t first = blockIdx.x * tensor_threads + threadIdx.x;
  if (first < chunks) {
    for (uint32_t i = first + (chunks - 1 - first) / step * step;; i -= step) {
      uint32_t row;
      uint32_t place;
      float v[chunk];
      per_row.divide(i, row, place);
      const int64_t col = int64_t{place} * chunk;
      x.template load<Vectors>(row, col, v);
      quantize_chunk<Vectors, R, O>(v, out.values, row, col, x.cols, scale, plan);
      if (i == first) break;
    }
  }
  // Whoever leaves last knows that all others have read the amax.
  __syncthreads();
  if (threadIdx.x == 0 && add_release(&work->left, 1) + 1 == gridDim.x) *work = {};
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
