// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_FLAGS_CASES_HPP
#define QUAVER_TESTS_FLAGS_CASES_HPP

// The cases that every build of the probe and the oracle run, each ending in one hash of all bytes it made. An engine
// supplies the conversions: probe.cpp those of the library, oracle.cpp those of reference/. The two programs print the
// same lines if and only if (but for a collision of 64-bit hashes) they made the same bytes.
//
// Inputs are made from integers: this file is compiled under -ffast-math and runs under DAZ too.

#include <quaver/problem/gemm_problem.hpp>
#include <quaver/reference/encode.hpp>

#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

namespace quaver_flags {

using namespace quaver;

/// 64 bits in the manner of FNV-1a, low byte first.
class hash {
 public:
  void add(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) state_ = (state_ ^ (value >> 8 * i & 0xFF)) * 0x0000'0100'0000'01B3u;
  }
  template <class F>
  void add_code(F f) {
    add(f.bits(), sizeof(F));
  }
  /// A whole array, eight bytes a step: at -O0 a step a byte would be most of the run.
  template <class T>
  void add_array(const T* values, size_t count) {
    const char* bytes = reinterpret_cast<const char*>(values);
    uint64_t word     = 0;
    for (size_t left = count * sizeof(T); left != 0;) {
      const size_t step = left < sizeof word ? left : sizeof word;
      std::memcpy(&word, bytes, step);
      state_ = (state_ ^ word) * 0x0000'0100'0000'01B3u;
      state_ ^= state_ >> 29;
      bytes += step;
      left -= step;
    }
  }
  [[nodiscard]] unsigned long long value() const { return state_; }

 private:
  uint64_t state_ = 0xCBF2'9CE4'8422'2325u;
};

inline void print(const char* format_name, const char* what, const hash& h) {
  std::printf("%s %s %016llx\n", format_name, what, h.value());
}

/// Calls visit with a value of each format and the format's name.
template <class Visit>
void for_each_format(Visit visit) {
  visit(e4m3{}, "e4m3");
  visit(e5m2{}, "e5m2");
  visit(e4m3fnuz{}, "e4m3fnuz");
  visit(e5m2fnuz{}, "e5m2fnuz");
  visit(e4m3b11fnuz{}, "e4m3b11fnuz");
  visit(e4m3ieee{}, "e4m3ieee");
  visit(e3m4{}, "e3m4");
  visit(binary8p3{}, "binary8p3");
  visit(binary8p4{}, "binary8p4");
  visit(e8m0{}, "e8m0");
  visit(e2m3{}, "e2m3");
  visit(e3m2{}, "e3m2");
  visit(e2m1{}, "e2m1");
  visit(half{}, "half");
  visit(bfloat16{}, "bfloat16");
}

