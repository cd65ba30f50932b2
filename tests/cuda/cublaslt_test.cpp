// SPDX-License-Identifier: MIT
#include "cublaslt_problems.hpp"

// Behind what says `half` and means ours: the library's header has one of its own.
#include <quaver/adapters/cublaslt.hpp>
#include <quaver/reference/tensor_core.hpp>

#include "cublaslt_kernels.hpp"

namespace {

using namespace quaver;
using quaver_test::code_of_number;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::device_array;
using quaver_test::exact_values;
using quaver_test::finished;
using quaver_test::generator;
using quaver_test::pick;

class CublasLt : public quaver_test::GpuTest {};

constexpr scale_layout lines   = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};
constexpr scale_layout squares = blocks_128x128;

/// Memory to work in, full of NaN.
struct work {
  device_array<std::byte> memory;
  explicit work(size_t bytes) : memory(bytes + 1) { memory.fill_bytes(0xFF); }
  [[nodiscard]] std::span<std::byte> span() const { return {memory.data(), memory.size() - 1}; }
};

/// Runs, and gives back D with all that stands between its rows.
template <class Engine, class A, class B, class D>
std::vector<D> run(Engine& engine, const cublaslt_problem<A, B, D>& p) {
  p.send();
  const result<size_t> bytes = engine.workspace(p.device);
  EXPECT_TRUE(bytes.ok()) << bytes.message();
  if (!bytes.ok()) return {};
  const work memory(*bytes);
  const status done = engine.run(p.device, memory.span(), nullptr);
  EXPECT_TRUE(done.ok()) << done.message();
  return p.d.device->to_host();
}

template <class A, class B, class D>
std::string named(const cublaslt_problem<A, B, D>& p) {
  const auto text = [](const scale_layout& l) {
    return std::to_string(l.block_rows) + "x" + std::to_string(l.block_cols);
  };
  return std::to_string(p.how.batches) + " of " + std::to_string(p.how.m) + " x " + std::to_string(p.how.n) + " x " +
         std::to_string(p.how.k) + ", scales " + text(p.how.a_layout) + " " + text(p.how.b_layout) + ", alpha " +
         std::to_string(p.how.alpha) + ", beta " + std::to_string(p.host.beta) + ", gap " + std::to_string(p.how.gap) +
         ", offset " + std::to_string(p.how.offset);
}

template <class Engine, class Problem>
std::string plan_text(Engine& engine, const Problem& problem) {
  if constexpr (requires { engine.plan(problem); }) return engine.plan(problem)->text;
  else return "with our epilogue";
}

/// Runs an exact problem and compares every element, every guard and the amax.
template <class Engine, class A, class B, class D>
void run_and_compare(Engine& engine, cublaslt_problem<A, B, D>& p) {
  std::vector<D> want = p.d.host;
  float amax          = 0.0f;
  const auto skip     = p.how.offset / static_cast<int64_t>(sizeof(D));
  for (int64_t i = 0; i < p.how.batches; ++i) {
    const gemm_problem<A, B, D> one = p.single(i);
    const std::vector<float> values = exact_values(one);
    for (int64_t r = 0; r < p.how.m; ++r) {
      for (int64_t col = 0; col < p.how.n; ++col) {
        const float value                                    = values[static_cast<size_t>(r * p.how.n + col)];
        want[static_cast<size_t>(skip + i * p.host.batches.d_stride + r * p.host.d.row_stride +
                                 col * p.host.d.col_stride)] = finished<D>(value, one);
        gemm_problem<A, B, float> unrounded;
        unrounded.act = one.act;
        amax          = std::max(amax, std::fabs(finished<float>(value, unrounded)));
      }
    }
  }
  const std::vector<D> got = run(engine, p);
  ASSERT_EQ(got.size(), want.size());
  const auto number = [](D x) { return reference::to_float(x); };
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(code_of_number(got[i]), code_of_number(want[i]))
        << named(p) << ", element " << i << ": " << number(got[i]) << " for " << number(want[i]) << "; "
        << plan_text(engine, p.device);
  if (p.how.wants_amax) {
    ASSERT_EQ(p.amax.device->to_host()[0], amax) << named(p);
  }
}

