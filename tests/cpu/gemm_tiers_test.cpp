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
    before = p.d.data;
    name   = quaver_test::named(p) + ", " + std::to_string(batches) + " batches";
  }

  /// Runs in a tier with an executor, with a packed weight or without.
  outcome<D> run(cpu::tier t, const cpu::executor& threads, const cpu::packed_weight<B>* weight = nullptr) {
    std::copy(before.begin(), before.end(), p.d.data.begin());
    float amax       = -1;
    p.problem.d_amax = &amax;
    cpu::gemm_options options;
    options.tier    = t;
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

template <class A, class B, class D>
void check(uint64_t seed, int problems) {
  generator random(seed);
  for (int i = 0; i < problems; ++i) {
    const int64_t batches = random() % 8 == 0 ? 3 : 1;
    const int64_t m       = some_extent(random, 130);
    const int64_t n       = some_extent(random, 130);
    int64_t k             = some_extent(random, 130);
    if (random() % 16 == 0) k = 0;
    if (random() % 8 == 0) k = 500 + static_cast<int64_t>(random() % 700);  // several blocks of K
    trial<A, B, D> t(m, n, k, batches, random, i % 3 == 0);
    const outcome<D> portable = t.run(cpu::tier::portable, {});
    ASSERT_NO_FATAL_FAILURE(t.compare_with_oracle(portable, random));
    const bool packs =
        t.p.problem.batches.b_stride == 0 && t.p.problem.batches.b_scale_stride == 0;  // batches share a packed weight
    const result<cpu::packed_weight<B>> weight = cpu::packed_weight<B>::make(t.p.problem.b);
    ASSERT_TRUE(weight.ok()) << weight.message();
    for (const cpu::tier tier : cpu::all_tiers) {
      if (!cpu::can_run(tier)) continue;
      const size_t width = std::array<size_t, 4>{1, 2, 3, 7}[random() % 4];
      const auto threads = i % 8 == 0 ? quaver_test::threads(width) : quaver_test::backwards(width);
      ASSERT_EQ(t.run(tier, threads), portable) << cpu::name_of(tier) << ", " << width << " threads: " << t.name;
      if (!packs) continue;
      ASSERT_EQ(t.run(tier, threads, &*weight), portable) << cpu::name_of(tier) << " packed: " << t.name;
    }
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(GemmTiers, all_give_the_bytes_of_the_portable_tier_and_of_the_oracle_over_2000_problems_and_any_threads) {
  check<e4m3, e4m3, float>(101, 600);
  check<e4m3, e5m2, bfloat16>(102, 250);
  check<e5m2, e4m3fnuz, half>(103, 250);
  check<e2m1, binary8p3, e5m2>(104, 200);
  check<bfloat16, e4m3, float>(105, 300);
  check<float, e5m2, bfloat16>(106, 250);
  check<bfloat16, e4m3fnuz, e4m3>(107, 200);
}

}  // namespace
