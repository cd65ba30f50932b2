// SPDX-License-Identifier: MIT
//
// Every tier and every number of threads gives the bytes of the portable tier, and that those of the oracle.

#include <quaver/cpu/gemm.hpp>

#include "gemm_problems.hpp"
#include "threads.hpp"

#include <cstring>

namespace {

using namespace quaver;
using quaver_test::finished;
using quaver_test::generator;
using quaver_test::random_problem;

/// A set of kernels.
struct variant {
  cpu::tier tier;
  cpu::gemm_sums sums;
  const char* name;
};

constexpr variant portable_kernels = {cpu::tier::portable, cpu::gemm_sums::multiply_adds, "portable"};

/// All that this machine can run. The tier avx512 has two, of which it would choose one.
std::vector<variant> variants() {
  std::vector<variant> all;
  for (const cpu::tier tier : cpu::all_tiers) {
    if (!cpu::can_run(tier)) continue;
    all.push_back({tier, cpu::gemm_sums::multiply_adds, cpu::name_of(tier)});
    if (tier == cpu::tier::avx512) all.push_back({tier, cpu::gemm_sums::dot_products, "avx512 by dot products"});
  }
  return all;
}

/// What a run leaves: D with everything around it, and the amax.
template <class D>
struct outcome {
  std::vector<uint32_t> d;
  uint32_t amax;
  friend bool operator==(const outcome&, const outcome&) = default;
};

/// A random problem and the bytes of D before it ran.
template <class A, class B, class D>
struct trial {
  random_problem<A, B, D> p;
  std::vector<D> before;
  std::string name;

  trial(int64_t m, int64_t n, int64_t k, int64_t batches, generator& random, bool with_specials)
      : p(m, n, k, random, batches) {
    quaver_test::fill_at_random(p, random, with_specials);
    if (!eight_bit<A> && random() % 4 == 0) {
      p.a.layout         = per_tensor;
      p.problem.a.layout = per_tensor;
      p.problem.a.scales = nullptr, p.problem.a.scales_e8m0 = nullptr, p.problem.a.scales_e4m3 = nullptr;
      p.problem.a.tensor_wide = nullptr;
    }
    if (same_type<A, float> && random() % 2 == 0) p.problem.a_floats = float_activations::multiplied_by_fma;
    before = p.d.data;
    name   = quaver_test::named(p) + ", " + std::to_string(batches) + " batches";
  }

  /// Runs with the kernels of a variant and an executor, with a packed weight or without.
  outcome<D> run(const variant& kernels, const cpu::executor& threads, const cpu::packed_weight<B>* weight = nullptr) {
    std::copy(before.begin(), before.end(), p.d.data.begin());
    float amax       = -1;
    p.problem.d_amax = &amax;
    cpu::gemm_options options;
    options.tier    = kernels.tier;
    options.sums    = kernels.sums;
    options.threads = threads;
    // Memory that held other things before, at an odd address, and not a byte more than was asked for.
    auto problem = p.problem;
    if (weight != nullptr) problem.b = {};
    const size_t bytes =
        weight != nullptr ? cpu::gemm_workspace(problem, *weight, options) : cpu::gemm_workspace(problem, options);
    std::vector<std::byte> memory(bytes + 2, std::byte{0xFF});
    options.workspace = std::span(memory).subspan(1, bytes);
    const status done = weight != nullptr ? cpu::gemm(problem, *weight, options) : cpu::gemm(problem, options);
    EXPECT_TRUE(done.ok()) << done.message();
    EXPECT_EQ(memory.front(), std::byte{0xFF});
    EXPECT_EQ(memory.back(), std::byte{0xFF});
    EXPECT_TRUE(p.d.guards_stand()) << name;
    return {p.d.elements(), bitwise_cast<uint32_t>(amax)};
  }

  /// What the oracle says of element (row, col) of problem i.
  uint32_t expected(int64_t i, int64_t row, int64_t col) {
    const auto one = p.single(i);
    return quaver_test::code_of(finished<D>(reference::gemm_in_order(one, row, col), one));
  }

