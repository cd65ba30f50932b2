// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ISA_PORTABLE_GEMM_STAGE_HPP
#define QUAVER_CPU_ISA_PORTABLE_GEMM_STAGE_HPP

#include <quaver/cpu/isa/gemm_kernels.hpp>

#include <cstring>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Terms of a block of K, padding included.
inline constexpr int block_terms = 2 * block_pairs;

/// 16 rows of an operand over a block, row-major, in the order and with the padding of the packed pairs: what makes any
/// stride, any length of piece and any tail of rows look alike to a tier's packing.
template <class T>
struct alignas(64) stage {
  T rows[unit_rows][block_terms];

  void clear() noexcept { std::memset(rows, 0, sizeof(rows)); }
};

/// Calls put(row, place, k) for every element of the block.
template <class Put>
void for_each_staged(int rows, const gemm_block& block, const Put& put) noexcept {
  for (int r = 0; r < rows; ++r) {
    int64_t k = block.begin;
    int place = 0;
    for (int s = 0; s < block.segments; ++s) {
      for (int i = 0; i < block.length[s]; ++i) put(r, place + i, k + i);
      k += block.length[s];
      place += (block.length[s] + 1) & ~1;
    }
  }
}

/// The codes of rows [row, row + rows); the rest is 0, the code of +0 in every format.
inline void stage_codes(const gemm_operand& x, int64_t row, int rows, const gemm_block& block,
                        stage<uint8_t>& out) noexcept {
  out.clear();
  if (block.dense && x.kind == element_kind::code && x.col_stride == 1) {
    const auto* first = static_cast<const uint8_t*>(x.data) + row * x.row_stride + block.begin;
    for (int r = 0; r < rows; ++r)
      std::memcpy(out.rows[r], first + r * x.row_stride, static_cast<size_t>(block.end - block.begin));
    return;
  }
  if (block.dense && x.kind == element_kind::packed_code && block.begin % 4 == 0) {
    for (int r = 0; r < rows; ++r) {
      const auto* at = static_cast<const uint8_t*>(x.data) + packed_offset(x.row_stride, row + r, block.begin);
      // Pairs stand 8 bytes apart in a block of four terms; what is beyond the end of K is 0 there too.
      for (int p = 0; p < block.pairs; ++p) std::memcpy(&out.rows[r][2 * p], at + p / 2 * 128 + p % 2 * 8, 2);
    }
    return;
  }
  for_each_staged(rows, block, [&](int r, int place, int64_t k) { out.rows[r][place] = code_at(x, row + r, k); });
}

/// A binary32 as the nearest bfloat16, ties to even; NaN becomes 7FC0.
constexpr uint16_t bfloat16_code(uint32_t bits) noexcept {
  const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
  const bool nan         = (bits & binary<float>::magnitude_mask) > binary<float>::infinity;
  return static_cast<uint16_t>(select(nan, uint32_t{0x7FC0}, rounded));
}
static_assert(bfloat16_code(0x7F7F'FFFFu) == 0x7F80 && bfloat16_code(0x3F80'8000u) == 0x3F80 &&
              bfloat16_code(0xFFFF'FFFFu) == 0x7FC0);

/// Whether a bfloat16 may be multiplied by any value of a narrow format, and the products summed, without a subnormal
/// or an overflowing product: it is zero, infinite, NaN, or within 2^-78..2^80. Then its last bit is 2^-85 or more,
/// that of a narrow format's value 2^-40, and every sum of products a multiple of 2^-125, a normal number.
constexpr bool is_plain(uint16_t code) noexcept {
  const uint32_t magnitude = code & 0x7FFFu;
  const bool ordinary      = magnitude >= (127u - 78) << 7 && magnitude <= (127u + 80) << 7;
  return magnitude == 0 || magnitude >= 0x7F80 || ordinary;
}

/// The same for activations, as bfloat16. Returns whether all are plain.
inline bool stage_activations(const gemm_operand& x, int64_t row, int rows, const gemm_block& block,
                              stage<uint16_t>& out) noexcept {
  out.clear();
  const int64_t first = row * x.row_stride;
  if (x.kind == element_kind::bfloat16) {
    const auto* values = static_cast<const uint16_t*>(x.data) + first;
    if (block.dense && x.col_stride == 1) {
      for (int r = 0; r < rows; ++r)
        std::memcpy(out.rows[r], values + r * x.row_stride + block.begin,
                    static_cast<size_t>(block.end - block.begin) * 2);
    } else {
      for_each_staged(rows, block, [&](int r, int place, int64_t k) {
        out.rows[r][place] = values[r * x.row_stride + k * x.col_stride];
      });
    }
  } else {
    const auto* values = static_cast<const float*>(x.data) + first;
    if (block.dense && x.col_stride == 1) {
      for (int r = 0; r < rows; ++r) {
        const float* from = values + r * x.row_stride + block.begin;
        for (int64_t i = 0; i < block.end - block.begin; ++i)
          out.rows[r][i] = bfloat16_code(bitwise_cast<uint32_t>(from[i]));
      }
    } else {
      for_each_staged(rows, block, [&](int r, int place, int64_t k) {
        out.rows[r][place] = bfloat16_code(bitwise_cast<uint32_t>(values[r * x.row_stride + k * x.col_stride]));
      });
    }
  }
  bool plain = true;
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < 2 * block.pairs; ++i) plain = plain & is_plain(out.rows[r][i]);
  }
  return plain;
}

/// Floats as they are, into a unit of floats: [term][16 rows], the odd term of each pair first; the rest is 0. Nothing is
/// known of their products.
inline void lay_out_floats(const gemm_operand& x, int64_t row, int rows, const gemm_block& block,
                           float* unit) noexcept {
  std::memset(unit, 0, static_cast<size_t>((block.pairs + 1) / 2 * 4 * unit_rows) * sizeof(float));
  const auto* values = static_cast<const float*>(x.data) + row * x.row_stride;
  for_each_staged(rows, block, [&](int r, int place, int64_t k) {
    unit[(place ^ 1) * unit_rows + r] = values[r * x.row_stride + k * x.col_stride];
  });
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
