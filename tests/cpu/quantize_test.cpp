// SPDX-License-Identifier: MIT
#include <quaver/cpu/dequantize.hpp>
#include <quaver/cpu/pack_n.hpp>
#include <quaver/cpu/quantize.hpp>
#include <quaver/reference/gemm.hpp>

#include "environments.hpp"
#include "inputs.hpp"
#include "matrices.hpp"
#include "threads.hpp"

namespace {

using namespace quaver;
using quaver_test::buffer;
using quaver_test::codes_of;
using quaver_test::expect_same;
using quaver_test::lie;
using quaver_test::lies;

/// An output of cpu::quantize with room for its scales.
template <class F>
struct output {
  buffer<F> values;
  std::vector<float> scales;
  std::vector<e8m0> powers;
  std::vector<e4m3> levels;
  float tensor_wide = 0;
  scale_layout layout;

  output(int64_t rows, int64_t cols, const scale_layout& how_scaled, lie how)
      : values(rows, cols, how, F::from_bits(0x05)),
        scales(static_cast<size_t>(how_scaled.scale_count(rows, cols)) + 1, -77.0f),
        powers(scales.size(), e8m0::from_bits(0x33)),
        levels(scales.size(), e4m3::from_bits(0x33)),
        layout(how_scaled) {}

  scaled_matrix<F> matrix() {
    scaled_matrix<F> m;
    m.values = values.view;
    m.layout = layout;
    if (layout.type == scale_type::f32) m.scales = scales.data();
    if (layout.type == scale_type::mx_e8m0) m.scales_e8m0 = powers.data();
    if (layout.type == scale_type::nvfp4_e4m3) {
      m.scales_e4m3 = levels.data();
      m.tensor_wide = &tensor_wide;
    }
    return m;
  }
};

/// Quantises and compares every byte, every scale, every count and every guard with the reference.
template <class F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, class T>
void check(const buffer<T>& x, const scale_layout& layout, lie how, cpu::quantize_options options = {}) {
  output<F> out(x.view.rows, x.view.cols, layout, how);
  cast_stats stats;
  options.stats = &stats;
  std::vector<uint32_t> words;
  for (int64_t i = 0; i < x.view.rows * x.view.cols; ++i)
    words.push_back(philox_word(options.words.seed, options.words.first + static_cast<uint64_t>(i)));

  const matrix_view<const T> in = x.view;
  const status done             = cpu::quantize<F, R, O>(in, out.matrix(), options);
  ASSERT_TRUE(done.ok()) << done.message();

  const reference::quantize_rules rules{.policy  = options.policy,
                                        .mx      = options.mx,
                                        .divides = options.application == scale_application::divide,
                                        .round   = R,
                                        .limit   = O,
                                        .words   = words.data()};
  const reference::quantized<F> expected = reference::quantize<F>(in, layout, rules);
  const size_t count                     = expected.scales.size();
  if (layout.type == scale_type::f32) {
    const std::vector<float> got(out.scales.begin(), out.scales.begin() + static_cast<std::ptrdiff_t>(count));
    ASSERT_EQ(codes_of(got), codes_of(expected.scales));
  }
  for (size_t i = 0; i < expected.scale_codes.size(); ++i) {
    ASSERT_EQ(layout.type == scale_type::mx_e8m0 ? out.powers[i].bits() : out.levels[i].bits(), expected.scale_codes[i])
        << i;
  }
  if (layout.type == scale_type::nvfp4_e4m3 && count != 0) {
    ASSERT_EQ(bitwise_cast<uint32_t>(out.tensor_wide), bitwise_cast<uint32_t>(expected.tensor_wide));
  }
  ASSERT_EQ(out.values.elements(), codes_of(expected.codes));
  ASSERT_TRUE(out.values.guards_stand());
  ASSERT_EQ(out.scales[count], -77.0f);
  ASSERT_EQ(out.powers[count].bits(), 0x33);
  ASSERT_EQ(out.levels[count].bits(), 0x33);
  ASSERT_NO_FATAL_FAILURE(expect_same(stats, expected.stats));
}

template <class T>
buffer<T> some_matrix(int64_t rows, int64_t cols, lie how, uint64_t seed, bool with_specials = false, int centre = 3) {
  buffer<T> x(rows, cols, how, quaver_test::element_from<T>(0x7FC0'0000u));  // read the padding and all is NaN
  quaver_test::generator random(seed);
  for (int64_t r = 0; r < rows; ++r) {
    // Rows of different sizes, so that each block has its own scale.
    const int shift = static_cast<int>(random() % 9) - 4;
    for (int64_t c = 0; c < cols; ++c)
      x.view(r, c) = quaver_test::some_number<T>(random, centre + shift, with_specials && random() % 16 == 0);
  }
  return x;
}

std::vector<scale_layout> layouts_of_floats() {
  std::vector<scale_layout> layouts = {per_tensor,        per_row,
                                       blocks_1x128,      blocks_128x128,
                                       {.block_cols = 1}, {.block_rows = 3, .block_cols = 5},
                                       {.block_rows = 7}, {.block_rows = 1, .block_cols = 1}};
  const size_t n                    = layouts.size();
  for (const scale_order order : {scale_order::column_major, scale_order::tiles_128x4}) {
    for (size_t i = 0; i < n; ++i) {
      layouts.push_back(layouts[i]);
      layouts.back().order = order;
    }
  }
  return layouts;
}

constexpr scale_layout in_columns(scale_layout layout) {
  layout.order = scale_order::column_major;
  return layout;
}
constexpr scale_layout in_tiles(scale_layout layout) {
  layout.order = scale_order::tiles_128x4;
  return layout;
}

TEST(Quantize, equals_the_reference_in_every_layout_however_the_matrices_lie) {
  uint64_t seed = 100;
  for (const scale_layout& layout : layouts_of_floats()) {
    for (const auto& [rows, cols] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 7}, {3, 129}, {130, 3}, {9, 300}}) {
      for (const lie in : lies) {
        for (const lie out : lies) {
          if (in != out && rows != 5) continue;
          const buffer<float> x = some_matrix<float>(rows, cols, in, ++seed);
          ASSERT_NO_FATAL_FAILURE((check<e4m3>(x, layout, out)));
        }
      }
      ASSERT_NO_FATAL_FAILURE(
          (check<e5m2>(some_matrix<bfloat16>(rows, cols, lie::padded, ++seed), layout, lie::transposed)));
      ASSERT_NO_FATAL_FAILURE(
          (check<e4m3fnuz>(some_matrix<half>(rows, cols, lie::transposed, ++seed, true), layout, lie::dense)));
    }
  }
}

TEST(Quantize, equals_the_reference_for_mx_blocks_in_its_three_rules) {
  uint64_t seed = 1000;
  for (const scale_layout& layout : {mx_1x32, in_columns(mx_1x32), mx_1x32_tiles,
                                     scale_layout{.block_rows = 2, .block_cols = 3, .type = scale_type::mx_e8m0}}) {
    for (const mx_rule rule : {mx_rule::round_up, mx_rule::round_down, mx_rule::round_three_quarter}) {
      for (const auto& [rows, cols] :
           std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 31}, {4, 65}, {33, 96}, {130, 161}}) {
        if (rows > 100 && layout.order != scale_order::tiles_128x4) continue;
        for (const lie how : lies) {
          const cpu::quantize_options options{.mx = rule};
          ASSERT_NO_FATAL_FAILURE(
              (check<e4m3>(some_matrix<float>(rows, cols, how, ++seed, true), layout, how, options)));
          ASSERT_NO_FATAL_FAILURE((check<e2m1>(some_matrix<bfloat16>(rows, cols, how, ++seed), layout, how, options)));
          ASSERT_NO_FATAL_FAILURE(
              (check<e2m3>(some_matrix<float>(rows, cols, how, ++seed, false, 100), layout, how, options)));
          ASSERT_NO_FATAL_FAILURE(
              (check<e3m2>(some_matrix<float>(rows, cols, how, ++seed, false, -110), layout, how, options)));
        }
      }
    }
  }
}

