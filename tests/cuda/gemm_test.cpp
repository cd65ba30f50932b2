// SPDX-License-Identifier: MIT
#include "gemm_mirror.hpp"

#include <random>

// cuda::gemm against cpu::gemm, which stands against oracles in tests/cpu: the same bytes wherever sums are exact, within
// a bound of the exact sum elsewhere.

namespace {

using namespace quaver;
using quaver_test::code_of;
using quaver_test::engine;
using quaver_test::expect_the_hosts_bytes;
using quaver_test::fill_exactly;
using quaver_test::generator;
using quaver_test::GpuTest;
using quaver_test::lie;
using quaver_test::mirrored;
using quaver_test::named;
using quaver_test::on_device;
using quaver_test::random_problem;
using quaver_test::run_on_device;

using CudaGemm = GpuTest;

/// Small ones, tails of tiles, several tiles; K now and then 0, a multiple of 16 half of the time.
struct shape {
  int64_t m, n, k;
};
shape some_shape(generator& random) {
  const auto extent = [&] { return static_cast<int64_t>(1 + random() % (random() % 8 == 0 ? 300 : 70)); };
  const auto even   = [&](int64_t x, int64_t by) { return random() % 2 == 0 ? (x + by - 1) / by * by : x; };
  const int64_t k   = random() % 16 == 0 ? 0 : static_cast<int64_t>(1 + random() % (random() % 2 == 0 ? 70 : 600));
  return {extent(), even(extent(), 4), even(k, 16)};
}

/// The engines that this program has: the one for compute_80 lacks FP8 instructions, and says so.
const std::vector<engine>& engines() {
  static const std::vector<engine> all = [] {
    std::vector<engine> list = {engine::mma_bf16, engine::mma_f16};
    const status fp8         = quaver_test::can_run_on_device(gemm_problem<e4m3, e4m3, float>{}, engine::mma_fp8);
    if (fp8.ok()) list.push_back(engine::mma_fp8);
    else EXPECT_NE(fp8.message().find("needs compute_89, this program was compiled for compute_80"), std::string::npos);
    return list;
  }();
  return all;
}

template <class A, class B, class D>
void check_exact(uint64_t seed, int problems, engine with, bool specials) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    const shape s = some_shape(random);
    random_problem<A, B, D> p(s.m, s.n, s.k, random, i % 8 == 7 ? 3 : 1);
    fill_exactly(p, random, specials);
    if (!eight_bit<A> && i % 3 == 0) {
      p.problem.a.layout      = {};
      p.problem.a.scales      = nullptr;
      p.problem.a.scales_e8m0 = nullptr;
      p.problem.a.scales_e4m3 = nullptr;
      p.problem.a.tensor_wide = nullptr;
    }
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with, random() % 3 != 0)) << "problem " << i;
  }
}

TEST_F(CudaGemm, has_the_hosts_bytes_in_every_mix_of_formats_layouts_and_outputs_where_sums_are_exact) {
  uint64_t seed = 100;
#define CHECK_MIX(A, B, D)                                   \
  check_exact<A, B, D>(++seed, 32, engine::mma_bf16, false); \
  if (HasFatalFailure()) return;
  QUAVER_GEMM_MIXES(CHECK_MIX)
#undef CHECK_MIX
}

TEST_F(CudaGemm, has_the_hosts_nan_and_infinities_from_every_operand) {
  uint64_t seed = 200;
#define CHECK_MIX(A, B, D)                                  \
  check_exact<A, B, D>(++seed, 12, engine::mma_bf16, true); \
  if (HasFatalFailure()) return;
  QUAVER_GEMM_MIXES(CHECK_MIX)
#undef CHECK_MIX
}

TEST_F(CudaGemm, has_the_hosts_bytes_by_halves_and_by_codes_where_sums_are_exact) {
  for (const engine with : engines()) {
    if (with == engine::mma_bf16) continue;
    ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, float>(301, 48, with, false)));
    ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e5m2, bfloat16>(302, 32, with, false)));
    ASSERT_NO_FATAL_FAILURE((check_exact<e5m2, e4m3, e5m2>(303, 32, with, false)));
    ASSERT_NO_FATAL_FAILURE((check_exact<e5m2, e5m2, float>(304, 32, with, false)));
    ASSERT_NO_FATAL_FAILURE((check_exact<e5m2, e5m2, float>(305, 16, with, true)));
    ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, e4m3>(306, 16, with, true)));
  }
}

