// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_GEMM_PLAN_HPP
#define QUAVER_CPU_GEMM_PLAN_HPP

#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/isa/gemm_kernels.hpp>
#include <quaver/problem/gemm_problem.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// A gemm_problem whose types have become tables and functions: what the driver works on.
struct gemm_work {
  gemm_operand a{};
  gemm_operand b{};
  void* d              = nullptr;
  int64_t d_row_stride = 0;
  int64_t d_col_stride = 0;
  int64_t d_bytes      = 0;        ///< of an element
  const void* c        = nullptr;  ///< null where beta is 0
  int64_t c_row_stride = 0;
  int64_t c_col_stride = 0;
  const float* bias    = nullptr;
  gemm_finish finish{};
  uint32_t quant  = 0;  ///< the bits of d_scale
  bool wants_amax = false;
  cpu::tier tier  = cpu::tier::portable;  ///< for `store`
  gemm_batches batches{};
  /// Rounds values to D's type, and reads C's. Inside a standard_float_environment.
  void (*store)(const float* values, int count, uint32_t quant, cpu::tier t, void* d, int64_t stride) = nullptr;
  void (*load)(const void* c, int64_t stride, int count, float* values)                               = nullptr;
};

constexpr int64_t divide_up(int64_t a, int64_t b) noexcept { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) noexcept { return divide_up(a, b) * b; }

/// The block of K that starts at `begin`: as many pieces, whole or begun, as make block_pairs pairs.
inline gemm_block block_from(int64_t begin, int64_t depth, int a_width, int b_width) noexcept {
  // The first k after `k` at which a scale changes.
  const auto piece_end = [depth](int width, int64_t k) {
    const int64_t end = width == 0 ? depth : (k / width + 1) * width;
    return end < depth ? end : depth;
  };
  const auto is_cut = [](int width, int64_t k) { return k == 0 || (width != 0 && k % width == 0); };
  gemm_block block;
  block.begin        = begin;
  block.pairs        = 0;
  block.segments     = 0;
  block.goes_on_from = !is_cut(a_width, begin) && !is_cut(b_width, begin);
  block.goes_on_to   = false;
  block.dense        = true;
  block.quads        = begin % 4 == 0;
  block.lines        = true;
  int64_t k          = begin;
  bool odd           = false;
  while (k < depth && block.pairs < block_pairs && !block.goes_on_to) {
    const int64_t a_end = piece_end(a_width, k);
    const int64_t b_end = piece_end(b_width, k);
    int64_t length      = (a_end < b_end ? a_end : b_end) - k;
    const int64_t room  = 2 * (block_pairs - block.pairs);
    block.goes_on_to    = length > room;
    if (block.goes_on_to) length = room;
    block.dense                    = block.dense && !odd;
    block.quads                    = block.quads && (length % 4 == 0 || k + length == depth);
    block.lines                    = block.lines && length % 64 == 0;
    odd                            = length % 2 != 0;
    block.length[block.segments++] = static_cast<int16_t>(length);
    block.pairs += static_cast<int>((length + 1) / 2);
    k += length;
  }
  block.end = k;
  return block;
}

inline int64_t count_blocks(int64_t depth, int a_width, int b_width) noexcept {
  int64_t count = 0;
  for (int64_t k = 0; k < depth; ++count) k = block_from(k, depth, a_width, b_width).end;
  return count;
}

/// How a GEMM is cut. Nothing of it changes a bit of D: every sum runs over the whole of K in the stated order.
///
/// D is cut into blocks of `block_rows` rows and these into strips as wide as a tile. The strips of all blocks and
/// batches, numbered through, are dealt out to `parts`. A part takes up to chunk_strips of them at a time. For those it
/// goes through K block by block: packs the rows of A, then strip after strip packs those of B and multiplies them with
/// all of A; sums wait in its slice of the workspace. With few rows there is nothing to win by returning to a strip
/// for the next block of K, and memory is read half as fast in short stretches of many rows: there A comes first.
struct gemm_plan {
  const gemm_kernels* kernels = nullptr;
  bool codes                  = false;  ///< tiles read packed codes
  bool lines                  = false;  ///< tiles read codes where they lie in rows
  bool whole_a                = false;  ///< few rows: all of A is packed first, and a strip of B read from end to end
  int strip_cols              = 0;
  int64_t block_rows          = 0;
  int64_t row_blocks          = 0;
  int64_t strips              = 0;  ///< of one block of rows
  int64_t chunk_strips        = 0;
  int64_t pairs               = 0;  ///< of a block of K, at most
  int64_t segments            = 0;  ///< of a block of K, at most
  size_t parts                = 0;