TEST(Quantize, equals_the_reference_for_nvfp4s_two_levels) {
  uint64_t seed = 2000;
  for (const scale_layout& layout :
       {nvfp4_1x16, in_columns(nvfp4_1x16), nvfp4_1x16_tiles,
        scale_layout{.block_rows = 16, .block_cols = 16, .type = scale_type::nvfp4_e4m3}}) {
    for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 31}, {17, 65}}) {
      for (const lie how : lies) {
        for (const scale_application way : {scale_application::multiply, scale_application::divide}) {
          ASSERT_NO_FATAL_FAILURE(
              (check<e2m1>(some_matrix<float>(rows, cols, how, ++seed), layout, how, {.application = way})));
          ASSERT_NO_FATAL_FAILURE(
              (check<e2m1>(some_matrix<float>(rows, cols, how, ++seed, true), layout, how, {.application = way})));
          ASSERT_NO_FATAL_FAILURE((check<e2m1>(some_matrix<float>(rows, cols, how, ++seed, false, -100), layout, how,
                                               {.application = way})));
        }
      }
    }
  }
}

TEST(Quantize, the_smallest_floats_give_no_nan_where_the_scale_would_underflow_to_zero) {
  const float x[32] = {0, 0x1p-149f, 0x1p-146f, -0x1p-148f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1p-140f, 0x1p-140f};
  const matrix_view<const float> in(x, 1, 32);
  float back[32];

  e4m3 codes[32];
  float scale = 0;
  const scaled_matrix<e4m3> fp8{.values = {codes, 1, 32}, .layout = per_tensor, .scales = &scale};
  cpu::quantize_options options;
  options.policy.direction = scale_direction::dequant_first;
  options.application      = scale_application::divide;
  ASSERT_TRUE(cpu::quantize(in, fp8, options).ok());
  EXPECT_EQ(scale, 0x1p-149f);
  ASSERT_TRUE(cpu::dequantize(fp8, matrix_view<float>(back, 1, 32)).ok());
  for (int i = 0; i < 32; ++i) EXPECT_FALSE(std::isnan(back[i])) << i;
  EXPECT_EQ(back[1], x[1]);
  EXPECT_EQ(back[2], x[2]);

  e2m1 fours[32];
  e4m3 block_scales[2];
  float tensor_wide = 0;
  const scaled_matrix<e2m1> fp4{
      .values = {fours, 1, 32}, .layout = nvfp4_1x16, .scales_e4m3 = block_scales, .tensor_wide = &tensor_wide};
  ASSERT_TRUE(cpu::quantize(in, fp4).ok());
  EXPECT_EQ(tensor_wide, 0x1p-149f);
  ASSERT_TRUE(cpu::dequantize(fp4, matrix_view<float>(back, 1, 32)).ok());
  for (int i = 0; i < 32; ++i) EXPECT_FALSE(std::isnan(back[i])) << i;
}

