// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CPU_GEMM_PROBLEMS_HPP
#define QUAVER_TESTS_CPU_GEMM_PROBLEMS_HPP

// Random problems for GEMMs, with all they point to.

#include <quaver/problem/gemm_problem.hpp>
#include <quaver/reference/gemm.hpp>

#include "inputs.hpp"
#include "matrices.hpp"

#include <limits>
#include <optional>
#include <string>

namespace quaver_test {

/// What fills the gaps of an operand.
template <class F>
F nan_of() {
  if constexpr (same_type<F, float>) return std::numeric_limits<float>::quiet_NaN();
  else return F::nan();
}

/// One operand and all it owns.
template <class F>
struct operand {
  buffer<F> values;
  std::vector<float> scales;
  std::vector<e8m0> powers;
  std::vector<e4m3> levels;
  float tensor_wide;
  scale_layout layout;
  int64_t batch_rows;

  /// `batches` matrices of rows x cols below one another, each with scales of its own.
  operand(int64_t rows, int64_t cols, lie how, const scale_layout& how_scaled, int64_t batches = 1)
      : values(rows * batches, cols, how, nan_of<F>()),
        scales(count(how_scaled, rows, cols) * static_cast<size_t>(batches)),
        powers(scales.size()),
        levels(scales.size()),
        tensor_wide(1),
        layout(how_scaled),
        batch_rows(rows) {}

  static size_t count(const scale_layout& layout, int64_t rows, int64_t cols) {
    return static_cast<size_t>(layout.scale_count(rows, cols));
  }

