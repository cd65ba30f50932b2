// SPDX-License-Identifier: MIT
#include <quaver/convert/members.hpp>
#include <quaver/tensor/matrix_view.hpp>

#include <gtest/gtest.h>

#include <type_traits>
#include <vector>

namespace {

using namespace quaver;

TEST(MatrixView, reads_row_major_without_gaps) {
  std::vector<int> data(15);
  for (int i = 0; i < 15; ++i) data[static_cast<size_t>(i)] = i;
  const matrix_view<int> view(data.data(), 3, 5);
  EXPECT_EQ(view.row_stride, 5);
  EXPECT_EQ(view.col_stride, 1);
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < 5; ++c) EXPECT_EQ(view(r, c), r * 5 + c);
  }
  view(2, 3) = 99;
  EXPECT_EQ(data[13], 99);
}

TEST(MatrixView, reads_any_strides) {
  std::vector<int> data(100);
  for (int i = 0; i < 100; ++i) data[static_cast<size_t>(i)] = i;
  for (const int64_t row_stride : {1, 7, 20, 31}) {
    for (const int64_t col_stride : {1, 2, 9}) {
      const matrix_view<int> view(data.data() + 3, 3, 4, row_stride, col_stride);
      for (int64_t r = 0; r < 3; ++r) {
        for (int64_t c = 0; c < 4; ++c) EXPECT_EQ(view(r, c), 3 + r * row_stride + c * col_stride);
      }
    }
  }
}

TEST(MatrixView, transposing_exchanges_axes_and_twice_is_nothing) {
  std::vector<int> data(60);
  for (int i = 0; i < 60; ++i) data[static_cast<size_t>(i)] = i;
  const matrix_view<int> view(data.data(), 3, 5, 11, 2);
  const matrix_view<int> turned = view.transposed();
  EXPECT_EQ(turned.rows, 5);
  EXPECT_EQ(turned.cols, 3);
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < 5; ++c) EXPECT_EQ(&turned(c, r), &view(r, c));
  }
  EXPECT_EQ(turned.transposed().row_stride, view.row_stride);
  EXPECT_EQ(turned.transposed().col_stride, view.col_stride);
}

TEST(MatrixView, becomes_read_only_and_never_writable_again) {
  static_assert(std::is_convertible_v<matrix_view<float>, matrix_view<const float>>);
  static_assert(!std::is_convertible_v<matrix_view<const float>, matrix_view<float>>);
  static_assert(!std::is_convertible_v<matrix_view<float>, matrix_view<const double>>);
  static_assert(!std::is_convertible_v<matrix_view<float>, matrix_view<double>>);
  static_assert(std::is_trivially_copyable_v<matrix_view<float>>, "kernels take it by value");
  float data[6]                 = {1, 2, 3, 4, 5, 6};
  const matrix_view<float> view(data, 2, 2, 3, 2);
  const matrix_view<const float> read = view;
  EXPECT_EQ(&read(1, 1), &view(1, 1));
  EXPECT_EQ(read.rows, 2);
  EXPECT_EQ(read.row_stride, 3);
  EXPECT_EQ(read.col_stride, 2);
}

TEST(MatrixView, is_made_of_bytes_held_as_integers_without_a_copy) {
  static_assert(std::is_trivially_copyable_v<e4m3> && sizeof(e4m3) == 1 && alignof(e4m3) == 1);
  uint8_t bytes[4] = {0x38, 0x7E, 0x81, 0x00};
  const matrix_view<const e4m3> view(reinterpret_cast<const e4m3*>(bytes), 2, 2);
  EXPECT_EQ(static_cast<float>(view(0, 1)), 448.0f);
  EXPECT_EQ(static_cast<float>(view(1, 0)), -0x1p-9f);
}

TEST(MatrixView, is_empty_by_default_and_usable_in_constants) {
  constexpr matrix_view<int> none;
  static_assert(none.data == nullptr && none.rows == 0 && none.cols == 0);
  static constexpr int data[4] = {1, 2, 3, 4};
  static_assert(matrix_view<const int>(data, 2, 2)(1, 0) == 3);
  static_assert(matrix_view<const int>(data, 2, 2).transposed()(1, 0) == 2);
}

}  // namespace
