// SPDX-License-Identifier: MIT
#include <quaver/cuda/wgmma_engine.cuh>

#include "gpu_test.hpp"
#include "wgmma_plans.cuh"

// What cuda::wgmma_engine adds to the plans: that it finds them again, and tunes. That the kernels are right is tested by
// the others.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::HopperTest;
using engine = cuda::wgmma_engine<cuda::whole, cuda::promoted, cuda::scaled, cuda::scaled_lines>;  // as there are plans
using cuda::wgmma_tile;

class WgmmaEngine : public HopperTest {};

/// A problem of small integers, in memory of its own.
struct owned_problem {
  device_array<e4m3> a, b;
  device_array<bfloat16> d, c;
  device_array<float> ones;
  gemm_problem<e4m3, e4m3, bfloat16> problem;

  owned_problem(int64_t m, int64_t n, int64_t k)
      : a(codes(m * k, 7)),
        b(codes(n * k, 2)),
        d(static_cast<size_t>(m * n)),
        c(std::vector<bfloat16>(static_cast<size_t>(m * n), bfloat16::from_bits(0x3F80))),
        ones(std::vector<float>(4, 1.0f)) {
    problem.a.values   = {a.data(), m, k};
    problem.b.values   = {b.data(), n, k};
    problem.d          = {d.data(), m, n};
    problem.c          = {c.data(), m, n};
    problem.a.scales   = ones.data();
    problem.b.scales   = ones.data();
    problem.accumulate = accumulation::fast;
  }
  /// D by what a function does with it, which says that it went well.
  template <class Run>
  std::vector<uint16_t> result_of(const Run& run) {
    d.fill_bytes(0x42);
    const status done = run();
    EXPECT_TRUE(done.ok()) << done.message();
    std::vector<uint16_t> bits;
    for (const bfloat16 x : d.to_host()) bits.push_back(x.bits());
    return bits;
  }

 private:
  static std::vector<e4m3> codes(int64_t count, int step) {
    std::vector<e4m3> all(static_cast<size_t>(count));
    for (size_t i = 0; i < all.size(); ++i) all[i] = e4m3(static_cast<int>(i * static_cast<size_t>(step) % 5) - 2);
    return all;
  }
};

TEST_F(WgmmaEngine, writes_what_the_plan_writes_and_finds_it_again) {
  engine kept;
  for (const int64_t m : {5, 64, 300}) {
    owned_problem p(m, 272, 400);
    const auto planned = p.result_of([&] { return kept.plan(p.problem)->launch(); });
    const size_t plans = kept.plans();
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(p.result_of([&] { return kept.run(p.problem, {}, nullptr); }), planned);
      EXPECT_EQ(*kept.workspace(p.problem), 0u);
    }
    EXPECT_EQ(kept.plans(), plans);
    p.problem.alpha    = 2.0f;
    const auto doubled = p.result_of([&] { return kept.run(p.problem, {}, nullptr); });
    EXPECT_NE(doubled, planned);
    EXPECT_EQ(kept.plans(), plans + 1);
  }
  EXPECT_EQ(kept.plans(), 6u);
  kept.forget();
  EXPECT_EQ(kept.plans(), 0u);
}

TEST_F(WgmmaEngine, keeps_a_bounded_number_of_plans) {
  engine kept;
  owned_problem p(16, 64, 64);
  for (size_t i = 0; i <= engine::most_plans; ++i) {
    p.problem.alpha = static_cast<float>(i);
    ASSERT_TRUE(kept.can_run(p.problem).ok());
    ASSERT_LE(kept.plans(), engine::most_plans);
  }
  EXPECT_EQ(kept.plans(), 1u);
}

TEST_F(WgmmaEngine, tunes_to_a_tile_that_is_kept_for_all_alike_problems) {
  for (const auto& [m, n, k] :
       {std::tuple<int64_t, int64_t, int64_t>{16, 512, 2048}, {100, 4096, 512}, {600, 768, 512}}) {
    engine kept;
    owned_problem p(m, n, k);
    const auto usual  = p.result_of([&] { return kept.run(p.problem, {}, nullptr); });
    const status done = kept.tune(p.problem, {}, nullptr);
    ASSERT_TRUE(done.ok()) << done.message();
    EXPECT_EQ(p.result_of([&] { return kept.run(p.problem, {}, nullptr); }), usual);
    const wgmma_tile tile = kept.plan(p.problem)->tile();
    RecordProperty("tile_" + std::to_string(m), cuda::name_of(tile));
    owned_problem other(m, n, k);
    EXPECT_EQ(kept.plan(other.problem)->tile(), tile);
    EXPECT_EQ(other.result_of([&] { return kept.run(other.problem, {}, nullptr); }), usual);
  }
}

TEST_F(WgmmaEngine, does_not_tune_what_it_would_change_or_capture) {
  engine kept;
  owned_problem p(200, 64, 128);
  p.problem.c      = p.problem.d;
  p.problem.beta   = 1.0f;
  const status own = kept.tune(p.problem, {}, nullptr);
  EXPECT_EQ(own.code(), status_code::invalid_argument);
  EXPECT_NE(own.message().find("C is D"), std::string::npos) << own.message();
  p.problem.beta      = 0.0f;
  cudaStream_t stream = nullptr;
  cudaGraph_t graph   = nullptr;
  QUAVER_CHECK_CUDA(cudaStreamCreate(&stream));
  QUAVER_CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  const status captured = kept.tune(p.problem, {}, stream);
  EXPECT_EQ(captured.code(), status_code::invalid_argument);
  EXPECT_NE(captured.message().find("cannot be captured"), std::string::npos) << captured.message();
  QUAVER_CHECK_CUDA(cudaStreamEndCapture(stream, &graph));
  QUAVER_CHECK_CUDA(cudaGraphDestroy(graph));
  QUAVER_CHECK_CUDA(cudaStreamDestroy(stream));
}

TEST_F(WgmmaEngine, says_why_it_cannot_run_a_problem_and_keeps_nothing) {
  engine kept;
  owned_problem p(200, 64, 128);
  p.problem.a.values.cols = p.problem.b.values.cols = 0;
  for (const status& why : {kept.can_run(p.problem), kept.run(p.problem, {}, nullptr), kept.plan(p.problem).error(),
                            kept.workspace(p.problem).error(), kept.tune(p.problem, {}, nullptr)}) {
    EXPECT_EQ(why.code(), status_code::unsupported);
    EXPECT_NE(why.message().find("K is 0"), std::string::npos) << why.message();
  }
  EXPECT_EQ(kept.plans(), 0u);
}

}  // namespace