/// A problem of any kind that the library has.
template <class A, class B, class D>
cublaslt_case some_case(generator& random) {
  constexpr bool bytes = sizeof(D) == 1;
  struct pair {
    scale_layout a, b;
  };
  constexpr pair pairs[] = {{{}, {}}, {per_row, per_row}, {lines, squares}, {squares, lines}, {lines, lines}};
  cublaslt_case how;
  const auto& [a, b] = pairs[bytes ? 0 : random() % 5];
  how.a_layout       = a;
  how.b_layout       = b;
  how.m              = pick(random, std::vector<int64_t>{1, 3, 4, 17, 64, 100, 129, 260});
  if (a == lines) how.m = (how.m + 3) / 4 * 4;
  how.n          = pick(random, std::vector<int64_t>{16, 48, 136 + (bytes ? 8 : 0), 272});
  how.k          = pick(random, std::vector<int64_t>{16, 32, 112, 128, 144, 272, 640});
  how.gap        = 16 * static_cast<int64_t>(random() % 3);
  how.offset     = 16 * static_cast<int64_t>(random() % 3);
  how.alpha      = pick(random, std::vector<float>{1.0f, -1.0f, 0.75f, 2.0f});
  how.act        = random() % 3 == 0 ? activation::relu : activation::none;
  how.with_c     = same_type<D, float> && random() % 3 == 0;
  how.c_is_d     = random() % 2 == 0;
  how.beta       = pick(random, std::vector<float>{1.0f, -0.5f, 4.0f});
  how.batches    = random() % 4 == 0 ? 3 : 1;
  how.own_scales = random() % 2 == 0;
  how.shared_b   = random() % 4 == 0;
  how.wants_amax = bytes && (how.batches == 1 || !how.own_scales);
  if (bytes) how.d_scale = pick(random, std::vector<float>{1.0f, 0.37f, 0x1p-4f, 3.0f});
  if (a.block_cols == 0 && random() % 2 == 0) how.sum = accumulation::fast;
  return how;
}

template <class A, class B, class D>
void check_exact(cublaslt_gemm& engine, uint64_t seed, int problems) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    cublaslt_problem<A, B, D> p(some_case<A, B, D>(random));
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(run_and_compare(engine, p));
  }
}

