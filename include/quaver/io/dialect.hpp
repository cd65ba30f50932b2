// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_DIALECT_HPP
#define QUAVER_IO_DIALECT_HPP

#include <quaver/io/tensor_view.hpp>
#include <quaver/tensor/scale_layout.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// Who wrote a quantised checkpoint, or who is to read it: how scales are named and shaped and where the config lies.
enum class dialect : uint8_t {
  hf_fp8,              ///< Hugging Face and vLLM, quant_method "fp8": one scale a matrix
  deepseek_block,      ///< quant_method "fp8" with weight_block_size: one scale a 128x128 block
  compressed_tensors,  ///< llm-compressor: a matrix, a channel, a block; NVFP4
  modelopt,            ///< NVIDIA ModelOpt: one scale a matrix; NVFP4
  tensorrt_llm,        ///< TensorRT-LLM checkpoints, rankR.safetensors: one scale a matrix
};

/// What a stored number is to be done with.
enum class stored_scale : uint8_t {
  multiplier,  ///< value = code * number. Every dialect's weight scale, whatever it is called
  divisor,     ///< value = code / number
};

/// How many values share a scale; the bits of dialect_row::kinds.
enum class scale_kind : uint8_t {
  tensor = 1,  ///< all: shape [] or [1]
  shards = 2,  ///< those of one of the matrices fused into this one, one below the other: shape [shards]
  row    = 4,  ///< a row, the output channel: shape [N] or [N, 1]
  block  = 8,  ///< a block_rows x block_cols block: shape [ceil(N / block_rows), ceil(K / block_cols)]
};

/// One dialect. A weight's scale is found by name: "<prefix>.weight" has it at "<prefix>.<scale_leaf>", and a tensor
/// whose last component is another word has it at its name plus `appended`, if the dialect has such a rule.
struct dialect_row {
  dialect id;
  std::string_view name;
  std::string_view scale_leaf;
  std::string_view appended;
  std::string_view global_leaf;  ///< NVFP4's second level; empty: the dialect has none
  stored_scale global_is;
  std::string_view input_leaf;  ///< the scale of a matrix's input, where activations are quantised statically
  std::array<std::string_view, 2> cache_leaves;  ///< scales of the KV cache; multipliers
  unsigned kinds;                                ///< of weight scales, in FP8
  size_t tensor_scale_axes;  ///< of a tensor scale that we write: 0 for [], 1 for [1]. Both are read
  std::string_view config_file;
};

constexpr unsigned kinds(std::initializer_list<scale_kind> list) noexcept {
  unsigned bits = 0;
  for (const scale_kind kind : list) bits |= static_cast<unsigned>(kind);
  return bits;
}

// "weight_scale_inv" is DeepSeek's name for a multiplier. compressed-tensors stores NVFP4's global scale as
// 448 * 6 / amax, which divides, ModelOpt amax / (448 * 6), which multiplies.
inline constexpr std::array<dialect_row, 5> dialect_rows{{
    {
        .id                = dialect::hf_fp8,
        .name              = "hf-fp8",
        .scale_leaf        = "weight_scale",
        .appended          = "_scale",
        .global_leaf       = "",
        .global_is         = stored_scale::multiplier,
        .input_leaf        = "input_scale",
        .cache_leaves      = {"k_scale", "v_scale"},
        .kinds             = kinds({scale_kind::tensor, scale_kind::shards}),
        .tensor_scale_axes = 0,
        .config_file       = "config.json",
    },
    {
        .id                = dialect::deepseek_block,
        .name              = "deepseek-block",
        .scale_leaf        = "weight_scale_inv",
        .appended          = "_scale_inv",
        .global_leaf       = "",
        .global_is         = stored_scale::multiplier,
        .input_leaf        = "input_scale",
        .cache_leaves      = {"k_scale", "v_scale"},
        .kinds             = kinds({scale_kind::block}),
        .tensor_scale_axes = 0,
        .config_file       = "config.json",
    },
    {
        .id                = dialect::compressed_tensors,
        .name              = "compressed-tensors",
        .scale_leaf        = "weight_scale",
        .appended          = "_scale",
        .global_leaf       = "weight_global_scale",
        .global_is         = stored_scale::divisor,
        .input_leaf        = "input_scale",
        .cache_leaves      = {"k_scale", "v_scale"},
        .kinds             = kinds({scale_kind::tensor, scale_kind::row, scale_kind::block}),
        .tensor_scale_axes = 1,
        .config_file       = "config.json",
    },
    {
        .id                = dialect::modelopt,
        .name              = "modelopt",
        .scale_leaf        = "weight_scale",
        .appended          = "_scale",
        .global_leaf       = "weight_scale_2",
        .global_is         = stored_scale::multiplier,
        .input_leaf        = "input_scale",
        .cache_leaves      = {"k_scale", "v_scale"},
        .kinds             = kinds({scale_kind::tensor}),
        .tensor_scale_axes = 0,
        .config_file       = "hf_quant_config.json",
    },
    {
        .id                = dialect::tensorrt_llm,
        .name              = "tensorrt-llm",
        .scale_leaf        = "weights_scaling_factor",
        .appended          = "",
        .global_leaf       = "",
        .global_is         = stored_scale::multiplier,
        .input_leaf        = "activation_scaling_factor",
        .cache_leaves      = {"kv_cache_scaling_factor", ""},
        .kinds             = kinds({scale_kind::tensor}),
        .tensor_scale_axes = 1,
        .config_file       = "config.json",
    },
}};

