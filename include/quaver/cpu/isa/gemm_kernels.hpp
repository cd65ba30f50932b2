// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_GEMM_KERNELS_HPP
#define QUAVER_CPU_ISA_GEMM_KERNELS_HPP

// What a tier gives to the GEMM. The driver (gemm_driver.hpp) cuts the work and calls these; the formats have become
// tables by then, so that a tier has one set of kernels and not one for each pair of formats.
//
// All operands are packed as bfloat16 values (or floats that hold them): every 8-bit code is one. The unit of packing
// is 16 rows of A or of B by one block of K.

#include <quaver/cpu/decode_n.hpp>
#include <quaver/problem/activation.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

inline constexpr int unit_rows = 16;
/// Pairs of terms in a block of K: 512 terms, or fewer where pieces of odd length are padded.
inline constexpr int block_pairs = 256;
/// The widest tile of any tier, in columns.
inline constexpr int widest_tile = 64;

/// The 256 codes of a format as bfloat16, low and high bytes apart for byte shuffles.
struct alignas(64) bfloat16_table {
  uint8_t low[256];
  uint8_t high[256];
  bool symmetric;  ///< code + 128 is the negative of code (NaN being NaN): half of the table is enough
  bool narrow;     ///< nonzero values lie within 2^-40..2^40, so that no product or sum of products is subnormal
};

template <eight_bit F>
constexpr bfloat16_table make_bfloat16_table() {
  bfloat16_table table{};
  table.symmetric = true;
  table.narrow    = true;
  for (int code = 0; code < 256; ++code) {
    const uint32_t bits      = decode_bits(F::from_bits(static_cast<uint8_t>(code)));  // the low 16 are zero
    const uint32_t magnitude = bits & binary<float>::magnitude_mask;
    table.low[code]          = static_cast<uint8_t>(bits >> 16);
    table.high[code]         = static_cast<uint8_t>(bits >> 24);
    if (magnitude != 0 && magnitude < binary<float>::infinity)
      table.narrow = table.narrow && magnitude >= (127u - 40) << 23 && magnitude <= (127u + 40) << 23;
    const uint32_t positive = decode_bits(F::from_bits(static_cast<uint8_t>(code & 0x7F)));
    const bool both_nan     = magnitude > binary<float>::infinity && positive > binary<float>::infinity;
    if (code >= 128 && !both_nan) table.symmetric = table.symmetric && bits == (positive | binary<float>::sign_mask);
  }
  return table;
}
template <eight_bit F>
inline constexpr bfloat16_table bfloat16_table_of = make_bfloat16_table<F>();

/// What an operand's elements are.
enum class element_kind : uint8_t {
  code,
  packed_code,
  bfloat16,
  binary32,        ///< rounded to bfloat16 when packed
  whole_binary32,  ///< kept; units of pairs cannot hold them
};

/// A scaled_matrix of any format, or a packed_weight: what the kernels see of an operand.
struct gemm_operand {
  const void* data            = nullptr;
  int64_t rows                = 0;
  int64_t cols                = 0;
  int64_t row_stride          = 0;  ///< in elements; of packed codes, the bytes of a group
  int64_t col_stride          = 1;
  element_kind kind           = element_kind::code;
  const bfloat16_table* table = nullptr;  ///< of codes
  const uint32_t* floats      = nullptr;  ///< of codes: the same 256 values as binary32
  scale_layout layout{};
  const float* scales      = nullptr;  ///< for scale_type::f32; null with every other pointer: all scales are 1
  const e8m0* scales_e8m0  = nullptr;
  const e4m3* scales_e4m3  = nullptr;
  const float* tensor_wide = nullptr;
};

/// Packed codes (see packed_weight): groups of 32 rows; in a group, blocks of 4 k of 128 bytes; in a block two halves
/// of 16 rows; in a half four lanes of 4 rows; in a lane two pairs; then the 4 rows, two codes each.
constexpr int64_t packed_offset(int64_t group_stride, int64_t row, int64_t k) noexcept {
  return row / 32 * group_stride + k / 4 * 128 + row % 32 / 16 * 64 + row % 16 / 4 * 16 + k % 4 / 2 * 8 + row % 4 * 2 +
         k % 2;
}

