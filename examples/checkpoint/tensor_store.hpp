// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_TENSOR_STORE_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_TENSOR_STORE_HPP

#include "plan.hpp"
#include "quantized_matrix.hpp"

#include <quaver/io/checkpoint_writer.hpp>

#include <memory>
#include <string>
#include <vector>

namespace checkpoint {

/// Writes the tensors of a plan into a directory: as the customary shards, or for TensorRT-LLM as its one file,
/// rank0.safetensors.
class tensor_store {
 public:
  static result<tensor_store> create(const std::string& directory, const std::vector<planned_tensor>& plan,
                                     const settings& how, uint64_t shard_size);

  status copy(const planned_tensor& tensor);
  status write(const planned_tensor& tensor, const quantized_matrix& matrix, element format);
  status finish();

 private:
  status put(const std::string& name, std::span<const std::byte> bytes);

  std::unique_ptr<io::checkpoint_writer> shards_;
  std::unique_ptr<io::safetensors_writer> rank_;
};

}  // namespace checkpoint

#endif
