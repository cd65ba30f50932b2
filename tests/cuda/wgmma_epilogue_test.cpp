// SPDX-License-Identifier: MIT
#include "wgmma_epilogue_kernels.hpp"

#include <quaver/cpu/activations.hpp>
#include <quaver/cpu/gemm.hpp>
#include <quaver/scale/current_scale.hpp>

#include "cublaslt_problems.hpp"

// cuda::wgmma_gemm_with where sums are exact: the bytes that the host makes of cpu::gemm's product.

namespace {

using namespace quaver;
using quaver_test::code_of;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::finished;
using quaver_test::generator;
using quaver_test::HopperTest;
using quaver_test::plan_of_swiglu;
using quaver_test::run_swiglu;
using quaver_test::tile;

class WgmmaEpilogue : public HopperTest {};

constexpr scale_layout lines = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};

/// alpha * A * B^T (+ bias) of all batches below one another, as floats.
template <class D>
std::vector<float> product_on_host(const gemm_problem<e4m3, e4m3, D>& p, const float* bias) {
  std::vector<float> x(static_cast<size_t>(p.d.rows * p.d.cols * p.batches.count));
  gemm_problem<e4m3, e4m3, float> all;
  all.a                = p.a;
  all.b                = p.b;
  all.d                = {x.data(), p.d.rows, p.d.cols};
  all.alpha            = p.alpha;
  all.bias             = bias;
  all.batches          = p.batches;
  all.batches.d_stride = p.d.rows * p.d.cols;
  const status done    = cpu::gemm(all);
  EXPECT_TRUE(done.ok()) << done.message();
  return x;
}

/// What SwiGLU leaves in D's buffer, and its amax, in the problem's own arrays.
template <class D>
void swiglu_on_host(cublaslt_problem<e4m3, e4m3, D>& p) {
  const gemm_problem<e4m3, e4m3, D>& host = p.host;
  const std::vector<float> x              = product_on_host(host, host.bias);
  const int64_t rows                      = host.d.rows * host.batches.count;
  const int64_t cols                      = host.d.cols / 2;
  std::vector<float> y(static_cast<size_t>(rows * cols));
  const matrix_view<const float> gate(x.data(), rows, cols, host.d.cols, 2);
  const matrix_view<const float> up(x.data() + 1, rows, cols, host.d.cols, 2);
  const status done = cpu::silu_mul(gate, up, matrix_view<float>(y.data(), rows, cols));
  ASSERT_TRUE(done.ok()) << done.message();
  uint32_t largest = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t col = 0; col < cols; ++col) {
      const float value                    = y[static_cast<size_t>(r * cols + col)];
      largest                              = std::max(largest, bitwise_cast<uint32_t>(value) & 0x7FFF'FFFFu);
      host.d.data[r / host.d.rows * host.batches.d_stride + r % host.d.rows * host.d.row_stride +
                  col * host.d.col_stride] = finished<D>(value, host);
    }
  }
  p.amax.host[0] = bitwise_cast<float>(largest);
}

/// The same bytes in all of D's buffer, what stands between its rows and in the second half of its columns too; and again in
/// a second run.
template <class D>
void expect_swiglu(cublaslt_problem<e4m3, e4m3, D>& p, tile with) {
  p.send();
  ASSERT_NO_FATAL_FAILURE(swiglu_on_host(p));
  const cublaslt_case& how = p.how;
  for (int run = 0; run < 2; ++run) {
    const status there = run_swiglu(p.device, with);
    ASSERT_TRUE(there.ok()) << there.message();
    const std::vector<D> got = p.d.device->to_host();
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(code_of(got[i]), code_of(p.d.host[i]))
          << "element " << i << " of D's buffer, run " << run << ", " << how.m << " x " << how.n << " x " << how.k
          << ", " << how.batches << " batches, " << plan_of_swiglu(p.device, with);
    }
    ASSERT_EQ(code_of(p.amax.device->to_host()[0]), code_of(p.amax.host[0]));
  }
}

/// The kinds of sums, as problems ask for them.
enum class sums : uint8_t { fast, strict, scaled };

