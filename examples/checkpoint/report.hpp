// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_REPORT_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_REPORT_HPP

#include "evaluate.hpp"
#include "plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace checkpoint {

/// One run, as people and programs are told of it.
struct run_report {
  settings how;
  uint64_t seed     = 0;
  int64_t gemm_rows = 0;
  std::vector<tensor_report> matrices;
  std::vector<const planned_tensor*> copies;
};

struct totals {
  cast_stats stats;                 ///< of all matrices together
  uint64_t matrices_before = 0;     ///< bytes
  uint64_t matrices_after  = 0;     ///< bytes, scales included
  uint64_t copied          = 0;     ///< bytes
  std::optional<double> sqnr_mean;  ///< of the matrices that lost anything
  std::optional<double> sqnr_min;
  std::optional<double> gemm_mean;
  std::optional<double> gemm_max;

  [[nodiscard]] double ratio() const {
    return matrices_after == 0 ? 0.0 : static_cast<double>(matrices_before) / static_cast<double>(matrices_after);
  }
};

totals total_of(const run_report& run);

/// The table, the copied tensors by reason, and the totals.
std::string table_text(const run_report& run);

/// The same as JSON; tools/report_plot.py draws it. JSON has no infinity and no NaN: an SQNR or an error that is one is
/// null, an amax or a scale that is one is the string "inf" or "nan".
std::string json_text(const run_report& run);

}  // namespace checkpoint

#endif