  /// Where things stand in the slice of a part, in bytes.
  size_t a_panel  = 0;
  size_t b_panel  = 0;
  size_t a_scales = 0;
  size_t b_scales = 0;
  size_t plain    = 0;
  size_t totals   = 0;
  size_t partials = 0;
  size_t amax     = 0;  ///< a uint32_t: that of what the part wrote, as bits
  size_t slice    = 0;

  /// One byte more than the slices, so that they can be aligned within memory of any alignment.
  [[nodiscard]] size_t workspace() const noexcept { return parts == 0 ? 0 : parts * slice + 64; }
};

/// The segments that a block of K can have at most.
inline int64_t most_segments(const gemm_work& work, int64_t terms) noexcept {
  int64_t count = 1;
  for (const int width : {work.a.layout.block_cols, work.b.layout.block_cols})
    if (width != 0) count += terms / width + 1;
  return count < block_pairs ? count : block_pairs;
}

/// Cuts a problem whose operands fit each other for as many parts as run at a time.
inline gemm_plan plan_gemm(const gemm_work& work, const gemm_kernels& kernels, size_t width) noexcept {
  const int64_t most_rows     = (int64_t{1} << 20) / (block_pairs * kernels.pair_bytes);  // of A at a time: 1 MiB
  constexpr int64_t most_cols = 1024;

  gemm_plan plan;
  plan.kernels    = &kernels;
  const int64_t m = work.a.rows;
  const int64_t n = work.b.rows;
  const int64_t k = work.a.cols;
  if (m == 0 || n == 0 || work.batches.count == 0) return plan;

  plan.codes = work.b.kind == element_kind::packed_code && m <= kernels.most_codes_rows;
  plan.lines = work.b.kind == element_kind::code && work.b.col_stride == 1 && kernels.tile_lines != nullptr &&
               m <= kernels.few_rows;
  plan.whole_a    = m <= kernels.few_rows;
  plan.strip_cols = plan.lines ? 32 : !plan.codes ? kernels.tile_cols : m <= kernels.few_rows ? 64 : 32;
  plan.strips     = divide_up(n, plan.strip_cols);
  // Fewer rows a block where there are too few strips to go round.
  const auto wanted = static_cast<int64_t>(width < 1 ? 1 : width);
  plan.block_rows   = round_up(m < most_rows ? m : most_rows, unit_rows);
  const auto items  = [&] { return divide_up(m, plan.block_rows) * plan.strips * work.batches.count; };
  while (items() < 4 * wanted && wanted > 1 && plan.block_rows > unit_rows)
    plan.block_rows = round_up(plan.block_rows / 2, unit_rows);
  plan.row_blocks   = divide_up(m, plan.block_rows);
  plan.parts        = static_cast<size_t>(items() < wanted ? items() : wanted);
  const bool all    = plan.whole_a || plan.strips * plan.strip_cols < most_cols;
  plan.chunk_strips = all ? plan.strips : most_cols / plan.strip_cols;

  plan.pairs    = k < block_pairs ? round_up(k, 16) : block_pairs;  // enough even if every term were a piece
  plan.segments = most_segments(work, 2 * plan.pairs);

  const auto place = [&](int64_t bytes) {
    const size_t at = plan.slice;
    plan.slice += static_cast<size_t>(round_up(bytes, 64));
    return at;
  };
  const int64_t k_blocks  = plan.whole_a ? count_blocks(k, work.a.layout.block_cols, work.b.layout.block_cols) : 1;
  const int64_t units     = plan.block_rows / unit_rows * k_blocks;
  const int64_t unit      = plan.pairs * unit_rows * kernels.pair_bytes;
  const int64_t sums      = plan.block_rows * (plan.whole_a ? 1 : plan.chunk_strips) * plan.strip_cols;
  const bool one_k_block  = k <= plan.pairs;
  constexpr int64_t value = sizeof(float);

  plan.a_panel  = place(units * unit);
  plan.b_panel  = place(plan.strip_cols / unit_rows * unit);
  plan.a_scales = place(units * unit_rows * plan.segments * value);
  plan.b_scales = place(plan.strip_cols * plan.segments * value);
  plan.plain    = place(units);
  plan.totals   = place(sums * value);
  plan.amax     = place(sizeof(uint32_t));
  plan.partials = place(one_k_block ? 0 : sums * value);
  return plan;
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
