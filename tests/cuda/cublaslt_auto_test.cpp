// SPDX-License-Identifier: MIT
#include "cublaslt_runs.hpp"
// Behind the oracles, as cublaslt_runs.hpp says.
#include "cublaslt_auto.hpp"

// auto_gemm: its choice by a table, on paper; and on a GPU, that each engine it names writes the right D.

namespace {

using namespace quaver;
using quaver_test::auto_engine_of_host;
using quaver_test::code_of_number;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::exact_values;
using quaver_test::finished;
using quaver_test::generator;
using quaver_test::HopperTest;
using quaver_test::lines;
using quaver_test::squares;
using quaver_test::work;
using enum measured_kind;

constexpr gemm_measurement table[] = {
    {tensor_fast, 1, 4096, 4096, 1.2f},    {tensor_fast, 16, 4096, 4096, 0.9f},
    {tensor_fast, 4096, 4096, 4096, 1.0f}, {tensor_fast, 4096, 4096, 16384, 0.999f},
    {rows_strict, 64, 64, 64, 0.5f},
};

const gemm_measurement* nearest(measured_kind kind, int64_t m, int64_t n, int64_t k) {
  return nearest_measurement(table, kind, m, n, k);
}

TEST(AutoGemmChoice, is_the_measurement_of_that_very_shape) {
  for (const gemm_measurement& one : gemm_record) {
    const gemm_measurement* found = nearest_measurement(gemm_record, one.kind, one.m, one.n, one.k);
    EXPECT_EQ(found, &one) << name_of(one.kind) << ", " << one.m << " x " << one.n << " x " << one.k;
    EXPECT_EQ(faster_by(found), one.vs_cublaslt >= 1.0f ? auto_engine::wgmma : auto_engine::cublaslt);
    EXPECT_GT(one.vs_cublaslt, 0.1f);
    EXPECT_LT(one.vs_cublaslt, 10.0f);
  }
}

TEST(AutoGemmChoice, is_the_nearest_shape_by_factors) {
  EXPECT_EQ(nearest(tensor_fast, 3, 4096, 4096), &table[0]);
  EXPECT_EQ(nearest(tensor_fast, 5, 4096, 4096), &table[1]);
  EXPECT_EQ(nearest(tensor_fast, 255, 4096, 4096), &table[1]);
  EXPECT_EQ(nearest(tensor_fast, 257, 4096, 4096), &table[2]);
  EXPECT_EQ(nearest(tensor_fast, 4096, 4096, 8191), &table[2]);
  EXPECT_EQ(nearest(tensor_fast, 4096, 4096, 8193), &table[3]);
  // The other extents count too: eight times the N of all, and K in favour of the last.
  EXPECT_EQ(nearest(tensor_fast, 2048, 32768, 16384), &table[3]);
}

TEST(AutoGemmChoice, is_the_first_of_those_that_are_equally_near) {
  EXPECT_EQ(nearest(tensor_fast, 4, 4096, 4096), &table[0]);
  EXPECT_EQ(nearest(tensor_fast, 256, 4096, 4096), &table[1]);
  EXPECT_EQ(nearest(tensor_fast, 4096, 4096, 8192), &table[2]);
}

TEST(AutoGemmChoice, is_made_beyond_both_ends_of_the_table) {
  EXPECT_EQ(nearest(tensor_fast, int64_t{1} << 40, int64_t{1} << 40, int64_t{1} << 40), &table[3]);
  EXPECT_EQ(nearest(tensor_fast, 1, 1, 1), &table[0]);
  EXPECT_EQ(nearest(tensor_fast, 0, 0, 0), &table[0]);
}

TEST(AutoGemmChoice, looks_at_no_other_kind) {
  EXPECT_EQ(nearest(rows_strict, 4096, 4096, 4096), &table[4]);
  EXPECT_EQ(nearest(blocks, 4096, 4096, 4096), nullptr);
  EXPECT_EQ(nearest_measurement({}, tensor_fast, 1, 1, 1), nullptr);
  EXPECT_EQ(faster_by(nullptr), auto_engine::wgmma);
}

TEST(AutoGemmChoice, is_the_faster_engine_and_ours_where_both_take_the_same_time) {
  EXPECT_EQ(faster_by(&table[0]), auto_engine::wgmma);
  EXPECT_EQ(faster_by(&table[1]), auto_engine::cublaslt);
  EXPECT_EQ(faster_by(&table[2]), auto_engine::wgmma);
  EXPECT_EQ(faster_by(&table[3]), auto_engine::cublaslt);
}

TEST(AutoGemmChoice, asks_the_faster_engine_first_and_the_slow_ones_last) {
  using enum auto_engine;
  EXPECT_EQ(auto_order(wgmma), (std::array{wgmma, cublaslt, cublaslt_with_epilogue, plain}));
  EXPECT_EQ(auto_order(cublaslt), (std::array{cublaslt, wgmma, cublaslt_with_epilogue, plain}));
  EXPECT_EQ(auto_order(cublaslt_with_epilogue), (std::array{cublaslt_with_epilogue, wgmma, cublaslt, plain}));
}

TEST(AutoGemmChoice, tells_problems_apart_by_scales_and_sums) {
  const auto kind = [](scale_layout a, scale_layout b, accumulation sum, int64_t m = 256, int64_t k = 256) {
    gemm_problem<e4m3, e4m3, bfloat16> p;
    p.a.values   = {nullptr, m, k};
    p.b.values   = {nullptr, 512, k};
    p.a.layout   = a;
    p.b.layout   = b;
    p.accumulate = sum;
    return measured_kind_of(p);
  };
  using enum accumulation;
  EXPECT_EQ(kind(per_tensor, per_tensor, fast), tensor_fast);
  EXPECT_EQ(kind(per_tensor, per_tensor, strict), tensor_strict);
  EXPECT_EQ(kind(per_row, per_row, fast), rows_fast);
  EXPECT_EQ(kind(per_tensor, per_row, strict), rows_strict);
  EXPECT_EQ(kind(lines, squares, strict), blocks);
  EXPECT_EQ(kind(per_row, {.block_rows = 128}, fast), blocks);
  EXPECT_EQ(kind(per_row, per_tensor, fast, 1), tensor_fast);             // of one row that is one scale
  EXPECT_EQ(kind(lines, lines, strict, 256, 128), rows_strict);           // and of one block along K one a row
  EXPECT_EQ(kind(squares, per_tensor, strict, 128, 128), tensor_strict);  // one block is all
}

TEST(AutoGemmChoice, has_measurements_of_every_kind) {
  for (const measured_kind kind : {tensor_fast, tensor_strict, rows_fast, rows_strict, blocks})
    EXPECT_NE(nearest_measurement(gemm_record, kind, 4096, 4096, 4096), nullptr) << name_of(kind);
  EXPECT_NE(std::string(gemm_record_card).find("H100"), std::string::npos);
  EXPECT_EQ(std::string(gemm_record_date).size(), std::string("2026-11-22").size());
}

class AutoGemm : public HopperTest {};

using problem_type = cublaslt_problem<e4m3, e4m3, bfloat16>;

/// Runs it and expects exact values, of one batch.
void expect_right(auto_engine_of_host& engine, problem_type& p) {
  p.send();
  const result<size_t> bytes = engine.workspace(p.device);
  ASSERT_TRUE(bytes.ok()) << bytes.message();
  const work memory(*bytes);
  const status done = engine.run(p.device, memory.span(), nullptr);
  ASSERT_TRUE(done.ok()) << done.message();
  const std::vector<bfloat16> got = p.d.device->to_host();
  const std::vector<float> values = exact_values(p.host);
  for (int64_t r = 0; r < p.how.m; ++r) {
    for (int64_t col = 0; col < p.how.n; ++col) {
      const auto at       = static_cast<size_t>(p.d_first() + r * p.host.d.row_stride + col * p.host.d.col_stride);
      const auto expected = finished<bfloat16>(values[static_cast<size_t>(r * p.how.n + col)], p.host);
      ASSERT_EQ(code_of_number(got[at]), code_of_number(expected))
          << "row " << r << ", column " << col << ", " << engine.plan(p.device)->text;
    }
  }
}

/// The engine that is to be named, from what each can.
auto_engine expected_engine(auto_engine_of_host& engine, const problem_type& p) {
  const gemm_measurement* measured =
      nearest_measurement(gemm_record, measured_kind_of(p.device), p.how.m, p.how.n, p.how.k);
  const bool ours  = engine.wgmma_can(p.device);
  const bool other = engine.cublaslt_can(p.device);
  if (ours && other) return faster_by(measured);
  return ours ? auto_engine::wgmma : auto_engine::cublaslt;
}

TEST_F(AutoGemm, runs_problems_by_the_engine_that_was_the_faster_or_can_run_them) {
  generator random(1);
  auto_engine_of_host engine;
  const auto fast            = accumulation::fast;
  const cublaslt_case each[] = {
      {.m = 16, .n = 512, .k = 512, .sum = fast},
      {.m = 16, .n = 512, .k = 512, .a_layout = per_row, .b_layout = per_row},
      {.m = 300, .n = 256, .k = 512, .sum = fast},
      {.m = 600, .n = 256, .k = 256},
      {.m = 600, .n = 256, .k = 256, .a_layout = per_row, .b_layout = per_row},
      {.m = 600, .n = 256, .k = 256, .a_layout = per_row, .b_layout = per_row, .sum = fast},
      {.m = 304, .n = 256, .k = 512, .a_layout = lines, .b_layout = squares},
      {.m = 304, .n = 256, .k = 512, .a_layout = lines, .b_layout = lines},                     // the library's alone
      {.m = 300, .n = 250, .k = 100, .with_bias = true, .act = activation::silu, .sum = fast},  // ours alone
      {.m = 300, .n = 256, .k = 512, .with_c = true, .beta = 2.0f, .act = activation::relu},
  };
  for (const cublaslt_case& how : each) {
    problem_type p(how);
    p.fill_exactly(random);
    const result<auto_choice> choice = engine.choice(p.device);
    ASSERT_TRUE(choice.ok()) << choice.message();
    EXPECT_EQ(choice->engine, expected_engine(engine, p)) << choice->why;
    EXPECT_NE(choice->why.find("nearest measured shape"), std::string::npos) << choice->why;
    EXPECT_EQ(engine.plan(p.device)->engine, choice->engine);
    EXPECT_EQ(engine.plan(p.device)->workspace, *engine.workspace(p.device));
    for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(expect_right(engine, p)) << choice->why;
  }
}

TEST_F(AutoGemm, takes_the_slower_engines_where_neither_can_and_says_why) {
  generator random(2);
  auto_engine_of_host engine;
  // The library's sums with our epilogue: ours has no kernel for these scales, the library no bias.
  problem_type first({.m = 304, .n = 256, .k = 512, .a_layout = squares, .b_layout = lines, .with_bias = true});
  first.fill_exactly(random);
  const result<auto_choice> epilogue = engine.choice(first.device);
  ASSERT_TRUE(epilogue.ok()) << epilogue.message();
  EXPECT_EQ(epilogue->engine, auto_engine::cublaslt_with_epilogue) << epilogue->why;
  for (const char* words : {"not wgmma: wgmma_gemm: ", "not cublaslt: cuBLASLt: "})
    EXPECT_NE(epilogue->why.find(words), std::string::npos) << epilogue->why;
  ASSERT_NO_FATAL_FAILURE(expect_right(engine, first));
  // Blocks that nobody else has.
  problem_type second({.m        = 200,
                       .n        = 160,
                       .k        = 256,
                       .a_layout = {.block_rows = 1, .block_cols = 64},
                       .b_layout = {.block_rows = 1, .block_cols = 64}});
  second.fill_exactly(random);
  const result<auto_choice> plain = engine.choice(second.device);
  ASSERT_TRUE(plain.ok()) << plain.message();
  EXPECT_EQ(plain->engine, auto_engine::plain) << plain->why;
  EXPECT_NE(plain->why.find("not cublaslt_with_epilogue: "), std::string::npos) << plain->why;
  ASSERT_NO_FATAL_FAILURE(expect_right(engine, second));
}

TEST_F(AutoGemm, refuses_what_no_engine_takes) {
  auto_engine_of_host engine;
  problem_type p({.m = 64, .n = 64, .k = 64});
  p.device.b.values.cols = 63;
  EXPECT_EQ(engine.can_run(p.device).code(), status_code::invalid_argument);
  EXPECT_EQ(engine.run(p.device, {}, nullptr).code(), status_code::invalid_argument);
  EXPECT_FALSE(engine.plan(p.device).ok());
}

TEST_F(AutoGemm, keeps_what_it_tuned_until_it_forgets) {
  generator random(3);
  auto_engine_of_host engine;
  const work memory(cublaslt_gemm::usual_workspace);
  for (const int64_t m : {16, 512}) {
    problem_type p({.m = m, .n = 512, .k = 1024, .sum = accumulation::fast});
    p.fill_exactly(random);
    p.send();
    const status tuned = engine.tune(p.device, memory.span(), nullptr);
    ASSERT_TRUE(tuned.ok()) << tuned.message();
    const result<auto_choice> choice = engine.choice(p.device);
    ASSERT_TRUE(choice.ok()) << choice.message();
    for (const char* words : {"tuned: wgmma took ", ", cublaslt took ", " us"})
      EXPECT_NE(choice->why.find(words), std::string::npos) << choice->why;
    RecordProperty("choice_" + std::to_string(m), choice->why);
    ASSERT_NO_FATAL_FAILURE(expect_right(engine, p));
    const problem_type alike({.m = m, .n = 512, .k = 1024, .sum = accumulation::fast});
    EXPECT_EQ(engine.choice(alike.device)->engine, choice->engine);
    engine.forget();
    EXPECT_NE(engine.choice(p.device)->why.find("nearest measured shape"), std::string::npos);
  }
  problem_type own({.m = 64, .n = 64, .k = 64, .with_c = true, .c_is_d = true, .beta = 1.0f});
  EXPECT_NE(engine.tune(own.device, memory.span(), nullptr).message().find("C is D"), std::string::npos);
}

}  // namespace
