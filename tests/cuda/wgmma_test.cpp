// SPDX-License-Identifier: MIT
#include "wgmma_kernels.hpp"

#include <quaver/cpu/gemm.hpp>

#include "cublaslt_problems.hpp"
#include "wgmma_model.hpp"

// cuda::wgmma_gemm against cpu::gemm where sums are exact, and against the model of the matrix unit on random data: the
// same bits.

namespace {

using namespace quaver;
using quaver_test::code_of;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::device_array;
using quaver_test::documented;
using quaver_test::generator;
using quaver_test::HopperTest;
using quaver_test::k_parts_of_wgmma;
using quaver_test::plan_of_wgmma;
using quaver_test::run_wgmma;
using quaver_test::tile;

class Wgmma : public HopperTest {};

constexpr scale_layout lines = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};

/// The kinds of sums, as problems ask for them.
enum class sums : uint8_t { fast, strict, scaled, scaled_lines };

template <class A, class B, class D>
std::string text_of(const cublaslt_problem<A, B, D>& p, tile with) {
  const cublaslt_case& how = p.how;
  return std::to_string(how.m) + " x " + std::to_string(how.n) + " x " + std::to_string(how.k) + ", " +
         std::to_string(how.batches) + " batches, scales " + std::to_string(how.a_layout.block_rows) + "x" +
         std::to_string(how.a_layout.block_cols) + " " + std::to_string(how.b_layout.block_rows) + "x" +
         std::to_string(how.b_layout.block_cols) + ": " + plan_of_wgmma(p.device, with);
}

/// Runs here and there, and expects the same bytes of all of D's buffer, what stands between its rows too, and the same
/// amax.
template <class A, class B, class D>
void expect_the_hosts_bytes(cublaslt_problem<A, B, D>& p, tile with) {
  p.send();
  const status there = run_wgmma(p.device, with);
  ASSERT_TRUE(there.ok()) << there.message();
  const std::vector<D> got = p.d.device->to_host();
  const status here        = cpu::gemm(p.host);
  ASSERT_TRUE(here.ok()) << here.message();
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(code_of(got[i]), code_of(p.d.host[i])) << "element " << i << " of D's buffer, " << text_of(p, with);
  }
  if (p.how.wants_amax) {
    ASSERT_EQ(code_of(p.amax.device->to_host()[0]), code_of(p.amax.host[0])) << text_of(p, with);
  }
}

/// A problem of this kind, as different from the others as may be. Where `direct`, nothing that makes D leave by rows,
/// such as columns that are no multiple of 16.
cublaslt_case some_case(generator& random, sums kind, bool direct, bool eight_bit_d) {
  const auto one_of = [&](uint64_t in) { return random() % in == 0; };
  const auto extent = [&] { return static_cast<int64_t>(1 + random() % (one_of(8) ? 700 : 150)); };
  cublaslt_case how{.m = extent(), .n = extent(), .k = static_cast<int64_t>(1 + random() % (one_of(6) ? 1500 : 400))};
  how.gap     = one_of(2) ? 16 * static_cast<int64_t>(random() % 4) : 0;
  how.offset  = 16 * static_cast<int64_t>(random() % 4);
  how.batches = one_of(6) ? 3 : 1;
  if (how.batches != 1) how.own_scales = one_of(2), how.shared_b = one_of(2);
  how.sum = kind == sums::fast ? accumulation::fast : accumulation::strict;
  if (kind == sums::scaled) {
    const scale_layout a[] = {lines, blocks_1x128, blocks_128x128, {.block_cols = 128}, per_row, {.block_rows = 64}};
    const scale_layout b[] = {blocks_128x128, {.block_rows = 256, .block_cols = 128}, {.block_cols = 128}, per_tensor};
    how.a_layout           = a[random() % 6];
    how.b_layout           = b[random() % 4];
  } else if (kind == sums::scaled_lines) {
    how.m += 128 + (-how.m & 3);
    how.n        = (how.n + 3) / 4 * 4;
    how.k        = how.k + 128;
    how.a_layout = how.b_layout = lines;
  } else {
    how.a_layout = one_of(2) ? per_row : per_tensor;
    how.b_layout = one_of(2) ? per_row : per_tensor;
  }
  how.alpha     = one_of(3) ? 0.5f : 1.0f;
  how.d_scale   = one_of(2) ? 0.25f : 1.0f;
  how.with_bias = one_of(3);
  if (direct) {
    how.n          = (how.n + 15) / 16 * 16;
    how.wants_amax = eight_bit_d && one_of(2);
    return how;
  }
  how.wants_amax           = one_of(2);
  how.with_c               = one_of(2);
  how.c_is_d               = one_of(2);
  how.beta                 = one_of(3) ? -1.0f : 2.0f;
  how.d_turned             = one_of(3);
  const activation after[] = {activation::none, activation::relu, activation::gelu, activation::silu};
  how.act                  = after[random() % 4];
  if (!how.with_c && !how.d_turned && how.act == activation::none) how.act = activation::relu;
  return how;
}