/// The code of element (row, k) of an operand of codes.
inline uint8_t code_at(const gemm_operand& x, int64_t row, int64_t k) noexcept {
  const auto* codes = static_cast<const uint8_t*>(x.data);
  return codes[x.kind == element_kind::packed_code ? packed_offset(x.row_stride, row, k)
                                                   : row * x.row_stride + k * x.col_stride];
}

/// A stretch of K that is packed and multiplied at once. Its segments are pieces (stretches in which no scale changes)
/// or parts of one; each is packed to whole pairs.
struct gemm_block {
  int64_t begin;
  int64_t end;
  int pairs;
  int segments;
  bool goes_on_from;  ///< the first segment continues a piece of the block before
  bool goes_on_to;    ///< the last segment does not end its piece
  bool quads;         ///< dense, and only the end of K is no multiple of 4 terms from `begin`: fit for packed codes
  bool lines;         ///< every segment is a multiple of 64 terms
  bool dense;         ///< term k stands at k - begin: no segment but the last has an odd length
  int16_t length[block_pairs];  ///< the terms of each segment

  /// Whether a total was added to.
  [[nodiscard]] bool ends_piece() const noexcept { return segments > 1 || !goes_on_to; }
};

/// One tile: `rows` x (16 * `units`) sums of a block, from panels as `pack` makes them.
struct gemm_tile {
  const void* a;                  ///< the first row, in its unit
  const void* b;                  ///< the units of the columns; for tile_codes and tile_lines, codes at block.begin
  int64_t b_unit_stride;          ///< bytes between units of b; for tile_codes, groups; for tile_lines, rows
  const bfloat16_table* b_table;  ///< for tile_codes and tile_lines
  const gemm_block* block;
  const float* a_scales;  ///< per segment unit_rows
  const float* b_scales;  ///< per segment `stride`
  float* partial;         ///< rows of `stride` floats: the sum of the piece that goes on
  float* total;           ///< rows of `stride` floats
  int stride;
  bool fresh;  ///< no piece has ended before: `total` counts as 0 and is written first
};

/// The end of a row of D: the values, rounded once after each step.
struct gemm_finish {
  float alpha;
  float beta;
  activation act;
};

struct gemm_kernels {
  int tile_rows;        ///< at most
  int tile_cols;        ///< a multiple of 16, at most widest_tile
  int64_t pair_bytes;   ///< of a packed pair of terms of one row
  int64_t row_bytes;    ///< from a row of a packed unit to the next
  int most_codes_rows;  ///< tile_codes takes up to this many rows; 0: there is none
  int few_rows;         ///< up to this many rows tile_codes takes 64 columns, else 32, and there is tile_lines or none

  /// Packs rows [row, row + rows) of x, 16 at most, over a block; the rows that are missing hold anything. Returns
  /// whether every product with a narrow format is a normal number or zero and no sum is subnormal.
  bool (*pack)(const gemm_operand& x, int64_t row, int rows, const gemm_block& block, void* unit);
  /// Sums a block where every product is exact and every sum normal or zero.
  void (*tile)(int rows, int units, const gemm_tile& tile);
  /// The same for any operands: every step one fused multiply-add.
  void (*tile_any)(int rows, int units, const gemm_tile& tile);
  /// `tile` reading packed codes: the units of one group of 32 columns, or of two where the rows are few.
  void (*tile_codes)(int rows, int units, const gemm_tile& tile);
  /// `tile` of 32 columns and few rows reading codes that lie side by side in rows; null where there is none.
  void (*tile_lines)(int rows, int units, const gemm_tile& tile);
  /// values[i] = activation(values[i] * alpha + beta * c[i] + bias[i]), NaN canonical; a null c or bias adds nothing.
  /// `count` is a multiple of 16.
  void (*finish)(float* values, int count, const float* c, const float* bias, const gemm_finish& how);
};

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
