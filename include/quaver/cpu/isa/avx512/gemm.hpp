// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_GEMM_HPP
#define QUAVER_CPU_ISA_AVX512_GEMM_HPP

#include <quaver/cpu/isa/avx512/gemm_tile.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

template <class Panels, size_t Rows>
QUAVER_TARGET_AVX512 void tile_of(const gemm_tile& t) {
  multiply<Rows>(Panels{static_cast<const __m512i*>(t.b), t.b_unit_stride / 64}, t);
}

/// The tile with as many rows, chosen at run time.
template <class Panels>
inline void tile_rows(int rows, const gemm_tile& t) {
  switch (rows) {
    case 1: return tile_of<Panels, 1>(t);
    case 2: return tile_of<Panels, 2>(t);
    case 3: return tile_of<Panels, 3>(t);
    case 4: return tile_of<Panels, 4>(t);
    case 5: return tile_of<Panels, 5>(t);
    case 6: return tile_of<Panels, 6>(t);
    case 7: return tile_of<Panels, 7>(t);
    default: return tile_of<Panels, 8>(t);
  }
}

// Templates though nothing varies: who includes this and multiplies nothing does not pay for what they instantiate.

/// gemm_kernels::tile of pairs.
template <class Lazy = void>
void tile_pairs(int rows, int units, const gemm_tile& t) {
  switch (units) {
    case 1: return tile_rows<pair_panels<dot_step, 1>>(rows, t);
    case 2: return tile_rows<pair_panels<dot_step, 2>>(rows, t);
    default: return tile_rows<pair_panels<dot_step, 3>>(rows, t);
  }
}

/// gemm_kernels::tile_any of pairs. Rare: bfloat16 activations of a size that no product of FP8 values has.
template <class Lazy = void>
void tile_any_pairs(int rows, int units, const gemm_tile& t) {
  gemm_tile one = t;
  for (int u = 0; u < units; ++u) {
    one.b        = static_cast<const std::byte*>(t.b) + u * t.b_unit_stride;
    one.b_scales = t.b_scales + u * unit_rows;
    one.total    = t.total + u * unit_rows;
    one.partial  = t.partial + u * unit_rows;
    tile_rows<pair_panels<fma_step, 1>>(rows, one);
  }
}

/// gemm_kernels::tile and tile_any of floats: nothing is flushed, so any operands will do.
template <class Lazy = void>
void tile_floats(int rows, int units, const gemm_tile& t) {
  switch (units) {
    case 1: return tile_rows<float_panels<1>>(rows, t);
    case 2: return tile_rows<float_panels<2>>(rows, t);
    default: return tile_rows<float_panels<3>>(rows, t);
  }
}

template <class Step, size_t Rows, size_t Groups, bool Symmetric>
QUAVER_TARGET_AVX512 void codes_of(const gemm_tile& t) {
  multiply<Rows>(packed_groups<Step, Groups, Symmetric>{static_cast<const uint8_t*>(t.b), t.b_unit_stride,
                                                        load_code_table<Symmetric>(*t.b_table)},
                 t);
}

inline constexpr int few_rows = 3;

template <class Step, bool Symmetric>
inline void codes_rows(int rows, const gemm_tile& t) {
  // With few rows there are too few sums to fill the multipliers, so they have twice the columns.
  switch (rows) {
    case 1: return codes_of<Step, 1, 2, Symmetric>(t);
    case 2: return codes_of<Step, 2, 2, Symmetric>(t);
    case few_rows: return codes_of<Step, 3, 2, Symmetric>(t);
    case 4: return codes_of<Step, 4, 1, Symmetric>(t);
    case 5: return codes_of<Step, 5, 1, Symmetric>(t);
    case 6: return codes_of<Step, 6, 1, Symmetric>(t);
    case 7: return codes_of<Step, 7, 1, Symmetric>(t);
    default: return codes_of<Step, 8, 1, Symmetric>(t);
  }
}

/// gemm_kernels::tile_codes.
template <class Step>
void tile_codes(int rows, int /*units*/, const gemm_tile& t) {
  t.b_table->symmetric ? codes_rows<Step, true>(rows, t) : codes_rows<Step, false>(rows, t);
}

