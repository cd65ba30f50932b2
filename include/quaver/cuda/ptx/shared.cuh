// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_SHARED_CUH
#define QUAVER_CUDA_PTX_SHARED_CUH

#include <quaver/base/bits.hpp>

// Words to and from shared memory by its own addresses, and from global memory ahead of time. PTX ISA, "ld", "st".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

__device__ __forceinline__ void store_halfword(uint32_t shared_address, uint16_t value) noexcept {
  asm volatile("st.shared.u16 [%0], %1;" ::"r"(shared_address), "h"(value) : "memory");
}
__device__ __forceinline__ void store_word(uint32_t shared_address, uint32_t value) noexcept {
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(shared_address), "r"(value) : "memory");
}
__device__ __forceinline__ uint32_t load_word(uint32_t shared_address) noexcept {
  uint32_t value;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(shared_address) : "memory");
  return value;
}
__device__ __forceinline__ void store_float(uint32_t shared_address, float value) noexcept {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(shared_address), "f"(value) : "memory");
}
__device__ __forceinline__ float load_float(uint32_t shared_address) noexcept {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(shared_address) : "memory");
  return value;
}
__device__ __forceinline__ void store_two_words(uint32_t shared_address, uint32_t first, uint32_t second) noexcept {
  asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(shared_address), "r"(first), "r"(second) : "memory");
}
__device__ __forceinline__ void load_two_words(uint32_t shared_address, float (&words)[2]) noexcept {
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(words[0]), "=f"(words[1]) : "r"(shared_address) : "memory");
}
__device__ __forceinline__ void load_four_words(uint32_t shared_address, float (&words)[4]) noexcept {
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(words[0]), "=f"(words[1]), "=f"(words[2]), "=f"(words[3])
               : "r"(shared_address)
               : "memory");
}

/// 16 bytes to global memory, at a multiple of 16.
__device__ __forceinline__ void store_four_words_globally(void* to, const float (&words)[4]) noexcept {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(words[0]), "f"(words[1]), "f"(words[2]),
               "f"(words[3])
               : "memory");
}

/// A float that no kernel writes meanwhile, asked for where this stands and not where it is used.
__device__ __forceinline__ float load_now(const float* from) noexcept {
  float value;
  asm volatile("ld.global.nc.f32 %0, [%1];" : "=f"(value) : "l"(from));
  return value;
}

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
