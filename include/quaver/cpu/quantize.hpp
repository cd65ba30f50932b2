// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_QUANTIZE_HPP
#define QUAVER_CPU_QUANTIZE_HPP

#include <quaver/cpu/cast_stats_n.hpp>
#include <quaver/cpu/encode_n.hpp>
#include <quaver/cpu/matrix_checks.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Where quantize takes its scales from.
enum class scale_source : uint8_t {
  current,  ///< made from the amax of each block, and written to the output
  given,    ///< those that already stand in the output (static scales, calibrated ones); read only
};

/// How a value meets its scale.
enum class scale_application : uint8_t {
  multiply,  ///< x * quant, quant being the rounded reciprocal of what is stored where a policy makes it so
  divide,    ///< x / dequant, rounded once
};

/// How quantize works.
struct quantize_options {
  scale_source source           = scale_source::current;
  scale_policy policy           = {};                 ///< f32 scales, and NVFP4's tensor-wide one
  mx_rule mx                    = mx_rule::round_up;  ///< E8M0 scales
  scale_application application = scale_application::multiply;
  random_words words            = {};       ///< rounding::stochastic: element (r, c) uses word first + r * cols + c
  cast_stats* stats             = nullptr;  ///< where to add what the cast did, or null
};

/// One block of a matrix, cut off at its edges: rows [row, row_end), columns [col, col_end).
struct matrix_block {
  int64_t row, row_end, col, col_end;
};

/// Calls visit(matrix_block) for every block of the layout, in the order of its row-major grid.
template <class Visit>
void for_each_block(const scale_layout& layout, int64_t rows, int64_t cols, const Visit& visit) {
  if (rows == 0 || cols == 0) return;
  const int64_t height = layout.rows_per_block(rows);
  const int64_t width  = layout.cols_per_block(cols);
  for (int64_t r = 0; r < rows; r += height) {
    for (int64_t c = 0; c < cols; c += width) {
      visit(matrix_block{r, r + height < rows ? r + height : rows, c, c + width < cols ? c + width : cols});
    }
  }
}

/// The amax of a block, as amax_n gives it.
template <bulk_source T>
float block_amax(const matrix_view<const T>& x, const matrix_block& block) noexcept {
  uint32_t largest = 0;
  for (int64_t r = block.row; r < block.row_end; ++r) {
    for (int64_t c = block.col; c < block.col_end; ++c) largest = larger_magnitude(largest, x(r, c));
  }
  return amax_from_bits(largest);
}

/// Both directions for a stored dequantisation scale: its reciprocal, with its sign and FLT_MAX at most; 0 where the
/// scale is 0 (an NVFP4 block too small for its tensor: every code becomes 0), NaN where it is NaN.
inline tensor_scale from_stored(float dequant) noexcept {
  const uint32_t sign      = bitwise_cast<uint32_t>(dequant) & binary<float>::sign_mask;
  const uint32_t magnitude = bitwise_cast<uint32_t>(dequant) & binary<float>::magnitude_mask;
  if (magnitude == 0 || magnitude > binary<float>::infinity)
    return {quant_scale(dequant), dequant_scale(dequant), 0.0f};
  const uint32_t reciprocal = bitwise_cast<uint32_t>(finite_quotient(1.0f, bitwise_cast<float>(magnitude)));
  return {quant_scale(bitwise_cast<float>(sign | reciprocal)), dequant_scale(dequant), 0.0f};
}

/// Makes the scale of a block from its amax, stores its dequantisation direction, and returns both directions as they
/// are to be used: those of the policy for f32 scales, those of what was stored for E8M0 and NVFP4.
template <eight_bit F>
tensor_scale store_scale(const scaled_matrix<F>& out, int64_t row, int64_t col, float amax,
                         const quantize_options& options) noexcept {
  const int64_t at = out.layout.index(row, col, out.rows(), out.cols());
  switch (out.layout.type) {
    case scale_type::f32: {
      const tensor_scale scale = current_scale<F>(amax, options.policy);
      out.scales[at]           = scale.dequant.value();
      return scale;
    }
    case scale_type::mx_e8m0: {
      const e8m0 scale    = mx_scale<F>(amax, options.mx);
      out.scales_e8m0[at] = scale;
      return {quant_scale(reciprocal(scale)), dequant_scale(decode<float>(scale)), amax};
    }
    case scale_type::nvfp4_e4m3: {
      out.scales_e4m3[at] = nvfp4_block_scale(amax, dequant_scale(*out.tensor_wide));
      return from_stored(out.dequant(row, col));
    }
  }
  return {};
}

