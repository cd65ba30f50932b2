// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_SAFETENSORS_WRITER_HPP
#define QUAVER_IO_SAFETENSORS_WRITER_HPP

#include <quaver/io/atomic_file.hpp>
#include <quaver/io/json_text.hpp>
#include <quaver/io/safetensors_header.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// Where everything goes in a file: the first bytes, up to the data, and each tensor's place in the data.
struct safetensors_layout {
  std::string head;                      ///< the length and the padded header
  std::vector<declared_tensor> tensors;  ///< in the order of their bytes
};

/// Lays tensors out as the reference writer does, byte for byte: by dtype from the last enumerator to the first, then
/// by name; header compact, padded with spaces so that the data begins at a multiple of 8. Every tensor is then aligned
/// to its elements.
inline result<safetensors_layout> lay_out(std::vector<tensor_info> tensors, const metadata_map& metadata) {
  const auto refused = [](const std::string& what) { return status(status_code::invalid_argument, what); };
  std::sort(tensors.begin(), tensors.end(), [](const tensor_info& a, const tensor_info& b) {
    return a.type != b.type ? a.type > b.type : a.name < b.name;
  });
  std::vector<std::string_view> names(tensors.size());
  for (size_t i = 0; i < names.size(); ++i) names[i] = tensors[i].name;
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return refused(joined("two tensors have the name ", in_quotes(*twice)));

  // Escaping makes text longer, never shorter: what is too long as it is need not be escaped to know that.
  size_t raw = 0;
  for (const auto& [key, value] : metadata) raw += key.size() + value.size();
  for (const tensor_info& tensor : tensors) raw += tensor.name.size();
  const auto too_long = [&](size_t size) {
    return refused(joined("the header takes ", size, " bytes or more; the format allows ", longest_header));
  };
  if (raw > longest_header) return too_long(raw);

  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      const result<std::string> key_text = json_string(key), value_text = json_string(value);
      if (!key_text || !value_text) return key_text ? value_text.error() : key_text.error();
      if (json.back() != '{') json += ',';
      json += *key_text + ':' + *value_text;
    }
    json += '}';
  }
  safetensors_layout layout;
  uint64_t offset = 0;
  for (tensor_info& tensor : tensors) {
    if (tensor.name == "__metadata__") return refused("a tensor cannot be named \"__metadata__\"");
    const result<std::string> name = json_string(tensor.name);
    if (!name) return name.error();
    if (tensor.shape.size() > most_axes) {
      return refused(joined("tensor ", in_quotes(tensor.name), ": more than ", most_axes, " axes"));
    }
    const result<uint64_t> bytes = byte_count(tensor);
    if (!bytes) return refused(bytes.message());
    const uint64_t begin = offset;
    if (__builtin_add_overflow(offset, *bytes, &offset) || offset > uint64_t{1} << 62) {
      return refused(joined("tensor ", in_quotes(tensor.name), ": the tensors up to it overflow a file's size"));
    }
    if (json.size() > 1) json += ',';
    json += joined(*name, ":{\"dtype\":\"", dtype_name(tensor.type), "\",\"shape\":[");
    for (const uint64_t extent : tensor.shape) {
      if (json.back() != '[') json += ',';
      json += std::to_string(extent);
    }
    json += joined("],\"data_offsets\":[", begin, ',', offset, "]}");
    layout.tensors.push_back({std::move(tensor), begin, offset});
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > longest_header) return too_long(json.size());
  const auto length = static_cast<uint64_t>(json.size());
  layout.head.resize(8);
  std::memcpy(layout.head.data(), &length, 8);
  layout.head += json;
  return layout;
}

/// Writes a file tensor by tensor and piece by piece, so that nothing larger than a piece need be in memory: the names,
/// dtypes and shapes are declared first, then each tensor's bytes follow in order, the tensors among themselves in any
/// order. The file takes its name in finish(), durable and whole; see atomic_file for what a failure leaves.
class safetensors_writer {
 public:
  safetensors_writer() = default;