/// All codes of A by all codes of B, a single term each.
template <class A, class B, class D>
void check_products(engine with) {
  generator random(1);
  random_problem<A, B, D> p(256, 256, 1, random);
  for (int64_t i = 0; i < 256; ++i) {
    if constexpr (eight_bit<A>) p.a.values.view(i, 0) = A::from_bits(static_cast<typename A::storage>(i));
    else p.a.values.view(i, 0) = quaver_test::some_number<A>(random, 8, true);
    p.b.values.view(i, 0) = B::from_bits(static_cast<typename B::storage>(i));
  }
  p.problem         = {};
  const float one   = 1;
  p.a.layout        = per_tensor;
  p.b.layout        = per_tensor;
  p.a.scales        = {one};
  p.b.scales        = {one};
  p.problem.a       = p.a.matrix();
  p.problem.b       = p.b.matrix();
  p.problem.d       = p.d.view;
  p.problem.d_scale = quant_scale(1.0f);
  p.c.reset();
  p.bias.clear();
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with, false));
}

TEST_F(CudaGemm, multiplies_all_pairs_of_codes_exactly) {
#define CHECK_MIX(A, B, D)                   \
  check_products<A, B, D>(engine::mma_bf16); \
  if (HasFatalFailure()) return;
  QUAVER_GEMM_MIXES(CHECK_MIX)
#undef CHECK_MIX
  for (const engine with : engines()) {
    ASSERT_NO_FATAL_FAILURE((check_products<e4m3, e4m3, float>(with)));
    ASSERT_NO_FATAL_FAILURE((check_products<e4m3, e5m2, float>(with)));
    ASSERT_NO_FATAL_FAILURE((check_products<e5m2, e4m3, half>(with)));
    ASSERT_NO_FATAL_FAILURE((check_products<e5m2, e5m2, float>(with)));
  }
}

TEST_F(CudaGemm, has_the_hosts_bytes_for_every_tail_from_1_to_70_of_every_dimension) {
  generator random(400);
  for (const engine with : engines()) {
    for (int64_t x = 1; x <= 70; ++x) {
      for (const shape s : {shape{x, 5, 33}, shape{6, x, 34}, shape{3, 4, x}, shape{128 + x, 128 + x, 48}}) {
        random_problem<e4m3, e4m3, float> p(s.m, s.n, s.k, random);
        fill_exactly(p, random, false);
        ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with, x % 2 == 0));
      }
    }
  }
}

TEST_F(CudaGemm, has_the_hosts_bytes_where_bands_of_tiles_and_long_sums_are_many) {
  generator random(500);
  for (const engine with : engines()) {
    for (const scale_layout& layout : {per_tensor, blocks_1x128, mx_1x32}) {
      random_problem<e4m3, e4m3, bfloat16> p(1300, 520, 2064, random);
      p.a.layout = layout;
      p.a.scales.resize(p.a.count(layout, 1300, 2064));
      p.a.powers.resize(p.a.scales.size());
      p.a.levels.resize(p.a.scales.size());
      p.problem.a = p.a.matrix();
      fill_exactly(p, random, false);
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with, true));
    }
  }
}

