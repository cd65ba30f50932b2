// SPDX-License-Identifier: MIT
#include <quaver/cpu/gemm.hpp>
#include <quaver/reference/gemm.hpp>

#include "environments.hpp"
#include "gemm_problems.hpp"

namespace {

using namespace quaver;
using quaver_test::generator;

using quaver_test::fill_at_random;
using quaver_test::finished;
using quaver_test::layouts;
using quaver_test::named;
using quaver_test::operand;
using quaver_test::pick;
using quaver_test::random_problem;

/// Runs the problem and compares every element with expected(row, col), guards included.
template <class A, class B, class D, class Expected>
void run_and_compare(random_problem<A, B, D>& p, const Expected& expected) {
  std::vector<uint32_t> want;
  for (int64_t r = 0; r < p.d.view.rows; ++r) {
    for (int64_t col = 0; col < p.d.view.cols; ++col)
      want.push_back(quaver_test::code_of(finished<D>(expected(r, col), p.problem)));
  }
  const status done = cpu::gemm(p.problem);
  ASSERT_TRUE(done.ok()) << done.message();
  ASSERT_EQ(p.d.elements(), want) << named(p);
  ASSERT_TRUE(p.d.guards_stand()) << named(p);
}

/// Shapes with tails, odd K, K = 0 and single rows and columns.
struct shape {
  int64_t m, n, k;
};
shape some_shape(generator& random, int64_t largest_k) {
  return {static_cast<int64_t>(random() % 9), static_cast<int64_t>(random() % 9),
          random() % 12 == 0 ? 0 : static_cast<int64_t>(random() % static_cast<uint64_t>(largest_k)) + 1};
}

template <class A, class B, class D>
void check_in_order(uint64_t seed, int problems, bool with_specials) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    const shape s = some_shape(random, i % 4 == 0 ? 300 : 40);
    random_problem<A, B, D> p(s.m, s.n, s.k, random);
    fill_at_random(p, random, with_specials);
    if (i % 2 != 0) p.problem.a_floats = float_activations::multiplied_by_fma;
    ASSERT_NO_FATAL_FAILURE(
        run_and_compare(p, [&](int64_t r, int64_t col) { return reference::gemm_in_order(p.problem, r, col); }));
  }
}

TEST(Gemm, is_the_stated_order_of_float_operations_bit_for_bit_in_every_mix_of_formats_and_outputs) {
  check_in_order<e4m3, e4m3, float>(1, 150, false);
  check_in_order<e4m3, e5m2, bfloat16>(2, 80, false);
  check_in_order<e5m2, e4m3, half>(3, 80, false);
  check_in_order<e5m2, e5m2, float>(4, 80, false);
  check_in_order<e4m3fnuz, e5m2fnuz, float>(5, 40, false);
  check_in_order<e2m1, e2m1, bfloat16>(6, 40, false);
  check_in_order<e3m4, binary8p3, half>(7, 40, false);
  check_in_order<e2m3, e3m2, float>(8, 40, false);
  check_in_order<float, e4m3, float>(9, 80, false);
}

TEST(Gemm, nan_and_infinity_take_part_as_ieee_754_says_and_a_nan_is_always_the_same_nan) {
  check_in_order<e4m3, e4m3, float>(11, 80, true);
  check_in_order<e5m2, e5m2, bfloat16>(12, 80, true);
  check_in_order<e4m3, e5m2, half>(13, 80, true);
  check_in_order<binary8p3, e5m2fnuz, float>(14, 40, true);
  check_in_order<float, e5m2, half>(15, 40, true);
}

