// SPDX-License-Identifier: MIT
#include "wgmma_grouped_kernels.hpp"

#include <quaver/cpu/gemm.hpp>

#include "../cpu/gemm_problems.hpp"
#include "cublaslt_problems.hpp"
#include "matrices.hpp"
#include "wgmma_model.hpp"

// cuda::wgmma_grouped_gemm against cpu::gemm, group by group, where sums are exact, and against the model of the matrix
// unit on random data: the same bits, and nothing else of D touched.

namespace {

using namespace quaver;
using quaver_test::code_of;
using quaver_test::device_array;
using quaver_test::generator;
using quaver_test::HopperTest;
using quaver_test::poison;
using quaver_test::run_grouped;
using quaver_test::twin;

class WgmmaGrouped : public HopperTest {};

constexpr scale_layout lines = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};

enum class sums : uint8_t { fast, strict, scaled };

struct grouped_case {
  gemm_groups groups = gemm_groups::contiguous_rows;
  std::vector<int64_t> sizes;
  int64_t n   = 64;
  int64_t k   = 128;  ///< of all groups together where they are stretches of K
  int64_t m   = 64;   ///< rows of a group's D where groups are stretches of K; of a batch where they are masked
  int64_t gap = 0;    ///< before the first group and behind the last; a multiple of 4, for depth of 128
  sums kind   = sums::scaled;
  bool wide   = false;  ///< bounds of 64 bits
  float alpha = 1.0f;
};

/// A problem on the host and on the device. What belongs to no group is NaN in A and poison in D.
template <class D>
struct grouped_problem {
  grouped_case how;
  int64_t count, rows, k;
  std::vector<int64_t> bounds;
  twin<e4m3> a, b;
  twin<float> a_scales, b_scales;
  twin<D> d;
  twin<int32_t> narrow;
  twin<int64_t> wide;
  grouped_gemm_problem<e4m3, e4m3, D> device;

  [[nodiscard]] bool masked() const { return how.groups == gemm_groups::masked_rows; }
  [[nodiscard]] bool along_k() const { return how.groups == gemm_groups::depth; }
  [[nodiscard]] bool blocks() const { return how.kind == sums::scaled; }

  explicit grouped_problem(const grouped_case& wanted) : how(wanted), count(static_cast<int64_t>(how.sizes.size())) {
    bounds.assign(1, how.gap);
    for (const int64_t size : how.sizes) bounds.push_back(bounds.back() + size);
    const int64_t all = (bounds.back() + how.gap + 3) / 4 * 4;
    if (masked()) bounds = how.sizes;
    rows = how.groups == gemm_groups::contiguous_rows ? all : how.m;
    k    = along_k() ? all : how.k;

    const int64_t copies   = masked() ? count : 1;
    const int64_t b_copies = along_k() ? 1 : count;
    const int64_t d_copies = how.groups == gemm_groups::contiguous_rows ? 1 : count;
    const int64_t stride   = (k + 15) / 16 * 16 + 16;
    a.resize(copies * rows * stride, e4m3::nan());
    b.resize(b_copies * how.n * stride, e4m3::nan());
    d.resize(d_copies * rows * (how.n + 8), poison<D>());
    const scale_layout a_layout = blocks() ? lines : per_row;
    const scale_layout b_layout = blocks() ? blocks_128x128 : per_row;
    const auto padded           = [](int64_t scales) { return (scales + 3) / 4 * 4; };
    auto& each                  = device.each;
    auto& by                    = each.batches;
    by.count                    = count;
    by.a_stride                 = rows * stride;
    by.b_stride                 = how.n * stride;
    by.d_stride                 = rows * (how.n + 8);
    by.a_scale_stride           = padded(a_layout.scale_count(rows, k));
    by.b_scale_stride           = padded(b_layout.scale_count(how.n, k));
    a_scales.resize(by.a_scale_stride * count, 1.0f);
    b_scales.resize(by.b_scale_stride * count, 1.0f);
    each.a.values   = {a.device->data(), rows, k, stride};
    each.b.values   = {b.device->data(), how.n, k, stride};
    each.d          = {d.device->data(), rows, how.n, how.n + 8};
    each.a.layout   = a_layout;
    each.b.layout   = b_layout;
    each.a.scales   = a_scales.device->data();
    each.b.scales   = b_scales.device->data();
    each.alpha      = how.alpha;
    each.accumulate = how.kind == sums::fast ? accumulation::fast : accumulation::strict;
    device.groups   = how.groups;
    narrow.resize(static_cast<int64_t>(bounds.size()), 0);
    wide.resize(static_cast<int64_t>(bounds.size()), 0);
    if (how.wide) device.wide_bounds = wide.device->data();
    else device.bounds = narrow.device->data();
  }

