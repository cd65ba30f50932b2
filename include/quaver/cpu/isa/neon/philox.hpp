// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_PHILOX_HPP
#define QUAVER_CPU_ISA_NEON_PHILOX_HPP

#include <quaver/base/philox.hpp>

#if QUAVER_AARCH64

#include <arm_neon.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::neon {

/// The two halves of 32-bit products, lane by lane.
struct wide_product {
  uint32x4_t high;
  uint32x4_t low;
};
QUAVER_ALWAYS_INLINE wide_product multiply_wide(uint32x4_t a, uint32_t factor) noexcept {
  const uint32x4_t first  = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), factor));
  const uint32x4_t second = vreinterpretq_u32_u64(vmull_high_n_u32(a, factor));
  return {vuzp2q_u32(first, second), vuzp1q_u32(first, second)};
}

/// The low and the high 64 bits of two vectors.
QUAVER_ALWAYS_INLINE uint32x4_t low_halves(uint32x4_t a, uint32x4_t b) noexcept {
  return vreinterpretq_u32_u64(vzip1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}
QUAVER_ALWAYS_INLINE uint32x4_t high_halves(uint32x4_t a, uint32x4_t b) noexcept {
  return vreinterpretq_u32_u64(vzip2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
}

/// Words first .. first + 15 of a seed, `first` a multiple of 4: v[q] holds words 4 q .. 4 q + 3.
struct random16 {
  uint32x4_t v[4];
};
QUAVER_ALWAYS_INLINE random16 philox16(uint64_t seed, uint64_t first) noexcept {
  // Four blocks of four words, a lane each; a transposition puts the words in order.
  constexpr uint32_t lanes[4] = {0, 1, 2, 3};
  const uint64_t block        = first / 4;
  const uint32x4_t low        = vdupq_n_u32(static_cast<uint32_t>(block));
  uint32x4_t c0               = vaddq_u32(low, vld1q_u32(lanes));
  const uint32x4_t carry      = vcltq_u32(c0, low);  // -1 where there is one
  uint32x4_t c1               = vsubq_u32(vdupq_n_u32(static_cast<uint32_t>(block >> 32)), carry);
  uint32x4_t c2               = vdupq_n_u32(0);
  uint32x4_t c3               = vdupq_n_u32(0);
  uint32_t key0               = static_cast<uint32_t>(seed);
  uint32_t key1               = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const wide_product p0 = multiply_wide(c0, 0xD2511F53u);
    const wide_product p1 = multiply_wide(c2, 0xCD9E8D57u);
    c0                    = veorq_u32(veorq_u32(p1.high, c1), vdupq_n_u32(key0));
    c2                    = veorq_u32(veorq_u32(p0.high, c3), vdupq_n_u32(key1));
    c1                    = p1.low;
    c3                    = p0.low;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  const uint32x4_t t0 = vzip1q_u32(c0, c1);
  const uint32x4_t t1 = vzip2q_u32(c0, c1);
  const uint32x4_t t2 = vzip1q_u32(c2, c3);
  const uint32x4_t t3 = vzip2q_u32(c2, c3);
  return {{low_halves(t0, t2), high_halves(t0, t2), low_halves(t1, t3), high_halves(t1, t3)}};
}

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
