// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_SIDE_FILES_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_SIDE_FILES_HPP

#include "plan.hpp"

#include <string>
#include <vector>

namespace checkpoint {

/// What stands beside the tensors of a checkpoint.
struct side_files {
  std::vector<std::string> written;
  std::vector<std::string> left;  ///< in the input's directory, and not copied
};

/// Writes the dialect's config, copies the model's other small files (tokenizer and the like) when the input is more
/// than one file, and writes the manifest last.
result<side_files> write_side_files(const std::string& directory, const io::sharded_checkpoint& input,
                                    const options& chosen, const settings& how, const std::string& model_config,
                                    const std::vector<planned_tensor>& plan);

}  // namespace checkpoint

#endif
