// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_FIND_SCALE_HPP
#define QUAVER_IO_FIND_SCALE_HPP

#include <quaver/io/quantization_config.hpp>
#include <quaver/io/sharded_checkpoint.hpp>

#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The scale of a weight, found and checked: the tensors that hold it and which values share which number.
struct found_scale {
  scale_kind kind = scale_kind::tensor;
  scale_layout
      layout;         ///< of the weight's values; for kind shards that of a row each, as dequant_multipliers gives them
  uint64_t rows = 0;  ///< extents of the weight in values; 0 x 0 if it is not a matrix (then kind is tensor)
  uint64_t cols = 0;
  const tensor_view* weight = nullptr;
  const tensor_view* values = nullptr;  ///< the scale tensor
  const tensor_view* global = nullptr;  ///< NVFP4's second level, or nullptr
  stored_scale global_is    = stored_scale::multiplier;
  std::vector<uint64_t> shard_rows;  ///< kind shards: how many rows each scale is for
};

/// True if the tensor's codes mean nothing without a scale. Bytes (U8) are such codes if they are named or scaled as
/// FP4 pairs are; a tensor that is itself the scale of another is none.
inline bool needs_scale(const sharded_checkpoint& checkpoint, const dialect_row& rules, const tensor_view& tensor) {
  const std::string_view name = tensor.name;
  if (tensor.type == dtype::u8) {
    return leaf_of(name) == "weight_packed" ||
           (leaf_of(name) == "weight" && checkpoint.find(scale_name(rules, name)) != nullptr);
  }
  const bool is_code =
      is_fp8(tensor.type) || tensor.type == dtype::f4 || tensor.type == dtype::f6_e2m3 || tensor.type == dtype::f6_e3m2;
  if (!is_code) return false;
  // NVFP4's block scales are F8_E4M3 themselves.
  const auto is_there = [&](std::string_view other) { return checkpoint.find(other) != nullptr; };
  if (leaf_of(name) == rules.scale_leaf) {
    const std::string prefix(prefix_of(name));
    if (is_there(joined(prefix, "weight")) || is_there(joined(prefix, "weight_packed"))) return false;
  }
  return rules.appended.empty() || !name.ends_with(rules.appended) ||
         !is_there(name.substr(0, name.size() - rules.appended.size()));
}

/// The scale tensor of `weight`, or a status that names both. If another dialect's name would have found one, it says
/// so: a scale that is there and not read has cost people more than one that is missing.
inline result<const tensor_view*> find_scale_tensor(const sharded_checkpoint& checkpoint, const dialect_row& rules,
                                                    const tensor_view& weight) {
  const std::string name = scale_name(rules, weight.name);
  if (!name.empty()) {
    if (const tensor_view* const scale = checkpoint.find(name)) return scale;
  }
  std::string text = joined(describe(weight), " has no scale: the dialect ", rules.name);
  text += name.empty() ? " has none for such a name" : joined(" keeps it in ", in_quotes(name));
  for (const dialect_row& other : dialect_rows) {
    const std::string others = scale_name(other, weight.name);
    if (others.empty() || others == name || checkpoint.find(others) == nullptr) continue;
    text += joined("; there is ", in_quotes(others), ", as the dialect ", other.name, " names it");
    break;
  }
  return status(status_code::not_found, std::move(text));
}

/// NVFP4's number above the block scales.
inline result<const tensor_view*> find_global_scale(const sharded_checkpoint& checkpoint, const dialect_row& rules,
                                                    const tensor_view& weight, const tensor_view& scale) {
  const std::string name          = global_scale_name(rules, weight.name);
  const tensor_view* const global = name.empty() ? nullptr : checkpoint.find(name);
  const std::string text          = joined(describe(weight), ": its scale, ", describe(scale), ", needs one above it");
  if (global == nullptr) {
    return status(status_code::not_found, name.empty()
                                              ? joined(text, ", of which the dialect ", rules.name, " knows nothing")
                                              : joined(text, ", and ", in_quotes(name), " is missing"));
  }
  const result<uint64_t> count = element_count(*global);
  if (global->type != dtype::f32 || !count || *count != 1) {
    return status(status_code::corrupt_data, joined(text, ", but ", describe(*global), " is not one F32"));
  }
  return global;
}

/// What the elements of a scale tensor are; nothing for a dtype that holds no scales.
constexpr std::optional<scale_type> scale_type_of(dtype type) noexcept {
  switch (type) {
    case dtype::f32:
    case dtype::f16:
    case dtype::bf16: return scale_type::f32;
    case dtype::f8_e8m0:
    case dtype::u8: return scale_type::mx_e8m0;
    case dtype::f8_e4m3: return scale_type::nvfp4_e4m3;
    default: return std::nullopt;
  }
}