  /// Compares some elements of a run with the oracle, which starts from what was there before.
  void compare_with_oracle(const outcome<D>& got, generator& random) {
    std::copy(before.begin(), before.end(), p.d.data.begin());
    const int64_t rows = p.problem.d.rows;
    const int64_t cols = p.problem.d.cols;
    if (rows == 0 || cols == 0) return;
    for (int i = 0; i < 12; ++i) {
      const int64_t batch = static_cast<int64_t>(random() % static_cast<uint64_t>(p.problem.batches.count));
      const int64_t row   = static_cast<int64_t>(random() % static_cast<uint64_t>(rows));
      const int64_t col   = static_cast<int64_t>(random() % static_cast<uint64_t>(cols));
      ASSERT_EQ(got.d[static_cast<size_t>((batch * rows + row) * cols + col)], expected(batch, row, col))
          << name << " at " << batch << ", " << row << ", " << col;
    }
  }
};

int64_t some_extent(generator& random, int64_t most) {
  // Small ones, which are all tail, as often as large ones.
  const uint64_t range = random() % 3 == 0 ? static_cast<uint64_t>(most) : 20;
  return static_cast<int64_t>(random() % range) + 1;
}

/// Problem `i` of its kind in every variant.
template <class A, class B, class D>
void check_one(int64_t m, int64_t n, int64_t k, int64_t batches, generator& random, int i) {
  trial<A, B, D> t(m, n, k, batches, random, i % 3 == 0);
  const outcome<D> portable = t.run(portable_kernels, {});
  ASSERT_NO_FATAL_FAILURE(t.compare_with_oracle(portable, random));
  const bool packs =
      t.p.problem.batches.b_stride == 0 && t.p.problem.batches.b_scale_stride == 0;  // batches share a packed weight
  const result<cpu::packed_weight<B>> weight = cpu::packed_weight<B>::make(t.p.problem.b);
  ASSERT_TRUE(weight.ok()) << weight.message();
  for (const variant& kernels : variants()) {
    const size_t width = std::array<size_t, 4>{1, 2, 3, 7}[random() % 4];
    const auto threads = i % 8 == 0 ? quaver_test::threads(width) : quaver_test::backwards(width);
    ASSERT_EQ(t.run(kernels, threads), portable) << kernels.name << ", " << width << " threads: " << t.name;
    if (!packs) continue;
    ASSERT_EQ(t.run(kernels, threads, &*weight), portable) << kernels.name << " packed: " << t.name;
  }
}

/// 64-bit Arm is emulated (tests/neon), fifty times slower: one problem of eight is enough there.
constexpr int one_of = QUAVER_AARCH64 ? 8 : 1;

template <class A, class B, class D>
void check(uint64_t seed, int problems) {
  generator random(seed);
  for (int i = 0; i < problems / one_of; ++i) {
    const int64_t batches = random() % 8 == 0 ? 3 : 1;
    const int64_t m       = some_extent(random, 130);
    const int64_t n       = some_extent(random, 130);
    int64_t k             = some_extent(random, 130);
    if (random() % 16 == 0) k = 0;
    if (random() % 8 == 0) k = 500 + static_cast<int64_t>(random() % 700);  // several blocks of K
    ASSERT_NO_FATAL_FAILURE((check_one<A, B, D>(m, n, k, batches, random, i)));
    if (::testing::Test::HasFailure()) return;
  }
}

/// Few rows, and K in whole lines as often as not: weights are read where they lie.
template <class A, class B, class D>
void check_few_rows(uint64_t seed, int problems) {
  generator random(seed);
  for (int i = 0; i < problems / one_of; ++i) {
    const auto m = static_cast<int64_t>(random() % 4) + 1;
    const auto n = static_cast<int64_t>(random() % 130) + 1;
    const auto k =
        static_cast<int64_t>(random() % 20 + 1) * 64 + (random() % 2 == 0 ? static_cast<int64_t>(random() % 64) : 0);
    ASSERT_NO_FATAL_FAILURE((check_one<A, B, D>(m, n, k, random() % 8 == 0 ? 3 : 1, random, i)));
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(GemmTiers, all_give_the_bytes_of_the_portable_tier_and_of_the_oracle_over_2100_problems_and_any_threads) {
  check<e4m3, e4m3, float>(101, 600);
  check<e4m3, e5m2, bfloat16>(102, 250);
  check<e5m2, e4m3fnuz, half>(103, 250);
  check<e2m1, binary8p3, e5m2>(104, 200);
  check<bfloat16, e4m3, float>(105, 300);
  check<float, e5m2, bfloat16>(106, 250);
  check<float, e4m3, float>(108, 100);
  check<bfloat16, e4m3fnuz, e4m3>(107, 200);
}

TEST(GemmTiers, a_few_rows_give_the_same_bytes_with_weights_read_from_end_to_end) {
  check_few_rows<e4m3, e4m3, float>(111, 100);
  check_few_rows<bfloat16, e5m2, bfloat16>(112, 60);
  check_few_rows<float, binary8p3, e4m3>(113, 60);
}

/// A small problem that is right, and all it points to.
struct small {
  std::vector<e4m3> a     = std::vector<e4m3>(400, e4m3::from_bits(0x38));
  std::vector<e4m3> b     = std::vector<e4m3>(400, e4m3::from_bits(0x38));
  std::vector<float> d    = std::vector<float>(400, 9.0f);
  std::vector<float> bias = std::vector<float>(100, 1.0f);
  float one               = 1;
  float amax              = -1;
  gemm_problem<e4m3, e4m3> problem;

  small() {
    problem.a.values = {a.data(), 4, 7};
    problem.b.values = {b.data(), 5, 7};
    problem.a.scales = problem.b.scales = &one;
    problem.d                           = {d.data(), 4, 5};
    problem.bias                        = bias.data();
    problem.d_amax                      = &amax;
    problem.batches = {.count = 3, .a_stride = 28, .b_stride = 35, .d_stride = 20, .bias_stride = 5};
  }
  void refused(const std::vector<std::string>& words, const cpu::gemm_options& options = {}) {
    const status s = cpu::gemm(problem, options);
    EXPECT_EQ(s.code(), status_code::invalid_argument) << s.message();
    for (const std::string& word : words)
      EXPECT_NE(s.message().find(word), std::string::npos) << s.message() << " lacks " << word;
    EXPECT_EQ(d, std::vector<float>(400, 9.0f));
    EXPECT_EQ(amax, -1.0f);
  }
};

TEST(GemmTiers, batches_that_overlap_or_lead_beyond_memory_are_refused_by_their_numbers) {
  const auto changed = [](const auto& change, const std::vector<std::string>& words) {
    small s;
    change(s);
    s.refused(words);
  };
  changed([](small& s) { s.problem.batches.count = -1; }, {"-1 batches"});
  changed([](small& s) { s.problem.batches.d_stride = 19; }, {"3 results", "4 x 5", "19", "20"});
  changed([](small& s) { s.problem.batches.d_stride = 0; }, {"share", "stride is 0"});
  changed([](small& s) { s.problem.batches.a_stride = -1; }, {"A", "-1", "3 batches"});
  changed([](small& s) { s.problem.batches.b_stride = int64_t{1} << 60; }, {"B", "beyond memory"});
  changed([](small& s) { s.problem.batches.a_scale_stride = -2; }, {"scales of A", "-2"});
  // Only the last batch of an input overlaps D.
  changed([](small& s) { s.problem.a.values.data = reinterpret_cast<const e4m3*>(s.d.data()) - 83; },
          {"D (4 x 5) overlaps an input"});
  changed([](small& s) { s.problem.bias = s.d.data() - 14; }, {"bias", "5 values"});
  changed([](small& s) { s.problem.d_amax = s.d.data() + 59; }, {"d_amax", "4 x 5"});
  changed([](small& s) { s.problem.d_amax = s.bias.data() + 14; }, {"d_amax"});
  changed(
      [](small& s) {
        s.problem.beta             = 1;
        s.problem.c                = s.problem.d;
        s.problem.batches.c_stride = 40;
      },
      {"C overlaps D"});
  small good;
  EXPECT_TRUE(cpu::gemm(good.problem).ok());
  EXPECT_EQ(good.d[59], 8.0f);
  EXPECT_EQ(good.d[60], 9.0f);
  EXPECT_EQ(good.amax, 8.0f);
}

TEST(GemmTiers, results_side_by_side_in_the_rows_of_one_matrix_are_batches_too) {
  small s;
  s.problem.d                = {s.d.data(), 4, 5, 16};
  s.problem.batches.d_stride = 5;
  ASSERT_TRUE(cpu::gemm(s.problem).ok());
  for (size_t r = 0; r < 4; ++r) {
    for (size_t c = 0; c < 16; ++c) EXPECT_EQ(s.d[r * 16 + c], c < 15 ? 8.0f : 9.0f);
  }
  small tight;
  tight.problem.d                = {tight.d.data(), 4, 5, 14};
  tight.problem.batches.d_stride = 5;
  tight.refused({"share", "5"});
}

TEST(GemmTiers, a_workspace_that_is_too_small_is_refused_by_its_numbers) {
  small s;
  cpu::gemm_options options;
  const size_t needed = cpu::gemm_workspace(s.problem, options);
  ASSERT_GT(needed, 0u);
  std::vector<std::byte> memory(needed - 1);
  options.workspace = memory;
  s.refused({std::to_string(needed - 1) + " bytes", std::to_string(needed)}, options);
  s.problem.d.rows = 3;
  EXPECT_EQ(cpu::gemm_workspace(s.problem, options), 0u) << "of a problem that cannot run";
}

TEST(GemmTiers, the_amax_is_that_of_all_batches_before_the_scale_and_0_where_there_is_nothing) {
  small s;
  std::vector<e5m2> d(60);
  gemm_problem<e4m3, e4m3, e5m2> p;
  p.a       = s.problem.a;
  p.b       = s.problem.b;
  p.d       = {d.data(), 4, 5};
  p.batches = s.problem.batches;
  p.d_scale = quant_scale(0.5f);
  p.alpha   = -2;
  p.d_amax  = &s.amax;
  s.a[60]   = e4m3::from_bits(0x48);  // 4, in the last batch
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(s.amax, 20.0f);
  EXPECT_EQ(decode<float>(d[0]), -7.0f);
  EXPECT_EQ(decode<float>(d[40]), -10.0f);
  p.d_scale = quant_scale(1e9f);
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(decode<float>(d[0]), -57344.0f) << "8-bit results saturate";
  s.a[60] = e4m3::nan();
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(bitwise_cast<uint32_t>(s.amax), 0x7FC0'0000u);
  p.batches.count = 0;
  ASSERT_TRUE(cpu::gemm(p).ok());
  EXPECT_EQ(s.amax, 0.0f);
}

TEST(GemmTiers, a_packed_weight_holds_the_codes_and_refuses_what_no_matrix_is) {
  small s;
  for (size_t i = 0; i < s.b.size(); ++i) s.b[i] = e4m3::from_bits(static_cast<uint8_t>(i));
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{5, 7}, {1, 1}, {33, 9}, {0, 4}, {4, 0}}) {
    s.problem.b.values    = {s.b.data(), n, k};
    const auto packed     = cpu::packed_weight<e4m3>::make(s.problem.b, quaver_test::threads(2));
    const int64_t columns = k;
    ASSERT_TRUE(packed.ok()) << packed.message();
    EXPECT_EQ(packed->rows(), n);
    EXPECT_EQ(packed->cols(), k);
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < k; ++c)
        ASSERT_EQ((*packed)(r, c).bits(), s.b[static_cast<size_t>(r * columns + c)].bits());
    }
  }
  s.problem.b.scales = nullptr;
  s.problem.b.values = {s.b.data(), 5, 7};
  const auto refused = cpu::packed_weight<e4m3>::make(s.problem.b);
  EXPECT_EQ(refused.error().code(), status_code::invalid_argument);
  EXPECT_NE(refused.message().find("5 x 7"), std::string::npos) << refused.message();

