// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_FORMAT_HPP
#define QUAVER_VALUE_FORMAT_HPP

#include <quaver/value/text.hpp>

#include <version>

// Empty where the standard library has no <format> (gcc 12's). Where it has one that is a costly header, so quaver.hpp
// leaves this one out: include it by name.

#if defined(__cpp_lib_format)

#include <format>

QUAVER_BEGIN_NAMESPACE

/// The double nearest to a finite written number in the range of the formats, all of which are normal doubles.
constexpr double nearest_double(const written_number& number) noexcept {
  const auto x  = unpack_number<60>(number);
  uint64_t bits = uint64_t{x.negative} << 63;
  if (x.significand != 0) {
    // 61 bits to 53; the implicit bit and a carry add themselves to the exponent.
    const uint64_t kept = x.significand >> 8;
    bits += (static_cast<uint64_t>(x.exponent + binary<double>::bias - 1) << binary<double>::digits) + kept;
    bits += static_cast<uint64_t>((x.significand & 0xFF) + (kept & 1) > 0x80);
  }
  return bitwise_cast<double>(bits);
}

/// Formats values as std::format does floats. A specification that names neither a type nor a precision shows the
/// digits of to_chars: {} of e4m3(0.40625) is 0.4, and {:>8} is that in eight columns. With a type or a precision, as
/// in {:.4f}, the exact value is formatted: 0.4062.
template <any_format F, class Char>
struct value_formatter : std::formatter<double, Char> {
  template <class Context>
  constexpr auto parse(Context& context) {
    const auto begin = context.begin();
    const auto end   = std::formatter<double, Char>::parse(context);
    // Behind the fill and its alignment, which is the last of <>^, a point starts a precision and one of these letters
    // is a type; nothing else in the grammar of floats looks like them.
    exact_ = false;
    for (auto at = begin; at != end; ++at) {
      switch (*at) {
        case '<':
        case '>':
        case '^': exact_ = false; break;
        case '.':
        case 'a':
        case 'A':
        case 'e':
        case 'E':
        case 'f':
        case 'F':
        case 'g':
        case 'G': exact_ = true; break;
        default: break;
      }
    }
    return end;
  }

  template <class Context>
  auto format(F f, Context& context) const {
    double value = decode<double>(f);
    if (signbit(f) && isnan(f)) value = -value;
    if (!exact_ && isfinite(f)) {
      // The double nearest to the digits of to_chars is one that std::format shows with those digits, and in the same
      // notation, since it follows the same rule.
      char text[64];
      const char* const last = to_chars(text, text + sizeof text, f).ptr;
      value                  = nearest_double(parse_number(text, last, number_syntax::general));
    }
    return std::formatter<double, Char>::format(value, context);
  }

 private:
  bool exact_ = false;
};

QUAVER_END_NAMESPACE

template <int E, int M, quaver::specials Specials, int Bias, class Char>
struct std::formatter<quaver::minifloat<E, M, Specials, Bias>, Char>
    : quaver::value_formatter<quaver::minifloat<E, M, Specials, Bias>, Char> {};

template <class Char>
struct std::formatter<quaver::e8m0, Char> : quaver::value_formatter<quaver::e8m0, Char> {};

#endif

#endif
