// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_TEXT_HPP
#define QUAVER_VALUE_TEXT_HPP

#include <quaver/format/classify.hpp>
#include <quaver/value/shortest.hpp>

#include <charconv>

QUAVER_BEGIN_NAMESPACE

/// What to_chars collects before it knows whether it fits. The longest text is a fixed one, a sign, "0.", 44 zeros and
/// 9 digits; or 39 digits of a whole number.
class text_buffer {
 public:
  constexpr void put(char c) noexcept { text_[size_++] = c; }
  constexpr void put(const char* word) noexcept {
    for (; *word != '\0'; ++word) put(*word);
  }
  constexpr void put_digits(const uint8_t* digit, int count) noexcept {
    for (int i = 0; i < count; ++i) put(static_cast<char>('0' + digit[i]));
  }
  constexpr void put_zeros(int count) noexcept {
    for (int i = 0; i < count; ++i) put('0');
  }
  /// A sign and at least `digits` digits.
  constexpr void put_exponent(int exponent, int digits) noexcept {
    const int magnitude = exponent < 0 ? -exponent : exponent;
    put(exponent < 0 ? '-' : '+');
    if (magnitude >= 100) put(static_cast<char>('0' + magnitude / 100));
    if (magnitude >= 10 || digits > 1) put(static_cast<char>('0' + magnitude / 10 % 10));
    put(static_cast<char>('0' + magnitude % 10));
  }
  [[nodiscard]] constexpr std::to_chars_result copy_to(char* first, char* last) const noexcept {
    if (last - first < size_) return {last, std::errc::value_too_large};
    for (int i = 0; i < size_; ++i) *first++ = text_[i];
    return {first, std::errc{}};
  }

 private:
  char text_[64] = {};
  int size_      = 0;
};

/// d.ddde+xx
constexpr void put_scientific(text_buffer& out, const decimal_digits& shortest) noexcept {
  out.put_digits(shortest.digit, 1);
  if (shortest.count > 1) out.put('.');
  out.put_digits(shortest.digit + 1, shortest.count - 1);
  out.put('e');
  out.put_exponent(shortest.exponent, 2);
}

/// ddd.ddd
constexpr void put_fixed(text_buffer& out, const decimal_digits& digits) noexcept {
  if (digits.exponent < 0) {
    out.put("0.");
    out.put_zeros(-digits.exponent - 1);
    out.put_digits(digits.digit, digits.count);
    return;
  }
  const int whole = digits.exponent + 1;
  if (digits.count <= whole) {
    out.put_digits(digits.digit, digits.count);
    out.put_zeros(whole - digits.count);
  } else {
    out.put_digits(digits.digit, whole);
    out.put('.');
    out.put_digits(digits.digit + whole, digits.count - whole);
  }
}

/// 1.8p+0: exact, without trailing zeros, subnormals as 1.xp too.
template <any_format F>
constexpr void put_hex(text_buffer& out, F f) noexcept {
  const auto x         = unpack_bits<float>(decode_bits(f));
  uint32_t significand = x.significand;
  int exponent         = x.exponent;
  if (significand == 0) {
    out.put("0p+0");
    return;
  }
  while ((significand & binary<float>::implicit_bit) == 0) {
    significand *= 2;
    --exponent;
  }
  uint32_t fraction = (significand - binary<float>::implicit_bit) << 9;  // to the top of 32 bits
  out.put('1');
  if (fraction != 0) out.put('.');
  for (; fraction != 0; fraction <<= 4) out.put("0123456789abcdef"[fraction >> 28]);
  out.put('p');
  out.put_exponent(exponent, 1);
}

/// How many characters a text of this many digits has, in either notation.
constexpr int scientific_length(const decimal_digits& d) noexcept { return d.count + (d.count > 1) + 4; }
constexpr int fixed_length(const decimal_digits& d) noexcept {
  if (d.exponent < 0) return d.count + 1 - d.exponent;
  return d.whole() ? d.exponent + 1 : d.count + 1;
}

/// Which of two notations to_chars takes.
enum class notation : uint8_t { shorter, general, scientific, fixed, hex };

