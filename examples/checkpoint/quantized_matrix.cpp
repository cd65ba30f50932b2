// SPDX-License-Identifier: MIT
#include "quantized_matrix.hpp"

#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/dequantize.hpp>
#include <quaver/cpu/pack_n.hpp>
#include <quaver/cpu/quantize.hpp>

#include <cmath>

namespace checkpoint {

namespace {

cpu::quantize_options options_for(const settings& how, cast_stats& stats) {
  cpu::quantize_options options;
  options.policy.direction = scale_direction::dequant_first;  // what checkpoints store is rounded from amax
  options.policy.rounding  = how.rounding;
  options.application      = scale_application::divide;
  options.stats            = &stats;
  return options;
}

// NVFP4 for a dialect that stores the divisor D = 2688 / amax: its readers take block / D, rounded once, for the
// multiplier of a block. Those multipliers are made first, and the values quantised with them.
status quantize_under_divisor(matrix_view<const float> x, const settings& how, quantized_matrix& out) {
  const float amax       = cpu::block_amax(x, {0, x.rows, 0, x.cols});
  const bool is_ordinary = std::isfinite(amax) && amax != 0.0f;
  const float largest    = 6.0f * 448.0f;  // of e2m1 times e4m3
  float divisor          = is_ordinary ? finite_quotient(largest, amax) : 1.0f;
  if (how.rounding == scale_rounding::power_of_two) divisor = floor_power_of_two(divisor);
  out.stored_global = divisor;
  out.scales_e4m3.clear();
  cpu::for_each_block(how.layout, x.rows, x.cols, [&](const cpu::matrix_block& block) {
    const float sixth = divide_rn(cpu::block_amax(x, block), 6.0f);
    out.scales_e4m3.push_back(encode<e4m3>(multiply_rn(sixth, divisor)));
    out.scales.push_back(divide_rn(decode<float>(out.scales_e4m3.back()), divisor));
  });
  out.layout.type               = scale_type::f32;
  cpu::quantize_options options = options_for(how, out.stats);
  options.source                = scale_source::given;
  return cpu::quantize(x, out.view<e2m1>(), options);
}

bool stores_divisor(const settings& how) {
  return how.dialect && io::rules_of(*how.dialect).global_is == io::stored_scale::divisor;
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span<const T>(values));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

result<quantized_matrix> quantize_matrix(std::span<const float> values, int64_t rows, int64_t cols,
                                         const settings& how) {
  quantized_matrix out;
  out.rows   = rows;
  out.cols   = cols;
  out.layout = how.layout;
  out.codes.resize(values.size());
  const matrix_view<const float> x(values.data(), rows, cols);
  const auto count = static_cast<size_t>(how.layout.scale_count(rows, cols));
  switch (how.layout.type) {
    case scale_type::f32: out.scales.resize(count); break;
    case scale_type::mx_e8m0: out.scales_e8m0.resize(count); break;
    case scale_type::nvfp4_e4m3: out.scales_e4m3.resize(count); break;
  }
  if (how.layout.type == scale_type::nvfp4_e4m3 && stores_divisor(how)) {
    if (status bad = quantize_under_divisor(x, how, out); !bad.ok()) return bad;
    return out;
  }
  const cpu::quantize_options options = options_for(how, out.stats);
  const auto quantize = [&]<class F>(std::type_identity<F>) { return cpu::quantize(x, out.view<F>(), options); };
  if (status bad = visit_format(how.format, quantize); !bad.ok()) return bad;
  out.stored_global = out.tensor_wide;
  return out;
}

result<std::vector<float>> dequantized(const quantized_matrix& matrix, element format) {
  std::vector<float> values(matrix.codes.size());
  const matrix_view<float> y(values.data(), matrix.rows, matrix.cols);
  status bad =
      visit_format(format, [&]<class F>(std::type_identity<F>) { return cpu::dequantize<F>(matrix.view<F>(), y); });
  if (!bad.ok()) return bad;
  return values;
}

std::vector<std::byte> stored_codes(const quantized_matrix& matrix, element format) {
  if (format != element::e2m1) return bytes_of(matrix.codes);
  std::vector<e2m1x2> pairs(matrix.codes.size() / 2);  // the plan lets no odd K through
  const std::span<const e2m1> codes(reinterpret_cast<const e2m1*>(matrix.codes.data()), matrix.codes.size());
  if (!cpu::pack_n(codes, pairs).ok()) return {};
  return bytes_of(pairs);
}

std::vector<std::vector<std::byte>> stored_scales(const quantized_matrix& matrix) {
  if (matrix.scales_e4m3.empty()) return {bytes_of(matrix.scales)};
  return {bytes_of(matrix.scales_e4m3), bytes_of(std::vector<float>{matrix.stored_global})};
}

}  // namespace checkpoint
