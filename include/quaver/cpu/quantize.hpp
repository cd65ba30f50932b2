// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_QUANTIZE_HPP
#define QUAVER_CPU_QUANTIZE_HPP

#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/block_scales.hpp>
#include <quaver/cpu/blocks.hpp>
#include <quaver/cpu/encode_with_stats_n.hpp>
#include <quaver/cpu/pack_n.hpp>
#include <quaver/tensor/matrix_checks.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The amax of a block, as amax_n gives it.
template <bulk_source T>
float block_amax(const matrix_view<const T>& x, const matrix_block& block, const executor& on = {}) {
  uint32_t largest = 0;
  for_each_piece(block, on, [&](const matrix_block& piece) {
    uint32_t here    = 0;
    const auto widen = [&](int64_t r, int64_t c, int64_t count) {
      here = amax_bits(&x(r, c), static_cast<size_t>(count), here);
    };
    for_each_stretch(piece, widen, x);
    raise_to(largest, here);
  });
  return amax_from_bits(largest);
}

/// How the blocks of one call are encoded.
struct block_encoding {
  scale_application application;
  random_words words;
  bool past_caches;  ///< the output is written with non-temporal stores
};

/// Encodes a block by its scale and adds to the stats, if there are any.
template <code_byte F, rounding R, overflow O, bulk_source T>
void encode_block(const matrix_view<const T>& x, const matrix_view<F>& y, const matrix_block& block,
                  const tensor_scale& scale, const block_encoding& how, cast_stats* stats) {
  const uint32_t quant   = bitwise_cast<uint32_t>(scale.quant.value());
  const uint32_t dequant = bitwise_cast<uint32_t>(scale.dequant.value());
  const bool divides     = how.application == scale_application::divide && (quant & binary<float>::magnitude_mask) != 0;
  using code             = format_of<F>;
  const auto encode      = [&](const T* from, code* to, size_t count, random_words words) {
    if (stats != nullptr) {
      if (divides) encode_measured<code, R, O, scaling::divide>(from, to, count, dequant, dequant, words, *stats);
      else encode_measured<code, R, O, scaling::multiply>(from, to, count, quant, dequant, words, *stats);
    } else {
      using divide   = encode_kernels<code, R, O, scaling::divide, T>;
      using multiply = encode_kernels<code, R, O, scaling::multiply, T>;
      if (divides) divide::run(from, to, count, dequant, words, how.past_caches);
      else multiply::run(from, to, count, quant, words, how.past_caches);
    }
  };
  const auto run = [&](int64_t r, int64_t c, int64_t count) {
    const T* from = &x(r, c);
    const random_words words{how.words.seed, how.words.first + static_cast<uint64_t>(r * x.cols + c)};
    if constexpr (is_pair<F>) {
      code codes[packed_stretch];
      for (int64_t at = 0; at < count; at += packed_stretch) {
        const auto some = static_cast<size_t>(count - at < packed_stretch ? count - at : packed_stretch);
        encode(from + at, codes, some, {words.seed, words.first + static_cast<uint64_t>(at)});
        store_pairs(y, r, c + at, codes, some);
      }
    } else {
      encode(from, &y(r, c), static_cast<size_t>(count), words);
    }
  };
  for_each_stretch(block, run, x, y);
}

/// How many codes of row blocks are encoded before they are packed, where two stand in a byte.
inline constexpr int64_t packed_row_blocks = 4096;

/// Whether the blocks are stretches of rows, or some rows high, with scales that are multiplied by: then the blocks beside
/// one another are encoded together, row by row as they lie in memory.
template <rounding R, class T, class F>
bool has_row_blocks(const matrix_view<const T>& x, const scaled_matrix<F>& out,
                    const quantize_options& options) noexcept {
  return R != rounding::stochastic && out.layout.block_rows != 0 && out.layout.block_cols != 0 &&
         out.layout.block_cols % 16 == 0 && (!is_pair<F> || out.layout.block_cols <= packed_row_blocks) &&
         x.col_stride == 1 && out.values.col_stride == 1 && options.application == scale_application::multiply &&
         options.stats == nullptr;
}

