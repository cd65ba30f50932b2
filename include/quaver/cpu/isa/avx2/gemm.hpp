// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX2_GEMM_HPP
#define QUAVER_CPU_ISA_AVX2_GEMM_HPP

#include <quaver/cpu/isa/portable/gemm.hpp>

#if QUAVER_X86_64

#include <immintrin.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx2 {

// Tiles of up to 6 x 16 sums in binary32: 12 accumulators, two registers of B, one of A. Units are the portable tier's,
// terms already in the order of the sums. Recursions of templates for the reason that avx512/gemm.hpp gives.

/// Hides where a value came from: no contraction, no reassociation, whatever the flags.
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE __m256 kept(__m256 x) {
  __asm__("" : "+x"(x));
  return x;
}

template <size_t Rows>
struct accumulators {
  __m256 sum[Rows][2];
};

/// Row `Row` and those below: 16 values of B times a value of A. The products need not be exact: tile_any is the same.
template <size_t Rows, size_t Row = 0>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void add_term(accumulators<Rows>& c, const float* a, __m256 b0, __m256 b1) {
  if constexpr (Row < Rows) {
    const __m256 x = _mm256_broadcast_ss(a + Row);
    c.sum[Row][0]  = _mm256_fmadd_ps(x, b0, c.sum[Row][0]);
    c.sum[Row][1]  = _mm256_fmadd_ps(x, b1, c.sum[Row][1]);
    add_term<Rows, Row + 1>(c, a, b0, b1);
  }
}

/// Sets the sums to zero, or to what they were at the end of the block before.
template <size_t Rows, size_t At = 0>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void begin_sums(accumulators<Rows>& c, const float* partial, size_t stride,
                                                        bool goes_on) {
  if constexpr (At < 2 * Rows) {
    const float* at       = partial + At / 2 * stride + At % 2 * 8;
    c.sum[At / 2][At % 2] = goes_on ? _mm256_loadu_ps(at) : _mm256_setzero_ps();
    begin_sums<Rows, At + 1>(c, partial, stride, goes_on);
  }
}

template <size_t Rows, size_t At = 0>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void store_partial(const accumulators<Rows>& c, float* partial, size_t stride) {
  if constexpr (At < 2 * Rows) {
    _mm256_storeu_ps(partial + At / 2 * stride + At % 2 * 8, c.sum[At / 2][At % 2]);
    store_partial<Rows, At + 1>(c, partial, stride);
  }
}

/// total += sum * (scale of A * scale of B).
template <size_t Rows, size_t At = 0>
QUAVER_TARGET_AVX2 QUAVER_ALWAYS_INLINE void add_to_total(const accumulators<Rows>& c, float* total_at, size_t stride,
                                                          const float* a_scales, const float* b_scales, bool fresh) {
  if constexpr (At < 2 * Rows) {
    float* const place   = total_at + At / 2 * stride + At % 2 * 8;
    const __m256 a_scale = _mm256_broadcast_ss(a_scales + At / 2);
    const __m256 scale   = kept(_mm256_mul_ps(a_scale, _mm256_loadu_ps(b_scales + At % 2 * 8)));
    const __m256 scaled  = kept(_mm256_mul_ps(c.sum[At / 2][At % 2], scale));
    const __m256 total   = fresh ? _mm256_setzero_ps() : _mm256_loadu_ps(place);
    _mm256_storeu_ps(place, kept(_mm256_add_ps(kept(total), scaled)));
    add_to_total<Rows, At + 1>(c, total_at, stride, a_scales, b_scales, fresh);
  }
}

template <size_t Rows>
QUAVER_TARGET_AVX2 void tile_of(const gemm_tile& t) {
  const auto* a           = static_cast<const float*>(t.a);
  const auto* b           = static_cast<const float*>(t.b);
  const auto stride       = static_cast<size_t>(t.stride);
  const gemm_block& block = *t.block;
  bool fresh              = t.fresh;
  for (int s = 0; s < block.segments; ++s) {
    accumulators<Rows> c;
    begin_sums(c, t.partial, stride, s == 0 && block.goes_on_from);
    for (int terms = (block.length[s] + 1) & ~1; terms != 0; --terms) {
      add_term(c, a, _mm256_loadu_ps(b), _mm256_loadu_ps(b + 8));
      a += unit_rows;
      b += unit_rows;
    }
    if (s + 1 == block.segments && block.goes_on_to) return store_partial(c, t.partial, stride);
    add_to_total(c, t.total, stride, t.a_scales + s * unit_rows, t.b_scales + s * t.stride, fresh);
    fresh = false;
  }
}

// Templates though nothing varies: who includes this and multiplies nothing does not pay for what they instantiate.

/// gemm_kernels::tile and tile_any.
template <class Lazy = void>
void tile(int rows, int /*units*/, const gemm_tile& t) {
  switch (rows) {
    case 1: return tile_of<1>(t);
    case 2: return tile_of<2>(t);
    case 3: return tile_of<3>(t);
    case 4: return tile_of<4>(t);
    case 5: return tile_of<5>(t);
    default: return tile_of<6>(t);
  }
}

/// GELU or SiLU of `count` values, a multiple of 16: loops that gcc -O2 vectorises, of a length that it knows.
template <activation Act>
QUAVER_TARGET_AVX2 void activate(float* values, int count) {
  const rounded_operations op;
  for (int i = 0; i < count; i += 16) {
    for (int j = i; j < i + 16; ++j)
      values[j] = bitwise_cast<float>(activate_bits(Act, bitwise_cast<uint32_t>(values[j]), op));
  }
}

/// gemm_kernels::finish.
template <class Lazy = void>
QUAVER_TARGET_AVX2 void finish(float* values, int count, const float* c, const float* bias, const gemm_finish& how) {
  const __m256 alpha     = _mm256_set1_ps(how.alpha);
  const __m256 beta      = _mm256_set1_ps(how.beta);
  const __m256i infinity = _mm256_set1_epi32(static_cast<int>(binary<float>::infinity));
  const __m256i nan      = _mm256_set1_epi32(static_cast<int>(binary<float>::nan));
  for (int i = 0; i < count; i += 8) {
    __m256 x = kept(_mm256_mul_ps(_mm256_loadu_ps(values + i), alpha));
    if (c != nullptr) x = kept(_mm256_add_ps(x, kept(_mm256_mul_ps(beta, _mm256_loadu_ps(c + i)))));
    if (bias != nullptr) x = kept(_mm256_add_ps(x, _mm256_loadu_ps(bias + i)));
    __m256i bits            = _mm256_castps_si256(x);
    const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7FFF'FFFF));
    bits                    = _mm256_blendv_epi8(bits, nan, _mm256_cmpgt_epi32(magnitude, infinity));
    if (how.act == activation::relu) bits = _mm256_max_epi32(bits, _mm256_setzero_si256());
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + i), bits);
  }
  if (how.act == activation::gelu) activate<activation::gelu>(values, count);
  if (how.act == activation::silu) activate<activation::silu>(values, count);
}

template <class Lazy = void>
inline constexpr gemm_kernels gemm_functions{.tile_rows       = 6,
                                             .tile_cols       = 16,
                                             .pair_bytes      = 8,
                                             .row_bytes       = 4,
                                             .most_codes_rows = 0,
                                             .few_rows        = 0,
                                             .pack            = portable::pack,
                                             .tile            = tile<Lazy>,
                                             .tile_any        = tile<Lazy>,
                                             .tile_codes      = nullptr,
                                             .tile_lines      = nullptr,
                                             .finish          = finish<Lazy>};

}  // namespace cpu::avx2

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
