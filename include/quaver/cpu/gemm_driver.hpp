// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_GEMM_DRIVER_HPP
#define QUAVER_CPU_GEMM_DRIVER_HPP

#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/gemm_plan.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The scales of rows [row, row + rows) at term k.
inline void load_scales(const gemm_operand& x, int64_t row, int rows, int64_t k, float* out) noexcept {
  const scale_layout& layout = x.layout;
  const bool none            = x.scales == nullptr && x.scales_e8m0 == nullptr && x.scales_e4m3 == nullptr;
  if (none) {
    for (int r = 0; r < rows; ++r) out[r] = 1.0f;
    return;
  }
  const scale_places places = layout.places(x.rows, x.cols);
  const int64_t of_col      = places.of_col(layout.block_cols == 0 ? 0 : k / layout.block_cols);
  int64_t row_block         = layout.block_rows == 0 ? 0 : row / layout.block_rows;
  int64_t left              = layout.block_rows == 0 ? rows : (row_block + 1) * layout.block_rows - row;
  for (int r = 0; r < rows; ++row_block, left = layout.block_rows) {
    const int64_t at = places.of_row(row_block) + of_col;
    uint32_t scale   = 0;
    switch (layout.type) {
      case scale_type::f32: scale = bitwise_cast<uint32_t>(x.scales[at]); break;
      case scale_type::mx_e8m0: scale = decode_bits(x.scales_e8m0[at]); break;
      case scale_type::nvfp4_e4m3:
        scale = product_bits(lookup_bits(x.scales_e4m3[at]), bitwise_cast<uint32_t>(*x.tensor_wide));
        break;
    }
    const int64_t end = r + left < rows ? r + left : rows;
    for (; r < end; ++r) out[r] = bitwise_cast<float>(scale);
  }
}

/// Operand x of problem `batch`.
inline gemm_operand operand_of(gemm_operand x, int64_t batch, int64_t stride, int64_t scale_stride) noexcept {
  const bool floats   = x.kind == element_kind::binary32 || x.kind == element_kind::whole_binary32;
  const int64_t bytes = floats ? 4 : x.kind == element_kind::bfloat16 ? 2 : 1;
  if (batch == 0) return x;
  x.data = static_cast<const std::byte*>(x.data) + batch * stride * bytes;
  if (x.scales != nullptr) x.scales += batch * scale_stride;
  if (x.scales_e8m0 != nullptr) x.scales_e8m0 += batch * scale_stride;
  if (x.scales_e4m3 != nullptr) x.scales_e4m3 += batch * scale_stride;
  return x;
}

/// One part of a GEMM: its strips, one chunk after the other, in its slice of the workspace.
class gemm_part {
 public:
  gemm_part(const gemm_work& work, const gemm_plan& plan, std::byte* slice) noexcept
      : work_(work),
        plan_(plan),
        kernels_(*plan.kernels),
        a_panel_(slice + plan.a_panel),
        b_panel_(slice + plan.b_panel),
        a_scales_(reinterpret_cast<float*>(slice + plan.a_scales)),
        b_scales_(reinterpret_cast<float*>(slice + plan.b_scales)),
        plain_(reinterpret_cast<bool*>(slice + plan.plain)),
        totals_(reinterpret_cast<float*>(slice + plan.totals)),
        partials_(reinterpret_cast<float*>(slice + plan.partials)),
        unit_bytes_(plan.pairs * unit_rows * plan.kernels->pair_bytes) {}

  /// Strips [begin, end) of all, counted through the blocks of rows and the batches. Returns the amax of their values.
  uint32_t run(int64_t begin, int64_t end) noexcept {
    const standard_float_environment environment;
    while (begin < end) {
      const int64_t block      = begin / plan_.strips;
      const int64_t strip      = begin % plan_.strips;
      const int64_t within     = plan_.strips - strip < end - begin ? plan_.strips - strip : end - begin;
      const int64_t chunk      = divide_up(within, divide_up(within, plan_.chunk_strips));  // chunks of like size
      const int64_t row        = block % plan_.row_blocks * plan_.block_rows;
      const int64_t rows_below = work_.a.rows - row;
      run_chunk(block / plan_.row_blocks, row, rows_below < plan_.block_rows ? rows_below : plan_.block_rows, strip,
                chunk);
      begin += chunk;
    }
    return amax_;
  }

