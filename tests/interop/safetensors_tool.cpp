// SPDX-License-Identifier: MIT
//
// Lets a script see what the library makes of safetensors files and FP8 checkpoints:
//
//   safetensors_tool list FILE                        one JSON line a tensor: name, dtype, shape, hash (FNV-1a, 64
//   bits) safetensors_tool copy INPUT OUTPUT                reads with our reader, writes with our writer
//   safetensors_tool dequantize CHECKPOINT OUTPUT     every FP8 weight times its scale as F32 under its own name; the
//   other tensors as they are; weight scales left out
//
// One line on stderr and exit status 1 when something is wrong.

#include <quaver/convert/decode.hpp>
#include <quaver/io/detect_dialect.hpp>
#include <quaver/io/safetensors_writer.hpp>
#include <quaver/io/scale_values.hpp>

#include <cinttypes>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace quaver;

uint64_t fnv1a(std::span<const std::byte> bytes) {
  uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const std::byte b : bytes) hash = (hash ^ std::to_integer<uint64_t>(b)) * 0x0000'0100'0000'01B3;
  return hash;
}

status list(const std::string& path) {
  const result<io::safetensors_reader> file = io::safetensors_reader::open(path);
  if (!file) return file.error();
  for (const io::tensor_view& tensor : file->tensors()) {
    const result<std::string> name = io::json_string(tensor.name);
    if (!name) return name.error();
    std::printf("{\"name\": %s, \"dtype\": \"%s\", \"shape\": %s, \"hash\": \"%016" PRIx64 "\"}\n", name->c_str(),
                std::string(io::dtype_name(tensor.type)).c_str(), io::shape_text(tensor.shape).c_str(),
                fnv1a(tensor.data));
  }
  return {};
}

status copy(const std::string& from, const std::string& to) {
  const result<io::safetensors_reader> file = io::safetensors_reader::open(from);
  if (!file) return file.error();
  return io::write_safetensors(to, file->tensors(), file->metadata());
}

// Decoded codes times their scales, each product one multiplication in binary32.
template <class F>
std::vector<float> products(const io::found_scale& found, const std::vector<float>& multipliers) {
  const std::span<const std::byte> codes = found.weight->data;
  std::vector<float> values(codes.size());
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto code = F::from_bits(std::to_integer<uint8_t>(codes[i]));
    size_t at       = 0;
    if (found.kind != io::scale_kind::tensor) {
      at = static_cast<size_t>(found.layout.index(static_cast<int64_t>(i / found.cols),
                                                  static_cast<int64_t>(i % found.cols),
                                                  static_cast<int64_t>(found.rows), static_cast<int64_t>(found.cols)));
    }
    values[i] = decode<float>(code) * multipliers[at];
  }
  return values;
}

result<std::vector<float>> dequantize(const io::found_scale& found) {
  const result<std::vector<float>> multipliers = io::dequant_multipliers(found);
  if (!multipliers) return multipliers;
  switch (found.weight->type) {
    case io::dtype::f8_e4m3: return products<e4m3>(found, *multipliers);
    case io::dtype::f8_e5m2: return products<e5m2>(found, *multipliers);
    case io::dtype::f8_e4m3fnuz: return products<e4m3fnuz>(found, *multipliers);
    case io::dtype::f8_e5m2fnuz: return products<e5m2fnuz>(found, *multipliers);
    default: return status(status_code::unsupported, io::describe(*found.weight) + " is not FP8");
  }
}

status dequantize(const std::string& path, const std::string& output) {
  const result<io::sharded_checkpoint> checkpoint = io::sharded_checkpoint::open(path);
  if (!checkpoint) return checkpoint.error();
  const result<io::quantization_config> config = io::detect_dialect(*checkpoint);
  if (!config) return config.error();
  const io::dialect_row& rules = io::rules_of(config->id);

  // First everything that can be wrong, then the work.
  std::set<const io::tensor_view*> scales;
  std::vector<io::found_scale> weights;
  for (const io::tensor_view* const tensor : checkpoint->tensors()) {
    if (!io::needs_scale(*checkpoint, rules, *tensor)) continue;
    result<io::found_scale> found = io::find_scale(*checkpoint, *config, tensor->name);
    if (!found) return found.error();
    if (!io::is_fp8(tensor->type)) return {status_code::unsupported, io::describe(*tensor) + " is not FP8"};
    scales.insert(found->values);
    weights.push_back(std::move(*found));
  }
  std::vector<io::tensor_info> declared;
  for (const io::tensor_view* const tensor : checkpoint->tensors()) {
    if (scales.contains(tensor)) continue;
    const bool is_weight = io::needs_scale(*checkpoint, rules, *tensor);
    declared.push_back({tensor->name, is_weight ? io::dtype::f32 : tensor->type, tensor->shape});
  }
  result<io::safetensors_writer> writer = io::safetensors_writer::create(output, declared);
  if (!writer) return writer.error();
  for (const io::found_scale& weight : weights) {
    const result<std::vector<float>> values = dequantize(weight);
    if (!values) return values.error();
    const auto bytes = std::as_bytes(std::span<const float>(*values));
    if (status written = writer->write(weight.weight->name, bytes); !written) return written;
  }
  for (const io::tensor_view* const tensor : checkpoint->tensors()) {
    if (scales.contains(tensor) || io::needs_scale(*checkpoint, rules, *tensor)) continue;
    if (status written = writer->write(tensor->name, tensor->data); !written) return written;
  }
  return writer->finish();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  status done(status_code::invalid_argument,
              "usage: safetensors_tool list FILE | copy INPUT OUTPUT | dequantize CHECKPOINT OUTPUT");
  if (words.size() == 2 && words[0] == "list") done = list(words[1]);
  if (words.size() == 3 && words[0] == "copy") done = copy(words[1], words[2]);
  if (words.size() == 3 && words[0] == "dequantize") done = dequantize(words[1], words[2]);
  if (done.ok()) return 0;
  std::fprintf(stderr, "safetensors_tool: %s\n", done.message().c_str());
  return 1;
}
