// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_ENCODING_HPP
#define QUAVER_CPU_ISA_ENCODING_HPP

#include <quaver/base/philox.hpp>
#include <quaver/convert/encode.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// How a value meets its scale before it is rounded, in binary32 to nearest even.
enum class scaling : uint8_t {
  none,
  multiply,
  divide,
  multiply_blocks,  ///< every `block` elements by a factor of their own
};

/// A format and its overflow mode as numbers, so that one vector kernel serves all formats with as many mantissa bits.
///
/// The kernels round a magnitude a as float addition does: with e the power of two at or below a, but not below the
/// smallest normal, a + e * 2^(23 - M) has its last bit at 2^-M e, so the addition rounds a to a whole number k of those,
/// which its low bits hold. The code is k plus the exponent field, whose value for e is e's own field shifted down to M
/// bits, less `offset`: subnormals have no implicit bit in k, and so need no case of their own.
struct encoding {
  uint32_t limit;         ///< binary32 magnitude that larger ones are cut to: the largest value, or one step more
  uint32_t min_normal;    ///< binary32 magnitude of the smallest normal
  uint32_t offset;        ///< (the difference of the exponent biases + 1) << M
  uint8_t largest;        ///< code of the largest finite magnitude
  uint8_t over_positive;  ///< what a positive value becomes that rounds to more than that
  uint8_t over_negative;  ///< and a negative one, sign included
  uint8_t sign_mask;      ///< 0x80 >> sign_shift
  uint8_t sign_shift;     ///< unused bits above the format
  bool signed_zero;       ///< whether -0 has a code
  bool overflows;         ///< whether `limit` is one step more than the largest value
  bool infinity_differs;  ///< whether infinity becomes something else than a large value does
};

template <signed_format F, rounding R, overflow O>
  requires eight_bit<F>
constexpr encoding encoding_of() noexcept {
  constexpr int m          = F::mantissa_bits;
  constexpr bool finite    = O != overflow::nonfinite;
  constexpr bool special   = F::has_infinity || F::has_nan;
  constexpr uint8_t beyond = F::has_infinity ? F::infinity_magnitude : F::has_nan ? F::nan_code : F::max_magnitude;
  const auto over          = [](bool negative) {
    if (overflow_saturates<R, O>(negative))
      return static_cast<uint8_t>(F::max_magnitude | (negative ? F::sign_mask : 0));
    const bool has_sign = negative && !(F::has_nan && !F::has_infinity);  // NaN has no sign
    return static_cast<uint8_t>(beyond | (has_sign ? F::sign_mask : 0));
  };
  // One step beyond the largest value, the exponent unbounded: the next multiple of the last binade's spacing.
  const uint32_t largest = decode_bits((F::max)());
  const uint32_t next    = largest + (uint32_t{1} << (binary<float>::digits - m));
  return {.limit         = finite ? largest : next,
          .min_normal    = static_cast<uint32_t>(1 - F::exponent_bias + binary<float>::bias) << binary<float>::digits,
          .offset        = static_cast<uint32_t>(binary<float>::bias - F::exponent_bias + 1) << m,
          .largest       = static_cast<uint8_t>(F::max_magnitude),
          .over_positive = over(false),
          .over_negative = over(true),
          .sign_mask     = static_cast<uint8_t>(F::sign_mask),
          .sign_shift    = static_cast<uint8_t>(8 - F::width),
          .signed_zero   = F::has_signed_zero,
          .overflows     = !finite,
          .infinity_differs = O != overflow::saturate && special};
}

static_assert(encoding_of<e4m3, rounding::nearest_even, overflow::saturate>().limit == bitwise_cast<uint32_t>(448.0f));
static_assert(encoding_of<e5m2, rounding::nearest_even, overflow::nonfinite>().limit ==
              bitwise_cast<uint32_t>(65536.0f));
static_assert(encoding_of<e4m3, rounding::nearest_even, overflow::nonfinite>().over_negative == 0x7F);

/// What an encode kernel of any tier is given.
template <class T>
struct encode_call {
  const T* x;
  uint8_t* y;
  size_t count;
  uint32_t scale = 0;  ///< binary32 bits of what to multiply or divide by
  bool past_caches =
      false;  ///< whether y is written with non-temporal stores; the caller calls finish_stores() at the end
  random_words words{};
  const uint32_t* block_scales = nullptr;  ///< scaling::multiply_blocks: the factors, one for each block
  size_t block                 = 0;        ///< its elements: a multiple of 16
  /// Encodes elements [first, end): for pieces with a NaN (or an infinity that differs), which vector kernels leave to it.
  void (*portable)(const encode_call&, size_t first, size_t end) = nullptr;
};

/// Walks the factors of scaling::multiply_blocks along with the vectors of elements.
class block_cursor {
 public:
  template <class T>
  explicit block_cursor(const encode_call<T>& call) noexcept
      : scale_(call.block_scales), block_(call.block), left_(call.block) {}

  /// The factor for the next `count` elements, which lie in one block.
  QUAVER_ALWAYS_INLINE uint32_t take(size_t count) noexcept {
    if (left_ == 0) {
      ++scale_;
      left_ = block_;
    }
    left_ -= count;
    return *scale_;
  }

 private:
  const uint32_t* scale_;
  size_t block_;
  size_t left_;
};

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
