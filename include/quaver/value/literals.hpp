// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_LITERALS_HPP
#define QUAVER_VALUE_LITERALS_HPP

#include <quaver/value/decimal.hpp>

// 0.1_e4m3, 448_e4m3, 1'000_half, 0x1.8p-3_e5m2. The compiler hands over the characters of the literal, so that it is
// rounded once, to nearest even, on every machine; through a long double it would be rounded twice.

QUAVER_BEGIN_NAMESPACE

/// A literal as unpack_number gives it. Not `readable` are binary and octal integers: _e4m3 cannot tell 010 from a
/// typing error.
struct literal_number {
  unpacked_number value;
  bool readable;
};

template <char... Text>
consteval literal_number read_literal() noexcept {
  constexpr char raw[]           = {Text...};
  char text[sizeof...(Text) + 1] = {};  // the last stays zero, so that there always is a second character
  int size                       = 0;
  bool whole                     = true;
  for (const char c : raw) {
    if (c != '\'') text[size++] = c;
    whole = whole && digit_value(c) < 10;
  }
  const bool hex   = text[0] == '0' && (text[1] | 0x20) == 'x';
  const bool octal = text[0] == '0' && text[1] != '\0' && whole;
  const written_number number =
      parse_number(text + (hex ? 2 : 0), text + size, hex ? number_syntax::hex : number_syntax::general);
  const bool readable = number.kind == number_kind::finite && number.end == text + size && !octal;
  return {unpack_number(number), readable};
}

template <any_format F, char... Text>
consteval F value_of_literal() noexcept {
  constexpr literal_number number = read_literal<Text...>();
  static_assert(number.readable, "write the literal in decimal or hexadecimal; octal and binary ones are not read");
  static_assert(!number.readable || in_range<F, rounding::nearest_even>(number.value),
                "the literal is too large for its format, or so small that it would round to zero");
  return encode_unpacked<F, rounding::nearest_even, overflow::saturate>(number.value, 0);
}

/// `using namespace quaver;` or, for nothing but these, `using namespace quaver::literals;`.
inline namespace literals {

template <char... Text>
QUAVER_HOST_DEVICE consteval e4m3 operator""_e4m3() noexcept {
  return value_of_literal<e4m3, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e5m2 operator""_e5m2() noexcept {
  return value_of_literal<e5m2, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e4m3fnuz operator""_e4m3fnuz() noexcept {
  return value_of_literal<e4m3fnuz, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e5m2fnuz operator""_e5m2fnuz() noexcept {
  return value_of_literal<e5m2fnuz, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e4m3b11fnuz operator""_e4m3b11fnuz() noexcept {
  return value_of_literal<e4m3b11fnuz, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e4m3ieee operator""_e4m3ieee() noexcept {
  return value_of_literal<e4m3ieee, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e3m4 operator""_e3m4() noexcept {
  return value_of_literal<e3m4, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval binary8p3 operator""_binary8p3() noexcept {
  return value_of_literal<binary8p3, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval binary8p4 operator""_binary8p4() noexcept {
  return value_of_literal<binary8p4, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e2m3 operator""_e2m3() noexcept {
  return value_of_literal<e2m3, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e3m2 operator""_e3m2() noexcept {
  return value_of_literal<e3m2, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e2m1 operator""_e2m1() noexcept {
  return value_of_literal<e2m1, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval e8m0 operator""_e8m0() noexcept {
  return value_of_literal<e8m0, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval half operator""_half() noexcept {
  return value_of_literal<half, Text...>();
}

template <char... Text>
QUAVER_HOST_DEVICE consteval bfloat16 operator""_bfloat16() noexcept {
  return value_of_literal<bfloat16, Text...>();
}

}  // namespace literals

static_assert((0.1_e4m3).bits() == 0x1D && (-0x1.8p-3_e5m2).bits() == 0xB2 && (65'504_half).bits() == 0x7BFF);

QUAVER_END_NAMESPACE

#endif
