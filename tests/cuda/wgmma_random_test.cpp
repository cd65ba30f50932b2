// SPDX-License-Identifier: MIT
#include "cublaslt_problems.hpp"
#include "wgmma_kernels.hpp"

#include <cstdio>
#include <map>

// 3,000 random problems of every kind for cuda::wgmma_gemm: all bytes of D's buffer, and its amax, are those of cpu::gemm
// where every sum is exact. Each problem has a seed of its own, which stands in the message of a failure, and what is drawn
// is the same with a GPU and without.

namespace {

using namespace quaver;
using quaver_test::code_of;
using quaver_test::cublaslt_case;
using quaver_test::cublaslt_problem;
using quaver_test::gemm_of_host;
using quaver_test::generator;
using quaver_test::HopperTest;
using quaver_test::k_parts_of_wgmma;
using quaver_test::plan_of_wgmma;
using quaver_test::run_wgmma;
using quaver_test::tile;

constexpr uint64_t first_seed = 20'000;
constexpr uint64_t problems   = 3000;
constexpr uint64_t shards     = 10;  // so that as many processes can share them

enum class sums : uint8_t { whole, promoted, scaled, scaled_lines };
const char* name_of(sums kind) {
  const char* const names[] = {"whole", "promoted", "scaled", "scaled_lines"};
  return names[static_cast<size_t>(kind)];
}

/// What problems are drawn of: formats, and a kind of sums that there are kernels for.
struct subject {
  int mix;
  const char* formats;
  sums kind;
};

const std::vector<subject>& subjects() {
  static const std::vector<subject> all = [] {
    using enum sums;
    std::vector<subject> list;
    int mix = 0;
#define SUBJECTS(A, B, D, ...)                                                         \
  for (const sums kind : {__VA_ARGS__}) list.push_back({mix, #A " " #B " " #D, kind}); \
  ++mix;
    QUAVER_WGMMA_MIXES(SUBJECTS)
#undef SUBJECTS
    return list;
  }();
  return all;
}

/// The kind that a problem is of, by the definition in docs/gemm.md.
sums kind_of(const cublaslt_case& how) {
  const auto blocks = [&how](const scale_layout& by, int64_t rows) {
    return (by.block_cols != 0 && by.block_cols < how.k) || (by.block_rows > 1 && by.block_rows < rows);
  };
  if (blocks(how.a_layout, how.m) || blocks(how.b_layout, how.n)) {
    const int b_rows = how.b_layout.block_rows;
    return how.m > 128 && b_rows % 128 != 0 && b_rows < how.n ? sums::scaled_lines : sums::scaled;
  }
  return how.sum == accumulation::fast ? sums::whole : sums::promoted;
}

constexpr scale_layout lines = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};

/// A number in [1, most], small ones more often.
int64_t extent(generator& random, int64_t usual, int64_t most) {
  return 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(random() % 12 == 0 ? most : usual));
}

cublaslt_case some_case(generator& random, sums kind) {
  const auto one_of = [&](uint64_t in) { return random() % in == 0; };
  cublaslt_case how;
  const int64_t rows[] = {16, 64, 128, 300, 300, 300};
  how.m                = extent(random, rows[random() % 6], 1000);
  how.n                = extent(random, 300, 1000);
  how.k                = extent(random, 300, 1500);
  if (one_of(12)) how.m = 1;
  if (one_of(16)) how.n = 1;
  if (one_of(16)) how.k = extent(random, 17, 17);
  if (one_of(3)) how.k = (how.k + 127) / 128 * 128;
  if (one_of(4)) how.n = (how.n + 127) / 128 * 128;
  how.gap     = one_of(2) ? 16 * static_cast<int64_t>(random() % 4) : 0;
  how.offset  = 16 * static_cast<int64_t>(random() % 4);
  how.behind  = 400;
  how.batches = one_of(6) ? 2 + static_cast<int64_t>(random() % 3) : 1;
  if (how.batches != 1) how.own_scales = one_of(2), how.shared_b = one_of(2);
  const bool any_sum = kind == sums::scaled || kind == sums::scaled_lines;
  how.sum            = kind == sums::whole || (any_sum && one_of(2)) ? accumulation::fast : accumulation::strict;
  if (kind == sums::scaled) {
    const scale_layout a[] = {lines, blocks_1x128, blocks_128x128, {.block_cols = 128}, per_row, {.block_rows = 64}};
    const scale_layout b[] = {blocks_128x128,
                              {.block_rows = 256, .block_cols = 128},
                              {.block_cols = 128},
                              per_tensor,
                              // These for small M alone.
                              lines,
                              blocks_1x128,
                              {.block_rows = 48, .block_cols = 128},
                              per_row};
    how.a_layout           = a[random() % 6];
    how.b_layout           = b[random() % (how.m <= 128 ? 8 : 4)];
  } else if (kind == sums::scaled_lines) {
    how.m        = 4 * (33 + how.m / 4);  // columns of scales at multiples of 16 bytes
    how.n        = (how.n + 3) / 4 * 4;
    how.a_layout = how.b_layout = lines;
  } else {
    how.a_layout = one_of(2) ? per_row : per_tensor;
    how.b_layout = one_of(2) ? per_row : per_tensor;
  }
  const float alphas[] = {0.5f, -1.0f, 2.0f};
  how.alpha            = one_of(2) ? alphas[random() % 3] : 1.0f;
  how.d_scale          = one_of(2) ? 0.25f : 1.0f;
  how.with_bias        = one_of(3);
  how.wants_amax       = one_of(4);
  if (one_of(2)) {  // D leaves directly, but for amax
    how.n = (how.n + 15) / 16 * 16;
    return how;
  }
  how.with_c          = one_of(2);
  how.c_is_d          = how.with_c && one_of(2);
  const float betas[] = {-1.0f, 2.0f, 0.5f};
  how.beta            = betas[random() % 3];
  how.d_turned        = one_of(4);
  how.d_step          = one_of(6) ? 2 + static_cast<int64_t>(random() % 2) : 1;
  how.d_shift         = one_of(4) ? 1 + static_cast<int64_t>(random() % 3) : 0;
  // ReLU as often as the other two together.
  const activation after[] = {activation::none, activation::none, activation::relu,
                              activation::relu, activation::gelu, activation::silu};
  how.act                  = after[random() % 6];
  return how;
}

/// Nothing that a kernel needs a second look at D for; whether rows are whole is left out.
bool leaves_directly(const cublaslt_case& how) {
  return !how.with_c && how.act == activation::none && !how.d_turned && how.d_step == 1 && how.d_shift == 0;
}

struct drawn {
  subject of;
  cublaslt_case how;
  tile with;
};

drawn draw(generator& random) {
  drawn all{subjects()[random() % subjects().size()], {}, tile::automatic};
  do {
    all.how = some_case(random, all.of.kind);
  } while (kind_of(all.how) != all.of.kind);  // short K has no scales that change along it
  if (random() % 2 == 0) all.with = static_cast<tile>(random() % (static_cast<uint64_t>(tile::small) + 1));
  return all;
}

std::string text_of(const drawn& all, uint64_t seed) {
  const cublaslt_case& how = all.how;
  std::string text = "seed " + std::to_string(seed) + ": " + all.of.formats + ", " + name_of(all.of.kind) + ", ";
  const auto say = [&text](const std::string& name, auto value) { text += name + " " + std::to_string(value) + ", "; };
  text += std::to_string(how.m) + " x " + std::to_string(how.n) + " x " + std::to_string(how.k) + ", ";
  say("batches", how.batches);
  text += "scales " + std::to_string(how.a_layout.block_rows) + "x" + std::to_string(how.a_layout.block_cols) + " by " +
          std::to_string(how.b_layout.block_rows) + "x" + std::to_string(how.b_layout.block_cols) + ", ";
  say("own scales", int{how.own_scales});
  say("shared B", int{how.shared_b});
  say("gap", how.gap);
  say("offset", how.offset);
  say("alpha", how.alpha);
  say("C", how.with_c ? (how.c_is_d ? 2 : 1) : 0);
  say("beta", how.with_c ? how.beta : 0.0f);
  say("bias", int{how.with_bias});
  say("activation", static_cast<int>(how.act));
  say("amax", int{how.wants_amax});
  say("D's scale", how.d_scale);
  say("D turned", int{how.d_turned});
  say("step", how.d_step);
  say("shift", how.d_shift);
  return text + "tile " + std::to_string(static_cast<int>(all.with));
}

/// NaN for the scales that only fill up their arrays.
template <class Problem>
void poison_scales(Problem& p) {
  const auto poison = [&p](std::vector<float>& scales, const scale_layout& by, int64_t rows) {
    const auto used = static_cast<size_t>(by.scale_count(rows, p.how.k));
    const auto each = scales.size() / static_cast<size_t>(p.how.batches);
    for (size_t i = 0; i < scales.size(); ++i) {
      if (i % each >= used || (i >= each && !p.how.own_scales)) scales[i] = std::numeric_limits<float>::quiet_NaN();
    }
  };
  poison(p.a_scales.host, p.how.a_layout, p.how.m);
  poison(p.b_scales.host, p.how.b_layout, p.how.n);
}

template <class A, class B, class D>
void check(const drawn& all, generator& random, bool again) {
  cublaslt_problem<A, B, D> p(all.how);
  p.fill_exactly(random);
  poison_scales(p);
  // A tile that there is none of for this problem.
  const tile with = k_parts_of_wgmma(p.device, all.with) != 0 ? all.with : tile::automatic;
  p.send();
  const status there = run_wgmma(p.device, with);
  ASSERT_TRUE(there.ok()) << there.message();
  const std::vector<D> got = p.d.device->to_host();
  const uint32_t amax      = code_of(p.amax.device->to_host()[0]);
  for (int i = 0; again && i < 2; ++i) {
    p.send();
    ASSERT_TRUE(run_wgmma(p.device, with).ok());
    const std::vector<D> other = p.d.device->to_host();
    ASSERT_EQ(std::memcmp(got.data(), other.data(), got.size() * sizeof(D)), 0) << "runs differ";
    ASSERT_EQ(amax, code_of(p.amax.device->to_host()[0])) << "runs differ";
  }
  const status here = gemm_of_host(p.host);
  ASSERT_TRUE(here.ok()) << here.message();
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(code_of(got[i]), code_of(p.d.host[i]))
        << "element " << i << " of D's buffer, " << plan_of_wgmma(p.device, with);
  }
  ASSERT_EQ(amax, code_of(p.amax.host[0])) << "amax, " << plan_of_wgmma(p.device, with);
}

