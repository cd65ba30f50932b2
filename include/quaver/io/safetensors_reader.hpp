// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_SAFETENSORS_READER_HPP
#define QUAVER_IO_SAFETENSORS_READER_HPP

#include <quaver/io/mapped_file.hpp>
#include <quaver/io/safetensors_header.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// A safetensors file, validated as a whole before the first tensor is handed out and mapped, not copied:
///
///     u64, little-endian: length of the header | header: JSON, padded with spaces | data of the tensors
///
/// Every rule of the format is checked; what breaks one gives a status that names the file, the tensor and the numbers.
/// The views point into the reader's mapping: they live as long as the reader, wherever it is moved.
class safetensors_reader {
 public:
  safetensors_reader() = default;

  static result<safetensors_reader> open(const std::string& path) {
    result<mapped_file> file = mapped_file::open(path);
    if (!file) return file.error();
    safetensors_reader reader;
    reader.path_  = path;
    status parsed = reader.parse(file->bytes());
    if (!parsed) return parsed;
    reader.file_ = std::move(*file);
    return result<safetensors_reader>(std::move(reader));
  }

  /// The same for bytes that the caller keeps alive; `label` stands in for the file's name in messages.
  static result<safetensors_reader> from_memory(std::span<const std::byte> bytes, std::string label = "memory") {
    safetensors_reader reader;
    reader.path_  = std::move(label);
    status parsed = reader.parse(bytes);
    if (!parsed) return parsed;
    return result<safetensors_reader>(std::move(reader));
  }

  /// In the order of their bytes in the file.
  [[nodiscard]] std::span<const tensor_view> tensors() const noexcept { return tensors_; }
  [[nodiscard]] const metadata_map& metadata() const noexcept { return metadata_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// The tensor of that name, or nullptr.
  [[nodiscard]] const tensor_view* find(std::string_view name) const noexcept {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [this](size_t i, std::string_view key) { return tensors_[i].name < key; });
    return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
  }

 private:
  [[nodiscard]] status broken(const std::string& what) const {
    return {status_code::corrupt_data, joined(in_quotes(path_), ": ", what)};
  }

  status parse(std::span<const std::byte> bytes) {
    if (bytes.size() < 8) {
      return broken(joined("the file has ", bytes.size(), " bytes; the header's length alone takes 8"));
    }
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    if (length > longest_header) {
      return broken(joined("the header's length is given as ", length, " bytes; the format allows ", longest_header));
    }
    if (length > bytes.size() - 8) {
      return broken(
          joined("the header's length is given as ", length, " bytes, but only ", bytes.size() - 8, " follow"));
    }
    const auto* text = reinterpret_cast<const char*>(bytes.data() + 8);
    header_events events;
    if (status parsed = parse_header({text, static_cast<size_t>(length)}, events); !parsed) {
      return broken(parsed.message());
    }
    metadata_ = std::move(events.metadata);
    return place(events.tensors, bytes.subspan(8 + static_cast<size_t>(length)));
  }

  /// Checks each tensor's extent, then that together they cover the data once.
  status place(std::vector<declared_tensor>& declared, std::span<const std::byte> data) {
    for (const declared_tensor& tensor : declared) {
      const result<uint64_t> bytes = byte_count(tensor.info);
      if (!bytes) return broken(bytes.message());
      if (tensor.begin > tensor.end) return broken(joined(describe_place(tensor), " run backwards"));
      if (tensor.end - tensor.begin != *bytes) {
        return broken(joined(describe_place(tensor), " hold ", tensor.end - tensor.begin, " bytes, but ",
                             dtype_name(tensor.info.type), " ", shape_text(tensor.info.shape), " takes ", *bytes));
      }
      if (tensor.end > data.size()) {
        return broken(joined(describe_place(tensor), " end beyond the ", data.size(), " bytes of data in the file"));
      }
    }
    // The header may list tensors in any order. Of two that begin together the empty one comes first; two empty ones go
    // by name.
    std::sort(declared.begin(), declared.end(), [](const declared_tensor& a, const declared_tensor& b) {
      if (a.begin != b.begin) return a.begin < b.begin;
      return a.end != b.end ? a.end < b.end : a.info.name < b.info.name;
    });
    const declared_tensor* before = nullptr;
    for (const declared_tensor& tensor : declared) {
      const uint64_t covered = before == nullptr ? 0 : before->end;
      if (tensor.begin < covered)
        return broken(joined(describe_place(tensor), " overlap those of ", describe_place(*before)));
      if (tensor.begin > covered) {
        return broken(joined(describe_place(tensor), " leave bytes ", covered, " to ", tensor.begin,
                             " of the data to no tensor"));
      }
      before = &tensor;
    }
    if (const uint64_t covered = before == nullptr ? 0 : before->end; covered != data.size()) {
      return broken(joined("the tensors end at byte ", covered, " of the data, but the file has ", data.size()));
    }
    tensors_.reserve(declared.size());
    for (declared_tensor& tensor : declared) {
      const auto begin = static_cast<size_t>(tensor.begin);
      tensors_.push_back({std::move(tensor.info), data.subspan(begin, static_cast<size_t>(tensor.end) - begin)});
    }
    return index_names();
  }

  status index_names() {
    by_name_.resize(tensors_.size());
    for (size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
    std::sort(by_name_.begin(), by_name_.end(),
              [this](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
    const auto twice = std::adjacent_find(by_name_.begin(), by_name_.end(),
                                          [this](size_t a, size_t b) { return tensors_[a].name == tensors_[b].name; });
    return twice == by_name_.end() ? status()
                                   : broken(joined("tensor ", in_quotes(tensors_[*twice].name), " stands twice"));
  }

  static std::string describe_place(const declared_tensor& tensor) {
    return joined("tensor ", in_quotes(tensor.info.name), ": data_offsets [", tensor.begin, ", ", tensor.end, "]");
  }

  mapped_file file_;
  std::string path_;
  std::vector<tensor_view> tensors_;
  std::vector<size_t> by_name_;  // indices into tensors_, sorted by name
  metadata_map metadata_;
};

}  // namespace io
QUAVER_END_NAMESPACE

#endif
