// SPDX-License-Identifier: MIT
#include "text.hpp"

#include <fnmatch.h>

#include <cstdarg>
#include <cstdio>

namespace checkpoint {

std::string formatted(const char* pattern, ...) {
  std::va_list arguments, again;
  va_start(arguments, pattern);
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string text(length < 0 ? 0 : static_cast<size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (&word != &words.front()) text += between;
    text += word;
  }
  return text;
}

std::string shape_words(const std::vector<uint64_t>& shape) {
  std::vector<std::string> extents;
  extents.reserve(shape.size());
  for (const uint64_t extent : shape) extents.push_back(std::to_string(extent));
  return extents.empty() ? "scalar" : joined(extents, " x ");
}

std::string byte_words(uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  if (bytes < 1'000'000) return formatted("%.1f kB", number / 1e3);
  if (bytes < 1'000'000'000) return formatted("%.2f MB", number / 1e6);
  return formatted("%.2f GB", number / 1e9);
}

bool matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

}  // namespace checkpoint
