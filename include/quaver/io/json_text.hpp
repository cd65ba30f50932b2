// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_JSON_TEXT_HPP
#define QUAVER_IO_JSON_TEXT_HPP

#include <quaver/io/mapped_file.hpp>
#include <quaver/io/message.hpp>

#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// Deeper than any config nests. The limit keeps a file of brackets from costing more than its size.
inline constexpr size_t deepest_json = 64;

/// Looks at JSON once before a tree is made of it: the tree would keep one of two equal keys in silence.
class json_inspection {
 public:
  std::string failure;

  bool start_object(size_t) {
    keys_.emplace_back();
    return keys_.size() <= deepest_json || fail(joined("nests deeper than ", deepest_json, " levels"));
  }
  bool key(std::string& name) {
    return keys_.back().insert(name).second || fail(joined("has the key ", in_quotes(name), " twice in one object"));
  }
  bool end_object() { return leave(); }
  bool start_array(size_t) { return start_object(0); }
  bool end_array() { return leave(); }
  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(int64_t) { return true; }
  bool number_unsigned(uint64_t) { return true; }
  bool number_float(double, const std::string&) { return true; }
  bool string(std::string&) { return true; }
  bool binary(std::vector<uint8_t>&) { return true; }
  template <class Exception>
  bool parse_error(size_t position, const std::string&, const Exception&) {
    return fail(joined("is not valid JSON at byte ", position));
  }

 private:
  bool leave() {
    keys_.pop_back();
    return true;
  }
  bool fail(std::string what) {
    failure = std::move(what);
    return false;
  }

  std::vector<std::set<std::string>> keys_;  // of the objects that are open; an array has an empty set
};

/// The tree of a JSON text, or a status that begins with `label`.
inline result<nlohmann::json> parse_json(std::string_view text, std::string_view label) {
  const auto broken = [&](const std::string& what) {
    return status(status_code::corrupt_data, joined(in_quotes(label), " ", what));
  };
  // The parser takes a NUL byte for the end of the text, whatever follows it.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return broken(joined("is not valid JSON at byte ", nul + 1));
  }
  json_inspection inspection;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &inspection)) return broken(inspection.failure);
  return nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
}

inline result<nlohmann::json> read_json(const std::string& path) {
  const result<mapped_file> file = mapped_file::open(path);
  if (!file) return file.error();
  const std::span<const std::byte> bytes = file->bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

/// `text` as a JSON string with its quotes. JSON is UTF-8: other bytes are an error.
inline result<std::string> json_string(std::string_view text) {
  using nlohmann::json;
  // The dump that fails on bad UTF-8 fails by throwing; this one leaves the bad bytes out, which a look back shows.
  std::string dumped = json(text).dump(-1, ' ', false, json::error_handler_t::ignore);
  const json back    = json::parse(dumped, nullptr, false);
  if (!back.is_string() || back.get_ref<const std::string&>() != text) {
    return status(status_code::invalid_argument, joined("the text ", in_quotes(text), " is not UTF-8"));
  }
  return dumped;
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
