// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_CONVERT_KERNELS_HPP
#define QUAVER_TESTS_CUDA_CONVERT_KERNELS_HPP

// What the conversion tests ask the device for. The kernels stand apart from the tests, so that the tests are compiled
// once and the kernels once for each architecture and set of flags.

#include <quaver/format/packed.hpp>

#include <cuda_runtime_api.h>

namespace quaver_test {

using namespace quaver;

/// The formats that take a byte, in an order that indices below refer to.
template <class... F>
struct format_list {
  static constexpr int size = sizeof...(F);
  /// Calls visit.operator()<F>() for the format with this index.
  template <class Visit>
  static void visit(int index, Visit visit) {
    int at = 0;
    ((at++ == index ? visit.template operator()<F>() : void()), ...);
  }
};
using byte_formats = format_list<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4,
                                 e8m0, e2m3, e3m2, e2m1>;

/// The first few bytes that were not as expected. `width` is the N of encode_xn, 1 for encode.
struct difference {
  uint32_t input;
  uint8_t width;
  uint8_t got;
  uint8_t expected;
};
struct differences {
  unsigned long long count;
  difference first[8];
};

/// What `inputs` hold: bits of floats, or of 16-bit values in the low half of the word.
enum class source : uint8_t { binary32, binary16, brain16 };

/// Encodes the floats with the bits first, first + 1, ... by encode and by encode_xn of every width, and compares with
/// the bytes at `expected` on the device. e4m3 and e5m2, deterministic roundings; count a multiple of 16.
void compare_floats(int format, rounding r, overflow o, uint32_t first, uint32_t count, const uint8_t* expected,
                    differences* found, cudaStream_t stream);

/// Encodes `count` (even) inputs by encode and by encode_xn of width 2, from the float that each is.
void encode_inputs(int format, source s, rounding r, overflow o, const uint32_t* inputs, const uint32_t* random,
                   uint32_t count, uint8_t* scalar, uint8_t* pairs);

/// Encodes halves or bfloat16s by encode_xn straight from their type. e4m3 and e5m2, 16 at a time: every overflow with
/// nearest_even and every rounding with saturate. The others, 2 at a time: nearest_even and saturate. Returns false for
/// other modes. Count a multiple of 16.
bool encode_widths(int format, source s, rounding r, overflow o, const uint32_t* inputs, const uint32_t* random,
                   uint32_t count, uint8_t* codes);

/// encode_xn<e2m1x2> of `count` (a multiple of 32) floats, 32 and 4 at a time: count / 2 bytes each.
void encode_e2m1_pairs(rounding r, const uint32_t* inputs, const uint32_t* random, uint32_t count, uint8_t* by_32,
                       uint8_t* by_4);

/// Decodes all 256 codes to T's bits: 3 x 256 words, for scalars and widths 2 and 16; for e4m3 and e5m2 5 x 256, for
/// widths 4 and 8 too.
void decode_codes(int format, source to, uint32_t* results);

/// The same from e2m1x2: 2 x 512 words, for widths 2 and 16.
void decode_e2m1_pairs(source to, uint32_t* results);

}  // namespace quaver_test

#endif