 private:
  void run_chunk(int64_t batch, int64_t row, int64_t rows, int64_t first_strip, int64_t strips) noexcept {
    batch_                 = batch;
    row_                   = row;
    rows_                  = rows;
    const gemm_batches& by = work_.batches;
    const gemm_operand a   = operand_of(work_.a, batch, by.a_stride, by.a_scale_stride);
    const gemm_operand b   = operand_of(work_.b, batch, by.b_stride, by.b_scale_stride);
    const int64_t depth    = a.cols;
    fresh_                 = true;
    block_                 = 0;
    if (depth == 0) {
      for (int64_t s = 0; s < strips; ++s) {
        std::memset(totals_, 0, static_cast<size_t>(plan_.block_rows * plan_.strip_cols) * sizeof(float));
        finish_strip(first_strip + s, totals_);
      }
      return;
    }
    const auto each_block = [&](const auto& visit) {
      for (int64_t k = 0; k < depth;) {
        const gemm_block block = block_from(k, depth, a.layout.block_cols, b.layout.block_cols);
        k                      = block.end;
        visit(block);
      }
    };
    if (plan_.whole_a) {
      each_block([&](const gemm_block& block) { pack_a(a, block), ++block_; });
      for (int64_t s = 0; s < strips; ++s) {
        fresh_ = true;
        block_ = 0;
        each_block([&](const gemm_block& block) {
          multiply_strip(b, block, (first_strip + s) * plan_.strip_cols, 0);
          if (block.ends_piece()) fresh_ = false;
          ++block_;
        });
        finish_strip(first_strip + s, totals_);
      }
      return;
    }
    each_block([&](const gemm_block& block) {
      pack_a(a, block);
      for (int64_t s = 0; s < strips; ++s) {
        multiply_strip(b, block, (first_strip + s) * plan_.strip_cols, s);
        if (block.end == depth) finish_strip(first_strip + s, totals_of(s));
      }
      if (block.ends_piece()) fresh_ = false;
    });
  }

  void pack_a(const gemm_operand& a, const gemm_block& block) noexcept {
    const bool narrow = (a.table == nullptr || a.table->narrow) && work_.b.table->narrow;
    for (int64_t u = 0; u * unit_rows < rows_; ++u) {
      const int64_t at  = row_ + u * unit_rows;
      const int rows    = rows_in(u);
      plain_[a_unit(u)] = kernels_.pack(a, at, rows, block, a_panel_ + a_unit(u) * unit_bytes_) && narrow;
      float* scales     = a_scales_ + a_unit(u) * plan_.segments * unit_rows;
      each_segment(block, [&](int s, int64_t k) { load_scales(a, at, rows, k, scales + s * unit_rows); });
    }
  }

  /// Packs the columns [col, col + strip) of B^T and multiplies them with all of A's packed rows.
  void multiply_strip(const gemm_operand& b, const gemm_block& block, int64_t col, int64_t strip) noexcept {
    const auto cols_left = static_cast<int>(b.rows - col < plan_.strip_cols ? b.rows - col : plan_.strip_cols);
    each_segment(block, [&](int s, int64_t k) { load_scales(b, col, cols_left, k, b_scales_ + s * plan_.strip_cols); });
    // Packed codes are read in place where a pair of terms is a pair there too, others where whole lines can be.
    const bool fit      = plain_[a_unit(0)] || kernels_.tile == kernels_.tile_any;
    const bool codes    = plan_.codes && block.quads && fit;
    const bool lines    = plan_.lines && block.lines && fit && cols_left == plan_.strip_cols;
    const bool in_place = codes || lines;
    gemm_tile tile;
    tile.block   = &block;
    tile.stride  = plan_.strip_cols;
    tile.fresh   = fresh_;
    tile.b_table = b.table;
    if (in_place) {
      const int64_t first = codes ? packed_offset(b.row_stride, col, block.begin) : col * b.row_stride + block.begin;
      tile.b              = static_cast<const uint8_t*>(b.data) + first;
      tile.b_unit_stride  = b.row_stride;  // to the next group of 32, or to the next row
    } else {
      for (int at = 0; at < cols_left; at += unit_rows) {
        const int rows = cols_left - at < unit_rows ? cols_left - at : unit_rows;
        kernels_.pack(b, col + at, rows, block, b_panel_ + at / unit_rows * unit_bytes_);
      }
      tile.b             = b_panel_;
      tile.b_unit_stride = unit_bytes_;
    }
    const int units     = static_cast<int>(divide_up(cols_left, unit_rows));
    const int at_once   = in_place ? units : kernels_.tile_cols / unit_rows;
    const auto* panels  = static_cast<const std::byte*>(tile.b);
    const auto multiply = [&](int64_t u, int from, int rows) {
      tile.a            = a_panel_ + a_unit(u) * unit_bytes_ + from * kernels_.row_bytes;
      tile.a_scales     = a_scales_ + a_unit(u) * plan_.segments * unit_rows + from;
      const auto kernel = codes               ? kernels_.tile_codes
                          : lines             ? kernels_.tile_lines
                          : plain_[a_unit(u)] ? kernels_.tile
                                              : kernels_.tile_any;
      for (int first = 0; first < units; first += at_once) {
        const int64_t at = (totals_of(strip) - totals_) + (u * unit_rows + from) * plan_.strip_cols + first * unit_rows;
        tile.b           = panels + first * unit_bytes_;
        tile.b_scales    = b_scales_ + first * unit_rows;
        tile.total       = totals_ + at;
        tile.partial     = partials_ + at;
        kernel(rows, units - first < at_once ? units - first : at_once, tile);
      }
    };
    for (int64_t u = 0; u * unit_rows < rows_; ++u) {
      const int rows = rows_in(u);
      for (int from = 0; from < rows; from += kernels_.tile_rows)
        multiply(u, from, rows - from < kernels_.tile_rows ? rows - from : kernels_.tile_rows);
    }
  }