/// Scales of A as the copy engine moves them.
void for_the_copy_engine(cublaslt_case& how) {
  how.m        = (how.m + 3) / 4 * 4;
  how.a_layout = lines;
}

template <class A, class B, class D>
void check_exact(uint64_t seed, int problems, sums kind, std::initializer_list<tile> tiles) {
  generator random(seed);
  for (const tile with : tiles) {
    if (sizeof(D) == 4 && (with == tile::in_turn_128x176 || with == tile::rows_128x176)) continue;
    for (int i = 0; i < problems; ++i) {
      const bool direct = i % 3 != 0 || (with != tile::automatic && with != tile::rows_128x128);
      cublaslt_case how = some_case(random, kind, direct, eight_bit<D>);
      if (kind == sums::scaled && with == tile::rows_256x128) for_the_copy_engine(how);
      cublaslt_problem<A, B, D> p(how);
      p.fill_exactly(random);
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with)) << "problem " << i;
    }
  }
}

TEST_F(Wgmma, has_the_hosts_bytes_where_sums_are_exact) {
  const auto fast   = {tile::automatic, tile::in_turn_128x128, tile::in_turn_128x176, tile::in_turn_128x192};
  const auto strict = {tile::automatic, tile::rows_128x192, tile::rows_128x176, tile::rows_128x128, tile::rows_256x128};
  const auto blocks = {tile::automatic, tile::rows_128x128, tile::rows_128x192, tile::rows_256x128};
  const auto narrow = {tile::automatic, tile::rows_128x128};
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, bfloat16>(1, 150, sums::fast, fast)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, bfloat16>(2, 150, sums::strict, strict)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, bfloat16>(3, 250, sums::scaled, blocks)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, float>(4, 60, sums::fast, fast)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, float>(5, 60, sums::strict, strict)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, float>(6, 100, sums::scaled, blocks)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, bfloat16>(7, 100, sums::scaled_lines, narrow)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, e4m3>(8, 60, sums::fast, fast)));
#if QUAVER_TEST_EVERY_MIX
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, float>(9, 60, sums::scaled_lines, narrow)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e5m2, e4m3, bfloat16>(12, 60, sums::scaled_lines, narrow)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e5m2, e5m2, float>(13, 60, sums::fast, fast)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, half>(14, 60, sums::fast, fast)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e4m3, e5m2>(10, 60, sums::strict, strict)));
  ASSERT_NO_FATAL_FAILURE((check_exact<e4m3, e5m2, bfloat16>(11, 60, sums::strict, strict)));
#endif
}