/// Finds the layout that makes the scale's shape fit the weight, and completes `found` with it.
inline status fit_layout(const quantization_config& config, std::span<const uint64_t> shard_rows, found_scale& found) {
  const dialect_row& rules     = rules_of(config.id);
  const tensor_view& scale     = *found.values;
  const auto allows            = [&](scale_kind kind) { return (rules.kinds & static_cast<unsigned>(kind)) != 0; };
  const scale_type type        = found.layout.type;
  const result<uint64_t> count = element_count(scale);
  if (!count) return count.error();
  const result<std::array<uint64_t, 2>> extents = matrix_extents(*found.weight);
  if (extents) std::tie(found.rows, found.cols) = std::tuple((*extents)[0], (*extents)[1]);
  // A single number serves a tensor of any shape.
  if (*count == 1 && allows(scale_kind::tensor) && type == scale_type::f32) return {};
  if (!extents) return {extents.error().code(), joined("the scale ", describe(scale), ": ", extents.message())};

  std::vector<scale_layout> layouts = config.layouts;
  if (allows(scale_kind::row)) layouts.push_back(per_row);
  std::string expected = allows(scale_kind::tensor) ? "[] or [1] of F32" : "";
  for (scale_layout layout : layouts) {
    if (kind_of(layout) == scale_kind::tensor) continue;
    const std::vector<uint64_t> shape = scale_shape(rules, layout, found.rows, found.cols);
    const bool is_row_vector =
        kind_of(layout) == scale_kind::row && scale.shape.size() == 1 && scale.shape[0] == found.rows;
    if (scale.shape == shape || is_row_vector) {
      found.kind        = kind_of(layout);
      found.layout      = layout;
      found.layout.type = type;
      return {};
    }
    expected += joined(expected.empty() ? "" : " or ", shape_text(shape));
  }
  if (!allows(scale_kind::shards) || scale.shape.size() != 1) {
    return {status_code::corrupt_data,
            joined(describe(*found.weight), ": its scale, ", describe(scale), ", should have the shape ", expected)};
  }
  uint64_t sum = 0;
  for (const uint64_t rows : shard_rows) {
    if (__builtin_add_overflow(sum, rows, &sum)) sum = ~uint64_t{0};
  }
  if (shard_rows.size() != *count || sum != found.rows) {
    return {status_code::unsupported, joined(describe(*found.weight), ": its scale, ", describe(scale),
                                             ", has a number for each matrix fused into it; their rows must be given, ",
                                             *count, " numbers that add up to ", found.rows)};
  }
  found.kind        = scale_kind::shards;
  found.layout      = per_row;
  found.layout.type = type;
  found.shard_rows.assign(shard_rows.begin(), shard_rows.end());
  return {};
}

/// The scale that the dialect of `config` gives to tensor `weight`. There is always a stored one or an error: no scale
/// is ever taken to be 1. `shard_rows` says how many rows each matrix of a fused one has; no file states it, and equal
/// parts are wrong for grouped-query attention, so a weight with one scale a shard is refused (unsupported) without it.
inline result<found_scale> find_scale(const sharded_checkpoint& checkpoint, const quantization_config& config,
                                      std::string_view weight, std::span<const uint64_t> shard_rows = {}) {
  const dialect_row& rules = rules_of(config.id);
  found_scale found;
  found.global_is = rules.global_is;
  found.weight    = checkpoint.find(weight);
  if (found.weight == nullptr) return status(status_code::not_found, joined("there is no tensor ", in_quotes(weight)));
  const result<const tensor_view*> scale = find_scale_tensor(checkpoint, rules, *found.weight);
  if (!scale) return scale.error();
  found.values                         = *scale;
  const std::optional<scale_type> type = scale_type_of(found.values->type);
  if (!type) {
    return status(status_code::corrupt_data, joined(describe(*found.weight), ": its scale, ", describe(*found.values),
                                                    ", is of no dtype that scales have"));
  }
  found.layout.type = *type;
  if (*type == scale_type::nvfp4_e4m3) {
    const result<const tensor_view*> global = find_global_scale(checkpoint, rules, *found.weight, *found.values);
    if (!global) return global.error();
    found.global = *global;
  }
  if (status fits = fit_layout(config, shard_rows, found); !fits) return fits;
  return found;
}

/// Ok if every tensor that needs a scale has one that fits. Kind shards counts as fitting.
inline status check_scales(const sharded_checkpoint& checkpoint, const quantization_config& config) {
  const dialect_row& rules = rules_of(config.id);
  for (const tensor_view* const tensor : checkpoint.tensors()) {
    if (!needs_scale(checkpoint, rules, *tensor)) continue;
    const result<found_scale> found = find_scale(checkpoint, config, tensor->name);
    if (!found && found.error().code() != status_code::unsupported) return found.error();
  }
  return {};
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