TEST(Quantize, refuses_to_make_nvfp4_scales_for_another_format_than_e2m1) {
  const float x[16] = {1};
  e4m3 codes[16];
  e4m3 block_scale;
  float tensor_wide = 7;
  const scaled_matrix<e4m3> out{
      .values = {codes, 1, 16}, .layout = nvfp4_1x16, .scales_e4m3 = &block_scale, .tensor_wide = &tensor_wide};
  const status refused = cpu::quantize(matrix_view<const float>(x, 1, 16), out);
  EXPECT_EQ(refused.code(), status_code::unsupported);
  EXPECT_NE(refused.message().find("e2m1"), std::string::npos);
  EXPECT_EQ(tensor_wide, 7);
}

TEST(Quantize, a_block_too_small_for_its_nvfp4_tensor_becomes_zero_and_not_nan) {
  buffer<float> x(1, 32, lie::dense, 0.0f);
  for (int64_t c = 0; c < 32; ++c) x.view(0, c) = c < 16 ? 1e10f : 1e-10f;
  for (const scale_application way : {scale_application::multiply, scale_application::divide}) {
    output<e2m1> out(1, 32, nvfp4_1x16, lie::dense);
    ASSERT_TRUE(cpu::quantize<e2m1>(matrix_view<const float>(x.view), out.matrix(), {.application = way}).ok());
    EXPECT_EQ(out.levels[0], (e4m3::max)());
    EXPECT_EQ(out.levels[1].bits(), 0x00);
    for (int64_t c = 0; c < 32; ++c) EXPECT_EQ(out.values.view(0, c).bits(), c < 16 ? 0x7 : 0x0);
  }
}

