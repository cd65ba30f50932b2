// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_QUANTIZATION_CONFIG_HPP
#define QUAVER_IO_QUANTIZATION_CONFIG_HPP

#include <quaver/io/dialect.hpp>
#include <quaver/io/json_text.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// How activations meet an FP8 weight.
enum class activation_scheme : uint8_t {
  none,           ///< they stay as they are
  dynamic_scale,  ///< scaled by the amax of the moment
  static_scale,   ///< scaled by a stored number, input_scale
};

/// What a checkpoint's config says of its quantisation, whichever dialect's words it uses.
struct quantization_config {
  dialect id = dialect::hf_fp8;
  /// The layouts in which weights may have their scales; a config with several groups has several.
  std::vector<scale_layout> layouts{per_tensor};
  activation_scheme activations = activation_scheme::dynamic_scale;
  std::vector<std::string> excluded;  ///< modules left as they were: names, or patterns in the dialect's own syntax
  bool quantized_cache = false;       ///< the KV cache is FP8 and its scales are in the checkpoint
};

// ---- reading --------------------------------------------------------------------------------------------------------

/// The member of that name, or nullptr, whatever `object` is.
inline const nlohmann::json* member(const nlohmann::json* object, const char* name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto at = object->find(name);
  return at == object->end() || at->is_null() ? nullptr : &*at;
}
inline std::string text_member(const nlohmann::json* object, const char* name) {
  const nlohmann::json* const value = member(object, name);
  return value != nullptr && value->is_string() ? value->get_ref<const std::string&>() : std::string();
}
inline void append_texts(const nlohmann::json* list, std::vector<std::string>& texts) {
  if (list == nullptr || !list->is_array()) return;
  for (const nlohmann::json& item : *list) {
    if (item.is_string()) texts.push_back(item.get_ref<const std::string&>());
  }
}

/// [128, 128] as block extents; nothing if it is anything else.
inline std::optional<scale_layout> block_member(const nlohmann::json* block) {
  if (block == nullptr || !block->is_array() || block->size() != 2) return std::nullopt;
  constexpr uint64_t most = 1u << 30;
  for (const nlohmann::json& extent : *block) {
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() == 0 || extent.get<uint64_t>() > most)
      return std::nullopt;
  }
  return scale_layout{.block_rows = (*block)[0].get<int>(), .block_cols = (*block)[1].get<int>()};
}

/// One group's "weights" of a compressed-tensors config; nothing if it is a scheme without FP8 or FP4 codes.
inline std::optional<scale_layout> compressed_layout(const nlohmann::json* weights) {
  if (text_member(weights, "type") != "float") return std::nullopt;
  const std::string strategy = text_member(weights, "strategy");
  if (strategy == "tensor") return per_tensor;
  if (strategy == "channel") return per_row;
  if (strategy == "block") return block_member(member(weights, "block_structure"));
  const nlohmann::json* const size = member(weights, "group_size");
  if ((strategy == "group" || strategy == "tensor_group") && size != nullptr && size->is_number_unsigned() &&
      size->get<uint64_t>() >= 1 && size->get<uint64_t>() <= 1u << 30) {
    scale_layout layout = strategy == "group" ? mx_1x32 : nvfp4_1x16;
    layout.block_cols   = size->get<int>();
    return layout;
  }
  return std::nullopt;
}

