// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_OSTREAM_HPP
#define QUAVER_VALUE_OSTREAM_HPP

#include <quaver/value/text.hpp>

#include <iosfwd>

QUAVER_BEGIN_NAMESPACE

/// Writes what to_chars gives: 448, 0.4, -0, nan. A stream that asks for a notation (std::fixed, std::scientific,
/// std::hexfloat) gets the exact value in that notation and the stream's precision. Width and fill hold either way.
/// Needs <ostream> where it is used.
template <class Char, class Traits, any_format F>
std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>& out, F f) {
  using stream = std::basic_ostream<Char, Traits>;
  if ((out.flags() & stream::floatfield) != 0) return out << decode<double>(f);
  char text[64];
  *to_chars(text, text + sizeof text - 1, f).ptr = '\0';
  return out << static_cast<const char*>(text);
}

QUAVER_END_NAMESPACE

#endif
