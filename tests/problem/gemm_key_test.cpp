// SPDX-License-Identifier: MIT
#include <quaver/problem/gemm_key.hpp>

#include <gtest/gtest.h>

namespace {

using namespace quaver;
using problem = gemm_problem<e4m3, e4m3, float>;

// Only compared, never read.
template <class T>
T* place(uintptr_t at) {
  return reinterpret_cast<T*>(at);
}

problem some_problem() {
  problem p;
  p.a.values = {place<const e4m3>(0x1000), 64, 128};
  p.b.values = {place<const e4m3>(0x9000), 32, 128};
  p.d        = {place<float>(0x20000), 64, 32};
  p.c        = {place<const float>(0x30000), 64, 32};
  p.a.scales = place<const float>(0x40000);
  p.b.scales = place<const float>(0x40010);
  p.batches  = {.count = 2, .a_stride = 8192, .c_stride = 2048, .d_stride = 2048, .b_scale_stride = 4};
  p.beta     = 1.0f;
  p.bias     = place<const float>(0x50000);
  return p;
}

template <class Change>
problem changed(const Change& change) {
  problem p = some_problem();
  change(p);
  return p;
}

TEST(GemmKey, differs_with_everything_that_a_problem_says) {
  const gemm_key key = gemm_key_of(some_problem(), 0);
  EXPECT_EQ(key, gemm_key_of(some_problem(), 0));
  EXPECT_NE(key, gemm_key_of(some_problem(), 1));
  const problem others[] = {changed([](problem& p) { p.a.values.data += 1; }),
                            changed([](problem& p) { p.b.values.row_stride = 144; }),
                            changed([](problem& p) { p.a.values.cols = p.b.values.cols = 112; }),
                            changed([](problem& p) { p.a.layout = per_row; }),
                            changed([](problem& p) { p.b.layout.order = scale_order::column_major; }),
                            changed([](problem& p) { p.b.scales += 1; }),
                            changed([](problem& p) { p.d.col_stride = 2; }),
                            changed([](problem& p) { p.d.rows = 48; }),  // as checked on the first call alone
                            changed([](problem& p) { p.d.cols = 16; }),
                            changed([](problem& p) { p.b.values.cols = 112; }),
                            changed([](problem& p) { p.c.rows = 1; }),
                            changed([](problem& p) { p.c.row_stride = 40; }),
                            changed([](problem& p) { p.bias = nullptr; }),
                            changed([](problem& p) { p.d_amax = place<float>(0x60000); }),
                            changed([](problem& p) { p.alpha = 0.5f; }),
                            changed([](problem& p) { p.beta = -1.0f; }),
                            changed([](problem& p) { p.act = activation::relu; }),
                            changed([](problem& p) { p.accumulate = accumulation::fast; }),
                            changed([](problem& p) { p.batches.count = 3; }),
                            changed([](problem& p) { p.batches.a_stride = 16384; }),
                            changed([](problem& p) { p.batches.b_scale_stride = 0; }),
                            changed([](problem& p) { p.batches.bias_stride = 32; })};
  for (const problem& other : others) EXPECT_NE(key, gemm_key_of(other, 0)) << &other - others;
  gemm_problem<e4m3, e5m2, float> formats;
  EXPECT_NE(gemm_key_of(problem{}, 0), gemm_key_of(formats, 0));
}

TEST(GemmKey, is_alike_where_only_what_nobody_reads_differs) {
  problem p = some_problem();
  p.beta    = 0.0f;
  problem q = p;
  q.c       = {};
  q.d_scale = quant_scale(3.0f);  // D is float
  EXPECT_EQ(gemm_key_of(p, 0), gemm_key_of(q, 0));
  p.batches.count = q.batches.count = 1;
  q.batches.a_stride = q.batches.d_stride = q.batches.b_scale_stride = 77;
  EXPECT_EQ(gemm_key_of(p, 0), gemm_key_of(q, 0));
}

TEST(GemmKey, tells_numbers_apart_by_their_bits) {
  const auto with = [](float alpha) { return gemm_key_of(changed([alpha](problem& p) { p.alpha = alpha; }), 0); };
  EXPECT_NE(with(0.0f), with(-0.0f));
  EXPECT_EQ(with(__builtin_nanf("")), with(__builtin_nanf("")));
}

TEST(GemmKey, has_a_shape_that_forgets_addresses_and_numbers_but_not_alignment) {
  const auto shape   = [](const problem& p) { return gemm_shape_of(gemm_key_of(p, 0)); };
  const gemm_key one = shape(some_problem());
  EXPECT_EQ(one, shape(changed([](problem& p) { p.a.values.data += 64, p.d.data += 4, p.c.data += 8; })));
  EXPECT_EQ(one, shape(changed([](problem& p) { p.alpha = 3.0f, p.beta = 0.5f; })));
  EXPECT_NE(one, shape(changed([](problem& p) { p.d.data += 1; })));
  EXPECT_NE(one, shape(changed([](problem& p) { p.beta = 0.0f; })));
  EXPECT_NE(one, shape(changed([](problem& p) { p.bias = nullptr; })));
  EXPECT_NE(one, shape(changed([](problem& p) { p.d.rows = p.a.values.rows = p.c.rows = 65; })));
  EXPECT_NE(one, shape(changed([](problem& p) { p.act = activation::gelu; })));
}

TEST(GemmKey, of_equal_problems_hash_alike) {
  const gemm_key_hash hash;
  EXPECT_EQ(hash(gemm_key_of(some_problem(), 0)), hash(gemm_key_of(some_problem(), 0)));
  EXPECT_NE(hash(gemm_key_of(some_problem(), 0)),
            hash(gemm_key_of(changed([](problem& p) { p.a.values.data += 16; }), 0)));
}

}  // namespace
