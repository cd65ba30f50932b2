// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_CUBLASLT_PROBLEMS_HPP
#define QUAVER_TESTS_CUDA_CUBLASLT_PROBLEMS_HPP

// Problems that lie in device memory as cuBLASLt wants it, and the same on the host for the oracles.

#include <quaver/problem/gemm_problem.hpp>

#include "../cpu/gemm_problems.hpp"
#include "gpu_test.hpp"

#include <cstring>
#include <memory>

namespace quaver_test {

/// What a problem is made of; the rest is drawn.
struct cublaslt_case {
  int64_t m = 64, n = 64, k = 64;
  scale_layout a_layout{}, b_layout{};
  int64_t gap      = 0;  ///< bytes between rows, a multiple of 16
  int64_t offset   = 0;  ///< bytes before the first element, likewise
  int64_t batches  = 1;
  bool own_scales  = false;  ///< of each batch
  bool shared_b    = false;  ///< one B for all batches
  bool with_c      = false;
  bool c_is_d      = false;
  bool wants_amax  = false;
  bool with_bias   = false;  ///< one of each batch
  bool d_turned    = false;  ///< the columns of D, and of C, side by side
  int64_t d_step   = 1;      ///< elements between those of D, and of C, that are neighbours
  int64_t d_shift  = 0;      ///< elements more before the first of D, and of C
  int64_t behind   = 0;      ///< elements behind the last of A, B, C and D
  float alpha      = 1.0f;
  float beta       = 0.0f;
  float d_scale    = 1.0f;
  activation act   = activation::none;
  accumulation sum = accumulation::strict;
};

/// Elements on the host and on the device, `offset` bytes behind the start.
template <class T>
struct twin {
  std::vector<T> host;
  std::unique_ptr<device_array<T>> device;

  void resize(int64_t count, T value) {
    host.assign(static_cast<size_t>(count), value);
    device = std::make_unique<device_array<T>>(host.size() == 0 ? 1 : host.size());
  }
  void send() const { device->copy_from(std::span<const T>(host)); }
};

/// D as it is before a run, and what stands between its rows.
template <class D>
D poison() {
  if constexpr (same_type<D, float>) return 12345.0f;
  else if constexpr (sizeof(D) == 2) return D::from_bits(0x4242);
  else return D::from_bits(0x2B);
}

template <class A, class B, class D>
struct cublaslt_problem {
  cublaslt_case how;
  twin<A> a;
  twin<B> b;
  twin<D> d, c;
  twin<float> a_scales, b_scales, bias, amax;
  gemm_problem<A, B, D> host, device;

  explicit cublaslt_problem(const cublaslt_case& wanted) : how(wanted) {
    const auto stride_of = [&](int64_t cols, size_t size) {
      return (cols * static_cast<int64_t>(size) + how.gap + 15) / 16 * 16 / static_cast<int64_t>(size);
    };
    const int64_t a_row = stride_of(how.k, 1);
    const int64_t b_row = stride_of(how.k, 1);
    const int64_t d_row = how.d_turned ? how.d_step : stride_of(how.n * how.d_step, sizeof(D));
    const int64_t d_col = how.d_turned ? how.m * how.d_step + how.gap : how.d_step;
    const int64_t d_all = how.d_turned ? how.n * d_col : how.m * d_row;
    const int64_t skip  = d_first();
    const auto scales   = [](const scale_layout& l, int64_t rows, int64_t cols) {
      return (l.scale_count(rows, cols) + 3) / 4 * 4;
    };
    gemm_batches by{.count       = how.batches,
                    .a_stride    = how.m * a_row,
                    .b_stride    = how.shared_b ? 0 : how.n * b_row,
                    .c_stride    = d_all,
                    .d_stride    = d_all,
                    .bias_stride = how.n};
    if (how.own_scales) {
      by.a_scale_stride = scales(how.a_layout, how.m, how.k);
      by.b_scale_stride = how.shared_b ? 0 : scales(how.b_layout, how.n, how.k);
    }
    a.resize(how.offset + how.m * a_row * how.batches + how.behind, A::nan());
    b.resize(how.offset + how.n * b_row * how.batches + how.behind, B::nan());
    d.resize(skip + d_all * how.batches + how.behind, poison<D>());
    c.resize(skip + d_all * how.batches + how.behind, nan_of<D>());
    a_scales.resize(scales(how.a_layout, how.m, how.k) * how.batches, 0.0f);
    b_scales.resize(scales(how.b_layout, how.n, how.k) * how.batches, 0.0f);
    amax.resize(1, -7.0f);
    bias.resize(how.n * how.batches, 0.0f);

    const auto point = [&](gemm_problem<A, B, D>& p, A* a_at, B* b_at, D* d_at, D* c_at, float* a_scale, float* b_scale,
                           float* bias_at, float* amax_at) {
      p.a.values = {a_at + how.offset, how.m, how.k, a_row};
      p.b.values = {b_at + how.offset, how.n, how.k, b_row};
      p.d        = {d_at + skip, how.m, how.n, d_row, d_col};
      if (how.with_c) p.c = {(how.c_is_d ? d_at : c_at) + skip, how.m, how.n, d_row, d_col};
      p.a.layout   = how.a_layout;
      p.b.layout   = how.b_layout;
      p.a.scales   = a_scale;
      p.b.scales   = b_scale;
      p.alpha      = how.alpha;
      p.beta       = how.with_c ? how.beta : 0.0f;
      p.act        = how.act;
      p.accumulate = how.sum;
      p.d_scale    = quant_scale(how.d_scale);
      p.bias       = how.with_bias ? bias_at : nullptr;
      p.d_amax     = how.wants_amax ? amax_at : nullptr;
      p.batches    = by;
    };
    point(host, a.host.data(), b.host.data(), d.host.data(), c.host.data(), a_scales.host.data(), b_scales.host.data(),
          bias.host.data(), amax.host.data());
    point(device, a.device->data(), b.device->data(), d.device->data(), c.device->data(), a_scales.device->data(),
          b_scales.device->data(), bias.device->data(), amax.device->data());
  }

