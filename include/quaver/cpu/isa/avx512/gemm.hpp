// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_GEMM_HPP
#define QUAVER_CPU_ISA_AVX512_GEMM_HPP

#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/isa/avx512/gemm_pack.hpp>

#if QUAVER_X86_64

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

// Tiles of up to 8 x 48 sums: 24 accumulators, three registers of B, one of A. Everything over rows and columns is a
// recursion of always-inlined templates: gcc -O2 does not unroll loops over arrays of accumulators, and spills them.

/// Hides where a value came from: no contraction, no reassociation, whatever the flags.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512 kept(__m512 x) {
  __asm__("" : "+v"(x));
  return x;
}

/// One step of the sums: two terms in the order of vdpbf16ps (the odd one first), which flushes subnormals. Asm, because
/// the intrinsic's type makes clang 16 recurse without end...
struct dot_step {
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE __m512 add(__m512 sum, __m512i a, __m512i b) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
};

/// One term of floats.
struct float_step {
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE __m512 add(__m512 sum, __m512i a, __m512i b) {
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
};

/// ... and the same by two fused multiply-adds, which do not.
struct fma_step {
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE __m512 add(__m512 sum, __m512i a, __m512i b) {
    sum = float_step::add(sum, odd_terms(a), odd_terms(b));
    return float_step::add(sum, even_terms(a), even_terms(b));
  }
};

template <size_t Rows, size_t Units>
struct accumulators {
  __m512 sum[Rows][Units];
};

/// A row of sums: every unit of B times a word of A.
template <class Step, size_t Units, size_t Unit = 0>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_row(__m512 (&sums)[Units], __m512i word, const __m512i (&b)[Units]) {
  if constexpr (Unit < Units) {
    sums[Unit] = Step::add(sums[Unit], word, b[Unit]);
    add_row<Step, Units, Unit + 1>(sums, word, b);
  }
}

/// Row `Row` and those below: every unit of B times a word of A, be it a pair or a float.
template <class Step, size_t Rows, size_t Units, size_t Row = 0>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_words(accumulators<Rows, Units>& c, const uint32_t* a,
                                                         const __m512i (&b)[Units]) {
  if constexpr (Row < Rows) {
    const __m512i word = _mm512_set1_epi32(static_cast<int>(a[Row]));
    add_row<Step>(c.sum[Row], word, b);
    add_words<Step, Rows, Units, Row + 1>(c, a, b);
  }
}

/// Sets the sums to zero, or to what they were at the end of the block before.
template <size_t Rows, size_t Units, size_t At = 0>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void begin_sums(accumulators<Rows, Units>& c, const float* partial,
                                                          size_t stride, bool goes_on) {
  if constexpr (At < Rows * Units) {
    constexpr size_t row = At / Units;
    constexpr size_t col = At % Units;
    const float* place   = partial + row * stride + 16 * col;
    c.sum[row][col]      = goes_on ? _mm512_loadu_ps(place) : _mm512_setzero_ps();
    if (goes_on) _mm_prefetch(reinterpret_cast<const char*>(place + Rows * stride), _MM_HINT_T0);
    begin_sums<Rows, Units, At + 1>(c, partial, stride, goes_on);
  }
}

template <size_t Rows, size_t Units, size_t At = 0>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void store_partial(const accumulators<Rows, Units>& c, float* partial,
                                                             size_t stride) {
  if constexpr (At < Rows * Units) {
    constexpr size_t row = At / Units;
    constexpr size_t col = At % Units;
    _mm512_storeu_ps(partial + row * stride + 16 * col, c.sum[row][col]);
    store_partial<Rows, Units, At + 1>(c, partial, stride);
  }
}

/// total += sum * (scale of A * scale of B).
template <size_t Rows, size_t Units, size_t At = 0>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_to_total(const accumulators<Rows, Units>& c, float* total_at,
                                                            size_t stride, const float* a_scales, const float* b_scales,
                                                            bool fresh) {
  if constexpr (At < Rows * Units) {
    constexpr size_t row = At / Units;
    constexpr size_t col = At % Units;
    float* const place   = total_at + row * stride + 16 * col;
    const __m512 a_scale = _mm512_set1_ps(a_scales[row]);
    const __m512 scale   = kept(_mm512_mul_ps(a_scale, _mm512_loadu_ps(b_scales + 16 * col)));
    const __m512 scaled  = kept(_mm512_mul_ps(c.sum[row][col], scale));
    const __m512 total   = fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(place);
    _mm512_storeu_ps(place, kept(_mm512_add_ps(kept(total), scaled)));
    add_to_total<Rows, Units, At + 1>(c, total_at, stride, a_scales, b_scales, fresh);
  }
}

/// A register of each of the units.
template <size_t Units, size_t Unit = 0>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void load_units(__m512i (&b)[Units], const __m512i* at, int64_t between) {
  if constexpr (Unit < Units) {
    b[Unit] = _mm512_load_si512(at + static_cast<int64_t>(Unit) * between);
    load_units<Units, Unit + 1>(b, at, between);
  }
}

/// Units of pairs, as pack<pair_units> makes them: one pair of terms a step.
template <class Step, size_t Units>
struct pair_panels {
  static constexpr size_t units = Units;
  static constexpr int terms    = 2;          ///< a step
  static constexpr int words    = unit_rows;  ///< of A, a step
  const __m512i* at;
  int64_t between;  ///< units