/// Kinds of problems that the mixes without kernels for other sums can run: scales do change along K.
template <class A, class B, class D>
void check_scaled_only(uint64_t seed, int problems) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    cublaslt_case how = some_case(random, sums::scaled, i % 3 != 0, eight_bit<D>);
    how.k += 128;
    how.a_layout = i % 2 == 0 ? lines : blocks_1x128;
    how.b_layout = blocks_128x128;
    for (const tile with : {tile::automatic, tile::rows_128x128, tile::rows_128x192, tile::rows_256x128}) {
      if (i % 3 == 0 && with != tile::automatic && with != tile::rows_128x128) continue;  // D leaves by rows
      if (with == tile::rows_256x128) for_the_copy_engine(how);
      cublaslt_problem<A, B, D> p(how);
      p.fill_exactly(random);
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with)) << "problem " << i;
    }
  }
}

#if QUAVER_TEST_EVERY_MIX
TEST_F(Wgmma, has_the_hosts_bytes_where_scales_change_along_k) {
  ASSERT_NO_FATAL_FAILURE((check_scaled_only<e4m3, e4m3, e4m3>(21, 120)));
  ASSERT_NO_FATAL_FAILURE((check_scaled_only<e5m2, e4m3, bfloat16>(22, 120)));
}
#endif

TEST_F(Wgmma, has_the_hosts_bytes_for_every_tail) {
  generator random(31);
  for (int64_t x = 1; x <= 140; ++x) {
    for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{x, 40, 136}, {200, x, 136}, {130, 70, x}}) {
      for (const accumulation sum : {accumulation::fast, accumulation::strict}) {
        cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = m, .n = n, .k = k, .b_layout = per_row, .sum = sum});
        p.fill_exactly(random);
        ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
      }
    }
  }
}

/// Problems of few rows: K is often cut into parts, and scales of B are of any blocks.
template <class A, class B, class D>
void check_small(uint64_t seed, int problems, sums kind) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    cublaslt_case how    = some_case(random, kind, i % 3 != 0, eight_bit<D>);
    const int64_t rows[] = {
        1, 8, 16, 17, 64, 128, static_cast<int64_t>(1 + random() % 16), static_cast<int64_t>(1 + random() % 128)};
    how.m = rows[random() % 8];
    how.n += static_cast<int64_t>(random() % 40 * 16);
    how.k = static_cast<int64_t>(129 + random() % 3000);
    if (kind == sums::scaled) {
      how.a_layout             = i % 2 == 0 ? blocks_1x128 : lines;
      const scale_layout all[] = {blocks_1x128, lines, blocks_128x128, {.block_rows = 48, .block_cols = 128}, per_row};
      how.b_layout             = all[random() % 5];
    }
    cublaslt_problem<A, B, D> p(how);
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::small)) << "problem " << i;
  }
}

TEST_F(Wgmma, has_the_hosts_bytes_where_m_is_small) {
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, bfloat16>(32, 120, sums::fast)));
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, bfloat16>(33, 120, sums::strict)));
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, bfloat16>(34, 150, sums::scaled)));
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, float>(35, 40, sums::scaled)));
#if QUAVER_TEST_EVERY_MIX
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, e4m3>(37, 40, sums::scaled)));
  ASSERT_NO_FATAL_FAILURE((check_small<e5m2, e4m3, bfloat16>(40, 40, sums::scaled)));
  ASSERT_NO_FATAL_FAILURE((check_small<e5m2, e5m2, float>(42, 40, sums::fast)));
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, half>(36, 40, sums::fast)));
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e4m3, e5m2>(38, 40, sums::strict)));
  ASSERT_NO_FATAL_FAILURE((check_small<e4m3, e5m2, bfloat16>(39, 40, sums::strict)));
#endif
}

TEST_F(Wgmma, has_the_hosts_bytes_for_every_tail_of_small_m) {
  generator random(43);
  for (int64_t x = 1; x <= 130; ++x) {
    for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{std::min<int64_t>(x, 128), 40, 1000},
                                  {16, x, 700},
                                  {128, x, 136},
                                  {5, 130, x},
                                  {64, 24, 8 * x}}) {
      cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = m, .n = n, .k = k, .a_layout = per_row, .b_layout = per_row});
      p.fill_exactly(random);
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::small));
    }
  }
}