  /// A group's rows of A and D, its columns of A and B.
  struct part {
    int64_t row, m, column, depth;
  };
  [[nodiscard]] part part_of(int64_t g) const {
    const auto at      = static_cast<size_t>(g);
    const int64_t size = how.sizes[at];
    if (along_k()) return {0, rows, bounds[at], size};
    return {masked() ? 0 : bounds[at], size, 0, k};
  }

  /// Draws codes for what belongs to groups, and all scales.
  template <class Code, class Scale>
  void fill(const Code& code, const Scale& scale) {
    const int64_t stride = device.each.a.values.row_stride;
    for (int64_t g = 0; g < count; ++g) {
      const part p   = part_of(g);
      e4m3* const ga = a.host.data() + (masked() ? g * rows * stride : 0);
      e4m3* const gb = b.host.data() + (along_k() ? 0 : g * how.n * stride);
      for (int64_t c = p.column; c < p.column + p.depth; ++c) {
        for (int64_t r = p.row; r < p.row + p.m; ++r) ga[r * stride + c] = code();
        for (int64_t r = 0; r < how.n; ++r) gb[r * stride + c] = code();
      }
    }
    size_t i = 0;
    for (float& x : a_scales.host) x = scale(i++);
    for (float& x : b_scales.host) x = scale(i++);
  }
  /// Small integers, and scales that are powers of two and differ from neighbour to neighbour: any order is exact.
  void fill_exactly(generator& random) {
    fill([&] { return e4m3(static_cast<int>(random() % 5) - 2); },
         [](size_t i) { return std::ldexp(1.0f, static_cast<int>((i + i / 5) % 5) - 2); });
  }
  void send() {
    for (size_t i = 0; i < bounds.size(); ++i) narrow.host[i] = static_cast<int32_t>(wide.host[i] = bounds[i]);
    a.send(), b.send(), a_scales.send(), b_scales.send(), d.send(), narrow.send(), wide.send();
  }

  /// Calls compute(one) with the dense problem of each group on the host, whose D is that in d.host.
  template <class Compute>
  void each_group(const Compute& compute) {
    const auto& each     = device.each;
    const int64_t stride = each.a.values.row_stride;
    for (int64_t g = 0; g < count; ++g) {
      const part p = part_of(g);
      if (p.m == 0) continue;
      gemm_problem<e4m3, e4m3, D> one;
      one.a.values   = {a.host.data() + (masked() ? g * rows * stride : 0) + p.row * stride + p.column, p.m, p.depth,
                        stride};
      one.b.values   = {b.host.data() + (along_k() ? 0 : g * how.n * stride) + p.column, how.n, p.depth, stride};
      one.d          = {d.host.data() + (how.groups == gemm_groups::contiguous_rows ? 0 : g * each.batches.d_stride) +
                            p.row * each.d.row_stride,
                        p.m, how.n, each.d.row_stride};
      one.alpha      = how.alpha;
      one.accumulate = each.accumulate;
      one.a.layout   = each.a.layout;
      one.b.layout   = each.b.layout;
      // Scales of the whole matrix, or of this group where they do not change along what is divided.
      const int64_t own   = masked() || (along_k() && !blocks()) ? g * each.batches.a_scale_stride : 0;
      const int64_t own_b = along_k() && blocks() ? 0 : g * each.batches.b_scale_stride;
      std::vector<float> as(static_cast<size_t>(one.a.layout.scale_count(p.m, p.depth)));
      std::vector<float> bs(static_cast<size_t>(one.b.layout.scale_count(how.n, p.depth)));
      for (int64_t c = 0; c < p.depth; ++c) {
        for (int64_t r = 0; r < p.m; ++r) {
          as[static_cast<size_t>(one.a.layout.index(r, c, p.m, p.depth))] =
              a_scales.host[static_cast<size_t>(own + one.a.layout.index(p.row + r, p.column + c, rows, k))];
        }
        for (int64_t r = 0; r < how.n; ++r) {
          bs[static_cast<size_t>(one.b.layout.index(r, c, how.n, p.depth))] =
              b_scales.host[static_cast<size_t>(own_b + one.b.layout.index(r, p.column + c, how.n, k))];
        }
      }
      one.a.scales = as.data();
      one.b.scales = bs.data();
      compute(one);
    }
  }