TEST_F(CublasLt, equals_exact_integers_in_every_mix_of_formats_scales_outputs_and_epilogues) {
  cublaslt_gemm engine;
  check_exact<e4m3, e4m3, float>(engine, 1, 100);
  check_exact<e4m3, e4m3, bfloat16>(engine, 2, 60);
  check_exact<e4m3, e4m3, quaver::half>(engine, 3, 40);
  check_exact<e4m3, e4m3, e4m3>(engine, 4, 60);
  check_exact<e4m3, e5m2, float>(engine, 5, 60);
  check_exact<e4m3, e5m2, e5m2>(engine, 6, 40);
  check_exact<e5m2, e4m3, bfloat16>(engine, 7, 60);
  check_exact<e5m2, e4m3, e4m3>(engine, 8, 40);
  check_exact<e5m2, e4m3, e5m2>(engine, 9, 40);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

/// The engine with our epilogue, which nvcc compiled.
struct engine_with_epilogue {
  cublaslt_gemm& engine;
  template <class Problem>
  result<size_t> workspace(const Problem& problem) {
    const result<cublaslt_plan> plan = quaver_test::plan_with_epilogue(engine, problem);
    if (!plan.ok()) return plan.error();
    return plan->workspace;
  }
  template <class Problem>
  status run(const Problem& problem, std::span<std::byte> memory, cudaStream_t stream) {
    return quaver_test::run_with_epilogue(engine, problem, memory, stream);
  }
};

template <class A, class B, class D>
void check_exact_with_epilogue(cublaslt_gemm& library, uint64_t seed, int problems) {
  generator random(seed);
  engine_with_epilogue engine{library};
  for (int i = 0; i < problems; ++i) {
    cublaslt_case how = some_case<A, B, float>(random);  // every pair of scales, whatever D is
    how.n             = pick(random, std::vector<int64_t>{4, 16, 132, 260});
    if (how.b_layout == lines && how.n % 16 != 0) how.n = 48;
    how.offset     = static_cast<int64_t>(sizeof(D) * 4) * static_cast<int64_t>(random() % 5) / 16 * 16;
    how.act        = static_cast<activation>(random() % 4);
    how.with_bias  = random() % 2 == 0;
    how.with_c     = random() % 3 == 0;
    how.d_turned   = random() % 4 == 0;
    how.wants_amax = random() % 2 == 0;
    how.d_scale    = pick(random, std::vector<float>{1.0f, 0.37f, 3.0f});
    cublaslt_problem<A, B, D> p(how);
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(run_and_compare(engine, p));
  }
}

TEST_F(CublasLt, with_our_epilogue_equals_exact_integers_in_what_the_library_refuses_too) {
  cublaslt_gemm engine;
  check_exact_with_epilogue<e4m3, e4m3, float>(engine, 21, 100);
  check_exact_with_epilogue<e4m3, e4m3, bfloat16>(engine, 22, 100);
  check_exact_with_epilogue<e5m2, e4m3, quaver::half>(engine, 23, 60);
  check_exact_with_epilogue<e4m3, e5m2, e4m3>(engine, 24, 100);
  check_exact_with_epilogue<e4m3, e4m3, e5m2>(engine, 25, 100);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(CublasLt, the_plan_says_what_our_epilogue_does_and_what_it_needs) {
  cublaslt_gemm engine;
  const auto text = [&](const auto& p) {
    const result<cublaslt_plan> plan = quaver_test::plan_with_epilogue(engine, p.device);
    return plan.ok() ? plan->text : plan.message();
  };
  cublaslt_problem<e4m3, e4m3, float> plain({});
  EXPECT_EQ(text(plain).find("kernel"), std::string::npos) << text(plain);
  cublaslt_problem<e4m3, e4m3, float> own({.with_bias = true});
  EXPECT_NE(text(own).find("then a kernel over D"), std::string::npos) << text(own);
  cublaslt_problem<e4m3, e4m3, bfloat16> other({.with_bias = true});
  EXPECT_NE(text(other).find("its sums in 16384 bytes"), std::string::npos) << text(other);
  cublaslt_problem<e4m3, e4m3, bfloat16> odd({.k = 72, .with_bias = true});
  EXPECT_NE(text(odd).find("K is 72"), std::string::npos) << text(odd);
  const status small = quaver_test::run_with_epilogue(engine, other.device, {}, nullptr);
  EXPECT_NE(small.message().find("has 0 bytes"), std::string::npos) << small.message();
}

TEST_F(CublasLt, the_oracle_of_these_tests_is_that_of_exact_integers) {
  generator random(10);
  cublaslt_case how{
      .m = 5, .n = 16, .k = 272, .a_layout = lines, .b_layout = squares, .with_c = true, .alpha = 0.75f, .beta = -0.5f};
  how.m = 4;
  cublaslt_problem<e4m3, e5m2, float> p(how);
  p.fill_exactly(random);
  const std::vector<float> values = exact_values(p.host);
  for (int64_t r = 0; r < how.m; ++r) {
    for (int64_t col = 0; col < how.n; ++col) {
      bool fits = false;
      ASSERT_EQ(values[static_cast<size_t>(r * how.n + col)], reference::gemm_exact(p.host, r, col, fits));
      ASSERT_TRUE(fits);
    }
  }
}

TEST_F(CublasLt, nan_and_infinity_reach_d_and_its_amax_and_relu_keeps_nan) {
  cublaslt_gemm engine;
  for (const activation act : {activation::none, activation::relu}) {
    cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 16, .n = 16, .k = 32, .wants_amax = true, .act = act});
    generator random(11);
    p.fill_exactly(random);
    p.a.host[32 * 3]          = e4m3::nan();
    const std::vector<e4m3> d = run(engine, p);
    for (size_t i = 0; i < d.size(); ++i) ASSERT_EQ(d[i].is_nan(), i / 16 == 3) << i;
    EXPECT_TRUE(std::isnan(p.amax.device->to_host()[0]));
  }
  cublaslt_problem<e5m2, e4m3, float> p({.m = 16, .n = 16, .k = 32});
  p.fill([](e5m2& x) { x = e5m2(1); }, [](e4m3& x) { x = e4m3(1); });
  p.a_scales.host[0] = p.b_scales.host[0] = 1;
  p.a.host[0]                             = e5m2::infinity();
  p.a.host[32]                            = -e5m2::infinity();
  const std::vector<float> d              = run(engine, p);
  EXPECT_EQ(d[0], HUGE_VALF);
  EXPECT_EQ(d[16], -HUGE_VALF);
  EXPECT_EQ(d[32], 32.0f);
}

TEST_F(CublasLt, eight_bit_d_saturates_with_the_scale_of_each_call) {
  cublaslt_gemm engine;
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 16, .n = 32, .k = 64, .wants_amax = true});
  generator random(12);
  p.fill_exactly(random);
  p.send();
  const work memory(cublaslt_gemm::usual_workspace + 4096);
  // Two calls in one stream and one workspace: neither may see the other's scale.
  cublaslt_problem<e4m3, e4m3, e4m3> q({.m = 16, .n = 32, .k = 64});
  q.a.host        = p.a.host;
  q.b.host        = p.b.host;
  q.a_scales.host = p.a_scales.host;
  q.b_scales.host = p.b_scales.host;
  q.send();
  p.host.d_scale = p.device.d_scale = quant_scale(1000.0f);
  q.host.d_scale = q.device.d_scale = quant_scale(0.3f);
  ASSERT_TRUE(engine.run(p.device, memory.span(), nullptr).ok());
  ASSERT_TRUE(engine.run(q.device, memory.span(), nullptr).ok());
  const std::vector<float> values = exact_values(p.host);
  const std::vector<e4m3> large   = p.d.device->to_host();
  const std::vector<e4m3> small   = q.d.device->to_host();
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(large[i].bits(), finished<e4m3>(values[i], p.host).bits()) << values[i];
    ASSERT_EQ(small[i].bits(), finished<e4m3>(values[i], q.host).bits()) << values[i];
  }
}

