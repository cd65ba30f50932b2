// SPDX-License-Identifier: MIT
#ifndef QUAVER_CONVERT_ENCODE_HPP
#define QUAVER_CONVERT_ENCODE_HPP

#include <quaver/convert/decode.hpp>

// One rounding, whatever the source: each is taken apart into sign, exponent and an exact integer significand, and one
// function rounds that. Integer arithmetic throughout, so the rounding mode of the FPU, DAZ, FTZ and -ffast-math have
// no say.

QUAVER_BEGIN_NAMESPACE

/// A real number taken apart: significand * 2^(exponent - Digits), with the significand below 2^(Digits + 1). Bit
/// `Digits` is set but for zero and the subnormals of the source.
template <class Word, int Digits>
struct unpacked {
  static constexpr int digits = Digits;

  Word significand;
  int exponent;
  bool negative;
  bool infinite;
  bool nan;
};

/// Takes the bits of a binary32 or binary64 apart.
template <class T>
QUAVER_HOST_DEVICE constexpr auto unpack_bits(typename binary<T>::bits bits) noexcept {
  using layout         = binary<T>;
  using word           = typename layout::bits;
  const word magnitude = bits & layout::magnitude_mask;
  const word fraction  = bits & (layout::implicit_bit - 1);
  const int field      = static_cast<int>(magnitude >> layout::digits);
  // A subnormal has the exponent of the smallest normal and no implicit bit.
  return unpacked<word, layout::digits>{
      .significand = fraction + (static_cast<word>(field != 0) << layout::digits),
      .exponent    = field + static_cast<int>(field == 0) - layout::bias,
      .negative    = (bits & layout::sign_mask) != 0,
      .infinite    = magnitude == layout::infinity,
      .nan         = magnitude > layout::infinity,
  };
}

/// Takes an integer apart. Its 64 bits are cut to 61, the last of which says whether a lower one was set: more than any
/// rounding can tell apart.
template <conversion_integer T>
QUAVER_HOST_DEVICE constexpr auto unpack_integer(T x) noexcept {
  constexpr int digits     = 60;
  const bool negative      = x < T{0};
  const uint64_t magnitude = negative ? uint64_t{0} - static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
  const int zeros          = leading_zeros(magnitude);
  const uint64_t aligned   = zeros < 64 ? magnitude << zeros : 0;
  return unpacked<uint64_t, digits>{
      .significand = aligned >> 3 | static_cast<uint64_t>((aligned & 7) != 0),
      .exponent    = zeros < 64 ? 63 - zeros : -1024,  // zero lies below every normal
      .negative    = negative,
      .infinite    = false,
      .nan         = false,
  };
}

/// `a` where `condition` holds, else `b`. On hosts as mask arithmetic: gcc 12 vectorises a loop over this and not over
/// `?:`, which on devices is one instruction.
template <class Word>
QUAVER_HOST_DEVICE constexpr Word select(bool condition, Word a, Word b) noexcept {
#if QUAVER_DEVICE_CODE
  return condition ? a : b;
#else
  return b ^ ((a ^ b) & (Word{0} - static_cast<Word>(condition)));
#endif
}

/// What to add to a significand before its low bits are shifted out, so that a carry rounds it: between 0 and 2^shift -
/// 1, where `tie` is 2^(shift - 1) and `odd` the last bit that stays.
template <rounding R, class Word>
QUAVER_HOST_DEVICE constexpr Word rounding_addend(Word tie, Word odd, bool negative) noexcept {
  static_assert(R != rounding::stochastic, "stochastic rounding compares with a random word instead");
  const Word whole = tie + tie - 1;
  if constexpr (R == rounding::nearest_even) return tie - 1 + odd;
  if constexpr (R == rounding::nearest_away) return tie;
  if constexpr (R == rounding::toward_zero) return 0;
  if constexpr (R == rounding::upward) return select(negative, Word{0}, whole);
  if constexpr (R == rounding::downward) return select(negative, whole, Word{0});
  if constexpr (R == rounding::to_odd) return select(odd != 0, Word{0}, whole);
}

/// floor(2^32 * rest / 2^shift), the fraction that stochastic rounding compares its random word with.
QUAVER_HOST_DEVICE constexpr uint64_t discarded_fraction(uint64_t rest, int shift) noexcept {
  if (shift <= 32) return rest << (32 - shift);
  return shift < 96 ? rest >> (shift - 32) : 0;
}

