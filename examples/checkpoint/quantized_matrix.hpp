// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_QUANTIZED_MATRIX_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_QUANTIZED_MATRIX_HPP

#include "settings.hpp"

#include <quaver/scale/cast_stats.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace checkpoint {

/// A matrix in codes, one a byte, with its scales; owns both. `layout` and the vector that it asks for say what a code
/// stands for; the vectors of NVFP4 are there besides where the file stores its scales in two levels.
struct quantized_matrix {
  int64_t rows = 0;
  int64_t cols = 0;
  scale_layout layout{};
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  std::vector<e8m0> scales_e8m0;
  std::vector<e4m3> scales_e4m3;
  float tensor_wide   = 0;  ///< NVFP4: the multiplier above the block scales
  float stored_global = 0;  ///< NVFP4: the number in the file, which the dialect may make a divisor
  cast_stats stats;

  template <class F>
  [[nodiscard]] scaled_matrix<const F> view() const {
    return {{reinterpret_cast<const F*>(codes.data()), rows, cols},
            layout,
            scales.data(),
            scales_e8m0.data(),
            scales_e4m3.data(),
            &tensor_wide};
  }
  template <class F>
  [[nodiscard]] scaled_matrix<F> view() {
    return {{reinterpret_cast<F*>(codes.data()), rows, cols},
            layout,
            scales.data(),
            scales_e8m0.data(),
            scales_e4m3.data(),
            &tensor_wide};
  }
};

/// Quantises a row-major matrix. The scale of a block is fl(amax / max), rounded as it will be stored; a value becomes
/// encode(x / scale) with that stored scale. So whoever multiplies code and scale gets what the statistics saw.
result<quantized_matrix> quantize_matrix(std::span<const float> values, int64_t rows, int64_t cols,
                                         const settings& how);

/// What the codes stand for, in binary32: one multiplication each.
result<std::vector<float>> dequantized(const quantized_matrix& matrix, element format);

/// The bytes that a file stores for the codes: the codes, or pairs of them for e2m1.
std::vector<std::byte> stored_codes(const quantized_matrix& matrix, element format);

/// The bytes of the scale tensors that the dialect declares, in the order of io::declare_scales.
std::vector<std::vector<std::byte>> stored_scales(const quantized_matrix& matrix);

}  // namespace checkpoint

#endif