  [[nodiscard]] scaled_matrix<const F> matrix() const {
    scaled_matrix<const F> m;
    m.values      = values.view;
    m.values.rows = batch_rows;
    m.layout      = layout;
    m.scales      = scales.data();
    m.scales_e8m0 = powers.data();
    m.scales_e4m3 = levels.data();
    m.tensor_wide = &tensor_wide;
    return m;
  }
};

inline const std::vector<scale_layout>& layouts() {
  static const std::vector<scale_layout> all = [] {
    std::vector<scale_layout> list = {per_tensor,
                                      per_row,
                                      blocks_1x128,
                                      blocks_128x128,
                                      mx_1x32,
                                      nvfp4_1x16,
                                      {.block_rows = 2, .block_cols = 3},
                                      {.block_cols = 7},
                                      {.block_rows = 3, .block_cols = 5, .type = scale_type::mx_e8m0},
                                      {.block_rows = 1, .block_cols = 1}};
    const size_t n                 = list.size();
    for (const scale_order order : {scale_order::column_major, scale_order::tiles_128x4}) {
      for (size_t i = 0; i < n; ++i) {
        list.push_back(list[i]);
        list.back().order = order;
      }
    }
    return list;
  }();
  return all;
}

template <class T>
T pick(generator& random, const std::vector<T>& from) {
  return from[random() % from.size()];
}

/// D's type from a float, by the oracle; NaN the canonical one, relu by its definition.
template <class D, class Problem>
D finished(float value, const Problem& problem) {
  if (std::isnan(value)) value = bitwise_cast<float>(0x7FC0'0000u);
  else if (problem.act == activation::relu && !(value > 0)) value = 0.0f;
  else if (problem.act != activation::none && problem.act != activation::relu)  // tested against double by itself
    value = bitwise_cast<float>(activate_bits(problem.act, bitwise_cast<uint32_t>(value), rounded_operations{}));
  if constexpr (eight_bit<D>) {
    value = reference::product(value, problem.d_scale.value());
    return reference::encode<D>(reference::from_f32(bitwise_cast<uint32_t>(value)), rounding::nearest_even,
                                overflow::saturate);
  } else {
    return element_from<D>(bitwise_cast<uint32_t>(value));
  }
}

/// A random problem with all it points to.
template <class A, class B, class D>
struct random_problem {
  operand<A> a;
  operand<B> b;
  buffer<D> d;
  std::optional<buffer<D>> c;
  std::vector<float> bias;
  gemm_problem<A, B, D> problem;

  random_problem(int64_t m, int64_t n, int64_t k, generator& random, int64_t batches = 1)
      : a(m, k, pick_lie(random), pick(random, layouts()), batches),
        b(n, k, pick_lie(random), pick(random, layouts()), batches),
        d(m * batches, n, pick_lie(random), element_from<D>(0x42F6'0000u)) {
    if (random() % 2 == 0) {
      problem.beta = pick(random, std::vector<float>{1.0f, -0.5f, 0.3f});
      if (random() % 2 == 0) c.emplace(m * batches, n, pick_lie(random), element_from<D>(0x7FC0'0000u));
    }
    problem.alpha = pick(random, std::vector<float>{1.0f, 1.0f, -1.0f, 0.37f, 0.0f, 2.0f});
    problem.act   = static_cast<activation>(random() % 2 == 0 ? 0 : random() % 4);
    if (random() % 2 == 0) bias.resize(static_cast<size_t>((n + 1) * batches));
    problem.a      = a.matrix();
    problem.b      = b.matrix();
    problem.d      = d.view;
    problem.c      = c ? c->view : d.view;
    problem.d.rows = problem.c.rows = m;
    problem.bias                    = bias.empty() ? nullptr : bias.data();
    if (eight_bit<D>) problem.d_scale = quant_scale(pick(random, std::vector<float>{1.0f, 0.01f, 0x1p-6f, 3.0f}));
    if (batches != 1) {
      const auto scales = [](const auto& x) { return static_cast<int64_t>(x.scales.size()); };
      problem.batches   = {.count          = batches,
                           .a_stride       = m * problem.a.values.row_stride,
                           .b_stride       = n * problem.b.values.row_stride,
                           .c_stride       = m * problem.c.row_stride,
                           .d_stride       = m * problem.d.row_stride,
                           .a_scale_stride = scales(a) / batches,
                           .b_scale_stride = scales(b) / batches,
                           .bias_stride    = n + 1};
      if (random() % 2 == 0) problem.batches.b_stride = problem.batches.b_scale_stride = 0;
      if (random() % 4 == 0) problem.batches.a_stride = problem.batches.bias_stride = 0;
    }
  }

  /// Problem `i` of the batch by itself.
  [[nodiscard]] gemm_problem<A, B, D> single(int64_t i) const {
    gemm_problem<A, B, D> one = problem;
    const auto step           = [i](auto& matrix, int64_t stride, int64_t scale_stride) {
      matrix.values.data += i * stride;
      if (matrix.scales == nullptr) return;  // unscaled activations
      matrix.scales += i * scale_stride;
      matrix.scales_e8m0 += i * scale_stride;
      matrix.scales_e4m3 += i * scale_stride;
    };
    step(one.a, problem.batches.a_stride, problem.batches.a_scale_stride);
    step(one.b, problem.batches.b_stride, problem.batches.b_scale_stride);
    one.c.data += i * problem.batches.c_stride;
    one.d.data += i * problem.batches.d_stride;
    if (one.bias != nullptr) one.bias += i * problem.batches.bias_stride;
    one.batches = {};
    return one;
  }

  static lie pick_lie(generator& random) { return lies[random() % 4]; }

  /// Calls set(T&) on every element of C, be it D or apart.
  template <class Set>
  void set_c(const Set& set) {
    const matrix_view<D> old = c ? c->view : d.view;
    for (int64_t r = 0; r < old.rows; ++r) {
      for (int64_t col = 0; col < old.cols; ++col) set(old(r, col));
    }
  }
};

/// Random codes (all of them, special ones now and then or not at all), random scales, random bias and C.
template <class A, class B, class D>
void fill_at_random(random_problem<A, B, D>& p, generator& random, bool with_specials) {
  const auto fill = [&]<class F>(operand<F>& x) {
    const bool tame = !with_specials && random() % 2 == 0;  // no activation so small or large that tiers change path
    for (int64_t r = 0; r < x.values.view.rows; ++r) {
      for (int64_t col = 0; col < x.values.view.cols; ++col) {
        if constexpr (eight_bit<F>) {
          F code = F::from_bits(static_cast<typename F::storage>(random() >> 20));
          if (!with_specials || random() % 64 != 0) {
            while (!std::isfinite(reference::decode(code)))
              code = F::from_bits(static_cast<typename F::storage>(random() >> 20));
          }
          x.values.view(r, col) = code;
        } else if (tame) {
          const uint64_t word   = random();
          x.values.view(r, col) = element_from<F>(static_cast<uint32_t>(word & 0x8000'0000u) |
                                                  (0x3D00'0000u + static_cast<uint32_t>(word >> 32) % 0x0400'0000u));
        } else {
          x.values.view(r, col) = some_number<F>(random, 0, with_specials && random() % 8 == 0);
        }
      }
    }
    for (float& scale : x.scales)
      scale = bitwise_cast<float>((0x3B80'0000u + static_cast<uint32_t>(random() % 0x0700'0000u)));
    for (e8m0& scale : x.powers) scale = e8m0::from_bits(static_cast<uint8_t>(120 + random() % 14));
    for (e4m3& scale : x.levels) scale = e4m3::from_bits(static_cast<uint8_t>(random() % 0x7F));
    x.tensor_wide = bitwise_cast<float>(0x3B80'0000u + static_cast<uint32_t>(random() % 0x0700'0000u));
    if (with_specials) {
      for (float& scale : x.scales) {
        if (random() % 32 == 0) scale = bitwise_cast<float>(static_cast<uint32_t>(random()));
      }
      for (e8m0& scale : x.powers) {
        if (random() % 32 == 0) scale = e8m0::from_bits(static_cast<uint8_t>(random() >> 20));
      }
    }
  };
  fill(p.a);
  fill(p.b);
  p.problem.a = p.a.matrix();
  p.problem.b = p.b.matrix();
  for (float& x : p.bias) x = some_number<float>(random, 6, with_specials);
  p.set_c([&](D& x) { x = some_number<D>(random, 6, with_specials && random() % 8 == 0); });
}

template <class A, class B, class D>
std::string named(const random_problem<A, B, D>& p) {
  const auto text = [](const scale_layout& l) {
    return std::to_string(l.block_rows) + "x" + std::to_string(l.block_cols) + " type " +
           std::to_string(static_cast<int>(l.type)) + " order " + std::to_string(static_cast<int>(l.order));
  };
  return std::to_string(p.d.view.rows) + " x " + std::to_string(p.d.view.cols) + " x " +
         std::to_string(p.a.values.view.cols) + ", A " + text(p.a.layout) + ", B " + text(p.b.layout) + ", alpha " +
         std::to_string(p.problem.alpha) + ", beta " + std::to_string(p.problem.beta);
}

}  // namespace quaver_test

#endif