TEST(Gemm, all_pairs_of_codes_multiply_exactly) {
  // A single term, scales 1: D is the product itself.
  const auto check = []<class A, class B>(A, B) {
    std::vector<A> a(256);
    std::vector<B> b(256);
    for (unsigned i = 0; i < 256; ++i) {
      a[i] = A::from_bits(static_cast<uint8_t>(i));
      b[i] = B::from_bits(static_cast<uint8_t>(i));
    }
    std::vector<float> d(256 * 256);
    const float one = 1;
    gemm_problem<A, B> p;
    p.a.values = {a.data(), 256, 1};
    p.b.values = {b.data(), 256, 1};
    p.a.scales = p.b.scales = &one;
    p.d                     = {d.data(), 256, 256};
    ASSERT_TRUE(cpu::gemm(p).ok());
    for (size_t i = 0; i < 256; ++i) {
      for (size_t j = 0; j < 256; ++j) {
        const double exact = reference::decode(a[i]) * reference::decode(b[j]) + 0.0;  // the sum starts at +0
        const float got    = d[i * 256 + j];
        if (std::isnan(exact)) {
          ASSERT_EQ(bitwise_cast<uint32_t>(got), 0x7FC0'0000u);
        } else {
          ASSERT_EQ(bitwise_cast<uint32_t>(got), bitwise_cast<uint32_t>(static_cast<float>(exact))) << i << " " << j;
        }
      }
    }
  };
  check(e4m3{}, e4m3{});
  check(e4m3{}, e5m2{});
  check(e5m2{}, e5m2{});
}

/// Small integers, scales that are powers of two and differ from block to block: every partial sum in any order is
/// exact.
template <class A, class B, class D>
int check_exact(uint64_t seed, int problems) {
  generator random(seed);
  int compared = 0;
  for (int i = 0; i < problems; ++i) {
    const shape s = some_shape(random, i % 4 == 0 ? 300 : 40);
    random_problem<A, B, D> p(s.m, s.n, s.k, random);
    const auto fill = [&]<class F>(operand<F>& x) {
      for (int64_t r = 0; r < x.values.view.rows; ++r) {
        for (int64_t col = 0; col < x.values.view.cols; ++col)
          x.values.view(r, col) = F(static_cast<int>(random() % 5) - 2);
      }
      // Cycling, so that neighbours in either direction of the scales' matrix differ.
      for (size_t at = 0; at < x.scales.size(); ++at) {
        const int exponent = static_cast<int>((at + at / 5) % 5) - 2;
        x.scales[at]       = std::ldexp(1.0f, exponent);
        x.powers[at]       = e8m0::from_bits(static_cast<uint8_t>(127 + exponent));
        x.levels[at]       = e4m3(std::ldexp(1.0f, exponent));
      }
      x.tensor_wide = 0.5f;
    };
    fill(p.a);
    fill(p.b);
    p.problem.a     = p.a.matrix();
    p.problem.b     = p.b.matrix();
    p.problem.alpha = pick(random, std::vector<float>{1.0f, 2.0f, 0.25f});  // so that no zero turns negative
    if (p.problem.beta != 0) p.problem.beta = pick(random, std::vector<float>{1.0f, -0.5f, 4.0f});
    for (float& x : p.bias) x = static_cast<float>(random() % 17) - 8.0f;
    p.set_c([&](D& x) {
      x = quaver_test::element_from<D>(bitwise_cast<uint32_t>(static_cast<float>(random() % 17) - 8.0f));
    });
    bool all_fit = true;
    run_and_compare(p, [&](int64_t r, int64_t col) {
      bool fits         = false;
      const float value = reference::gemm_exact(p.problem, r, col, fits);
      all_fit           = all_fit && fits;
      ++compared;
      return value;
    });
    EXPECT_TRUE(all_fit) << named(p);
    if (::testing::Test::HasFailure()) return compared;
  }
  return compared;
}

TEST(Gemm, equals_exact_integers_where_every_sum_is_exact_with_a_scale_of_its_own_for_every_block) {
  int compared = check_exact<e4m3, e4m3, float>(21, 200);
  compared += check_exact<e4m3, e5m2, float>(22, 100);
  compared += check_exact<e5m2, e5m2, half>(23, 100);
  compared += check_exact<e2m1, e4m3, bfloat16>(24, 100);
  EXPECT_GT(compared, 5000);
}

TEST(Gemm, stays_within_the_error_bound_of_any_order_of_summation) {
  generator random(31);
  for (int i = 0; i < 60; ++i) {
    const shape s = some_shape(random, 500);
    random_problem<e4m3, e5m2, float> p(s.m, s.n, s.k, random);
    fill_at_random(p, random, false);
    p.problem.act = activation::none;
    std::vector<reference::wide_sum> wide;
    for (int64_t r = 0; r < s.m; ++r) {
      for (int64_t col = 0; col < s.n; ++col) wide.push_back(reference::gemm_wide(p.problem, r, col));
    }
    ASSERT_TRUE(cpu::gemm(p.problem).ok());
    for (int64_t r = 0; r < s.m; ++r) {
      for (int64_t col = 0; col < s.n; ++col) {
        const reference::wide_sum& exact = wide[static_cast<size_t>(r * s.n + col)];
        // A rounding takes half a last bit: 2^-24 of the number, or 2^-150 where that is subnormal.
        const long double bound = static_cast<long double>(s.k + 8) * (0x1p-24L * exact.magnitude + 0x1p-149L);
        ASSERT_LE(std::fabs(static_cast<long double>(p.d.view(r, col)) - exact.value), bound) << named(p);
      }
    }
  }
}

TEST(Gemm, a_zero_keeps_the_sign_that_the_stated_operations_give_it) {
  const e4m3 minus_zero = e4m3::from_bits(0x80);
  const e4m3 one        = e4m3::from_bits(0x38);
  const float scale     = 1;
  float d               = 7;
  gemm_problem<e4m3, e4m3> p;
  p.a.values = {&minus_zero, 1, 1};
  p.b.values = {&one, 1, 1};
  p.a.scales = p.b.scales = &scale;
  p.d                     = {&d, 1, 1};
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(bitwise_cast<uint32_t>(d), 0u) << "0 + -0 is +0";
  p.alpha = -1;
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(bitwise_cast<uint32_t>(d), 0x8000'0000u) << "+0 * -1";
  p.act = activation::relu;
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(bitwise_cast<uint32_t>(d), 0u);
}

TEST(Gemm, relu_keeps_nan_and_turns_the_rest_below_zero_to_plus_zero) {
  const e5m2 codes[4] = {e5m2::nan(), -e5m2::infinity(), e5m2::infinity(), e5m2::from_bits(0xBC)};
  const e5m2 one      = e5m2::from_bits(0x3C);
  const float scale   = 1;
  bfloat16 d[4];
  gemm_problem<e5m2, e5m2, bfloat16> p;
  p.a.values = {codes, 4, 1};
  p.b.values = {&one, 1, 1};
  p.a.scales = p.b.scales = &scale;
  p.d                     = {d, 4, 1};
  p.act                   = activation::relu;
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(d[0].bits(), 0x7FC0);
  EXPECT_EQ(d[1].bits(), 0x0000);
  EXPECT_EQ(d[2].bits(), 0x7F80);
  EXPECT_EQ(d[3].bits(), 0x0000);
}

TEST(Gemm, beyond_the_range_of_the_output_becomes_infinity) {
  const e5m2 big    = (e5m2::max)();
  const float scale = 1;
  half d;
  gemm_problem<e5m2, e5m2, half> p;
  p.a.values = {&big, 1, 1};
  p.b.values = {&big, 1, 1};
  p.a.scales = p.b.scales = &scale;
  p.d                     = {&d, 1, 1};
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(d, half::infinity());
}

TEST(Gemm, without_k_leaves_beta_c_plus_bias_and_without_m_or_n_nothing) {
  float d[6]          = {1, 2, 3, 4, 5, 6};
  const float bias[3] = {10, 20, 30};
  gemm_problem<e4m3, e4m3> p;
  p.a.values = {nullptr, 2, 0};
  p.b.values = {nullptr, 3, 0};
  p.d        = {d, 2, 3};
  p.c        = p.d;
  p.beta     = 2;
  p.bias     = bias;
  p.alpha    = 5;
  ASSERT_TRUE(cpu::gemm(p).ok());
  const float expected[6] = {12, 24, 36, 18, 30, 42};
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(d[i], expected[i]);

  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{0, 3}, {2, 0}, {0, 0}}) {
    p          = {};
    p.a.values = {nullptr, m, 0};
    p.b.values = {nullptr, n, 0};
    p.d        = {nullptr, m, n};
    EXPECT_TRUE(cpu::gemm(p).ok()) << m << " " << n;
  }
}