  template <size_t Rows>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add(accumulators<Rows, Units>& c, const uint32_t* a) const {
    __m512i b[Units];
    load_units(b, at, between);
    add_words<Step>(c, a, b);
  }
  QUAVER_ALWAYS_INLINE void advance() { ++at; }
};

/// Units of floats, as pack<float_units> makes them: two terms a step.
template <size_t Units>
struct float_panels {
  static constexpr size_t units = Units;
  static constexpr int terms    = 2;
  static constexpr int words    = 2 * unit_rows;
  const __m512i* at;
  int64_t between;

  template <size_t Rows>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add(accumulators<Rows, Units>& c, const uint32_t* a) const {
    __m512i b[Units];
    load_units(b, at, between);
    add_words<float_step>(c, a, b);
    load_units(b, at + 1, between);
    add_words<float_step>(c, a + unit_rows, b);
  }
  QUAVER_ALWAYS_INLINE void advance() { at += 2; }
};

/// Adds a decoded pair of terms of every unit.
template <class Step, size_t Rows, size_t Units>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_decoded(accumulators<Rows, Units>& c, const uint32_t* a,
                                                           const __m512i (&pairs)[Units]) {
  if constexpr (same_type<Step, float_step>) {
    __m512i terms[Units];
    for (size_t u = 0; u < Units; ++u) terms[u] = odd_terms(pairs[u]);
    add_words<Step>(c, a, terms);
    for (size_t u = 0; u < Units; ++u) terms[u] = even_terms(pairs[u]);
    add_words<Step>(c, a + unit_rows, terms);
  } else {
    add_words<Step>(c, a, pairs);
  }
}

/// Groups of packed codes, decoded on the way: two pairs of terms a step.
template <class Step, size_t Groups, bool Symmetric>
struct packed_groups {
  static constexpr size_t units = 2 * Groups;
  static constexpr int terms    = 4;
  static constexpr int words    = 2 * unit_rows * (same_type<Step, float_step> ? 2 : 1);
  const uint8_t* at;
  int64_t between;  ///< bytes
  code_registers<Symmetric> table;

  template <size_t Rows>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add(accumulators<Rows, units>& c, const uint32_t* a) const {
    // The next strip comes after this block of K: its lines, as many as are used up here. From memory this makes the
    // difference between two thirds of the read limit and five sixths.
    const auto next = reinterpret_cast<std::uintptr_t>(at) + Groups * static_cast<std::uintptr_t>(between);
    for (size_t g = 0; g < Groups; ++g) {
      const std::uintptr_t line = next + g * static_cast<std::uintptr_t>(between);
      _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(line + 64), _MM_HINT_T1);
    }
    __m512i first[units];
    __m512i second[units];
    decode_64(_mm512_loadu_si512(at), table, first[0], second[0]);
    decode_64(_mm512_loadu_si512(at + 64), table, first[1], second[1]);
    if constexpr (Groups > 1) {
      decode_64(_mm512_loadu_si512(at + between), table, first[2], second[2]);
      decode_64(_mm512_loadu_si512(at + between + 64), table, first[3], second[3]);
    }
    add_decoded<Step>(c, a, first);
    add_decoded<Step>(c, a + words / 2, second);
  }
  QUAVER_ALWAYS_INLINE void advance() { at += 128; }
};

/// The whole of a tile over a block.
template <size_t Rows, class Panels>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void multiply(Panels b, const gemm_tile& t) {
  const auto* a           = static_cast<const uint32_t*>(t.a);
  const auto stride       = static_cast<size_t>(t.stride);
  const gemm_block& block = *t.block;
  bool fresh              = t.fresh;
  for (int s = 0; s < block.segments; ++s) {
    accumulators<Rows, Panels::units> c;
    begin_sums(c, t.partial, stride, s == 0 && block.goes_on_from);
    for (int left = block.length[s]; left > 0; left -= Panels::terms) {
      b.add(c, a);
      a += Panels::words;
      b.advance();
    }
    if (s + 1 == block.segments && block.goes_on_to) return store_partial(c, t.partial, stride);
    add_to_total(c, t.total, stride, t.a_scales + s * unit_rows, t.b_scales + s * t.stride, fresh);
    fresh = false;
  }
}

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
                                                     .finish          = finish<Lazy>};

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