/// True where a finite value beyond the largest one becomes that largest one (IEEE 754 7.4 for `nonfinite`).
template <rounding R, overflow O>
QUAVER_HOST_DEVICE constexpr bool overflow_saturates(bool negative) noexcept {
  if constexpr (O != overflow::nonfinite) return true;
  if constexpr (R == rounding::upward) return negative;
  if constexpr (R == rounding::downward) return !negative;
  return R == rounding::toward_zero || R == rounding::to_odd;
}

/// The code of a signed format for a number taken apart, and a random word (used by stochastic rounding alone).
template <signed_format F, rounding R, overflow O, class Word, int Digits>
QUAVER_HOST_DEVICE constexpr F encode_unpacked(unpacked<Word, Digits> x, uint32_t random) noexcept {
  constexpr int dropped         = Digits - F::mantissa_bits;  // bits that a normal result loses
  constexpr int normal_exponent = 1 - F::exponent_bias;       // of the smallest normal
  constexpr Word largest        = F::max_magnitude;
  constexpr Word beyond         = F::has_infinity ? F::infinity_magnitude : F::has_nan ? F::nan_code : F::max_magnitude;
  static_assert(dropped >= 1, "the source must have more mantissa bits than the format");

  // Each binade below F's smallest normal costs one more bit, so one shift serves normals and subnormals alike. From
  // two binades below the smallest subnormal on nothing changes any more, which keeps the shift below the word's width.
  const int binades = normal_exponent - x.exponent;
  const int below   = binades > 0 ? binades : 0;
  const int clamped = below < F::mantissa_bits + 2 ? below : F::mantissa_bits + 2;
  const Word shift  = Word{dropped} + static_cast<Word>(clamped);
  const Word field  = static_cast<Word>(binades > 0 ? 0 : -binades);
  const Word tie    = Word{1} << (shift - 1);

  // The implicit bit of a normal adds itself to the exponent field; so does a carry out of the mantissa.
  const Word base = field << F::mantissa_bits;
  Word code       = base + (x.significand >> shift);
  if constexpr (R == rounding::stochastic) {
    code += static_cast<Word>(random < discarded_fraction(x.significand & (tie + tie - 1), dropped + below));
  } else {
    code = base + ((x.significand + rounding_addend<R>(tie, static_cast<Word>(code & 1), x.negative)) >> shift);
  }

  // Infinity has arrived here with a code far above the largest.
  if constexpr (O == overflow::saturate) {
    code = code < largest ? code : largest;
  } else {
    const bool saturates = overflow_saturates<R, O>(x.negative) & !x.infinite;
    code                 = select(code <= largest, code, select(saturates, largest, beyond));
  }

  // NaN has no sign, and neither has zero in the formats whose -0 is taken.
  constexpr bool overflows_to_nan = F::has_nan && !F::has_infinity && O != overflow::saturate;
  bool has_sign                   = x.negative;
  if constexpr (!F::has_signed_zero) has_sign = has_sign & (code != 0);
  if constexpr (overflows_to_nan) has_sign = has_sign & (code != beyond);
  code |= select(has_sign, Word{F::sign_mask}, Word{0});
  return F::from_bits(static_cast<typename F::storage>(select(x.nan, Word{F::nan_code}, code)));
}

/// The same for e8m0, which has neither sign nor zero nor mantissa: everything between 0 and 2^-127 becomes 2^-127,
/// negatives become NaN.
template <class F, rounding R, overflow O, class Word, int Digits>
  requires same_type<F, e8m0>