/// The largest error of random data, in units of 2^-24 of the sum of the magnitudes.
template <class A>
double largest_error(uint64_t seed, const shape& s, const scale_layout& a_layout, const scale_layout& b_layout,
                     engine with) {
  generator random(seed);
  std::mt19937_64 gauss_source(seed);
  std::normal_distribution<float> gauss(0.0f, 1.0f);
  random_problem<A, e4m3, float> p(s.m, s.n, s.k, random);
  p.problem = {};
  p.c.reset();
  p.bias.clear();
  const auto fill = [&](auto& x, const scale_layout& layout, int64_t rows) {
    using F = std::remove_cvref_t<decltype(x.values.guard)>;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < s.k; ++k) x.values.view(r, k) = F(gauss(gauss_source) * 16.0f);
    }
    x.layout = layout;
    x.scales.resize(x.count(layout, rows, s.k));
    x.powers.resize(x.scales.size());
    x.levels.resize(x.scales.size());
    for (float& scale : x.scales) scale = std::fabs(gauss(gauss_source)) + 0.01f;
    for (e8m0& scale : x.powers) scale = e8m0::from_bits(static_cast<uint8_t>(124 + random() % 6));
    for (e4m3& scale : x.levels) scale = e4m3(std::fabs(gauss(gauss_source)) + 0.1f);
    x.tensor_wide = 0.37f;
  };
  fill(p.a, a_layout, s.m);
  fill(p.b, b_layout, s.n);
  p.problem.a = p.a.matrix();
  p.problem.b = p.b.matrix();
  p.problem.d = p.d.view;

  const on_device<A, e4m3, float> device(p, true);
  const status run = run_on_device(device.problem, with);
  EXPECT_TRUE(run.ok()) << run.message();
  std::copy_n(device.d.to_host().data(), p.d.data.size(), p.d.data.data());
  double largest = 0;
  for (int64_t i = 0; i < 2000; ++i) {
    const auto r                    = static_cast<int64_t>(random() % static_cast<uint64_t>(s.m));
    const auto col                  = static_cast<int64_t>(random() % static_cast<uint64_t>(s.n));
    const reference::wide_sum exact = reference::gemm_wide(p.problem, r, col);
    const long double error = std::fabs(static_cast<long double>(p.d.view(r, col)) - exact.value) / exact.magnitude;
    largest                 = std::max(largest, static_cast<double>(error));
  }
  // The same bits again.
  const std::vector<float> first = device.d.to_host();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(run_on_device(device.problem, with).ok());
    const std::vector<float> again = device.d.to_host();
    EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)), 0) << "runs differ";
  }
  return largest * 0x1p24;
}

TEST_F(CudaGemm, stays_within_a_bound_of_the_exact_sum_on_gaussian_data_and_repeats_its_bits) {
  // A stretch of 128 is eight instructions. Each cuts its 16 products and the sum to about 24 bits below the largest of
  // them; then a few roundings to nearest. The sum of all magnitudes is far above the largest, so the bound is wide.
  const shape s{300, 260, 2000};
  const scale_layout column_order{.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};
  for (const auto& [a, b] : {std::pair{per_tensor, per_tensor},
                             {per_row, per_row},
                             {column_order, blocks_128x128},
                             {mx_1x32, mx_1x32},
                             {nvfp4_1x16, nvfp4_1x16}}) {
    for (const engine with : engines()) {
      const double error = largest_error<e4m3>(601, s, a, b, with);
      // How the FP8 instruction sums is not claimed.
      const double bound = with == engine::mma_fp8 ? 1e9 : 8;
      EXPECT_LE(error, bound) << a.block_rows << " x " << a.block_cols;
      std::fprintf(stderr, "error in 2^-24 of the magnitudes, blocks %d x %d, engine %d: %.3f\n", a.block_rows,
                   a.block_cols, static_cast<int>(with), error);
    }
  }
}

TEST_F(CudaGemm, rounds_float_activations_to_bfloat16_to_nearest_even) {
  // One term: D is the rounded activation times a power of two.
  generator random(700);
  for (int i = 0; i < 20; ++i) {
    random_problem<float, e4m3, float> p(200, 7, 1, random);
    fill_exactly(p, random, false);
    for (int64_t r = 0; r < 200; ++r) p.a.values.view(r, 0) = quaver_test::some_number<float>(random, 4, false);
    for (int64_t r = 0; r < 200; ++r) {
      if (std::fabs(p.a.values.view(r, 0)) < 0x1p-100f) p.a.values.view(r, 0) = 1.00390625f;  // a tie
    }
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, engine::automatic, i % 2 == 0));
  }
}

