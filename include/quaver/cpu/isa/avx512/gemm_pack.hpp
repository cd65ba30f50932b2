// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_AVX512_GEMM_PACK_HPP
#define QUAVER_CPU_ISA_AVX512_GEMM_PACK_HPP

#include <quaver/cpu/isa/portable/gemm_stage.hpp>

#if QUAVER_X86_64

#include <immintrin.h>

QUAVER_BEGIN_INTRINSICS
QUAVER_BEGIN_NAMESPACE

namespace cpu::avx512 {

/// The odd terms of pairs, and the even ones, as floats.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i odd_terms(__m512i pairs) {
  return _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xFFFF'0000u)));
}
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i even_terms(__m512i pairs) { return _mm512_slli_epi32(pairs, 16); }

// How a pair of terms of 16 rows, as bfloat16 (the even term in the low half), stands in a unit.

/// As it is, 64 bytes: what vdpbf16ps reads, and broadcasts from.
struct pair_units {
  static constexpr int64_t words = 1;  ///< of 32 bits, a pair of a row
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE void put(__m512i* unit, int64_t pair, __m512i terms) {
    _mm512_store_si512(unit + pair, terms);
  }
  static void put_one(uint32_t* unit, int64_t pair, int row, uint32_t terms) { unit[pair * unit_rows + row] = terms; }
};

/// As floats, the odd term first: the portable tier's unit, the order of the sums.
struct float_units {
  static constexpr int64_t words = 2;
  QUAVER_TARGET_AVX512 static QUAVER_ALWAYS_INLINE void put(__m512i* unit, int64_t pair, __m512i terms) {
    _mm512_store_si512(unit + 2 * pair, odd_terms(terms));
    _mm512_store_si512(unit + 2 * pair + 1, even_terms(terms));
  }
  static void put_one(uint32_t* unit, int64_t pair, int row, uint32_t terms) {
    unit[2 * pair * unit_rows + row]       = terms & 0xFFFF'0000u;
    unit[(2 * pair + 1) * unit_rows + row] = terms << 16;
  }
};

/// A table of codes in registers: 128 or 256 entries of two bytes.
template <bool Symmetric>
struct code_registers {
  __m512i low[Symmetric ? 2 : 4];
  __m512i high[Symmetric ? 2 : 4];
};

template <bool Symmetric>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE code_registers<Symmetric> load_code_table(const bfloat16_table& table) {
  code_registers<Symmetric> t;
  for (int i = 0; i < (Symmetric ? 2 : 4); ++i) {
    t.low[i]  = _mm512_load_si512(table.low + 64 * i);
    t.high[i] = _mm512_load_si512(table.high + 64 * i);
  }
  return t;
}

/// 64 codes as bfloat16: of every 16 bytes the first 8 go to `first`, the others to `second`.
template <bool Symmetric>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void decode_64(__m512i codes, const code_registers<Symmetric>& t,
                                                         __m512i& first, __m512i& second) {
  __m512i low  = _mm512_permutex2var_epi8(t.low[0], codes, t.low[1]);  // the index has 7 bits
  __m512i high = _mm512_permutex2var_epi8(t.high[0], codes, t.high[1]);
  if constexpr (Symmetric) {
    // high | (codes & 80), in one step
    high = _mm512_ternarylogic_epi32(high, codes, _mm512_set1_epi8(static_cast<char>(0x80)), 0xF8);
  } else {
    const __mmask64 upper = _mm512_movepi8_mask(codes);
    low                   = _mm512_mask_blend_epi8(upper, low, _mm512_permutex2var_epi8(t.low[2], codes, t.low[3]));
    high                  = _mm512_mask_blend_epi8(upper, high, _mm512_permutex2var_epi8(t.high[2], codes, t.high[3]));
  }
  first  = _mm512_unpacklo_epi8(low, high);
  second = _mm512_unpackhi_epi8(low, high);
}

/// Rows i, 4 + i, 8 + i and 12 + i, 16 bytes of each.
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE __m512i load_lanes(const uint8_t* at, int64_t stride) {
  const auto* row0  = reinterpret_cast<const __m128i*>(at);
  const auto* row4  = reinterpret_cast<const __m128i*>(at + 4 * stride);
  const auto* row8  = reinterpret_cast<const __m128i*>(at + 8 * stride);
  const auto* row12 = reinterpret_cast<const __m128i*>(at + 12 * stride);

  __m512i lanes = _mm512_castsi128_si512(_mm_loadu_si128(row0));
  lanes         = _mm512_inserti32x4(lanes, _mm_loadu_si128(row4), 1);
  lanes         = _mm512_inserti32x4(lanes, _mm_loadu_si128(row8), 2);
  return _mm512_inserti32x4(lanes, _mm_loadu_si128(row12), 3);
}

