// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include "matrix_source.hpp"
#include "text.hpp"

#include <quaver/cpu/amax_n.hpp>
#include <quaver/io/quantization_config.hpp>

#include <algorithm>
#include <cmath>

namespace checkpoint {

namespace {

const std::string* first_match(const std::vector<std::string>& patterns, const std::string& name) {
  const auto at = std::find_if(patterns.begin(), patterns.end(), [&](const auto& p) { return matches(p, name); });
  return at == patterns.end() ? nullptr : &*at;
}

bool is_matrix(const io::tensor_info& tensor) { return is_float_dtype(tensor.type) && tensor.shape.size() == 2; }

// Why the tensor stays as it is, whatever it holds; empty if it does not.
std::string reason_to_copy(const io::tensor_info& tensor, const options& chosen, const settings& how) {
  if (!is_float_dtype(tensor.type)) return std::string(io::dtype_name(tensor.type));
  if (tensor.shape.size() != 2) {
    return std::to_string(tensor.shape.size()) + (tensor.shape.size() == 1 ? " axis" : " axes");
  }
  if (tensor.shape[0] == 0 || tensor.shape[1] == 0) return "empty";
  if (const std::string* const pattern = first_match(chosen.exclude, tensor.name)) return "--exclude " + *pattern;
  if (!chosen.include.empty() && first_match(chosen.include, tensor.name) == nullptr) return "no --include matches";
  const std::string* const usual = first_match(default_exclusions(), tensor.name);
  if (chosen.include.empty() && usual != nullptr) return "excluded by default: " + *usual;

  const uint64_t k = tensor.shape[1];
  if (how.dialect && how.packs_pairs()) {
    // NVFP4's readers load whole blocks, and know bytes for FP4 pairs by the name alone.
    if (k % 16 != 0) return "K = " + std::to_string(k) + " is no multiple of 16";
    if (io::leaf_of(tensor.name) != "weight") return "not named \"weight\"";
  }
  if (how.dialect && io::scale_name(io::rules_of(*how.dialect), tensor.name).empty()) {
    return "no scale name in " + std::string(how.dialect_name());
  }
  return {};
}

io::tensor_info stored_as(const io::tensor_info& tensor, const settings& how) {
  if (how.packs_pairs()) {
    const bool renames = how.dialect == io::dialect::compressed_tensors;
    return {renames ? tensor.name + "_packed" : tensor.name, io::dtype::u8, {tensor.shape[0], tensor.shape[1] / 2}};
  }
  return {tensor.name, io::dtype::f8_e4m3, tensor.shape};
}

status refuse_quantised(const io::sharded_checkpoint& input) {
  for (const io::tensor_view* const tensor : input.tensors()) {
    const io::dtype type = tensor->type;
    const bool scales    = type == io::dtype::f8_e8m0;
    if (!io::is_fp8(type) && !scales && type != io::dtype::f4 && type != io::dtype::f6_e2m3 &&
        type != io::dtype::f6_e3m2) {
      continue;
    }
    return {status_code::invalid_argument, "the input is quantised already: " + io::describe(*tensor)};
  }
  return {};
}

struct special_counts {
  size_t nan      = 0;
  size_t infinite = 0;
};

special_counts count_specials(const std::vector<float>& values) {
  special_counts counts;
  for (const float x : values) {
    counts.nan += static_cast<size_t>(std::isnan(x));
    counts.infinite += static_cast<size_t>(std::isinf(x));
  }
  return counts;
}

}  // namespace

result<std::vector<planned_tensor>> make_plan(const io::sharded_checkpoint& input, const options& chosen,
                                              const settings& how) {
  if (status bad = refuse_quantised(input); !bad.ok()) return bad;
  for (const std::string& pattern : chosen.include) {
    const auto hit = [&](const io::tensor_view* tensor) {
      return is_matrix(*tensor) && matches(pattern, tensor->name);
    };
    if (std::none_of(input.tensors().begin(), input.tensors().end(), hit)) {
      return status(status_code::not_found, "--include " + pattern + " matches none of the " +
                                                std::to_string(input.tensors().size()) +
                                                " tensors that is a matrix of F32, F16 or BF16");
    }
  }
  std::vector<planned_tensor> plan;
  for (const io::tensor_view* const tensor : input.tensors()) {
    planned_tensor planned{tensor, reason_to_copy(*tensor, chosen, how), *tensor, {}};
    if (planned.quantised()) {
      const result<std::vector<float>> values = load_floats(*tensor);
      if (!values) return values.error();
      if (!std::isfinite(cpu::amax_n(std::span<const float>(*values)))) {
        const special_counts counts = count_specials(*values);
        const std::string found =
            std::to_string(counts.nan) + " NaN and " + std::to_string(counts.infinite) + " infinite";
        if (chosen.on_nonfinite == nonfinite_action::refuse) {
          return status(status_code::invalid_argument,
                        io::describe(*tensor) + " holds " + found + " values; --on-nonfinite copy leaves it as it is");
        }
        if (chosen.on_nonfinite == nonfinite_action::copy) planned.reason = found;
      }
    }
    if (planned.quantised() && how.dialect) {
      planned.stored                              = stored_as(*tensor, how);
      result<std::vector<io::tensor_info>> scales = io::declare_scales(*how.dialect, planned.stored, how.layout);
      if (!scales) return scales.error();
      planned.scales = std::move(*scales);
    }
    plan.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace checkpoint
