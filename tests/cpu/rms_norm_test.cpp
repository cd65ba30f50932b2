// SPDX-License-Identifier: MIT
#include <quaver/cpu/rms_norm.hpp>
#include <quaver/reference/gemm.hpp>

#include "environments.hpp"
#include "matrices.hpp"
#include "threads.hpp"

namespace {

using namespace quaver;
using quaver_test::buffer;
using quaver_test::lie;
using quaver_test::lies;

float root(float a) {
  const volatile float x = a;
  const volatile float y = std::sqrt(x);
  return y;
}

/// The element as the oracle rounds it, NaN canonical.
template <class T>
T rounded(float x) {
  return quaver_test::element_from<T>(std::isnan(x) ? 0x7FC0'0000u : bitwise_cast<uint32_t>(x));
}

/// A row as the problem's header words it, one element after the other.
template <class T>
std::vector<float> norm_of_row(const std::vector<T>& h, const std::vector<T>& weight, float epsilon) {
  std::vector<float> lanes(256, 0.0f);
  for (size_t c = 0; c < h.size(); ++c) {
    const float x        = reference::to_float(h[c]);
    lanes[(c / 8) % 256] = reference::fused(lanes[(c / 8) % 256], x, x);
  }
  for (size_t width = 128; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] = reference::addition(lanes[i], lanes[i + width]);
  }
  const float mean    = reference::quotient(lanes[0], static_cast<float>(h.size()));
  const float inverse = reference::quotient(1.0f, root(reference::addition(mean, epsilon)));
  std::vector<float> y;
  for (size_t c = 0; c < h.size(); ++c) {
    const float once = reference::product(reference::to_float(h[c]), inverse);
    y.push_back(rounded<float>(reference::product(once, reference::to_float(weight[c]))));
  }
  return y;
}

template <class T>
buffer<T> some_matrix(int64_t rows, int64_t cols, lie how, uint64_t seed, int centre, bool specials) {
  buffer<T> x(rows, cols, how, quaver_test::element_from<T>(0x7FC0'0000u));
  quaver_test::generator random(seed);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c)
      x.view(r, c) = quaver_test::some_number<T>(random, centre, specials && random() % 64 == 0);
  }
  return x;
}

template <class T>
void check(int64_t rows, int64_t cols, lie how, uint64_t seed, int centre, bool specials,
           const cpu::executor& on = {}) {
  const auto x      = some_matrix<T>(rows, cols, how, seed, centre, specials);
  const auto weight = some_matrix<T>(1, cols, lie::dense, seed + 1, 1, false);
  const bool adds   = seed % 2 == 0;
  auto residual     = some_matrix<T>(rows, cols, how, seed + 2, centre, specials);
  const auto before = some_matrix<T>(rows, cols, how, seed + 2, centre, specials);
  buffer<T> out(rows, cols, how, quaver_test::element_from<T>(0x4040'0000u));
  buffer<float> y(rows, cols, how, -5.0f);
  rms_norm_problem<T> p{.x = x.view, .weight = weight.view.data, .epsilon = seed % 3 == 0 ? 0.0f : 1e-6f};
  const bool in_place = seed % 4 == 0;
  if (adds) {
    p.residual     = residual.view;
    p.residual_out = in_place ? residual.view : out.view;
  }
  const status done = cpu::rms_norm(p, y.view, on);
  ASSERT_TRUE(done.ok()) << done.message();
  std::vector<T> weights;
  for (int64_t c = 0; c < cols; ++c) weights.push_back(weight.view(0, c));
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<T> h;
    for (int64_t c = 0; c < cols; ++c) {
      const float sum =
          adds ? reference::addition(reference::to_float(x.view(r, c)), reference::to_float(before.view(r, c))) : 0.0f;
      h.push_back(adds ? rounded<T>(sum) : x.view(r, c));
      if (!adds) continue;
      ASSERT_EQ(quaver_test::code_of(p.residual_out(r, c)), quaver_test::code_of(h.back())) << r << " " << c;
    }
    const std::vector<float> expected = norm_of_row(h, weights, p.epsilon);
    for (int64_t c = 0; c < cols; ++c) {
      ASSERT_EQ(bitwise_cast<uint32_t>(y.view(r, c)), bitwise_cast<uint32_t>(expected[static_cast<size_t>(c)]))
          << r << " " << c << " of " << rows << " x " << cols;
    }
  }
  ASSERT_TRUE(y.guards_stand());
  ASSERT_TRUE(out.guards_stand());
  ASSERT_TRUE(residual.guards_stand());
}

TEST(RmsNorm, equals_the_stated_order_for_any_extents_however_the_matrices_lie) {
  uint64_t seed = 1;
  for (const int64_t cols : {1, 7, 8, 9, 255, 257, 2047, 2048, 2049, 4103}) {
    for (const lie how : lies) {
      for (const int centre : {4, -66, 60, -140}) {
        const bool specials = seed % 5 == 0;
        ASSERT_NO_FATAL_FAILURE(check<float>(3, cols, how, ++seed, centre, specials));
        ASSERT_NO_FATAL_FAILURE(check<bfloat16>(2, cols, how, ++seed, centre, specials));
        ASSERT_NO_FATAL_FAILURE(check<half>(2, cols, how, ++seed, centre / 8, specials));
      }
    }
  }
}

TEST(RmsNorm, has_the_same_bits_in_every_float_environment_and_with_threads) {
  for (const auto& environment : quaver_test::environments) {
    const auto x      = some_matrix<float>(5, 300, lie::padded, 7, -66, false);
    const auto weight = some_matrix<float>(1, 300, lie::dense, 8, 1, false);
    std::vector<float> here(1500);
    std::vector<float> there(1500);
    const rms_norm_problem<float> p{.x = x.view, .weight = weight.view.data};
    ASSERT_TRUE(cpu::rms_norm(p, matrix_view<float>(here.data(), 5, 300)).ok());
    EXPECT_TRUE(quaver_test::keeps_environment(environment, [&] {
      static_cast<void>(cpu::rms_norm(p, matrix_view<float>(there.data(), 5, 300), quaver_test::threads(4)));
    })) << environment.name;
    EXPECT_EQ(quaver_test::codes_of(here), quaver_test::codes_of(there)) << environment.name;
  }
}

TEST(RmsNorm, a_row_of_zeros_becomes_zero_or_without_epsilon_nan) {
  const std::vector<float> zeros(16, 0.0f);
  const std::vector<float> ones(16, 1.0f);
  std::vector<float> y(16, 7.0f);
  rms_norm_problem<float> p{.x = {zeros.data(), 1, 16}, .weight = ones.data()};
  ASSERT_TRUE(cpu::rms_norm(p, matrix_view<float>(y.data(), 1, 16)).ok());
  EXPECT_EQ(quaver_test::codes_of(y), std::vector<uint32_t>(16, 0));
  p.epsilon = 0.0f;
  ASSERT_TRUE(cpu::rms_norm(p, matrix_view<float>(y.data(), 1, 16)).ok());
  EXPECT_EQ(quaver_test::codes_of(y), std::vector<uint32_t>(16, 0x7FC0'0000u));
}

TEST(RmsNorm, refuses_what_it_cannot_do_by_its_numbers_and_writes_nothing) {
  std::vector<float> x(60, 1.0f);
  std::vector<float> y(60, 2.0f);
  rms_norm_problem<float> p{.x = {x.data(), 3, 10}, .weight = x.data() + 40};
  const matrix_view<float> out(y.data(), 3, 10);
  const auto refused = [&](const matrix_view<float>& to, const std::vector<std::string>& words) {
    const status s = cpu::rms_norm(p, to);
    EXPECT_EQ(s.code(), status_code::invalid_argument);
    for (const std::string& word : words) EXPECT_NE(s.message().find(word), std::string::npos) << s.message();
    EXPECT_EQ(y, std::vector<float>(60, 2.0f));
  };
  refused({y.data(), 3, 9}, {"3 x 10", "3 x 9"});
  refused({nullptr, 3, 10}, {"null", "3 x 10"});
  refused({x.data() + 45, 3, 10}, {"overlaps", "3 x 10"});
  p.epsilon = -2.0f;
  refused(out, {"epsilon", "-2"});
  p.epsilon  = 1e-6f;
  p.residual = {x.data() + 10, 3, 10};
  refused(out, {"residual output", "null"});
  p.residual_out = {x.data() + 11, 3, 10};
  refused(out, {"overlaps", "3 x 10"});
  p.residual_out = {x.data() + 10, 3, 9};
  refused(out, {"3 x 9"});
  p.residual     = {};
  p.residual_out = {};
  p.weight       = nullptr;
  refused(out, {"weight", "10 columns"});
}

}  // namespace