/// Reads the parsed config.json or hf_quant_config.json of a model. Nothing where it names no quantisation; a status
/// where it names one that Quaver does not know or states it wrongly. `label` names the file in messages.
inline result<std::optional<quantization_config>> read_quantization(const nlohmann::json& file,
                                                                    std::string_view label) {
  quantization_config config;
  const auto wrong = [&](status_code code, const std::string& what) {
    return status(code, joined(in_quotes(label), ": ", what));
  };
  const nlohmann::json* hf = member(&file, "quantization_config");
  if (hf == nullptr) hf = member(&file, "compression_config");  // compressed-tensors' name of 2024
  const nlohmann::json* const nvidia = member(hf != nullptr && member(hf, "quantization") ? hf : &file, "quantization");
  const std::string method           = text_member(hf, "quant_method");
  const bool is_modelopt             = method.starts_with("modelopt") ||
                           text_member(member(&file, "producer"), "name") == "modelopt" ||
                           label.ends_with("hf_quant_config.json");

  if (is_modelopt || (hf == nullptr && nvidia != nullptr)) {
    const nlohmann::json* const words = nvidia != nullptr ? nvidia : hf;
    const std::string algorithm       = text_member(words, "quant_algo");
    if (algorithm.empty()) return std::optional<quantization_config>();
    config.id = is_modelopt ? dialect::modelopt : dialect::tensorrt_llm;
    if (algorithm == "NVFP4" && is_modelopt) {
      config.layouts = {nvfp4_1x16};
    } else if (algorithm != "FP8") {
      return wrong(status_code::unsupported, joined("quant_algo ", in_quotes(algorithm), " is unknown to us"));
    }
    config.activations     = activation_scheme::static_scale;
    config.quantized_cache = text_member(words, "kv_cache_quant_algo") == "FP8";
    append_texts(member(words, "exclude_modules"), config.excluded);
    append_texts(member(words, "ignore"), config.excluded);
    return std::optional(std::move(config));
  }
  if (hf == nullptr) return std::optional<quantization_config>();

  if (method == "fp8") {
    const nlohmann::json* const block = member(hf, "weight_block_size");
    if (block != nullptr) {
      const std::optional<scale_layout> layout = block_member(block);
      if (!layout) return wrong(status_code::corrupt_data, "weight_block_size is not two positive integers");
      config.id      = dialect::deepseek_block;
      config.layouts = {*layout};
    }
    config.activations = text_member(hf, "activation_scheme") == "static" ? activation_scheme::static_scale
                                                                          : activation_scheme::dynamic_scale;
    append_texts(member(hf, "ignored_layers"), config.excluded);
    append_texts(member(hf, "modules_to_not_convert"), config.excluded);
    return std::optional(std::move(config));
  }
  if (method == "compressed-tensors") {
    config.id = dialect::compressed_tensors;
    config.layouts.clear();
    config.activations                 = activation_scheme::none;
    const nlohmann::json* const groups = member(hf, "config_groups");
    if (groups == nullptr || !groups->is_object() || groups->empty()) {
      return wrong(status_code::corrupt_data, "there are no config_groups");
    }
    for (const auto& [name, group] : groups->items()) {
      const std::optional<scale_layout> layout = compressed_layout(member(&group, "weights"));
      if (layout) config.layouts.push_back(*layout);
      if (const nlohmann::json* const inputs = member(&group, "input_activations"); inputs != nullptr) {
        const nlohmann::json* const moving = member(inputs, "dynamic");
        const bool is_static               = moving == nullptr || (moving->is_boolean() && !moving->get<bool>());
        config.activations = is_static ? activation_scheme::static_scale : activation_scheme::dynamic_scale;
      }
    }
    if (config.layouts.empty()) {
      return wrong(status_code::unsupported,
                   "no group of config_groups has FP8 or FP4 weights in a layout known to us");
    }
    config.quantized_cache = member(hf, "kv_cache_scheme") != nullptr;
    append_texts(member(hf, "ignore"), config.excluded);
    return std::optional(std::move(config));
  }
  return wrong(status_code::unsupported, joined("quant_method ", in_quotes(method), " is unknown to us"));
}

// ---- writing --------------------------------------------------------------------------------------------------------

struct config_file {
  std::string name;  ///< in the checkpoint's directory
  std::string text;
};