template <bool Symmetric, size_t Rows>
QUAVER_TARGET_AVX512 void lines_of(const gemm_tile& t) {
  multiply<Rows>(rows_of_codes<Symmetric>{static_cast<const uint8_t*>(t.b), t.b_unit_stride,
                                          load_code_table<Symmetric>(*t.b_table)},
                 t);
}

template <bool Symmetric>
inline void lines_rows(int rows, const gemm_tile& t) {
  switch (rows) {
    case 1: return lines_of<Symmetric, 1>(t);
    case 2: return lines_of<Symmetric, 2>(t);
    default: return lines_of<Symmetric, few_rows>(t);
  }
}

/// gemm_kernels::tile_lines.
template <class Lazy = void>
void tile_lines(int rows, int /*units*/, const gemm_tile& t) {
  t.b_table->symmetric ? lines_rows<true>(rows, t) : lines_rows<false>(rows, t);
}

/// GELU or SiLU of `count` values, a multiple of 16: loops that gcc -O2 vectorises, of a length that it knows.
template <activation Act>
QUAVER_TARGET_AVX512 void activate(float* values, int count) {
  const rounded_operations op;
  for (int i = 0; i < count; i += 16) {
    for (int j = i; j < i + 16; ++j)
      values[j] = bitwise_cast<float>(activate_bits(Act, bitwise_cast<uint32_t>(values[j]), op));
  }
}

/// gemm_kernels::finish.
template <class Lazy = void>
QUAVER_TARGET_AVX512 void finish(float* values, int count, const float* c, const float* bias, const gemm_finish& how) {
  const __m512 alpha     = _mm512_set1_ps(how.alpha);
  const __m512 beta      = _mm512_set1_ps(how.beta);
  const __m512i infinity = _mm512_set1_epi32(static_cast<int>(binary<float>::infinity));
  const __m512i nan      = _mm512_set1_epi32(static_cast<int>(binary<float>::nan));
  for (int i = 0; i < count; i += 16) {
    __m512 x = kept(_mm512_mul_ps(_mm512_loadu_ps(values + i), alpha));
    if (c != nullptr) x = kept(_mm512_add_ps(x, kept(_mm512_mul_ps(beta, _mm512_loadu_ps(c + i)))));
    if (bias != nullptr) x = kept(_mm512_add_ps(x, _mm512_loadu_ps(bias + i)));
    __m512i bits            = _mm512_castps_si512(x);
    const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7FFF'FFFF));
    bits                    = _mm512_mask_mov_epi32(bits, _mm512_cmpgt_epi32_mask(magnitude, infinity), nan);
    if (how.act == activation::relu) bits = _mm512_max_epi32(bits, _mm512_setzero_si512());
    _mm512_storeu_si512(values + i, bits);
  }
  if (how.act == activation::gelu) activate<activation::gelu>(values, count);
  if (how.act == activation::silu) activate<activation::silu>(values, count);
}

/// Sums by vdpbf16ps.
template <class Lazy = void>
inline constexpr gemm_kernels dot_product_functions{.tile_rows       = 8,
                                                    .tile_cols       = 48,
                                                    .pair_bytes      = 4,
                                                    .row_bytes       = 4,
                                                    .most_codes_rows = 8,
                                                    .few_rows        = few_rows,
                                                    .pack            = pack<pair_units>,
                                                    .tile            = tile_pairs<Lazy>,
                                                    .tile_any        = tile_any_pairs<Lazy>,
                                                    .tile_codes      = tile_codes<dot_step>,
                                                    .tile_lines      = tile_lines<Lazy>,
                                                    .finish          = finish<Lazy>};

/// Sums by vfmadd231ps.
template <class Lazy = void>
inline constexpr gemm_kernels multiply_add_functions{.tile_rows       = 8,
                                                     .tile_cols       = 48,
                                                     .pair_bytes      = 8,
                                                     .row_bytes       = 4,
                                                     .most_codes_rows = 8,
                                                     .few_rows        = few_rows,
                                                     .pack            = pack<float_units>,
                                                     .tile            = tile_floats<Lazy>,
                                                     .tile_any        = tile_floats<Lazy>,
                                                     .tile_codes      = tile_codes<float_step>,
                                                     .tile_lines      = nullptr,
                                                     .finish          = finish<Lazy>};

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