/// More tiles than the device holds at once, with K in parts and without.
TEST_F(Wgmma, has_the_hosts_bytes_where_tiles_of_small_m_are_many) {
  generator random(44);
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{3, 28700, 1100},
                                {16, 28700, 300},
                                {40, 40000, 260},
                                {128, 30000, 140},
                                {100, 9000, 700}}) {
    cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = m, .n = n, .k = k, .a_layout = per_row, .b_layout = per_row});
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
  }
  // More than one tile a cluster of parts of K, whose sums meet in the same place each time; D directly, by rows, of 8 bits.
  for (const int64_t n : {8704, 8700}) {
    cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = 16, .n = n, .k = 2048, .a_layout = per_row, .b_layout = per_row});
    EXPECT_GT(k_parts_of_wgmma(p.device, tile::automatic), 1) << text_of(p, tile::automatic);
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
  }
  for (const int64_t m : {16, 61, 128}) {
    cublaslt_problem<e4m3, e4m3, bfloat16> p(
        {.m = m, .n = m > 64 ? 25600 : 12800, .k = 2048, .a_layout = lines, .b_layout = blocks_128x128});
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::small));
  }
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 16, .n = 8704, .k = 2048, .wants_amax = true, .sum = accumulation::fast});
  p.fill_exactly(random);
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
}

TEST_F(Wgmma, has_the_hosts_bytes_where_tiles_are_many) {
  generator random(41);
  for (const tile with : {tile::in_turn_128x128, tile::in_turn_128x176, tile::in_turn_128x192, tile::alone_128x256}) {
    cublaslt_problem<e4m3, e4m3, bfloat16> p(
        {.m = 3000, .n = 3104, .k = 400, .a_layout = per_row, .sum = accumulation::fast});
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with));
  }
  for (const tile with : {tile::rows_128x192, tile::rows_128x176, tile::rows_128x128, tile::rows_256x128}) {
    cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = 3000, .n = 3104, .k = 400});
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with));
  }
  for (const tile with : {tile::rows_128x192, tile::rows_128x128, tile::rows_256x128}) {
    cublaslt_problem<e4m3, e4m3, bfloat16> p(
        {.m = 3000, .n = 3104, .k = 4400, .a_layout = lines, .b_layout = blocks_128x128});
    p.fill_exactly(random);
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, with));
  }
  cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = 3000, .n = 3104, .k = 1400, .a_layout = lines, .b_layout = lines});
  p.fill_exactly(random);
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
}

/// Heads beside each other: the batches of D lie between two rows of one.
template <class D>
void check_heads(accumulation sum) {
  generator random(45);
  cublaslt_problem<e4m3, e4m3, D> p({.m = 300, .n = 64, .k = 200, .batches = 3, .sum = sum});
  p.fill_exactly(random);
  for (gemm_problem<e4m3, e4m3, D>* one : {&p.host, &p.device}) {
    one->batches.d_stride = one->d.row_stride;
    one->d.row_stride *= 3;
  }
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
}

TEST_F(Wgmma, writes_heads_beside_each_other_without_touching_the_others) {
  ASSERT_NO_FATAL_FAILURE(check_heads<bfloat16>(accumulation::strict));
  ASSERT_NO_FATAL_FAILURE(check_heads<e4m3>(accumulation::fast));
}

