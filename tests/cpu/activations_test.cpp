// SPDX-License-Identifier: MIT
#include <quaver/cpu/activations.hpp>
#include <quaver/reference/gemm.hpp>

#include "environments.hpp"
#include "matrices.hpp"
#include "threads.hpp"

namespace {

using namespace quaver;
using quaver_test::buffer;
using quaver_test::lie;
using quaver_test::lies;

/// NaN canonical.
uint32_t bits_of(float x) { return std::isnan(x) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(x); }

/// The activation in double; 2 ulp is what is promised of the float.
double in_double(activation act, double x) {
  if (act == activation::none) return x;
  if (act == activation::relu) return x > 0 ? x : 0.0;
  if (act == activation::gelu) return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
  return x < 0 ? x * std::exp(x) / (1 + std::exp(x)) : x / (1 + std::exp(-x));
}
void expect_close(float got, double exact, double ulps) {
  if (std::isnan(exact) || std::isinf(exact) || std::fabs(exact) > 3e38) return;
  const double ulp = std::ldexp(1.0, (std::fabs(exact) < 0x1p-126 ? -126 : std::ilogb(exact)) - 23);
  ASSERT_LE(std::fabs(static_cast<double>(got) - exact), ulps * ulp) << got << " " << exact;
}

template <class T>
buffer<T> some_matrix(int64_t rows, int64_t cols, lie how, uint64_t seed, int centre) {
  buffer<T> x(rows, cols, how, quaver_test::element_from<T>(0x7FC0'0000u));
  quaver_test::generator random(seed);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) x.view(r, c) = quaver_test::some_number<T>(random, centre, true);
  }
  return x;
}

template <class T>
void check_silu_mul(int64_t rows, int64_t cols, lie how, uint64_t seed, int centre) {
  const auto gate = some_matrix<T>(rows, cols, how, seed, centre);
  const auto up   = some_matrix<T>(rows, cols, how, seed + 1, centre);
  buffer<float> y(rows, cols, how, -5.0f);
  const status done =
      cpu::silu_mul(matrix_view<const T>(gate.view), matrix_view<const T>(up.view), y.view, quaver_test::backwards(3));
  ASSERT_TRUE(done.ok()) << done.message();
  const rounded_operations op;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const float x    = reference::to_float(gate.view(r, c));
      const float silu = bitwise_cast<float>(silu_bits(bitwise_cast<uint32_t>(x), op));
      ASSERT_NO_FATAL_FAILURE(expect_close(silu, in_double(activation::silu, static_cast<double>(x)), 2));
      const float expected = reference::product(silu, reference::to_float(up.view(r, c)));
      ASSERT_EQ(bitwise_cast<uint32_t>(y.view(r, c)), bits_of(expected)) << x;
    }
  }
  ASSERT_TRUE(y.guards_stand());
}

template <class T>
void check_bias(int64_t rows, int64_t cols, lie how, uint64_t seed, int centre, activation act) {
  const auto x    = some_matrix<T>(rows, cols, how, seed, centre);
  const auto bias = some_matrix<T>(1, cols, lie::dense, seed + 1, centre);
  buffer<float> y(rows, cols, how, -5.0f);
  const T* const values = bias.view.data;
  const status done = cpu::bias_activation(matrix_view<const T>(x.view), values, act, y.view, quaver_test::threads(2));
  ASSERT_TRUE(done.ok()) << done.message();
  const rounded_operations op;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const float sum = reference::addition(reference::to_float(x.view(r, c)), reference::to_float(bias.view(0, c)));
      ASSERT_EQ(bitwise_cast<uint32_t>(y.view(r, c)), activate_bits(act, bits_of(sum), op)) << sum;
      if (std::isnan(sum)) continue;
      ASSERT_NO_FATAL_FAILURE(expect_close(y.view(r, c), in_double(act, static_cast<double>(sum)), 2));
    }
  }
  ASSERT_TRUE(y.guards_stand());
}