TEST_F(CublasLt, the_scale_of_eight_bit_d_may_stand_in_device_memory) {
  cublaslt_gemm engine;
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 16, .n = 32, .k = 64});
  generator random(17);
  p.fill_exactly(random);
  p.send();
  device_array<float> scale(std::vector<float>(8, 0.3f));
  const cublaslt_options options{.d_scale = scale.data()};
  const result<cublaslt_plan> plan = engine.plan(p.device, options);
  ASSERT_TRUE(plan.ok()) << plan.message();
  const work memory(plan->workspace);
  p.host.d_scale = quant_scale(0.3f);
  ASSERT_TRUE(engine.run(p.device, memory.span(), nullptr, options).ok());
  const std::vector<float> values = exact_values(p.host);
  const std::vector<e4m3> d       = p.d.device->to_host();
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(d[i].bits(), finished<e4m3>(values[i], p.host).bits()) << values[i];
  const status crooked = engine.can_run(p.device, {.d_scale = scale.data() + 1});
  EXPECT_NE(crooked.message().find("the scale of D begins 4 bytes past"), std::string::npos) << crooked.message();
}

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
                  << named(p);
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

TEST_F(CublasLt, a_graph_replays_calls_on_what_then_stands_in_memory) {
  cublaslt_gemm engine;
  generator random(13);
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 64, .n = 64, .k = 144, .wants_amax = true, .d_scale = 0.25f});
  cublaslt_problem<e4m3, e4m3, float> q({.m = 64, .n = 272, .k = 144, .a_layout = lines, .b_layout = squares});
  const work memory(cublaslt_gemm::usual_workspace + 4096);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph   = nullptr;
  cudaGraphExec_t all = nullptr;
  QUAVER_CHECK_CUDA(cudaStreamCreate(&stream));
  QUAVER_CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  const status first  = engine.run(p.device, memory.span(), stream);
  const status second = engine.run(q.device, memory.span(), stream);
  const status tuned  = engine.tune(p.device, memory.span(), stream);
  QUAVER_CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
  ASSERT_TRUE(first.ok()) << first.message();
  ASSERT_TRUE(second.ok()) << second.message();
  EXPECT_NE(tuned.message().find("captured"), std::string::npos) << tuned.message();
  QUAVER_CHECK_CUDA(cudaGraphInstantiate(&all, graph, 0));
  for (int replay = 0; replay < 3; ++replay) {
    p.fill_exactly(random);
    q.fill_exactly(random);
    p.send();
    q.send();
    QUAVER_CHECK_CUDA(cudaGraphLaunch(all, stream));
    QUAVER_CHECK_CUDA(cudaStreamSynchronize(stream));
    const std::vector<float> p_values = exact_values(p.host);
    const std::vector<float> q_values = exact_values(q.host);
    const std::vector<e4m3> p_got     = p.d.device->to_host();
    for (size_t i = 0; i < p_values.size(); ++i) ASSERT_EQ(p_got[i].bits(), finished<e4m3>(p_values[i], p.host).bits());
    ASSERT_EQ(q.d.device->to_host(), q_values);
  }
  cudaGraphExecDestroy(all);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_F(CublasLt, tune_leaves_d_as_a_run_does_and_every_algorithm_it_may_choose_is_right) {
  cublaslt_gemm engine;
  generator random(14);
  for (const bool with_c : {false, true}) {
    cublaslt_problem<e4m3, e4m3, float> p({.m = 200, .n = 272, .k = 640, .with_c = with_c, .beta = 0.5f});
    p.fill_exactly(random);
    p.send();
    const work memory(cublaslt_gemm::usual_workspace + 4096);
    const status tuned = engine.tune(p.device, memory.span(), nullptr);
    ASSERT_TRUE(tuned.ok()) << tuned.message();
    const result<cublaslt_plan> plan = engine.plan(p.device);
    ASSERT_TRUE(plan.ok());
    EXPECT_LT(plan->chosen, plan->algorithms);
    const std::vector<float> values = exact_values(p.host);
    ASSERT_EQ(p.d.device->to_host(), values);
    ASSERT_NO_FATAL_FAILURE(run_and_compare(engine, p));
  }
  cublaslt_problem<e4m3, e4m3, float> own({.with_c = true, .c_is_d = true, .beta = 0.5f});
  own.send();
  const work memory(cublaslt_gemm::usual_workspace);
  const status refused = engine.tune(own.device, memory.span(), nullptr);
  EXPECT_NE(refused.message().find("C is D (64 x 64)"), std::string::npos) << refused.message();
}