/// How many elements differ from the model on random codes with random scales.
template <class A, class B>
void check_model(const cublaslt_case& how, tile with, uint64_t seed) {
  cublaslt_problem<A, B, float> p(how);
  generator random(seed);
  const auto code = [&]<class F>(F& x) {
    do {
      x = F::from_bits(static_cast<uint8_t>(random() >> 20));
    } while (!std::isfinite(reference::decode(x)));
  };
  p.fill([&](A& x) { code(x); }, [&](B& x) { code(x); });
  for (auto* scales : {&p.a_scales.host, &p.b_scales.host}) {
    for (float& x : *scales) x = bitwise_cast<float>(0x3E80'0000u + static_cast<uint32_t>(random() % 0x0180'0000u));
  }
  for (float& x : p.bias.host) x = bitwise_cast<float>(0x3F80'0000u + static_cast<uint32_t>(random() % 0x0400'0000u));
  p.send();
  const status there = run_wgmma(p.device, with);
  ASSERT_TRUE(there.ok()) << there.message();
  const std::vector<float> d = p.d.device->to_host();
  const int parts            = k_parts_of_wgmma(p.device, with);
  for (int64_t r = 0; r < how.m; ++r) {
    for (int64_t col = 0; col < how.n; ++col) {
      const float wanted = documented(p.host, r, col, parts);
      const float got    = d[static_cast<size_t>(r * p.host.d.row_stride + col)];
      ASSERT_EQ(code_of(got), code_of(wanted)) << "row " << r << ", column " << col << ", " << text_of(p, with);
    }
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run_wgmma(p.device, with).ok());
    const std::vector<float> again = p.d.device->to_host();
    ASSERT_EQ(std::memcmp(d.data(), again.data(), d.size() * sizeof(float)), 0) << "runs differ";
  }
}

TEST_F(Wgmma, is_the_matrix_units_arithmetic_bit_for_bit_on_random_data) {
  uint64_t seed = 50;
  for (const auto& [m, n, k] :
       {std::tuple<int64_t, int64_t, int64_t>{100, 92, 1}, {130, 136, 272}, {64, 200, 2048}, {512, 512, 512}}) {
    const cublaslt_case fast{.m         = m,
                             .n         = n,
                             .k         = k,
                             .a_layout  = per_row,
                             .b_layout  = per_row,
                             .with_bias = true,
                             .alpha     = 1.1f,
                             .sum       = accumulation::fast};
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(fast, tile::in_turn_128x128, ++seed)));
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(fast, tile::in_turn_128x192, ++seed)));
#if QUAVER_TEST_EVERY_MIX
    ASSERT_NO_FATAL_FAILURE((check_model<e5m2, e5m2>(fast, tile::in_turn_128x128, ++seed)));
#endif
    const cublaslt_case strict{.m = m, .n = n, .k = k, .a_layout = per_row, .with_bias = true, .alpha = 0.7f};
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(strict, tile::rows_128x192, ++seed)));
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(strict, tile::rows_128x128, ++seed)));
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(strict, tile::rows_256x128, ++seed)));
    if (k <= 128) continue;
    const cublaslt_case blocks{.m = m, .n = n, .k = k, .a_layout = lines, .b_layout = blocks_128x128, .alpha = 1.3f};
    for (const tile with : {tile::rows_128x128, tile::rows_128x192, tile::rows_256x128}) {
      if (m % 4 != 0 && with == tile::rows_256x128) continue;
      ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(blocks, with, ++seed)));
    }
#if QUAVER_TEST_EVERY_MIX
    const cublaslt_case narrow{.m = m + 128, .n = n, .k = k, .a_layout = lines, .b_layout = lines, .alpha = 1.3f};
    if (m % 4 == 0) {
      ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(narrow, tile::automatic, ++seed)));
    }
#endif
  }
}

TEST_F(Wgmma, is_the_documented_arithmetic_on_random_data_where_m_is_small) {
  uint64_t seed = 80;
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 92, 1},
                                {16, 136, 272},
                                {13, 70, 5000},
                                {64, 200, 2048},
                                {50, 90, 1100},
                                {128, 130, 2000}}) {
    cublaslt_case how{
        .m = m, .n = n, .k = k, .a_layout = per_row, .b_layout = per_row, .with_bias = true, .alpha = 1.1f};
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(how, tile::small, ++seed)));
    how.sum = accumulation::fast;
    ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(how, tile::small, ++seed)));