cublaslt_case some_case(generator& random, sums kind) {
  const auto one_of = [&](uint64_t in) { return random() % in == 0; };
  const auto extent = [&] { return static_cast<int64_t>(1 + random() % (one_of(6) ? 700 : 150)); };
  cublaslt_case how{.m = extent(), .n = 2 * extent(), .k = static_cast<int64_t>(129 + random() % 900)};
  how.gap     = one_of(2) ? 16 * static_cast<int64_t>(random() % 4) : 0;
  how.offset  = 16 * static_cast<int64_t>(random() % 4);
  how.batches = one_of(5) ? 3 : 1;
  if (how.batches != 1) how.own_scales = one_of(2), how.shared_b = one_of(2);
  how.sum = kind == sums::fast ? accumulation::fast : accumulation::strict;
  if (kind == sums::scaled) {
    how.a_layout = one_of(2) ? lines : blocks_1x128;
    how.b_layout = how.m <= 128 && one_of(3) ? lines : blocks_128x128;
  } else {
    how.a_layout = one_of(2) ? per_row : per_tensor;
    how.b_layout = one_of(2) ? per_row : per_tensor;
  }
  how.alpha      = one_of(3) ? 1.0f : one_of(2) ? 0x1p-4f : 0x1p-7f;
  how.with_bias  = true;
  how.wants_amax = true;
  how.d_turned   = one_of(5);
  return how;
}

template <class D>
void check_swiglu(uint64_t seed, int problems, sums kind) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    cublaslt_case how = some_case(random, kind);
    if (eight_bit<D>) how.d_scale = random() % 2 == 0 ? 1.0f : 5.5f;
    const bool any_b = kind != sums::scaled || how.b_layout.block_rows == 128;
    for (const tile with : {tile::automatic, tile::rows_128x128, tile::small}) {
      if ((with == tile::small && how.m > 128) || (with == tile::rows_128x128 && !any_b)) continue;
      cublaslt_problem<e4m3, e4m3, D> p(how);
      p.fill_exactly(random);
      ASSERT_NO_FATAL_FAILURE(expect_swiglu(p, with)) << "problem " << i;
    }
  }
}

TEST_F(WgmmaEpilogue, swiglu_has_the_hosts_bytes) {
  ASSERT_NO_FATAL_FAILURE(check_swiglu<e4m3>(1, 120, sums::scaled));
#if QUAVER_TEST_EVERY_MIX
  ASSERT_NO_FATAL_FAILURE(check_swiglu<bfloat16>(2, 80, sums::fast));
  ASSERT_NO_FATAL_FAILURE(check_swiglu<bfloat16>(3, 80, sums::strict));
  ASSERT_NO_FATAL_FAILURE(check_swiglu<float>(4, 60, sums::strict));
  ASSERT_NO_FATAL_FAILURE(check_swiglu<float>(5, 60, sums::scaled));
#endif
}

TEST_F(WgmmaEpilogue, swiglu_has_the_hosts_bytes_for_every_tail) {
  generator random(11);
  for (int64_t x = 1; x <= 140; ++x) {
    for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{x, 40, 264},
                                  {200, 2 * x, 264},
                                  {5, 2 * x, 264},
                                  {130, 70, 128 + x},
                                  {20, 70, 128 + 8 * x}}) {
      cublaslt_problem<e4m3, e4m3, e4m3> p({.m          = m,
                                            .n          = n,
                                            .k          = k,
                                            .a_layout   = lines,
                                            .b_layout   = blocks_128x128,
                                            .wants_amax = true,
                                            .with_bias  = true});
      p.fill_exactly(random);
      ASSERT_NO_FATAL_FAILURE(expect_swiglu(p, tile::automatic));
    }
  }
}

/// More tiles than the device holds at once.
TEST_F(WgmmaEpilogue, swiglu_has_the_hosts_bytes_where_tiles_are_many) {
  generator random(12);
  for (const auto& [m, n, k] :
       {std::tuple<int64_t, int64_t, int64_t>{3000, 3104, 400}, {3, 28700, 1100}, {100, 40000, 300}}) {
    cublaslt_problem<e4m3, e4m3, e4m3> p({.m          = m,
                                          .n          = n,
                                          .k          = k,
                                          .a_layout   = lines,
                                          .b_layout   = blocks_128x128,
                                          .wants_amax = true,
                                          .with_bias  = true,
                                          .alpha      = 0x1p-5f});
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_swiglu(p, tile::automatic));
  }
}