TEST(Quantize, equals_the_reference_under_every_policy_rounding_and_overflow) {
  uint64_t seed = 3000;
  for (const special_amax special : {special_amax::unit, special_amax::clamp, special_amax::poison}) {
    for (const scale_direction direction : {scale_direction::quant_first, scale_direction::dequant_first}) {
      for (const scale_rounding round : {scale_rounding::none, scale_rounding::power_of_two}) {
        for (const scale_application way : {scale_application::multiply, scale_application::divide}) {
          const cpu::quantize_options options{.policy      = {special, special, special, 1e-4f, 1, direction, round},
                                              .application = way,
                                              .words       = {.seed = 9, .first = 0xFFFF'FFFFu}};
          const scale_layout layout{.block_rows = 1, .block_cols = 8};
          buffer<float> x = some_matrix<float>(12, 41, lie::padded, ++seed, true);
          for (int64_t c = 0; c < 8; ++c) x.view(3, c) = c % 2 == 0 ? 0.0f : -0.0f;
          x.view(4, 2)  = std::numeric_limits<float>::infinity();
          x.view(5, 9)  = -std::numeric_limits<float>::quiet_NaN();
          x.view(6, 20) = 0x1p-149f;
          ASSERT_NO_FATAL_FAILURE((check<e4m3>(x, layout, lie::dense, options)));
          ASSERT_NO_FATAL_FAILURE((check<e4m3, rounding::stochastic>(x, layout, lie::transposed, options)));
          ASSERT_NO_FATAL_FAILURE((check<e5m2, rounding::upward, overflow::nonfinite>(x, layout, lie::dense, options)));
          ASSERT_NO_FATAL_FAILURE(
              (check<e4m3, rounding::to_odd, overflow::saturate_finite>(x, layout, lie::dense, options)));
          ASSERT_NO_FATAL_FAILURE(
              (check<binary8p3, rounding::toward_zero, overflow::nonfinite>(x, layout, lie::dense, options)));
        }
      }
    }
  }
}

TEST(Quantize, uses_given_scales_and_does_not_write_them) {
  constexpr float nan               = std::numeric_limits<float>::quiet_NaN();
  constexpr float inf               = std::numeric_limits<float>::infinity();
  const std::vector<float> scales   = {1.0f, 0.3f, 0x1p-140f, 0x1.8p120f, 0.0f,   -0.0f,
                                       nan,  inf,  -0.5f,     0x1p-149f,  448.0f, 1e-38f};
  const buffer<float> x             = some_matrix<float>(4, 9, lie::padded, 4000, true);
  const matrix_view<const float> in = x.view;
  for (const scale_order order : {scale_order::row_major, scale_order::column_major}) {
    const scale_layout layout{.block_rows = 1, .block_cols = 3, .order = order};
    for (const scale_application way : {scale_application::multiply, scale_application::divide}) {
      output<e4m3> out(4, 9, layout, lie::transposed);
      std::copy(scales.begin(), scales.end(), out.scales.begin());
      cast_stats stats;
      ASSERT_TRUE(
          cpu::quantize<e4m3>(in, out.matrix(), {.source = scale_source::given, .application = way, .stats = &stats})
              .ok());
      const reference::quantized<e4m3> expected =
          reference::quantize<e4m3>(in, layout, {.divides = way == scale_application::divide, .given = scales.data()});
      EXPECT_EQ(out.values.elements(), codes_of(expected.codes));
      expect_same(stats, expected.stats);
      out.scales.pop_back();
      EXPECT_EQ(codes_of(out.scales), codes_of(scales));
    }
  }
}

TEST(Quantize, uses_given_mx_and_nvfp4_scales) {
  const buffer<float> x             = some_matrix<float>(3, 40, lie::dense, 4100, true);
  const matrix_view<const float> in = x.view;
  output<e4m3> mx(3, 40, mx_1x32, lie::dense);
  std::vector<float> scales;
  for (const int code : {0x00, 0x7F, 0x80, 0xFE, 0xFF, 0x70}) {
    mx.powers[scales.size()] = e8m0::from_bits(static_cast<uint8_t>(code));
    scales.push_back(reference::to_float(mx.powers[scales.size()]));
  }
  ASSERT_TRUE(cpu::quantize<e4m3>(in, mx.matrix(), {.source = scale_source::given}).ok());
  EXPECT_EQ(mx.values.elements(), codes_of(reference::quantize<e4m3>(in, mx_1x32, {.given = scales.data()}).codes));

  output<e2m1> fp4(3, 40, nvfp4_1x16, lie::dense);
  fp4.tensor_wide = 0x1.8p-3f;
  scales.clear();
  for (const int code : {0x00, 0x01, 0x38, 0x7E, 0x7F, 0xB8, 0x80, 0x20, 0x40}) {
    fp4.levels[scales.size()] = e4m3::from_bits(static_cast<uint8_t>(code));
    scales.push_back(reference::product(reference::to_float(fp4.levels[scales.size()]), fp4.tensor_wide));
  }
  ASSERT_TRUE(cpu::quantize<e2m1>(in, fp4.matrix(), {.source = scale_source::given}).ok());
  EXPECT_EQ(fp4.values.elements(), codes_of(reference::quantize<e2m1>(in, nvfp4_1x16, {.given = scales.data()}).codes));
  EXPECT_EQ(fp4.tensor_wide, 0x1.8p-3f);
}

TEST(Quantize, stats_add_up_over_calls) {
  const buffer<float> x             = some_matrix<float>(8, 50, lie::dense, 4200, true);
  const matrix_view<const float> in = x.view;
  cast_stats stats;
  output<e4m3> out(8, 50, per_row, lie::dense);
  ASSERT_TRUE(cpu::quantize<e4m3>(in, out.matrix(), {.stats = &stats}).ok());
  ASSERT_TRUE(cpu::quantize<e4m3>(in, out.matrix(), {.stats = &stats}).ok());
  const cast_stats once = reference::quantize<e4m3>(in, per_row).stats;
  cast_stats twice      = once;
  twice.merge(once);
  expect_same(stats, twice);
}

TEST(Quantize, leaves_every_float_environment_as_it_was_and_gives_the_same_bytes_in_each) {
  for (const scale_layout& layout : {per_row, mx_1x32, nvfp4_1x16}) {
    for (const int centre : {3, -128}) {
      const buffer<float> x                     = some_matrix<float>(6, 70, lie::padded, 4300, false, centre);
      const matrix_view<const float> in         = x.view;
      const reference::quantized<e2m1> expected = reference::quantize<e2m1>(in, layout);
      const float quiet                         = 1.0f;
      for (const quaver_test::environment& e : quaver_test::environments) {
        output<e2m1> out(6, 70, layout, lie::dense);
        buffer<float> back(6, 70, lie::dense, quiet);
        cast_stats stats;
        bool ok = false;
        EXPECT_TRUE(quaver_test::keeps_environment(e, [&] {
          ok = cpu::quantize<e2m1>(in, out.matrix(), {.stats = &stats}).ok();
          ok = cpu::dequantize(scaled_matrix<const e2m1>(out.matrix()), back.view).ok() && ok;
        })) << e.name;
        ASSERT_TRUE(ok);
        EXPECT_EQ(out.values.elements(), codes_of(expected.codes)) << e.name;
        expect_same(stats, expected.stats);
      }
    }
  }
}

/// Two e2m1 a byte, in a buffer with guards before, between and after the rows.
struct pairs_buffer {
  std::vector<e2m1x2> data;
  matrix_view<e2m1x2> view;

  pairs_buffer(int64_t rows, int64_t cols, bool dense)
      : data(static_cast<size_t>(3 + rows * ((cols + 1) / 2 + (dense ? 0 : 3))), e2m1x2::from_bits(0xA5)),
        view(data.data() + 3, rows, cols, (cols + 1) / 2 + (dense ? 0 : 3)) {}
  pairs_buffer(pairs_buffer&&) = default;
};

/// What matrices of e2m1 give, packed: same scales, same stats, +0 in the nibble beyond an odd row, all else untouched.
template <rounding R, class T>
void check_pairs_are_packed_codes(const buffer<T>& x, const scale_layout& layout, bool dense,
                                  cpu::quantize_options options = {}) {
  const int64_t rows = x.view.rows;
  const int64_t cols = x.view.cols;
  output<e2m1> one(rows, cols, layout, lie::dense);
  output<e2m1> two(rows, cols, layout, lie::dense);
  pairs_buffer pairs(rows, cols, dense);
  scaled_matrix<e2m1x2> packed;
  packed.values      = pairs.view;
  packed.layout      = layout;
  packed.scales      = two.matrix().scales;
  packed.scales_e8m0 = two.matrix().scales_e8m0;
  packed.scales_e4m3 = two.matrix().scales_e4m3;
  packed.tensor_wide = two.matrix().tensor_wide;
  cast_stats stats_one;
  cast_stats stats_two;
  if (options.stats != nullptr) options.stats = &stats_one;
  ASSERT_TRUE((cpu::quantize<e2m1, R>(matrix_view<const T>(x.view), one.matrix(), options).ok()));
  if (options.stats != nullptr) options.stats = &stats_two;
  const status done = cpu::quantize<e2m1x2, R>(matrix_view<const T>(x.view), packed, options);
  ASSERT_TRUE(done.ok()) << done.message();
  expect_same(stats_two, stats_one);
  ASSERT_EQ(codes_of(two.scales), codes_of(one.scales));
  ASSERT_EQ(codes_of(two.powers), codes_of(one.powers));
  ASSERT_EQ(codes_of(two.levels), codes_of(one.levels));
  ASSERT_EQ(bitwise_cast<uint32_t>(two.tensor_wide), bitwise_cast<uint32_t>(one.tensor_wide));
  pairs_buffer expected(rows, cols, dense);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; c += 2) {
      const unsigned high = c + 1 < cols ? one.values.view(r, c + 1).bits() : 0u;
      expected.data[static_cast<size_t>(3 + r * expected.view.row_stride + c / 2)] =
          e2m1x2::from_bits(static_cast<uint8_t>(one.values.view(r, c).bits() | high << 4));
    }
  }
  for (size_t i = 0; i < expected.data.size(); ++i) ASSERT_EQ(pairs.data[i].bits(), expected.data[i].bits()) << i;

  // And back, whatever stands in the nibble beyond an odd row.
  for (int64_t r = 0; r < rows && cols % 2 != 0; ++r) {
    e2m1x2& last = pairs.view.pair(r, cols - 1);
    last         = e2m1x2(last.low(), e2m1::from_bits(0xB));
  }
  buffer<T> back_one(rows, cols, lie::padded, quaver_test::element_from<T>(0));
  buffer<T> back_two(rows, cols, dense ? lie::padded : lie::spread, quaver_test::element_from<T>(0));
  ASSERT_TRUE(cpu::dequantize(one.matrix(), back_one.view, options.on).ok());
  ASSERT_TRUE(cpu::dequantize(packed, back_two.view, options.on).ok());
  ASSERT_EQ(back_two.elements(), back_one.elements());
  ASSERT_TRUE(back_two.guards_stand());
}

