// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PACKED_CUH
#define QUAVER_CUDA_PACKED_CUH

#include <quaver/format/packed.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The word that holds two codes is 16 bits wide; four and more are 32-bit words.
template <int N>
struct packed_word {
  using type = uint32_t;
};
template <>
struct packed_word<2> {
  using type = uint16_t;
};

/// `N` codes side by side as they lie in memory: element i is byte i. One aligned load or store moves it. The codes are
/// reached by their words, because a byte array that is indexed may end in local memory and a word stays a register;
/// index it with constants (in unrolled loops) for that reason.
template <code_byte F, int N>
struct alignas(N) packed {
  static_assert(N == 2 || N == 4 || N == 8 || N == 16, "what one load or store moves");
  using element                   = F;
  using word                      = typename packed_word<N>::type;
  static constexpr int size       = N;
  static constexpr int word_count = N <= 4 ? 1 : N / 4;

  word words[static_cast<size_t>(word_count)];

  QUAVER_HOST_DEVICE constexpr F operator[](int i) const noexcept {
    return F::from_bits(static_cast<uint8_t>(words[i / 4] >> (i % 4 * 8)));
  }
  QUAVER_HOST_DEVICE constexpr void set(int i, F value) noexcept {
    const uint32_t others = words[i / 4] & ~(uint32_t{0xFF} << (i % 4 * 8));
    words[i / 4]          = static_cast<word>(others | uint32_t{value.bits()} << (i % 4 * 8));
  }
  /// Elements 2 i and 2 i + 1, the first in the low byte.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr uint16_t pair(int i) const noexcept {
    return static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16));
  }

  /// Equal bytes, not equal values: two NaNs of one code are equal.
  QUAVER_HOST_DEVICE friend constexpr bool operator==(const packed& a, const packed& b) noexcept {
    for (int i = 0; i < word_count; ++i) {
      if (a.words[i] != b.words[i]) return false;
    }
    return true;
  }
};
static_assert(sizeof(packed<e4m3, 2>) == 2 && alignof(packed<e4m3, 2>) == 2);
static_assert(sizeof(packed<e5m2, 16>) == 16 && alignof(packed<e5m2, 16>) == 16 && packed<e5m2, 16>::word_count == 4);
static_assert(packed<e4m3, 8>{{0x0302'0100, 0x0706'0504}}[5].bits() == 5);

/// N wide values side by side: what a packed decode gives.
template <class T, int N>
struct values {
  T data[static_cast<size_t>(N)];

  QUAVER_HOST_DEVICE constexpr const T& operator[](int i) const noexcept { return data[i]; }
  QUAVER_HOST_DEVICE constexpr T& operator[](int i) noexcept { return data[i]; }
};

/// Two e2m1 a byte out of one a byte, and back. The lower index goes to the low nibble.
template <int N>
QUAVER_HOST_DEVICE constexpr packed<e2m1x2, N / 2> pack_pairs(const packed<e2m1, N>& one_a_byte) noexcept {
  packed<e2m1x2, N / 2> pairs{};
  for (int i = 0; i < N / 2; ++i) pairs.set(i, e2m1x2(one_a_byte[2 * i], one_a_byte[2 * i + 1]));
  return pairs;
}
template <int N>
QUAVER_HOST_DEVICE constexpr packed<e2m1, 2 * N> unpack_pairs(const packed<e2m1x2, N>& pairs) noexcept {
  packed<e2m1, 2 * N> one_a_byte{};
  for (int i = 0; i < N; ++i) {
    one_a_byte.set(2 * i, pairs[i].low());
    one_a_byte.set(2 * i + 1, pairs[i].high());
  }
  return one_a_byte;
}
static_assert(pack_pairs(packed<e2m1, 4>{{0x0706'0504}}) == packed<e2m1x2, 2>{{0x7654}});
static_assert(unpack_pairs(packed<e2m1x2, 2>{{0x7654}}) == packed<e2m1, 4>{{0x0706'0504}});

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
