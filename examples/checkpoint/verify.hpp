// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_VERIFY_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_VERIFY_HPP

#include "plan.hpp"

#include <string>
#include <vector>

namespace checkpoint {

/// What a written checkpoint was found to hold.
struct verification {
  size_t matrices = 0;  ///< dequantised to the same binary32, bit for bit
  size_t copies   = 0;  ///< the same bytes
};

/// Reads a written checkpoint as anybody would who knows nothing of how it was made: the dialect from its config, each
/// scale by the dialect's rules, code times scale. Compares that with quantising the input again, so that no more than
/// one tensor is in memory, and the copied tensors with the input's. Fails with the first difference.
result<verification> verify(const std::string& directory, const std::vector<planned_tensor>& plan, const settings& how);

}  // namespace checkpoint

#endif
