// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_DETECT_DIALECT_HPP
#define QUAVER_IO_DETECT_DIALECT_HPP

#include <quaver/io/find_scale.hpp>

#include <algorithm>
#include <optional>
#include <string>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The dialect by the names of the scales alone. Three dialects write "weight_scale"; what they mean by it is the same,
/// and the shapes that all three allow are tried.
inline result<quantization_config> detect_dialect_by_names(const sharded_checkpoint& checkpoint) {
  const tensor_view* deepseek = nullptr;
  const tensor_view* tensorrt = nullptr;
  const tensor_view* plain    = nullptr;  // weight_scale
  const tensor_view* divisor  = nullptr;  // weight_global_scale
  const tensor_view* second   = nullptr;  // weight_scale_2
  bool all_single             = true;
  for (const tensor_view* const tensor : checkpoint.tensors()) {
    const std::string_view leaf = leaf_of(tensor->name);
    if (leaf.ends_with("_scale_inv")) deepseek = tensor;
    if (leaf == rules_of(dialect::tensorrt_llm).scale_leaf) tensorrt = tensor;
    if (leaf == rules_of(dialect::compressed_tensors).global_leaf) divisor = tensor;
    if (leaf == rules_of(dialect::modelopt).global_leaf) second = tensor;
    if (leaf == rules_of(dialect::hf_fp8).scale_leaf) {
      plain            = tensor;
      const auto count = element_count(*tensor);
      all_single       = all_single && count.ok() && *count == 1;
    }
  }
  const tensor_view* const families[] = {deepseek, tensorrt, plain != nullptr ? plain : divisor};
  const tensor_view* named            = nullptr;
  for (const tensor_view* const family : families) {
    if (family == nullptr) continue;
    if (named != nullptr) {
      return status(status_code::corrupt_data,
                    joined("no config names the dialect, and the scales ", in_quotes(named->name), " and ",
                           in_quotes(family->name), " are of different ones"));
    }
    named = family;
  }
  quantization_config config;
  if (named == nullptr) {
    for (const tensor_view* const tensor : checkpoint.tensors()) {
      if (!is_fp8(tensor->type)) continue;
      std::string looked_for;
      for (const dialect_row& row : dialect_rows) {
        const std::string name = in_quotes(scale_name(row, tensor->name));
        if (name != "\"\"" && looked_for.find(name) == std::string::npos)
          looked_for += (looked_for.empty() ? "" : " or ") + name;
      }
      return status(status_code::not_found,
                    joined("tensor ", in_quotes(tensor->name), " (", dtype_name(tensor->type),
                           ") has no scale: no config names a dialect, and there is no ", looked_for));
    }
    return status(status_code::not_found,
                  joined(in_quotes(checkpoint.directory()),
                         " holds no quantised tensors: no config says so and no tensor is FP8"));
  }
  if (named == deepseek) {
    config.id      = dialect::deepseek_block;
    config.layouts = {blocks_128x128};
  } else if (named == tensorrt) {
    config.id = dialect::tensorrt_llm;
  } else if (second != nullptr) {
    config.id      = dialect::modelopt;
    config.layouts = {nvfp4_1x16};
  } else if (divisor != nullptr) {
    config.id      = dialect::compressed_tensors;
    config.layouts = {nvfp4_1x16};
  } else if (!all_single) {
    config.id      = dialect::compressed_tensors;
    config.layouts = {per_row, blocks_128x128};
  }
  return config;
}

/// The dialect of a checkpoint and what else its config says: from hf_quant_config.json, else from config.json, both
/// beside the tensors, else from the names of the scales. A config that names a method we do not know is an error.
inline result<quantization_config> detect_dialect(const sharded_checkpoint& checkpoint) {
  for (const char* const name : {"hf_quant_config.json", "config.json"}) {
    const std::string path            = checkpoint.directory() + '/' + name;
    const result<nlohmann::json> file = read_json(path);
    if (file.error().code() == status_code::not_found) continue;
    if (!file) return file.error();
    result<std::optional<quantization_config>> config = read_quantization(*file, path);
    if (!config) return config.error();
    if (config->has_value()) return **std::move(config);
  }
  return detect_dialect_by_names(checkpoint);
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