#if QUAVER_TEST_EVERY_MIX
    ASSERT_NO_FATAL_FAILURE((check_model<e5m2, e5m2>(how, tile::small, ++seed)));
#endif
    if (k <= 128) continue;
    how.a_layout = lines;
    for (const scale_layout& of_b : {blocks_128x128, lines}) {
      how.b_layout = of_b;
      ASSERT_NO_FATAL_FAILURE((check_model<e4m3, e4m3>(how, tile::small, ++seed)));
    }
  }
  const cublaslt_problem<e4m3, e4m3, float> cut({.m = 64, .n = 200, .k = 2048});
  EXPECT_GT(k_parts_of_wgmma(cut.device, tile::automatic), 1);
}

TEST_F(Wgmma, makes_canonical_nan_of_every_nan_and_keeps_infinities) {
  generator random(61);
#if QUAVER_TEST_EVERY_MIX
  for (int i = 0; i < 40; ++i) {
    cublaslt_case how = some_case(random, sums::fast, i % 2 == 0, false);
    how.act           = activation::none;
    cublaslt_problem<e5m2, e5m2, float> p(how);
    p.fill_exactly(random);
    p.fill([&](e5m2& x) { x = random() % 300 == 0 ? (random() % 2 == 0 ? e5m2::nan() : e5m2::infinity()) : e5m2(1); },
           [&](e5m2& x) { x = e5m2(random() % 2 == 0 ? 1 : 2); });
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic)) << "problem " << i;
  }
#endif
  cublaslt_problem<e4m3, e4m3, bfloat16> p({.m = 140, .n = 200, .k = 300, .sum = accumulation::fast});
  p.fill_exactly(random);
  p.a.host[5] = e4m3::nan();
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes(p, tile::automatic));
}

void check_captured(int64_t m, int64_t k, const std::string& words) {
  generator random(71);
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = m, .n = 208, .k = k, .wants_amax = true, .sum = accumulation::fast});
  p.fill_exactly(random);
  p.send();
  ASSERT_NE(plan_of_wgmma(p.device, tile::automatic).find(words), std::string::npos);  // loads the kernel
  cudaStream_t stream = nullptr;
  QUAVER_CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  QUAVER_CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  const status run  = run_wgmma(p.device, tile::automatic, stream);
  cudaGraph_t graph = nullptr;
  QUAVER_CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
  ASSERT_TRUE(run.ok()) << run.message();
  cudaGraphExec_t program = nullptr;
  QUAVER_CHECK_CUDA(cudaGraphInstantiate(&program, graph, 0));
  ASSERT_TRUE(cpu::gemm(p.host).ok());
  for (int i = 0; i < 2; ++i) {
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

TEST_F(Wgmma, runs_in_a_captured_graph_and_sets_amax_each_time) {
  ASSERT_NO_FATAL_FAILURE(check_captured(300, 260, "directly"));
  ASSERT_NO_FATAL_FAILURE(check_captured(20, 2000, "small M"));
}

/// Each launch begins before the one in front has ended, which makes what it reads.
TEST_F(Wgmma, waits_for_the_product_in_front) {
  generator random(72);
  constexpr int64_t n = 2048;
  cublaslt_problem<e4m3, e4m3, e4m3> p({.m = 32, .n = n, .k = n, .alpha = 0.125f, .sum = accumulation::fast});
  p.fill_exactly(random);
  p.send();
  gemm_problem<e4m3, e4m3, e4m3> back = p.device;
  back.a.values                       = {p.device.d.data, 32, n};
  back.d                              = {const_cast<e4m3*>(p.device.a.values.data), 32, n};
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run_wgmma(p.device, tile::small).ok());
    ASSERT_TRUE(run_wgmma(back, tile::small).ok());
  }
  const std::vector<e4m3> together = p.a.device->to_host();
  p.send();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run_wgmma(p.device, tile::small).ok());
    QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
    ASSERT_TRUE(run_wgmma(back, tile::small).ok());
    QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
  }
  EXPECT_EQ(quaver_test::codes_of(together), quaver_test::codes_of(p.a.device->to_host()));
}

