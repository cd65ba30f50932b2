// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_TENSOR_CUH
#define QUAVER_CUDA_QUANTIZE_TENSOR_CUH

#include <quaver/cuda/quantize/chunk.cuh>

// One scale for a whole tensor, without the host. What the multiprocessors can hold takes one launch: every thread block
// takes the amax of its part, all of them meet, then each encodes; as many are launched as the device holds at once,
// cooperatively, so that all of them do arrive. A small tensor stays in registers between the two, a larger one in shared
// memory. Where it can, the launch begins while the kernel in front of it ends, and a small tensor is asked for from then on.
//
// A still larger one takes two launches: the amax, then a cast with what that has made. The second reading goes backwards,
// and the first asks the second-level cache to keep what it reads last.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int most_tensor_blocks = 256;

/// What the thread blocks of one call share, in device memory. All zero before the first call; then it is the calls'.
struct tensor_workspace {
  uint32_t amax;      ///< bits of a magnitude: NaN is above infinity is above every number; zero between calls
  uint32_t arrived;   ///< zero between calls
  uint32_t meetings;  ///< those that have ended, modulo 2^32
  uint32_t unused;
  tensor_scale scale;  ///< between the two launches
  uint32_t apart[25];  ///< what follows is asked for again and again, in lines of its own
  /// Of each thread block, the number of a meeting (above) and what it found for it (below): one store tells both.
  uint64_t found[most_tensor_blocks];
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
__device__ __forceinline__ uint64_t load_relaxed(const uint64_t* address) noexcept {
  uint64_t value;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(address) : "memory");
  return value;
}
__device__ __forceinline__ void store_relaxed(uint64_t* address, uint64_t value) noexcept {
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(address), "l"(value) : "memory");
}

/// The bits of a magnitude with every NaN made 7FC00000.
__device__ __forceinline__ float amax_of_bits(uint32_t bits) noexcept {
  return bitwise_cast<float>(canonical_nan(bits));
}