TEST(Quantize, writes_two_e2m1_a_byte_as_it_writes_one) {
  uint64_t seed = 2500;
  for (const scale_layout& layout :
       {nvfp4_1x16, nvfp4_1x16_tiles, mx_1x32, mx_1x32_tiles, per_tensor, per_row, blocks_128x128,
        scale_layout{.block_rows = 3, .block_cols = 6}, scale_layout{.block_rows = 2, .block_cols = 8192},
        in_columns(mx_1x32), in_tiles(blocks_1x128)}) {
    for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 1}, {3, 2}, {1, 33}, {5, 31}, {4, 64}, {130, 96}, {2, 2500}, {3, 9001}}) {
      for (const bool dense : {true, false}) {
        const buffer<float> x = some_matrix<float>(rows, cols, dense ? lie::dense : lie::spread, ++seed, true);
        ASSERT_NO_FATAL_FAILURE((check_pairs_are_packed_codes<rounding::nearest_even>(x, layout, dense)))
            << rows << " x " << cols << ", blocks " << layout.block_rows << " x " << layout.block_cols;
        cast_stats stats;
        const cpu::quantize_options options{
            .application = scale_application::divide, .words = {.seed = seed, .first = 5}, .stats = &stats};
        ASSERT_NO_FATAL_FAILURE((check_pairs_are_packed_codes<rounding::stochastic>(x, layout, dense, options)));
        const buffer<bfloat16> y = some_matrix<bfloat16>(rows, cols, lie::padded, ++seed);
        ASSERT_NO_FATAL_FAILURE((check_pairs_are_packed_codes<rounding::toward_zero>(y, layout, dense)));
      }
    }
  }
}