  [[nodiscard]] std::string text() const {
    std::string all = std::to_string(static_cast<int>(how.groups)) + " groups of";
    for (const int64_t size : how.sizes) all += " " + std::to_string(size);
    return all + "; rows " + std::to_string(rows) + ", N " + std::to_string(how.n) + ", K " + std::to_string(k) +
           ", sums " + std::to_string(static_cast<int>(how.kind)) + ", gap " + std::to_string(how.gap);
  }
  void expect(const std::vector<D>& got) const {
    ASSERT_GE(got.size(), d.host.size());  // one element where there is none
    for (size_t i = 0; i < d.host.size(); ++i) {
      const auto width = static_cast<size_t>(how.n + 8);
      ASSERT_EQ(code_of(got[i]), code_of(d.host[i]))
          << "row " << i / width << ", column " << i % width << ": " << text();
    }
  }
};

template <class D>
void expect_the_hosts_bytes(const grouped_case& how, generator& random) {
  grouped_problem<D> p(how);
  p.fill_exactly(random);
  p.send();
  const status there = run_grouped(p.device);
  ASSERT_TRUE(there.ok()) << there.message() << p.text();
  const std::vector<D> got = p.d.device->to_host();
  p.each_group([&](const auto& one) {
    const status here = cpu::gemm(one);
    ASSERT_TRUE(here.ok()) << here.message();
  });
  ASSERT_NO_FATAL_FAILURE(p.expect(got));
}

const std::vector<int64_t> telling = {0, 1, 63, 64, 65, 127, 128, 129, 0, 0, 191, 192, 193, 255, 256, 257, 513};

TEST_F(WgmmaGrouped, has_the_hosts_bytes_for_groups_of_every_size) {
  generator random(1);
  for (const sums kind : {sums::scaled, sums::strict, sums::fast}) {
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{200, 272}, {520, 128}, {8, 1200}}) {
      grouped_case how{.sizes = telling, .n = n, .k = k, .kind = kind};
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
      how.gap = 12, how.wide = true, how.alpha = 0.5f;
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
      how.groups = gemm_groups::masked_rows, how.m = 516;
      ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
    }
  }
}

TEST_F(WgmmaGrouped, has_the_hosts_bytes_for_random_groups) {
  generator random(2);
  for (int i = 0; i < 200; ++i) {
    const bool masked = i % 2 == 0;
    grouped_case how;
    how.groups      = masked ? gemm_groups::masked_rows : gemm_groups::contiguous_rows;
    how.kind        = static_cast<sums>(random() % 3);
    how.n           = static_cast<int64_t>(8 * (1 + random() % (random() % 4 == 0 ? 80 : 20)));
    how.k           = static_cast<int64_t>(1 + random() % 700);
    how.wide        = random() % 2 == 0;
    how.gap         = static_cast<int64_t>(4 * (random() % 3));
    const auto most = 1 + random() % (random() % 3 == 0 ? 400 : 90);
    how.m           = static_cast<int64_t>((most + 3) / 4 * 4);
    how.sizes.resize(1 + random() % 12);
    for (int64_t& size : how.sizes) size = random() % 4 == 0 ? 0 : static_cast<int64_t>(random() % (most + 1));
    if (how.kind != sums::fast && i % 3 == 0) ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<float>(how, random));
    else ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
  }
}

TEST_F(WgmmaGrouped, has_the_hosts_bytes_where_tiles_are_many) {
  generator random(10);
  for (const sums kind : {sums::scaled, sums::strict, sums::fast}) {
    grouped_case how{.sizes = {700, 0, 1500, 257, 64, 900, 1, 1300}, .n = 2104, .k = 272, .kind = kind};
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
    how.groups = gemm_groups::masked_rows, how.m = 1600;
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
  }
  const grouped_case along_k{
      .groups = gemm_groups::depth, .sizes = {496, 0, 16, 1000}, .n = 2104, .m = 1900, .kind = sums::strict};
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<float>(along_k, random));
}

TEST_F(WgmmaGrouped, has_the_hosts_bytes_for_a_thousand_groups_most_of_them_empty) {
  generator random(3);
  grouped_case how{.sizes = std::vector<int64_t>(1024, 0), .n = 16, .k = 144};
  for (int i = 0; i < 300; ++i) how.sizes[random() % 1024] = static_cast<int64_t>(random() % 12);
  how.sizes.front() = 0;
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
  how.sizes.back() = 5;
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
}

