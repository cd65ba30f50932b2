// SPDX-License-Identifier: MIT
#include "cublaslt_runs.hpp"

#include <quaver/reference/tensor_core.hpp>

namespace {

using namespace quaver;
using quaver_test::CublasLt;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::generator;
using quaver_test::lines;
using quaver_test::run;
using quaver_test::squares;

/// Random finite codes; a scale of one.
template <class A, class B>
cublaslt_problem<A, B, float> random_codes(const cublaslt_case& how, uint64_t seed) {
  cublaslt_problem<A, B, float> p(how);
  generator random(seed);
  const auto code = [&]<class F>(F& x) {
    do {
      x = F::from_bits(static_cast<uint8_t>(random() >> 20));
    } while (!std::isfinite(reference::decode(x)));
  };
  p.fill([&](A& x) { code(x); }, [&](B& x) { code(x); });
  for (float& x : p.a_scales.host) x = 1.0f;
  for (float& x : p.b_scales.host) x = 1.0f;
  return p;
}

/// How many elements of D are bit for bit those of the model of the matrix unit.
template <class A, class B>
std::pair<int, int> equal_to_model(cublaslt_gemm& engine, const cublaslt_case& how, uint64_t seed) {
  const cublaslt_problem<A, B, float> p = random_codes<A, B>(how, seed);
  const std::vector<float> d            = run(engine, p);
  int equal                             = 0;
  for (int64_t r = 0; r < how.m; ++r) {
    for (int64_t col = 0; col < how.n; ++col) {
      const A* a            = &p.host.a.values(r, 0);
      const B* b            = &p.host.b.values(col, 0);
      const binary32 wanted = how.sum == accumulation::fast ? reference::tensor_core_fast(a, b, how.k)
                                                            : reference::tensor_core_strict(a, b, how.k);
      equal += bitwise_cast<uint32_t>(d[static_cast<size_t>(r * how.n + col)]) == wanted.bits() ? 1 : 0;
    }
  }
  return {equal, static_cast<int>(how.m * how.n)};
}

TEST_F(CublasLt, is_the_matrix_unit_s_arithmetic_bit_for_bit_on_random_codes) {
  cublaslt_gemm engine;
  for (const accumulation sum : {accumulation::fast, accumulation::strict}) {
    for (const auto& [a, b] : {std::pair(per_tensor, per_tensor), std::pair(per_row, per_row),
                               std::pair(lines, squares), std::pair(squares, lines), std::pair(lines, lines)}) {
      if (a.block_cols != 0 && sum == accumulation::fast) continue;
      for (const int64_t k : {32, 128, 272, 2048}) {
        const cublaslt_case how{.m = 68, .n = 80, .k = k, .a_layout = a, .b_layout = b, .sum = sum};
        const auto [equal, all]   = equal_to_model<e4m3, e4m3>(engine, how, static_cast<uint64_t>(k));
        const auto [equal2, all2] = equal_to_model<e5m2, e4m3>(engine, how, static_cast<uint64_t>(k) + 1);
        EXPECT_EQ(equal, all) << "K " << k << ", " << a.block_rows << "x" << a.block_cols;
        EXPECT_EQ(equal2, all2) << "K " << k << ", " << a.block_rows << "x" << a.block_cols;
      }
    }
  }
}

/// What becomes of the matrix unit's sums with scales and alpha, as the library was found to do it. Where there is one
/// scale each, alpha is 1: with another the order of its factors was not found out.
template <class A, class B>
float scaled_as_the_library_does(const gemm_problem<A, B, float>& p, int64_t row, int64_t col) {
  using reference::product;
  const A* a         = &p.a.values(row, 0);
  const B* b         = &p.b.values(col, 0);
  const int64_t k    = p.a.cols();
  const float a_once = reference::scale_at(p.a, row, 0);
  const float b_once = reference::scale_at(p.b, col, 0);
  if (p.a.layout.block_cols == 0) {
    const binary32 code = p.accumulate == accumulation::fast ? reference::tensor_core_fast(a, b, k)
                                                             : reference::tensor_core_strict(a, b, k);
    const float sum     = bitwise_cast<float>(code);
    if (p.a.layout.block_rows == 0) return product(sum, product(a_once, b_once));
    return product(product(product(sum, b_once), a_once), p.alpha);
  }
  float total = 0.0f;
  for (int64_t at = 0; at < k; at += 128) {
    const float x    = reference::scale_at(p.a, row, at);
    const float y    = reference::scale_at(p.b, col, at);
    const float part = bitwise_cast<float>(reference::tensor_core_fast(a + at, b + at, std::min<int64_t>(128, k - at)));
    const bool vector = p.a.layout == lines && p.b.layout == lines;
    total = vector ? reference::fused(total, product(part, x), y) : reference::fused(total, part, product(x, y));
  }
  return product(total, p.alpha);
}

TEST_F(CublasLt, scales_and_alpha_meet_the_sums_as_the_documentation_says_bit_for_bit) {
  cublaslt_gemm engine;
  for (const float alpha : {1.0f, 1.1f}) {
    for (const int64_t k : {144, 640}) {
      for (const accumulation sum : {accumulation::fast, accumulation::strict}) {
        for (const auto& [a, b] : {std::pair(per_tensor, per_tensor), std::pair(per_row, per_row),
                                   std::pair(lines, squares), std::pair(squares, lines), std::pair(lines, lines)}) {
          if (a.block_cols != 0 && sum == accumulation::fast) continue;
          if (a == per_tensor && alpha != 1.0f) continue;
          cublaslt_problem<e4m3, e5m2, float> p = random_codes<e4m3, e5m2>(
              {.m = 36, .n = 48, .k = k, .a_layout = a, .b_layout = b, .alpha = alpha, .sum = sum}, 77);
          generator random(78);
          for (auto* scales : {&p.a_scales.host, &p.b_scales.host}) {
            for (float& x : *scales)
              x = bitwise_cast<float>(0x3E80'0000u + static_cast<uint32_t>(random() % 0x0180'0000u));
          }
          const std::vector<float> d = run(engine, p);
          for (int64_t r = 0; r < p.how.m; ++r) {
            for (int64_t col = 0; col < p.how.n; ++col) {
              ASSERT_EQ(bitwise_cast<uint32_t>(d[static_cast<size_t>(r * p.how.n + col)]),
                        bitwise_cast<uint32_t>(scaled_as_the_library_does(p.host, r, col)))
                  << "K " << k << ", alpha " << alpha << ", " << a.block_rows << "x" << a.block_cols << ", " << r
                  << ", " << col;
            }
          }
        }
      }
    }
  }
}

