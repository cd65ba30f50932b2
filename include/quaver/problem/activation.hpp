// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_ACTIVATION_HPP
#define QUAVER_PROBLEM_ACTIVATION_HPP

// Activations as fixed sequences of binary32 operations, each rounded once: the same bits in every tier, on hosts and
// devices, and whatever the flags, within 2 ulp of the exact value. No libm and no division, which flags may replace;
// no branches, and always inlined, so that a loop over values is vectorised by whatever the function around it may use.
// They run in the standard float environment.

#include <quaver/convert/encode.hpp>

QUAVER_BEGIN_NAMESPACE

/// What happens to alpha * A * B^T + beta * C + bias before it is stored. NaN stays NaN.
enum class activation : uint8_t {
  none,
  relu,  ///< negative values and -0 become +0
  gelu,  ///< x * Phi(x), Phi being the normal distribution's: the form with erf, not the approximation with tanh
  silu,  ///< x / (1 + exp(-x))
};

/// The `Operations` of the functions below: single ones that no compiler fuses, reorders or flushes. On hosts `hidden_`
/// is a zero that the compiler does not know: results pass through it.
class rounded_operations {
 public:
  QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE rounded_operations() noexcept {
#if !QUAVER_DEVICE_CODE
    __asm__("" : "+r"(hidden_));
#endif
  }
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float keep(float x) const noexcept {
    return bitwise_cast<float>(bitwise_cast<uint32_t>(x) ^ hidden_);
  }
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float add(float a, float b) const noexcept {
#if QUAVER_DEVICE_CODE
    float sum = 0;
    asm("add.rn.f32 %0, %1, %2;" : "=f"(sum) : "f"(a), "f"(b));
    return sum;
#else
    return keep(a + b);
#endif
  }
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float multiply(float a, float b) const noexcept {
#if QUAVER_DEVICE_CODE
    float product = 0;
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(product) : "f"(a), "f"(b));
    return product;
#else
    return keep(a * b);
#endif
  }
  /// a * b + c.
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float fma(float a, float b, float c) const noexcept {
#if QUAVER_DEVICE_CODE
    float sum = 0;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(sum) : "f"(a), "f"(b), "f"(c));
    return sum;
#else
    return keep(__builtin_fmaf(a, b, c));
#endif
  }
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float negative(float x) const noexcept {
#if QUAVER_DEVICE_CODE
    float minus_x = 0;  // the assembler makes this part of the instruction that takes it; an integer xor it does not
    asm("neg.f32 %0, %1;" : "=f"(minus_x) : "f"(x));
    return minus_x;
#else
    return bitwise_cast<float>(bitwise_cast<uint32_t>(x) ^ binary<float>::sign_mask);
#endif
  }

  /// x, but not below `low`; NaN gives either.
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float at_least(float x, float low) const noexcept {
#if QUAVER_DEVICE_CODE
    float larger = 0;
    asm("max.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(low));
    return larger;
#else
    return x < low ? low : x;
#endif
  }
  /// Whether x, given as its bits, is above a positive `limit`, or NaN.
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE bool above_or_nan(uint32_t x, float limit) const noexcept {
#if QUAVER_DEVICE_CODE
    uint32_t above = 0;
    asm("{\n .reg .pred p;\n setp.gtu.f32 p, %1, %2;\n selp.u32 %0, 1, 0, p;\n}"
        : "=r"(above)
        : "f"(bitwise_cast<float>(x)), "f"(limit));
    return above != 0;
#else
    return static_cast<int32_t>(x) > static_cast<int32_t>(bitwise_cast<uint32_t>(limit)) ||
           (x & binary<float>::magnitude_mask) > binary<float>::infinity;
#endif
  }

  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float reciprocal(float d) const noexcept {
    return reciprocal_by(*this, d);
  }

  /// 1 / d for d in [1, 2^20], within an ulp: a guess by the exponent, within 12.5 %, and two steps of third order.
  template <class Operations>
  QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE static float reciprocal_by(const Operations& op, float d) noexcept {
    const float minus_d = op.negative(d);
    const float guess   = bitwise_cast<float>(0x7EF3'11C7u - bitwise_cast<uint32_t>(d));
    const float error   = op.fma(minus_d, guess, 1.0f);
    const float closer  = op.fma(guess, op.fma(error, error, error), guess);
    const float rest    = op.fma(minus_d, closer, 1.0f);
    return op.fma(closer, op.fma(rest, rest, rest), closer);
  }

 private:
  uint32_t hidden_ = 0;
};

/// An unevaluated sum: `low` is what `high` lacks.
struct float_pair {
  float high;
  float low;
};

/// (mantissa.high + mantissa.low) * 2^exponent, the mantissa within 0.7..1.42 and the exponent not positive.
struct scaled_pair {
  float_pair mantissa;
  int exponent;
};

/// exp(-s) for s in [0, 120], to some 2^-27.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE scaled_pair exp_of_minus(float_pair s, const Operations& op) noexcept {
  constexpr float log2_e   = 0x1.715476p+0f;
  constexpr float ln2_high = 0x1.62e4p-1f;  // 14 bits, so that its products with exponents are exact
  constexpr float ln2_low  = 0x1.7f7d1cp-20f;
  const int n              = static_cast<int>(op.fma(s.high, -log2_e, -0.5f));  // cut off: to nearest
  const auto negative_n    = static_cast<float>(-n);
  const float coarse       = op.fma(negative_n, ln2_high, op.negative(s.high));  // exact
  const float fine         = op.fma(negative_n, ln2_low, op.negative(s.low));
  const float r            = op.add(coarse, fine);
  const float r_low        = op.add(fine, op.add(coarse, op.negative(r)));

  // exp(r + r_low) = 1 + r + (r_low + r^2 * (1/2 + r/6 + r^2/24 + ...))
  float series      = 0x1.a01a02p-16f;
  series            = op.fma(series, r, 0x1.a01a02p-13f);
  series            = op.fma(series, r, 0x1.6c16c2p-10f);
  series            = op.fma(series, r, 0x1.111112p-7f);
  series            = op.fma(series, r, 0x1.555556p-5f);
  series            = op.fma(series, r, 0x1.555556p-3f);
  series            = op.fma(series, r, 0.5f);
  const float high  = op.add(1.0f, r);
  const float lost  = op.add(r, op.negative(op.add(high, -1.0f)));  // exact
  const float small = op.fma(op.multiply(r, r), series, r_low);
  return {{high, op.add(lost, small)}, n};
}