TEST(Gemm, does_not_read_c_where_beta_is_zero) {
  generator random(41);
  random_problem<e4m3, e4m3, float> p(3, 4, 9, random);
  fill_at_random(p, random, false);
  p.problem.beta = 0;
  p.problem.c    = {};
  run_and_compare(p, [&](int64_t r, int64_t col) { return reference::gemm_in_order(p.problem, r, col); });
  p.problem.c = {reinterpret_cast<const float*>(uintptr_t{64}), 99, 1};
  EXPECT_TRUE(cpu::gemm(p.problem).ok());
}

TEST(Gemm, repeats_its_bits_and_leaves_every_float_environment_as_it_was) {
  generator random(51);
  for (int i = 0; i < 40; ++i) {
    const shape s = some_shape(random, 100);
    random_problem<e4m3, e5m2, bfloat16> p(s.m, s.n, s.k, random);
    fill_at_random(p, random, false);
    // Tiny scales in a quarter of the problems: products of scales and totals that are subnormal.
    if (i % 4 == 0) {
      for (float& scale : p.a.scales) scale *= 0x1p-130f;
      p.a.tensor_wide *= 0x1p-130f;
    }
    if (!p.c) p.problem.beta = 0;  // C == D would feed the first result to the second run
    ASSERT_TRUE(cpu::gemm(p.problem).ok());
    const std::vector<uint32_t> expected = p.d.elements();
    for (const quaver_test::environment& e : quaver_test::environments) {
      bool ok = false;
      EXPECT_TRUE(quaver_test::keeps_environment(e, [&] { ok = cpu::gemm(p.problem).ok(); })) << e.name;
      ASSERT_TRUE(ok);
      ASSERT_EQ(p.d.elements(), expected) << e.name << ": " << named(p);
    }
  }
}

