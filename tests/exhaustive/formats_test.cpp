// SPDX-License-Identifier: MIT
#include "sweep.hpp"

// All 2^32 floats to every format but e4m3 and e5m2 (modes_test.cpp has those): nearest even, saturating.

namespace {

using namespace quaver;

template <class F>
class EveryFloatToOther : public ::testing::Test {};
using other_formats = ::testing::Types<e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4, e8m0,
                                       e2m3, e3m2, e2m1, half, bfloat16>;
TYPED_TEST_SUITE(EveryFloatToOther, other_formats, quaver_test::format_names);

TYPED_TEST(EveryFloatToOther, rounds_to_nearest_even_as_the_oracle) {
  using F = TypeParam;
  quaver_test::findings result;
  quaver_test::sweep_floats(
      [](uint32_t first, quaver_test::mismatches& wrong) {
        typename F::storage got[quaver_test::block_size];
        quaver_test::encode_block<F, rounding::nearest_even, overflow::saturate>(first, got);
        for (uint32_t i = 0; i < quaver_test::block_size; ++i) {
          const F expected =
              reference::encode<F>(reference::from_f32(first + i), rounding::nearest_even, overflow::saturate);
          if (got[i] != expected.bits()) wrong.note(first + i, got[i], expected.bits(), "nearest_even", "saturate");
        }
        return 1ull * quaver_test::block_size;
      },
      result);
  EXPECT_EQ(result.count(), 0u) << result.first();
}

}  // namespace
