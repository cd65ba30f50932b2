// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_CHECKPOINT_WRITER_HPP
#define QUAVER_IO_CHECKPOINT_WRITER_HPP

#include <quaver/io/safetensors_writer.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The size at which the usual tools start another shard.
inline constexpr uint64_t customary_shard_size = 5'000'000'000;

/// "model-00002-of-00003.safetensors", or "model.safetensors" where there is one shard only.
inline std::string shard_name(size_t shard, size_t shards) {
  if (shards == 1) return "model.safetensors";
  const auto digits = [](size_t number) {
    const std::string text = std::to_string(number);
    return std::string(text.size() < 5 ? 5 - text.size() : 0, '0').append(text);
  };
  return joined("model-", digits(shard + 1), "-of-", digits(shards), ".safetensors");
}

/// Writes a checkpoint into an existing directory as one file or as shards with an index. Tensors fill the shards in
/// the order in which they are declared; a tensor larger than `shard_size` has a shard of its own.
///
/// finish() takes an old index away, gives the shards their names, writes the new index, and at last removes a
/// model.safetensors that the shards replace. So a writer killed before finish() leaves the directory as it was. Killed
/// within it, it leaves the old checkpoint, the new one, or whole files without an index, which sharded_checkpoint
/// refuses to guess about: never tensors of both.
class checkpoint_writer {
 public:
  checkpoint_writer() = default;

  static result<checkpoint_writer> create(const std::string& directory, const std::vector<tensor_info>& tensors,
                                          const metadata_map& metadata = {},
                                          uint64_t shard_size          = customary_shard_size) {
    checkpoint_writer writer;
    writer.directory_ = directory;
    std::vector<std::vector<tensor_info>> shards(1);
    uint64_t filled = 0;
    for (const tensor_info& tensor : tensors) {
      const result<uint64_t> bytes = byte_count(tensor);
      if (!bytes) return status(status_code::invalid_argument, bytes.message());
      if (!shards.back().empty() && (filled > shard_size || *bytes > shard_size - filled)) {
        shards.emplace_back();
        filled = 0;
      }
      if (!writer.shard_of_.try_emplace(tensor.name, shards.size() - 1).second) {
        return status(status_code::invalid_argument, joined("two tensors have the name ", in_quotes(tensor.name)));
      }
      shards.back().push_back(tensor);
      filled += *bytes;  // cannot wrap: filled <= shard_size - bytes, or filled is 0
      if (__builtin_add_overflow(writer.total_, *bytes, &writer.total_)) {
        return status(status_code::invalid_argument, "the sizes of the tensors overflow 64 bits");
      }
    }
    for (size_t i = 0; i < shards.size(); ++i) {
      result<safetensors_writer> shard =
          safetensors_writer::create(directory + '/' + shard_name(i, shards.size()), std::move(shards[i]), metadata);
      if (!shard) return shard.error();
      writer.shards_.push_back(std::move(*shard));
    }
    return result<checkpoint_writer>(std::move(writer));
  }

  [[nodiscard]] size_t shards() const noexcept { return shards_.size(); }

  /// Appends to that tensor, as safetensors_writer::write.
  status write(std::string_view name, std::span<const std::byte> bytes) {
    const auto at = shard_of_.find(name);
    if (at == shard_of_.end()) {
      return {status_code::invalid_argument,
              joined(in_quotes(directory_), ": no tensor ", in_quotes(name), " was declared")};
    }
    return shards_[at->second].write(name, bytes);
  }

  status finish() {
    for (const safetensors_writer& shard : shards_) {
      if (status whole = shard.complete(); !whole) {
        shards_.clear();  // nothing takes its name
        return whole;
      }
    }
    const std::string index = joined(directory_, "/model.safetensors.index.json");
    if (::unlink(index.c_str()) != 0 && errno != ENOENT) return system_failure("remove", index, errno);
    for (safetensors_writer& shard : shards_) {
      if (status named = shard.finish(); !named) return named;
    }
    if (shards_.size() == 1) return {};
    if (status written = write_file(index, index_text()); !written) return written;
    const std::string replaced = joined(directory_, "/model.safetensors");
    if (::unlink(replaced.c_str()) != 0 && errno != ENOENT) return system_failure("remove", replaced, errno);
    return {};
  }

 private:
  [[nodiscard]] std::string index_text() const {
    nlohmann::json map = nlohmann::json::object();
    for (const auto& [name, shard] : shard_of_) map[name] = shard_name(shard, shards_.size());
    const nlohmann::json index = {{"metadata", {{"total_size", total_}}}, {"weight_map", std::move(map)}};
    return index.dump(2) + '\n';  // names were found to be UTF-8 when the shards were laid out
  }

  std::string directory_;
  std::vector<safetensors_writer> shards_;
  std::map<std::string, size_t, std::less<>> shard_of_;
  uint64_t total_ = 0;
};

}  // namespace io
QUAVER_END_NAMESPACE

#endif