  // A weight of another shape than the problem, and none at all.
  small wrong;
  const auto weight = cpu::packed_weight<e4m3>::make({{wrong.b.data(), 6, 7}, per_tensor, &wrong.one});
  ASSERT_TRUE(weight.ok());
  EXPECT_NE(cpu::gemm(wrong.problem, *weight).message().find("6 x 7"), std::string::npos);
  EXPECT_FALSE(cpu::gemm(wrong.problem, cpu::packed_weight<e4m3>()).ok());
  EXPECT_EQ(wrong.d, std::vector<float>(400, 9.0f));
}

TEST(GemmTiers, the_tables_of_the_kernels_are_the_formats) {
  const auto check = []<class F>(F, bool symmetric) {
    const cpu::bfloat16_table& table = cpu::bfloat16_table_of<F>;
    EXPECT_EQ(table.symmetric, symmetric);
    EXPECT_TRUE(table.narrow);
    for (unsigned code = 0; code < 256; ++code) {
      const uint32_t bits = static_cast<uint32_t>(table.high[code]) << 24 | static_cast<uint32_t>(table.low[code])
                                                                                << 16;
      const double value = reference::decode(F::from_bits(static_cast<uint8_t>(code)));
      if (std::isnan(value)) EXPECT_EQ(bits, 0x7FC0'0000u);
      else EXPECT_EQ(bits, bitwise_cast<uint32_t>(static_cast<float>(value)));
    }
  };
  check(e4m3{}, true);
  check(e5m2{}, true);
  check(e3m4{}, true);
  check(e4m3fnuz{}, false);
  check(e5m2fnuz{}, false);
  check(e4m3b11fnuz{}, false);
  check(binary8p3{}, false);
  check(e2m1{}, false);
  check(e3m2{}, false);
}

TEST(GemmTiers, floats_are_rounded_to_bfloat16_unless_fused_multiply_adds_are_asked_for_by_name) {
  const float a[] = {bitwise_cast<float>(0x3F80'0001u),
                     bitwise_cast<float>(0x3F80'8001u)};             // 1 + 2^-23, 1 + 2^-8 + 2^-23
  const e4m3 b[]  = {e4m3::from_bits(0x38), e4m3::from_bits(0xB8)};  // 1, -1
  const float one = 1;
  float d         = 0;
  gemm_problem<float, e4m3> p;
  p.a.values = {a, 1, 2};
  p.b.values = {b, 1, 2};
  p.b.scales = &one;
  p.d        = {&d, 1, 1};
  for (const variant& kernels : variants()) {
    cpu::gemm_options options;
    options.tier = kernels.tier;
    options.sums = kernels.sums;
    p.a_floats   = float_activations::rounded_to_bfloat16;
    ASSERT_TRUE(cpu::gemm(p, options).ok());
    EXPECT_EQ(d, -0x1p-7f) << kernels.name;
    p.a_floats = float_activations::multiplied_by_fma;
    ASSERT_TRUE(cpu::gemm(p, options).ok());
    EXPECT_EQ(d, -0x1p-8f) << kernels.name;
  }
}

TEST(GemmTiers, subnormal_products_of_activations_are_kept_by_every_tier) {
  // 2^-126 * 2^-9: the sum is subnormal, and vdpbf16ps would flush it.
  const bfloat16 tiny = bfloat16::from_bits(0x0080);
  const e4m3 least    = e4m3::from_bits(1);
  const float one     = 1;
  float d             = 0;
  gemm_problem<bfloat16, e4m3> p;
  p.a.values = {&tiny, 1, 1};
  p.b.values = {&least, 1, 1};
  p.b.scales = &one;
  p.d        = {&d, 1, 1};
  for (const variant& kernels : variants()) {
    cpu::gemm_options options;
    options.tier = kernels.tier;
    options.sums = kernels.sums;
    ASSERT_TRUE(cpu::gemm(p, options).ok());
    EXPECT_EQ(bitwise_cast<uint32_t>(d), 0x0000'4000u) << kernels.name;
  }
}

}  // namespace
