// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ACTIVATIONS_HPP
#define QUAVER_CPU_ACTIVATIONS_HPP

#include <quaver/convert/elements.hpp>
#include <quaver/cpu/blocks.hpp>
#include <quaver/cpu/features.hpp>
#include <quaver/cpu/float_environment.hpp>
#include <quaver/cpu/isa/portable/operations.hpp>
#include <quaver/tensor/matrix_checks.hpp>

// What stands before a cast in a feed-forward layer, as a matrix of floats: silu(gate) * up and act(x + bias). The device
// computes the same values on the way to codes and never stores them; with cpu::quantize after these, codes and scales
// can be compared byte for byte. Each step is rounded once in binary32; every NaN is 7FC00000. Neither the float
// environment nor -ffast-math changes a bit.

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The two computations, on bits. Operations as activation.hpp has them.
struct silu_mul_step {
  template <class Operations>
  QUAVER_ALWAYS_INLINE static uint32_t value(uint32_t gate, uint32_t up, const Operations& op) noexcept {
    const float factor = bitwise_cast<float>(silu_bits(gate, op));
    return canonical_nan(bitwise_cast<uint32_t>(op.multiply(factor, bitwise_cast<float>(up))));
  }
};
template <activation Act>
struct bias_activation_step {
  template <class Operations>
  QUAVER_ALWAYS_INLINE static uint32_t value(uint32_t x, uint32_t bias, const Operations& op) noexcept {
    const float sum = op.add(bitwise_cast<float>(x), bitwise_cast<float>(bias));
    return activate_bits(Act, canonical_nan(bitwise_cast<uint32_t>(sum)), op);
  }
};

/// One step over arrays, in a tier. Wants a standard_float_environment.
template <class Step, bulk_source T>
struct step_kernels {
  using kernel = void (*)(const T* a, const T* b, float* out, size_t count);

  static void portable_part(const T* a, const T* b, float* out, size_t first, size_t end) {
    const portable::called_operations op;
    for (size_t i = first; i < end; ++i)
      out[i] = bitwise_cast<float>(Step::value(binary32_bits(a[i]), binary32_bits(b[i]), op));
  }
  static void portable_all(const T* a, const T* b, float* out, size_t count) { portable_part(a, b, out, 0, count); }
#if QUAVER_X86_64
  /// Loops of a length that the compiler knows, which it vectorises by what the function may use.
  QUAVER_TARGET_AVX2 static void avx2(const T* a, const T* b, float* out, size_t count) {
    const rounded_operations op;
    constexpr size_t together = 16;
    const size_t whole        = count - count % together;
    for (size_t i = 0; i < whole; i += together) {
      uint32_t x[together];
      uint32_t y[together];
      for (size_t j = 0; j < together; ++j) x[j] = binary32_bits(a[i + j]);
      for (size_t j = 0; j < together; ++j) y[j] = binary32_bits(b[i + j]);
      for (size_t j = 0; j < together; ++j) out[i + j] = bitwise_cast<float>(Step::value(x[j], y[j], op));
    }
    portable_part(a, b, out, whole, count);
  }
#endif
  static kernel of(tier t) noexcept {
#if QUAVER_X86_64
    if (t == tier::avx2 || t == tier::avx512) return &avx2;
#endif
    static_cast<void>(t);
    return &portable_all;
  }

  /// out(r, c) = step(a(r, c), b(r, c)); the rows of b may be one and the same.
  static void run(const matrix_view<const T>& a, const matrix_view<const T>& b, const matrix_view<float>& out,
                  const executor& on) {
    static const kernel step = of(active_tier());
    for_each_piece(matrix_block{0, out.rows, 0, out.cols}, on, [&](const matrix_block& piece) {
      const standard_float_environment environment;
      const auto stretch = [&](int64_t r, int64_t c, int64_t count) {
        step(&a(r, c), &b(r, c), &out(r, c), static_cast<size_t>(count));
      };
      for_each_stretch(piece, stretch, a, b, out);
    });
  }
};

/// out = silu(gate) * up. The three have one shape and any positive strides; the output overlaps neither input. On error
/// nothing is written.
template <bulk_source T>
status silu_mul(matrix_view<const T> gate, matrix_view<const T> up, matrix_view<float> out, const executor& on = {}) {
  if (status bad = check_view("silu_mul: the gate", gate); !bad.ok()) return bad;
  if (status bad = check_view("silu_mul: the up projection", up); !bad.ok()) return bad;
  if (status bad = check_view("silu_mul: the output", out); !bad.ok()) return bad;
  if (gate.rows != up.rows || gate.cols != up.cols) {
    return invalid("silu_mul: the gate is " + shape_text(gate.rows, gate.cols) + ", the up projection " +
                   shape_text(up.rows, up.cols));
  }
  if (status bad = check_same_shape("silu_mul", gate, out); !bad.ok()) return bad;
  if (overlaps(gate.data, span_bytes(gate), out.data, span_bytes(out)) ||
      overlaps(up.data, span_bytes(up), out.data, span_bytes(out))) {
    return invalid("silu_mul: the inputs (" + shape_text(gate.rows, gate.cols) + ") and the output overlap");
  }
  if (out.rows != 0 && out.cols != 0) step_kernels<silu_mul_step, T>::run(gate, up, out, on);
  return {};
}

/// out = act(x + bias), `bias` having a value for each column. Shapes, strides and overlap as for silu_mul.
template <bulk_source T>
status bias_activation(matrix_view<const T> x, const T* bias, activation act, matrix_view<float> out,
                       const executor& on = {}) {
  if (status bad = check_view("bias_activation: the input", x); !bad.ok()) return bad;
  if (status bad = check_view("bias_activation: the output", out); !bad.ok()) return bad;
  if (status bad = check_same_shape("bias_activation", x, out); !bad.ok()) return bad;
  if (x.rows == 0 || x.cols == 0) return {};
  if (bias == nullptr) return invalid("bias_activation: the bias is null, for " + std::to_string(x.cols) + " columns");
  if (overlaps(x.data, span_bytes(x), out.data, span_bytes(out)) ||
      overlaps(bias, static_cast<size_t>(x.cols) * sizeof(T), out.data, span_bytes(out))) {
    return invalid("bias_activation: the inputs (" + shape_text(x.rows, x.cols) + ") and the output overlap");
  }
  const matrix_view<const T> every_row(bias, x.rows, x.cols, 0);
  switch (act) {
    case activation::none: step_kernels<bias_activation_step<activation::none>, T>::run(x, every_row, out, on); break;
    case activation::relu: step_kernels<bias_activation_step<activation::relu>, T>::run(x, every_row, out, on); break;
    case activation::gelu: step_kernels<bias_activation_step<activation::gelu>, T>::run(x, every_row, out, on); break;
    case activation::silu: step_kernels<bias_activation_step<activation::silu>, T>::run(x, every_row, out, on); break;
  }
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
