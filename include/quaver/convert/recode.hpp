// SPDX-License-Identifier: MIT
#ifndef QUAVER_CONVERT_RECODE_HPP
#define QUAVER_CONVERT_RECODE_HPP

#include <quaver/convert/encode.hpp>

QUAVER_BEGIN_NAMESPACE

/// From one format to another with one rounding: binary32 holds every value of every format, so only the second step
/// rounds. rounding::stochastic takes a random word, as in encode.
template <any_format To, rounding R = rounding::nearest_even, overflow O = overflow::saturate, any_format From>
  requires(R != rounding::stochastic)
QUAVER_HOST_DEVICE constexpr To recode(From from) noexcept {
  return encode_bits<To, R, O>(decode_bits(from), 0);
}
template <any_format To, rounding R, overflow O = overflow::saturate, any_format From>
  requires(R == rounding::stochastic)
QUAVER_HOST_DEVICE constexpr To recode(From from, uint32_t random) noexcept {
  return encode_bits<To, R, O>(decode_bits(from), random);
}

/// The value of `f` as a half or bfloat16. Exact for the 8-, 6- and 4-bit formats in bfloat16, and in half for all but
/// e8m0 (and bfloat16); what is not exact rounds to nearest even, and beyond the range becomes infinity.
template <any_format T, any_format F>
  requires(sizeof(T) == 2)
QUAVER_HOST_DEVICE constexpr T decode(F f) noexcept {
  return recode<T, rounding::nearest_even, overflow::nonfinite>(f);
}

static_assert(decode<half>(e5m2::from_bits(0x7C)).bits() == 0x7C00 && decode<bfloat16>((e4m3::max)()).bits() == 0x43E0);
static_assert(recode<e5m2>(encode<e4m3>(17.0f)).bits() == encode<e5m2>(16.0f).bits());

QUAVER_END_NAMESPACE

#endif
