// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_MESSAGE_HPP
#define QUAVER_IO_MESSAGE_HPP

#include <quaver/base/status.hpp>

#include <cerrno>
#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

QUAVER_BEGIN_NAMESPACE
namespace io {

inline void append_part(std::string& all, std::string_view part) { all += part; }
inline void append_part(std::string& all, char part) { all += part; }
template <std::integral N>
void append_part(std::string& all, N part) {
  all += std::to_string(part);
}

/// Texts, characters and integers one behind the other. (A chain of + would do, if gcc 12 did not warn of overlapping
/// copies in `"text" + std::string()` where there are none.)
template <class... Parts>
std::string joined(const Parts&... parts) {
  std::string all;
  (append_part(all, parts), ...);
  return all;
}

/// Names come out of files that nobody vouches for, and messages go to terminals and logs, one line each: control bytes
/// become '?', quotes enclose the name, and a name of megabytes is cut.
inline std::string in_quotes(std::string_view name) {
  constexpr size_t longest = 200;
  std::string text         = "\"";
  for (const char c : name.substr(0, longest)) {
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  text += name.size() > longest ? "...\"" : "\"";
  return text;
}

/// "[4096, 14336]"; "[]" for a scalar.
inline std::string shape_text(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  text += ']';
  return text;
}

/// "cannot write "x" (No space left on device)" from errno's number, saved by the caller before anything else ran.
inline status system_failure(std::string_view verb, std::string_view path, int error) {
  const status_code code = error == ENOENT ? status_code::not_found : status_code::io_error;
  return {code, joined("cannot ", verb, " ", in_quotes(path), ": ", std::generic_category().message(error))};
}

/// a * b in 64 bits, or false. The sizes multiplied here come from files.
constexpr bool multiply_checked(uint64_t a, uint64_t b, uint64_t& product) noexcept {
  return !__builtin_mul_overflow(a, b, &product);
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
