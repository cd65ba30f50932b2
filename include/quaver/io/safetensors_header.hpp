// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_SAFETENSORS_HEADER_HPP
#define QUAVER_IO_SAFETENSORS_HEADER_HPP

#include <quaver/io/tensor_view.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The longest header that the format allows, in bytes.
inline constexpr uint64_t longest_header = 100'000'000;

/// More axes than any framework makes. The format sets no limit, but a header could spend its 100 MB on one shape.
inline constexpr size_t most_axes = 64;

/// One tensor as its header declares it: bytes [begin, end) of the data.
struct declared_tensor {
  tensor_info info;
  uint64_t begin = 0;
  uint64_t end   = 0;
};

/// Receives the header's JSON piece by piece. Nothing nests deeper than four levels, everything else stops the parse at
/// once: so neither depth nor size of a hostile header costs more than its own bytes. A tree of JSON values could not
/// do this work: it keeps one of two equal keys and forgets the other.
class header_events {
 public:
  std::vector<declared_tensor> tensors;
  metadata_map metadata;
  std::string failure;  ///< empty if all is well

  bool start_object(size_t) {
    if (level_ == level::outside) return enter(level::names);
    if (level_ == level::names) return enter(in_metadata_ ? level::metadata : level::fields);
    return fail(joined("an object where ", expected()));
  }
  bool key(std::string& name) {
    if (level_ == level::names) return tensor_or_metadata(name);
    if (level_ == level::metadata) {
      metadata_key_ = name;
      return !metadata.contains(name) || fail(joined("the key ", in_quotes(name), " stands twice in __metadata__"));
    }
    return field(name);
  }
  bool end_object() {
    if (level_ == level::fields && seen_ != (has_dtype_field | has_shape | has_offsets)) {
      const char* const missing = !(seen_ & has_dtype_field) ? "dtype"
                                  : !(seen_ & has_shape)     ? "shape"
                                                             : "data_offsets";
      return fail(joined("it has no ", missing));
    }
    level_ = level_ == level::names ? level::done : level::names;
    return true;
  }
  bool start_array(size_t) {
    if (level_ != level::fields || field_ == has_dtype_field) return fail(joined("an array where ", expected()));
    offsets_seen_ = 0;
    return enter(level::numbers);
  }
  bool end_array() {
    level_ = level::fields;
    return field_ != has_offsets || offsets_seen_ == 2 ||
           fail(joined("data_offsets has ", offsets_seen_, " numbers, not 2"));
  }
  bool string(std::string& text) {
    if (level_ == level::metadata) {
      metadata.emplace(std::move(metadata_key_), std::move(text));
      return true;
    }
    if (level_ != level::fields || field_ != has_dtype_field) return fail(joined("a string where ", expected()));
    const std::optional<dtype> type = dtype_from_name(text);
    if (!type) return fail(joined("unknown dtype ", in_quotes(text)));
    tensors.back().info.type = *type;
    return true;
  }
  bool number_unsigned(uint64_t number) {
    if (level_ != level::numbers) return fail(joined("a number where ", expected()));
    declared_tensor& tensor = tensors.back();
    if (field_ == has_shape) {
      if (tensor.info.shape.size() == most_axes) return fail(joined("more than ", most_axes, " axes"));
      tensor.info.shape.push_back(number);
      return true;
    }
    if (offsets_seen_ == 2) return fail("data_offsets has more than 2 numbers");
    (offsets_seen_++ == 0 ? tensor.begin : tensor.end) = number;
    return true;
  }
  bool number_integer(int64_t number) { return fail(joined(number, " where ", expected())); }
  bool number_float(double, const std::string& text) {
    return fail(joined("the number ", in_quotes(text), " where ", expected()));
  }
  bool null() { return fail(joined("null where ", expected())); }
  bool boolean(bool) { return fail(joined("a boolean where ", expected())); }
  bool binary(std::vector<uint8_t>&) { return fail("binary data, which JSON text never has"); }
  template <class Exception>
  bool parse_error(size_t position, const std::string&, const Exception&) {
    failure = joined("the header is not valid JSON at its byte ", position);
    return false;
  }

 private:
  enum class level : uint8_t { outside, names, metadata, fields, numbers, done };
  static constexpr unsigned has_dtype_field = 1, has_shape = 2, has_offsets = 4;

  bool enter(level inner) {
    level_ = inner;
    return true;
  }
  bool tensor_or_metadata(std::string& name) {
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) return !std::exchange(metadata_seen_, true) || fail("__metadata__ stands twice");
    tensors.push_back({{std::move(name), dtype::u8, {}}, 0, 0});
    seen_ = 0;
    return true;
  }
  bool field(const std::string& name) {
    field_ = name == "dtype" ? has_dtype_field : name == "shape" ? has_shape : name == "data_offsets" ? has_offsets : 0;
    if (field_ == 0) return fail(joined("unknown field ", in_quotes(name)));
    if (seen_ & field_) return fail(joined("the field ", name, " stands twice"));
    seen_ |= field_;
    return true;
  }
  [[nodiscard]] std::string expected() const {
    switch (level_) {
      case level::outside: return "the header's object is due";
      case level::names: return in_metadata_ ? "the object of __metadata__ is due" : "a tensor's object is due";
      case level::metadata: return joined("the text of ", in_quotes(metadata_key_), " is due");
      case level::fields: return field_ == has_dtype_field ? "dtype's text is due" : "an array of numbers is due";
      case level::numbers: return "a non-negative 64-bit integer is due";
      case level::done: break;
    }
    return "nothing more is due";
  }
  bool fail(const std::string& what) {
    const bool in_tensor = !in_metadata_ && !tensors.empty() && level_ != level::outside && level_ != level::done;
    std::string where    = in_metadata_ ? "__metadata__" : "the header";
    if (in_tensor) where = joined("tensor ", in_quotes(tensors.back().info.name));
    failure = joined(where, ": ", what);
    return false;
  }

  level level_         = level::outside;
  bool in_metadata_    = false;
  bool metadata_seen_  = false;
  unsigned field_      = 0;
  unsigned seen_       = 0;
  size_t offsets_seen_ = 0;
  std::string metadata_key_;
};

/// Parses the header's text and checks the rules that do not depend on the data behind it.
inline status parse_header(std::string_view text, header_events& events) {
  const auto broken = [](std::string what) { return status(status_code::corrupt_data, std::move(what)); };
  if (text.empty() || text.front() != '{') {
    return broken(text.empty() ? "the header is empty, not a JSON object" : "the header does not begin with '{'");
  }
  // The format pads with 0x20 alone, where JSON would take tabs and line ends too.
  const size_t last = text.find_last_not_of(' ');
  if (text[last] != '}') return broken("the header does not end with '}' and spaces");
  text = text.substr(0, last + 1);
  // A NUL byte is never part of JSON text, but parsers of C strings, ours among them, stop there and call it the end.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return broken(joined("the header is not valid JSON at its byte ", nul + 1));
  }
  if (!nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &events)) return broken(events.failure);
  return {};
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
