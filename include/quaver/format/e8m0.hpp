// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_E8M0_HPP
#define QUAVER_FORMAT_E8M0_HPP

#include <quaver/format/minifloat.hpp>

QUAVER_BEGIN_NAMESPACE

class e8m0;
template <>
inline constexpr bool is_format<e8m0> = true;

/// A power of two, 2^(code - 127), from 2^-127 (00) to 2^127 (FE); FF is NaN. There is no sign, no zero and no
/// infinity: a scale format (OCP MX 1.0, section 5.4.1). Note that code 00 is a subnormal binary32.
class e8m0 {
 public:
  using storage = uint8_t;

  static constexpr int width            = 8;
  static constexpr int exponent_bits    = 8;
  static constexpr int mantissa_bits    = 0;
  static constexpr int exponent_bias    = 127;
  static constexpr bool has_infinity    = false;
  static constexpr bool has_nan         = true;
  static constexpr bool has_signed_zero = false;

  e8m0() = default;

  /// See minifloat; defined in convert/members.hpp.
  template <conversion_source T>
  QUAVER_HOST_DEVICE explicit constexpr e8m0(T x) noexcept;
  template <arithmetic T>
  QUAVER_HOST_DEVICE explicit constexpr operator T() const noexcept;

  QUAVER_HOST_DEVICE static constexpr e8m0 from_bits(storage code) noexcept {
    e8m0 value;
    value.code_ = code;
    return value;
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr storage bits() const noexcept { return code_; }

  QUAVER_HOST_DEVICE static constexpr e8m0(max)() noexcept { return from_bits(0xFE); }
  QUAVER_HOST_DEVICE static constexpr e8m0(min)() noexcept { return from_bits(0x00); }
  /// There are no negatives: the smallest value is the lowest.
  QUAVER_HOST_DEVICE static constexpr e8m0 lowest() noexcept { return from_bits(0x00); }
  QUAVER_HOST_DEVICE static constexpr e8m0 nan() noexcept { return from_bits(0xFF); }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr bool is_nan() const noexcept { return code_ == 0xFF; }

  QUAVER_HOST_DEVICE friend constexpr bool operator==(e8m0 a, e8m0 b) noexcept {
    return ordered(a, b) && a.code_ == b.code_;
  }
  QUAVER_HOST_DEVICE friend constexpr bool operator<(e8m0 a, e8m0 b) noexcept {
    return ordered(a, b) && a.code_ < b.code_;
  }
  QUAVER_HOST_DEVICE friend constexpr bool operator<=(e8m0 a, e8m0 b) noexcept {
    return ordered(a, b) && a.code_ <= b.code_;
  }
  QUAVER_HOST_DEVICE friend constexpr bool operator>(e8m0 a, e8m0 b) noexcept { return b < a; }
  QUAVER_HOST_DEVICE friend constexpr bool operator>=(e8m0 a, e8m0 b) noexcept { return b <= a; }

 private:
  QUAVER_HOST_DEVICE static constexpr bool ordered(e8m0 a, e8m0 b) noexcept { return !a.is_nan() && !b.is_nan(); }

  storage code_;
};

QUAVER_END_NAMESPACE

#endif
