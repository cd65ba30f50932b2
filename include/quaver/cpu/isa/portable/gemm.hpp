// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_PORTABLE_GEMM_HPP
#define QUAVER_CPU_ISA_PORTABLE_GEMM_HPP

#include <quaver/cpu/isa/portable/gemm_stage.hpp>
#include <quaver/cpu/isa/portable/operations.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu::portable {

// A unit is [term][16 rows] of floats, the odd term of each pair before the even one: the order in which they are
// added.

/// Writes staged values into a unit. Value(row, place) gives the bits of a float.
template <class Value>
void lay_out(const gemm_block& block, float* unit, const Value& value) noexcept {
  for (int k = 0; k < 2 * block.pairs; ++k) {
    for (int r = 0; r < unit_rows; ++r) unit[k * unit_rows + r] = bitwise_cast<float>(uint32_t{value(r, k ^ 1)});
  }
}

/// gemm_kernels::pack.
inline bool pack(const gemm_operand& x, int64_t row, int rows, const gemm_block& block, void* unit) {
  auto* out = static_cast<float*>(unit);
  if (x.table != nullptr) {
    stage<uint8_t> codes;
    stage_codes(x, row, rows, block, codes);
    lay_out(block, out, [&](int r, int k) { return x.floats[codes.rows[r][k]]; });
    return true;
  }
  if (x.kind == element_kind::whole_binary32) {
    lay_out_floats(x, row, rows, block, out);
    return false;
  }
  stage<uint16_t> values;
  const bool plain = stage_activations(x, row, rows, block, values);
  lay_out(block, out, [&](int r, int k) { return uint32_t{values.rows[r][k]} << 16; });
  return plain;
}

/// The sum a + b * c in one rounding, or in two where the first is known to be exact.
template <bool ExactProducts>
float multiply_add(float a, float b, float c) noexcept {
  if constexpr (!ExactProducts) return fused(b, c, a);
  a += b * c;
  keep(a);
  return a;
}

/// A row of sums over one segment. Four sums at a time, in registers.
template <bool ExactProducts>
void sum_row(const float* a, const float* b, int terms, float* sums) noexcept {
  for (int j = 0; j < unit_rows; j += 4) {
    float s0 = sums[j];
    float s1 = sums[j + 1];
    float s2 = sums[j + 2];
    float s3 = sums[j + 3];
    for (int k = 0; k < terms; ++k) {
      const float x  = a[k * unit_rows];
      const float* y = b + k * unit_rows + j;

      s0 = multiply_add<ExactProducts>(s0, x, y[0]);
      s1 = multiply_add<ExactProducts>(s1, x, y[1]);
      s2 = multiply_add<ExactProducts>(s2, x, y[2]);
      s3 = multiply_add<ExactProducts>(s3, x, y[3]);
    }
    sums[j]     = s0;
    sums[j + 1] = s1;
    sums[j + 2] = s2;
    sums[j + 3] = s3;
  }
}

/// gemm_kernels::tile and tile_any.
template <bool ExactProducts>
void tile(int rows, int /*units*/, const gemm_tile& t) {
  for (int r = 0; r < rows; ++r) {
    const auto* a    = static_cast<const float*>(t.a) + r;
    const auto* b    = static_cast<const float*>(t.b);
    float* total     = t.total + r * t.stride;
    float* partial   = t.partial + r * t.stride;
    bool total_fresh = t.fresh;
    float sums[unit_rows];
    for (int s = 0; s < t.block->segments; ++s) {
      const bool goes_on = s == 0 && t.block->goes_on_from;
      for (int j = 0; j < unit_rows; ++j) sums[j] = goes_on ? partial[j] : 0.0f;
      const int terms = (t.block->length[s] + 1) & ~1;
      sum_row<ExactProducts>(a, b, terms, sums);
      a += terms * unit_rows;
      b += terms * unit_rows;
      if (s + 1 == t.block->segments && t.block->goes_on_to) {
        for (int j = 0; j < unit_rows; ++j) partial[j] = sums[j];
        break;
      }
      for (int j = 0; j < unit_rows; ++j) {
        float scale = t.a_scales[s * unit_rows + r] * t.b_scales[s * t.stride + j];
        keep(scale);
        float scaled = sums[j] * scale;
        keep(scaled);
        float sum = total_fresh ? 0.0f : total[j];
        keep(sum);  // -ffast-math takes 0 + x for x, but 0 + -0 is +0
        sum += scaled;
        keep(sum);
        total[j] = sum;
      }
      total_fresh = false;
    }
  }
}

// Templates though nothing varies: who includes this and multiplies nothing does not pay for what they instantiate.

/// gemm_kernels::finish.
template <class Lazy = void>
void finish(float* values, int count, const float* c, const float* bias, const gemm_finish& how) {
  const called_operations op;
  for (int i = 0; i < count; ++i) {
    float value = values[i] * how.alpha;
    keep(value);
    if (c != nullptr) {
      float old = how.beta * c[i];
      keep(old);
      value += old;
      keep(value);
    }
    if (bias != nullptr) {
      value += bias[i];
      keep(value);
    }
    const uint32_t bits = canonical_nan(bitwise_cast<uint32_t>(value));
    values[i]           = bitwise_cast<float>(activate_bits(how.act, bits, op));
  }
}

template <class Lazy = void>
inline constexpr gemm_kernels gemm_functions{.tile_rows       = unit_rows,
                                             .tile_cols       = unit_rows,
                                             .pair_bytes      = 8,
                                             .row_bytes       = 4,
                                             .most_codes_rows = 0,
                                             .few_rows        = 0,
                                             .pack            = pack,
                                             .tile            = tile<true>,
                                             .tile_any        = tile<false>,
                                             .tile_codes      = nullptr,
                                             .tile_lines      = nullptr,
                                             .finish          = finish<Lazy>};

}  // namespace cpu::portable

QUAVER_END_NAMESPACE

#endif
