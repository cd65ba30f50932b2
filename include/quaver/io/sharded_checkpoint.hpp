// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_SHARDED_CHECKPOINT_HPP
#define QUAVER_IO_SHARDED_CHECKPOINT_HPP

#include <quaver/io/json_text.hpp>
#include <quaver/io/safetensors_reader.hpp>

#include <dirent.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The names in a directory, sorted.
inline result<std::vector<std::string>> list_directory(const std::string& path) {
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return system_failure("open", path, errno);
  std::vector<std::string> names;
  while (const dirent* const entry = ::readdir(directory)) names.emplace_back(entry->d_name);
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

/// A checkpoint of one file or many, read as one set of tensors. `open` takes
/// - a .safetensors file;
/// - a model.safetensors.index.json, whose weight_map says which shard beside it holds which tensor;
/// - a directory: its one *.safetensors.index.json if there is one, else model.safetensors, else all its *.safetensors.
/// Every tensor of an index must be in the shard it names. A tensor that a shard holds and the index leaves out is
/// there all the same, as for the usual loaders. One name in two files without an index to decide is an error.
class sharded_checkpoint {
 public:
  sharded_checkpoint() = default;

  static result<sharded_checkpoint> open(const std::string& path) {
    struct ::stat about{};
    if (::stat(path.c_str(), &about) != 0) return system_failure("open", path, errno);
    sharded_checkpoint checkpoint;
    const bool is_directory = S_ISDIR(about.st_mode);
    const size_t slash      = path.rfind('/');
    checkpoint.directory_   = is_directory                 ? path
                              : slash == std::string::npos ? "."
                                                           : path.substr(0, (std::max)(slash, size_t{1}));
    status opened           = is_directory                    ? checkpoint.open_directory()
                              : path.ends_with(".index.json") ? checkpoint.open_index(path)
                                                              : checkpoint.open_files({path});
    if (!opened) return opened;
    return result<sharded_checkpoint>(std::move(checkpoint));
  }

  /// Shard after shard, each in the order of its file. The pointers live as long as the checkpoint, moved or not.
  [[nodiscard]] std::span<const tensor_view* const> tensors() const noexcept { return tensors_; }
  [[nodiscard]] std::span<const safetensors_reader> shards() const noexcept { return shards_; }
  /// Where the files lie, and with them config.json.
  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
  /// What the index claims as metadata.total_size; tools that edit checkpoints often leave an old number here.
  [[nodiscard]] std::optional<uint64_t> declared_size() const noexcept { return declared_size_; }

  /// The tensor of that name, or nullptr.
  [[nodiscard]] const tensor_view* find(std::string_view name) const noexcept {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second.tensor;
  }

 private:
  struct place {
    const tensor_view* tensor;
    size_t shard;
  };

  status open_directory() {
    const result<std::vector<std::string>> names = list_directory(directory_);
    if (!names) return names.error();
    std::vector<std::string> indices, files;
    for (const std::string& name : *names) {
      if (name.ends_with(".safetensors.index.json")) indices.push_back(directory_ + '/' + name);
      if (name.ends_with(".safetensors")) files.push_back(directory_ + '/' + name);
    }
    if (indices.size() > 1) {
      return {status_code::invalid_argument,
              joined(in_quotes(directory_), " holds ", indices.size(), " indices, among them ", in_quotes(indices[0]),
                     " and ", in_quotes(indices[1]), "; open one of them")};
    }
    if (indices.size() == 1) return open_index(indices[0]);
    for (const std::string& file : files) {
      if (file.ends_with("/model.safetensors")) return open_files({file});
    }
    for (const std::string& file : files) {
      // "...-00001-of-00003.safetensors": without its index nobody can tell whether all the shards are there.
      const size_t of = file.rfind("-of-");
      if (of != std::string::npos && file.size() - of == std::string_view("-of-00003.safetensors").size()) {
        return {status_code::not_found, joined(in_quotes(file), " is one shard of several, but ", in_quotes(directory_),
                                               " has no .safetensors.index.json")};
      }
    }
    if (files.empty()) return {status_code::not_found, joined(in_quotes(directory_), " holds no .safetensors file")};
    return open_files(files);
  }

  status open_files(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (status opened = open_shard(path); !opened) return opened;
    }
    return collect({}, {});
  }

  status open_shard(const std::string& path) {
    result<safetensors_reader> reader = safetensors_reader::open(path);
    if (!reader) return reader.error();
    shards_.push_back(std::move(*reader));
    return {};
  }

  status open_index(const std::string& path) {
    const result<nlohmann::json> index = read_json(path);
    if (!index) return index.error();
    const auto broken = [&](const std::string& what) {
      return status(status_code::corrupt_data, joined(in_quotes(path), ": ", what));
    };
    if (!index->is_object()) return broken("the index is not a JSON object");
    const auto map = index->find("weight_map");
    if (map == index->end() || !map->is_object()) return broken("there is no object \"weight_map\"");
    if (const auto about = index->find("metadata"); about != index->end() && about->is_object()) {
      if (const auto size = about->find("total_size"); size != about->end()) {
        if (!size->is_number()) return broken("metadata.total_size is not a number");
        if (size->is_number_unsigned()) declared_size_ = size->get<uint64_t>();
      }
    }
    std::map<std::string, size_t> shard_numbers;
    std::map<std::string, size_t, std::less<>> wanted;  // tensor -> shard
    for (const auto& [name, file] : map->items()) {
      if (!file.is_string()) return broken(joined("weight_map gives no file name for tensor ", in_quotes(name)));
      const std::string& shard = file.get_ref<const std::string&>();
      // A shard lies beside its index: a downloaded index must not make us read elsewhere.
      if (shard.empty() || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos ||
          shard.find("..") != std::string::npos) {
        return broken(
            joined("tensor ", in_quotes(name), " is in ", in_quotes(shard), ", which is not a plain file name"));
      }
      wanted[name] = shard_numbers.try_emplace(shard, shard_numbers.size()).first->second;
    }
    std::vector<const std::string*> shard_names(shard_numbers.size());
    for (const auto& [shard, number] : shard_numbers) shard_names[number] = &shard;
    const size_t slash      = path.rfind('/');
    const std::string where = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    for (const std::string* shard : shard_names) {
      status opened = open_shard(where + *shard);
      if (opened.code() == status_code::not_found) {
        const auto tensors = std::count_if(wanted.begin(), wanted.end(),
                                           [&](const auto& entry) { return *shard_names[entry.second] == *shard; });
        return {status_code::not_found,
                joined(in_quotes(path), ": the shard ", in_quotes(*shard), " with ", tensors, " tensors is missing")};
      }
      if (!opened) return opened;
    }
    for (const auto& [name, shard] : wanted) {
      if (shards_[shard].find(name) == nullptr) {
        return broken(joined("tensor ", in_quotes(name), " is not in ", in_quotes(*shard_names[shard])));
      }
    }
    return collect(wanted, path);
  }

  /// Puts the shards' tensors under one roof. `wanted` decides between two of one name.
  status collect(const std::map<std::string, size_t, std::less<>>& wanted, const std::string& index) {
    for (size_t shard = 0; shard < shards_.size(); ++shard) {
      for (const tensor_view& tensor : shards_[shard].tensors()) {
        const auto decision = wanted.find(tensor.name);
        if (decision != wanted.end() && decision->second != shard) continue;
        const auto [at, fresh] = by_name_.try_emplace(tensor.name, place{&tensor, shard});
        if (!fresh) {
          return {status_code::corrupt_data,
                  joined("tensor ", in_quotes(tensor.name), " is in ", in_quotes(shards_[at->second.shard].path()),
                         " and in ", in_quotes(shards_[shard].path()),
                         index.empty() ? "; open one of them" : "; the index names neither")};
        }
        tensors_.push_back(&tensor);
      }
    }
    return {};
  }

  std::string directory_;
  std::vector<safetensors_reader> shards_;
  std::vector<const tensor_view*> tensors_;
  std::map<std::string_view, place, std::less<>> by_name_;  // keys point into the shards' names
  std::optional<uint64_t> declared_size_;
};

}  // namespace io
QUAVER_END_NAMESPACE

#endif
