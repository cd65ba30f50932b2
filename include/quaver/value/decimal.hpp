// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_DECIMAL_HPP
#define QUAVER_VALUE_DECIMAL_HPP

#include <quaver/convert/encode.hpp>
#include <quaver/value/natural.hpp>

// From text to a format with one rounding, however many digits there are. A parse keeps the digits as an exact whole
// number; one division turns that into the leading bits and a last one that says "and more"; encode rounds those.

QUAVER_BEGIN_NAMESPACE

enum class number_syntax : uint8_t { general, scientific, fixed, hex };
enum class number_kind : uint8_t { none, finite, infinity, nan };

/// A number as it is written: (-1)^negative * (digits, and a bit if `more`) * 10^ten * 2^two.
struct written_number {
  natural digits;
  int length       = 0;  ///< how many digits `digits` has; leading zeros do not count
  int64_t ten      = 0;
  int64_t two      = 0;
  bool more        = false;  ///< nonzero digits follow that are not kept
  bool negative    = false;
  number_kind kind = number_kind::none;
  const char* end  = nullptr;  ///< behind the last character that belongs to the number

  /// The values of all formats and the ties between them are m * 2^e with m <= 2^25 and e >= -150, which have no more
  /// than 113 significant digits. So 120 digits and the knowledge that more follow decide any rounding.
  static constexpr int digits_kept = 120;
};

/// 0 to 15 for a hexadecimal digit, more for anything else.
constexpr uint32_t digit_value(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint32_t>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<uint32_t>(c - 'A') + 10;
  return 255;
}

/// The end of `word` (in small letters) at the start of [first, last) in any mixture of cases, or null.
constexpr const char* match_word(const char* first, const char* last, const char* word) noexcept {
  for (; *word != '\0'; ++word, ++first) {
    if (first == last || (*first != *word && *first != *word - 'a' + 'A')) return nullptr;
  }
  return first;
}

/// Reads infinity or NaN behind the sign, as strtod knows them: inf, infinity, nan, nan(letters, digits, underscores).
constexpr written_number parse_special(const char* first, const char* last) noexcept {
  written_number number;
  if (const char* end = match_word(first, last, "inf"); end != nullptr) {
    const char* longer = match_word(first, last, "infinity");
    number.kind        = number_kind::infinity;
    number.end         = longer != nullptr ? longer : end;
  } else if (end = match_word(first, last, "nan"); end != nullptr) {
    number.kind = number_kind::nan;
    number.end  = end;
    if (end == last || *end != '(') return number;
    for (++end; end != last; ++end) {
      if (*end == ')') {
        number.end = end + 1;
        break;
      }
      const bool letter = (*end >= 'a' && *end <= 'z') || (*end >= 'A' && *end <= 'Z') || *end == '_';
      if (!letter && digit_value(*end) > 9) break;
    }
  }
  return number;
}

