// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_MINIFLOAT_HPP
#define QUAVER_FORMAT_MINIFLOAT_HPP

#include <quaver/base/bits.hpp>
#include <quaver/format/rounding.hpp>

QUAVER_BEGIN_NAMESPACE

/// Which codes of a sign-exponent-mantissa format are not finite numbers.
enum class specials : uint8_t {
  ieee,      ///< the top exponent: mantissa 0 is infinity, the rest NaN (E5M2, binary16, bfloat16)
  nan_only,  ///< magnitude all ones is NaN, there is no infinity (OCP E4M3, "fn")
  fnuz,      ///< the code of -0 is the one NaN; no infinity, no -0 ("finite, NaN, unsigned zero")
  p3109,     ///< the code of -0 is the one NaN; magnitude all ones is infinity (IEEE P3109 extended domain)
  none,      ///< every code is finite (OCP MX 6- and 4-bit formats)
};

/// The customary exponent bias: 2^(E-1) - 1, and one more where the special codes do not take the top exponent.
QUAVER_HOST_DEVICE constexpr int default_bias(int exponent_bits, specials special) noexcept {
  return (1 << (exponent_bits - 1)) - (special == specials::fnuz || special == specials::p3109 ? 0 : 1);
}

/// True for minifloat and e8m0.
template <class T>
inline constexpr bool is_format = false;

/// What a format can be made from by one rounding.
template <class T>
concept conversion_source = arithmetic<T> || is_format<T>;

/// The unsigned integer of this many bytes.
template <int Bytes>
struct code_of_width {
  using type = uint8_t;
};
template <>
struct code_of_width<2> {
  using type = uint16_t;
};
template <>
struct code_of_width<4> {
  using type = uint32_t;
};

/// A floating-point value of 1 sign bit, `E` exponent bits and `M` mantissa bits, stored in the low bits of one byte
/// (two for the 16-bit formats, four for binary32). With sign s, exponent field e and mantissa field m it stands for
///
///     (-1)^s * 2^(e - Bias) * (1 + m / 2^M)    where e > 0
///     (-1)^s * 2^(1 - Bias) * (m / 2^M)        where e = 0
///
/// but for the codes that `Specials` takes out. Trivially copyable; comparison is IEEE 754's (NaN is unordered, -0
/// equals +0). There is no arithmetic: include value/arithmetic.hpp to opt in. The conversions declared here are
/// defined in convert/members.hpp.
template <int E, int M, specials Specials = specials::ieee, int Bias = default_bias(E, Specials)>
class minifloat {
  static_assert(E >= 1 && E <= 8 && M >= 0 && M <= 23, "formats up to binary32");
  static_assert(M >= 1 || Specials == specials::none, "special codes need a mantissa bit");

 public:
  static constexpr int width            = 1 + E + M;
  static constexpr int exponent_bits    = E;
  static constexpr int mantissa_bits    = M;
  static constexpr int exponent_bias    = Bias;
  static constexpr specials special     = Specials;
  static constexpr bool has_infinity    = Specials == specials::ieee || Specials == specials::p3109;
  static constexpr bool has_nan         = Specials != specials::none;
  static constexpr bool has_signed_zero = Specials != specials::fnuz && Specials != specials::p3109;

  using storage = typename code_of_width<(width <= 8 ? 1 : width <= 16 ? 2 : 4)>::type;

  static constexpr storage sign_mask      = static_cast<storage>(1u << (width - 1));
  static constexpr storage magnitude_mask = static_cast<storage>(sign_mask - 1u);

  /// Magnitude of infinity, one above the largest finite one. Only where there is an infinity.
  static constexpr storage infinity_magnitude =
      Specials == specials::ieee ? static_cast<storage>(((1u << E) - 1u) << M) : magnitude_mask;

  /// Magnitude of the largest finite value. The codes are ordered like the values they stand for.
  static constexpr storage max_magnitude = has_infinity ? static_cast<storage>(infinity_magnitude - 1u)
                                           : Specials == specials::nan_only ? static_cast<storage>(magnitude_mask - 1u)
                                                                            : magnitude_mask;