/// Quantises x to out.values, and unless the scales are given makes them: per tensor, per row or per block as
/// out.layout says, each from the amax of its block. Element (r, c) becomes encode(x * quant) or encode(x / dequant),
/// in binary32 with one rounding each. E8M0 and NVFP4 blocks use the scale that was stored, to the bit. With f32 scales
/// the factor is the policy's: under quant_first it is fl(max / amax), and its rounded reciprocal is what is stored;
/// scale_source::given over those stored scales then gives the same codes with scale_application::divide or
/// dequant_first or powers of two, and not always otherwise.
///
/// x and out.values have the same shape and any positive strides; neither they nor the scales overlap. On error nothing
/// is written. NVFP4 values are written one e2m1 a byte; pack_n packs them. Under -ffast-math an amax that is NaN or
/// infinite is not to be relied on: scales are floats, which such a build takes for finite.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<F>
status quantize(matrix_view<const T> x, scaled_matrix<F> out, const quantize_options& options = {}) {
  if (status bad = check_view("quantize: the input", x); !bad.ok()) return bad;
  if (status bad = check_scaled("quantize: the output", out); !bad.ok()) return bad;
  if (status bad = check_same_shape("quantize", x, out.values); !bad.ok()) return bad;
  if (overlaps(x.data, span_bytes(x), out.values.data, span_bytes(out.values))) {
    return invalid("quantize: the input (" + shape_text(x.rows, x.cols) + ") and the output overlap");
  }
  if (scales_overlap(out, x.data, span_bytes(x)) || scales_overlap(out, out.values.data, span_bytes(out.values))) {
    return invalid("quantize: the scales overlap the input or the codes (" + shape_text(x.rows, x.cols) + ")");
  }

  const bool current = options.source == scale_source::current;
  if (current && out.layout.type == scale_type::nvfp4_e4m3 && !same_type<F, e2m1>) {
    return {status_code::unsupported,
            "quantize: NVFP4 scales take a block to 6, the largest e2m1; the codes here are of another format"};
  }
  if (current && out.layout.type == scale_type::nvfp4_e4m3 && x.rows * x.cols != 0) {
    *out.tensor_wide = nvfp4_global_scale(block_amax(x, {0, x.rows, 0, x.cols}), options.policy).value();
  }
  const standard_float_environment environment;
  for_each_block(out.layout, x.rows, x.cols, [&](const matrix_block& block) {
    const tensor_scale scale = current ? store_scale(out, block.row, block.col, block_amax(x, block), options)
                                       : from_stored(out.dequant(block.row, block.col));
    const uint32_t quant     = bitwise_cast<uint32_t>(scale.quant.value());
    const uint32_t dequant   = bitwise_cast<uint32_t>(scale.dequant.value());
    const bool divides =
        options.application == scale_application::divide && (quant & binary<float>::magnitude_mask) != 0;
    for (int64_t r = block.row; r < block.row_end; ++r) {
      for (int64_t c = block.col; c < block.col_end; ++c) {
        const uint32_t bits   = binary32_bits(x(r, c));
        const uint32_t scaled = divides ? quotient_bits(bits, dequant) : product_bits(bits, quant);
        const F code = encode_bits<F, R, O>(scaled, random_word<R>(options.words, static_cast<size_t>(r * x.cols + c)));
        out.values(r, c) = code;
        if (options.stats != nullptr)
          add_to(*options.stats, bits, scaled, code, product_bits(lookup_bits(code), dequant));
      }
    }
  });
  return {};
}

/// The same for a view that could be written through.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<F>
status quantize(matrix_view<T> x, scaled_matrix<F> out, const quantize_options& options = {}) {
  return quantize<F, R, O>(matrix_view<const T>(x), out, options);
}

/// y(r, c) = decode(code) * dequant(r, c), one multiplication in binary32 to nearest even, then one rounding to T.
/// Shapes equal, any positive strides, no overlap; on error nothing is written.
template <class F, bulk_source T>
  requires eight_bit<F>
status dequantize(scaled_matrix<const F> x, matrix_view<T> y) {
  if (status bad = check_scaled("dequantize: the input", x); !bad.ok()) return bad;
  if (status bad = check_view("dequantize: the output", y); !bad.ok()) return bad;
  if (status bad = check_same_shape("dequantize", x.values, y); !bad.ok()) return bad;
  if (overlaps(x.values.data, span_bytes(x.values), y.data, span_bytes(y))) {
    return invalid("dequantize: the input (" + shape_text(y.rows, y.cols) + ") and the output overlap");
  }
  if (scales_overlap(x, y.data, span_bytes(y))) {
    return invalid("dequantize: the scales and the output (" + shape_text(y.rows, y.cols) + ") overlap");
  }
  const standard_float_environment environment;
  for_each_block(x.layout, y.rows, y.cols, [&](const matrix_block& block) {
    const uint32_t dequant = bitwise_cast<uint32_t>(x.dequant(block.row, block.col));
    for (int64_t r = block.row; r < block.row_end; ++r) {
      for (int64_t c = block.col; c < block.col_end; ++c) {
        y(r, c) = from_binary32_bits<T>(canonical_nan(product_bits(lookup_bits(x.values(r, c)), dequant)));
      }
    }
  });
  return {};
}

/// The same for a matrix that could be written through, such as the one that quantize has just filled.
template <eight_bit F, bulk_source T>
status dequantize(scaled_matrix<F> x, matrix_view<T> y) {
  return dequantize(scaled_matrix<const F>(x), y);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
