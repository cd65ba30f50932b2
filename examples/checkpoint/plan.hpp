// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_PLAN_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_PLAN_HPP

#include "options.hpp"
#include "settings.hpp"

#include <quaver/io/sharded_checkpoint.hpp>

#include <string>
#include <vector>

namespace checkpoint {

/// What is to become of one tensor of the input.
struct planned_tensor {
  const io::tensor_view* source = nullptr;
  std::string reason;                   ///< why it is copied unchanged; empty: it is quantised
  io::tensor_info stored;               ///< how it is written
  std::vector<io::tensor_info> scales;  ///< beside it: the scales, then NVFP4's number above them

  [[nodiscard]] bool quantised() const noexcept { return reason.empty(); }
};

/// Decides for each tensor, in the order of the checkpoint. Fails, naming the tensor, if the input is quantised
/// already, if a matrix that is to be quantised holds NaN or infinity and the options refuse that, or if a pattern of
/// --include matches no matrix.
result<std::vector<planned_tensor>> make_plan(const io::sharded_checkpoint& input, const options& chosen,
                                              const settings& how);

}  // namespace checkpoint

#endif
