// SPDX-License-Identifier: MIT
#include "side_files.hpp"

#include "matrix_source.hpp"
#include "staging.hpp"
#include "text.hpp"

#include <quaver/io/atomic_file.hpp>
#include <quaver/io/quantization_config.hpp>

#include <algorithm>
#include <array>
#include <filesystem>

namespace checkpoint {

namespace {

namespace fs = std::filesystem;

// Modules whose matrices stay as they are, by the names that configs use: without the last component.
std::vector<std::string> modules_left(const std::vector<planned_tensor>& plan) {
  std::vector<std::string> modules;
  for (const planned_tensor& tensor : plan) {
    if (tensor.quantised() || !is_float_dtype(tensor.source->type) || tensor.source->shape.size() < 2) continue;
    const std::string_view prefix = io::prefix_of(tensor.source->name);
    modules.emplace_back(prefix.empty() ? tensor.source->name : prefix.substr(0, prefix.size() - 1));
  }
  return modules;
}

io::quantization_config config_for(const settings& how, const std::vector<planned_tensor>& plan) {
  io::quantization_config config;
  config.id       = *how.dialect;
  config.layouts  = {how.layout};
  config.excluded = modules_left(plan);
  // Scales of activations would come from running the model; so they are of the moment, or in FP4 there are none.
  config.activations = how.packs_pairs() ? io::activation_scheme::none : io::activation_scheme::dynamic_scale;
  return config;
}

// Small text files that a model needs beside its weights; weights in other formats are not among them.
bool belongs_to_model(const fs::directory_entry& entry) {
  static constexpr std::array<std::string_view, 8> endings{".json", ".txt", ".model", ".jinja",
                                                           ".md",   ".py",  ".vocab", ".tiktoken"};
  constexpr std::uintmax_t most = 64'000'000;
  std::error_code error;
  const std::string name = entry.path().filename().string();
  if (!entry.is_regular_file(error) || entry.file_size(error) > most || name.ends_with(".index.json")) return false;
  const std::string ending = entry.path().extension().string();
  return name.starts_with("LICENSE") || std::find(endings.begin(), endings.end(), ending) != endings.end();
}

bool is_weight_file(const std::string& name) {
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
}

status copy_file(const fs::path& from, const std::string& to) {
  const result<io::mapped_file> file = io::mapped_file::open(from.string());
  if (!file) return file.error();
  return io::write_file(to, {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()});
}

}  // namespace

result<side_files> write_side_files(const std::string& directory, const io::sharded_checkpoint& input,
                                    const options& chosen, const settings& how, const std::string& model_config,
                                    const std::vector<planned_tensor>& plan) {
  side_files files;
  const result<io::config_file> config = io::write_quantization(config_for(how, plan), model_config);
  if (!config) return config.error();
  if (status bad = io::write_file(directory + '/' + config->name, config->text); !bad.ok()) return bad;
  if (config->name != "config.json" && !model_config.empty()) {
    if (status bad = io::write_file(directory + "/config.json", model_config); !bad.ok()) return bad;
  }
  if (!chosen.input.ends_with(".safetensors")) {
    const result<std::vector<std::string>> names = io::list_directory(input.directory());
    if (!names) return names.error();
    for (const std::string& name : *names) {
      if (name.starts_with('.') || is_weight_file(name) || name == manifest_name) continue;
      std::error_code error;
      const fs::path from = fs::path(input.directory()) / name;
      if (!belongs_to_model(fs::directory_entry(from, error))) {
        files.left.push_back(name);
        continue;
      }
      const fs::path to = fs::path(directory) / name;
      if (fs::exists(to, error)) continue;  // the config that was just written
      if (status bad = copy_file(from, to.string()); !bad.ok()) return bad;
    }
  }
  result<std::vector<std::string>> written = io::list_directory(directory);
  if (!written) return written.error();
  std::erase_if(*written, [](const std::string& name) { return name == "." || name == ".."; });
  files.written = std::move(*written);
  if (status bad = io::write_file(directory + '/' + manifest_name, joined(files.written, "\n") + '\n'); !bad.ok()) {
    return bad;
  }
  return files;
}

}  // namespace checkpoint
