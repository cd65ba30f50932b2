// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_TENSOR_CUH
#define QUAVER_CUDA_QUANTIZE_TENSOR_CUH

#include <quaver/cuda/quantize/chunk.cuh>

// One scale for a whole tensor, without the host. A small one takes one launch: every thread block takes the amax of its
// part, all of them wait for each other, then each encodes; as many are launched as the device holds at once,
// cooperatively, so that all of them do arrive. A large one takes two: the amax, then a cast with what that has made,
// which reads a little faster than a grid that stays. Either way the second reading goes backwards, and the first asks the
// second-level cache to keep what it reads last.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// What the thread blocks of one call share, in device memory. All zero before the first call, and again after each.
struct tensor_workspace {
  uint32_t amax;  ///< bits of a magnitude: NaN is above infinity is above every number
  uint32_t arrived;
  uint32_t left;
  uint32_t unused;
  tensor_scale scale;  ///< between the two launches; not zeroed
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

__device__ __forceinline__ void clear(tensor_workspace* work) noexcept {
  work->amax    = 0;
  work->arrived = 0;
  work->left    = 0;
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

/// How a source lies: element by element, by vectors in rows, or by vectors in one row, which needs no division.
enum class lying : uint8_t { elements, rows, one_row };

/// Where a chunk lies.
struct chunk_place {
  int64_t row;
  int64_t col;
};
template <lying Lies>
__device__ __forceinline__ chunk_place place_of(uint32_t i, const chunk_divider& per_row) noexcept {
  if constexpr (Lies == lying::one_row) return {0, int64_t{i} * chunk};
  const uint32_t row = per_row.quotient(i);
  return {row, int64_t{per_row.rest(i, row)} * chunk};
}

/// The first reading, or the second, which goes backwards.
enum class pass : uint8_t { first, second };

/// Calls use(place, fetched, values) for the chunks of this thread: those with numbers first + k * step, some of them fetched
/// together. Chunks from `keep_from` on are to stay in the second-level cache until the second pass.
template <lying Lies, pass Pass, class Source, class Use>
__device__ __forceinline__ void visit_part(const Source& x, const chunk_divider& per_row, uint32_t chunks,
                                           uint32_t keep_from, const Use& use) noexcept {
  constexpr bool vectors = Lies != lying::elements;
  const uint32_t step    = gridDim.x * tensor_threads;
  const uint32_t first   = blockIdx.x * tensor_threads + threadIdx.x;
  const uint32_t count   = first < chunks ? (chunks - 1 - first) / step + 1 : 0;
  const cache_hint gone  = make_hint<keeping::first_to_go>();
  const cache_hint kept  = make_hint<keeping::last_to_go>();
  const auto number      = [&](uint32_t k) { return first + (Pass == pass::second ? count - 1 - k : k) * step; };

  constexpr uint32_t under_way = chunks_in<Source, vectors>(Pass == pass::first ? 32 : 16);
  uint32_t k                   = 0;
  for (; k + under_way <= count; k += under_way) {
    const cache_hint hint = Pass == pass::first && number(k) >= keep_from ? kept : gone;
    chunk_place at[under_way];
    fetched<Source, vectors> raw[under_way];
#pragma unroll
    for (uint32_t i = 0; i < under_way; ++i) {
      at[i]  = place_of<Lies>(number(k + i), per_row);
      raw[i] = x.template fetch<vectors>(at[i].row, at[i].col, hint);
    }
#pragma unroll
    for (uint32_t i = 0; i < under_way; ++i) {
      float v[chunk];
      x.template values<vectors>(raw[i], v);
      use(at[i], raw[i], v);
    }
  }
  for (; k < count; ++k) {
    const chunk_place at = place_of<Lies>(number(k), per_row);
    float v[chunk];
    const auto raw = x.template fetch<vectors>(at.row, at.col, Pass == pass::first ? kept : gone);
    x.template values<vectors>(raw, v);
    use(at, raw, v);
  }
}

/// The largest magnitude in the chunks of this thread.
template <lying Lies, class Source>
__device__ __forceinline__ float amax_of_part(const Source& x, const chunk_divider& per_row, uint32_t chunks,
                                              uint32_t keep_from) noexcept {
  float largest  = 0.0f;
  const auto use = [&](const chunk_place&, const auto& raw, const float(&v)[chunk]) {
    largest = larger_magnitude(largest, fetched_amax(x, raw, v));
  };
  visit_part<Lies, pass::first>(x, per_row, chunks, keep_from, use);
  return largest;
}

/// The amax of a source, given to finish(amax) by one thread.
template <lying Lies, class Source, class Finish>
__global__ void __launch_bounds__(tensor_threads, is_light<Source, Lies != lying::elements> ? 2 : 1)
    amax_kernel(Source x, Finish finish, chunk_divider per_row, uint32_t chunks, uint32_t keep_from,
                tensor_workspace* work) {
  let_next_grid_begin();
  const bool last = raise_and_arrive<tensor_threads>(amax_of_part<Lies>(x, per_row, chunks, keep_from), work);
  if (!last || threadIdx.x != 0) return;
  finish(amax_of_bits(load_acquire(&work->amax)));
  clear(work);
}

template <lying Lies, rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(tensor_threads,
                                  is_light<Source, Lies != lying::elements, R == rounding::stochastic> ? 2 : 1)
    quantize_tensor(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row, uint32_t chunks,
                    tensor_workspace* work) {
  let_next_grid_begin();
  const bool last = raise_and_arrive<tensor_threads>(amax_of_part<Lies>(x, per_row, chunks, 0), work);
  if (!last && threadIdx.x == 0) {
    while (load_acquire(&work->arrived) != gridDim.x) {
    }
  }
  __syncthreads();
  const float amax         = amax_of_bits(load_acquire(&work->amax));
  const tensor_scale scale = scale_of_block(out, 0, amax, plan, blockIdx.x == 0 && threadIdx.x == 0);

  visit_part<Lies, pass::second>(x, per_row, chunks, 0, [&](const chunk_place& at, const auto&, float(&v)[chunk]) {
    quantize_chunk<Lies != lying::elements, R, O>(v, out.values, at.row, at.col, x.cols, scale, plan);
  });
  // Whoever leaves last knows that all others have read the amax.
  __syncthreads();
  if (threadIdx.x == 0 && add_release(&work->left, 1) + 1 == gridDim.x) clear(work);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