TEST(Quantize, threads_share_no_byte_of_two_e2m1) {
  for (const scale_layout& layout : {per_tensor, nvfp4_1x16_tiles, scale_layout{.block_cols = 6}}) {
    for (const auto& [rows, cols] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 301}, {2, 999}, {7, 65}, {40, 128}}) {
      const buffer<float> x = some_matrix<float>(rows, cols, lie::dense, 2700);
      for (const size_t width : {size_t{2}, size_t{3}, size_t{8}}) {
        for (const cpu::executor& on : {quaver_test::threads(width), quaver_test::backwards(width)})
          ASSERT_NO_FATAL_FAILURE((check_pairs_are_packed_codes<rounding::nearest_even>(x, layout, true, {.on = on})));
      }
    }
  }
}

TEST(Quantize, refuses_blocks_that_begin_within_a_byte_and_two_e2m1_where_they_overlap) {
  const std::vector<float> x(40, 1.0f);
  std::vector<e2m1x2> pairs(40, e2m1x2::from_bits(0x5A));
  std::vector<float> scales(40, 2.0f);
  scaled_matrix<e2m1x2> out{
      .values = {pairs.data(), 4, 10}, .layout = {.block_rows = 1, .block_cols = 5}, .scales = scales.data()};
  const matrix_view<const float> in(x.data(), 4, 10);
  const status odd = cpu::quantize(in, out);
  EXPECT_EQ(odd.code(), status_code::unsupported);
  EXPECT_NE(odd.message().find("5 columns wide"), std::string::npos) << odd.message();
  out.layout.block_cols = 11;
  EXPECT_TRUE(cpu::quantize(in, out).ok()) << "one block a row";
  pairs.assign(40, e2m1x2::from_bits(0x5A));
  out.layout            = per_tensor;
  out.values.row_stride = 4;
  const status close    = cpu::quantize(in, out);
  EXPECT_EQ(close.code(), status_code::invalid_argument);
  EXPECT_NE(close.message().find("row stride 4"), std::string::npos) << close.message();
  for (const e2m1x2 pair : pairs) EXPECT_EQ(pair.bits(), 0x5A);
}

/// decode(code) * scale of the block, by the machine.
template <class F, class T>
void check_dequantize(const scale_layout& layout, lie how, uint64_t seed) {
  const int64_t rows = 7, cols = 37;
  output<F> x(rows, cols, layout, how);
  quaver_test::generator random(seed);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c)
      x.values.view(r, c) = F::from_bits(static_cast<typename F::storage>(random() >> 20));
  }
  for (float& scale : x.scales) scale = bitwise_cast<float>(static_cast<uint32_t>(random()));
  for (e8m0& scale : x.powers) scale = e8m0::from_bits(static_cast<uint8_t>(random() >> 20));
  for (e4m3& scale : x.levels) scale = e4m3::from_bits(static_cast<uint8_t>(random() >> 20));
  x.tensor_wide = 0x1.3p-125f;
  buffer<T> y(rows, cols, how, quaver_test::element_from<T>(0x4240'0000u));
  const scaled_matrix<const F> in = x.matrix();
  ASSERT_TRUE(cpu::dequantize(in, y.view).ok());
  ASSERT_TRUE(y.guards_stand());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const auto at       = static_cast<size_t>(reference::scale_index(in, r, c));
      const float scale   = layout.type == scale_type::f32 ? x.scales[at]
                            : layout.type == scale_type::mx_e8m0
                                ? reference::to_float(x.powers[at])
                                : reference::product(reference::to_float(x.levels[at]), x.tensor_wide);
      const float product = reference::product(reference::to_float(x.values.view(r, c)), scale);
      const T expected    = std::isnan(product) ? quaver_test::element_from<T>(0x7FC0'0000u)
                                                : quaver_test::element_from<T>(bitwise_cast<uint32_t>(product));
      ASSERT_EQ(quaver_test::code_of(y.view(r, c)), quaver_test::code_of(expected)) << r << ", " << c;
    }
  }
}