/// x * 2^n for n in [-252, 0], rounded once.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float scale_down(float x, int n, const Operations& op) noexcept {
  const int most     = n / 2;
  const float first  = bitwise_cast<float>(static_cast<uint32_t>(127 + most) << 23);
  const float second = bitwise_cast<float>(static_cast<uint32_t>(127 + n - most) << 23);
  return op.multiply(op.multiply(x, first), second);
}

/// n / d for d.high in [1, 2^20]: a quotient, and what is left of n as its correction.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float divide(float_pair n, float_pair d, const Operations& op) noexcept {
  const float inverse  = op.reciprocal(d.high);
  const float quotient = op.multiply(n.high, inverse);
  const float rest     = op.add(op.fma(op.negative(quotient), d.high, n.high), n.low);
  return op.fma(op.fma(op.negative(quotient), d.low, rest), inverse, quotient);
}

/// x * y of a float and a pair.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float_pair product(float x, float_pair y, const Operations& op) noexcept {
  const float high = op.multiply(x, y.high);
  return {high, op.fma(x, y.low, op.fma(x, y.high, op.negative(high)))};
}

/// The bits of gelu(x) = x * Phi(x) from those of x. NaN gives 7FC00000, values far below 0 give -0.
///
/// With t = |x|, Phi(-t) = exp(-t^2 / 2) * P(t) / (1 + b t), where b = sqrt(2 pi) / 2 makes P nearly constant: between
/// 0.5 and 0.6 everywhere. P is a polynomial in (t - 4) / (t + 4). gelu(-t) = -t Phi(-t), and gelu(t) = t - t Phi(-t).
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t gelu_bits(uint32_t x, const Operations& op) noexcept {
  constexpr uint32_t largest = 0x4170'0000u;  // 15: beyond it the tail is below every subnormal
  const uint32_t magnitude   = x & binary<float>::magnitude_mask;
  const float t              = bitwise_cast<float>(select(magnitude < largest, magnitude, largest));

  // y = -1 + 2 t / (t + 4), which keeps what t has to say where it is small.
  const float y = op.fma(op.multiply(t, 0.5f), op.reciprocal(op.fma(t, 0.25f, 1.0f)), -1.0f);
  float p       = -0x1.8f0d44p-14f;
  p             = op.fma(p, y, -0x1.245d6p-14f);
  p             = op.fma(p, y, 0x1.dcf6a8p-11f);
  p             = op.fma(p, y, -0x1.1b2fd6p-11f);
  p             = op.fma(p, y, -0x1.a33bbep-8f);
  p             = op.fma(p, y, 0x1.93a162p-6f);
  p             = op.fma(p, y, -0x1.8aa128p-5f);
  p             = op.fma(p, y, 0x1.ba719ap-5f);
  p             = op.fma(p, y, -0x1.c97a04p-7f);
  p             = op.fma(p, y, -0x1.3fa254p-4f);
  // The last step as a pair: its rounding would be most of the error.
  constexpr float first = 0x1.22ab98p-1f;
  const float high      = op.fma(p, y, first);
  const float low       = op.fma(p, y, op.add(first, op.negative(high)));

  constexpr float b      = 0x1.40d932p+0f;
  const float square     = op.multiply(t, op.multiply(t, 0.5f));
  const float square_low = op.fma(t, op.multiply(t, 0.5f), op.negative(square));
  const scaled_pair e    = exp_of_minus({square, square_low}, op);
  const float_pair tp    = product(t, {high, low}, op);
  float_pair n           = product(tp.high, e.mantissa, op);
  n.low                  = op.fma(tp.low, e.mantissa.high, n.low);
  const float d          = op.fma(t, b, 1.0f);
  const float d_low      = op.fma(t, b, op.add(1.0f, op.negative(d)));
  const float tail       = scale_down(divide(n, {d, d_low}, op), e.exponent, op);

  const uint32_t below = bitwise_cast<uint32_t>(op.negative(tail));
  const uint32_t above = bitwise_cast<uint32_t>(op.add(bitwise_cast<float>(magnitude), op.negative(tail)));
  const uint32_t value = select(x == magnitude, above, below);
  return select(magnitude > binary<float>::infinity, binary<float>::nan, value);
}

