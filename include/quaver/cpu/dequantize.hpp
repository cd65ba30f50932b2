// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_DEQUANTIZE_HPP
#define QUAVER_CPU_DEQUANTIZE_HPP

#include <quaver/cpu/blocks.hpp>
#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/pack_n.hpp>
#include <quaver/tensor/matrix_checks.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// y(r, c) = decode(code) * dequant(r, c), one multiplication in binary32 to nearest even, then one rounding to T.
/// Shapes equal, any positive strides, no overlap; on error nothing is written. Codes one a byte, or two e2m1 a byte.
template <class F, bulk_source T>
  requires code_byte<F>
status dequantize(scaled_matrix<const F> x, matrix_view<T> y, const executor& on = {}) {
  if (status bad = check_scaled("dequantize: the input", x); !bad.ok()) return bad;
  if (status bad = check_view("dequantize: the output", y); !bad.ok()) return bad;
  if (status bad = check_same_shape("dequantize", x.values, y); !bad.ok()) return bad;
  if (overlaps(x.values.data, span_bytes(x.values), y.data, span_bytes(y))) {
    return invalid("dequantize: the input (" + shape_text(y.rows, y.cols) + ") and the output overlap");
  }
  if (scales_overlap(x, y.data, span_bytes(y))) {
    return invalid("dequantize: the scales and the output (" + shape_text(y.rows, y.cols) + ") overlap");
  }
  const bool past_caches = span_bytes(y) >= past_caches_from;
  const block_grid grid(x.layout, y.rows, y.cols);
  const auto decode = [&](const matrix_block& block) {
    const uint32_t dequant = bitwise_cast<uint32_t>(x.dequant(block.row, block.col));
    const auto run         = [&](int64_t r, int64_t c, int64_t count) {
      T* const to = &y(r, c);
      if constexpr (is_pair<F>) {
        e2m1 codes[packed_stretch];
        for (int64_t at = 0; at < count; at += packed_stretch) {
          const auto some = static_cast<size_t>(count - at < packed_stretch ? count - at : packed_stretch);
          load_pairs(x.values, r, c + at, codes, some);
          decode_kernels<e2m1, true, T>::run(codes, to + at, some, dequant, past_caches);
        }
      } else {
        decode_kernels<F, true, T>::run(&x.values(r, c), to, static_cast<size_t>(count), dequant, past_caches);
      }
    };
    for_each_stretch(block, run, x.values, y);
  };
  // Many blocks are shared out among the threads, few are cut into pieces one after the other.
  const auto parts = static_cast<int64_t>(on.width < 1 ? 1 : on.width);
  if (grid.count() >= parts) {
    on.for_each(static_cast<size_t>(parts), [&](size_t index) {
      const standard_float_environment environment;
      const part blocks = part_of(grid.count(), static_cast<size_t>(parts), index);
      grid.visit(blocks.begin, blocks.end, decode);
      if (past_caches) finish_stores();
    });
  } else {
    grid.visit(0, grid.count(), [&](const matrix_block& block) {
      for_each_piece(block, on, [&](const matrix_block& piece) {
        const standard_float_environment environment;
        decode(piece);
        if (past_caches) finish_stores();
      });
    });
  }
  return {};
}

/// The same for a matrix that could be written through, such as the one that quantize has just filled.
template <code_byte F, bulk_source T>
status dequantize(scaled_matrix<F> x, matrix_view<T> y, const executor& on = {}) {
  return dequantize(scaled_matrix<const F>(x), y, on);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