/// The words of compressed-tensors for one group of weights.
inline nlohmann::json compressed_group(const quantization_config& config, const scale_layout& layout) {
  using nlohmann::json;
  const bool fp4        = layout.type == scale_type::nvfp4_e4m3;
  const scale_kind kind = kind_of(layout);
  json weights          = {{"type", "float"}, {"symmetric", true}, {"num_bits", fp4 ? 4 : 8}, {"dynamic", false}};
  weights["strategy"]   = fp4                          ? "tensor_group"
                          : kind == scale_kind::tensor ? "tensor"
                          : kind == scale_kind::row    ? "channel"
                                                       : "block";
  weights["group_size"] = fp4 ? json(layout.block_cols) : json();
  weights["block_structure"] =
      !fp4 && kind == scale_kind::block ? json::array({layout.block_rows, layout.block_cols}) : json();
  json inputs;
  if (config.activations != activation_scheme::none) {
    const bool is_static = config.activations == activation_scheme::static_scale;
    inputs               = weights;
    inputs["dynamic"]    = !is_static;
    inputs["strategy"]   = fp4 ? "tensor_group" : kind == scale_kind::block ? "group" : is_static ? "tensor" : "token";
    inputs["group_size"] = fp4 || kind == scale_kind::block ? json(layout.block_cols) : json();
    inputs["block_structure"] = json();
    if (fp4) inputs["dynamic"] = "local";  // block scales of the moment under a stored global one
  }
  return {{"targets", json::array({"Linear"})},
          {"weights", weights},
          {"input_activations", inputs},
          {"output_activations", json()}};
}

/// The config file that makes the dialect's readers take a checkpoint for what it is. `existing` is the model's own
/// config.json, to which dialects that keep their words there add them (empty: they stand alone).
inline result<config_file> write_quantization(const quantization_config& config, std::string_view existing = {}) {
  using nlohmann::json;
  const dialect_row& rules = rules_of(config.id);
  if (config.layouts.empty()) return status(status_code::invalid_argument, "a quantisation needs a scale layout");
  for (const std::string& name : config.excluded) {
    if (const result<std::string> text = json_string(name); !text) return text.error();
  }
  const scale_layout& layout = config.layouts.front();
  const bool is_static       = config.activations == activation_scheme::static_scale;
  json file                  = json::object();
  if (!existing.empty() && config.id != dialect::modelopt) {
    result<json> parsed = parse_json(existing, "config.json");
    if (!parsed) return parsed.error();
    if (!parsed->is_object()) return status(status_code::corrupt_data, "config.json is not a JSON object");
    file = std::move(*parsed);
  }
  json words = json::object();
  switch (config.id) {
    case dialect::deepseek_block:
      words["fmt"]               = "e4m3";
      words["weight_block_size"] = {layout.block_rows, layout.block_cols};
      [[fallthrough]];
    case dialect::hf_fp8:
      words["quant_method"]      = "fp8";
      words["activation_scheme"] = is_static ? "static" : "dynamic";
      // vLLM reads the first of these, transformers the second.
      if (!config.excluded.empty()) words["ignored_layers"] = words["modules_to_not_convert"] = config.excluded;
      file["quantization_config"] = std::move(words);
      break;
    case dialect::compressed_tensors:
      words["quant_method"]        = "compressed-tensors";
      words["quantization_status"] = "compressed";
      words["format"]              = layout.type == scale_type::nvfp4_e4m3 ? "nvfp4-pack-quantized" : "float-quantized";
      words["ignore"]              = config.excluded;
      words["kv_cache_scheme"]     = json();
      if (config.quantized_cache) {
        words["kv_cache_scheme"] = {
            {"type", "float"}, {"num_bits", 8}, {"strategy", "tensor"}, {"symmetric", true}, {"dynamic", false}};
      }
      words["config_groups"] = json::object();
      for (size_t i = 0; i < config.layouts.size(); ++i) {
        words["config_groups"][joined("group_", i)] = compressed_group(config, config.layouts[i]);
      }
      file["quantization_config"] = std::move(words);
      break;
    case dialect::modelopt:
      file["producer"] = {{"name", "modelopt"}};  // by this name loaders know the dialect
      [[fallthrough]];
    case dialect::tensorrt_llm:
      words["quant_algo"]          = layout.type == scale_type::nvfp4_e4m3 ? "NVFP4" : "FP8";
      words["kv_cache_quant_algo"] = config.quantized_cache ? json("FP8") : json();
      words["exclude_modules"]     = config.excluded;
      if (layout.type == scale_type::nvfp4_e4m3) words["group_size"] = layout.block_cols;
      file["quantization"] = std::move(words);
      break;
  }
  return config_file{std::string(rules.config_file), file.dump(2) + '\n'};
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
