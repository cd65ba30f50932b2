// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_EVALUATE_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_EVALUATE_HPP

#include "quantized_matrix.hpp"

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace checkpoint {

/// What quantising one matrix cost.
struct tensor_report {
  std::string name;
  std::vector<uint64_t> shape;
  cast_stats stats;
  float scale_min       = 0;  ///< of the multipliers
  float scale_max       = 0;
  uint64_t bytes_before = 0;
  uint64_t bytes_after  = 0;  ///< codes and scales
  std::optional<double> gemm_relative_error;
  std::array<uint64_t, 256> code_histogram{};
};

/// Percent of the cast values.
double percent(int64_t part, const cast_stats& stats);

/// Everything but the sizes of what is stored.
result<tensor_report> evaluate(const io::tensor_info& tensor, std::span<const float> values,
                               const quantized_matrix& matrix, element format, int64_t gemm_rows, uint64_t seed);

/// || D - R || / || R || in the Frobenius norm. R = X W^T in double with the unquantised W (N x K) and X (M x K,
/// standard Gaussian, words from Philox under `seed`); D the same product by cpu::gemm from X quantised to E4M3 by rows
/// and from the codes and scales of `matrix`. Nothing if R is 0 or not finite.
result<std::optional<double>> gemm_relative_error(std::span<const float> weights, const quantized_matrix& matrix,
                                                  element format, int64_t m, uint64_t seed);

}  // namespace checkpoint

#endif
