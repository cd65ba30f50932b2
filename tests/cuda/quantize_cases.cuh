// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_QUANTIZE_CASES_CUH
#define QUAVER_TESTS_CUDA_QUANTIZE_CASES_CUH

// Random cases of quantisation, and a case on the device against cpu::quantize: the same bytes, the same scales (those that
// pad tiles too), nothing else written.

#include <quaver/cpu/quantize.hpp>
#include <quaver/cuda/quantize.cuh>

#include "matrices.hpp"

namespace quaver_test {

using namespace quaver;

template <class T>
std::vector<uint32_t> bits_of(const std::vector<T>& values) {
  std::vector<uint32_t> bits;
  for (const T& value : values) bits.push_back(code_of(value));
  return bits;
}

struct one_case {
  int64_t rows;
  int64_t cols;
  lie x_lies;
  lie y_lies;
  scale_layout layout{};
  cuda::quantize_options options{};
  int centre    = 0;
  bool specials = false;
};

inline std::string describe(const one_case& c) {
  return std::to_string(c.rows) + " x " + std::to_string(c.cols) + ", blocks " + std::to_string(c.layout.block_rows) +
         " x " + std::to_string(c.layout.block_cols) + ", type " + std::to_string(static_cast<int>(c.layout.type)) +
         ", order " + std::to_string(static_cast<int>(c.layout.order)) + ", lies " +
         std::to_string(static_cast<int>(c.x_lies)) + " " + std::to_string(static_cast<int>(c.y_lies)) +
         (c.options.source == scale_source::given ? ", given" : ", current") + ", application " +
         std::to_string(static_cast<int>(c.options.application));
}

/// What a source is on the host: the matrix of floats that it computes, quantised by cpu::quantize.
template <class F, rounding R, overflow O, class Source, class T>
void expect_the_hosts_bytes(const one_case& c, const Source& source, const matrix_view<const T>& on_host,
                            cuda::tensor_workspace* work) {
  const F guard = F::from_bits(0x0A);
  buffer<F> expected(c.rows, c.cols, c.y_lies, guard);
  buffer<F> got(c.rows, c.cols, c.y_lies, guard);
  const auto scales = static_cast<size_t>(c.layout.scale_count(c.rows, c.cols));
  std::vector<float> f32(scales + 1, -3.0f);
  std::vector<e8m0> mx(scales + 1, e8m0::from_bits(77));
  std::vector<e4m3> nvfp4(scales + 1, e4m3::from_bits(33));
  std::vector<float> wide(1, 0.25f);
  if (c.options.source == scale_source::given) {
    generator random(scales);
    for (size_t i = 0; i < scales; ++i) {
      f32[i]   = some_number<float>(random, 3, true);
      mx[i]    = e8m0::from_bits(static_cast<uint8_t>(random()));
      nvfp4[i] = e4m3::from_bits(static_cast<uint8_t>(random()));
    }
  }
  const device_matrix<F> y(got);
  const device_array<float> device_f32(f32);
  const device_array<e8m0> device_mx(mx);
  const device_array<e4m3> device_nvfp4(nvfp4);
  const device_array<float> device_wide(wide);

  cpu::quantize_options host_options{.source      = c.options.source,
                                     .policy      = c.options.policy,
                                     .mx          = c.options.mx,
                                     .application = c.options.application,
                                     .words       = c.options.words};
  const status on_cpu = cpu::quantize<F, R, O>(
      on_host, with_scales(expected.view, c.layout, f32.data(), mx.data(), nvfp4.data(), wide.data()), host_options);
  ASSERT_TRUE(on_cpu.ok()) << on_cpu.message();
  cuda::quantize_options options = c.options;
  options.workspace              = work;
  const status on_gpu            = cuda::quantize<F, R, O>(
      source,
      with_scales(y.view, c.layout, device_f32.data(), device_mx.data(), device_nvfp4.data(), device_wide.data()),
      options);
  ASSERT_TRUE(on_gpu.ok()) << on_gpu.message() << ": " << describe(c);
  got.data        = y.to_host();
  const auto same = [&](const std::vector<uint32_t>& a, const std::vector<uint32_t>& b, const char* what) {
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i], b[i]) << what << " " << i << ": " << describe(c);
    }
  };
  same(bits_of(device_f32.to_host()), bits_of(f32), "f32 scale");
  same(bits_of(device_mx.to_host()), bits_of(mx), "E8M0 scale");
  same(bits_of(device_nvfp4.to_host()), bits_of(nvfp4), "NVFP4 scale");
  same(bits_of(device_wide.to_host()), bits_of(wide), "tensor-wide scale");
  same(bits_of(got.data), bits_of(expected.data), "byte of the buffer");
  std::vector<cuda::tensor_workspace> left(1);
  QUAVER_CHECK_CUDA(cudaMemcpy(left.data(), work, sizeof left[0], cudaMemcpyDeviceToHost));
  ASSERT_TRUE(left[0].amax == 0 && left[0].arrived == 0) << "what is to be zero between calls is zero";
}