/// The bits of a binary32 with the same value as this binary64 magnitude, which must have one.
inline uint32_t narrow(uint64_t bits) {
  const int exponent      = static_cast<int>(bits >> 52) - 1023;
  const uint64_t fraction = (bits & 0xF'FFFF'FFFF'FFFFu) | uint64_t{1} << 52;
  if (bits == 0) return 0;
  if (exponent >= -126) return static_cast<uint32_t>(((bits >> 52) - 1023 + 127) << 23 | (fraction >> 29 & 0x7F'FFFFu));
  return static_cast<uint32_t>(fraction >> (29 - 126 - exponent));
}

/// Every value and every tie of F, with their neighbours at 1 ulp on either side, then infinity and NaNs, as binary32
/// bits of both signs.
template <class F>
std::vector<uint32_t> ties_of() {
  std::vector<uint32_t> bits;
  const auto& table = reference::magnitudes<F>;
  for (uint32_t code = 0; code <= (F::max)().bits(); ++code) {
    for (const uint64_t point : {table.value[code], table.middle[code]}) {
      const uint32_t center = narrow(point);
      for (const uint32_t x : {center - (center != 0 ? 1u : 0u), center, center + 1}) {
        bits.push_back(x);
        bits.push_back(x | 0x8000'0000u);
      }
    }
  }
  for (const uint32_t x : {0x7F80'0000u, 0x7F80'0001u, 0x7FC0'0000u, 0x7FFF'FFFFu}) {
    bits.push_back(x);
    bits.push_back(x | 0x8000'0000u);
  }
  return bits;
}

/// The i-th of 2^24 binary32 patterns spread over all of them, NaNs and infinities included.
inline uint32_t spread(uint32_t i) { return i << 8 | (i * 0x9E37'79B1u) >> 24; }

/// A random word for element i.
inline uint32_t random_word(uint32_t i) { return (i ^ i >> 15) * 0x2C1B'3C6Du; }

/// -ffast-math promises that no float or double argument is NaN or infinite; what takes bits or arrays is not bound by
/// it.
inline bool finite32(uint32_t bits) { return (bits & 0x7F80'0000u) != 0x7F80'0000u; }

constexpr rounding nearest = rounding::nearest_even;

/// One value at a time: bits, floats, doubles, halves, bfloat16s and integers to F; and F decoded.
template <class Engine, class F>
void scalar_cases(const char* name) {
  hash by_bits;
  hash by_value;
  uint32_t i = 0;
  for (const uint32_t x : ties_of<F>()) {
    ++i;
    by_bits.add_code(Engine::template from_bits<F, nearest, overflow::saturate>(x, 0));
    by_bits.add_code(Engine::template from_bits<F, rounding::upward, overflow::nonfinite>(x, 0));
    by_bits.add_code(Engine::template from_bits<F, rounding::stochastic, overflow::saturate_finite>(x, random_word(i)));
    if (!finite32(x)) continue;
    const uint64_t wide = reference::from_f32(x).magnitude | static_cast<uint64_t>(x >> 31) << 63;
    by_value.add_code(Engine::template from_value<F, nearest, overflow::saturate>(bitwise_cast<float>(x)));
    by_value.add_code(Engine::template from_value<F, rounding::to_odd, overflow::nonfinite>(bitwise_cast<float>(x)));
    by_value.add_code(Engine::template from_value<F, nearest, overflow::saturate>(bitwise_cast<double>(wide)));
    by_value.add_code(Engine::template from_value<F, nearest, overflow::saturate>(bitwise_cast<double>(wide + 1)));
    if (wide << 1 != 0) {
      by_value.add_code(Engine::template from_value<F, nearest, overflow::saturate>(bitwise_cast<double>(wide - 1)));
    }
  }
  print(name, "ties_and_nans_as_bits", by_bits);
  print(name, "ties_as_floats_and_doubles", by_value);

  hash from_16;
  for (uint32_t code = 0; code < 65536; ++code) {
    const half h     = half::from_bits(static_cast<uint16_t>(code));
    const bfloat16 b = bfloat16::from_bits(static_cast<uint16_t>(code));
    from_16.add_code(Engine::template from_value<F, nearest, overflow::saturate>(h));
    from_16.add_code(Engine::template from_value<F, nearest, overflow::nonfinite>(b));
    from_16.add_code(
        Engine::template from_value<F, nearest, overflow::saturate>(static_cast<int32_t>(code * 0x1'0003u)));
  }
  print(name, "all_halves_and_bfloat16s", from_16);

  hash decoded;
  for (uint32_t code = 0; code < 1u << F::width; ++code) {
    const F f = F::from_bits(static_cast<typename F::storage>(code));
    decoded.add(Engine::decode32(f), 4);
    decoded.add_code(Engine::template decode16<half>(f));
    decoded.add_code(Engine::template decode16<bfloat16>(f));
    if (!finite32(Engine::decode32(f))) continue;
    decoded.add(bitwise_cast<uint64_t>(Engine::decode64(f)), 8);
  }
  print(name, "all_codes_decoded", decoded);
}

/// 2^24 floats across the bit space.
template <class Engine, class F, overflow O>
void spread_case(const char* name) {
  hash h;
  F block[4096];
  for (uint32_t first = 0; first < 1u << 24; first += 4096) {
    for (uint32_t i = 0; i < 4096; ++i) block[i] = Engine::template from_bits<F, nearest, O>(spread(first + i), 0);
    h.add_array(block, 4096);
  }
  print(name, "2^24_floats_as_bits", h);
}

/// Factors that leave products in range, push them into subnormal floats, overflow them, or are special themselves.
inline constexpr uint32_t factors[] = {
    0x4214'0000,  // 37
    0xBF33'3333,  // -0.7
    0x0080'0001,  // just above the smallest normal float
    0x0000'1234,  // subnormal
    0x7F00'0001,  // 2^127
    0x0000'0000, 0x7F80'0000, 0x7FC0'0000,
};

template <class Engine, class F, rounding R, overflow O, class T, class Scale>
void array_case(const std::vector<T>& x, Scale scale, hash& h) {
  std::vector<F> y(x.size());
  Engine::template encode_n<F, R, O>(std::span<const T>(x), scale, std::span<F>(y));
  h.add_array(y.data(), y.size());
}

/// Arrays with scales, both ways.
template <class Engine, class F>
void array_cases(const char* name) {
  std::vector<half> halves(65536, half{});
  std::vector<bfloat16> bfloats(65536, bfloat16{});
  for (uint32_t code = 0; code < 65536; ++code) {
    halves[code]  = half::from_bits(static_cast<uint16_t>(code));
    bfloats[code] = bfloat16::from_bits(static_cast<uint16_t>(code));
  }
  std::vector<float> floats;
  for (const uint32_t bits : ties_of<F>()) floats.push_back(bitwise_cast<float>(bits));
  for (uint32_t i = 0; i < 1u << 24; i += 1021) floats.push_back(bitwise_cast<float>(spread(i)));

  hash encoded;
  for (const uint32_t factor : factors) {
    const quant_scale quant{bitwise_cast<float>(factor)};
    const dequant_scale dequant{bitwise_cast<float>(factor)};
    array_case<Engine, F, nearest, overflow::saturate>(halves, quant, encoded);
    array_case<Engine, F, nearest, overflow::saturate>(bfloats, quant, encoded);
    array_case<Engine, F, nearest, overflow::saturate>(bfloats, dequant, encoded);
    array_case<Engine, F, nearest, overflow::saturate_finite>(floats, quant, encoded);
    array_case<Engine, F, rounding::stochastic, overflow::nonfinite>(floats, dequant, encoded);
  }
  print(name, "arrays_encoded_with_scales", encoded);

  hash decoded;
  std::vector<F> codes(1u << F::width);
  for (uint32_t code = 0; code < codes.size(); ++code)
    codes[code] = F::from_bits(static_cast<typename F::storage>(code));
  std::vector<float> wide(codes.size());
  std::vector<bfloat16> narrower(codes.size());
  for (const uint32_t factor : factors) {
    const dequant_scale scale{bitwise_cast<float>(factor)};
    Engine::decode_n(std::span<const F>(codes), scale, std::span<float>(wide));
    Engine::decode_n(std::span<const F>(codes), scale, std::span<bfloat16>(narrower));
    decoded.add_array(wide.data(), wide.size());
    decoded.add_array(narrower.data(), narrower.size());
  }
  print(name, "all_codes_decoded_with_scales", decoded);
}

/// Floats across the bit space, NaN and infinity included, in one array: 2^24 of them to nearest even, and a sixteenth of
/// them in the other roundings.
template <class Engine, class F>
void spread_array_case(const char* name) {
  std::vector<float> x(1u << 24);
  for (uint32_t i = 0; i < x.size(); ++i) x[i] = bitwise_cast<float>(spread(i));
  hash h;
  array_case<Engine, F, nearest, overflow::saturate>(x, quant_scale{bitwise_cast<float>(factors[0])}, h);
  h.add(bitwise_cast<uint32_t>(Engine::amax_n(std::span<const float>(x))), 4);
  x.resize(1u << 20);
  for (uint32_t i = 0; i < x.size(); ++i) x[i] = bitwise_cast<float>(spread(i * 16));
  array_case<Engine, F, rounding::nearest_away, overflow::saturate>(x, quant_scale{bitwise_cast<float>(factors[1])}, h);
  array_case<Engine, F, rounding::toward_zero, overflow::nonfinite>(x, quant_scale{bitwise_cast<float>(factors[1])}, h);
  array_case<Engine, F, rounding::upward, overflow::nonfinite>(x, quant_scale{bitwise_cast<float>(factors[1])}, h);
  array_case<Engine, F, rounding::downward, overflow::saturate_finite>(x, quant_scale{bitwise_cast<float>(factors[1])},
                                                                       h);
  array_case<Engine, F, rounding::to_odd, overflow::saturate>(x, quant_scale{bitwise_cast<float>(factors[1])}, h);
  print(name, "floats_in_an_array", h);
}

/// Finite floats of widely different sizes, zeros and subnormals among them.
inline std::vector<float> some_floats(size_t count, uint32_t seed) {
  std::vector<float> x(count);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t word     = random_word(i * 2654435761u + seed);
    const uint32_t exponent = i % 50 == 7 ? 0 : 118 + (word >> 4) % 12;
    x[i] = bitwise_cast<float>(i % 50 == 9 ? 0 : (word << 31 | exponent << 23 | (random_word(word) >> 9)));
  }
  return x;
}

/// Codes with their scales of whatever type.
template <class F>
struct scaled_buffer {
  std::vector<F> codes;
  std::vector<float> scales;
  std::vector<e8m0> powers;
  std::vector<e4m3> levels;
  float tensor_wide = 0.0f;
  scaled_matrix<F> matrix;

  scaled_buffer(int64_t rows, int64_t cols, const scale_layout& layout)
      : codes(static_cast<size_t>(rows * cols)),
        scales(static_cast<size_t>(layout.scale_count(rows, cols))),
        powers(scales.size(), e8m0::from_bits(0)),
        levels(scales.size()),
        matrix{{codes.data(), rows, cols}, layout, scales.data(), powers.data(), levels.data(), &tensor_wide} {}

  void add_to(hash& h) const {
    h.add_array(codes.data(), codes.size());
    h.add_array(scales.data(), scales.size());
    h.add_array(powers.data(), powers.size());
    h.add_array(levels.data(), levels.size());
    h.add_array(&tensor_wide, 1);
  }
};

/// Matrices quantised, dequantised and multiplied, in one layout.
template <class Engine, class F>
void matrix_case(const scale_layout& layout, const char* name) {
  constexpr int64_t m = 5, n = 7, k = 301;
  const std::vector<float> a = some_floats(m * k, 1), b = some_floats(n * k, 2), bias = some_floats(n, 3);
  scaled_buffer<F> quantised_a(m, k, layout), quantised_b(n, k, layout);
  Engine::quantize(matrix_view<const float>(a.data(), m, k), quantised_a.matrix);
  Engine::quantize(matrix_view<const float>(b.data(), n, k), quantised_b.matrix);
  hash h;
  quantised_a.add_to(h);
  quantised_b.add_to(h);

  std::vector<float> back(a.size());
  Engine::dequantize(scaled_matrix<const F>(quantised_a.matrix), matrix_view<float>(back.data(), m, k));
  h.add_array(back.data(), back.size());

  std::vector<float> product(m * n, 3.0f);
  gemm_problem<F, F> problem{
      .a = quantised_a.matrix, .b = quantised_b.matrix, .d = {product.data(), m, n}, .bias = bias.data()};
  Engine::gemm(problem);
  h.add_array(product.data(), product.size());
  problem.c    = problem.d;
  problem.beta = -0.7f, problem.alpha = 1.3f, problem.act = activation::relu;
  Engine::gemm(problem);
  h.add_array(product.data(), product.size());
  // The other activations.
  problem.beta = 0.0f;
  for (const activation act : {activation::gelu, activation::silu}) {
    problem.act = act;
    Engine::gemm(problem);
    h.add_array(product.data(), product.size());
  }
  // Activations that were not quantised, subnormals among them; 8-bit results and their amax.
  std::vector<bfloat16> plain(a.size());
  for (size_t i = 0; i < a.size(); ++i)
    plain[i] = bfloat16::from_bits(static_cast<uint16_t>(bitwise_cast<uint32_t>(a[i]) >> 16));
  std::vector<F> small(m * n);
  float amax = -1.0f;
  gemm_problem<bfloat16, F, F> mixed{.b = quantised_b.matrix, .d = {small.data(), m, n}, .act = activation::silu};
  mixed.a.values = {plain.data(), m, k};
  mixed.d_scale  = quant_scale{bitwise_cast<float>(0x3C23'D70Au)};  // 0.01
  mixed.d_amax   = &amax;
  Engine::gemm(mixed);
  h.add_array(small.data(), small.size());
  h.add_array(&amax, 1);
  // And activations that stay floats.
  gemm_problem<float, F> by_fma{.b = quantised_b.matrix, .d = {product.data(), m, n}};
  by_fma.a.values = {a.data(), m, k};
  by_fma.a_floats = float_activations::multiplied_by_fma;
  Engine::gemm(by_fma);
  h.add_array(product.data(), product.size());
  // NaN codes and, in A and B, infinite ones: scales stay finite, as -ffast-math asks.
  if constexpr (F::has_nan) quantised_a.codes[k + 3] = F::nan();
  if constexpr (F::has_infinity) quantised_b.codes[4 * k + 5] = F::from_bits(F::infinity_magnitude);
  problem.beta = 0.0f, problem.act = activation::none;
  Engine::gemm(problem);
  h.add_array(product.data(), product.size());
  print(name, "matrices_quantised_dequantised_multiplied", h);
}

template <class Engine>
void run_all() {
  for_each_format([]<class F>(F, const char* name) { scalar_cases<Engine, F>(name); });
  // One format of each kind: what scales arrays is the same for all.
  array_cases<Engine, e4m3>("e4m3");
  array_cases<Engine, e5m2>("e5m2");
  array_cases<Engine, e4m3fnuz>("e4m3fnuz");
  array_cases<Engine, binary8p3>("binary8p3");
  array_cases<Engine, e8m0>("e8m0");
  array_cases<Engine, e2m1>("e2m1");
  array_cases<Engine, half>("half");
  matrix_case<Engine, e4m3>(per_tensor, "e4m3 per tensor");
  matrix_case<Engine, e5m2>(per_row, "e5m2 per row");
  matrix_case<Engine, e4m3>(blocks_1x128, "e4m3 1x128");
  matrix_case<Engine, e4m3>(mx_1x32, "e4m3 MX");
  matrix_case<Engine, e2m1>(nvfp4_1x16, "e2m1 NVFP4");
  spread_case<Engine, e5m2, overflow::nonfinite>("e5m2");
  spread_array_case<Engine, e4m3>("e4m3");
}

}  // namespace quaver_flags

#endif
