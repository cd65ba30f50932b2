// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_GEMM_TILE_HPP
#define QUAVER_CPU_ISA_AVX512_GEMM_TILE_HPP

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

/// One step of the sums: a term of floats. Asm, because gcc makes copies of the accumulators for the intrinsic.
struct float_step {
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE __m512 add(__m512 sum, __m512i a, __m512i b) {
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
};

/// Or two terms in the order of vdpbf16ps (the odd one first), which flushes subnormals. Asm, because
/// the intrinsic's type makes clang 16 recurse without end...
struct dot_step {
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE __m512 add(__m512 sum, __m512i a, __m512i b) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
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

/// 32 rows of codes as they lie: 32 pairs of terms a step, whole lines of every row, transposed and decoded on the way.
template <bool Symmetric>
struct rows_of_codes {
  static constexpr size_t units = 2;
  static constexpr int terms    = 64;
  static constexpr int words    = terms / 2 * unit_rows;
  const uint8_t* at;
  int64_t stride;
  code_registers<Symmetric> table;

  template <size_t Rows>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add(accumulators<Rows, units>& c, const uint32_t* a) const {
    add_unit<0>(c, a);
    add_unit<1>(c, a);
  }
  template <size_t Unit, size_t Rows>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_unit(accumulators<Rows, units>& c, const uint32_t* a) const {
    const uint8_t* const first = at + static_cast<int64_t>(Unit * unit_rows) * stride;
    // The line of each row that stands 32 rows below: the next strip.
    const auto below = reinterpret_cast<std::uintptr_t>(first) + 32 * static_cast<std::uintptr_t>(stride);
    for (int r = 0; r < unit_rows; ++r)
      _mm_prefetch(reinterpret_cast<const char*>(below + static_cast<std::uintptr_t>(r * stride)), _MM_HINT_T1);
    // Line by line: with rows 4096 bytes apart 16 lines do not fit into one set of the first-level cache.
    __m512i lanes[4][4];
    load_lines(lanes, first);
    add_lanes<Unit>(c, a, lanes);
  }
  template <size_t At = 0>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void load_lines(__m512i (&lanes)[4][4], const uint8_t* first) const {
    if constexpr (At < 16) {
      lanes[At % 4][At / 4] = load_lanes(first + static_cast<int64_t>(At / 4) * stride + 16 * (At % 4), stride);
      load_lines<At + 1>(lanes, first);
    }
  }
  template <size_t Unit, size_t Rows, size_t At = 0>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void add_lanes(accumulators<Rows, units>& c, const uint32_t* a,
                                                           const __m512i (&lanes)[4][4]) const {
    if constexpr (At < 4) {
      __m512i pairs[8];
      decode_lanes(lanes[At][0], lanes[At][1], lanes[At][2], lanes[At][3], table, pairs);
      add_pairs<Unit>(c, a + At * 8 * unit_rows, pairs);
      add_lanes<Unit, Rows, At + 1>(c, a, lanes);
    }
  }
  template <size_t Unit, size_t Rows, size_t At = 0>
  QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE static void add_pairs(accumulators<Rows, units>& c, const uint32_t* a,
                                                                  const __m512i (&pairs)[8]) {
    if constexpr (At < 8 * Rows) {
      constexpr size_t pair = At / Rows;
      constexpr size_t row  = At % Rows;
      const __m512i word    = _mm512_set1_epi32(static_cast<int>(a[pair * unit_rows + row]));
      c.sum[row][Unit]      = dot_step::add(c.sum[row][Unit], word, pairs[pair]);
      add_pairs<Unit, Rows, At + 1>(c, a, pairs);
    }
  }
  QUAVER_ALWAYS_INLINE void advance() { at += terms; }
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

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
