// SPDX-License-Identifier: MIT

// The lines that every probe must print, made by reference/ alone: plain flags, default float environment.

#include "cases.hpp"

#include <quaver/base/philox.hpp>
#include <quaver/reference/gemm.hpp>

#include <cmath>

namespace {

using namespace quaver;

constexpr uint32_t canonical_nan = 0x7FC0'0000;

struct oracle {
  template <class F, rounding R, overflow O>
  static F round(reference::exact x, uint32_t random) {
    if (R == rounding::stochastic) return reference::encode_stochastic<F>(x, random, O);
    return reference::encode<F>(x, R, O);
  }
  template <class F, rounding R, overflow O>
  static F from_bits(uint32_t x, uint32_t random) {
    return round<F, R, O>(reference::from_f32(x), random);
  }
  template <class F, rounding R, overflow O, class T>
  static F from_value(T x) {
    return round<F, R, O>(reference::from_value(x), 0);
  }
  template <class F>
  static uint32_t decode32(F f) {
    return bits_of(static_cast<float>(reference::decode(f)));
  }
  template <class F>
  static double decode64(F f) {
    return reference::decode(f);
  }
  template <class T, class F>
  static T decode16(F f) {
    return reference::encode<T>(reference::from_format(f), rounding::nearest_even, overflow::nonfinite);
  }

  static float widen(float x) { return x; }
  template <class T>
  static float widen(T x) {
    return static_cast<float>(reference::decode(x));
  }
  /// A product of two floats is exact in a double, so this rounds once; a quotient is rounded once by the machine.
  static float apply(float x, quant_scale s) { return static_cast<float>(static_cast<double>(x) * s.value()); }
  static float apply(float x, dequant_scale s) { return x / s.value(); }

  template <class F, rounding R, overflow O, class T, class Scale>
  static void encode_n(std::span<const T> x, Scale scale, std::span<F> y) {
    for (size_t i = 0; i < x.size(); ++i) {
      const float scaled    = apply(widen(x[i]), scale);
      const uint32_t random = R == rounding::stochastic ? philox_word(5, i) : 0;
      y[i]                  = from_bits<F, R, O>(bitwise_cast<uint32_t>(scaled), random);
    }
  }
  template <class F, class T>
  static void decode_n(std::span<const F> x, dequant_scale scale, std::span<T> y) {
    for (size_t i = 0; i < x.size(); ++i) {
      const float scaled = static_cast<float>(reference::decode(x[i]) * scale.value());
      if constexpr (same_type<T, float>) y[i] = bitwise_cast<float>(bits_of(scaled));
      else y[i] = from_bits<T, rounding::nearest_even, overflow::nonfinite>(bits_of(scaled), 0);
    }
  }
  static float amax_n(std::span<const float> x) {
    float largest = 0;
    for (const float value : x) {
      if (std::isnan(value)) return bitwise_cast<float>(canonical_nan);
      if (std::fabs(value) > largest) largest = std::fabs(value);
    }
    return largest;
  }

  template <class F>
  static void quantize(matrix_view<const float> x, scaled_matrix<F> out) {
    const reference::quantized<F> made = reference::quantize<F>(x, out.layout);
    for (size_t i = 0; i < made.codes.size(); ++i) out.values.data[i] = made.codes[i];
    for (size_t i = 0; i < made.scales.size(); ++i) {
      if (out.layout.type == scale_type::f32) out.scales[i] = made.scales[i];
      if (out.layout.type == scale_type::mx_e8m0) out.scales_e8m0[i] = e8m0::from_bits(made.scale_codes[i]);
      if (out.layout.type == scale_type::nvfp4_e4m3) out.scales_e4m3[i] = e4m3::from_bits(made.scale_codes[i]);
    }
    if (out.layout.type == scale_type::nvfp4_e4m3) *out.tensor_wide = made.tensor_wide;
  }
  template <class F>
  static void dequantize(scaled_matrix<const F> x, matrix_view<float> y) {
    for (int64_t r = 0; r < y.rows; ++r) {
      for (int64_t c = 0; c < y.cols; ++c) {
        const float value = reference::product(reference::value_at(x.values, r, c), reference::scale_at(x, r, c));
        y(r, c)           = bitwise_cast<float>(bits_of(value));
      }
    }
  }
  template <class A, class B, class D>
  static void gemm(const gemm_problem<A, B, D>& problem) {
    float amax = 0;
    for (int64_t r = 0; r < problem.d.rows; ++r) {
      for (int64_t c = 0; c < problem.d.cols; ++c) {
        const float value = activated(reference::gemm_in_order(problem, r, c), problem.act);
        if (!(std::fabs(value) <= amax)) amax = std::isnan(amax) ? amax : std::fabs(value);
        if constexpr (same_type<D, float>) problem.d(r, c) = bitwise_cast<float>(bits_of(value));
        else problem.d(r, c) = from_value<D, rounding::nearest_even, overflow::saturate>(apply(value, problem.d_scale));
      }
    }
    if (problem.d_amax != nullptr) *problem.d_amax = bitwise_cast<float>(bits_of(amax));
  }

 private:
  /// GELU and SiLU are tested against double elsewhere; here it counts that no flags change them.
  static float activated(float value, activation act) {
    if (act == activation::none) return value;
    if (act == activation::relu) return value < 0 || value == 0 ? 0.0f : value;
    return bitwise_cast<float>(activate_bits(act, bits_of(value), rounded_operations{}));
  }
  static uint32_t bits_of(float x) { return std::isnan(x) ? canonical_nan : bitwise_cast<uint32_t>(x); }
};

}  // namespace

int main() {
  quaver_flags::run_all<oracle>();
  return 0;
}
