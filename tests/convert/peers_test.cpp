// SPDX-License-Identifier: MIT
#include <quaver/convert/recode.hpp>

#include <gtest/gtest.h>

#include <cfenv>

#if QUAVER_TEST_CUDA_HEADERS
#include <cuda_fp8.h>
#endif

// Where the libraries of the field give different bytes for the same float, and whom we agree with. Inputs are bits.
// cuda_fp8.h is asked itself where it is installed; what the others give was read off their versions named here: CUDA
// 13.0, CUTLASS 7107b05, ml_dtypes b793a6e, HIP f9f995c, c10 of PyTorch before and after its change of 2025, ONNX
// Runtime (ORT) 198c984, Universal e6aa357, NumKong 48cbd21, APFloat of LLVM 16.

namespace {

using namespace quaver;

constexpr rounding nearest = rounding::nearest_even;

template <class F>
unsigned saturating(uint32_t bits) {
  return encode_bits<F, nearest, overflow::saturate>(bits).bits();
}
template <class F>
unsigned saturating_finite(uint32_t bits) {
  return encode_bits<F, nearest, overflow::saturate_finite>(bits).bits();
}
template <class F>
unsigned unsaturated(uint32_t bits) {
  return encode_bits<F, nearest, overflow::nonfinite>(bits).bits();
}

// quaver::half is spelt out here: cuda_fp16.h puts a half of its own into the global namespace.

/// What cuda_fp8.h gives on the host, or `otherwise` without it.
template <class F>
unsigned cuda(uint32_t bits, bool saturates, unsigned otherwise) {
#if QUAVER_TEST_CUDA_HEADERS
  static_cast<void>(otherwise);
  return __nv_cvt_float_to_fp8(bitwise_cast<float>(bits), saturates ? __NV_SATFINITE : __NV_NOSAT,
                               same_type<F, e4m3> ? __NV_E4M3 : __NV_E5M2);
#else
  static_cast<void>(bits), static_cast<void>(saturates);
  return otherwise;
#endif
}

TEST(Peers, minus_nan_is_7f_in_e4m3_as_cuda_and_cutlass_say_not_ff_nor_minus_448) {
  for (const uint32_t nan : {0xFF80'0001u, 0xFFC0'0000u, 0xFFFF'FFFFu}) {
    EXPECT_EQ(saturating<e4m3>(nan), 0x7Fu);
    EXPECT_EQ(unsaturated<e4m3>(nan), 0x7Fu);
    EXPECT_EQ(cuda<e4m3>(nan, true, 0x7F), 0x7Fu);
  }
}

TEST(Peers, plus_nan_is_7f_in_e4m3_as_all_but_numkong_say) {
  EXPECT_EQ(saturating<e4m3>(0x7FC0'0000), 0x7Fu);
  EXPECT_EQ(cuda<e4m3>(0x7FC0'0000, true, 0x7F), 0x7Fu);
}

TEST(Peers, minus_nan_as_a_double_is_the_same_7f_where_cuda_gives_ff_and_fe) {
  const uint64_t nan = 0xFFF8'0000'0000'0000;
  EXPECT_EQ(encode_bits64<e4m3>(nan).bits(), 0x7F);
  EXPECT_EQ(encode_bits64<e5m2>(nan).bits(), 0x7F);
#if QUAVER_TEST_CUDA_HEADERS
  EXPECT_EQ(__nv_cvt_double_to_fp8(bitwise_cast<double>(nan), __NV_SATFINITE, __NV_E4M3), 0xFF);
  EXPECT_EQ(__nv_cvt_double_to_fp8(bitwise_cast<double>(nan), __NV_SATFINITE, __NV_E5M2), 0xFE);
#endif
}

TEST(Peers, nan_is_7f_in_e5m2_as_cuda_cutlass_c10_hip_and_ort_say_not_7e) {
  EXPECT_EQ(saturating<e5m2>(0x7FC0'0000), 0x7Fu);
  EXPECT_EQ(cuda<e5m2>(0x7FC0'0000, true, 0x7F), 0x7Fu);
}

TEST(Peers, infinity_saturates_to_448_in_e4m3_as_all_but_ml_dtypes_say) {
  EXPECT_EQ(saturating<e4m3>(0x7F80'0000), 0x7Eu);
  EXPECT_EQ(cuda<e4m3>(0x7F80'0000, true, 0x7E), 0x7Eu);
  EXPECT_EQ(saturating_finite<e4m3>(0x7F80'0000), 0x7Fu) << "ml_dtypes' rule, by the name saturate_finite";
}

TEST(Peers, infinity_saturates_to_57344_in_e5m2_as_cuda_cutlass_and_ort_say) {
  EXPECT_EQ(saturating<e5m2>(0x7F80'0000), 0x7Bu);
  EXPECT_EQ(cuda<e5m2>(0x7F80'0000, true, 0x7B), 0x7Bu);
  EXPECT_EQ(saturating_finite<e5m2>(0x7F80'0000), 0x7Cu) << "ml_dtypes' rule, by the name saturate_finite";
}

TEST(Peers, up_to_464_rounds_down_to_448_before_overflow_is_asked_about_as_all_but_hip_say) {
  for (const uint32_t bits : {0x43E0'0001u, 0x43E4'0000u, 0x43E7'FFFFu, 0x43E8'0000u}) {
    EXPECT_EQ(unsaturated<e4m3>(bits), 0x7Eu);
    EXPECT_EQ(cuda<e4m3>(bits, false, 0x7E), 0x7Eu);
  }
  EXPECT_EQ(unsaturated<e4m3>(0x43E8'0001), 0x7Fu);
}

TEST(Peers, from_480_to_496_is_overflow_in_e4m3_as_all_but_ort_say) {
  for (const uint32_t bits : {0x43F0'0000u, 0x43F4'0000u, 0x43F7'FFFFu}) {
    EXPECT_EQ(unsaturated<e4m3>(bits), 0x7Fu);
    EXPECT_EQ(cuda<e4m3>(bits, false, 0x7F), 0x7Fu);
  }
}

TEST(Peers, below_61440_rounds_down_to_57344_in_e5m2_as_all_but_hip_say) {
  for (const uint32_t bits : {0x4760'0001u, 0x4768'0000u, 0x476F'FFFFu}) {
    EXPECT_EQ(unsaturated<e5m2>(bits), 0x7Bu);
    EXPECT_EQ(cuda<e5m2>(bits, false, 0x7B), 0x7Bu);
  }
}

TEST(Peers, from_61440_to_65536_becomes_infinity_in_e5m2_as_all_but_ort_say) {
  for (const uint32_t bits : {0x4770'0000u, 0x4778'0000u, 0x477F'FFFFu}) {
    EXPECT_EQ(unsaturated<e5m2>(bits), 0x7Cu);
    EXPECT_EQ(cuda<e5m2>(bits, false, 0x7C), 0x7Cu);
  }
}

TEST(Peers, the_tiny_5_3e_minus_23_is_zero_in_e4m3_as_all_but_hip_say) {
  EXPECT_EQ(saturating<e4m3>(0x1A80'0001), 0x00u);
  EXPECT_EQ(cuda<e4m3>(0x1A80'0001, true, 0x00), 0x00u);
}

TEST(Peers, just_above_a_tie_is_09_where_rounding_twice_through_half_gives_08) {
  EXPECT_EQ(saturating<e4m3>(0x3C88'0001), 0x09u);
  EXPECT_EQ(cuda<e4m3>(0x3C88'0001, true, 0x09), 0x09u);
  EXPECT_EQ((recode<e4m3>(encode_bits<quaver::half>(0x3C88'0001)).bits()), 0x08) << "two roundings, asked for";
  EXPECT_EQ((recode<e4m3>(encode_bits<quaver::half, rounding::to_odd>(0x3C88'0001)).bits()), 0x09)
      << "to_odd makes the detour harmless";
}

TEST(Peers, a_double_2_to_minus_40_above_a_tie_is_39_as_cuda_and_ml_dtypes_say) {
  EXPECT_EQ(encode<e4m3>(1.0625 + 0x1p-40).bits(), 0x39);
  EXPECT_EQ(encode<e4m3>(static_cast<float>(1.0625 + 0x1p-40)).bits(), 0x38) << "the two roundings of the others";
#if QUAVER_TEST_CUDA_HEADERS
  EXPECT_EQ(__nv_cvt_double_to_fp8(1.0625 + 0x1p-40, __NV_SATFINITE, __NV_E4M3), 0x39);
#endif
}

TEST(Peers, a_double_just_above_half_of_the_smallest_value_is_01_as_cuda_and_ml_dtypes_say) {
  EXPECT_EQ(encode<e4m3>(0x1p-10 + 0x1p-60).bits(), 0x01);
  EXPECT_EQ(encode<e4m3>(0x1p-10).bits(), 0x00);
#if QUAVER_TEST_CUDA_HEADERS
  EXPECT_EQ(__nv_cvt_double_to_fp8(0x1p-10 + 0x1p-60, __NV_SATFINITE, __NV_E4M3), 0x01);
#endif
}

TEST(Peers, the_rounding_mode_of_the_fpu_changes_nothing_unlike_in_c10_and_numkong) {
  volatile uint32_t bits = 0x3B01'0000;
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST}) {
    std::fesetround(mode);
    const unsigned code = saturating<e4m3>(bits);
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(code, 0x01u);
  }
}

// tests/flags builds this row with -ffast-math.
TEST(Peers, nan_as_bits_stays_nan_under_fast_math_where_c10_gives_448_and_universal_zero) {
  volatile uint32_t bits = 0x7FC0'0000;
  EXPECT_EQ(saturating<e4m3>(bits), 0x7Fu);
}

TEST(Peers, nan_decodes_to_7fc00000_without_a_sign_where_cuda_c10_and_ml_dtypes_differ_among_themselves) {
  EXPECT_EQ(decode_bits(e4m3::from_bits(0x7F)), 0x7FC0'0000u);
  EXPECT_EQ(decode_bits(e4m3::from_bits(0xFF)), 0x7FC0'0000u);
  EXPECT_EQ(bitwise_cast<uint64_t>(decode<double>(e4m3::from_bits(0xFF))), 0x7FF8'0000'0000'0000u);
  EXPECT_EQ(decode<quaver::half>(e4m3::from_bits(0xFF)).bits(), 0x7E00);
  EXPECT_EQ(decode<bfloat16>(e4m3::from_bits(0xFF)).bits(), 0x7FC0);
}

TEST(Peers, minus_zero_is_80_as_every_peer_says) {
  EXPECT_EQ(saturating<e4m3>(0x8000'0000), 0x80u);
  EXPECT_EQ(saturating<e5m2>(0x8000'0000), 0x80u);
  EXPECT_EQ(cuda<e4m3>(0x8000'0000, true, 0x80), 0x80u);
  EXPECT_EQ(cuda<e5m2>(0x8000'0000, true, 0x80), 0x80u);
}

TEST(Peers, negative_overflow_without_saturation_is_the_nan_7f_in_e4m3_where_cuda_keeps_the_sign) {
  EXPECT_EQ(unsaturated<e4m3>(0xC47A'0000), 0x7Fu);  // -1000
  EXPECT_EQ(cuda<e4m3>(0xC47A'0000, false, 0xFF), 0xFFu);
}

}  // namespace
