// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_NEON_GEMM_HPP
#define QUAVER_CPU_ISA_NEON_GEMM_HPP

#include <quaver/cpu/isa/portable/gemm.hpp>

#if QUAVER_AARCH64

#include <arm_neon.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::neon {

// Tiles of up to 6 x 16 sums in binary32: 24 accumulators, four registers of B, one of A. Units are the portable tier's,
// terms already in the order of the sums. Recursions of templates for the reason that avx512/gemm_tile.hpp gives.

/// Hides where a value came from: no contraction, no reassociation, whatever the flags.
QUAVER_ALWAYS_INLINE float32x4_t kept(float32x4_t x) noexcept {
  __asm__("" : "+w"(x));
  return x;
}

template <size_t Rows>
struct accumulators {
  float32x4_t sum[Rows][4];
};

/// Row `Row` and those below: 16 values of B times a value of A. The products need not be exact: tile_any is the same.
template <size_t Rows, size_t Row = 0>
QUAVER_ALWAYS_INLINE void add_term(accumulators<Rows>& c, const float* a, const float32x4_t (&b)[4]) noexcept {
  if constexpr (Row < Rows) {
    const float32x4_t x = vld1q_dup_f32(a + Row);
    c.sum[Row][0]       = vfmaq_f32(c.sum[Row][0], x, b[0]);
    c.sum[Row][1]       = vfmaq_f32(c.sum[Row][1], x, b[1]);
    c.sum[Row][2]       = vfmaq_f32(c.sum[Row][2], x, b[2]);
    c.sum[Row][3]       = vfmaq_f32(c.sum[Row][3], x, b[3]);
    add_term<Rows, Row + 1>(c, a, b);
  }
}

/// Sets the sums to zero, or to what they were at the end of the block before.
template <size_t Rows, size_t At = 0>
QUAVER_ALWAYS_INLINE void begin_sums(accumulators<Rows>& c, const float* partial, size_t stride,
                                     bool goes_on) noexcept {
  if constexpr (At < 4 * Rows) {
    const float* at       = partial + At / 4 * stride + At % 4 * 4;
    c.sum[At / 4][At % 4] = goes_on ? vld1q_f32(at) : vdupq_n_f32(0);
    begin_sums<Rows, At + 1>(c, partial, stride, goes_on);
  }
}

template <size_t Rows, size_t At = 0>
QUAVER_ALWAYS_INLINE void store_partial(const accumulators<Rows>& c, float* partial, size_t stride) noexcept {
  if constexpr (At < 4 * Rows) {
    vst1q_f32(partial + At / 4 * stride + At % 4 * 4, c.sum[At / 4][At % 4]);
    store_partial<Rows, At + 1>(c, partial, stride);
  }
}

/// total += sum * (scale of A * scale of B).
template <size_t Rows, size_t At = 0>
QUAVER_ALWAYS_INLINE void add_to_total(const accumulators<Rows>& c, float* total_at, size_t stride,
                                       const float* a_scales, const float* b_scales, bool fresh) noexcept {
  if constexpr (At < 4 * Rows) {
    float* const place        = total_at + At / 4 * stride + At % 4 * 4;
    const float32x4_t a_scale = vld1q_dup_f32(a_scales + At / 4);
    const float32x4_t scale   = kept(vmulq_f32(a_scale, vld1q_f32(b_scales + At % 4 * 4)));
    const float32x4_t scaled  = kept(vmulq_f32(c.sum[At / 4][At % 4], scale));
    const float32x4_t total   = fresh ? vdupq_n_f32(0) : vld1q_f32(place);
    vst1q_f32(place, kept(vaddq_f32(kept(total), scaled)));
    add_to_total<Rows, At + 1>(c, total_at, stride, a_scales, b_scales, fresh);
  }
}

template <size_t Rows>
void tile_of(const gemm_tile& t) noexcept {
  const auto* a           = static_cast<const float*>(t.a);
  const auto* b           = static_cast<const float*>(t.b);
  const auto stride       = static_cast<size_t>(t.stride);
  const gemm_block& block = *t.block;
  bool fresh              = t.fresh;
  for (int s = 0; s < block.segments; ++s) {
    accumulators<Rows> c;
    begin_sums(c, t.partial, stride, s == 0 && block.goes_on_from);
    for (int terms = (block.length[s] + 1) & ~1; terms != 0; --terms) {
      add_term(c, a, {vld1q_f32(b), vld1q_f32(b + 4), vld1q_f32(b + 8), vld1q_f32(b + 12)});
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
void activate(float* values, int count) noexcept {
  const rounded_operations op;
  for (int i = 0; i < count; i += 16) {
    for (int j = i; j < i + 16; ++j)
      values[j] = bitwise_cast<float>(activate_bits(Act, bitwise_cast<uint32_t>(values[j]), op));
  }
}

/// gemm_kernels::finish.
template <class Lazy = void>
void finish(float* values, int count, const float* c, const float* bias, const gemm_finish& how) {
  const uint32x4_t infinity = vdupq_n_u32(binary<float>::infinity);
  const uint32x4_t nan      = vdupq_n_u32(binary<float>::nan);
  for (int i = 0; i < count; i += 4) {
    float32x4_t x = kept(vmulq_n_f32(vld1q_f32(values + i), how.alpha));
    if (c != nullptr) x = kept(vaddq_f32(x, kept(vmulq_n_f32(vld1q_f32(c + i), how.beta))));
    if (bias != nullptr) x = kept(vaddq_f32(x, vld1q_f32(bias + i)));
    uint32x4_t bits            = vreinterpretq_u32_f32(x);
    const uint32x4_t magnitude = vandq_u32(bits, vdupq_n_u32(binary<float>::magnitude_mask));
    bits                       = vbslq_u32(vcgtq_u32(magnitude, infinity), nan, bits);
    if (how.act == activation::relu)
      bits = vreinterpretq_u32_s32(vmaxq_s32(vreinterpretq_s32_u32(bits), vdupq_n_s32(0)));
    vst1q_f32(values + i, vreinterpretq_f32_u32(bits));
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

}  // namespace cpu::neon

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_AARCH64

#endif
