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

  /// x, but not below `low`, which has a sign, be it that of -0: +0 is above it. NaN gives either.
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float at_least(float x, float low) const noexcept {
#if QUAVER_DEVICE_CODE
    float larger = 0;
    asm("max.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(low));
    return larger;
#else
    return bitwise_cast<float>(select(bitwise_cast<uint32_t>(x) > bitwise_cast<uint32_t>(low),
                                      bitwise_cast<uint32_t>(low), bitwise_cast<uint32_t>(x)));
#endif
  }
  /// |x|, but not above `high`; NaN gives either.
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float magnitude_at_most(float x, float high) const noexcept {
#if QUAVER_DEVICE_CODE
    float smaller = 0;
    asm("{\n .reg .f32 m;\n abs.f32 m, %1;\n min.f32 %0, m, %2;\n}" : "=f"(smaller) : "f"(x), "f"(high));
    return smaller;
#else
    const uint32_t magnitude = bitwise_cast<uint32_t>(x) & binary<float>::magnitude_mask;
    return bitwise_cast<float>(
        select(magnitude < bitwise_cast<uint32_t>(high), magnitude, bitwise_cast<uint32_t>(high)));
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

  /// 1 / d rounded to nearest, for d in [2^-126, 2^126). A reciprocal within an ulp becomes that by one step of Newton's,
  /// whatever it was: so the device may begin with its instruction, as its own divisions do, and hosts by the exponent.
  [[nodiscard]] QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float reciprocal(float d) const noexcept {
    return reciprocal_by(*this, d);
  }
  template <class Operations>
  QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE static float reciprocal_by(const Operations& op, float d) noexcept {
    const float minus_d = op.negative(d);
#if QUAVER_DEVICE_CODE
    float near = 0;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(near) : "f"(d));
#else
    // Within 12.5 %, then two steps of third order. From a power of two the step below does not leave it, where the float
    // above it is nearer to 1 / d: for a d of all ones. (From the float above, the step goes where it should.)
    const float guess      = bitwise_cast<float>(0x7EF3'11C7u - bitwise_cast<uint32_t>(d));
    const float error      = op.fma(minus_d, guess, 1.0f);
    const float closer     = op.fma(guess, op.fma(error, error, error), guess);
    const float rest       = op.fma(minus_d, closer, 1.0f);
    const uint32_t closest = bitwise_cast<uint32_t>(op.fma(closer, op.fma(rest, rest, rest), closer));
    const float near       = bitwise_cast<float>(closest + static_cast<uint32_t>((closest & 0x007F'FFFFu) == 0));
#endif
    return op.fma(near, op.fma(minus_d, near, 1.0f), near);
  }

 private:
  uint32_t hidden_ = 0;
};

/// How gelu finds t * Phi(-t) over a range of t: exp(-t^2 / 2 + ln Phi(-t) exp(t^2 / 2)) with -2 times that logarithm
/// being `halvings` * 2 ln 2 + slope * t + (t - origin) * series(t - centre). The first two terms and the zero at `origin` leave
/// little to the series, and so to its rounding.
struct gelu_piece {
  float origin;
  float centre;
  float slope;
  float c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10;  ///< of the series: no array, which device code could not read
  uint32_t exponent;  ///< that of 2^-halvings as binary32 has it; 64 more where results are to be multiplied by 2^-64
};
inline constexpr float gelu_near_end = 5.0f;   ///< for negative x
inline constexpr float gelu_same     = 6.0f;   ///< gelu(x) = x from here on; what the series gives from 5 to 6 does
inline constexpr float gelu_far_end  = 15.0f;  ///< beyond it the tail is below every subnormal
/// The series is within 2^-26 of its function, relative to what it is multiplied with.
inline constexpr gelu_piece gelu_near{0.0f,
                                      2.5f,
                                      1.0f,
                                      0x1.61ec4ap-7f,
                                      -0x1.2b4354p-3f,
                                      0x1.768b34p-6f,
                                      -0x1.c12e3p-9f,
                                      0x1.e522e4p-12f,
                                      -0x1.aeaebap-15f,
                                      0x1.d0039p-19f,
                                      0x1.397bd8p-22f,
                                      -0x1.9b204ep-23f,
                                      0x1.92c864p-25f,
                                      -0x1.57585ep-28f,
                                      126};
inline constexpr gelu_piece gelu_far{0x1.8eb732p+2f,
                                     10.0f,
                                     0.0f,
                                     0x1.f25a12p-3f,
                                     -0x1.99cdf6p-7f,
                                     0x1.a9a6fap-11f,
                                     -0x1.e1803ap-15f,
                                     0x1.1bab06p-18f,
                                     -0x1.554a94p-22f,
                                     0x1.9270fcp-26f,
                                     -0x1.c7393cp-30f,
                                     0x1.42d904p-33f,
                                     -0x1.0b9b86p-36f,
                                     0x1.c24604p-41f,
                                     123 + 64};

/// Which piece's constants: the near one's always, or as a comparison says.
struct always_near {
  template <class T>
  QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE T operator()(T near, T /*far*/) const noexcept {
    return near;
  }
};
struct near_or_far {
  bool is_far;
  QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t operator()(uint32_t near, uint32_t far) const noexcept {
    return select(is_far, far, near);
  }
  QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float operator()(float near, float far) const noexcept {
    return bitwise_cast<float>(select(is_far, bitwise_cast<uint32_t>(far), bitwise_cast<uint32_t>(near)));
  }
};

/// t * Phi(-t) in a piece's range, t being a magnitude and `from_origin` = t - origin.
template <class Piece, class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float gelu_tail(float t, float from_origin, const Piece& piece,
                                                        const Operations& op) noexcept {
  const float u = op.add(t, -piece(gelu_near.centre, gelu_far.centre));
  float series  = piece(gelu_near.c10, gelu_far.c10);
  series        = op.fma(series, u, piece(gelu_near.c9, gelu_far.c9));
  series        = op.fma(series, u, piece(gelu_near.c8, gelu_far.c8));
  series        = op.fma(series, u, piece(gelu_near.c7, gelu_far.c7));
  series        = op.fma(series, u, piece(gelu_near.c6, gelu_far.c6));
  series        = op.fma(series, u, piece(gelu_near.c5, gelu_far.c5));
  series        = op.fma(series, u, piece(gelu_near.c4, gelu_far.c4));
  series        = op.fma(series, u, piece(gelu_near.c3, gelu_far.c3));
  series        = op.fma(series, u, piece(gelu_near.c2, gelu_far.c2));
  series        = op.fma(series, u, piece(gelu_near.c1, gelu_far.c1));
  series        = op.fma(series, u, piece(gelu_near.c0, gelu_far.c0));

  // t^2 as a pair. By way of t^2 + 2, so that below 2 its last bit is at 2^-22 and `coarse` is exact.
  const float square     = op.add(op.fma(t, t, 2.0f), -2.0f);
  const float square_low = op.fma(t, t, op.negative(square));

  // exp(-y / 2) = 2^-n exp(-r / 2) with n = y / (2 ln 2) to the nearest integer: adding 1.5 * 2^23 rounds, and leaves -n in the
  // low bits.
  constexpr float half_log2_e = 0x1.715476p-1f;
  constexpr float two_ln2     = 0x1.62e4p+0f;  // 15 bits, so that its products with n are exact
  constexpr float two_ln2_low = 0x1.7f7d1cp-19f;
  constexpr float anchor      = 0x1.8p23f;
  const float y               = op.fma(series, from_origin, op.fma(piece(gelu_near.slope, gelu_far.slope), t, square));
  const float sum             = op.fma(y, -half_log2_e, anchor);
  const float minus_n         = op.add(sum, -anchor);
  const float coarse          = op.fma(minus_n, two_ln2, square);
  const float fine            = op.fma(series, from_origin, op.fma(minus_n, two_ln2_low, square_low));
  const float r               = op.add(op.fma(piece(gelu_near.slope, gelu_far.slope), t, coarse), fine);

  // exp(-r / 2) - 1 = r * (-1/2 + r * (1/8 - ...)), coefficients fitted within 2^-28.
  float e              = 0x1.6d5426p-16f;
  e                    = op.fma(e, r, -0x1.123d6cp-12f);
  e                    = op.fma(e, r, 0x1.5554e2p-9f);
  e                    = op.fma(e, r, -0x1.55548cp-6f);
  e                    = op.fma(e, r, 0x1p-3f);
  e                    = op.multiply(op.fma(e, r, -0.5f), r);
  const uint32_t power = (bitwise_cast<uint32_t>(sum) << 23) + (piece(gelu_near.exponent, gelu_far.exponent) << 23);
  const float tp       = op.multiply(t, bitwise_cast<float>(power));
  return op.fma(tp, e, tp);
}

/// gelu(x) = x * Phi(x) for x from -5 on: t = |x| has gelu(-t) = -t Phi(-t) and gelu(t) = t - t Phi(-t).
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float gelu_of_near(float x, const Operations& op) noexcept {
  const float t = op.magnitude_at_most(x, gelu_same);
  return op.add(op.at_least(x, -0.0f), op.negative(gelu_tail(t, t, always_near(), op)));
}

/// gelu of what is no NaN; NaN gives anything.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float gelu_of_number(float x, const Operations& op) noexcept {
  constexpr float unit = 0x1p-64f;  // so that the tail is no subnormal before its last step
  const bool is_far    = bitwise_cast<uint32_t>(x) > bitwise_cast<uint32_t>(-gelu_near_end);
#if QUAVER_DEVICE_CODE
  if (!is_far) return gelu_of_near(x, op);
#endif
  const near_or_far piece{is_far};  // on hosts without a branch
  const float t    = op.magnitude_at_most(x, piece(gelu_same, gelu_far_end));
  const float tail = gelu_tail(t, op.add(t, -piece(gelu_near.origin, gelu_far.origin)), piece, op);
  return op.multiply(op.add(op.at_least(x, -0.0f), op.negative(tail)), piece(1.0f, unit));
}

/// The bits of gelu(x) from those of x. NaN gives 7FC00000, values far below 0 give -0.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t gelu_bits(uint32_t x, const Operations& op) noexcept {
  const bool nan = (x & binary<float>::magnitude_mask) > binary<float>::infinity;
  return select(nan, binary<float>::nan, bitwise_cast<uint32_t>(gelu_of_number(bitwise_cast<float>(x), op)));
}

/// exp(-x) = p * (1 + s), p being 2^-n times a power of two that is given as an exponent to add.
struct silu_power {
  float p;
  float s;
};
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE silu_power exp_of_minus(float x, uint32_t exponent,
                                                                const Operations& op) noexcept {
  // n = -x / ln 2 to the nearest integer: the addition of 1.5 * 2^23 rounds, and leaves n in the low bits.
  constexpr float log2_e   = 0x1.715476p+0f;
  constexpr float ln2_high = 0x1.62e4p-1f;  // 15 bits, so that its products with n are exact
  constexpr float ln2_low  = 0x1.7f7d1cp-20f;
  constexpr float anchor   = 0x1.8p23f;
  const float sum          = op.fma(x, -log2_e, anchor);
  const float n            = op.add(sum, -anchor);
  float r                  = op.fma(n, -ln2_high, op.negative(x));
  r                        = op.fma(n, -ln2_low, r);

  // exp(r) - 1 = r + r^2 * (1/2 + r/6 + ...), coefficients fitted within 2^-28 of exp(r).
  float series  = 0x1.6a23ccp-10f;
  series        = op.fma(series, r, 0x1.123a2p-7f);
  series        = op.fma(series, r, 0x1.5558f2p-5f);
  series        = op.fma(series, r, 0x1.555492p-3f);
  series        = op.fma(series, r, 0x1.fffffcp-2f);
  const float s = op.fma(series, op.multiply(r, r), r);
  return {bitwise_cast<float>((bitwise_cast<uint32_t>(sum) << 23) + (exponent << 23)), s};
}

/// x / d, rounded to nearest unless what is left of x is too small for a float. d as for reciprocal. A quotient of -0 keeps
/// its sign because of the excess's.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float quotient_of(float x, float d, const Operations& op) noexcept {
  const float inverse  = op.reciprocal(d);
  const float quotient = op.multiply(x, inverse);
  const float excess   = op.fma(d, quotient, op.negative(x));
  return op.fma(op.negative(excess), inverse, quotient);
}

/// silu of |x| < 16.
inline constexpr float silu_near_end = 16.0f;
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE float silu_of_near(float x, const Operations& op) noexcept {
  const silu_power e = exp_of_minus(x, 127, op);
  return quotient_of(x, op.fma(e.p, e.s, op.add(e.p, 1.0f)), op);
}

/// silu_bits for what is no NaN; a NaN stays as it is. As silu_of_near, but the denominator is times 2^-40, so that neither
/// end of the range leaves the floats, and where exp(-x) is large the 1 goes where it is not lost.
template <class Operations>
QUAVER_HOST_DEVICE QUAVER_ALWAYS_INLINE uint32_t silu_of_number(uint32_t x, const Operations& op) noexcept {
  // From far below it on silu(x) is x to the last bit; what is computed above it is not used.
  constexpr float highest = 40.0f;
  constexpr float unit    = 0x1p-40f;
  const float cut         = op.at_least(bitwise_cast<float>(x), -110.0f);  // silu is below every subnormal there
  const silu_power e      = exp_of_minus(cut, 127 - 40, op);
  const float near        = op.fma(e.p, e.s, op.add(e.p, unit));
  const float far         = op.add(op.fma(e.p, e.s, unit), e.p);
  const bool is_far       = x > bitwise_cast<uint32_t>(-silu_near_end);
  const float d     = bitwise_cast<float>(select(is_far, bitwise_cast<uint32_t>(far), bitwise_cast<uint32_t>(near)));
  const float value = op.multiply(quotient_of(cut, d, op), unit);
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