/// A random case: aligned whole chunks as often as odd shapes and strides. NVFP4 is for e2m1.
inline one_case random_case(generator& random, bool is_e2m1) {
  const auto pick = [&](auto... options) {
    const int64_t all[] = {static_cast<int64_t>(options)...};
    return all[random() % sizeof...(options)];
  };
  one_case c{};
  const bool even = random() % 2 == 0;
  c.rows          = pick(1, 2, 3, 7, 31, 64, 127, 128, 129, 200, 300);
  c.cols          = even ? 16 * pick(1, 2, 3, 8, 9, 16, 40, 65, 130) : static_cast<int64_t>(1 + random() % 700);
  if (random() % 16 == 0) {
    c.rows = pick(1, 2, 5);
    c.cols = pick(40000, 40001, 16 * 1100);
  }
  c.x_lies = even ? lie::dense : lies[random() % 4];
  c.y_lies = even ? lie::dense : lies[random() % 4];
  scale_layout l;
  switch (random() % 8) {
    case 0: l = per_tensor; break;
    case 1: l = per_row; break;
    case 2: l = blocks_1x128; break;
    case 3: l = blocks_128x128; break;
    case 4: l = mx_1x32; break;
    case 5: l = is_e2m1 ? nvfp4_1x16 : mx_1x32; break;
    case 6: l = {.block_cols = 1}; break;
    default:
      l = {.block_rows = static_cast<int>(pick(0, 1, 2, 5, 64)),
           .block_cols = static_cast<int>(pick(0, 1, 16, 48, 64, 100))};
  }
  l.order               = static_cast<scale_order>(random() % 3);
  c.layout              = l;
  c.options.source      = random() % 4 == 0 ? scale_source::given : scale_source::current;
  c.options.application = random() % 4 == 0 ? scale_application::divide : scale_application::multiply;
  c.options.mx          = static_cast<mx_rule>(random() % 3);
  c.options.words       = {.seed = random(), .first = random() % 7};
  scale_policy& policy  = c.options.policy;
  policy.on_zero        = static_cast<special_amax>(random() % 3);
  policy.on_infinite    = static_cast<special_amax>(random() % 3);
  policy.on_nan         = static_cast<special_amax>(random() % 3);
  policy.direction      = static_cast<scale_direction>(random() % 2);
  policy.rounding       = static_cast<scale_rounding>(random() % 2);
  policy.margin         = static_cast<int>(random() % 3);
  c.centre              = static_cast<int>(pick(6, 0, -120, 100, -140));
  c.specials            = random() % 4 == 0;
  return c;
}

template <class T>
buffer<T> some_matrix(const one_case& c, lie how, generator& random) {
  buffer<T> x(c.rows, c.cols, how, element_from<T>(0x7FC0'0000u));
  const bool zeros = random() % 16 == 0;
  for (int64_t r = 0; r < c.rows; ++r) {
    for (int64_t k = 0; k < c.cols; ++k) {
      x.view(r, k) = zeros ? element_from<T>(0) : some_number<T>(random, c.centre, c.specials);
    }
  }
  return x;
}

}  // namespace quaver_test

#endif