TEST_F(WgmmaGrouped, sums_stretches_of_k_that_begin_at_any_multiple_of_16) {
  generator random(4);
  for (int i = 0; i < 120; ++i) {
    grouped_case how;
    how.groups      = gemm_groups::depth;
    how.kind        = i % 3 == 0 ? sums::scaled : sums::strict;
    const auto step = static_cast<int64_t>(how.kind == sums::scaled ? 128 : 16);
    how.n           = static_cast<int64_t>(8 * (1 + random() % 50));
    how.m           = static_cast<int64_t>(4 * (1 + random() % 90));
    how.gap         = step * static_cast<int64_t>(random() % 2);
    how.wide        = i % 2 == 0;
    how.sizes.resize(1 + random() % 6);
    for (int64_t& size : how.sizes) {
      size = random() % 4 == 0 ? 0 : step * static_cast<int64_t>(random() % static_cast<uint64_t>(1 + 700 / step));
    }
    if (i % 4 == 0) ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
    else ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<float>(how, random));
  }
}

TEST_F(WgmmaGrouped, makes_zeros_where_there_is_no_k) {
  generator random(5);
  for (const sums kind : {sums::scaled, sums::strict, sums::fast}) {
    grouped_case how{.sizes = {3, 0, 300}, .n = 72, .k = 0, .kind = kind};
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
    how.groups = gemm_groups::masked_rows, how.m = 300;
    ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<bfloat16>(how, random));
  }
  const grouped_case how{.groups = gemm_groups::depth, .sizes = {0, 0}, .n = 72, .m = 80, .kind = sums::strict};
  ASSERT_NO_FATAL_FAILURE(expect_the_hosts_bytes<float>(how, random));
}

template <class D>
void check_model(const grouped_case& how, uint64_t seed) {
  generator random(seed);
  grouped_problem<D> p(how);
  p.fill(
      [&] {
        e4m3 x = e4m3::nan();
        while (x.is_nan()) x = e4m3::from_bits(static_cast<uint8_t>(random() >> 20));
        return x;
      },
      [&](size_t) { return bitwise_cast<float>(0x3E80'0000u + static_cast<uint32_t>(random() % 0x0180'0000u)); });
  p.send();
  const status there = run_grouped(p.device);
  ASSERT_TRUE(there.ok()) << there.message();
  const std::vector<D> got = p.d.device->to_host();
  p.each_group([](const auto& one) {
    for (int64_t r = 0; r < one.d.rows; ++r) {
      for (int64_t c = 0; c < one.d.cols; ++c) one.d(r, c) = D(quaver_test::documented(one, r, c));
    }
  });
  ASSERT_NO_FATAL_FAILURE(p.expect(got));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run_grouped(p.device).ok());
    const std::vector<D> again = p.d.device->to_host();
    ASSERT_EQ(std::memcmp(got.data(), again.data(), got.size() * sizeof(D)), 0) << "runs differ";
  }
}

TEST_F(WgmmaGrouped, is_the_matrix_units_arithmetic_bit_for_bit_on_random_data) {
  uint64_t seed = 60;
  for (const sums kind : {sums::scaled, sums::strict, sums::fast}) {
    grouped_case how{.sizes = {70, 0, 130, 200, 1}, .n = 136, .k = 1424, .m = 200, .kind = kind, .alpha = 1.3f};
    ASSERT_NO_FATAL_FAILURE(check_model<bfloat16>(how, ++seed));
    how.groups = gemm_groups::masked_rows;
    ASSERT_NO_FATAL_FAILURE(check_model<bfloat16>(how, ++seed));
    if (kind == sums::fast) continue;
    ASSERT_NO_FATAL_FAILURE(check_model<float>(how, ++seed));
    how.groups = gemm_groups::depth;
    how.sizes  = {256, 0, 640, 128};
    ASSERT_NO_FATAL_FAILURE(check_model<float>(how, ++seed));
  }
}

