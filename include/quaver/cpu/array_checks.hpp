// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ARRAY_CHECKS_HPP
#define QUAVER_CPU_ARRAY_CHECKS_HPP

#include <quaver/tensor/matrix_checks.hpp>

#include <span>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// What every array operation asks of its input and output: equal lengths, no null, no overlap.
template <class From, class To>
status check_arrays(const char* operation, std::span<From> from, std::span<To> to) {
  const std::string name = operation;
  if (from.size() != to.size()) {
    return {status_code::invalid_argument, name + ": the input has " + std::to_string(from.size()) +
                                               " elements, the output " + std::to_string(to.size())};
  }
  if (!from.empty() && (from.data() == nullptr || to.data() == nullptr)) {
    return {status_code::invalid_argument, name + ": the " + (from.data() == nullptr ? "input" : "output") +
                                               " is null with " + std::to_string(from.size()) + " elements"};
  }
  if (overlaps(from.data(), from.size_bytes(), to.data(), to.size_bytes())) {
    return {status_code::invalid_argument, name + ": the input (" + std::to_string(from.size_bytes()) +
                                               " bytes) and the output (" + std::to_string(to.size_bytes()) +
                                               " bytes) overlap"};
  }
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