TEST(Dequantize, multiplies_each_decoded_code_by_its_scale_once) {
  uint64_t seed = 5000;
  for (const lie how : lies) {
    for (const scale_layout& layout : layouts_of_floats()) {
      ASSERT_NO_FATAL_FAILURE((check_dequantize<e4m3, float>(layout, how, ++seed)));
      ASSERT_NO_FATAL_FAILURE((check_dequantize<e5m2, bfloat16>(layout, how, ++seed)));
      ASSERT_NO_FATAL_FAILURE((check_dequantize<binary8p3, half>(layout, how, ++seed)));
    }
    for (const scale_layout& layout :
         {mx_1x32, in_columns(mx_1x32), mx_1x32_tiles, nvfp4_1x16, in_columns(nvfp4_1x16), nvfp4_1x16_tiles}) {
      ASSERT_NO_FATAL_FAILURE((check_dequantize<e4m3, float>(layout, how, ++seed)));
      ASSERT_NO_FATAL_FAILURE((check_dequantize<e2m1, bfloat16>(layout, how, ++seed)));
    }
  }
}

TEST(Dequantize, what_was_dequantised_quantises_to_the_same_codes_with_the_given_scales) {
  for (const scale_layout& layout : {per_tensor, per_row, blocks_1x128, blocks_128x128, mx_1x32}) {
    const buffer<float> x = some_matrix<float>(20, 150, lie::dense, 6000);
    output<e4m3> out(20, 150, layout, lie::dense);
    buffer<float> back(20, 150, lie::dense, 0.0f);
    ASSERT_TRUE(cpu::quantize<e4m3>(matrix_view<const float>(x.view), out.matrix()).ok());
    const std::vector<uint32_t> codes = out.values.elements();
    ASSERT_TRUE(cpu::dequantize(scaled_matrix<const e4m3>(out.matrix()), back.view).ok());
    for (const scale_application way : {scale_application::multiply, scale_application::divide}) {
      ASSERT_TRUE(cpu::quantize<e4m3>(matrix_view<const float>(back.view), out.matrix(),
                                      {.source = scale_source::given, .application = way})
                      .ok());
      EXPECT_EQ(out.values.elements(), codes);
    }
    // And every value came back within half a step of its own size, or of the smallest step.
    for (int64_t r = 0; r < 20; ++r) {
      for (int64_t c = 0; c < 150; ++c) {
        const double value = static_cast<double>(x.view(r, c));
        const double step =
            (std::max)(std::fabs(value) / 16, static_cast<double>(out.matrix().dequant(r, c)) * 0x1p-10) * (1 + 1e-5);
        ASSERT_NEAR(static_cast<double>(back.view(r, c)), value, step);
      }
    }
  }
}

template <class F>
void expect_empty_is_fine(const scale_layout& layout) {
  for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {0, 5}, {5, 0}}) {
    scaled_matrix<F> out;
    out.values = {nullptr, rows, cols};
    out.layout = layout;
    EXPECT_TRUE(cpu::quantize<F>(matrix_view<const float>(nullptr, rows, cols), out).ok());
    EXPECT_TRUE(cpu::dequantize(scaled_matrix<const F>(out), matrix_view<float>(nullptr, rows, cols)).ok());
  }
}

TEST(Quantize, empty_matrices_of_either_extent_are_fine) {
  for (const scale_layout& layout : {per_tensor, per_row, blocks_128x128, mx_1x32}) expect_empty_is_fine<e4m3>(layout);
  expect_empty_is_fine<e2m1>(nvfp4_1x16);
}

