// SPDX-License-Identifier: MIT
#include "tensor_store.hpp"

namespace checkpoint {

namespace {

std::vector<io::tensor_info> declared_by(const std::vector<planned_tensor>& plan) {
  std::vector<io::tensor_info> all;
  for (const planned_tensor& tensor : plan) {
    all.push_back(tensor.stored);
    all.insert(all.end(), tensor.scales.begin(), tensor.scales.end());
  }
  return all;
}

}  // namespace

result<tensor_store> tensor_store::create(const std::string& directory, const std::vector<planned_tensor>& plan,
                                          const settings& how, uint64_t shard_size) {
  const std::vector<io::tensor_info> tensors = declared_by(plan);
  const io::metadata_map metadata{{"format", "pt"}};  // transformers refuses a file that does not say so
  tensor_store store;
  if (how.dialect == io::dialect::tensorrt_llm) {
    result<io::safetensors_writer> rank =
        io::safetensors_writer::create(directory + "/rank0.safetensors", tensors, metadata);
    if (!rank) return rank.error();
    store.rank_ = std::make_unique<io::safetensors_writer>(std::move(*rank));
    return store;
  }
  result<io::checkpoint_writer> shards = io::checkpoint_writer::create(
      directory, tensors, metadata, shard_size == 0 ? io::customary_shard_size : shard_size);
  if (!shards) return shards.error();
  store.shards_ = std::make_unique<io::checkpoint_writer>(std::move(*shards));
  return store;
}

status tensor_store::put(const std::string& name, std::span<const std::byte> bytes) {
  return shards_ ? shards_->write(name, bytes) : rank_->write(name, bytes);
}

status tensor_store::copy(const planned_tensor& tensor) { return put(tensor.stored.name, tensor.source->data); }

status tensor_store::write(const planned_tensor& tensor, const quantized_matrix& matrix, element format) {
  if (status bad = put(tensor.stored.name, stored_codes(matrix, format)); !bad.ok()) return bad;
  const std::vector<std::vector<std::byte>> scales = stored_scales(matrix);
  for (size_t i = 0; i < tensor.scales.size(); ++i) {
    if (status bad = put(tensor.scales[i].name, scales[i]); !bad.ok()) return bad;
  }
  return {};
}

status tensor_store::finish() { return shards_ ? shards_->finish() : rank_->finish(); }

}  // namespace checkpoint