  /// alpha, C, bias, activation, amax and rounding for a strip whose sums are complete.
  void finish_strip(int64_t strip, float* totals) noexcept {
    const int64_t col = strip * plan_.strip_cols;
    const int cols    = static_cast<int>(work_.b.rows - col < plan_.strip_cols ? work_.b.rows - col : plan_.strip_cols);
    const int64_t c_bytes   = work_.d_bytes;
    float bias[widest_tile] = {};
    float old[widest_tile]  = {};
    if (work_.bias != nullptr)
      std::memcpy(bias, work_.bias + batch_ * work_.batches.bias_stride + col,
                  static_cast<size_t>(cols) * sizeof(float));
    for (int64_t r = 0; r < rows_; ++r) {
      float* values     = totals + r * plan_.strip_cols;
      const int64_t row = row_ + r;
      if (work_.c != nullptr) {
        const int64_t at = batch_ * work_.batches.c_stride + row * work_.c_row_stride + col * work_.c_col_stride;
        work_.load(static_cast<const std::byte*>(work_.c) + at * c_bytes, work_.c_col_stride, cols, old);
      }
      kernels_.finish(values, plan_.strip_cols, work_.c != nullptr ? old : nullptr,
                      work_.bias != nullptr ? bias : nullptr, work_.finish);
      if (work_.wants_amax) {
        for (int i = 0; i < cols; ++i) amax_ = larger_magnitude(amax_, values[i]);
      }
      const int64_t at = batch_ * work_.batches.d_stride + row * work_.d_row_stride + col * work_.d_col_stride;
      work_.store(values, cols, work_.quant, work_.tier, static_cast<std::byte*>(work_.d) + at * work_.d_bytes,
                  work_.d_col_stride);
    }
  }

  /// Calls visit(segment, its first term).
  template <class Visit>
  static void each_segment(const gemm_block& block, const Visit& visit) noexcept {
    int64_t k = block.begin;
    for (int s = 0; s < block.segments; ++s) {
      visit(s, k);
      k += block.length[s];
    }
  }

  [[nodiscard]] int rows_in(int64_t unit) const noexcept {
    return static_cast<int>(rows_ - unit * unit_rows < unit_rows ? rows_ - unit * unit_rows : unit_rows);
  }
  /// Where unit `u` of A stands for the block at hand.
  [[nodiscard]] int64_t a_unit(int64_t u) const noexcept { return block_ * (plan_.block_rows / unit_rows) + u; }
  [[nodiscard]] float* totals_of(int64_t strip) const noexcept {
    return totals_ + strip * plan_.block_rows * plan_.strip_cols;
  }

  const gemm_work& work_;
  const gemm_plan& plan_;
  const gemm_kernels& kernels_;
  std::byte* a_panel_;
  std::byte* b_panel_;
  float* a_scales_;
  float* b_scales_;
  bool* plain_;
  float* totals_;
  float* partials_;
  int64_t unit_bytes_;
  int64_t batch_ = 0;
  int64_t row_   = 0;
  int64_t rows_  = 0;
  int64_t block_ = 0;  ///< of K, by its number, where all of A is packed
  bool fresh_    = true;
  uint32_t amax_ = 0;
};

/// Runs a planned GEMM in plan.workspace() bytes. Returns the amax of all values, as bits.
inline uint32_t run_gemm(const gemm_work& work, const gemm_plan& plan, const executor& threads,
                         void* workspace) noexcept {
  const auto unaligned = reinterpret_cast<std::uintptr_t>(workspace);
  auto* const slices   = static_cast<std::byte*>(workspace) + (64 - unaligned % 64) % 64;
  const int64_t strips = plan.strips * plan.row_blocks * work.batches.count;
  const auto amax_of   = [&](size_t i) { return reinterpret_cast<uint32_t*>(slices + i * plan.slice + plan.amax); };
  threads.for_each(plan.parts, [&](size_t i) {
    const part mine = part_of(strips, plan.parts, i);
    *amax_of(i)     = gemm_part(work, plan, slices + i * plan.slice).run(mine.begin, mine.end);
  });
  uint32_t amax = 0;
  for (size_t i = 0; i < plan.parts; ++i) amax = *amax_of(i) > amax ? *amax_of(i) : amax;
  return amax;
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
