// SPDX-License-Identifier: MIT
#include "cublaslt_runs.hpp"

#include "cublaslt_kernels.hpp"

namespace {

using namespace quaver;
using quaver_test::code_of_number;
using quaver_test::CublasLt;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::device_array;
using quaver_test::exact_values;
using quaver_test::finished;
using quaver_test::generator;
using quaver_test::lines;
using quaver_test::pick;
using quaver_test::run;
using quaver_test::squares;
using quaver_test::work;

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

/// What NVFP4 makes its alpha of: the library's product of numbers in device memory, each step rounded once.
TEST_F(CublasLt, multiplies_numbers_in_device_memory) {
  cublasLtHandle_t library = nullptr;
  ASSERT_EQ(cublasLtCreate(&library), CUBLAS_STATUS_SUCCESS);
  cublaslt_number_product product;
  const status made = product.prepare(library);
  ASSERT_TRUE(made.ok()) << made.message();
  const float tests[][3] = {
      {1.0f, 3.0f, 5.0f},   {0.3f, 0x1.234566p-9f, 0x1.fedcbap-13f}, {-2.5f, 0x1p-70f, 0x1.8p-40f},
      {0.0f, 7.0f, 0.125f}, {1.0f, 0x1.000002p0f, 0x1.000002p0f},    {0x1p-20f, 0x1p60f, 0x1.5p50f}};
  for (const auto& [alpha, a, b] : tests) {
    // Off 16 bytes, as scales may stand.
    quaver_test::device_array<float> numbers(std::vector<float>{0, a, 0, 0, 0, 0, b, 0, -1, 0});
    const status run =
        product.enqueue(library, alpha, numbers.data() + 1, numbers.data() + 6, numbers.data() + 8, nullptr);
    ASSERT_TRUE(run.ok()) << run.message();
    EXPECT_EQ(numbers.to_host()[8], multiply_rn(alpha, multiply_rn(a, b))) << alpha << ", " << a << ", " << b;
  }
  EXPECT_EQ(cublasLtDestroy(library), CUBLAS_STATUS_SUCCESS);
}

}  // namespace