/// Encodes rows [row, row_end), one block high, but for the last, cut blocks; returns the column where those begin.
template <rounding R, overflow O, code_byte F, bulk_source T>
int64_t encode_row_blocks(const matrix_view<const T>& x, const scaled_matrix<F>& out, int64_t row, int64_t row_end,
                          bool past_caches, const quantize_options& options) {
  // As many blocks at a time as half a second-level cache takes, so that the second look at the values finds them there.
  constexpr int64_t most     = 64;
  constexpr int64_t in_cache = int64_t{512} << 10;
  const int64_t width        = out.layout.block_cols;
  const int64_t blocks       = x.cols / width;
  const int64_t cached       = in_cache / (width * static_cast<int64_t>(sizeof(T)) * (row_end - row));
  const int64_t fitting      = is_pair<F> && packed_row_blocks / width < cached ? packed_row_blocks / width : cached;
  const int64_t together     = fitting < 1 ? 1 : fitting < most ? fitting : most;
  const bool current         = options.source == scale_source::current;
  for (int64_t first = 0; first < blocks; first += together) {
    const int64_t count = blocks - first < together ? blocks - first : together;
    const int64_t col   = first * width;
    uint32_t amax[most] = {};
    uint32_t quant[most];
    for (int64_t r = row; current && r < row_end; ++r) {
      amax_blocks(&x(r, col), static_cast<size_t>(count), static_cast<size_t>(width), amax);
    }
    for (int64_t b = 0; b < count; ++b) {
      const int64_t at = col + b * width;
      const tensor_scale scale =
          current ? store_scale<machine_arithmetic>(out, row, at, amax_from_bits(amax[b]), options.policy, options.mx)
                  : from_stored<machine_arithmetic>(out.dequant(row, at));
      quant[b] = bitwise_cast<uint32_t>(scale.quant.value());
    }
    using kernels   = encode_kernels<format_of<F>, R, O, scaling::multiply_blocks, T>;
    const auto size = static_cast<size_t>(count * width);
    for (int64_t r = row; r < row_end; ++r) {
      if constexpr (is_pair<F>) {
        e2m1 codes[packed_row_blocks];
        kernels::run(&x(r, col), codes, size, quant, static_cast<size_t>(width), false);
        store_pairs(out.values, r, col, codes, size);
      } else {
        kernels::run(&x(r, col), &out.values(r, col), size, quant, static_cast<size_t>(width), past_caches);
      }
    }
  }
  return blocks * width;
}

/// Writes zeros for the scales that pad tiles.
template <code_byte F>
void clear_padding(const scaled_matrix<F>& out) noexcept {
  if (out.layout.order != scale_order::tiles_128x4) return;
  const scale_places places = out.layout.places(out.rows(), out.cols());
  const int64_t down        = out.layout.scale_rows(out.rows());
  const int64_t right       = out.layout.scale_cols(out.cols());
  const int64_t down_all    = scale_places::whole_tiles(down, scale_places::tile_rows);
  const int64_t right_all   = scale_places::whole_tiles(right, scale_places::tile_cols);
  for (int64_t r = 0; r < down_all; ++r) {
    for (int64_t c = r < down ? right : 0; c < right_all; ++c) put_scale(out, places.at(r, c), made_scale{});
  }
}

