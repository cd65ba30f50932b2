// SPDX-License-Identifier: MIT
#include "evaluate.hpp"

#include <quaver/base/philox.hpp>
#include <quaver/cpu/blocks.hpp>
#include <quaver/cpu/gemm.hpp>
#include <quaver/cpu/quantize.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace checkpoint {

namespace {

// Box-Muller on pairs of Philox words. The logarithm's argument is in (0, 1].
std::vector<float> gaussian(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; i += 2) {
    const philox_block words = philox_words(seed, i / 4);
    const double radius      = std::sqrt(-2.0 * std::log((words.word[i % 4] + 1.0) * 0x1p-32));
    const double angle       = 2.0 * std::numbers::pi * words.word[i % 4 + 1] * 0x1p-32;
    values[i]                = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < count) values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return values;
}

// R = X W^T. All M sums of a row of W run beside each other, so that the additions need not wait for one another.
std::vector<double> product_in_double(std::span<const float> x, std::span<const float> weights, int64_t m, int64_t n,
                                      int64_t k) {
  const auto rows = static_cast<size_t>(m);
  const auto cols = static_cast<size_t>(n);
  const auto deep = static_cast<size_t>(k);
  std::vector<double> transposed(x.size()), result(rows * cols), sums(rows);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < deep; ++j) transposed[j * rows + i] = static_cast<double>(x[i * deep + j]);
  }
  for (size_t row = 0; row < cols; ++row) {
    sums.assign(rows, 0.0);
    for (size_t j = 0; j < deep; ++j) {
      const auto w           = static_cast<double>(weights[row * deep + j]);
      const double* const xs = &transposed[j * rows];
      for (size_t i = 0; i < rows; ++i) sums[i] += w * xs[i];
    }
    for (size_t i = 0; i < rows; ++i) result[i * cols + row] = sums[i];
  }
  return result;
}

}  // namespace

double percent(int64_t part, const cast_stats& stats) {
  return stats.count == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(stats.count);
}

result<std::optional<double>> gemm_relative_error(std::span<const float> weights, const quantized_matrix& matrix,
                                                  element format, int64_t m, uint64_t seed) {
  const int64_t n            = matrix.rows;
  const int64_t k            = matrix.cols;
  const std::vector<float> x = gaussian(static_cast<size_t>(m * k), seed);
  std::vector<e4m3> codes(x.size());
  std::vector<float> scales(static_cast<size_t>(m)), d(static_cast<size_t>(m * n));
  scaled_matrix<e4m3> a{.values = {codes.data(), m, k}, .layout = per_row, .scales = scales.data()};
  if (status bad = cpu::quantize(matrix_view<const float>(x.data(), m, k), a); !bad.ok()) return bad;

  status bad = visit_format(format, [&]<class F>(std::type_identity<F>) {
    gemm_problem<e4m3, F> problem;
    problem.a = a;
    problem.b = matrix.view<F>();
    problem.d = {d.data(), m, n};
    return cpu::gemm(problem);
  });
  if (!bad.ok()) return bad;

  const std::vector<double> expected = product_in_double(x, weights, m, n, k);
  double difference2                 = 0;
  double expected2                   = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    const double difference = static_cast<double>(d[i]) - expected[i];
    difference2 += difference * difference;
    expected2 += expected[i] * expected[i];
  }
  if (expected2 == 0 || !std::isfinite(expected2)) return std::optional<double>();
  return std::optional(std::sqrt(difference2 / expected2));
}

result<tensor_report> evaluate(const io::tensor_info& tensor, std::span<const float> values,
                               const quantized_matrix& matrix, element format, int64_t gemm_rows, uint64_t seed) {
  tensor_report report;
  report.name  = tensor.name;
  report.shape = tensor.shape;
  report.stats = matrix.stats;
  for (const uint8_t code : matrix.codes) ++report.code_histogram[code];

  report.scale_min = std::numeric_limits<float>::infinity();
  report.scale_max = 0;
  cpu::for_each_block(matrix.layout, matrix.rows, matrix.cols, [&](const cpu::matrix_block& block) {
    const float scale = matrix.view<e4m3>().dequant(block.row, block.col);  // no format has a say in a scale
    report.scale_min  = (std::min)(report.scale_min, scale);
    report.scale_max  = (std::max)(report.scale_max, scale);
  });
  if (gemm_rows == 0) return report;
  result<std::optional<double>> error = gemm_relative_error(values, matrix, format, gemm_rows, seed);
  if (!error) return error.error();
  report.gemm_relative_error = *error;
  return report;
}

}  // namespace checkpoint
