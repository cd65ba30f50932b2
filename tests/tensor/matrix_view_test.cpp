// SPDX-License-Identifier: MIT
#include <quaver/convert/members.hpp>
#include <quaver/tensor/matrix_checks.hpp>

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
  float data[6] = {1, 2, 3, 4, 5, 6};
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

TEST(MatrixView, of_two_e2m1_a_byte_counts_values_and_strides_bytes) {
  std::vector<e2m1x2> data(40);
  for (unsigned i = 0; i < 40; ++i) data[i] = e2m1x2::from_bits(static_cast<uint8_t>(i * 37 + 11));
  const matrix_view<e2m1x2> dense(data.data(), 4, 7);
  EXPECT_EQ(dense.row_stride, 4) << "a row begins with a byte of its own";
  const matrix_view<e2m1x2> apart(data.data() + 2, 4, 7, 9);
  for (const matrix_view<e2m1x2>& view : {dense, apart}) {
    EXPECT_EQ(view.stored_cols(), 4);
    EXPECT_FALSE(view.is_gapless());
    for (int64_t r = 0; r < 4; ++r) {
      for (int64_t c = 0; c < 7; ++c) {
        const unsigned byte = view.data[r * view.row_stride + c / 2].bits();
        EXPECT_EQ(view(r, c).bits(), c % 2 == 0 ? byte % 16 : byte / 16);
      }
    }
  }
  EXPECT_TRUE(matrix_view<e2m1x2>(data.data(), 4, 8).is_gapless());
  EXPECT_FALSE(matrix_view<e2m1x2>(data.data(), 4, 8, 5).is_gapless());
  EXPECT_TRUE(matrix_view<e2m1x2>(data.data(), 1, 7).is_gapless());
  const matrix_view<const e2m1x2> read = apart;
  EXPECT_EQ(read.row_stride, 9);
  static_assert(!std::is_convertible_v<matrix_view<const e2m1x2>, matrix_view<e2m1x2>>);
  static_assert(std::is_trivially_copyable_v<matrix_view<e2m1x2>>);
}

TEST(MatrixChecks, of_two_e2m1_a_byte_count_bytes) {
  std::vector<e2m1x2> data(40);
  EXPECT_EQ(span_bytes(matrix_view<e2m1x2>(data.data(), 3, 7, 5)), 14u);
  EXPECT_EQ(span_bytes(matrix_view<e2m1x2>(data.data(), 3, 0)), 0u);
  EXPECT_TRUE(check_view("x", matrix_view<e2m1x2>(data.data(), 3, 7, 4)).ok());
  EXPECT_FALSE(check_view("x", matrix_view<e2m1x2>(data.data(), 3, 7, 3)).ok()) << "rows share bytes";
  EXPECT_FALSE(check_view("x", matrix_view<e2m1x2>(nullptr, 3, 7)).ok());
  EXPECT_FALSE(check_view("x", matrix_view<e2m1x2>(data.data(), 3, 7, -4)).ok());
  EXPECT_TRUE(check_view("x", matrix_view<e2m1x2>(data.data(), 1, 7, 0)).ok());
  EXPECT_FALSE(check_view("x", matrix_view<e2m1x2>(data.data(), 3, int64_t{1} << 62)).ok());
  EXPECT_FALSE(check_view("x", matrix_view<e2m1x2>(data.data(), 4, 1, 0)).ok());
}

}  // namespace
