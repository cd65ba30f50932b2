// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_SHORTEST_HPP
#define QUAVER_VALUE_SHORTEST_HPP

#include <quaver/value/decimal.hpp>

// From a format to decimal digits: all of them, or the fewest that read back as the same code. The formats are small,
// so the second is found by trying, with the same code that will read the digits: nothing to prove about it but that.

QUAVER_BEGIN_NAMESPACE

/// digit[0].digit[1]digit[2]... * 10^exponent. There are no trailing zeros; zero is one digit.
struct decimal_digits {
  static constexpr int capacity = 120;  // 2^24 * 2^-149 has 112

  uint8_t digit[capacity] = {};
  int count               = 1;
  int exponent            = 0;

  constexpr void drop_trailing_zeros() noexcept {
    while (count > 1 && digit[count - 1] == 0) --count;
  }
  [[nodiscard]] constexpr bool whole() const noexcept { return exponent >= count - 1; }
};

/// The exact decimal value of |f|, for finite f.
template <any_format F>
constexpr decimal_digits exact_digits(F f) noexcept {
  const auto x         = unpack_bits<float>(decode_bits(f));  // exact
  uint32_t significand = x.significand;
  int exponent         = x.exponent - binary<float>::digits;
  decimal_digits digits;
  if (significand == 0) return digits;
  for (; significand % 2 == 0; significand /= 2) ++exponent;

  // m * 2^-e is (m * 5^e) / 10^e.
  natural number(significand);
  if (exponent >= 0) number <<= exponent;
  else number.multiply_by_power(5, -exponent);
  uint8_t backward[decimal_digits::capacity] = {};
  int count                                  = 0;
  while (!number.zero()) {
    // Nine digits a division; the last division may give zeros in front, which do not count.
    uint32_t chunk = number.divide(1'000'000'000);
    for (int i = 0; i < 9 && (chunk != 0 || !number.zero()); ++i, chunk /= 10) {
      backward[count++] = static_cast<uint8_t>(chunk % 10);
    }
  }
  for (int i = 0; i < count; ++i) digits.digit[i] = backward[count - 1 - i];
  digits.count    = count;
  digits.exponent = count - 1 + (exponent < 0 ? exponent : 0);
  digits.drop_trailing_zeros();
  return digits;
}

/// True where |f| is what from_chars makes of number * 10^ten.
template <any_format F>
constexpr bool reads_back(F f, uint64_t number, int ten) noexcept {
  written_number written;
  written.digits          = natural(number);
  written.ten             = ten;
  written.kind            = number_kind::finite;
  const unpacked_number x = unpack_number(written);
  using storage           = typename F::storage;
  if (!in_range<F, rounding::nearest_even>(x)) return false;
  const F back = encode_unpacked<F, rounding::nearest_even, overflow::saturate>(x, 0);
  if constexpr (same_type<F, e8m0>) return back.bits() == f.bits();
  else return back.bits() == static_cast<storage>(f.bits() & F::magnitude_mask);
}

/// The fewest digits that read back as |f|, and of those the nearest to it; a tie goes to the even digit. `exact` is
/// exact_digits(f).
template <any_format F>
constexpr decimal_digits shortest_digits(F f, const decimal_digits& exact) noexcept {
  // From the format's max_digits10 on one of the two candidates always reads back.
  uint64_t lower = 0;
  for (int count = 1; count < exact.count; ++count) {
    lower               = lower * 10 + exact.digit[count - 1];
    const int ten       = exact.exponent - (count - 1);
    const bool is_lower = reads_back(f, lower, ten);
    const bool is_upper = reads_back(f, lower + 1, ten);
    if (!is_lower && !is_upper) continue;

    const int next  = exact.digit[count];
    const bool tie  = next == 5 && exact.count == count + 1;
    const bool up   = !is_lower || (is_upper && (tie ? lower % 2 != 0 : next >= 5));
    uint64_t number = lower + static_cast<uint64_t>(up);
    decimal_digits shortest;
    shortest.exponent = exact.exponent;
    shortest.count    = count;
    for (int i = count - 1; i >= 0; --i, number /= 10) shortest.digit[i] = static_cast<uint8_t>(number % 10);
    if (number != 0) {  // 9 became 10
      shortest.digit[0] = 1;
      shortest.exponent += 1;
    }
    shortest.drop_trailing_zeros();
    return shortest;
  }
  return exact;
}

QUAVER_END_NAMESPACE

#endif