TEST_F(WgmmaGrouped, a_captured_graph_runs_with_the_bounds_of_the_moment) {
  generator random(7);
  grouped_case how{
      .groups = gemm_groups::masked_rows, .sizes = {300, 300, 300, 300, 300}, .n = 264, .k = 400, .m = 300};
  grouped_problem<bfloat16> p(how);
  p.fill_exactly(random);
  p.send();
  ASSERT_TRUE(run_grouped(p.device).ok());  // loads the kernel
  const quaver_test::captured_graph graph([&](cudaStream_t stream) { return run_grouped(p.device, stream); });
  ASSERT_TRUE(graph.outcome.ok()) << graph.outcome.message();
  for (int i = 0; i < 8; ++i) {
    for (size_t g = 0; g < p.bounds.size(); ++g)
      p.how.sizes[g] = p.bounds[g] = i == 3 ? 0 : static_cast<int64_t>(random() % 301);
    std::fill(p.d.host.begin(), p.d.host.end(), poison<bfloat16>());
    p.send();
    graph.run();
    const std::vector<bfloat16> got = p.d.device->to_host();
    p.each_group([](const auto& one) { ASSERT_TRUE(cpu::gemm(one).ok()); });
    ASSERT_NO_FATAL_FAILURE(p.expect(got)) << "replay " << i;
  }
}

TEST_F(WgmmaGrouped, stays_within_the_matrix_whatever_the_bounds_say) {
  generator random(8);
  const std::vector<int64_t> strange = {-70, 40, 20, 1'000'000, 30, 2'000'000'000};
  for (const gemm_groups kind : {gemm_groups::contiguous_rows, gemm_groups::masked_rows, gemm_groups::depth}) {
    grouped_problem<float> p({.groups = kind, .sizes = {30, 30, 30, 30, 30}, .n = 40, .k = 160, .m = 32});
    p.fill_exactly(random);
    const size_t guard = p.d.host.size();
    p.bounds.assign(strange.begin(), strange.begin() + static_cast<std::ptrdiff_t>(p.bounds.size()));
    p.send();
    const status run = run_grouped(p.device);
    ASSERT_TRUE(run.ok()) << run.message();
    const std::vector<float> got = p.d.device->to_host();
    for (size_t i = 40; i < guard; i += 48) ASSERT_EQ(got[i], poison<float>()) << "between two rows";
  }
}

TEST_F(WgmmaGrouped, says_why_it_cannot_run_a_problem_and_launches_nothing) {
  generator random(9);
  grouped_problem<bfloat16> given({.sizes = {64, 64}, .n = 256, .k = 256});
  given.fill_exactly(random);
  given.send();
  using problem     = grouped_gemm_problem<e4m3, e4m3, bfloat16>;
  const auto expect = [&](auto change, status_code code, const std::string& words) {
    problem changed = given.device;
    change(changed);
    quaver_test::expect_refused(run_grouped(changed), code, {words});
  };
  const auto unsupported = status_code::unsupported;
  const auto bad         = status_code::invalid_argument;
  expect([](problem& p) { p.each.batches.count = 1025; }, unsupported, "1025 groups; there may be 1024");
  expect([](problem& p) { p.bounds = nullptr; }, bad, "one of bounds and wide_bounds");
  expect([](problem& p) { p.wide_bounds = reinterpret_cast<const int64_t*>(p.bounds); }, bad,
         "one of bounds and wide_bounds");
  expect([](problem& p) { p.each.act = activation::relu; }, unsupported, "neither C, bias, activation nor amax");
  expect([](problem& p) { p.each.a.layout.order = scale_order::row_major; }, unsupported,
         "column_major and every column");
  expect([](problem& p) { p.each.a.values.rows = p.each.d.rows = 127; }, unsupported, "there are 127 in a column");
  expect([](problem& p) { p.each.a.layout = blocks_128x128; }, unsupported, "1 x 128 for A");
  expect([](problem& p) { p.each.a.layout = per_row, p.each.b.layout = {.block_rows = 2}; }, unsupported,
         "2 x 0 for B");
  expect([](problem& p) { p.each.a.values.data += 1, p.each.a.values.cols = p.each.b.values.cols = 200; }, unsupported,
         "A must have column stride 1 and every row at a multiple of 16");
  expect([](problem& p) { p.each.b.values.rows = p.each.d.cols = 252; }, unsupported,
         "multiple of 16 bytes long, not 504");
  expect([](problem& p) { p.each.batches.b_stride = -16; }, bad, "must not be negative");
  grouped_problem<bfloat16> along_k({.groups = gemm_groups::depth, .sizes = {64, 64}, .n = 256, .kind = sums::fast});
  along_k.send();
  quaver_test::expect_refused(run_grouped(along_k.device), unsupported, {"accumulation is strict, not fast"});
  expect([](problem& p) { p.each.b.values.cols = 128; }, bad, "they must be M x K, N x K and M x N");
}

}  // namespace