/// Quantises x to out.values, and unless the scales are given makes them: per tensor, per row or per block as
/// out.layout says, each from the amax of its block. Element (r, c) becomes encode(x * quant) or encode(x / dequant),
/// in binary32 with one rounding each. E8M0 and NVFP4 blocks use the scale that was stored, to the bit. With f32 scales
/// the factor is the policy's: under quant_first it is fl(max / amax), and its rounded reciprocal is what is stored;
/// scale_source::given over those stored scales then gives the same codes with scale_application::divide or
/// dequant_first or powers of two, and not always otherwise.
///
/// x and out.values have the same shape and any positive strides; neither they nor the scales overlap. On error nothing
/// is written. Values of e2m1 are written one a byte, those of e2m1x2 two a byte: the same codes packed; then blocks are
/// an even number of columns wide. Scales that pad tiles are written as zero. Under -ffast-math an amax that is NaN or
/// infinite is not to be relied on: scales are floats, which such a build takes for finite.
template <code_byte F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<format_of<F>>
status quantize(matrix_view<const T> x, scaled_matrix<F> out, const quantize_options& options = {}) {
  if (status bad = check_view("quantize: the input", x); !bad.ok()) return bad;
  if (status bad = check_scaled("quantize: the output", out); !bad.ok()) return bad;
  if (status bad = check_written_blocks("quantize: the output", out); !bad.ok()) return bad;
  if (status bad = check_same_shape("quantize", x, out.values); !bad.ok()) return bad;
  if (overlaps(x.data, span_bytes(x), out.values.data, span_bytes(out.values))) {
    return invalid("quantize: the input (" + shape_text(x.rows, x.cols) + ") and the output overlap");
  }
  if (scales_overlap(out, x.data, span_bytes(x)) || scales_overlap(out, out.values.data, span_bytes(out.values))) {
    return invalid("quantize: the scales overlap the input or the codes (" + shape_text(x.rows, x.cols) + ")");
  }

  const bool current = options.source == scale_source::current;
  if (current && out.layout.type == scale_type::nvfp4_e4m3 && !same_type<format_of<F>, e2m1>) {
    return {status_code::unsupported,
            "quantize: NVFP4 scales take a block to 6, the largest e2m1; the codes here are of another format"};
  }
  if (current && out.layout.type == scale_type::nvfp4_e4m3 && x.rows * x.cols != 0) {
    const float amax = block_amax(x, {0, x.rows, 0, x.cols}, options.on);
    *out.tensor_wide = nvfp4_global_scale(amax, options.policy).value();
  }
  if (current) clear_padding(out);
  const block_grid grid(out.layout, x.rows, x.cols);
  const bool past_caches = !is_pair<F> && options.stats == nullptr && span_bytes(out.values) >= past_caches_from;
  const block_encoding how{options.application, options.words, past_caches};
  stats_total total(options.stats);
  const auto scale_of = [&](const matrix_block& block, const executor& on) {
    if (!current) return from_stored<machine_arithmetic>(out.dequant(block.row, block.col));
    return store_scale<machine_arithmetic>(out, block.row, block.col, block_amax(x, block, on), options.policy,
                                           options.mx);
  };
  const auto encode = [&](const matrix_block& block, const tensor_scale& scale, cast_stats& stats) {
    encode_block<F, R, O>(x, out.values, block, scale, how, options.stats != nullptr ? &stats : nullptr);
  };
  if constexpr (R != rounding::stochastic) {
    if (has_row_blocks<R>(x, out, options)) {
      const executor& on = options.on;
      const auto parts   = static_cast<size_t>(on.width < 1 ? 1 : on.width);
      on.for_each(parts, [&](size_t index) {
        const standard_float_environment environment;
        cast_stats none;
        const int64_t height = out.layout.block_rows;
        const part bands     = part_of(out.layout.scale_rows(x.rows), parts, index);
        for (int64_t band = bands.begin; band < bands.end; ++band) {
          const int64_t row     = band * height;
          const int64_t row_end = row + height < x.rows ? row + height : x.rows;
          const int64_t rest    = encode_row_blocks<R, O>(x, out, row, row_end, past_caches, options);
          const matrix_block last{row, row_end, rest, x.cols};
          if (rest != x.cols) encode(last, scale_of(last, {}), none);
        }
        if (past_caches) finish_stores();
      });
      return {};
    }
  }
  // Many blocks are shared out among the threads, few are cut into pieces one after the other.
  const auto width = static_cast<int64_t>(options.on.width);
  if (grid.count() >= width) {
    const auto parts = static_cast<size_t>(width < 1 ? 1 : width);
    options.on.for_each(parts, [&](size_t index) {
      const standard_float_environment environment;
      cast_stats mine;
      const part blocks = part_of(grid.count(), parts, index);
      grid.visit(blocks.begin, blocks.end,
                 [&](const matrix_block& block) { encode(block, scale_of(block, {}), mine); });
      if (past_caches) finish_stores();
      total.add(mine);
    });
  } else {
    grid.visit(0, grid.count(), [&](const matrix_block& block) {
      const tensor_scale scale = [&] {
        const standard_float_environment environment;
        return scale_of(block, options.on);
      }();
      for_each_piece(block, options.on, [&](const matrix_block& piece) {
        const standard_float_environment environment;
        cast_stats mine;
        encode(piece, scale, mine);
        if (past_caches) finish_stores();
        total.add(mine);
      });
    });
  }
  return {};
}

/// The same for a view that could be written through.
template <code_byte F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<format_of<F>>
status quantize(matrix_view<T> x, scaled_matrix<F> out, const quantize_options& options = {}) {
  return quantize<F, R, O>(matrix_view<const T>(x), out, options);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
