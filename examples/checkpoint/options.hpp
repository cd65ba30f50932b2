// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_OPTIONS_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_OPTIONS_HPP

#include "settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace checkpoint {

/// What happens to a matrix that holds NaN or infinity.
enum class nonfinite_action : uint8_t {
  refuse,  ///< an error that names it: a trained model has none
  copy,    ///< it stays in its own dtype
  unit,    ///< it is quantised; a scale that would come from NaN or infinity is 1 (in E8M0: NaN, the largest)
};

struct options {
  std::string input;
  std::string output;  ///< empty with --dialect none
  std::string report;  ///< empty: none
  wishes asked;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  nonfinite_action on_nonfinite = nonfinite_action::refuse;
  uint64_t shard_size           = 0;  ///< 0: the customary one
  uint64_t seed                 = 1;
  int64_t gemm_rows             = 16;  ///< M of the GEMM that measures; 0: none
  bool force                    = false;
  bool quiet                    = false;
};

/// Name patterns left alone without --include: embeddings are looked up, not multiplied; the output head and a
/// mixture's router cost little and lose much. Every system of the field leaves them out.
const std::vector<std::string>& default_exclusions();

enum class request : uint8_t { run, help, version };

struct command_line {
  request wanted = request::run;
  options chosen;
};

/// Reads the command line. A status is a misuse: one sentence.
result<command_line> parse_command_line(int argc, char** argv);

std::string help_text();

}  // namespace checkpoint

#endif