/// 16 rows of 16 codes, four by load_lanes, become 8 pairs: a transposition of words within the four lanes, then the
/// table.
template <bool Symmetric>
QUAVER_TARGET_AVX512 QUAVER_ALWAYS_INLINE void decode_lanes(__m512i r0, __m512i r1, __m512i r2, __m512i r3,
                                                            const code_registers<Symmetric>& t, __m512i (&pairs)[8]) {
  const __m512i low01  = _mm512_unpacklo_epi16(r0, r1);
  const __m512i high01 = _mm512_unpackhi_epi16(r0, r1);
  const __m512i low23  = _mm512_unpacklo_epi16(r2, r3);
  const __m512i high23 = _mm512_unpackhi_epi16(r2, r3);

  decode_64(_mm512_unpacklo_epi32(low01, low23), t, pairs[0], pairs[1]);
  decode_64(_mm512_unpackhi_epi32(low01, low23), t, pairs[2], pairs[3]);
  decode_64(_mm512_unpacklo_epi32(high01, high23), t, pairs[4], pairs[5]);
  decode_64(_mm512_unpackhi_epi32(high01, high23), t, pairs[6], pairs[7]);
}

/// Rows of codes at any stride, 16 of them.
template <class Units, bool Symmetric>
QUAVER_TARGET_AVX512 inline void pack_codes(const uint8_t* at, int64_t stride, int64_t terms,
                                            const bfloat16_table& table, __m512i* unit) {
  const code_registers<Symmetric> t = load_code_table<Symmetric>(table);
  for (int64_t k = 0; k < terms; k += 16) {
    // The 16 rows below come next, and the few hundred bytes of a row are too short a stretch for the hardware to
    // prefetch: a line of four of those rows every time.
    const auto ahead = reinterpret_cast<std::uintptr_t>(at) + static_cast<std::uintptr_t>(k & ~int64_t{63});
    const int64_t r  = unit_rows + (k & 63) / 4;
    for (int i = 0; i < 4; ++i)
      _mm_prefetch(reinterpret_cast<const char*>(ahead + static_cast<std::uintptr_t>((r + i) * stride)), _MM_HINT_T1);
    __m512i pairs[8];
    decode_lanes(load_lanes(at + k, stride), load_lanes(at + k + stride, stride),
                 load_lanes(at + k + 2 * stride, stride), load_lanes(at + k + 3 * stride, stride), t, pairs);
    for (int i = 0; i < 8; ++i) Units::put(unit, k / 2 + i, pairs[i]);
  }
}

/// Codes that lie as packed_weight lays them: 64 bytes are two pairs, the next two follow 128 bytes on.
template <class Units, bool Symmetric>
QUAVER_TARGET_AVX512 inline void unpack_codes(const uint8_t* at, int64_t terms, const bfloat16_table& table,
                                              __m512i* unit) {
  const code_registers<Symmetric> t = load_code_table<Symmetric>(table);
  for (int64_t k = 0; k < terms; k += 4) {
    __m512i first;
    __m512i second;
    decode_64(_mm512_loadu_si512(at + k / 4 * 128), t, first, second);
    Units::put(unit, k / 2, first);
    Units::put(unit, k / 2 + 1, second);
  }
}

/// gemm_kernels::pack.
template <class Units>
QUAVER_TARGET_AVX512 inline bool pack(const gemm_operand& x, int64_t row, int rows, const gemm_block& block,
                                      void* memory) {
  auto* const unit = static_cast<__m512i*>(memory);
  if (same_type<Units, float_units> && x.kind == element_kind::whole_binary32) {
    lay_out_floats(x, row, rows, block, static_cast<float*>(memory));
    return false;
  }
  if (x.table == nullptr) {
    stage<uint16_t> values;
    const bool plain = stage_activations(x, row, rows, block, values);
    auto* const out  = static_cast<uint32_t*>(memory);
    for (int r = 0; r < unit_rows; ++r) {
      for (int p = 0; p < (block.pairs + 1) / 2 * 2; ++p) {
        uint32_t terms;
        std::memcpy(&terms, &values.rows[r][2 * p], 4);
        Units::put_one(out, p, r, terms);
      }
    }
    return plain;
  }
  const int64_t terms = block.end - block.begin;
  if (block.dense && x.kind == element_kind::packed_code && block.begin % 4 == 0) {
    const auto* at    = static_cast<const uint8_t*>(x.data) + packed_offset(x.row_stride, row, block.begin);
    const auto unpack = x.table->symmetric ? unpack_codes<Units, true> : unpack_codes<Units, false>;
    unpack(at, terms, *x.table, unit);
    return true;
  }
  // Whole sixteens of terms in place; what is left, and all that does not lie side by side, by way of a stage.
  const auto pack_terms   = x.table->symmetric ? pack_codes<Units, true> : pack_codes<Units, false>;
  const bool side_by_side = block.dense && x.kind == element_kind::code && x.col_stride == 1 && rows == unit_rows;
  const int64_t in_place  = side_by_side ? terms & ~int64_t{15} : 0;
  if (in_place != 0) {
    const auto* codes = static_cast<const uint8_t*>(x.data) + row * x.row_stride + block.begin;
    pack_terms(codes, x.row_stride, in_place, *x.table, unit);
  }
  if (in_place != terms) {
    stage<uint8_t> codes;
    stage_codes(x, row, rows, block, codes);
    pack_terms(codes.rows[0] + in_place, block_terms, 2 * block.pairs - in_place, *x.table,
               unit + in_place / 2 * Units::words);
  }
  return true;
}

}  // namespace cpu::avx512

QUAVER_END_NAMESPACE
QUAVER_END_INTRINSICS

#endif  // QUAVER_X86_64

#endif
