// SPDX-License-Identifier: MIT
#include "cublaslt_runs.hpp"

namespace {

using namespace quaver;
using quaver_test::CublasLt;
using quaver_test::cublaslt_problem;
using quaver_test::lines;
using quaver_test::squares;

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
  scale_layout tiles = per_row;
  tiles.order        = scale_order::tiles_128x4;
  expect_refusal(scaled(tiles, per_row), {"scales of A are f32 and lie in tiles_128x4"});
  for (const scale_layout& mx : {mx_1x32, mx_1x32_tiles}) {
    expect_refusal(scaled(mx, mx), {"scales of A are MX (E8M0)", "CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0",
                                    "compute capability 10.0", "device 0 has 9.0"});
  }
  expect_refusal(scaled(nvfp4_1x16, nvfp4_1x16),
                 {"scales of A are NVFP4 (E4M3)", "CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3", "device 0 has 9.0"});
  expect_refusal(scaled(per_row, per_row), {"compute capability 9.0", "has 8.9"}, 89);
  gemm_problem<e4m3, e4m3, float> fast = scaled(lines, squares);
  fast.accumulate                      = accumulation::fast;
  expect_refusal(fast, {"fast accumulation with block scales"});
}

/// A problem on paper with MX or NVFP4 scales.
template <class A, class B, class D>
gemm_problem<A, B, D> narrow(const scale_layout& a, const scale_layout& b, int64_t m = 256, int64_t n = 64,
                             int64_t k = 512) {
  gemm_problem<A, B, D> p = on_paper<A, B, D>(m, n, k);
  const auto at           = [](uintptr_t place) { return place << 32; };
  p.a.layout              = a;
  p.b.layout              = b;
  p.a.scales_e8m0 = p.b.scales_e8m0 = reinterpret_cast<const e8m0*>(at(7));
  p.a.scales_e4m3 = p.b.scales_e4m3 = reinterpret_cast<const e4m3*>(at(8));
  p.a.tensor_wide                   = reinterpret_cast<const float*>(at(9));
  p.b.tensor_wide                   = reinterpret_cast<const float*>(at(10));
  return p;
}

template <class A, class B, class D>
cublaslt_form form_of(const gemm_problem<A, B, D>& p, int capability) {
  EXPECT_TRUE(check_gemm(p).ok()) << check_gemm(p).message();
  cublaslt_form form;
  const status good = check_cublaslt(cublaslt_request_of(p, 0), capability, form);
  EXPECT_TRUE(good.ok()) << good.message();
  return form;
}

TEST(CublasLtRefusals, mx_and_nvfp4_have_a_mode_from_compute_capability_10_on) {
  for (const int capability : {100, 103, 120}) {
    for (const cublaslt_form& form :
         {form_of(narrow<e4m3, e4m3, bfloat16>(mx_1x32_tiles, mx_1x32_tiles), capability),
          form_of(narrow<e5m2, e4m3, float>(mx_1x32_tiles, mx_1x32_tiles, 3, 16, 48), capability),
          // One block of K, said as a whole axis.
          form_of(narrow<e4m3, e4m3, quaver::half>(
                      {.block_rows = 1, .type = scale_type::mx_e8m0, .order = scale_order::tiles_128x4}, mx_1x32_tiles,
                      3, 16, 32),
                  capability)}) {
      EXPECT_EQ(form.a_mode, CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0);
      EXPECT_EQ(form.b_mode, CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0);
      EXPECT_FALSE(form.two_levels || form.loops || form.a_padded != 0 || form.b_padded != 0);
    }
    auto p                   = narrow<e2m1x2, e2m1x2, bfloat16>(nvfp4_1x16_tiles, nvfp4_1x16_tiles);
    const cublaslt_form form = form_of(p, capability);
    EXPECT_EQ(form.a_mode, CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3);
    EXPECT_EQ(form.b_mode, CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3);
    EXPECT_TRUE(form.two_levels);
    p.batches = {.count = 3, .a_stride = 256 * 256, .d_stride = 256 * 64, .a_scale_stride = 256 * 32};
    EXPECT_TRUE(form_of(p, capability).loops) << "one launch a batch";
  }
}

