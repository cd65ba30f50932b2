// SPDX-License-Identifier: MIT
#include "report.hpp"

#include "text.hpp"

#include <quaver/scale/sqnr.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>

namespace checkpoint {

namespace {

using json = nlohmann::ordered_json;

// The shortest decimal that reads back as this binary32: what %.9g would pad with digits of the double.
double shortest(float x) {
  for (int digits = 6; digits < 9; ++digits) {
    const double decimal = std::strtod(formatted("%.*g", digits, static_cast<double>(x)).c_str(), nullptr);
    if (static_cast<float>(decimal) == x) return decimal;
  }
  return static_cast<double>(x);
}

json number_or_name(float x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  return shortest(x);
}

json number_or_null(std::optional<double> x) { return x && std::isfinite(*x) ? json(*x) : json(); }

std::string scale_words(const tensor_report& tensor) {
  std::string least = formatted("%.3g", static_cast<double>(tensor.scale_min));
  if (tensor.scale_min == tensor.scale_max) return least;
  return least + ".." + formatted("%.3g", static_cast<double>(tensor.scale_max));
}

std::string decibel_words(std::optional<double> sqnr) {
  if (!sqnr) return "-";
  return std::isfinite(*sqnr) ? formatted("%.2f", *sqnr) : "exact";
}

std::string percent_words(double value) { return value == 0 ? "0" : formatted(value < 0.001 ? "%.1e" : "%.3f", value); }
std::string error_words(std::optional<double> error) { return error ? formatted("%.3f%%", 100.0 * *error) : "-"; }

// Names to the left, numbers to the right, columns as wide as their widest cell.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = (std::max)(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      text += i == 0 ? row[i] + padding : "  " + padding + row[i];
    }
    text += '\n';
  }
  return text;
}

json tensor_json(const tensor_report& tensor, const settings& how) {
  return {{"name", tensor.name},
          {"shape", tensor.shape},
          {"layout", how.layout_name},
          {"amax", number_or_name(tensor.stats.amax)},
          {"scale_min", number_or_name(tensor.scale_min)},
          {"scale_max", number_or_name(tensor.scale_max)},
          {"sqnr_db", number_or_null(sqnr_db(tensor.stats))},
          {"saturated_percent", percent(tensor.stats.saturated, tensor.stats)},
          {"underflow_percent", percent(tensor.stats.underflow, tensor.stats)},
          {"nan", tensor.stats.nan},
          {"infinite", tensor.stats.infinite},
          {"bytes_before", tensor.bytes_before},
          {"bytes_after", tensor.bytes_after},
          {"gemm_relative_error", number_or_null(tensor.gemm_relative_error)},
          {"code_histogram", tensor.code_histogram}};
}

}  // namespace

totals total_of(const run_report& run) {
  totals sum;
  double sqnr_sum = 0, gemm_sum = 0;
  size_t sqnr_count = 0, gemm_count = 0;
  for (const tensor_report& tensor : run.matrices) {
    sum.stats.merge(tensor.stats);
    sum.matrices_before += tensor.bytes_before;
    sum.matrices_after += tensor.bytes_after;
    if (const double sqnr = sqnr_db(tensor.stats); std::isfinite(sqnr)) {
      sum.sqnr_min = (std::min)(sum.sqnr_min.value_or(sqnr), sqnr);
      sqnr_sum += sqnr;
      ++sqnr_count;
    }
    if (tensor.gemm_relative_error && std::isfinite(*tensor.gemm_relative_error)) {
      sum.gemm_max = (std::max)(sum.gemm_max.value_or(0.0), *tensor.gemm_relative_error);
      gemm_sum += *tensor.gemm_relative_error;
      ++gemm_count;
    }
  }
  if (sqnr_count != 0) sum.sqnr_mean = sqnr_sum / static_cast<double>(sqnr_count);
  if (gemm_count != 0) sum.gemm_mean = gemm_sum / static_cast<double>(gemm_count);
  for (const planned_tensor* const copy : run.copies) sum.copied += copy->source->data.size();
  return sum;
}