TEST_F(WgmmaEpilogue, swiglu_makes_canonical_nan_of_every_nan) {
  generator random(13);
  for (const int64_t m : {20, 200}) {
    cublaslt_problem<e4m3, e4m3, e4m3> p({.m          = m,
                                          .n          = 200,
                                          .k          = 300,
                                          .a_layout   = lines,
                                          .b_layout   = blocks_128x128,
                                          .wants_amax = true,
                                          .with_bias  = true});
    p.fill_exactly(random);
    p.a.host[0] = e4m3::nan();  // of the whole first row
    ASSERT_NO_FATAL_FAILURE(expect_swiglu(p, tile::automatic));
    EXPECT_EQ(code_of(p.amax.host[0]), 0x7FC0'0000u);
  }
}

TEST_F(WgmmaEpilogue, runs_in_a_captured_graph_and_sets_amax_each_time) {
  generator random(14);
  for (const int64_t m : {20, 300}) {
    cublaslt_problem<e4m3, e4m3, e4m3> p({.m          = m,
                                          .n          = 208,
                                          .k          = 2000,
                                          .a_layout   = lines,
                                          .b_layout   = blocks_128x128,
                                          .wants_amax = true,
                                          .with_bias  = true,
                                          .alpha      = 0x1p-5f});
    p.fill_exactly(random);
    p.send();
    ASSERT_TRUE(run_swiglu(p.device, tile::automatic).ok());  // loads the kernel
    ASSERT_NO_FATAL_FAILURE(swiglu_on_host(p));
    cudaStream_t stream = nullptr;
    QUAVER_CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    QUAVER_CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    const status run  = run_swiglu(p.device, tile::automatic, stream);
    cudaGraph_t graph = nullptr;
    QUAVER_CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
    ASSERT_TRUE(run.ok()) << run.message();
    cudaGraphExec_t program = nullptr;
    QUAVER_CHECK_CUDA(cudaGraphInstantiate(&program, graph, 0));
    for (int i = 0; i < 2; ++i) {
      QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
      QUAVER_CHECK_CUDA(cudaMemsetAsync(p.device.d_amax, 0x7F, sizeof(float), stream));
      QUAVER_CHECK_CUDA(cudaGraphLaunch(program, stream));
      QUAVER_CHECK_CUDA(cudaStreamSynchronize(stream));
      EXPECT_EQ(code_of(p.amax.device->to_host()[0]), code_of(p.amax.host[0]));
      EXPECT_EQ(quaver_test::codes_of(p.d.device->to_host()), quaver_test::codes_of(p.d.host));
    }
    QUAVER_CHECK_CUDA(cudaGraphExecDestroy(program));
    QUAVER_CHECK_CUDA(cudaGraphDestroy(graph));
    QUAVER_CHECK_CUDA(cudaStreamDestroy(stream));
  }
}

TEST_F(WgmmaEpilogue, says_why_it_cannot_run_a_product_and_launches_nothing) {
  using problem = gemm_problem<e4m3, e4m3, e4m3>;
  cublaslt_problem<e4m3, e4m3, e4m3> given({.m          = 256,
                                            .n          = 256,
                                            .k          = 256,
                                            .a_layout   = lines,
                                            .b_layout   = blocks_1x128,  // room for as many as any below has
                                            .wants_amax = true,
                                            .with_bias  = true});
  given.device.b.layout = blocks_128x128;
  given.send();
  const auto expect = [&](auto change, status_code code, const std::string& words, tile with = tile::automatic) {
    problem changed = given.device;
    change(changed);
    const status run = run_swiglu(changed, with);
    EXPECT_EQ(run.code(), code) << run.message();
    EXPECT_NE(run.message().find(words), std::string::npos) << run.message();
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  };
  using enum status_code;
  expect([](problem& p) { p.b.values.rows = p.d.cols = 255; }, invalid_argument,
         "swiglu takes pairs of columns, and there are 255");
  expect([](problem& p) { p.d.rows = 255; }, invalid_argument,
         "store is 255 x 128, where there are 256 x 128 elements");
  expect([](problem& p) { p.d.data = nullptr; }, invalid_argument, "store is null but 256 x 128");
  expect([](problem& p) { p.bias = nullptr; }, invalid_argument, "plus_bias is null, and wants 256 values");
  expect([](problem& p) { p.d_amax = nullptr; }, invalid_argument, "amax_to is null, and wants 1 values");
  expect([](problem& p) { p.batches.count = 2, p.batches.d_stride = 1000; }, invalid_argument,
         "the 2 results D (256 x 128) share elements");
  expect([](problem& p) { p.a.values.cols = 128; }, invalid_argument, "they must be M x K and N x K");
  expect([](problem& p) { p.a.values.cols = p.b.values.cols = 0; }, unsupported, "K is 0");
  expect([](problem& p) { p.a.values.data += 1, p.a.values.rows = p.d.rows = 255; }, unsupported,
         "cannot move A: column stride 1 and every row");
  expect([](problem& p) { p.b.layout = blocks_1x128; }, unsupported,
         "where M is 256, blocks of B's scales must have 128 rows or a multiple, not 1");
  expect([](problem& p) { p.a.layout = p.b.layout = per_tensor; }, unsupported,
         "the sums are promoted (one scale or one a row, strict), for which this program has no kernels");
  expect([](problem&) {}, unsupported,
         "no kernel of tiles of small M for this problem, whose D is 256 x 256, more than 128 rows", tile::small);
  expect([](problem&) {}, unsupported, "no kernel of tiles of 128 x 192 in turn", tile::in_turn_128x192);
  EXPECT_NE(plan_of_swiglu(given.device, tile::automatic).find("tiles of 128 x 128"), std::string::npos);
  for (size_t i = 0; const e4m3 x : given.d.device->to_host()) ASSERT_EQ(code_of(x), code_of(given.d.host[i++]));
}

TEST_F(WgmmaEpilogue, sets_amax_to_zero_where_the_product_is_empty) {
  for (const int64_t m : {0, 300}) {
    cublaslt_problem<e4m3, e4m3, e4m3> p({.m          = m,
                                          .n          = m == 0 ? 32 : 0,
                                          .k          = 256,
                                          .a_layout   = lines,
                                          .b_layout   = blocks_128x128,
                                          .wants_amax = true,
                                          .with_bias  = true});
    p.send();
    const status run = run_swiglu(p.device, tile::automatic);
    ASSERT_TRUE(run.ok()) << run.message();
    EXPECT_EQ(p.amax.device->to_host()[0], 0.0f);
  }
}

#if QUAVER_TEST_EVERY_MIX
/// The test's own epilogue, whose warps shuffle: each 128 columns of a row get the scale of their amax.
TEST_F(WgmmaEpilogue, gives_a_warp_128_columns_of_a_row) {
  generator random(21);
  for (int i = 0; i < 120; ++i) {
    cublaslt_case how = some_case(random, sums::fast);
    if (i % 2 == 0) how.m = static_cast<int64_t>(1 + random() % 128);
    if (i % 3 == 0) how.n -= 1;
    cublaslt_problem<e4m3, e4m3, e4m3> p(how);
    p.fill_exactly(random);
    p.send();
    const int64_t blocks = (how.n + 127) / 128;
    std::vector<float> scales(static_cast<size_t>(how.m * how.batches * blocks), -3.0f);
    const quaver_test::device_array<float> device_scales(scales);
    const status there = quaver_test::run_row_blocks(p.device, device_scales.data(), tile::automatic);
    ASSERT_TRUE(there.ok()) << there.message();

    const std::vector<float> x = product_on_host(p.host, nullptr);
    for (int64_t r = 0; r < how.m * how.batches; ++r) {
      for (int64_t block = 0; block < blocks; ++block) {
        const float* from   = x.data() + r * how.n + block * 128;
        const int64_t count = std::min<int64_t>(128, how.n - block * 128);
        float amax          = 0.0f;
        for (int64_t col = 0; col < count; ++col) amax = std::max(amax, std::fabs(from[col]));
        const tensor_scale scale                        = current_scale<e4m3>(amax);
        scales[static_cast<size_t>(r * blocks + block)] = scale.dequant.value();
        for (int64_t col = 0; col < count; ++col) {
          p.host.d.data[r / how.m * p.host.batches.d_stride + r % how.m * p.host.d.row_stride +
                        (block * 128 + col) * p.host.d.col_stride] =
              encode<e4m3>(reference::product(from[col], scale.quant.value()));
        }
      }
    }
    EXPECT_EQ(quaver_test::codes_of(device_scales.to_host()), quaver_test::codes_of(scales)) << "problem " << i;
    ASSERT_EQ(quaver_test::codes_of(p.d.device->to_host()), quaver_test::codes_of(p.d.host)) << "problem " << i;
  }
}

TEST_F(WgmmaEpilogue, steps_have_the_bytes_of_the_problem_that_they_spell_out) {
  generator random(22);
  const quaver_test::device_array<float> one(std::vector<float>{1.0f});
  for (int i = 0; i < 120; ++i) {
    cublaslt_case how = some_case(random, sums::fast);
    if (i % 2 == 0) how.m = static_cast<int64_t>(1 + random() % 128);
    if (i % 3 == 0) how.n -= 1;
    how.a_layout = how.b_layout = per_row;
    how.with_c                  = true;
    how.c_is_d                  = random() % 2 == 0;
    how.beta                    = random() % 2 == 0 ? -1.0f : 0.3f;
    how.act                     = activation::gelu;
    cublaslt_problem<e4m3, e4m3, half> p(how);
    p.fill_exactly(random);
    p.send();
    const status there = quaver_test::run_steps(p.device, one.data(), tile::automatic);
    ASSERT_TRUE(there.ok()) << there.message();
    const status here = cpu::gemm(p.host);
    ASSERT_TRUE(here.ok()) << here.message();
    ASSERT_EQ(quaver_test::codes_of(p.d.device->to_host()), quaver_test::codes_of(p.d.host)) << "problem " << i;
    ASSERT_EQ(code_of(p.amax.device->to_host()[0]), code_of(p.amax.host[0])) << "problem " << i;
  }
}
#endif

}  // namespace
