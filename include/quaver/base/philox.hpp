// SPDX-License-Identifier: MIT
#ifndef QUAVER_BASE_PHILOX_HPP
#define QUAVER_BASE_PHILOX_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// Four random words.
struct philox_block {
  uint32_t word[4];
};

/// Philox4x32-10: the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
/// 1, 2, 3" (SC'11), with the constants of their Random123. The same counter and key give the same words on any machine
/// and in any order, so a parallel cast is repeatable.
QUAVER_HOST_DEVICE constexpr philox_block philox4x32(philox_block counter, uint32_t key0, uint32_t key1) noexcept {
  uint32_t* c = counter.word;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * c[2];
    const uint32_t next0    = static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    const uint32_t next2    = static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1;

    c[0] = next0;
    c[1] = static_cast<uint32_t>(product1);
    c[2] = next2;
    c[3] = static_cast<uint32_t>(product0);
    key0 += 0x9E3779B9u;  // the golden ratio
    key1 += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return counter;
}

/// The four words for elements 4 * block .. 4 * block + 3 of a tensor: key = seed, counter = block, low halves first.
QUAVER_HOST_DEVICE constexpr philox_block philox_words(uint64_t seed, uint64_t block) noexcept {
  return philox4x32({{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}},
                    static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// The word that rounds the element with this row-major index.
QUAVER_HOST_DEVICE constexpr uint32_t philox_word(uint64_t seed, uint64_t index) noexcept {
  return philox_words(seed, index / 4).word[index % 4];
}

/// Where stochastic rounding takes its words: element i of the call uses philox_word(seed, first + i), i being the
/// row-major position. Casts of parts with the right `first` give the bytes of one cast of the whole.
struct random_words {
  uint64_t seed  = 0;
  uint64_t first = 0;
};

QUAVER_END_NAMESPACE

#endif