void check_problem(uint64_t seed, bool again) {
  generator random(seed);
  const drawn all = draw(random);
  SCOPED_TRACE(text_of(all, seed));
  int mix = 0;
#define CHECK_MIX(A, B, D, ...) \
  if (all.of.mix == mix++) return check<A, B, D>(all, random, again);
  QUAVER_WGMMA_MIXES(CHECK_MIX)
#undef CHECK_MIX
}

class WgmmaRandom : public HopperTest, public ::testing::WithParamInterface<uint64_t> {};

std::string name_of_shard(const ::testing::TestParamInfo<uint64_t>& shard) {
  const uint64_t first = shard.param * (problems / shards);
  return "from_" + std::to_string(first) + "_to_" + std::to_string(first + problems / shards - 1);
}

TEST_P(WgmmaRandom, problems_have_the_hosts_bytes) {
  const uint64_t first = GetParam() * (problems / shards);
  for (uint64_t i = first; i < first + problems / shards; ++i) {
    ASSERT_NO_FATAL_FAILURE(check_problem(first_seed + i, i % 10 == 0));
  }
}
INSTANTIATE_TEST_SUITE_P(Of3000, WgmmaRandom, ::testing::Range(uint64_t{0}, shards), name_of_shard);

TEST(WgmmaRandomProblems, are_of_every_kind) {
  std::map<std::string, int> seen;
  const auto expect = [&seen](const std::string& name, bool is) { seen[name] += is ? 1 : 0; };
  for (uint64_t i = 0; i < problems; ++i) {
    generator random(first_seed + i);
    const drawn all          = draw(random);
    const cublaslt_case& how = all.how;
    for (const subject& one : subjects()) {
      expect(std::string(one.formats) + " " + name_of(one.kind), one.mix == all.of.mix && one.kind == all.of.kind);
    }
    expect("M of 1", how.m == 1);
    expect("M from 2 to 16", how.m > 1 && how.m <= 16);
    expect("M from 17 to 64", how.m > 16 && how.m <= 64);
    expect("M from 65 to 128", how.m > 64 && how.m <= 128);
    expect("M above 128", how.m > 128);
    expect(std::string(name_of(all.of.kind)) + " of M above 128, D directly",
           how.m > 128 && how.n % 16 == 0 && !how.wants_amax && leaves_directly(how));
    expect("a tail of M", how.m > 128 && how.m % 128 != 0);
    expect("a tail of N", how.n % 128 != 0);
    expect("N that is no multiple of 16", how.n % 16 != 0);
    expect("no tail of N", how.n % 128 == 0);
    expect("a tail of K", how.k % 128 != 0);
    expect("K that is no multiple of 16", how.k % 16 != 0);
    expect("K of 16 or less", how.k <= 16);
    expect("no tail of K", how.k % 128 == 0);
    expect("K above 1000", how.k > 1000);
    expect("padded rows", how.gap != 0);
    expect("batches", how.batches != 1);
    expect("scales of each batch", how.own_scales);
    expect("one B for all batches", how.shared_b);
    expect("scales of rows", how.a_layout == per_row || how.b_layout == per_row);
    expect("1x128 scales in columns", how.a_layout == lines);
    expect("128x128 scales", how.a_layout == blocks_128x128 || how.b_layout == blocks_128x128);
    expect("1x128 scales of B", how.b_layout == lines || how.b_layout == blocks_1x128);
    expect("alpha", how.alpha != 1.0f);
    expect("bias", how.with_bias);
    expect("C", how.with_c && !how.c_is_d);
    expect("C that is D", how.c_is_d);
    expect("no activation", how.act == activation::none);
    expect("relu", how.act == activation::relu);
    expect("gelu", how.act == activation::gelu);
    expect("silu", how.act == activation::silu);
    expect("amax", how.wants_amax);
    expect("rows of D", !how.d_turned);
    expect("columns of D", how.d_turned);
    expect("D with gaps in its rows", how.d_step != 1);
    expect("D off its alignment", how.d_shift != 0);
    expect("scales, alpha and bias alone", leaves_directly(how));
    expect("the tile that is chosen", all.with == tile::automatic);
    for (int i_tile = 1; i_tile <= static_cast<int>(tile::small); ++i_tile)
      expect("tile " + std::to_string(i_tile), static_cast<int>(all.with) == i_tile);
  }
  for (const auto& [name, count] : seen) EXPECT_GE(count, 50) << name;
  EXPECT_GE(problems, 3000u);
}

}  // namespace
