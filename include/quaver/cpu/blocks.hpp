// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_BLOCKS_HPP
#define QUAVER_CPU_BLOCKS_HPP

#include <quaver/cpu/executor.hpp>
#include <quaver/tensor/matrix_view.hpp>
#include <quaver/tensor/scale_layout.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// One block of a matrix, cut off at its edges: rows [row, row_end), columns [col, col_end).
struct matrix_block {
  int64_t row, row_end, col, col_end;

  [[nodiscard]] constexpr int64_t rows() const noexcept { return row_end - row; }
  [[nodiscard]] constexpr int64_t cols() const noexcept { return col_end - col; }
};

/// The blocks of a layout over a matrix, in the order of their row-major grid.
class block_grid {
 public:
  constexpr block_grid(const scale_layout& layout, int64_t rows, int64_t cols) noexcept
      : rows_(rows),
        cols_(cols),
        height_(layout.rows_per_block(rows)),
        width_(layout.cols_per_block(cols)),
        down_(layout.scale_rows(rows)),
        right_(layout.scale_cols(cols)) {}

  [[nodiscard]] constexpr int64_t count() const noexcept { return down_ * right_; }

  /// Calls visit(matrix_block) for blocks [first, end).
  template <class Visit>
  void visit(int64_t first, int64_t end, const Visit& visit_block) const {
    if (first == end) return;
    int64_t down  = first / right_;
    int64_t right = first % right_;
    for (int64_t i = first; i < end; ++i) {
      const int64_t row = down * height_;
      const int64_t col = right * width_;
      visit_block(matrix_block{row, row + height_ < rows_ ? row + height_ : rows_, col,
                               col + width_ < cols_ ? col + width_ : cols_});
      if (++right == right_) {
        right = 0;
        ++down;
      }
    }
  }

 private:
  int64_t rows_, cols_, height_, width_, down_, right_;
};

/// Calls visit(matrix_block) for every block of the layout, in the order of its row-major grid.
template <class Visit>
void for_each_block(const scale_layout& layout, int64_t rows, int64_t cols, const Visit& visit) {
  const block_grid grid(layout, rows, cols);
  grid.visit(0, grid.count(), visit);
}

/// Cuts a block into at most as many pieces as an executor has width, by rows, or where there are fewer of them by
/// columns (at multiples of 64 from its first), and calls work(matrix_block) for each.
template <class Work>
void for_each_piece(const matrix_block& block, const executor& on, const Work& work) {
  if (on.width <= 1) return static_cast<void>(work(block));
  const bool by_rows = block.rows() >= static_cast<int64_t>(on.width);
  for_each_part(static_cast<size_t>(by_rows ? block.rows() * 64 : block.cols()), on, [&](size_t begin, size_t end) {
    const auto first = static_cast<int64_t>(by_rows ? begin / 64 : begin);
    const auto last  = static_cast<int64_t>(by_rows ? end / 64 : end);
    if (by_rows) work(matrix_block{block.row + first, block.row + last, block.col, block.col_end});
    else work(matrix_block{block.row, block.row_end, block.col + first, block.col + last});
  });
}

/// Calls run(row, col, count) for stretches of a block whose elements lie one after the other in every one of the views
/// (of one shape): all of it where the views have no gaps and the block has whole rows, else row by row, else, where a
/// view's columns are apart, element by element.
template <class Run, class... T>
void for_each_stretch(const matrix_block& block, const Run& run, const matrix_view<T>&... views) {
  const bool adjacent = ((views.col_stride == 1 || views.cols == 1) && ...);
  const bool gapless  = block.col == 0 && ((block.col_end == views.cols && views.is_gapless()) && ...);
  if (gapless) return static_cast<void>(run(block.row, int64_t{0}, block.rows() * block.cols()));
  for (int64_t r = block.row; r < block.row_end; ++r) {
    if (adjacent) run(r, block.col, block.cols());
    else
      for (int64_t c = block.col; c < block.col_end; ++c) run(r, c, int64_t{1});
  }
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