/// The largest error over the sum of the magnitudes of the terms.
template <class A, class B>
double largest_error(cublaslt_gemm& engine, const cublaslt_case& how, uint64_t seed) {
  cublaslt_problem<A, B, float> p = random_codes<A, B>(how, seed);
  generator random(seed);
  for (float& x : p.a_scales.host)
    x = bitwise_cast<float>(0x3E80'0000u + static_cast<uint32_t>(random() % 0x0180'0000u));
  for (float& x : p.b_scales.host)
    x = bitwise_cast<float>(0x3E80'0000u + static_cast<uint32_t>(random() % 0x0180'0000u));
  const std::vector<float> d = run(engine, p);
  double worst               = 0;
  for (int64_t r = 0; r < how.m; r += 7) {
    for (int64_t col = 0; col < how.n; col += 5) {
      const reference::wide_sum exact = reference::gemm_wide(p.host, r, col);
      const long double error =
          std::fabs(static_cast<long double>(d[static_cast<size_t>(r * how.n + col)]) - exact.value);
      worst = std::max(worst, static_cast<double>(error / exact.magnitude));
    }
  }
  return worst;
}

TEST_F(CublasLt, random_codes_and_scales_stay_within_the_stated_bound) {
  cublaslt_gemm engine;
  for (const accumulation sum : {accumulation::fast, accumulation::strict}) {
    for (const auto& [a, b] : {std::pair(per_tensor, per_tensor), std::pair(per_row, per_row),
                               std::pair(lines, squares), std::pair(squares, lines), std::pair(lines, lines)}) {
      if (a.block_cols != 0 && sum == accumulation::fast) continue;
      for (const int64_t k : {128, 1024, 4096}) {
        const cublaslt_case how{.m = 132, .n = 144, .k = k, .a_layout = a, .b_layout = b, .sum = sum};
        const double worst =
            std::max(largest_error<e4m3, e4m3>(engine, how, 3), largest_error<e4m3, e5m2>(engine, how, 4));
        EXPECT_LT(worst, 0x1p-10) << "K " << k << ", " << a.block_rows << "x" << a.block_cols;
      }
    }
  }
}

}  // namespace
