// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_LIMITS_HPP
#define QUAVER_FORMAT_LIMITS_HPP

#include <quaver/format/formats.hpp>

// NVRTC has no <limits> to specialise.
#if !QUAVER_NVRTC

#include <limits>

QUAVER_BEGIN_NAMESPACE

/// True where 10^power <= significand * 2^exponent, for significands of at most 24 bits in the range of a binary32.
constexpr bool power_of_ten_fits(int power, uint32_t significand, int exponent) noexcept {
  __extension__ using wide = unsigned __int128;  // 5^40 has 93 bits
  const int fives          = power < 0 ? -power : power;
  wide power_of_five       = 1;
  for (int i = 0; i < fives; ++i) power_of_five *= 5;
  // Divided by 2^power on both sides: 5^power <= significand * 2^shift.
  const int shift = exponent - power;
  if (power < 0) return shift >= 0 || (shift > -128 && significand * power_of_five >> -shift != 0);
  if (shift >= 0) return shift >= 128 || (power_of_five - 1) >> shift < significand;
  return shift > -32 && power_of_five <= significand >> -shift;
}

/// The largest n with 10^n <= significand * 2^exponent.
constexpr int floor_log10(uint32_t significand, int exponent) noexcept {
  int power = 40;  // no binary32 is that large
  while (!power_of_ten_fits(power, significand, exponent)) --power;
  return power;
}

/// What std::numeric_limits says of a format, computed in integers from the format's own constants.
template <any_format F>
struct format_limits {
 private:
  static constexpr bool is_scale = same_type<F, e8m0>;  // no sign, no zero, no subnormals: code 0 is an ordinary power

  // The exponent field stands for 2^(field - bias), in e8m0 too.
  static constexpr int min_field         = is_scale ? 0 : 1;
  static constexpr int max_field         = static_cast<int>((F::max)().bits() >> F::mantissa_bits);
  static constexpr uint32_t implicit_bit = uint32_t{1} << F::mantissa_bits;

  /// 2^exponent as a value of F, or the smallest positive value where that is larger.
  QUAVER_HOST_DEVICE static constexpr F power_of_two(int exponent) noexcept {
    using storage   = typename F::storage;
    const int field = exponent + F::exponent_bias;
    if (field >= min_field) return F::from_bits(static_cast<storage>(field << F::mantissa_bits));
    const int shift = F::mantissa_bits - 1 + field;
    return shift > 0 ? F::from_bits(static_cast<storage>(1 << shift)) : denorm_min();
  }

 public:
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed      = !is_scale;
  static constexpr bool is_integer     = false;
  static constexpr bool is_exact       = false;
  static constexpr bool is_bounded     = true;
  static constexpr bool is_modulo      = false;

  /// False for every format, for half and bfloat16 too, whose bits are binary16's and the upper half of binary32's: the
  /// standard asks whether the *type* adheres to IEEE 754, which is a matter of operations as well as encodings. These
  /// types have no operations unless asked for, their conversions saturate by default where 7.4 demands infinity, and
  /// nothing raises the exception flags of clause 7.
  static constexpr bool is_iec559 = false;

  static constexpr int radix        = 2;
  static constexpr int digits       = F::mantissa_bits + 1;
  static constexpr int digits10     = F::mantissa_bits * 30103 / 100000;  // log10(2) = 0.30103, to 2e-8
  static constexpr int max_digits10 = 2 + digits * 30103 / 100000;        // ceil(1 + digits * log10(2))

  /// One more than the exponents of (min)() and (max)(), as <cfloat> counts.
  static constexpr int min_exponent = min_field - F::exponent_bias + 1;
  static constexpr int max_exponent = max_field - F::exponent_bias + 1;
  /// The smallest n with 10^n >= (min)(). That is a power of two, and a power of ten only where it is 1.
  static constexpr int min_exponent10 = floor_log10(1, min_exponent - 1) + (min_exponent == 1 ? 0 : 1);
  /// The largest n with 10^n <= (max)().
  static constexpr int max_exponent10 =
      floor_log10((F::max)().bits() % implicit_bit + implicit_bit, max_exponent - digits);

  static constexpr bool has_infinity  = F::has_infinity;
  static constexpr bool has_quiet_NaN = F::has_nan;
  /// Nothing here signals, whatever the bits of the NaN.
  static constexpr bool has_signaling_NaN = false;
  static constexpr bool has_denorm_loss   = false;

// Deprecated in C++23, and still read by generic code of C++20.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  static constexpr std::float_denorm_style has_denorm =
      is_scale || F::mantissa_bits == 0 ? std::denorm_absent : std::denorm_present;
#pragma GCC diagnostic pop

  static constexpr std::float_round_style round_style = std::round_to_nearest;
  static constexpr bool traps                         = false;
  static constexpr bool tinyness_before               = false;

  QUAVER_HOST_DEVICE static constexpr F(min)() noexcept { return (F::min)(); }
  QUAVER_HOST_DEVICE static constexpr F lowest() noexcept { return F::lowest(); }
  QUAVER_HOST_DEVICE static constexpr F(max)() noexcept { return (F::max)(); }
  /// From 1 to the next value.
  QUAVER_HOST_DEVICE static constexpr F epsilon() noexcept { return power_of_two(-F::mantissa_bits); }
  /// Half a unit in the last place: rounding is to nearest.
  QUAVER_HOST_DEVICE static constexpr F round_error() noexcept { return power_of_two(-1); }
  /// Where there are no subnormals the smallest normal, as the standard has it.
  QUAVER_HOST_DEVICE static constexpr F denorm_min() noexcept {
    if constexpr (is_scale) return (F::min)();
    else return F::denorm_min();
  }
  /// Where the format has no infinity or no NaN, the two below say what a cast makes of one: the largest value.
  QUAVER_HOST_DEVICE static constexpr F infinity() noexcept {
    if constexpr (F::has_infinity) return F::from_bits(F::infinity_magnitude);
    else return (F::max)();
  }
  QUAVER_HOST_DEVICE static constexpr F quiet_NaN() noexcept { return F::nan(); }
  QUAVER_HOST_DEVICE static constexpr F signaling_NaN() noexcept { return F::nan(); }
};

QUAVER_END_NAMESPACE

template <int E, int M, quaver::specials Specials, int Bias>
class std::numeric_limits<quaver::minifloat<E, M, Specials, Bias>>
    : public quaver::format_limits<quaver::minifloat<E, M, Specials, Bias>> {};

template <>
class std::numeric_limits<quaver::e8m0> : public quaver::format_limits<quaver::e8m0> {};

QUAVER_BEGIN_NAMESPACE

static_assert(std::numeric_limits<e4m3>::digits == 4 &&
              std::numeric_limits<e4m3>::max_exponent == 9);  // 448 = 0.875 * 2^9
static_assert(std::numeric_limits<e4m3>::min_exponent == -5 &&
              std::numeric_limits<e4m3>::min_exponent10 == -1);  // 2^-6 < 0.1
static_assert(std::numeric_limits<e5m2>::max_exponent10 == 4 && std::numeric_limits<half>::min_exponent10 == -4);
static_assert(std::numeric_limits<e2m1>::epsilon().bits() == 0x1);  // 1.5 - 1 = 0.5, a subnormal here
static_assert(std::numeric_limits<bfloat16>::max_digits10 == 4 && std::numeric_limits<half>::max_digits10 == 5);

QUAVER_END_NAMESPACE

#endif

#endif