TEST(Activations, silu_mul_is_the_rounded_product_of_silu_and_up_however_the_matrices_lie) {
  uint64_t seed = 1;
  for (const int64_t cols : {1, 15, 16, 17, 200}) {
    for (const lie how : lies) {
      for (const int centre : {6, 0, -120, 100}) {
        ASSERT_NO_FATAL_FAILURE(check_silu_mul<float>(4, cols, how, ++seed, centre));
        ASSERT_NO_FATAL_FAILURE(check_silu_mul<bfloat16>(4, cols, how, ++seed, centre));
        ASSERT_NO_FATAL_FAILURE(check_silu_mul<half>(4, cols, how, ++seed, centre / 8));
      }
    }
  }
}

TEST(Activations, bias_activation_is_the_activation_of_the_rounded_sum_however_the_matrices_lie) {
  uint64_t seed = 1000;
  for (const activation act : {activation::none, activation::relu, activation::gelu, activation::silu}) {
    for (const int64_t cols : {1, 16, 17, 200}) {
      for (const lie how : lies) {
        ASSERT_NO_FATAL_FAILURE(check_bias<float>(4, cols, how, ++seed, 3, act));
        ASSERT_NO_FATAL_FAILURE(check_bias<bfloat16>(4, cols, how, ++seed, -120, act));
        ASSERT_NO_FATAL_FAILURE(check_bias<half>(4, cols, how, ++seed, 4, act));
      }
    }
  }
}

TEST(Activations, have_the_same_bits_in_every_float_environment) {
  const auto x = some_matrix<float>(3, 100, lie::padded, 5, -60);
  const auto b = some_matrix<float>(3, 100, lie::padded, 6, -60);
  std::vector<float> here(600);
  const auto run = [&](std::vector<float>& to) {
    const matrix_view<const float> view = x.view;
    const matrix_view<const float> up   = b.view;
    static_cast<void>(cpu::silu_mul(view, up, matrix_view<float>(to.data(), 3, 100)));
    const float* const bias = b.view.data;
    static_cast<void>(cpu::bias_activation(view, bias, activation::gelu, matrix_view<float>(to.data() + 300, 3, 100)));
  };
  run(here);
  for (const auto& environment : quaver_test::environments) {
    std::vector<float> there(600);
    EXPECT_TRUE(quaver_test::keeps_environment(environment, [&] { run(there); })) << environment.name;
    EXPECT_EQ(quaver_test::codes_of(here), quaver_test::codes_of(there)) << environment.name;
  }
}

TEST(Activations, refuse_what_they_cannot_do_by_its_numbers_and_write_nothing) {
  std::vector<float> x(60, 1.0f);
  std::vector<float> y(60, 2.0f);
  const matrix_view<const float> in(x.data(), 5, 6);
  const auto refused = [&](const status& s, const std::vector<std::string>& words) {
    EXPECT_EQ(s.code(), status_code::invalid_argument);
    for (const std::string& word : words) EXPECT_NE(s.message().find(word), std::string::npos) << s.message();
    EXPECT_EQ(y, std::vector<float>(60, 2.0f));
  };
  using input = matrix_view<const float>;
  const matrix_view<float> out(y.data(), 5, 6);
  const float* const nothing = nullptr;
  const float* const bias    = x.data() + 50;
  refused(cpu::silu_mul(in, input(x.data(), 5, 5), out), {"5 x 6", "5 x 5"});
  refused(cpu::silu_mul(in, in, matrix_view<float>(y.data(), 6, 5)), {"5 x 6", "6 x 5"});
  refused(cpu::silu_mul(input(nullptr, 5, 6), in, out), {"gate", "null"});
  refused(cpu::silu_mul(in, in, matrix_view<float>(x.data() + 29, 5, 6)), {"overlap"});
  refused(cpu::bias_activation(in, nothing, activation::relu, out), {"bias", "6 columns"});
  refused(cpu::bias_activation(in, bias, activation::relu, matrix_view<float>(x.data() + 30, 5, 6)), {"overlap"});
  refused(cpu::bias_activation(in, bias, activation::relu, matrix_view<float>(y.data(), 5, 7)), {"5 x 7"});
}

}  // namespace