  /// The NaN that every conversion gives. E5M2: 7F, all ones, as the GPU's instruction; binary16 and bfloat16: the
  /// quiet NaN with no payload, 7E00 and 7FC0; no NaN in the format: the largest value, as cuda_fp8.h does.
  static constexpr storage nan_code = Specials == specials::none ? max_magnitude
                                      : !has_signed_zero         ? sign_mask
                                      : Specials == specials::nan_only || width <= 8
                                          ? magnitude_mask
                                          : static_cast<storage>(infinity_magnitude | (1u << (M - 1)));

  minifloat() = default;

  /// Rounds to nearest even and saturates, as encode does by default.
  template <conversion_source T>
  QUAVER_HOST_DEVICE explicit constexpr minifloat(T x) noexcept;

  /// The value: exact as float and double, cut off as an integer; see decode.
  template <arithmetic T>
  QUAVER_HOST_DEVICE explicit constexpr operator T() const noexcept;

  /// The value with this code. Bits above `width` are ignored.
  QUAVER_HOST_DEVICE static constexpr minifloat from_bits(storage code) noexcept {
    minifloat value;
    value.code_ = static_cast<storage>(code & (sign_mask | magnitude_mask));
    return value;
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr storage bits() const noexcept { return code_; }

  // Parenthesised, because some platforms define min and max as macros.
  QUAVER_HOST_DEVICE static constexpr minifloat(max)() noexcept { return from_bits(max_magnitude); }
  QUAVER_HOST_DEVICE static constexpr minifloat lowest() noexcept { return -(max)(); }
  /// The smallest positive normal value.
  QUAVER_HOST_DEVICE static constexpr minifloat(min)() noexcept { return from_bits(static_cast<storage>(1u << M)); }
  /// The smallest positive value.
  QUAVER_HOST_DEVICE static constexpr minifloat denorm_min() noexcept { return from_bits(1); }
  QUAVER_HOST_DEVICE static constexpr minifloat nan() noexcept { return from_bits(nan_code); }
  QUAVER_HOST_DEVICE static constexpr minifloat infinity() noexcept
    requires has_infinity
  {
    return from_bits(infinity_magnitude);
  }

  [[nodiscard]] QUAVER_HOST_DEVICE constexpr bool is_nan() const noexcept {
    if constexpr (Specials == specials::none) return false;
    else if constexpr (!has_signed_zero) return code_ == nan_code;
    else return (code_ & magnitude_mask) > (has_infinity ? infinity_magnitude : max_magnitude);
  }

  /// Flips the sign; zero and NaN of the formats without -0 stay what they are.
  QUAVER_HOST_DEVICE constexpr minifloat operator-() const noexcept {
    if (!has_signed_zero && (code_ & magnitude_mask) == 0) return *this;
    return from_bits(static_cast<storage>(code_ ^ sign_mask));
  }

  QUAVER_HOST_DEVICE friend constexpr bool operator==(minifloat a, minifloat b) noexcept {
    return ordered(a, b) && a.rank() == b.rank();
  }
  QUAVER_HOST_DEVICE friend constexpr bool operator<(minifloat a, minifloat b) noexcept {
    return ordered(a, b) && a.rank() < b.rank();
  }
  QUAVER_HOST_DEVICE friend constexpr bool operator<=(minifloat a, minifloat b) noexcept {
    return ordered(a, b) && a.rank() <= b.rank();
  }
  QUAVER_HOST_DEVICE friend constexpr bool operator>(minifloat a, minifloat b) noexcept { return b < a; }
  QUAVER_HOST_DEVICE friend constexpr bool operator>=(minifloat a, minifloat b) noexcept { return b <= a; }

 private:
  QUAVER_HOST_DEVICE static constexpr bool ordered(minifloat a, minifloat b) noexcept {
    return !a.is_nan() && !b.is_nan();
  }

  /// An integer in the order of the values; both zeros give 0.
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr int rank() const noexcept {
    const int magnitude = code_ & magnitude_mask;
    return (code_ & sign_mask) != 0 ? -magnitude : magnitude;
  }

  storage code_;
};

template <class T>
inline constexpr bool is_minifloat = false;
template <int E, int M, specials Specials, int Bias>
inline constexpr bool is_minifloat<minifloat<E, M, Specials, Bias>> = true;
template <int E, int M, specials Specials, int Bias>
inline constexpr bool is_format<minifloat<E, M, Specials, Bias>> = true;

QUAVER_END_NAMESPACE

#endif
