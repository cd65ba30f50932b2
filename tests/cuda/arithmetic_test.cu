// SPDX-License-Identifier: MIT
#include <quaver/cuda/arithmetic.cuh>

#include "gpu_test.hpp"

#include <cmath>

// The operations against the host's, on operands that -use_fast_math, or a flush of subnormals, would get wrong.

namespace {

using namespace quaver;

constexpr int operations = 10;

__global__ void compute(const float* a, const float* b, const float* c, uint32_t* results, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  const float all[operations] = {cuda::multiply(a[i], b[i]),
                                 cuda::divide(a[i], b[i]),
                                 cuda::reciprocal(a[i]),
                                 cuda::square_root(a[i]),
                                 cuda::fused_multiply_add(a[i], b[i], c[i]),
                                 cuda::add(a[i], b[i]),
                                 cuda::subtract(a[i], b[i]),
                                 cuda::add_toward_zero(a[i], b[i]),
                                 cuda::add_upward(a[i], b[i]),
                                 cuda::add_downward(a[i], b[i])};
  for (int k = 0; k < operations; ++k) results[i * operations + k] = bitwise_cast<uint32_t>(all[k]);
}

/// a + b under another rounding, from the double sum: exact where the operands are within 2^28 of one another, which
/// the test's are.
float sum_toward(float a, float b, float direction) {
  const double exact = static_cast<double>(a) + static_cast<double>(b);
  const float near   = static_cast<float>(exact);
  const bool beyond  = direction == 0.0f  ? std::fabs(static_cast<double>(near)) > std::fabs(exact)
                       : direction > 0.0f ? static_cast<double>(near) < exact
                                          : static_cast<double>(near) > exact;
  return beyond ? std::nextafter(near, direction) : near;
}

class Arithmetic : public quaver_test::GpuTest {};

TEST_F(Arithmetic, rounds_as_named_and_keeps_subnormals) {
  std::vector<float> a;
  std::vector<float> b;
  std::vector<float> c;
  uint32_t state  = 1;
  const auto next = [&state](uint32_t exponents) {
    state = state * 1664525u + 1013904223u;
    return bitwise_cast<float>((state & 0x807F'FFFFu) | ((state >> 8) % exponents + 1) << 23);
  };
  const std::vector<float> edges = {0x1p-149f,         -0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 1.0f,
                                    -0x1.000002p-126f, 3.0f,       0x1.fffffep127f,  0x1p-75f,  -0x1.8p-74f};
  for (const float x : edges) {
    for (const float y : edges) {
      a.push_back(x);
      b.push_back(y);
      c.push_back(-0x1p-149f);
    }
  }
  const size_t edge_count = a.size();
  for (int i = 0; i < 100'000; ++i) {
    // Exponents of 1 to 20: products and quotients among the subnormals, sums close to one another.
    a.push_back(next(20));
    b.push_back(i % 2 == 0 ? next(20) : next(250));
    c.push_back(next(20));
  }
  const int count       = static_cast<int>(a.size());
  const unsigned blocks = static_cast<unsigned>(count + 255) / 256;
  const quaver_test::device_array<float> on_a(a);
  const quaver_test::device_array<float> on_b(b);
  const quaver_test::device_array<float> on_c(c);
  const quaver_test::device_array<uint32_t> results(a.size() * operations);
  compute<<<blocks, 256>>>(on_a.data(), on_b.data(), on_c.data(), results.data(), count);
  QUAVER_CHECK_CUDA(cudaGetLastError());
  const std::vector<uint32_t> got = results.to_host();

  int wrong = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float inward_a             = sum_toward(a[i], b[i], 0.0f);
    const bool near_operands         = i >= edge_count && i % 2 == edge_count % 2;
    const float expected[operations] = {a[i] * b[i],
                                        a[i] / b[i],
                                        1.0f / a[i],
                                        std::sqrt(a[i]),
                                        std::fma(a[i], b[i], c[i]),
                                        a[i] + b[i],
                                        a[i] - b[i],
                                        inward_a,
                                        sum_toward(a[i], b[i], INFINITY),
                                        sum_toward(a[i], b[i], -INFINITY)};
    for (int k = 0; k < operations; ++k) {
      if (k >= 7 && !near_operands) continue;
      const uint32_t result = got[i * operations + static_cast<size_t>(k)];
      if (std::isnan(expected[k]) && std::isnan(bitwise_cast<float>(result))) continue;
      // A sum that is zero has the sign of its rounding mode, which the double sum does not know.
      if (k >= 7 && expected[k] == 0.0f && (result & 0x7FFF'FFFFu) == 0) continue;
      if (result == bitwise_cast<uint32_t>(expected[k]) || ++wrong > 8) continue;
      ADD_FAILURE() << "operation " << k << std::hexfloat << " on " << a[i] << ", " << b[i] << ", " << c[i] << ": "
                    << bitwise_cast<float>(result) << ", not " << expected[k];
    }
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