  static result<safetensors_writer> create(const std::string& path, std::vector<tensor_info> tensors,
                                           const metadata_map& metadata = {}) {
    result<safetensors_layout> layout = lay_out(std::move(tensors), metadata);
    if (!layout) return status(layout.error().code(), joined("cannot write ", in_quotes(path), ": ", layout.message()));
    result<atomic_file> file = atomic_file::create(path);
    if (!file) return file.error();
    safetensors_writer writer;
    writer.file_       = std::move(*file);
    writer.data_begin_ = layout->head.size();
    for (const declared_tensor& tensor : layout->tensors) writer.open_.push_back({tensor, tensor.begin});
    std::sort(writer.open_.begin(), writer.open_.end(),
              [](const progress& a, const progress& b) { return a.tensor.info.name < b.tensor.info.name; });
    status written = writer.file_.write_at(0, std::as_bytes(std::span<const char>(layout->head)));
    if (!written) return written;
    return result<safetensors_writer>(std::move(writer));
  }

  /// Appends to that tensor. A caller's mistake (a name not declared, a byte too many) is refused and does no harm.
  status write(std::string_view name, std::span<const std::byte> bytes) {
    const auto at = std::lower_bound(open_.begin(), open_.end(), name,
                                     [](const progress& p, std::string_view key) { return p.tensor.info.name < key; });
    if (at == open_.end() || at->tensor.info.name != name) {
      return {status_code::invalid_argument,
              joined(in_quotes(file_.path()), ": no tensor ", in_quotes(name), " was declared")};
    }
    const uint64_t room = at->tensor.end - at->next;
    if (bytes.size() > room) {
      return {status_code::invalid_argument, joined(in_quotes(file_.path()), ": tensor ", in_quotes(name),
                                                    " has room for ", room, " more bytes, not for ", bytes.size())};
    }
    status written = file_.write_at(data_begin_ + at->next, bytes);
    if (written) at->next += bytes.size();
    return written;
  }

  /// Ok if every tensor has all its bytes.
  [[nodiscard]] status complete() const {
    for (const progress& p : open_) {
      if (p.next == p.tensor.end) continue;
      return {status_code::invalid_argument,
              joined(in_quotes(file_.path()), " is not written: tensor ", in_quotes(p.tensor.info.name), " lacks ",
                     p.tensor.end - p.next, " of its ", p.tensor.end - p.tensor.begin, " bytes")};
    }
    return {};
  }

  /// Gives the file its name, if it is complete; gives it up otherwise.
  status finish() {
    status whole = complete();
    if (whole) return file_.commit();
    file_.discard();
    return whole;
  }

 private:
  struct progress {
    declared_tensor tensor;
    uint64_t next = 0;  // offset in the data of the next byte to come
  };

  atomic_file file_;
  uint64_t data_begin_ = 0;
  std::vector<progress> open_;  // sorted by name
};

/// Writes tensors that lie in memory (or in another file's mapping).
inline status write_safetensors(const std::string& path, std::span<const tensor_view> tensors,
                                const metadata_map& metadata = {}) {
  for (const tensor_view& tensor : tensors) {
    const result<uint64_t> bytes = byte_count(tensor);
    if (bytes && *bytes == tensor.data.size()) continue;
    return {status_code::invalid_argument, joined("cannot write ", in_quotes(path), ": ",
                                                  bytes ? joined("tensor ", in_quotes(tensor.name), " takes ", *bytes,
                                                                 " bytes, but its data has ", tensor.data.size())
                                                        : bytes.message())};
  }
  result<safetensors_writer> writer =
      safetensors_writer::create(path, std::vector<tensor_info>(tensors.begin(), tensors.end()), metadata);
  if (!writer) return writer.error();
  for (const tensor_view& tensor : tensors) {
    if (status written = writer->write(tensor.name, tensor.data); !written) return written;
  }
  return writer->finish();
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
