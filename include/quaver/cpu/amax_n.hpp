// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_AMAX_N_HPP
#define QUAVER_CPU_AMAX_N_HPP

#include <quaver/convert/elements.hpp>
#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/features.hpp>
#include <quaver/cpu/isa/avx2/amax.hpp>
#include <quaver/cpu/isa/avx512/amax.hpp>
#include <quaver/cpu/isa/neon/amax.hpp>

#include <span>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The largest magnitude of an array and of `largest`, as binary32 bits.
template <bulk_source T>
uint32_t portable_amax(const T* x, size_t count, uint32_t largest) noexcept {
  for (size_t i = 0; i < count; ++i) largest = larger_magnitude(largest, x[i]);
  return largest;
}

/// The function for that in a tier.
template <bulk_source T>
auto amax_kernel(tier t) noexcept -> uint32_t (*)(const T*, size_t, uint32_t) noexcept {
#if QUAVER_X86_64
  if (t == tier::avx512) return &avx512::amax<T>;
  if (t == tier::avx2) return &avx2::amax<T>;
#endif
#if QUAVER_AARCH64
  if (t == tier::neon) return &neon::amax<T>;
#endif
  static_cast<void>(t);
  return &portable_amax<T>;
}
template <bulk_source T>
uint32_t amax_bits(const T* x, size_t count, uint32_t largest = 0) noexcept {
  static const auto kernel = amax_kernel<T>(active_tier());
  return kernel(x, count, largest);
}

/// Raises largest[b] to the largest magnitude, as binary32 bits, of block b: blocks follow one another, `width` elements
/// each, a multiple of 16.
template <bulk_source T>
void portable_amax_blocks(const T* x, size_t blocks, size_t width, uint32_t* largest) noexcept {
  for (size_t b = 0; b < blocks; ++b) largest[b] = portable_amax(x + b * width, width, largest[b]);
}
template <bulk_source T>
auto amax_blocks_kernel(tier t) noexcept -> void (*)(const T*, size_t, size_t, uint32_t*) noexcept {
#if QUAVER_X86_64
  if (t == tier::avx512) return &avx512::amax_blocks<T>;
  if (t == tier::avx2) return &avx2::amax_blocks<T>;
#endif
#if QUAVER_AARCH64
  if (t == tier::neon) return &neon::amax_blocks<T>;
#endif
  static_cast<void>(t);
  return &portable_amax_blocks<T>;
}
template <bulk_source T>
void amax_blocks(const T* x, size_t blocks, size_t width, uint32_t* largest) noexcept {
  static const auto kernel = amax_blocks_kernel<T>(active_tier());
  kernel(x, blocks, width, largest);
}

/// largest = max(largest, candidate), as one step among threads.
inline void raise_to(uint32_t& largest, uint32_t candidate) noexcept {
  uint32_t seen = __atomic_load_n(&largest, __ATOMIC_RELAXED);
  while (seen < candidate &&
         !__atomic_compare_exchange_n(&largest, &seen, candidate, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

/// The amax with these bits, a NaN being 7FC00000 whatever its payload was.
inline float amax_from_bits(uint32_t largest) noexcept {
  if (largest > binary<float>::infinity) largest = binary<float>::nan;
#if QUAVER_FINITE_MATH
  __asm__("" : "+r"(largest));  // clang 19 takes a returned float for finite, and would drop the line above
#endif
  return bitwise_cast<float>(largest);
}

/// The largest magnitude: 0 for an empty array, NaN (7FC00000) if any element is NaN, else infinity if any is infinite.
/// Integer comparison of the bits, so -ffast-math and the float environment have no say.
template <bulk_source T>
float amax_n(std::span<const T> x, const executor& on = {}) {
  uint32_t largest = 0;
  for_each_part(x.size(), on,
                [&](size_t begin, size_t end) { raise_to(largest, amax_bits(x.data() + begin, end - begin)); });
  return amax_from_bits(largest);
}
template <bulk_source T>
float amax_n(std::span<T> x, const executor& on = {}) {
  return amax_n(std::span<const T>(x), on);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
