// SPDX-License-Identifier: MIT
#ifndef QUAVER_BASE_BITS_HPP
#define QUAVER_BASE_BITS_HPP

#include <quaver/base/config.hpp>

#if !QUAVER_NVRTC
#include <cstddef>
#include <cstdint>
#endif

QUAVER_BEGIN_NAMESPACE

#if QUAVER_NVRTC
// NVRTC has no standard headers; these are the widths that every CUDA target has.
using int8_t   = signed char;
using int16_t  = short;
using int32_t  = int;
using int64_t  = long long;
using uint8_t  = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
using size_t   = decltype(sizeof(0));
#else
using std::int16_t;
using std::int32_t;
using std::int64_t;
using std::int8_t;
using std::size_t;
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;
#endif

static_assert(sizeof(float) == 4 && sizeof(double) == 8, "binary32 and binary64");

/// The bytes of `from` read as a `To`. Spelt through the builtin because <bit> costs more to include than all of
/// convert/, and because NVRTC has no <bit>.
template <class To, class From>
  requires(sizeof(To) == sizeof(From))
QUAVER_HOST_DEVICE constexpr To bitwise_cast(const From& from) noexcept {
  return __builtin_bit_cast(To, from);
}

/// Zero bits above the highest set bit; 64 for 0. In constants of device code by halves: what counts them there is not
/// constexpr.
QUAVER_HOST_DEVICE constexpr int leading_zeros(uint64_t x) noexcept {
  if (x == 0) return 64;
#if !QUAVER_NVRTC && !QUAVER_DEVICE_CODE
  return __builtin_clzll(x);
#else
#if QUAVER_DEVICE_CODE
  if (!__builtin_is_constant_evaluated()) return __clzll(static_cast<long long>(x));
#endif
  int count = 0;
  for (int half = 32; half != 0; half /= 2) {
    if (x >> (64 - half) == 0) {
      count += half;
      x <<= half;
    }
  }
  return count;
#endif
}
static_assert(leading_zeros(0) == 64 && leading_zeros(1) == 63 && leading_zeros(~uint64_t{0}) == 0);

template <class T, class U>
inline constexpr bool same_type = false;
template <class T>
inline constexpr bool same_type<T, T> = true;

/// The integer types that conversions take. bool and the character types are left out on purpose.
template <class T>
concept conversion_integer =
    same_type<T, signed char> || same_type<T, unsigned char> || same_type<T, short> || same_type<T, unsigned short> ||
    same_type<T, int> || same_type<T, unsigned> || same_type<T, long> || same_type<T, unsigned long> ||
    same_type<T, long long> || same_type<T, unsigned long long>;

/// float, double and the integers: what C++ calls arithmetic, less bool and the character types.
template <class T>
concept arithmetic = same_type<T, float> || same_type<T, double> || conversion_integer<T>;

QUAVER_END_NAMESPACE

#endif
