// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_STATISTICS_HPP
#define QUAVER_CPU_ISA_STATISTICS_HPP

#include <quaver/cpu/isa/encoding.hpp>
#include <quaver/scale/cast_stats.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// What a kernel for cast_stats of any tier is given: values and the codes that they became.
template <class T>
struct stats_call {
  const T* x;
  const uint8_t* y;
  size_t count;
  uint32_t scale;    ///< binary32 bits of what x was multiplied or divided by
  uint32_t dequant;  ///< and of what decoded codes are multiplied by
  uint32_t limit;    ///< binary32 magnitude half a step above the largest value: beyond it lies saturation
  /// Adds elements [first, end) to the stats: for pieces with NaNs or infinities, and for the ends of arrays.
  void (*portable)(const stats_call&, size_t first, size_t end, cast_stats& stats);
};

/// The limit of a stats_call: exact, since a code has at most 8 bits.
template <eight_bit F>
constexpr uint32_t saturation_limit() noexcept {
  const float largest = decode<float>((F::max)());
  const float below   = decode<float>(F::from_bits(static_cast<uint8_t>((F::max)().bits() - 1)));
  return bitwise_cast<uint32_t>(largest + (largest - below) / 2);
}
static_assert(saturation_limit<e4m3>() == bitwise_cast<uint32_t>(464.0f) &&
              saturation_limit<e5m2>() == bitwise_cast<uint32_t>(61440.0f));

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