std::string table_text(const run_report& run) {
  const totals sum = total_of(run);
  std::string text =
      formatted("format %s, layout %s, dialect %s, scales %s\n\n", std::string(run.how.format_name()).c_str(),
                std::string(run.how.layout_name).c_str(), std::string(run.how.dialect_name()).c_str(),
                run.how.rounding == scale_rounding::none ? "unrounded" : "rounded to powers of two");
  std::vector<std::vector<std::string>> rows{
      {"tensor", "shape", "amax", "scale", "SQNR dB", "satur. %", "underfl. %", "bytes", "after", "GEMM error"}};
  for (const tensor_report& tensor : run.matrices) {
    rows.push_back({tensor.name, shape_words(tensor.shape), formatted("%.4g", static_cast<double>(tensor.stats.amax)),
                    scale_words(tensor), decibel_words(sqnr_db(tensor.stats)),
                    percent_words(percent(tensor.stats.saturated, tensor.stats)),
                    percent_words(percent(tensor.stats.underflow, tensor.stats)), std::to_string(tensor.bytes_before),
                    std::to_string(tensor.bytes_after), error_words(tensor.gemm_relative_error)});
  }
  text += aligned(rows) + '\n';
  for (const tensor_report& tensor : run.matrices) {
    if (tensor.stats.nan + tensor.stats.infinite == 0) continue;
    text += formatted("%s holds %lld NaN and %lld infinite values\n", tensor.name.c_str(),
                      static_cast<long long>(tensor.stats.nan), static_cast<long long>(tensor.stats.infinite));
  }

  std::map<std::string, size_t> reasons;
  for (const planned_tensor* const copy : run.copies) ++reasons[copy->reason];
  std::vector<std::string> counted;
  counted.reserve(reasons.size());
  for (const auto& [reason, count] : reasons) counted.push_back(std::to_string(count) + " (" + reason + ")");
  text += formatted("matrices   %zu quantised, %s -> %s (%.2f : 1)\n", run.matrices.size(),
                    byte_words(sum.matrices_before).c_str(), byte_words(sum.matrices_after).c_str(), sum.ratio());
  text += formatted("copied     %zu tensors unchanged, %s%s%s\n", run.copies.size(), byte_words(sum.copied).c_str(),
                    counted.empty() ? "" : ": ", joined(counted).c_str());
  text += formatted("SQNR       mean %s dB, lowest %s dB, of all values together %s dB\n",
                    decibel_words(sum.sqnr_mean).c_str(), decibel_words(sum.sqnr_min).c_str(),
                    run.matrices.empty() ? "-" : decibel_words(sqnr_db(sum.stats)).c_str());
  text += formatted("values     %lld, saturated %s %%, underflow %s %%\n", static_cast<long long>(sum.stats.count),
                    percent_words(percent(sum.stats.saturated, sum.stats)).c_str(),
                    percent_words(percent(sum.stats.underflow, sum.stats)).c_str());
  if (run.gemm_rows != 0) {
    text += formatted("GEMM       mean error %s, largest %s (%lld Gaussian rows in e4m3, against double)\n",
                      error_words(sum.gemm_mean).c_str(), error_words(sum.gemm_max).c_str(),
                      static_cast<long long>(run.gemm_rows));
  }
  return text;
}

std::string json_text(const run_report& run) {
  const totals sum = total_of(run);
  json report      = {{"format", run.how.format_name()},
                      {"layout", run.how.layout_name},
                      {"dialect", run.how.dialect_name()},
                      {"scale_rounding", run.how.rounding == scale_rounding::none ? "none" : "power-of-two"},
                      {"seed", run.seed},
                      {"gemm_rows", run.gemm_rows},
                      {"tensors", json::array()},
                      {"copied", json::array()}};
  for (const tensor_report& tensor : run.matrices) report["tensors"].push_back(tensor_json(tensor, run.how));
  for (const planned_tensor* const copy : run.copies) {
    report["copied"].push_back({{"name", copy->source->name},
                                {"dtype", io::dtype_name(copy->source->type)},
                                {"shape", copy->source->shape},
                                {"bytes", copy->source->data.size()},
                                {"reason", copy->reason}});
  }
  report["totals"] = {{"matrices", run.matrices.size()},
                      {"copied", run.copies.size()},
                      {"values", sum.stats.count},
                      {"bytes_before", sum.matrices_before},
                      {"bytes_after", sum.matrices_after},
                      {"bytes_copied", sum.copied},
                      {"ratio", sum.ratio()},
                      {"sqnr_db_mean", number_or_null(sum.sqnr_mean)},
                      {"sqnr_db_min", number_or_null(sum.sqnr_min)},
                      {"sqnr_db_all_values", number_or_null(sqnr_db(sum.stats))},
                      {"saturated_percent", percent(sum.stats.saturated, sum.stats)},
                      {"underflow_percent", percent(sum.stats.underflow, sum.stats)},
                      {"gemm_relative_error_mean", number_or_null(sum.gemm_mean)},
                      {"gemm_relative_error_max", number_or_null(sum.gemm_max)}};
  return report.dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace checkpoint