TEST_F(CudaGemm, runs_in_a_captured_graph_and_sets_amax_each_time) {
  generator random(800);
  random_problem<e4m3, e4m3, e4m3> p(140, 60, 100, random);
  fill_exactly(p, random, false);
  p.problem.beta = 0;
  const on_device<e4m3, e4m3, e4m3> device(p, true);
  cudaStream_t stream = nullptr;
  QUAVER_CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  QUAVER_CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  const status run  = run_on_device(device.problem, engine::automatic, stream);
  cudaGraph_t graph = nullptr;
  QUAVER_CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
  ASSERT_TRUE(run.ok()) << run.message();
  cudaGraphExec_t program = nullptr;
  QUAVER_CHECK_CUDA(cudaGraphInstantiate(&program, graph, 0));
  float amax       = 0;
  p.problem.d_amax = &amax;
  ASSERT_TRUE(cpu::gemm(p.problem).ok());
  QUAVER_CHECK_CUDA(cudaDeviceSynchronize());  // the copies of the operands, which this stream does not wait for
  for (int i = 0; i < 2; ++i) {
    QUAVER_CHECK_CUDA(cudaMemsetAsync(device.problem.d_amax, 0x7F, sizeof(float), stream));
    QUAVER_CHECK_CUDA(cudaGraphLaunch(program, stream));
    QUAVER_CHECK_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(code_of(device.amax.to_host()[0]), code_of(amax));
    EXPECT_EQ(quaver_test::codes_of(device.d.to_host()), quaver_test::codes_of(p.d.data));
  }
  QUAVER_CHECK_CUDA(cudaGraphExecDestroy(program));
  QUAVER_CHECK_CUDA(cudaGraphDestroy(graph));
  QUAVER_CHECK_CUDA(cudaStreamDestroy(stream));
}

TEST_F(CudaGemm, sets_amax_to_zero_where_d_is_empty) {
  const quaver_test::device_array<float> amax(std::vector<float>{5.0f});
  gemm_problem<e4m3, e4m3, float> p;
  p.a.values      = {nullptr, 0, 4};
  p.b.values      = {nullptr, 3, 0};
  p.b.values.cols = p.a.values.cols = 0;
  p.d                               = {nullptr, 0, 3};
  p.d_amax                          = amax.data();
  const status run                  = run_on_device(p, engine::automatic);
  ASSERT_TRUE(run.ok()) << run.message();
  EXPECT_EQ(amax.to_host()[0], 0.0f);
}

TEST_F(CudaGemm, names_its_slow_paths_and_wants_no_workspace) {
  using problem = gemm_problem<e4m3, e4m3, float>;
  const quaver_test::device_array<e4m3> codes(2 * 256 * 256);
  const quaver_test::device_array<float> d(256 * 256);
  const quaver_test::device_array<float> scales(256 * 256);
  problem plain;
  plain.a.values = {codes.data(), 256, 256};
  plain.b.values = {codes.data() + 256 * 256, 256, 256};
  plain.d        = {d.data(), 256, 256};
  plain.a.scales = plain.b.scales = scales.data();
  EXPECT_EQ(quaver_test::plan_on_device(plain, engine::mma_f16), "mma_f16: tiles of 128 x 128, 4 thread blocks");
  EXPECT_EQ(quaver_test::workspace_on_device(plain, engine::automatic), 0u);
  const auto expect = [&](auto change, const char* words) {
    auto changed = plain;
    change(changed);
    const std::string text = quaver_test::plan_on_device(changed, engines().back());
    EXPECT_NE(text.find(words), std::string::npos) << text;
  };
  expect([](problem& x) { x.a.values.cols = x.b.values.cols = 250; }, ": tiles of 128 x 128, 4 thread blocks");
  expect([](problem& x) { x.a.values.row_stride = 255, x.a.values.cols = x.b.values.cols = 255; },
         "A is read element by element (16 bytes at a time want column stride 1, and rows at multiples of 16 bytes: "
         "row stride 255");
  expect([](problem& x) { x.b.values = x.b.values.transposed(); }, "B is read element by element");
  expect([](problem& x) { x.a.layout.block_cols = 24; }, "scales change each 24 of K, which is no multiple of the ");
  expect([](problem& x) { x.d = x.d.transposed(); }, "D is written element by element");
}

