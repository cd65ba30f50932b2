// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_TEXT_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_TEXT_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace checkpoint {

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string formatted(const char* pattern, ...);

/// "a, b, c".
std::string joined(const std::vector<std::string>& words, std::string_view between = ", ");

/// "384 x 1536"; "scalar" for no axis.
std::string shape_words(const std::vector<uint64_t>& shape);

/// "1.77 MB", in powers of ten; below 10 kB the plain number.
std::string byte_words(uint64_t bytes);

/// Shell pattern on a whole name: * and ? and [...]; dots and slashes are characters like any other.
bool matches(const std::string& pattern, const std::string& name);

}  // namespace checkpoint

#endif