/// Reads the exponent at `first`, behind its letter. Returns its end, or null where there is none. What no text can
/// make up for, a thousand million millions, stands for everything beyond.
constexpr const char* parse_exponent(const char* first, const char* last, int64_t& exponent) noexcept {
  const bool negative = first != last && *first == '-';
  if (first != last && (*first == '-' || *first == '+')) ++first;
  if (first == last || digit_value(*first) > 9) return nullptr;
  exponent = 0;
  for (; first != last && digit_value(*first) <= 9; ++first) {
    if (exponent < 1'000'000'000'000'000) exponent = exponent * 10 + digit_value(*first);
  }
  if (negative) exponent = -exponent;
  return first;
}

/// Reads a number from the start of [first, last) by the grammar of std::from_chars: a minus but no plus, no blanks,
/// an exponent where `syntax` allows (general, hex) or demands (scientific) one, hexadecimal digits without 0x.
constexpr written_number parse_number(const char* first, const char* last, number_syntax syntax) noexcept {
  const bool negative = first != last && *first == '-';
  if (negative) ++first;

  written_number number = parse_special(first, last);
  number.negative       = negative;
  if (number.kind != number_kind::none) return number;

  const bool hex      = syntax == number_syntax::hex;
  const uint32_t base = hex ? 16 : 10;
  bool any            = false;
  bool point          = false;
  int64_t fraction    = 0;  // digits behind the point
  int64_t after       = 0;  // digits behind the last kept one
  for (; first != last; ++first) {
    if (*first == '.' && !point) {
      point = true;
      continue;
    }
    const uint32_t digit = digit_value(*first);
    if (digit >= base) break;
    any = true;
    fraction += point;
    if (digit == 0) {
      ++after;  // kept when another digit follows that is not zero
    } else if (number.length == 0 || number.length + after < written_number::digits_kept) {
      const int zeros = number.length == 0 ? 0 : static_cast<int>(after);
      number.digits.multiply_by_power(base, zeros);
      if (number.length == 0) number.digits = natural(digit);
      else number.digits.multiply_add(base, digit);
      number.length += zeros + 1;
      after = 0;
    } else {
      number.more = true;
      ++after;
    }
  }
  if (!any) return {};

  int64_t exponent  = 0;
  bool has_exponent = false;
  if (syntax != number_syntax::fixed && first != last && (*first | 0x20) == (hex ? 'p' : 'e')) {
    if (const char* end = parse_exponent(first + 1, last, exponent); end != nullptr) {
      first        = end;
      has_exponent = true;
    }
  }
  if (syntax == number_syntax::scientific && !has_exponent) return {};

  (hex ? number.two : number.ten) = (hex ? 4 : 1) * (after - fraction) + exponent;
  number.kind                     = number_kind::finite;
  number.end                      = first;
  return number;
}

/// What encode rounds: 31 leading bits, the last of which is set where anything follows.
using unpacked_number = unpacked<uint64_t, 30>;

/// The first `count` bits behind the point of numerator / denominator, a quotient below 1, and whether anything follows
/// them: schoolbook division.
constexpr uint64_t fraction_bits(natural numerator, const natural& denominator, int count, bool& more) noexcept {
  uint64_t bits = 0;
  for (int i = 0; i < count; ++i) {
    numerator <<= 1;
    const bool bit = !(numerator < denominator);
    if (bit) numerator -= denominator;
    bits = bits << 1 | static_cast<uint64_t>(bit);
  }
  more = more || !numerator.zero();
  return bits;
}

/// The same where the denominator fits into 63 bits, as many bits at a time as its leading zeros allow.
constexpr uint64_t fraction_bits(uint64_t numerator, uint64_t denominator, int count, bool& more) noexcept {
  const int zeros = leading_zeros(denominator);
  uint64_t bits   = 0;
  while (count > 0) {
    const int step = count < zeros ? count : zeros;
    numerator <<= step;
    bits = bits << step | numerator / denominator;
    numerator %= denominator;
    count -= step;
  }
  more = more || numerator != 0;
  return bits;
}

/// Takes a written number apart, exactly as far as any format's rounding can see. `Digits` counts the leading bits
/// behind the first.
template <int Digits = unpacked_number::digits>
constexpr unpacked<uint64_t, Digits> unpack_number(const written_number& number) noexcept {
  constexpr int far      = 1024;  // an exponent beyond every format
  constexpr int64_t out  = 2048;  // and one that no decimal factor in reach brings back
  constexpr uint64_t one = uint64_t{1} << Digits;
  unpacked<uint64_t, Digits> x{one, 0, number.negative, number.kind == number_kind::infinity,
                               number.kind == number_kind::nan};
  if (number.kind != number_kind::finite) {
    x.exponent = far;
    return x;
  }
  if (number.digits.zero()) {
    x.significand = 0;
    x.exponent    = -far;
    return x;
  }
  // Every format lies between 2^-150 > 10^-46 and 2^128 < 10^39. What is further out need not be worked out.
  if (number.ten + number.length > 60 || number.two > out) {
    x.exponent = far;
    return x;
  }
  if (number.ten + number.length < -60 || number.two < -out) {
    x.significand = one + 1;
    x.exponent    = -far;
    return x;
  }

  // digits * 5^ten as a fraction; 2^ten goes to the exponent. 120 digits have 399 bits, and 5^180 has 418: both fit.
  natural numerator = number.digits;
  natural denominator(1);
  if (number.ten > 0) numerator.multiply_by_power(5, static_cast<int>(number.ten));
  else denominator.multiply_by_power(5, static_cast<int>(-number.ten));
  int exponent = numerator.bit_length() - denominator.bit_length();
  if (exponent > 0) denominator <<= exponent;
  else numerator <<= -exponent;
  if (numerator < denominator) {
    numerator <<= 1;
    --exponent;
  }

  // Now 1 <= numerator / denominator < 2.
  numerator -= denominator;
  bool more        = number.more;
  const bool small = denominator.bit_length() < 64;
  x.significand =
      one | (small ? fraction_bits(static_cast<uint64_t>(numerator), static_cast<uint64_t>(denominator), Digits, more)
                   : fraction_bits(numerator, denominator, Digits, more));
  x.significand |= static_cast<uint64_t>(more);
  x.exponent = exponent + static_cast<int>(number.ten + number.two);
  return x;
}

/// True where the format has a value for x: where rounding by R, with the exponent unbounded, neither passes the
/// largest finite value nor leaves nothing of a number that is not zero. Infinities and NaN are there if the format has
/// them.
template <any_format F, rounding R>
constexpr bool in_range(unpacked_number x) noexcept {
  if (x.nan) return F::has_nan;
  if (x.infinite) return F::has_infinity;

  // At either end the question is put two binades further in, where there is room. Two, because that leaves the parity
  // of all codes as it is, and with it the ties.
  constexpr uint32_t two_binades = uint32_t{2} << F::mantissa_bits;
  constexpr uint32_t largest     = (F::max)().bits();
  unpacked_number quarter        = x;
  quarter.exponent -= 2;
  if constexpr (same_type<F, e8m0>) {
    if (x.negative || x.significand == 0) return false;
    unpacked_number fourfold = x;
    fourfold.exponent += 2;
    return encode_unpacked<F, R, overflow::saturate>(quarter, 0).bits() <= largest - two_binades &&
           encode_unpacked<F, R, overflow::saturate>(fourfold, 0).bits() >= two_binades;
  } else {
    static_assert(largest >= two_binades + two_binades / 2, "a quarter of the largest value is a normal one");
    if (x.significand == 0) return true;
    const uint32_t at_quarter = encode_unpacked<F, R, overflow::saturate>(quarter, 0).bits();
    const uint32_t at_x       = encode_unpacked<F, R, overflow::saturate>(x, 0).bits();
    return (at_quarter & F::magnitude_mask) <= largest - two_binades && (at_x & F::magnitude_mask) != 0;
  }
}

QUAVER_END_NAMESPACE

#endif