/// silu_bits for what is no NaN; a NaN stays as it is.
///
/// exp(-x) = p * (1 + s), p being a power of two. The denominator 1 + p + p s is a sum and what the sum lost, all of it times
/// 2^-40, so that neither end of the range leaves the floats; the quotient is one step of correction from a guess.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t silu_of_number(uint32_t x, const Operations& op) noexcept {
  // From far below it on silu(x) is x to the last bit; what is computed above it is not used.
  constexpr float highest = 40.0f;
  const float cut         = op.at_least(bitwise_cast<float>(x), -110.0f);  // silu is below every subnormal there

  // n = -x / ln 2 to the nearest integer: the addition of 1.5 * 2^23 rounds, and leaves n in the low bits.
  constexpr float log2_e   = 0x1.715476p+0f;
  constexpr float ln2_high = 0x1.62e4p-1f;  // 14 bits, so that its products with n are exact
  constexpr float ln2_low  = 0x1.7f7d1cp-20f;
  constexpr float anchor   = 0x1.8p23f;
  const float sum          = op.fma(cut, -log2_e, anchor);
  const float n            = op.add(sum, -anchor);
  float r                  = op.fma(n, -ln2_high, op.negative(cut));
  r                        = op.fma(n, -ln2_low, r);

  // exp(r) - 1 = r + r^2 * (1/2 + r/6 + ...), coefficients fitted within 2^-28 of exp(r).
  float series  = 0x1.6a23ccp-10f;
  series        = op.fma(series, r, 0x1.123a2p-7f);
  series        = op.fma(series, r, 0x1.5558f2p-5f);
  series        = op.fma(series, r, 0x1.555492p-3f);
  series        = op.fma(series, r, 0x1.fffffcp-2f);
  const float s = op.fma(series, op.multiply(r, r), r);

  constexpr float unit = 0x1p-40f;
  const float p        = bitwise_cast<float>((bitwise_cast<uint32_t>(sum) << 23) + ((127u - 40u) << 23));
  const float head     = op.add(unit, p);
  const float d        = op.fma(p, s, head);
  const float d_low    = op.fma(p, s, op.add(head, op.negative(d)));

  // 1 / d to 2^-12: a guess by the exponent within a twentieth, and a step of third order.
  const float guess    = bitwise_cast<float>(0x7EF3'11C7u - bitwise_cast<uint32_t>(d));
  const float error    = op.fma(op.negative(d), guess, 1.0f);
  const float inverse  = op.fma(op.fma(error, error, error), guess, guess);
  const float quotient = op.multiply(cut, inverse);
  // What the quotient takes too much, in this direction because a quotient of -0 then keeps its sign.
  const float excess = op.fma(d_low, quotient, op.fma(d, quotient, op.negative(cut)));
  const float value  = op.multiply(op.fma(op.negative(excess), inverse, quotient), unit);
  return select(op.above_or_nan(x, highest), x, bitwise_cast<uint32_t>(value));
}

/// The bits of silu(x) = x / (1 + exp(-x)) from those of x. NaN gives 7FC00000, values far below 0 give -0.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t silu_bits(uint32_t x, const Operations& op) noexcept {
  const bool nan = (x & binary<float>::magnitude_mask) > binary<float>::infinity;
  return select(nan, binary<float>::nan, silu_of_number(x, op));
}

/// The bits of the activation of a value, from its bits, whose NaN is 7FC00000 already.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t activate_bits(activation act, uint32_t x,
                                                               const Operations& op) noexcept {
  switch (act) {
    case activation::none: return x;
    case activation::relu: return (x & binary<float>::sign_mask) != 0 ? 0u : x;
    case activation::gelu: return gelu_bits(x, op);
    case activation::silu: return silu_bits(x, op);
  }
  return x;
}

QUAVER_END_NAMESPACE

#endif
