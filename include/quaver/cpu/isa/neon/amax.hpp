// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_AMAX_HPP
#define QUAVER_CPU_ISA_NEON_AMAX_HPP

#include <quaver/cpu/isa/neon/load.hpp>

#if QUAVER_AARCH64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::neon {

/// The largest magnitude of an array and of `largest`, as binary32 bits: NaN above infinity above numbers.
template <bulk_source T>
uint32_t amax(const T* x, size_t count, uint32_t largest) noexcept {
  const uint32x4_t zero = vdupq_n_u32(0);
  uint32x4_t most[4]    = {zero, zero, zero, zero};
  for (size_t i = 0; i < count; i += 16) {
    const sixteen some = i + 16 <= count ? load16(x + i) : load16(x + i, count - i);
    for (int q = 0; q < 4; ++q) most[q] = vmaxq_u32(most[q], magnitudes(some.v[q]));
  }
  const uint32_t found = vmaxvq_u32(vmaxq_u32(vmaxq_u32(most[0], most[1]), vmaxq_u32(most[2], most[3])));
  return found > largest ? found : largest;
}

/// Raises largest[b] to the largest magnitude of block b: blocks follow one another, `width` elements each, a multiple of
/// 16.
template <bulk_source T>
void amax_blocks(const T* x, size_t blocks, size_t width, uint32_t* largest) noexcept {
  for (size_t b = 0; b < blocks; ++b) largest[b] = amax(x + b * width, width, largest[b]);
}

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
