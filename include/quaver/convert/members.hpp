// SPDX-License-Identifier: MIT
#ifndef QUAVER_CONVERT_MEMBERS_HPP
#define QUAVER_CONVERT_MEMBERS_HPP

#include <quaver/convert/recode.hpp>

// The conversions that format/ declares: e4m3(0.1f), static_cast<float>(x).

QUAVER_BEGIN_NAMESPACE

template <int E, int M, specials Specials, int Bias>
template <conversion_source T>
QUAVER_HOST_DEVICE constexpr minifloat<E, M, Specials, Bias>::minifloat(T x) noexcept
    : minifloat(encode<minifloat>(x)) {}

template <int E, int M, specials Specials, int Bias>
template <arithmetic T>
QUAVER_HOST_DEVICE constexpr minifloat<E, M, Specials, Bias>::operator T() const noexcept {
  return decode<T>(*this);
}

template <conversion_source T>
QUAVER_HOST_DEVICE constexpr e8m0::e8m0(T x) noexcept : e8m0(encode<e8m0>(x)) {}

template <arithmetic T>
QUAVER_HOST_DEVICE constexpr e8m0::operator T() const noexcept {
  return decode<T>(*this);
}

static_assert(e4m3(0.3952f).bits() == 0x2D && static_cast<float>(e4m3(4.543)) == 4.5f && e5m2(e4m3(17)).bits() == 0x4C);

QUAVER_END_NAMESPACE

#endif
