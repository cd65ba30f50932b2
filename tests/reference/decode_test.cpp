// SPDX-License-Identifier: MIT
#include <quaver/reference/decode.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace quaver;

template <class F>
double at(unsigned code) {
  return reference::decode(F::from_bits(static_cast<typename F::storage>(code)));
}

// Values written out by hand from the specifications, not computed from the formats' constants.

TEST(ReferenceDecode, knows_ocp_e4m3) {
  EXPECT_EQ(at<e4m3>(0x01), 0.001953125);
  EXPECT_EQ(at<e4m3>(0x07), 0.013671875);
  EXPECT_EQ(at<e4m3>(0x08), 0.015625);
  EXPECT_EQ(at<e4m3>(0x38), 1.0);
  EXPECT_EQ(at<e4m3>(0xBD), -1.625);
  EXPECT_EQ(at<e4m3>(0x7E), 448.0);
  EXPECT_TRUE(std::isnan(at<e4m3>(0x7F)));
  EXPECT_TRUE(std::isnan(at<e4m3>(0xFF)));
  EXPECT_TRUE(std::signbit(at<e4m3>(0x80)));
}

TEST(ReferenceDecode, knows_ocp_e5m2) {
  EXPECT_EQ(at<e5m2>(0x01), 0x1p-16);
  EXPECT_EQ(at<e5m2>(0x3C), 1.0);
  EXPECT_EQ(at<e5m2>(0x7B), 57344.0);
  EXPECT_EQ(at<e5m2>(0xFC), -INFINITY);
  EXPECT_TRUE(std::isnan(at<e5m2>(0x7D)));
  EXPECT_TRUE(std::isnan(at<e5m2>(0xFF)));
}

TEST(ReferenceDecode, knows_the_fnuz_formats) {
  EXPECT_EQ(at<e4m3fnuz>(0x40), 1.0);
  EXPECT_EQ(at<e4m3fnuz>(0x7F), 240.0);
  EXPECT_EQ(at<e4m3fnuz>(0x81), -0x1p-10);
  EXPECT_EQ(at<e5m2fnuz>(0x7F), 57344.0);
  EXPECT_EQ(at<e5m2fnuz>(0x01), 0x1p-17);
  EXPECT_EQ(at<e4m3b11fnuz>(0x7F), 30.0);
  EXPECT_EQ(at<e4m3b11fnuz>(0x01), 0x1p-13);
  EXPECT_TRUE(std::isnan(at<e4m3fnuz>(0x80)) && std::isnan(at<e5m2fnuz>(0x80)) && std::isnan(at<e4m3b11fnuz>(0x80)));
}

TEST(ReferenceDecode, knows_the_ieee_and_p3109_formats) {
  EXPECT_EQ(at<e4m3ieee>(0x77), 240.0);
  EXPECT_EQ(at<e4m3ieee>(0x78), INFINITY);
  EXPECT_TRUE(std::isnan(at<e4m3ieee>(0x79)));
  EXPECT_EQ(at<e3m4>(0x6F), 15.5);
  EXPECT_EQ(at<e3m4>(0xF0), -INFINITY);
  EXPECT_EQ(at<e3m4>(0x01), 0x1p-6);
  EXPECT_EQ(at<binary8p3>(0x7E), 49152.0);
  EXPECT_EQ(at<binary8p3>(0x7F), INFINITY);
  EXPECT_EQ(at<binary8p3>(0x40), 1.0);
  EXPECT_EQ(at<binary8p4>(0x7E), 224.0);
  EXPECT_EQ(at<binary8p4>(0xFF), -INFINITY);
  EXPECT_EQ(at<binary8p4>(0x40), 1.0);
  EXPECT_TRUE(std::isnan(at<binary8p3>(0x80)) && std::isnan(at<binary8p4>(0x80)));
}

TEST(ReferenceDecode, knows_every_e2m1_value) {
  const double magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (unsigned code = 0; code < 16; ++code) {
    EXPECT_EQ(at<e2m1>(code), code < 8 ? magnitudes[code] : -magnitudes[code - 8]);
    EXPECT_EQ(std::signbit(at<e2m1>(code)), code >= 8);
  }
}

TEST(ReferenceDecode, knows_the_six_bit_formats_and_e8m0) {
  EXPECT_EQ(at<e2m3>(0x1F), 7.5);
  EXPECT_EQ(at<e2m3>(0x21), -0.125);
  EXPECT_EQ(at<e3m2>(0x1F), 28.0);
  EXPECT_EQ(at<e3m2>(0x01), 0.0625);
  EXPECT_EQ(at<e8m0>(0x00), 0x1p-127);
  EXPECT_EQ(at<e8m0>(0x7F), 1.0);
  EXPECT_EQ(at<e8m0>(0xFE), 0x1p127);
  EXPECT_TRUE(std::isnan(at<e8m0>(0xFF)));
}

TEST(ReferenceDecode, knows_half_and_bfloat16) {
  EXPECT_EQ(at<half>(0x3C00), 1.0);
  EXPECT_EQ(at<half>(0x7BFF), 65504.0);
  EXPECT_EQ(at<half>(0x8001), -0x1p-24);
  EXPECT_EQ(at<half>(0x7C00), INFINITY);
  EXPECT_TRUE(std::isnan(at<half>(0x7E00)));
  EXPECT_EQ(at<bfloat16>(0x4049), 3.140625);
  EXPECT_EQ(at<bfloat16>(0x0001), 0x1p-133);
  EXPECT_EQ(at<bfloat16>(0xFF7F), -0x1.FEp127);
}

TEST(ReferenceDecode, reads_a_half_as_the_compiler_does) {
#if defined(__FLT16_MANT_DIG__)
  for (unsigned code = 0; code < 65536; ++code) {
    const double theirs = static_cast<double>(bitwise_cast<_Float16>(static_cast<uint16_t>(code)));
    if (std::isnan(theirs)) ASSERT_TRUE(std::isnan(at<half>(code))) << code;
    else ASSERT_EQ(bitwise_cast<uint64_t>(theirs), bitwise_cast<uint64_t>(at<half>(code))) << code;
  }
#else
  GTEST_SKIP() << "this compiler has no _Float16";
#endif
}

TEST(ReferenceDecode, reads_a_bfloat16_as_the_upper_half_of_a_float) {
  for (unsigned code = 0; code < 65536; ++code) {
    const float theirs = bitwise_cast<float>(static_cast<uint32_t>(code << 16));
    if (std::isnan(theirs)) ASSERT_TRUE(std::isnan(at<bfloat16>(code))) << code;
    else ASSERT_EQ(static_cast<double>(theirs), at<bfloat16>(code)) << code;
  }
}

}  // namespace