constexpr const dialect_row& rules_of(dialect id) noexcept { return dialect_rows[static_cast<size_t>(id)]; }
constexpr std::string_view dialect_name(dialect id) noexcept { return rules_of(id).name; }
constexpr std::optional<dialect> dialect_from_name(std::string_view name) noexcept {
  for (const dialect_row& row : dialect_rows) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}
static_assert(rules_of(dialect::hf_fp8).id == dialect::hf_fp8 &&
              rules_of(dialect::tensorrt_llm).id == dialect::tensorrt_llm);

// ---- names ----------------------------------------------------------------------------------------------------------

/// "a.b.weight" is "a.b." and "weight".
constexpr std::string_view leaf_of(std::string_view name) noexcept { return name.substr(name.rfind('.') + 1); }
constexpr std::string_view prefix_of(std::string_view name) noexcept { return name.substr(0, name.rfind('.') + 1); }

/// The names under which matrices are stored; two FP4 values in a byte make the second.
constexpr bool is_weight_leaf(std::string_view leaf) noexcept { return leaf == "weight" || leaf == "weight_packed"; }

/// The name of the scale of tensor `weight`; empty if the dialect has no rule for such a name.
inline std::string scale_name(const dialect_row& rules, std::string_view weight) {
  if (is_weight_leaf(leaf_of(weight))) return std::string(prefix_of(weight)) += rules.scale_leaf;
  return rules.appended.empty() ? std::string() : std::string(weight) += rules.appended;
}

/// The name of the one number above an NVFP4 weight's block scales; empty if the dialect has none.
inline std::string global_scale_name(const dialect_row& rules, std::string_view weight) {
  if (rules.global_leaf.empty()) return {};
  if (is_weight_leaf(leaf_of(weight))) return std::string(prefix_of(weight)) += rules.global_leaf;
  return std::string(weight) += rules.global_leaf.substr(std::string_view("weight").size());
}

/// The name of the scale of the input of weight `weight`.
inline std::string input_scale_name(const dialect_row& rules, std::string_view weight) {
  return std::string(prefix_of(weight)) += rules.input_leaf;
}

// ---- shapes ---------------------------------------------------------------------------------------------------------

constexpr scale_kind kind_of(const scale_layout& layout) noexcept {
  if (layout.block_cols != 0 || layout.block_rows > 1) return scale_kind::block;
  return layout.block_rows == 1 ? scale_kind::row : scale_kind::tensor;
}

/// The shape in which the dialect stores the scales of an N x K weight under that layout.
inline std::vector<uint64_t> scale_shape(const dialect_row& rules, const scale_layout& layout, uint64_t n, uint64_t k) {
  if (kind_of(layout) == scale_kind::tensor) return std::vector<uint64_t>(rules.tensor_scale_axes, 1);
  return {static_cast<uint64_t>(layout.scale_rows(static_cast<int64_t>(n))),
          static_cast<uint64_t>(layout.scale_cols(static_cast<int64_t>(k)))};
}

/// Rows and columns of values in a stored matrix. A byte (U8) holds two FP4 values, so its columns count twice.
inline result<std::array<uint64_t, 2>> matrix_extents(const tensor_info& weight) {
  constexpr uint64_t most = uint64_t{1} << 40;  // far above any matrix, far below where products of extents wrap
  if (weight.shape.size() != 2 || weight.shape[0] > most || weight.shape[1] > most) {
    return status(status_code::unsupported, joined("tensor ", in_quotes(weight.name), " ", shape_text(weight.shape),
                                                   " is not a matrix, and only a matrix has more than one scale"));
  }
  return std::array<uint64_t, 2>{weight.shape[0], weight.type == dtype::u8 ? 2 * weight.shape[1] : weight.shape[1]};
}

/// What a writer declares beside `weight` (as stored: F8_E4M3 or F8_E5M2 [N, K], F4 [N, K] or U8 [N, K / 2]) for scales
/// in `layout`: the scale tensor, and after it NVFP4's global scale. Refuses what the dialect's readers do not know.
inline result<std::vector<tensor_info>> declare_scales(dialect id, const tensor_info& weight,
                                                       const scale_layout& layout) {
  const dialect_row& rules = rules_of(id);
  const std::string no_scales =
      joined("the dialect ", rules.name, " has no scales for tensor ", in_quotes(weight.name), " ");
  const auto refused     = [&](const std::string& what) { return status(status_code::unsupported, no_scales + what); };
  const std::string name = scale_name(rules, weight.name);
  if (name.empty()) return refused("of such a name");
  const result<std::array<uint64_t, 2>> extents = matrix_extents(weight);
  if (!extents) return extents.error();
  const auto [n, k] = *extents;
  if (layout.type == scale_type::nvfp4_e4m3) {
    if (rules.global_leaf.empty() || layout != nvfp4_1x16) return refused("in NVFP4's two levels");
    return std::vector<tensor_info>{
        {name, dtype::f8_e4m3, scale_shape(rules, layout, n, k)},
        {global_scale_name(rules, weight.name), dtype::f32, std::vector<uint64_t>(rules.tensor_scale_axes, 1)}};
  }
  if (layout.type != scale_type::f32 || (rules.kinds & static_cast<unsigned>(kind_of(layout))) == 0) {
    return refused(joined("in blocks of ", layout.block_rows, " x ", layout.block_cols,
                          layout.type == scale_type::f32 ? "" : " under E8M0", " (0: the whole axis)"));
  }
  return std::vector<tensor_info>{{name, dtype::f32, scale_shape(rules, layout, n, k)}};
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
