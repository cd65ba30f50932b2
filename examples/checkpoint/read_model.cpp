// SPDX-License-Identifier: MIT
#include "read_model.hpp"

#include <quaver/io/detect_dialect.hpp>

#include <optional>

namespace checkpoint {

result<io::sharded_checkpoint> open_checkpoint(const std::string& path) { return io::sharded_checkpoint::open(path); }

result<std::string> read_model_config(const io::sharded_checkpoint& input) {
  std::string model_config;
  for (const char* const name : {"hf_quant_config.json", "config.json"}) {
    const std::string path             = input.directory() + '/' + name;
    const result<io::mapped_file> file = io::mapped_file::open(path);
    if (file.error().code() == status_code::not_found) continue;
    if (!file) return file.error();
    const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
    const result<nlohmann::json> json = io::parse_json(text, path);
    if (!json) return json.error();
    const result<std::optional<io::quantization_config>> config = io::read_quantization(*json, path);
    if (!config) return config.error();
    if (config->has_value()) {
      return status(status_code::invalid_argument, "the input is quantised already: " + io::in_quotes(path) +
                                                       " says so, in the words of " +
                                                       std::string(io::dialect_name((*config)->id)));
    }
    model_config = text;
  }
  return model_config;
}

result<io::quantization_config> read_dialect(const io::sharded_checkpoint& stored) {
  return io::detect_dialect(stored);
}

}  // namespace checkpoint