TEST(CublasLtRefusals, two_e2m1_a_byte_are_counted_in_values_and_in_bytes) {
  auto p                     = narrow<e2m1x2, e2m1x2, float>(nvfp4_1x16_tiles, nvfp4_1x16_tiles);
  p.a.values.row_stride      = 272;
  p.batches                  = {.count = 2, .a_stride = 256 * 272, .d_stride = 256 * 64, .b_scale_stride = 4096};
  const cublaslt_request sum = cublaslt_request_of(p, 0);
  EXPECT_EQ(sum.a.type, CUDA_R_4F_E2M1);
  EXPECT_EQ(sum.k, 512);
  EXPECT_EQ(sum.a.row_stride, 544);
  EXPECT_EQ(sum.b.row_stride, 512);
  EXPECT_EQ(sum.a.batch_bytes(), 256 * 272);
  EXPECT_EQ(sum.b.scale_batch_bytes(), 4096);
  EXPECT_EQ(sum.a.tensor_wide, p.a.tensor_wide);
}

TEST(CublasLtRefusals, mx_and_nvfp4_that_no_chip_takes_are_named) {
  const scale_layout mx    = mx_1x32_tiles;
  const scale_layout nvfp4 = nvfp4_1x16_tiles;
  const auto refused       = [](const auto& p, const words& wanted) { expect_refusal(p, wanted, 100); };
  refused(narrow<e4m3, e4m3, float>(mx_1x32, mx), {"scales of A are MX (E8M0)", "row_major", "tiles_128x4"});
  refused(narrow<e2m1x2, e2m1x2, float>(nvfp4, nvfp4_1x16),
          {"scales of B are NVFP4 (E4M3)", "row_major", "tiles_128x4"});
  refused(narrow<e4m3, e4m3, float>(nvfp4, nvfp4), {"scales of A are NVFP4", "A is e4m3", "e2m1x2"});
  refused(narrow<e2m1x2, e2m1x2, float>(mx, mx), {"scales of A are MX", "A is e2m1x2"});
  refused(narrow<e2m1x2, e2m1x2, float>(per_tensor, per_tensor), {"A is e2m1x2", "f32 scales"});
  refused(narrow<e2m1x2, e4m3, float>(nvfp4, mx), {"A is e2m1x2, B is e4m3"});
  refused(narrow<e4m3, e4m3, float>(mx, per_tensor), {"A has 4096 scales", "B has one scale", "both MX"});
  refused(narrow<e5m2, e5m2, float>(mx, mx), {"both e5m2"});
  refused(narrow<e2m1x2, e2m1x2, float>(nvfp4, nvfp4, 64, 64, 48), {"K is 48", "multiple of 32"});
  scale_layout wide = mx;
  wide.block_cols   = 64;
  refused(narrow<e4m3, e4m3, float>(wide, mx), {"scales of A are MX", "1 x 64", "1 x 32"});
  auto fast       = narrow<e4m3, e4m3, float>(mx, mx);
  fast.accumulate = accumulation::fast;
  refused(fast, {"fast accumulation with block scales"});
  refused(narrow<e4m3, e4m3, e4m3>(mx, mx), {"D is e4m3", "MX 1x32"});
  auto off = narrow<e4m3, e4m3, float>(mx, mx);
  off.a.scales_e8m0 += 8;
  refused(off, {"scales of A begin 8 bytes past"});
  auto batches    = narrow<e4m3, e4m3, float>(mx, mx);
  batches.batches = {.count = 2, .d_stride = 256 * 64, .a_scale_stride = 4 * 1024 + 8};
  refused(batches, {"scales of A", "4104 bytes apart"});
  expect_refusal(narrow<e2m1x2, e2m1x2, float>(nvfp4, nvfp4),
                 {"A is e2m1x2", "VEC16_UE4M3", "10.0", "device 0 has 9.0"});
  expect_refusal(narrow<e4m3, e2m1x2, float>(mx, nvfp4), {"B is e2m1x2", "device 0 has 9.0"});
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

}  // namespace