TEST_F(Wgmma, says_why_it_cannot_run_a_problem_and_launches_nothing) {
  using problem = gemm_problem<e4m3, e4m3, bfloat16>;
  // Room for as many scales as any layout below has.
  cublaslt_problem<e4m3, e4m3, bfloat16> given(
      {.m = 256, .n = 256, .k = 256, .a_layout = {.block_rows = 1, .block_cols = 64}, .b_layout = blocks_1x128});
  given.device.a.layout = given.device.b.layout = per_tensor;
  given.send();
  const auto expect = [&](auto change, const std::string& words) {
    problem changed = given.device;
    change(changed);
    const status run = run_wgmma(changed, tile::automatic);
    EXPECT_EQ(run.code(), status_code::unsupported) << run.message();
    EXPECT_NE(run.message().find(words), std::string::npos) << run.message();
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  };
  expect([](problem& p) { p.a.values.data += 1, p.a.values.rows = p.d.rows = 255; },
         "cannot move A: column stride 1 and every row");
  expect([](problem& p) { p.b.values = {p.b.values.data, 200, 256, 257}, p.d.cols = 200; },
         "cannot move B: column stride 1");
  expect([](problem& p) { p.a.values.cols = p.b.values.cols = 0; }, "K is 0");
  expect([](problem& p) { p.a.layout = {.block_rows = 1, .block_cols = 64}; },
         "blocks of 1 x 64 (0: the whole axis); along K it must be 128");
  expect([](problem& p) { p.a.layout = p.b.layout = blocks_1x128; },
         "where M is 256, blocks of B's scales must have 128 rows or a multiple, not 1");
  problem rows = given.device;
  rows.act     = activation::relu;
  EXPECT_NE(plan_of_wgmma(rows, tile::automatic).find("D leaves by rows"), std::string::npos);
  EXPECT_NE(plan_of_wgmma(rows, tile::in_turn_128x192).find("no kernel of tiles of 128 x 192 in turn"),
            std::string::npos);
  EXPECT_NE(plan_of_wgmma(given.device, tile::automatic).find("D leaves directly"), std::string::npos);
  const gemm_problem<e4m3, e4m3, e4m3> empty{.accumulate = accumulation::fast};
  EXPECT_NE(plan_of_wgmma(empty, tile::automatic).find("K is 0"), std::string::npos);
}

TEST_F(Wgmma, sets_amax_to_zero_where_d_is_empty) {
  const device_array<float> amax(std::vector<float>{5.0f});
  const device_array<e4m3> codes(64);
  const device_array<float> scales(std::vector<float>{1.0f});
  gemm_problem<e4m3, e4m3, bfloat16> p;
  p.a.values       = {codes.data(), 0, 16};
  p.b.values       = {codes.data(), 3, 16};
  p.a.scales       = scales.data();
  p.b.scales       = scales.data();
  p.d              = {nullptr, 0, 3};
  p.d_amax         = amax.data();
  const status run = run_wgmma(p, tile::automatic);
  if (!run.ok()) FAIL() << run.message();
  EXPECT_EQ(amax.to_host()[0], 0.0f);
}

}  // namespace

namespace quaver_test {

template <class A, class B, class D>
status gemm_of_host(const gemm_problem<A, B, D>& problem) {
  return cpu::gemm(problem);
}
#define INSTANTIATE(A, B, D, ...) template status gemm_of_host(const gemm_problem<A, B, D>&);
QUAVER_WGMMA_MIXES(INSTANTIATE)

}  // namespace quaver_test