TEST(Gemm, a_row_of_c_that_is_d_may_have_another_stride_where_nothing_steps) {
  const e4m3 one    = e4m3::from_bits(0x38);
  const float scale = 1;
  float d[2]        = {5, 6};
  const e4m3 two[2] = {one, one};
  gemm_problem<e4m3, e4m3> p;
  p.a.values = {&one, 1, 1};
  p.b.values = {two, 2, 1};
  p.a.scales = p.b.scales = &scale;
  p.d                     = {d, 1, 2, 100};
  p.c                     = {d, 1, 2, 2};
  p.beta                  = 1;
  const status done       = cpu::gemm(p);
  ASSERT_TRUE(done.ok()) << done.message();
  EXPECT_EQ(d[0], 6.0f);
  EXPECT_EQ(d[1], 7.0f);
}

TEST(Gemm, refuses_what_it_cannot_do_by_its_numbers_and_writes_nothing) {
  std::vector<e4m3> a(200, e4m3::from_bits(0x38));
  std::vector<e4m3> b(200, e4m3::from_bits(0x38));
  std::vector<float> d(200, 9.0f);
  std::vector<float> scales(10, 1.0f);
  std::vector<float> bias(10, 1.0f);
  gemm_problem<e4m3, e4m3> good;
  good.a.values = {a.data(), 4, 7};
  good.b.values = {b.data(), 5, 7};
  good.a.scales = good.b.scales = scales.data();
  good.d                        = {d.data(), 4, 5};
  good.c                        = good.d;
  good.bias                     = bias.data();
  ASSERT_TRUE(cpu::gemm(good).ok());
  std::fill(d.begin(), d.end(), 9.0f);

  const auto refused = [&](const gemm_problem<e4m3, e4m3>& p, const std::vector<std::string>& words) {
    const status s = cpu::gemm(p);
    EXPECT_EQ(s.code(), status_code::invalid_argument) << s.message();
    EXPECT_EQ(cpu::can_run(p).message(), s.message());
    for (const std::string& word : words)
      EXPECT_NE(s.message().find(word), std::string::npos) << s.message() << " lacks " << word;
    EXPECT_EQ(d, std::vector<float>(200, 9.0f));
    EXPECT_EQ(scales, std::vector<float>(10, 1.0f));
    EXPECT_EQ(bias, std::vector<float>(10, 1.0f));
  };
  const auto changed = [&](const auto& change) {
    gemm_problem<e4m3, e4m3> p = good;
    change(p);
    return p;
  };
  using problem = gemm_problem<e4m3, e4m3>;
  refused(changed([](problem& p) { p.a.values.cols = 6; }), {"4 x 6", "5 x 7", "4 x 5"});
  refused(changed([](problem& p) { p.a.values.rows = 3; }), {"3 x 7", "4 x 5"});
  refused(changed([](problem& p) { p.b.values.rows = 4; }), {"4 x 7", "4 x 5"});
  refused(changed([](problem& p) { p.d.rows = 5; }), {"5 x 5"});
  refused(changed([](problem& p) { p.d.cols = 4; }), {"4 x 4"});
  refused(changed([](problem& p) { p.a.values.rows = -4; }), {"A", "negative", "-4 x 7"});
  refused(changed([](problem& p) { p.b.values.cols = -7; }), {"B", "negative", "5 x -7"});
  refused(changed([](problem& p) { p.d.cols = -5; }), {"D", "negative", "4 x -5"});
  refused(changed([](problem& p) { p.a.values.data = nullptr; }), {"A", "null", "4 x 7"});
  refused(changed([](problem& p) { p.b.values.data = nullptr; }), {"B", "null", "5 x 7"});
  refused(changed([](problem& p) { p.d.data = nullptr; }), {"D", "null", "4 x 5"});
  refused(changed([](problem& p) { p.a.scales = nullptr; }), {"A", "1 scale,", "null"});
  refused(changed([](problem& p) {
            p.b.scales = nullptr;
            p.b.layout = per_row;
          }),
          {"B", "5 scales", "null"});
  refused(changed([](problem& p) { p.a.layout = mx_1x32; }), {"A", "4 scales", "null"});
  refused(changed([](problem& p) { p.a.layout.block_cols = -3; }), {"A", "negative", "0 x -3"});
  refused(changed([](problem& p) { p.d.row_stride = 4; }), {"D", "one place", "4"});
  refused(changed([](problem& p) { p.d.col_stride = 0; }), {"D", "0"});
  refused(changed([](problem& p) { p.a.values.row_stride = -7; }), {"A", "-7"});
  refused(changed([](problem& p) { p.d.row_stride = int64_t{1} << 61; }),
          {"D", "memory", std::to_string(int64_t{1} << 61)});
  // C
  refused(changed([](problem& p) {
            p.beta = 1;
            p.c    = {};
          }),
          {"C is", "0 x 0", "4 x 5"});
  refused(changed([](problem& p) {
            p.beta   = 1;
            p.c.data = nullptr;
          }),
          {"C", "null", "4 x 5"});
  refused(changed([](problem& p) {
            p.beta   = 1;
            p.c.rows = 5;
          }),
          {"C is", "5 x 5", "4 x 5"});
  refused(changed([](problem& p) {
            p.beta = 1;
            p.c.data += 1;
          }),
          {"C overlaps D", "4 x 5"});
  refused(changed([](problem& p) {
            p.beta         = 1;
            p.c.row_stride = 6;
          }),
          {"C overlaps D", "4 x 5"});
  // Overlaps with D, by one byte or one element.
  refused(changed([&](problem& p) { p.a.values.data = reinterpret_cast<const e4m3*>(d.data() + 20) - 1; }),
          {"D (4 x 5)", "overlaps"});
  refused(changed([&](problem& p) { p.b.values.data = reinterpret_cast<const e4m3*>(d.data()); }),
          {"D (4 x 5)", "overlaps"});
  refused(changed([&](problem& p) { p.a.scales = d.data() + 19; }), {"D (4 x 5)", "scales"});
  refused(changed([&](problem& p) { p.b.scales = d.data(); }), {"D (4 x 5)", "scales"});
  refused(changed([&](problem& p) { p.bias = d.data() + 19; }), {"D (4 x 5)", "bias", "5"});
  EXPECT_TRUE(cpu::can_run(changed([&](problem& p) { p.bias = d.data() + 20; })).ok())
      << "right behind D is no overlap";
}

TEST(Gemm, refuses_two_e2m1_a_byte_in_words) {
  gemm_problem<e2m1x2, e2m1x2, float> both;
  gemm_problem<bfloat16, e2m1x2, float> weight;
  for (const status& refused : {cpu::gemm(both), cpu::can_run(both), cpu::gemm(weight)}) {
    EXPECT_EQ(refused.code(), status_code::unsupported);
    EXPECT_NE(refused.message().find("e2m1x2"), std::string::npos) << refused.message();
  }
  EXPECT_NE(cpu::gemm(weight).message().find("B has two"), std::string::npos);
}

}  // namespace