template <any_format F>
constexpr std::to_chars_result to_chars_in(char* first, char* last, F f, notation how) noexcept {
  text_buffer out;
  if (signbit(f)) out.put('-');
  if (isnan(f)) {
    out.put("nan");
  } else if (isinf(f)) {
    out.put("inf");
  } else if (how == notation::hex) {
    put_hex(out, f);
  } else {
    const decimal_digits exact    = exact_digits(f);
    const decimal_digits shortest = shortest_digits(f, exact);
    // Written out, a whole number has as many characters whatever its last digits are. So it shows the exact ones: 448
    // and not 450.
    const decimal_digits& written = exact.whole() ? exact : shortest;
    bool fixed                    = how == notation::fixed;
    if (how == notation::general) fixed = shortest.exponent >= -4 && shortest.exponent < 6;
    if (how == notation::shorter) fixed = fixed_length(written) <= scientific_length(shortest);
    if (fixed) put_fixed(out, written);
    else put_scientific(out, shortest);
  }
  return out.copy_to(first, last);
}

/// Writes `f` as std::to_chars writes a float: the fewest characters that from_chars reads back as the same code, and
/// of those texts the nearest to the value; fixed or scientific, whichever is shorter, fixed where they are equal. So
/// e4m3(0.40625) is "0.4", e4m3(448) "448", bfloat16's largest value "3.39e+38". Zeros and NaNs show their sign: "-0",
/// "-nan". Nothing is written behind `last`: too short a range gives errc::value_too_large.
template <any_format F>
constexpr std::to_chars_result to_chars(char* first, char* last, F f) noexcept {
  return to_chars_in(first, last, f, notation::shorter);
}

/// The same in a notation of the caller's choice. General is scientific below 1e-4 and from 1e+6 on, as %g has it; hex
/// is exact.
template <any_format F>
constexpr std::to_chars_result to_chars(char* first, char* last, F f, std::chars_format format) noexcept {
  switch (format) {
    case std::chars_format::scientific: return to_chars_in(first, last, f, notation::scientific);
    case std::chars_format::fixed: return to_chars_in(first, last, f, notation::fixed);
    case std::chars_format::hex: return to_chars_in(first, last, f, notation::hex);
    default: return to_chars_in(first, last, f, notation::general);
  }
}

/// Writes the exact value rounded to `precision` digits, as printf would: the standard library's own conversion of the
/// value as a double.
template <any_format F>
std::to_chars_result to_chars(char* first, char* last, F f, std::chars_format format, int precision) noexcept {
  return std::to_chars(first, last, decode<double>(f), format, precision);
}

constexpr number_syntax syntax_of(std::chars_format format) noexcept {
  switch (format) {
    case std::chars_format::scientific: return number_syntax::scientific;
    case std::chars_format::fixed: return number_syntax::fixed;
    case std::chars_format::hex: return number_syntax::hex;
    default: return number_syntax::general;
  }
}

/// Reads a number as std::from_chars reads a float, and rounds it once, however many digits it has. The grammar is the
/// standard's: an optional minus, no plus, no blanks, "inf", "infinity", "nan", "nan(...)".
///
/// No number: errc::invalid_argument. No value for it in F, because it is too large after rounding, or rounds to zero
/// without being zero, or is an infinity, a NaN, a zero or a negative that F does not have: errc::result_out_of_range.
/// In both cases `value` stays as it was. NaN is F's canonical NaN, whatever its sign and payload.
template <rounding R = rounding::nearest_even, any_format F>
constexpr std::from_chars_result from_chars(const char* first, const char* last, F& value,
                                            std::chars_format format = std::chars_format::general) noexcept {
  const written_number number = parse_number(first, last, syntax_of(format));
  if (number.kind == number_kind::none) return {first, std::errc::invalid_argument};
  const unpacked_number x = unpack_number(number);
  if (!in_range<F, R>(x)) return {number.end, std::errc::result_out_of_range};
  value = encode_unpacked<F, R, overflow::nonfinite>(x, 0);
  return {number.end, std::errc{}};
}

/// The same, but every number has a value, the one that encode<F, R, O> would give: too large becomes what O says, too
/// small zero.
template <rounding R, overflow O, any_format F>
constexpr std::from_chars_result from_chars(const char* first, const char* last, F& value,
                                            std::chars_format format = std::chars_format::general) noexcept {
  const written_number number = parse_number(first, last, syntax_of(format));
  if (number.kind == number_kind::none) return {first, std::errc::invalid_argument};
  value = encode_unpacked<F, R, O>(unpack_number(number), 0);
  return {number.end, std::errc{}};
}

QUAVER_END_NAMESPACE

#endif