TEST(Quantize, refuses_what_it_cannot_do_by_its_numbers_and_writes_nothing) {
  std::vector<float> x(60, 1.0f);
  std::vector<e4m3> y(60, e4m3::from_bits(0x5A));
  std::vector<float> scales(60, 0.5f);
  const auto refused = [&](const status& s, const std::vector<std::string>& words) {
    EXPECT_EQ(s.code(), status_code::invalid_argument) << s.message();
    for (const std::string& word : words)
      EXPECT_NE(s.message().find(word), std::string::npos) << s.message() << " lacks " << word;
    EXPECT_EQ(x, std::vector<float>(60, 1.0f));
    EXPECT_EQ(codes_of(y), std::vector<uint32_t>(60, 0x5A));
    EXPECT_EQ(scales, std::vector<float>(60, 0.5f));
  };
  using input = matrix_view<const float>;
  scaled_matrix<e4m3> out;
  out.values = {y.data(), 5, 12};
  out.scales = scales.data();
  const input in(x.data(), 5, 12);
  refused(cpu::quantize<e4m3>(input(x.data(), 4, 12), out), {"4 x 12", "5 x 12"});
  scaled_matrix<e4m3> unscaled{.values = out.values};
  refused(cpu::quantize<e4m3>(in, unscaled), {"5 x 12", "1 scale,", "`scales` is null"});
  unscaled.layout = mx_1x32;
  refused(cpu::quantize<e4m3>(in, unscaled), {"5 scales,", "`scales_e8m0` is null"});
  unscaled.layout = nvfp4_1x16;
  refused(cpu::quantize<e4m3>(in, unscaled), {"5 scales,", "`scales_e4m3` is null"});
  e4m3 levels[5];
  unscaled.scales_e4m3 = levels;
  refused(cpu::quantize<e4m3>(in, unscaled), {"5 scales,", "`tensor_wide` is null"});
  refused(cpu::quantize<e4m3>(input(x.data(), 12, 5), out), {"12 x 5", "5 x 12"});
  refused(cpu::quantize<e4m3>(input(nullptr, 5, 12), out), {"null", "5 x 12"});
  refused(cpu::quantize<e4m3>(input(x.data(), -5, 12), out), {"negative", "-5 x 12"});
  refused(cpu::quantize<e4m3>(input(x.data(), 5, 12, 7), out), {"one place", "7"});
  refused(cpu::quantize<e4m3>(input(x.data(), 5, 12, 0), out), {"stride", "0"});
  refused(cpu::quantize<e4m3>(input(x.data(), 5, 12, -12), out), {"positive", "-12"});
  constexpr int64_t huge = std::numeric_limits<int64_t>::max();
  refused(cpu::quantize<e4m3>(input(x.data(), huge, huge, huge), out), {"memory", std::to_string(huge)});
  refused(cpu::quantize<e4m3>(input(x.data(), huge / 4, 1, 4), out), {"memory", std::to_string(huge / 4)});

  scaled_matrix<e4m3> bad = out;
  bad.scales              = nullptr;
  refused(cpu::quantize<e4m3>(in, bad), {"1 scale,", "null", "5 x 12"});
  bad.layout = per_row;
  refused(cpu::quantize<e4m3>(in, bad), {"5 scales", "null"});
  bad        = out;
  bad.layout = mx_1x32;
  refused(cpu::quantize<e4m3>(in, bad), {"5 scales", "null"});
  bad.layout      = nvfp4_1x16;
  bad.scales_e4m3 = y.data() + 30;
  refused(cpu::quantize<e4m3>(in, bad), {"5 scales", "null"});
  bad        = out;
  bad.layout = {.block_rows = -1, .block_cols = 128};
  refused(cpu::quantize<e4m3>(in, bad), {"negative", "-1 x 128"});
  bad             = out;
  bad.values.data = nullptr;
  refused(cpu::quantize<e4m3>(in, bad), {"output", "null"});
  bad             = out;
  bad.values.data = reinterpret_cast<e4m3*>(x.data()) + 239;
  refused(cpu::quantize<e4m3>(in, bad), {"overlap", "5 x 12"});
  bad        = out;
  bad.scales = x.data() + 59;
  refused(cpu::quantize<e4m3>(in, bad), {"scales", "overlap", "5 x 12"});
  bad.scales = reinterpret_cast<float*>(y.data() + 56);
  refused(cpu::quantize<e4m3>(in, bad), {"scales", "overlap"});

  const scaled_matrix<const e4m3> from = out;
  refused(cpu::dequantize(from, matrix_view<float>(x.data(), 5, 11)), {"5 x 12", "5 x 11"});
  refused(cpu::dequantize(from, matrix_view<float>(nullptr, 5, 12)), {"null", "5 x 12"});
  refused(cpu::dequantize(from, matrix_view<float>(scales.data(), 5, 12)), {"scales", "overlap"});
  scaled_matrix<const e4m3> over = from;
  over.values.data               = reinterpret_cast<const e4m3*>(x.data());
  refused(cpu::dequantize(over, matrix_view<float>(x.data(), 5, 12)), {"overlap", "5 x 12"});
}

}  // namespace
