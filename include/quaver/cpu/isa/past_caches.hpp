// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_PAST_CACHES_HPP
#define QUAVER_CPU_ISA_PAST_CACHES_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Outputs of at least this many bytes are written with non-temporal stores, which spare memory the read of what is
/// overwritten. Smaller ones may be wanted in the caches by whoever comes next.
inline constexpr size_t past_caches_from = size_t{8} << 20;

/// Asks for the input that a loop over much memory will read in a while: `bytes` (whole lines) from 4 KiB ahead. The
/// hardware's own prefetching stops at every page.
QUAVER_ALWAYS_INLINE void prefetch_ahead(const void* now, size_t bytes) noexcept {
  const auto ahead = reinterpret_cast<std::uintptr_t>(now) + 4096;
  for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(reinterpret_cast<const void*>(ahead + line));
}

/// Makes this thread's non-temporal stores visible to whoever sees what it writes next.
inline void finish_stores() noexcept {
#if QUAVER_X86_64
  __asm__ volatile("sfence" : : : "memory");
#endif
}

/// Elements of T from `address` to the next multiple of `alignment` bytes.
template <class T>
size_t elements_to_alignment(const T* address, size_t alignment) noexcept {
  return ((0 - reinterpret_cast<std::uintptr_t>(address)) & (alignment - 1)) / sizeof(T);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
