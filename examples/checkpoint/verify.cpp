// SPDX-License-Identifier: MIT
#include "verify.hpp"

#include "matrix_source.hpp"
#include "quantized_matrix.hpp"
#include "read_model.hpp"
#include "text.hpp"

#include <quaver/cpu/pack_n.hpp>
#include <quaver/cpu/quantize.hpp>
#include <quaver/io/scale_values.hpp>

#include <cstring>

namespace checkpoint {

namespace {

status differs(const std::string& what) { return {status_code::corrupt_data, "read back, " + what}; }

// The numbers that a stored weight stands for, by what the file says alone.
result<std::vector<float>> read_weight(const io::sharded_checkpoint& stored, const io::quantization_config& config,
                                       const io::tensor_info& weight) {
  const result<io::found_scale> found = io::find_scale(stored, config, weight.name);
  if (!found) return found.error();
  const result<std::vector<float>> multipliers = io::dequant_multipliers(*found);
  if (!multipliers) return multipliers.error();
  quantized_matrix matrix;
  matrix.rows        = static_cast<int64_t>(found->rows);
  matrix.cols        = static_cast<int64_t>(found->cols);
  matrix.layout      = found->layout;
  matrix.layout.type = scale_type::f32;
  matrix.scales      = *multipliers;
  matrix.codes.resize(static_cast<size_t>(matrix.rows * matrix.cols));
  const std::span<const std::byte> bytes = found->weight->data;
  switch (found->weight->type) {
    case io::dtype::f8_e4m3:
      if (bytes.size() != matrix.codes.size()) break;
      std::memcpy(matrix.codes.data(), bytes.data(), bytes.size());
      return dequantized(matrix, element::e4m3);
    case io::dtype::u8: {
      const std::span<const e2m1x2> pairs(reinterpret_cast<const e2m1x2*>(bytes.data()), bytes.size());
      const std::span<e2m1> codes(reinterpret_cast<e2m1*>(matrix.codes.data()), matrix.codes.size());
      if (status bad = cpu::unpack_n(pairs, codes); !bad.ok()) return bad;
      return dequantized(matrix, element::e2m1);
    }
    default: break;
  }
  return differs(io::describe(*found->weight) + " is no matrix of codes");
}

status compare_weight(const io::sharded_checkpoint& stored, const io::quantization_config& config,
                      const planned_tensor& tensor, const settings& how) {
  const result<std::vector<float>> values = load_floats(*tensor.source);
  if (!values) return values.error();
  const auto rows                      = static_cast<int64_t>(tensor.source->shape[0]);
  const auto cols                      = static_cast<int64_t>(tensor.source->shape[1]);
  const result<quantized_matrix> again = quantize_matrix(*values, rows, cols, how);
  if (!again) return again.error();
  const result<std::vector<float>> expected = dequantized(*again, how.format);
  if (!expected) return expected.error();
  const result<std::vector<float>> actual = read_weight(stored, config, tensor.stored);
  if (!actual) return actual.error();
  if (actual->size() != expected->size()) {
    return differs(io::describe(tensor.stored) + " has " + std::to_string(actual->size()) + " values, not " +
                   std::to_string(expected->size()));
  }
  for (size_t i = 0; i < actual->size(); ++i) {
    if (bitwise_cast<uint32_t>((*actual)[i]) == bitwise_cast<uint32_t>((*expected)[i])) continue;
    return differs(io::describe(tensor.stored) + formatted(" is %.9g at %zu, not %.9g",
                                                           static_cast<double>((*actual)[i]), i,
                                                           static_cast<double>((*expected)[i])));
  }
  return {};
}

status compare_copy(const io::sharded_checkpoint& stored, const planned_tensor& tensor) {
  const io::tensor_view* const copy = stored.find(tensor.stored.name);
  if (copy == nullptr) return differs("tensor " + io::in_quotes(tensor.stored.name) + " is missing");
  const std::span<const std::byte> bytes = tensor.source->data;
  const bool same                        = copy->type == tensor.source->type && copy->shape == tensor.source->shape &&
                    copy->data.size() == bytes.size() &&
                    (bytes.empty() || std::memcmp(copy->data.data(), bytes.data(), bytes.size()) == 0);
  return same ? status() : differs(io::describe(*copy) + " is not the input's");
}

}  // namespace

result<verification> verify(const std::string& directory, const std::vector<planned_tensor>& plan,
                            const settings& how) {
  const result<io::sharded_checkpoint> stored = open_checkpoint(directory);
  if (!stored) return stored.error();
  const result<io::quantization_config> config = read_dialect(*stored);
  if (!config) return config.error();
  if (config->id != how.dialect) {
    return differs("the config speaks of " + std::string(io::dialect_name(config->id)) + ", not of " +
                   std::string(how.dialect_name()));
  }
  if (status bad = io::check_scales(*stored, *config); !bad.ok()) return bad;
  verification found;
  size_t expected = 0;
  for (const planned_tensor& tensor : plan) {
    status bad = tensor.quantised() ? compare_weight(*stored, *config, tensor, how) : compare_copy(*stored, tensor);
    if (!bad.ok()) return bad;
    ++(tensor.quantised() ? found.matrices : found.copies);
    expected += 1 + tensor.scales.size();
  }
  if (stored->tensors().size() != expected) {
    return differs("there are " + std::to_string(stored->tensors().size()) + " tensors, not " +
                   std::to_string(expected));
  }
  return found;
}

}  // namespace checkpoint
