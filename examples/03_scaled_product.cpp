// SPDX-License-Identifier: MIT
//
// (A * sA) x (B * sB): two matrices in E4M3, each with one scale, and their product against double.

#include <quaver/quaver.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

using namespace quaver;

/// A matrix in E4M3 with the scale that gives its values their size.
struct quantised {
  std::vector<e4m3> codes;
  float dequant = 1;

  quantised(const std::vector<float>& x, int64_t rows, int64_t cols) : codes(x.size()) {
    view                = {{codes.data(), rows, cols}, per_tensor, &dequant};
    const status failed = cpu::quantize(matrix_view<const float>(x.data(), rows, cols), view);
    if (!failed.ok()) std::fprintf(stderr, "%s\n", failed.message().c_str());
  }
  quantised(const quantised&) = delete;

  scaled_matrix<e4m3> view;
};

/// Numbers of no meaning, between -size and size, the same everywhere.
std::vector<float> numbers(int64_t count, float size, uint64_t seed) {
  std::vector<float> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = size * (static_cast<float>(philox_word(seed, i) >> 8) * 0x1p-23f - 1);
  }
  return x;
}

int main() {
  constexpr int64_t m = 48;
  constexpr int64_t n = 32;
  constexpr int64_t k = 256;

  // Activations of some size, weights far below E4M3's smallest number, stored N x K: without scales all would be 0.
  const std::vector<float> x = numbers(m * k, 30.0f, 1);
  const std::vector<float> w = numbers(n * k, 0.0005f, 2);
  const quantised a(x, m, k);
  const quantised b(w, n, k);
  std::printf("sA = %g, sB = %g: the largest of each becomes 448\n", static_cast<double>(a.dequant),
              static_cast<double>(b.dequant));

  std::vector<float> d(static_cast<size_t>(m * n));
  const status failed = cpu::gemm(gemm_problem<e4m3, e4m3>{.a = a.view, .b = b.view, .d = {d.data(), m, n}});
  if (!failed.ok()) {
    std::fprintf(stderr, "%s\n", failed.message().c_str());
    return 1;
  }

  const auto at = [](const std::vector<float>& values, int64_t i) {
    return static_cast<double>(values[static_cast<size_t>(i)]);
  };
  double error = 0;
  double size  = 0;
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t col = 0; col < n; ++col) {
      double exact = 0;
      for (int64_t i = 0; i < k; ++i) exact += at(x, row * k + i) * at(w, col * k + i);
      const double difference = at(d, row * n + col) - exact;
      error += difference * difference;
      size += exact * exact;
    }
  }
  const double relative = std::sqrt(error / size);
  std::printf("%d x %d x %d: relative error %.2f %%\n", static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              100 * relative);

  // Each factor is off by at most 1/16, by 2.6 % in the mean over a binade; a product of two by some 3.7 %.
  return relative > 0.02 && relative < 0.05 ? 0 : 1;
}