  /// The place of D's first element in its buffer, and of C's in its.
  [[nodiscard]] int64_t d_first() const { return how.offset / static_cast<int64_t>(sizeof(D)) + how.d_shift; }

  /// Calls set(element) for every element of every batch of a view of the host's problem.
  template <class T, class Set>
  static void each(T* data, const matrix_view<const T>& view, int64_t batches, int64_t stride, const Set& set) {
    for (int64_t i = 0; i < batches; ++i) {
      for (int64_t r = 0; r < view.rows; ++r) {
        for (int64_t col = 0; col < view.cols; ++col)
          set(data[i * stride + r * view.row_stride + col * view.col_stride]);
      }
    }
  }

  template <class SetA, class SetB>
  void fill(const SetA& set_a, const SetB& set_b) {
    each(a.host.data() + how.offset, host.a.values, how.batches, host.batches.a_stride, set_a);
    each(b.host.data() + how.offset, host.b.values, how.shared_b ? 1 : how.batches, host.batches.b_stride, set_b);
  }

  /// Small integers, and scales that are powers of two and differ from neighbour to neighbour: any order is exact.
  void fill_exactly(generator& random) {
    fill([&](A& x) { x = A(static_cast<int>(random() % 5) - 2); },
         [&](B& x) { x = B(static_cast<int>(random() % 5) - 2); });
    const auto powers = [](std::vector<float>& scales, size_t from) {
      for (size_t i = 0; i < scales.size(); ++i)
        scales[i] = std::ldexp(1.0f, static_cast<int>((from + i + i / 5) % 5) - 2);
    };
    powers(a_scales.host, 1);
    powers(b_scales.host, 3);
    for (float& x : bias.host) x = static_cast<float>(random() % 17) - 8.0f;
    if (how.with_c) {
      std::vector<D>& old = how.c_is_d ? d.host : c.host;
      D* const first      = old.data() + d_first();
      const matrix_view<const D> view(first, how.m, how.n, host.d.row_stride, host.d.col_stride);
      each(first, view, how.batches, host.batches.d_stride,
           [&](D& x) { x = element_from<D>(bitwise_cast<uint32_t>(static_cast<float>(random() % 17) - 8.0f)); });
    }
  }

  void send() const {
    a.send();
    b.send();
    d.send();
    c.send();
    a_scales.send();
    b_scales.send();
    bias.send();
    amax.send();
  }

  /// Batch `i` of the host's problem.
  [[nodiscard]] gemm_problem<A, B, D> single(int64_t i) const {
    gemm_problem<A, B, D> one = host;
    one.a.values.data += i * host.batches.a_stride;
    one.b.values.data += i * host.batches.b_stride;
    one.a.scales += i * host.batches.a_scale_stride;
    one.b.scales += i * host.batches.b_scale_stride;
    one.d.data += i * host.batches.d_stride;
    if (one.c.data != nullptr) one.c.data += i * host.batches.c_stride;
    if (one.bias != nullptr) one.bias += i * host.batches.bias_stride;
    one.batches = {};
    return one;
  }
};

/// alpha * A * B^T + beta * C + bias, each exact in double, with scales; for data of fill_exactly.
template <class A, class B, class D>
std::vector<float> exact_values(const gemm_problem<A, B, D>& p) {
  const auto scaled = []<class F>(const scaled_matrix<const F>& x) {
    std::vector<double> values(static_cast<size_t>(x.rows() * x.cols()));
    for (int64_t r = 0; r < x.rows(); ++r) {
      for (int64_t k = 0; k < x.cols(); ++k) {
        values[static_cast<size_t>(r * x.cols() + k)] =
            reference::decode(x.values(r, k)) * static_cast<double>(reference::scale_at(x, r, k));
      }
    }
    return values;
  };
  const std::vector<double> a = scaled(p.a);
  const std::vector<double> b = scaled(p.b);
  const auto k                = static_cast<size_t>(p.a.cols());
  std::vector<float> out;
  for (int64_t r = 0; r < p.d.rows; ++r) {
    for (int64_t col = 0; col < p.d.cols; ++col) {
      const double* x = a.data() + static_cast<size_t>(r) * k;
      const double* y = b.data() + static_cast<size_t>(col) * k;
      double sum      = 0;
      for (size_t i = 0; i < k; ++i) sum += x[i] * y[i];
      sum *= static_cast<double>(p.alpha);
      if (p.beta != 0) sum += static_cast<double>(p.beta) * static_cast<double>(reference::value_at(p.c, r, col));
      if (p.bias != nullptr) sum += static_cast<double>(p.bias[col]);
      out.push_back(static_cast<float>(sum));
    }
  }
  return out;
}

/// The code of an element, all NaNs alike and both zeros.
template <class D>
uint32_t code_of_number(D x) {
  const float value = reference::to_float(x);
  if (std::isnan(value)) return 0x7FC0'0000u;
  return value == 0.0f ? 0u : code_of(x);
}

}  // namespace quaver_test

#endif
