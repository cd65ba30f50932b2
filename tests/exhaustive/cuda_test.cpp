// SPDX-License-Identifier: MIT
#include "sweep.hpp"

#if QUAVER_TEST_CUDA_HEADERS
#include <cuda_fp8.h>
#endif

// All 2^32 floats against the host conversion of CUDA's own header: nearest even, saturating.

namespace {

#if QUAVER_TEST_CUDA_HEADERS

template <class F>
void expect_what_cuda_gives(__nv_fp8_interpretation_t theirs) {
  quaver_test::findings result;
  quaver_test::sweep_floats(
      [theirs](uint32_t first, quaver_test::mismatches& wrong) {
        uint8_t got[quaver_test::block_size];
        quaver_test::encode_block<F, quaver::rounding::nearest_even, quaver::overflow::saturate>(first, got);
        for (uint32_t i = 0; i < quaver_test::block_size; ++i) {
          const uint8_t expected =
              __nv_cvt_float_to_fp8(quaver::bitwise_cast<float>(first + i), __NV_SATFINITE, theirs);
          if (got[i] != expected) wrong.note(first + i, got[i], expected, "cuda_fp8.h", "SATFINITE");
        }
        return 1ull * quaver_test::block_size;
      },
      result);
  EXPECT_EQ(result.count(), 0u) << result.first();
}

TEST(EveryFloat, to_e4m3_equals_cuda_fp8) { expect_what_cuda_gives<quaver::e4m3>(__NV_E4M3); }
TEST(EveryFloat, to_e5m2_equals_cuda_fp8) { expect_what_cuda_gives<quaver::e5m2>(__NV_E5M2); }

#else

TEST(EveryFloat, to_e4m3_equals_cuda_fp8) { GTEST_SKIP() << "cuda_fp8.h is not installed"; }
TEST(EveryFloat, to_e5m2_equals_cuda_fp8) { GTEST_SKIP() << "cuda_fp8.h is not installed"; }

#endif

}  // namespace