/// The largest magnitude of the thread block, as bits; in its first warp. `shared` has 32 words.
template <int Threads>
__device__ __forceinline__ uint32_t block_amax_bits(float mine, uint32_t* shared) noexcept {
  const uint32_t warp = __reduce_max_sync(0xFFFF'FFFFu, bitwise_cast<uint32_t>(mine) & binary<float>::magnitude_mask);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = warp;
  __syncthreads();
  if (threadIdx.x >= 32) return 0;
  return __reduce_max_sync(0xFFFF'FFFFu, threadIdx.x < Threads / 32 ? shared[threadIdx.x] : 0);
}

/// The number of the meeting that this launch is to have, in the first warp: read before it, while other reads are on their
/// way.
__device__ __forceinline__ uint32_t next_meeting(const tensor_workspace* work) noexcept {
  uint32_t ended = 0;
  if (threadIdx.x < 32)
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(ended) : "l"(&work->meetings) : "memory");
  return ended + 1;
}

/// The amax of the grid, of at most most_tensor_blocks thread blocks which are all resident; in all threads. Each thread
/// block writes one word and reads those of all: no atomics, and nothing to clear, since the words of earlier meetings have
/// other numbers.
template <int Threads>
__device__ __forceinline__ float meet(float mine, uint32_t meeting, tensor_workspace* work) noexcept {
  __shared__ uint32_t shared[32];
  __shared__ uint32_t result;
  const uint32_t own = block_amax_bits<Threads>(mine, shared);
  if (threadIdx.x < 32) {
    if (threadIdx.x == 0) store_relaxed(&work->found[blockIdx.x], uint64_t{meeting} << 32 | own);
    uint32_t largest = 0;
    for (uint32_t i = threadIdx.x; i < gridDim.x; i += 32) {
      uint64_t found = 0;
      do found = load_relaxed(&work->found[i]);
      while (static_cast<uint32_t>(found >> 32) != meeting);
      const auto theirs = static_cast<uint32_t>(found);
      largest           = theirs > largest ? theirs : largest;
    }
    largest = __reduce_max_sync(0xFFFF'FFFFu, largest);
    if (threadIdx.x == 0) {
      result = largest;
      if (blockIdx.x == 0) work->meetings = meeting;  // all have come, so all have read the number before
    }
  }
  __syncthreads();
  return amax_of_bits(result);
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

/// The chunks of a thread: those with numbers first + k * step.
template <lying Lies>
struct thread_part {
  static constexpr bool vectors = Lies != lying::elements;
  uint32_t first;
  uint32_t step;
  uint32_t count;
  chunk_divider per_row;

  __device__ __forceinline__ thread_part(uint32_t chunks, const chunk_divider& divider) noexcept
      : first(blockIdx.x * blockDim.x + threadIdx.x),
        step(gridDim.x * blockDim.x),
        count(first < chunks ? (chunks - 1 - first) / step + 1 : 0),
        per_row(divider) {}
  [[nodiscard]] __device__ __forceinline__ chunk_place place(uint32_t k) const noexcept {
    return place_of<Lies>(first + k * step, per_row);
  }
  template <class Source>
  [[nodiscard]] __device__ __forceinline__ fetched<Source, vectors> fetch(const Source& x, uint32_t k,
                                                                          cache_hint hint) const noexcept {
    const chunk_place at = place(k);
    return x.template fetch<vectors>(at.row, at.col, hint);
  }
  /// Calls use(k, fetched) for k from `begin` to `end`, or from end - 1 down to begin; some are fetched together.
  template <bool Backwards, int Registers, class Source, class Use>
  __device__ __forceinline__ void visit(const Source& x, uint32_t begin, uint32_t end, cache_hint hint,
                                        const Use& use) const noexcept {
    constexpr uint32_t under_way = chunks_in<Source, vectors>(Registers);
    const uint32_t all           = end - begin;
    const auto number            = [&](uint32_t i) { return Backwards ? end - 1 - i : begin + i; };
    uint32_t done                = 0;
    for (; done + under_way <= all; done += under_way) {
      fetched<Source, vectors> raw[under_way];
#pragma unroll
      for (uint32_t i = 0; i < under_way; ++i) raw[i] = fetch(x, number(done + i), hint);
#pragma unroll
      for (uint32_t i = 0; i < under_way; ++i) use(number(done + i), raw[i]);
    }
    for (; done < all; ++done) use(number(done), fetch(x, number(done), hint));
  }
};

template <bool Vectors, class Source>
__device__ __forceinline__ float amax_of_fetched(const Source& x, const fetched<Source, Vectors>& raw) noexcept {
  float v[chunk];
  x.template values<Vectors>(raw, v);
  return fetched_amax(x, raw, v);
}

/// The amax of a source, given to finish(amax) by one thread: of the thread block that comes last. Chunks from `keep_from` on are
/// to stay in the second-level cache.
template <lying Lies, class Source, class Finish>
__global__ void __launch_bounds__(tensor_threads, is_light<Source, Lies != lying::elements> ? 2 : 1)
    amax_kernel(Source x, Finish finish, chunk_divider per_row, uint32_t chunks, uint32_t keep_from,
                tensor_workspace* work) {
  using part = thread_part<Lies>;
  __shared__ uint32_t shared[32];
  let_next_grid_begin();
  const part mine(chunks, per_row);
  float largest      = 0.0f;
  const auto measure = [&](uint32_t, const auto& raw) {
    largest = larger_magnitude(largest, amax_of_fetched<part::vectors>(x, raw));
  };
  const uint32_t before = keep_from < mine.count * mine.step ? keep_from / mine.step : mine.count;
  mine.template visit<false, 32>(x, 0, before, make_hint<keeping::first_to_go>(), measure);
  mine.template visit<false, 32>(x, before, mine.count, make_hint<keeping::last_to_go>(), measure);
  const uint32_t bits = block_amax_bits<tensor_threads>(largest, shared);
  if (threadIdx.x != 0) return;
  atomicMax(&work->amax, bits);
  if (add_release(&work->arrived, 1) + 1 != gridDim.x) return;
  finish(amax_of_bits(load_acquire(&work->amax)));
  work->amax    = 0;
  work->arrived = 0;
}

/// A tensor of up to Held chunks a thread, which stay in its registers. By vectors alone.
template <lying Lies, int Threads, int Held, rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(Threads, 1)
    quantize_held_tensor(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row, uint32_t chunks,
                         tensor_workspace* work) {
  const thread_part<Lies> mine(chunks, per_row);
#pragma unroll
  for (uint32_t k = 0; k < Held; ++k) {
    if (k < mine.count) x.will_fetch(mine.place(k).row, mine.place(k).col);
  }
  wait_for_grid_before();
  let_next_grid_begin();
  const uint32_t meeting = next_meeting(work);
  fetched<Source, true> raw[Held];
#pragma unroll
  for (uint32_t k = 0; k < Held; ++k) {
    // What lies outside is the first chunk of all instead, which the amax knows anyway.
    const chunk_place at = k < mine.count ? mine.place(k) : chunk_place{0, 0};
    raw[k]               = x.template fetch<true>(at.row, at.col, make_hint<keeping::normal>());
  }
  float largest = 0.0f;
#pragma unroll
  for (uint32_t k = 0; k < Held; ++k) largest = larger_magnitude(largest, amax_of_fetched<true>(x, raw[k]));
  const float amax         = meet<Threads>(largest, meeting, work);
  const tensor_scale scale = new_scale(out, 0, amax, plan, blockIdx.x == 0 && threadIdx.x == 0);
#pragma unroll
  for (uint32_t k = 0; k < Held; ++k) {
    if (k >= mine.count) continue;
    const chunk_place at = mine.place(k);
    float v[chunk];
    x.template values<true>(raw[k], v);
    quantize_chunk<true, R, O>(v, out.values, at.row, at.col, x.cols, scale, plan);
  }
}

/// Threads of a kernel that has a multiprocessor for itself.
template <class Source, lying Lies, rounding R>
inline constexpr int wide_threads = is_light<Source, Lies != lying::elements, R == rounding::stochastic> ? 1024 : 512;

/// Fetched chunks in shared memory, 16 bytes of each thread beside each other. What is no multiple of that is not kept.
template <class Raw>
struct parked_chunks {
  static constexpr int words = sizeof(Raw) % 16 == 0 ? static_cast<int>(sizeof(Raw) / 16) : 0;
  struct image {
    uint4 word[static_cast<size_t>(words < 1 ? 1 : words)];
  };
  uint4* begin;
  __device__ __forceinline__ uint4& word(uint32_t k, int i) const noexcept {
    return begin[(k * static_cast<uint32_t>(words) + static_cast<uint32_t>(i)) * blockDim.x + threadIdx.x];
  }
  __device__ __forceinline__ void put(uint32_t k, const Raw& raw) const noexcept {
    if constexpr (words > 0) {
      const image bytes = bitwise_cast<image>(raw);
#pragma unroll
      for (int i = 0; i < words; ++i) word(k, i) = bytes.word[i];
    }
  }
  __device__ __forceinline__ Raw get(uint32_t k) const noexcept {
    image bytes;
#pragma unroll
    for (int i = 0; i < words; ++i) bytes.word[i] = word(k, i);
    return bitwise_cast<Raw>(bytes);
  }
};

/// A tensor of which each thread leaves its last `parked` chunks in shared memory.
template <lying Lies, rounding R, overflow O, code_byte F, class Source>
__global__ void __launch_bounds__(wide_threads<Source, Lies, R>, 1)
    quantize_tensor(Source x, scaled_matrix<F> out, encoding_plan plan, chunk_divider per_row, uint32_t chunks,
                    uint32_t parked, tensor_workspace* work) {
  extern __shared__ uint4 tensor_shared[];
  using part = thread_part<Lies>;
  using raw  = fetched<Source, part::vectors>;
  const parked_chunks<raw> shared{tensor_shared};
  wait_for_grid_before();
  let_next_grid_begin();
  const uint32_t meeting = next_meeting(work);
  const part mine(chunks, per_row);
  const uint32_t kept   = mine.count < parked ? mine.count : parked;
  const uint32_t rest   = mine.count - kept;
  const cache_hint hint = make_hint<keeping::first_to_go>();
  float largest         = 0.0f;
  mine.template visit<false, 32>(x, 0, rest, hint, [&](uint32_t, const raw& got) {
    largest = larger_magnitude(largest, amax_of_fetched<part::vectors>(x, got));
  });
  mine.template visit<false, 32>(x, rest, mine.count, hint, [&](uint32_t k, const raw& got) {
    largest = larger_magnitude(largest, amax_of_fetched<part::vectors>(x, got));
    shared.put(k - rest, got);
  });
  const float amax         = meet<wide_threads<Source, Lies, R>>(largest, meeting, work);
  const tensor_scale scale = new_scale(out, 0, amax, plan, blockIdx.x == 0 && threadIdx.x == 0);

  const auto encode = [&](uint32_t k, const raw& got) {
    const chunk_place at = mine.place(k);
    float v[chunk];
    x.template values<part::vectors>(got, v);
    quantize_chunk<part::vectors, R, O>(v, out.values, at.row, at.col, x.cols, scale, plan);
  };
  for (uint32_t k = kept; k-- > 0;) encode(rest + k, shared.get(k));
  mine.template visit<true, 16>(x, 0, rest, hint, encode);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