TEST_F(CublasLt, a_workspace_that_is_too_small_or_crooked_is_refused_with_the_numbers) {
  cublaslt_gemm engine;
  cublaslt_problem<e4m3, e4m3, float> p({.m = 64, .n = 272, .k = 144, .a_layout = lines, .b_layout = squares});
  p.send();
  const result<cublaslt_plan> plan = engine.plan(p.device);
  ASSERT_TRUE(plan.ok()) << plan.message();
  // 3 rows of 2 scales, padded to 4, in a part of 256 bytes.
  EXPECT_GE(plan->workspace, 256u);
  EXPECT_NE(plan->text.find("scales of B copied with padding"), std::string::npos) << plan->text;
  const work memory(plan->workspace + 256);
  const status small = engine.run(p.device, memory.span().first(plan->workspace - 1), nullptr);
  EXPECT_NE(small.message().find(std::to_string(plan->workspace - 1)), std::string::npos) << small.message();
  const status crooked = engine.run(p.device, memory.span().subspan(8), nullptr);
  EXPECT_NE(crooked.message().find("8 past"), std::string::npos) << crooked.message();
  QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT_EQ(p.d.device->to_host(), p.d.host);
}

TEST_F(CublasLt, no_elements_are_no_launch_and_an_amax_of_zero) {
  cublaslt_gemm engine;
  cublaslt_problem<e4m3, e4m3, e4m3> p({.wants_amax = true});
  p.send();
  p.device.a.values.rows = p.device.d.rows = 0;
  const status done                        = engine.run(p.device, {}, nullptr);
  ASSERT_TRUE(done.ok()) << done.message();
  EXPECT_EQ(p.amax.device->to_host()[0], 0.0f);
}

TEST_F(CublasLt, the_caller_s_handle_does_as_well) {
  cublasLtHandle_t handle = nullptr;
  ASSERT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
  {
    cublaslt_gemm engine(handle, 0);
    generator random(15);
    cublaslt_problem<e4m3, e4m3, float> p({.m = 100, .n = 48, .k = 272});
    p.fill_exactly(random);
    const result<size_t> bytes = engine.workspace(p.device);
    ASSERT_TRUE(bytes.ok()) << bytes.message();
    EXPECT_EQ(*bytes, 0u);
    ASSERT_NO_FATAL_FAILURE(run_and_compare(engine, p));
  }
  ASSERT_EQ(cublasLtDestroy(handle), CUBLAS_STATUS_SUCCESS);
}

/// A problem with addresses that nobody reads; for what is refused before anything is read.
template <class A, class B, class D>
gemm_problem<A, B, D> on_paper(int64_t m = 64, int64_t n = 64, int64_t k = 256) {
  const auto at = [](uintptr_t place) { return reinterpret_cast<void*>(place << 32); };
  gemm_problem<A, B, D> p;
  p.a.values = {static_cast<const A*>(at(1)), m, k};
  p.b.values = {static_cast<const B*>(at(2)), n, k};
  p.d        = {static_cast<D*>(at(3)), m, n};
  p.c        = {static_cast<const D*>(at(4)), m, n};
  p.a.scales = static_cast<const float*>(at(5));
  p.b.scales = static_cast<const float*>(at(6));
  return p;
}

using words = std::vector<std::string>;

