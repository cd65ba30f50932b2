// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_GEMM_MIRROR_HPP
#define QUAVER_TESTS_CUDA_GEMM_MIRROR_HPP

// A problem in host memory and its copy in device memory.

#include <quaver/cpu/gemm.hpp>

#include "../cpu/gemm_problems.hpp"
#include "gemm_kernels.hpp"
#include "gpu_test.hpp"

#include <cmath>

namespace quaver_test {

/// A host array in device memory, whose element `first` stands at a multiple of 16 bytes or one element beyond.
template <class T>
struct mirrored {
  device_array<T> memory;
  size_t shift;
  size_t count;

  mirrored(const std::vector<T>& from, int64_t first, bool aligned) : memory(from.size() + 32), count(from.size()) {
    constexpr size_t per_line = 16 / sizeof(T);
    shift                     = (per_line - static_cast<size_t>(first) % per_line + (aligned ? 0 : 1)) % per_line;
    copy_from(from);
  }
  void copy_from(const std::vector<T>& from) {
    if (from.empty()) return;
    QUAVER_CHECK_CUDA(cudaMemcpy(data(), from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  [[nodiscard]] T* data() const { return memory.data() + shift; }
  [[nodiscard]] std::vector<T> to_host() const {
    std::vector<T> host(count);
    QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
    if (count != 0) QUAVER_CHECK_CUDA(cudaMemcpy(host.data(), data(), count * sizeof(T), cudaMemcpyDeviceToHost));
    return host;
  }
};

/// All that a random_problem points to, in device memory, and the same problem there.
template <class A, class B, class D>
struct on_device {
  template <class F>
  struct scales {
    mirrored<float> f32;
    mirrored<e8m0> mx;
    mirrored<e4m3> nvfp4;
    mirrored<float> wide;
    explicit scales(const operand<F>& x)
        : f32(x.scales, 0, true), mx(x.powers, 0, true), nvfp4(x.levels, 0, true), wide({x.tensor_wide}, 0, true) {}
  };

  mirrored<A> a;
  mirrored<B> b;
  mirrored<D> c;
  mirrored<D> d;
  scales<A> a_scales;
  scales<B> b_scales;
  mirrored<float> bias;
  mirrored<float> amax;
  gemm_problem<A, B, D> problem;

  /// `aligned`: views begin at multiples of 16 bytes, else never.
  on_device(const random_problem<A, B, D>& p, bool aligned)
      : a(p.a.values.data, p.a.values.view.data - p.a.values.data.data(), aligned),
        b(p.b.values.data, p.b.values.view.data - p.b.values.data.data(), aligned),
        c(p.c ? p.c->data : std::vector<D>(), 3, aligned),
        d(p.d.data, p.d.view.data - p.d.data.data(), aligned),
        a_scales(p.a),
        b_scales(p.b),
        bias(p.bias, 0, true),
        amax({-1.0f}, 0, true),
        problem(p.problem) {
    problem.a.values.data = a.data() + (p.a.values.view.data - p.a.values.data.data());
    problem.b.values.data = b.data() + (p.b.values.view.data - p.b.values.data.data());
    problem.d.data        = d.data() + (p.d.view.data - p.d.data.data());
    problem.c.data        = p.c ? c.data() + (p.c->view.data - p.c->data.data()) : problem.d.data;
    const auto scaled     = [](auto& matrix, const auto& from) {
      if (matrix.scales == nullptr) return;  // unscaled activations
      matrix.scales      = from.f32.data();
      matrix.scales_e8m0 = from.mx.data();
      matrix.scales_e4m3 = from.nvfp4.data();
      matrix.tensor_wide = from.wide.data();
    };
    scaled(problem.a, a_scales);
    scaled(problem.b, b_scales);
    if (problem.bias != nullptr) problem.bias = bias.data();
    problem.d_amax = amax.data();
  }
};

/// Runs a problem on the host and on the device, and expects the same bytes of all of D's buffer, and the same amax.
template <class A, class B, class D>
void expect_the_hosts_bytes(random_problem<A, B, D>& p, engine with, bool aligned) {
  const on_device<A, B, D> device(p, aligned);
  float amax         = -2;
  p.problem.d_amax   = &amax;
  const status there = run_on_device(device.problem, with);
  ASSERT_TRUE(there.ok()) << there.message();
  const status here = cpu::gemm(p.problem);
  ASSERT_TRUE(here.ok()) << here.message();
  const std::vector<D> got = device.d.to_host();
  for (size_t i = 0; i < got.size(); ++i) {
    if (code_of(got[i]) == code_of(p.d.data[i])) continue;
    const auto at = static_cast<int64_t>(i) - (p.d.view.data - p.d.data.data());
    FAIL() << "element " << at << " of D's buffer is " << std::hex << code_of(got[i]) << ", not "
           << code_of(p.d.data[i]) << std::dec << ": " << named(p) << ", D strides " << p.problem.d.row_stride << " "
           << p.problem.d.col_stride << ", " << plan_on_device(device.problem, with);
  }
  ASSERT_EQ(code_of(device.amax.to_host()[0]), code_of(amax)) << named(p);
}

/// Small integers with scales that are powers of two and differ from block to block: every sum in any order is exact.
/// With `specials` some codes are infinite or NaN, and some scales anything.
template <class A, class B, class D>
void fill_exactly(random_problem<A, B, D>& p, generator& random, bool specials) {
  const auto fill = [&]<class F>(operand<F>& x) {
    const matrix_view<F>& v = x.values.view;
    for (int64_t r = 0; r < v.rows; ++r) {
      for (int64_t col = 0; col < v.cols; ++col) {
        v(r, col) = F(static_cast<float>(static_cast<int>(random() % 5) - 2));
        if (!specials || random() % 256 != 0) continue;
        v(r, col) = nan_of<F>();
        if constexpr (same_type<F, float>) {
          if (random() % 2 == 0) v(r, col) = std::numeric_limits<float>::infinity();
        } else if constexpr (F::has_infinity) {
          if (random() % 2 == 0) v(r, col) = random() % 2 == 0 ? F::infinity() : -F::infinity();
        }
      }
    }
    for (size_t at = 0; at < x.scales.size(); ++at) {
      const int exponent = static_cast<int>((at + at / 5) % 5) - 2;
      const bool strange = specials && random() % 64 == 0;
      x.scales[at]       = strange ? bitwise_cast<float>(static_cast<uint32_t>(random())) : std::ldexp(1.0f, exponent);
      x.powers[at] = e8m0::from_bits(static_cast<uint8_t>(strange ? random() : 127u + static_cast<unsigned>(exponent)));
      x.levels[at] = strange ? e4m3::nan() : e4m3(std::ldexp(1.0f, exponent));
    }
    x.tensor_wide = 0.5f;
  };
  fill(p.a);
  fill(p.b);
  p.problem.a = p.a.matrix();
  p.problem.b = p.b.matrix();
  for (float& x : p.bias) x = some_number<float>(random, 6, specials);
  p.set_c([&](D& x) { x = some_number<D>(random, 6, specials && random() % 8 == 0); });
}

}  // namespace quaver_test

#endif