TEST_F(CudaGemm, refuses_what_it_cannot_do_by_its_numbers_and_launches_nothing) {
  generator random(1000);
  random_problem<e4m3, e4m3, float> p(40, 50, 70, random);
  fill_exactly(p, random, false);
  p.problem.beta = 0;
  p.problem.act  = activation::none;
  on_device<e4m3, e4m3, float> device(p, true);
  using problem                      = gemm_problem<e4m3, e4m3, float>;
  const std::vector<uint32_t> before = quaver_test::codes_of(device.d.to_host());
  const auto refused                 = [&](status_code code, auto change, const std::vector<std::string>& words) {
    problem changed = device.problem;
    change(changed);
    const status got = run_on_device(changed, engine::automatic);
    EXPECT_EQ(got.code(), code) << got.message();
    EXPECT_EQ(quaver_test::can_run_on_device(changed, engine::automatic).message(), got.message());
    EXPECT_EQ(quaver_test::plan_on_device(changed, engine::automatic), got.message());
    for (const std::string& word : words) EXPECT_NE(got.message().find(word), std::string::npos) << got.message();
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(quaver_test::codes_of(device.d.to_host()), before);
    EXPECT_EQ(device.amax.to_host()[0], -1.0f);
  };
  const auto bad = status_code::invalid_argument;
  refused(bad, [](problem& x) { x.a.values.rows = 39; }, {"39 x 70", "40 x 50"});
  refused(bad, [](problem& x) { x.b.values.data = nullptr; }, {"B is null", "50 x 70"});
  refused(bad, [](problem& x) { x.d.row_stride = -1; }, {"D", "-1"});
  refused(bad, [](problem& x) { x.beta = 1, x.c.data = nullptr; }, {"C is null"});
  refused(bad, [](problem& x) { x.batches.count = -2; }, {"-2 batches"});
  refused(bad, [](problem& x) { x.d.data = reinterpret_cast<float*>(reinterpret_cast<char*>(x.d.data) + 1); },
          {"D is not aligned to its elements of 4 bytes"});
  // Host memory, which the device cannot reach (or can: then this is no error).
  const bool reaches = [] {
    int value = 0;
    QUAVER_CHECK_CUDA(cudaDeviceGetAttribute(&value, cudaDevAttrPageableMemoryAccess, 0));
    return value != 0;
  }();
  if (!reaches) {
    refused(bad, [&](problem& x) { x.a.values.data = p.problem.a.values.data; }, {"gemm: A lies in host memory"});
    refused(bad, [&](problem& x) { x.d.data = p.problem.d.data; }, {"gemm: D lies in host memory"});
    std::vector<float> many(70 * 50 * 50, 1.0f);
    refused(bad, [&](problem& x) { x.bias = many.data(); }, {"gemm: the bias lies in host memory"});
    refused(bad, [&](problem& x) { x.d_amax = many.data(); }, {"gemm: d_amax lies in host memory"});
    refused(bad, [&](problem& x) { x.a.layout = {}, x.a.scales = many.data(); },
            {"gemm: the scales of A lies in host memory"});
  }

  random_problem<float, e4m3, float> floats(4, 4, 4, random);
  fill_exactly(floats, random, false);
  const on_device<float, e4m3, float> device_floats(floats, true);
  gemm_problem<float, e4m3, float> by_fma = device_floats.problem;
  by_fma.a_floats                         = float_activations::multiplied_by_fma;
  EXPECT_EQ(run_on_device(by_fma, engine::automatic).code(), status_code::unsupported);
  const status wrong_engine = run_on_device(device_floats.problem, engine::mma_fp8);
  EXPECT_EQ(wrong_engine.code(), status_code::unsupported);
  EXPECT_NE(wrong_engine.message().find("mma_fp8 multiplies E4M3 and E5M2 codes"), std::string::npos);
}

}  // namespace