template <class A, class B, class D>
void expect_refusal(const gemm_problem<A, B, D>& p, const words& wanted, int capability = 90) {
  ASSERT_TRUE(check_gemm(p).ok()) << check_gemm(p).message();
  cublaslt_form form;
  const status refused = check_cublaslt(cublaslt_request_of(p, 0), capability, form);
  EXPECT_EQ(refused.code(), status_code::unsupported) << refused.message();
  for (const std::string& word : wanted) {
    EXPECT_NE(refused.message().find(word), std::string::npos)
        << "'" << refused.message() << "' lacks '" << word << "'";
  }
  if (capability != 90 || !quaver_test::why_no_gpu().empty()) return;
  cublaslt_gemm engine;
  const status done = engine.run(p, {}, nullptr);
  EXPECT_EQ(done.message(), refused.message());
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

/// The same problem with one thing changed.
template <class A = e4m3, class B = e4m3, class D = float, class Change>
gemm_problem<A, B, D> with(const Change& change) {
  gemm_problem<A, B, D> p = on_paper<A, B, D>();
  change(p);
  return p;
}

TEST(CublasLtRefusals, a_good_problem_is_not_refused) {
  cublaslt_form form;
  const status good = check_cublaslt(cublaslt_request_of(on_paper<e4m3, e4m3, float>(), 0), 90, form);
  EXPECT_TRUE(good.ok()) << good.message();
}

TEST(CublasLtRefusals, formats_are_named) {
  expect_refusal(on_paper<e5m2, e5m2, float>(), {"A and B are both e5m2"});
  expect_refusal(on_paper<e4m3fnuz, e4m3, float>(), {"A is another format", "B is e4m3"});
  expect_refusal(on_paper<e4m3, e2m1, float>(), {"B is another format"});
  expect_refusal(on_paper<bfloat16, e4m3, float>(), {"A is bfloat16"});
  expect_refusal(on_paper<e4m3, e4m3, e5m2fnuz>(), {"D is another format"});
  expect_refusal(on_paper<e4m3, e4m3, e5m2>(), {"D is e5m2", "both A and B are e4m3"});
  expect_refusal(on_paper<e4m3, e4m3, float>(), {"compute capability 8.9", "has 8.0"}, 80);
}

TEST(CublasLtRefusals, shapes_strides_and_addresses_are_named_with_their_numbers) {
  expect_refusal(on_paper<e4m3, e4m3, float>(64, 64, 0), {"K is 0"});
  expect_refusal(on_paper<e4m3, e4m3, float>(64, 64, 120), {"K is 120", "multiple of 16"});
  expect_refusal(on_paper<e4m3, e4m3, bfloat16>(64, 60), {"N is 60", "120 bytes"});
  expect_refusal(with([](auto& p) {
                   p.a.values = p.a.values.transposed();
                   p.a.values = {p.a.values.data, 64, 256, 1, 64};
                 }),
                 {"row of A are 64 apart"});
  expect_refusal(with([](auto& p) { p.b.values.row_stride = 264; }), {"rows of B are 264 bytes apart"});
  expect_refusal(with([](auto& p) { p.d.row_stride = 66; }), {"rows of D are 264 bytes apart"});
  expect_refusal(with([](auto& p) { p.d = {p.d.data, 64, 64, 1, 64}; }), {"row of D are 64 apart"});
  expect_refusal(with([](auto& p) { p.a.values.data += 8; }), {"A begins 8 bytes past"});
  expect_refusal(with([](auto& p) { p.b.values.data += 1; }), {"B begins 1 bytes past"});
  expect_refusal(with([](auto& p) { p.d.data += 1; }), {"D begins 4 bytes past"});
  expect_refusal(with([](auto& p) {
                   p.beta = 1;
                   p.c.data += 2;
                 }),
                 {"C begins 8 bytes past"});
  expect_refusal(with([](auto& p) {
                   p.beta         = 1;
                   p.c.row_stride = 65;
                 }),
                 {"rows of C are 260 bytes apart"});
  expect_refusal(with([](auto& p) { p.a.scales += 1; }), {"scales of A begin 4 bytes past"});
  expect_refusal(with([](auto& p) { p.b.scales += 2; }), {"scales of B begin 8 bytes past"});
  expect_refusal(with([](auto& p) { p.batches = {.count = 2, .a_stride = 8, .d_stride = 4096}; }),
                 {"batches of A are 8 bytes apart"});
  expect_refusal(with([](auto& p) { p.batches = {.count = 2, .d_stride = 4097}; }),
                 {"batches of D are 16388 bytes apart"});
  expect_refusal(with([](auto& p) { p.batches = {.count = 2, .d_stride = 4096, .b_scale_stride = 1}; }),
                 {"scales of B", "4 bytes apart"});
}

TEST(CublasLtRefusals, scales_without_a_mode_are_named) {
  const auto scaled = [](const scale_layout& a, const scale_layout& b, int64_t m = 256) {
    gemm_problem<e4m3, e4m3, float> p = on_paper<e4m3, e4m3, float>(m, 256, 512);
    const auto at                     = [](uintptr_t place) { return place << 32; };
    p.a.layout                        = a;
    p.b.layout                        = b;
    p.a.scales_e8m0 = p.b.scales_e8m0 = reinterpret_cast<const e8m0*>(at(7));
    p.a.scales_e4m3 = p.b.scales_e4m3 = reinterpret_cast<const e4m3*>(at(8));
    p.a.tensor_wide = p.b.tensor_wide = reinterpret_cast<const float*>(at(9));
    return p;
  };
  expect_refusal(scaled(blocks_1x128, squares), {"scales of A (1x128, 256 x 4) are row_major", "column_major"});
  expect_refusal(scaled(squares, blocks_1x128), {"scales of B (1x128, 256 x 4) are row_major", "column_major"});
  scale_layout turned = squares;
  turned.order        = scale_order::column_major;
  expect_refusal(scaled(lines, turned), {"the scales of B (128x128, 2 x 4) are column_major", "row_major"});
  expect_refusal(scaled(squares, squares), {"A has 8 scales", "128 x 128"});
  expect_refusal(scaled(per_tensor, per_row), {"A has one scale", "B has 256 scales"});
  expect_refusal(scaled(per_row, lines), {"A has 256 scales", "B has 1024 scales"});
  expect_refusal(scaled({.block_rows = 1, .block_cols = 64}, squares), {"A has 2048 scales (blocks of 1 x 64"});
  expect_refusal(scaled({.block_cols = 128}, squares), {"blocks of all x 128"});
  expect_refusal(scaled(lines, squares, 130), {"1x128 scales of 130 rows", "multiple of 4"});
  expect_refusal(scaled(mx_1x32, mx_1x32), {"scales of A are MX (E8M0)", "has 9.0"});
  expect_refusal(scaled(nvfp4_1x16, nvfp4_1x16), {"scales of A are NVFP4 (E4M3)", "has 9.0"});
  expect_refusal(scaled(mx_1x32, mx_1x32), {"tiles of 128 x 4"}, 100);
  expect_refusal(scaled(nvfp4_1x16, nvfp4_1x16), {"two e2m1 a byte"}, 100);
  expect_refusal(scaled(per_row, per_row), {"compute capability 9.0", "has 8.9"}, 89);
  gemm_problem<e4m3, e4m3, float> fast = scaled(lines, squares);
  fast.accumulate                      = accumulation::fast;
  expect_refusal(fast, {"fast accumulation with block scales"});
}

TEST(CublasLtRefusals, epilogues_are_named) {
  float* const somewhere = reinterpret_cast<float*>(uintptr_t{10} << 32);
  expect_refusal(with([&](auto& p) { p.bias = somewhere; }), {"the bias is float (64 values)"});
  expect_refusal(with([](auto& p) { p.act = activation::gelu; }), {"gelu", "tanh"});
  expect_refusal(with([](auto& p) { p.act = activation::silu; }), {"no silu"});
  expect_refusal(with([&](auto& p) { p.d_amax = somewhere; }), {"amax", "D is float"});
  expect_refusal(with<e4m3, e4m3, e4m3>([](auto& p) { p.beta = 0.5f; }), {"C is e4m3", "0.5"});
  expect_refusal(with<e4m3, e4m3, bfloat16>([](auto& p) { p.beta = 0.5f; }),
                 {"C is bfloat16", "0.5", "before they add C"});
  expect_refusal(with<e4m3, e4m3, quaver::half>([](auto& p) { p.beta = 0.5f; }), {"C is half", "before they add C"});
  expect_refusal(with<e4m3, e4m3, e4m3>([](auto& p) { p.a.layout = p.b.layout = per_row; }),
                 {"D is e4m3", "one a row"});
  expect_refusal(with<e4m3, e4m3, e4m3>([&](auto& p) {
                   p.batches = {.count = 3, .d_stride = 4096, .a_scale_stride = 4};
                   p.d_amax  = somewhere;
                 }),
                 {"amax of 3 D"});
}

TEST(CublasLtPlans, algorithms_are_shared_by_what_differs_in_addresses_and_factors_alone) {
  const auto key = [](const gemm_problem<e4m3, e4m3, e4m3>& p, const cublaslt_options& options = {}) {
    return cublaslt_key_of(cublaslt_request_of(p, 0, options));
  };
  const auto base = with<e4m3, e4m3, e4m3>([](auto& p) { p.d_scale = quant_scale(0.5f); });
  const auto same = [&](const auto& change) {
    gemm_problem<e4m3, e4m3, e4m3> p = base;
    change(p);
    return key(p) == key(base);
  };
  EXPECT_TRUE(same([](auto& p) { p.a.values.data += 4096; }));
  EXPECT_TRUE(same([](auto& p) { p.b.scales += 4; }));
  EXPECT_TRUE(same([](auto& p) { p.alpha = 3; }));
  EXPECT_TRUE(same([](auto& p) { p.d_scale = quant_scale(7.0f); }));
  EXPECT_FALSE(same([](auto& p) { p.d_scale = quant_scale(1.0f); })) << "one launch less";
  EXPECT_FALSE(same([](auto& p) { p.a.values.data += 16; })) << "less aligned";
  EXPECT_FALSE(same([](auto& p) { p.d.data += 128; })) << "less aligned";
  EXPECT_FALSE(same([](auto& p) { p.a.values.row_stride = 272; }));
  EXPECT_FALSE(same([](auto& p) { p.act = activation::relu; }));
  EXPECT_FALSE(same([](auto& p) { p.accumulate = accumulation::fast; }));
  EXPECT_FALSE(same([](auto& p) { p.d_amax = reinterpret_cast<float*>(uintptr_t{11} << 32); }));
  EXPECT_FALSE(same([](auto& p) { p.batches = {.count = 2, .a_stride = 16384, .d_stride = 4096}; }));
  const float* const elsewhere = reinterpret_cast<const float*>(uintptr_t{12} << 32);
  EXPECT_FALSE(key(base, {.d_scale = elsewhere}) == key(base));
  EXPECT_TRUE(key(base, {.d_scale = elsewhere}) == key(base, {.d_scale = elsewhere + 4}));
}

TEST(CublasLtPlans, layouts_whose_blocks_are_the_same_take_the_same_mode) {
  const auto mode = [](const scale_layout& a, const scale_layout& b, int64_t m, int64_t k) {
    gemm_problem<e4m3, e4m3, float> p = on_paper<e4m3, e4m3, float>(m, 256, k);
    p.a.layout                        = a;
    p.b.layout                        = b;
    cublaslt_form form;
    const status good = check_cublaslt(cublaslt_request_of(p, 0), 90, form);
    EXPECT_TRUE(good.ok()) << good.message();
    return form;
  };
  EXPECT_EQ(mode(per_row, per_row, 64, 256).a_mode, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
  EXPECT_EQ(mode(blocks_1x128, blocks_1x128, 63, 128).a_mode, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
  EXPECT_EQ(mode(blocks_1x128, squares, 64, 128).a_mode, CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F);
}

TEST(CublasLtPlans, padded_scales_and_d_s_scale_have_places_of_their_own_in_the_workspace) {
  gemm_problem<e4m3, e4m3, float> p = on_paper<e4m3, e4m3, float>(64, 256, 640);
  p.a.layout                        = lines;
  p.b.layout                        = squares;
  cublaslt_form form;
  cublaslt_request request = cublaslt_request_of(p, 0);
  ASSERT_TRUE(check_cublaslt(request, 90, form).ok());
  EXPECT_EQ(form.b_padded, 2 * 8) << "2 rows of 5 scales, padded to 8";
  EXPECT_EQ(form.a_padded, 0);
  EXPECT_EQ(cublaslt_workspace::of(request, form).library, 256u);
  request.d_scale = 2.0f;
  EXPECT_EQ(cublaslt_workspace::of(request, form).b_scales, 256u);
  EXPECT_EQ(cublaslt_workspace::of(request, form).library, 512u);
  p.b.values.cols = p.a.values.cols = 1024;
  request                           = cublaslt_request_of(p, 0);
  ASSERT_TRUE(check_cublaslt(request, 90, form).ok());
  EXPECT_EQ(form.b_padded, 0) << "8 scales a row need no padding";
}

TEST_F(CublasLt, memory_of_the_host_is_refused_and_d_stays_as_it_was) {
  cublaslt_problem<e4m3, e4m3, float> p({});
  p.send();
  cublaslt_gemm engine;
  int reads_heap = 0;
  QUAVER_CHECK_CUDA(cudaDeviceGetAttribute(&reads_heap, cudaDevAttrPageableMemoryAccess, 0));
  if (reads_heap != 0) GTEST_SKIP() << "this device reads the host's memory";
  alignas(16) const float scales[4] = {};
  gemm_problem<e4m3, e4m3, float> q = p.device;
  q.a.scales                        = scales;
  const status refused              = engine.run(q, {}, nullptr);
  EXPECT_NE(refused.message().find("the scales of A lies in host memory"), std::string::npos) << refused.message();
  EXPECT_EQ(p.d.device->to_host(), p.d.host);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(CublasLt, what_the_checks_let_through_and_the_library_does_not_is_refused_with_its_words) {
  // Not known to happen on compute capability 9.0: shapes at the edge of what is let through.
  cublaslt_gemm engine;
  for (const int64_t m : {1, 2, 3, 5, 16, 31, 1000}) {
    for (const int64_t n : {4, 8, 12, 16, 20, 28, 100, 132}) {
      for (const int64_t k : {16, 48, 4096}) {
        cublaslt_problem<e4m3, e4m3, float> p({.m = m, .n = n, .k = k});
        const status can = engine.can_run(p.device);
        EXPECT_TRUE(can.ok() || can.message().find("CUBLAS_STATUS_NOT_SUPPORTED") != std::string::npos)
            << can.message();
      }
    }
  }
}

TEST_F(CublasLt, an_amax_may_stand_at_any_float) {
  cublaslt_gemm engine;
  generator random(16);
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 16, .n = 16, .k = 32, .wants_amax = true});
  p.fill_exactly(random);
  p.send();
  const device_array<float> places(std::vector<float>(8, -1.0f));
  const work memory(cublaslt_gemm::usual_workspace + 4096);
  for (int i = 0; i < 8; ++i) {
    p.device.d_amax   = places.data() + i;
    const status done = engine.run(p.device, memory.span(), nullptr);
    EXPECT_TRUE(done.ok()) << i << ": " << done.message();
  }
  const std::vector<float> values = exact_values(p.host);
  float amax                      = 0;
  for (const float x : values) amax = std::max(amax, std::fabs(x));
  EXPECT_EQ(places.to_host(), std::vector<float>(8, amax));
}

}  // namespace