QUAVER_HOST_DEVICE constexpr e8m0 encode_unpacked(unpacked<Word, Digits> x, uint32_t random) noexcept {
  if (x.nan || (x.negative && x.significand != 0)) return e8m0::nan();
  constexpr Word implicit_bit = Word{1} << Digits;
  // Of binary32's subnormals those from 2^-127 on count; one shift makes them normal.
  if ((x.significand & implicit_bit) == 0) {
    x.significand <<= 1;
    x.exponent -= 1;
  }
  if (x.exponent < -e8m0::exponent_bias || (x.significand & implicit_bit) == 0) return (e8m0::min)();

  Word code       = static_cast<Word>(x.exponent + e8m0::exponent_bias);
  const Word rest = x.significand & (implicit_bit - 1);
  if constexpr (R == rounding::stochastic) {
    code += static_cast<Word>(random < discarded_fraction(rest, Digits));
  } else {
    code +=
        (rest + rounding_addend<R>(static_cast<Word>(implicit_bit / 2), static_cast<Word>(code & 1), false)) >> Digits;
  }
  if (code <= (e8m0::max)().bits()) return e8m0::from_bits(static_cast<uint8_t>(code));
  return O == overflow::saturate || (overflow_saturates<R, O>(false) && !x.infinite) ? (e8m0::max)() : e8m0::nan();
}

/// Rounds a binary32, given as its bits, to a value of F. Bits, not `float`: under -ffast-math a compiler may assume
/// that no float argument is NaN or infinite, and this function keeps its promises there too.
///
/// A NaN becomes F's NaN. `random` is the word for rounding::stochastic (up iff random < floor(2^32 * fraction)), which
/// must have one; the other modes ignore it.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate>
QUAVER_HOST_DEVICE constexpr F encode_bits(uint32_t source, uint32_t random) noexcept {
  return encode_unpacked<F, R, O>(unpack_bits<float>(source), random);
}
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate>
  requires(R != rounding::stochastic)
QUAVER_HOST_DEVICE constexpr F encode_bits(uint32_t source) noexcept {
  return encode_bits<F, R, O>(source, 0);
}

/// The same from the bits of a binary64.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate>
QUAVER_HOST_DEVICE constexpr F encode_bits64(uint64_t source, uint32_t random) noexcept {
  return encode_unpacked<F, R, O>(unpack_bits<double>(source), random);
}
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate>
  requires(R != rounding::stochastic)
QUAVER_HOST_DEVICE constexpr F encode_bits64(uint64_t source) noexcept {
  return encode_bits64<F, R, O>(source, 0);
}

/// Rounds `x` once, straight to a value of F: from float, double, any integer, half, bfloat16 or another format. For
/// floats under -ffast-math see encode_bits.
template <any_format F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, class T>
  requires(R != rounding::stochastic) && (arithmetic<T> || any_format<T>)
QUAVER_HOST_DEVICE constexpr F encode(T x) noexcept {
  if constexpr (same_type<T, float>) return encode_bits<F, R, O>(bitwise_cast<uint32_t>(x));
  else if constexpr (same_type<T, double>) return encode_bits64<F, R, O>(bitwise_cast<uint64_t>(x));
  else if constexpr (any_format<T>) return encode_bits<F, R, O>(decode_bits(x));  // the decode is exact
  else return encode_unpacked<F, R, O>(unpack_integer(x), 0);
}

/// Stochastic rounding: away from zero iff `random` < floor(2^32 * discarded fraction). Take the word from philox_word
/// to be repeatable.
template <any_format F, rounding R, overflow O = overflow::saturate, class T>
  requires(R == rounding::stochastic) && (arithmetic<T> || any_format<T>)
QUAVER_HOST_DEVICE constexpr F encode(T x, uint32_t random) noexcept {
  if constexpr (same_type<T, float>) return encode_bits<F, R, O>(bitwise_cast<uint32_t>(x), random);
  else if constexpr (same_type<T, double>) return encode_bits64<F, R, O>(bitwise_cast<uint64_t>(x), random);
  else if constexpr (any_format<T>) return encode_bits<F, R, O>(decode_bits(x), random);
  else return encode_unpacked<F, R, O>(unpack_integer(x), random);
}

static_assert(encode_bits<e4m3>(0x43E8'0000) == (e4m3::max)());  // 464 is halfway to 480 and ties down to 448
static_assert(encode<e4m3, rounding::nearest_even, overflow::nonfinite>(464.1f).bits() == 0x7F);
static_assert(encode<e5m2, rounding::toward_zero>(-0.3952).bits() == 0xB6);
static_assert(encode<e8m0>(1.5f).bits() == 0x80 && encode<e8m0>(3.0f).bits() == 0x80);  // ties to the even code
static_assert(encode<half>(65520.0f) == (half::max)() && encode<bfloat16>(1.0f).bits() == 0x3F80);

QUAVER_END_NAMESPACE

#endif
