// SPDX-License-Identifier: MIT
#ifndef QUAVER_REFERENCE_TENSOR_CORE_HPP
#define QUAVER_REFERENCE_TENSOR_CORE_HPP

// The arithmetic of Hopper's FP8 matrix instruction (wgmma m64nNk32), bit for bit, in integers. Found by probing an H100;
// tests/cuda compares it with the card. One instruction adds 32 products and the accumulator at once:
//   1. Each product is exact. Its exponent is the sum of the operands' exponents, not normalised; a subnormal operand
//      counts with the exponent of the smallest normal.
//   2. e is the largest exponent among the products and the accumulator that are not zero.
//   3. Each magnitude is cut off to a multiple of 2^(e-13), then all are added exactly.
//   4. The sum becomes the next accumulator: a float by cutting it off to 14 significant bits, a half by rounding it to
//      nearest even, too large ones to infinity. Whatever becomes zero is +0. NaN, 0 * inf and inf - inf are 7FFFFFFF or
//      7FFF.
// So a float accumulator has zeros as its low 10 bits, and small terms beside a large one are lost one by one: the
// fewer additions share an accumulator, the better, which is why strict accumulation starts a new one each 128 of K.

#include <quaver/format/formats.hpp>

#include <bit>

QUAVER_BEGIN_NAMESPACE

namespace reference {

/// The products that one instruction adds, and those after which strict accumulation adds into a float.
inline constexpr int tensor_core_step      = 32;
inline constexpr int tensor_core_promotion = 128;

template <class F>
concept tensor_core_operand = same_type<F, e4m3> || same_type<F, e5m2>;

/// A number taken apart: (-1)^negative * significand * 2^(exponent - digits), where `digits` depends on its type.
struct tensor_core_term {
  uint32_t significand = 0;
  int exponent         = 0;
  bool negative        = false;
  bool infinite        = false;
  bool nan             = false;
};

template <class F>
constexpr tensor_core_term take_apart(F f) noexcept {
  const uint32_t code     = f.bits();
  const uint32_t fraction = code & ((uint32_t{1} << F::mantissa_bits) - 1);
  const uint32_t field    = (code & F::magnitude_mask) >> F::mantissa_bits;
  const bool infinite     = F::has_infinity && (code & F::magnitude_mask) == F::infinity_magnitude;
  return {.significand = field == 0 ? fraction : fraction | uint32_t{1} << F::mantissa_bits,
          .exponent    = (field == 0 ? 1 : static_cast<int>(field)) - F::exponent_bias,
          .negative    = (code & F::sign_mask) != 0,
          .infinite    = infinite,
          .nan         = f.is_nan()};
}

/// significand * 2^(exponent - digits) in units of 2^(top - 13), cut off.
constexpr int64_t aligned(const tensor_core_term& term, int digits, int top) noexcept {
  if (term.significand == 0) return 0;  // its exponent may be above the top
  const int right         = top - 13 - term.exponent + digits;
  const int64_t magnitude = right >= 32  ? 0
                            : right >= 0 ? int64_t{term.significand >> right}
                                         : int64_t{term.significand} << -right;
  return term.negative ? -magnitude : magnitude;
}

/// The sum of 32 products and an accumulator before it is rounded: sum * 2^(top - 13).
struct tensor_core_sum {
  int64_t sum = 0;
  int top     = 0;
  bool nan    = false;
  bool plus   = false;  ///< +inf
  bool minus  = false;
};

template <tensor_core_operand A, tensor_core_operand B, class Accumulator>
constexpr tensor_core_sum add_products(const A* a, const B* b, Accumulator accumulator) noexcept {
  constexpr int digits         = A::mantissa_bits + B::mantissa_bits;
  constexpr int lowest         = -1000;
  const tensor_core_term start = take_apart(accumulator);
  tensor_core_term products[tensor_core_step];
  tensor_core_sum result{.sum   = 0,
                         .top   = start.significand != 0 ? start.exponent : lowest,
                         .nan   = start.nan,
                         .plus  = start.infinite && !start.negative,
                         .minus = start.infinite && start.negative};
  for (int i = 0; i < tensor_core_step; ++i) {
    const tensor_core_term x = take_apart(a[i]);
    const tensor_core_term y = take_apart(b[i]);
    const bool infinite      = x.infinite || y.infinite;
    const bool zero          = x.significand == 0 || y.significand == 0;
    const bool negative      = x.negative != y.negative;
    products[i]              = {
                     .significand = x.significand * y.significand, .exponent = x.exponent + y.exponent, .negative = negative};
    result.nan   = result.nan || x.nan || y.nan || (infinite && zero);
    result.plus  = result.plus || (infinite && !negative);
    result.minus = result.minus || (infinite && negative);
    if (!zero && products[i].exponent > result.top) result.top = products[i].exponent;
  }
  result.nan = result.nan || (result.plus && result.minus);
  if (result.nan || result.plus || result.minus || result.top == lowest) return result;
  result.sum = aligned(start, Accumulator::mantissa_bits, result.top);
  for (const tensor_core_term& product : products) result.sum += aligned(product, digits, result.top);
  return result;
}

/// The next float accumulator.
constexpr binary32 next_accumulator(const tensor_core_sum& s, binary32) noexcept {
  if (s.nan) return binary32::from_bits(0x7FFF'FFFF);
  if (s.plus || s.minus) return binary32::from_bits(s.minus ? 0xFF80'0000 : 0x7F80'0000);
  if (s.sum == 0) return binary32::from_bits(0);
  const uint32_t sign      = s.sum < 0 ? 0x8000'0000u : 0u;
  const uint64_t magnitude = static_cast<uint64_t>(s.sum < 0 ? -s.sum : s.sum);
  const int width          = static_cast<int>(std::bit_width(magnitude));
  const uint64_t kept      = width > 14 ? magnitude >> (width - 14) << (width - 14) : magnitude;
  // Its last bit is 2^-139 or more, so nothing else is cut off, and its first 2^127 or less: beside an accumulator of
  // that size every product is cut off to nothing.
  const int exponent = s.top - 13 + width - 1;
  if (exponent < -126) return binary32::from_bits(sign | static_cast<uint32_t>(kept << (s.top - 13 + 149)));
  const uint64_t fraction = kept << (24 - width);  // 33 terms below 4 * 2^13 have fewer than 24 bits
  return binary32::from_bits(sign | (static_cast<uint32_t>(exponent + 127) << 23) |
                             static_cast<uint32_t>(fraction & 0x007F'FFFF));
}

/// The next half accumulator.
constexpr half next_accumulator(const tensor_core_sum& s, half) noexcept {
  if (s.nan) return half::from_bits(0x7FFF);
  if (s.plus || s.minus) return half::from_bits(s.minus ? 0xFC00 : 0x7C00);
  if (s.sum == 0) return half::from_bits(0);
  const uint32_t sign      = s.sum < 0 ? 0x8000u : 0u;
  const uint64_t magnitude = static_cast<uint64_t>(s.sum < 0 ? -s.sum : s.sum);
  // The result's last bit is 2^-24 at least. A sum has 20 bits at most, and no product an exponent below -28, so fewer
  // than 20 bits are to be rounded off.
  const int exponent = s.top - 13 + static_cast<int>(std::bit_width(magnitude)) - 1;
  const int last     = (exponent < -14 ? -14 : exponent) - 10;
  const int right    = last - (s.top - 13);
  uint64_t rounded   = magnitude << (right < 0 ? -right : 0);
  if (right > 0) {
    const uint64_t tie  = uint64_t{1} << (right - 1);
    const uint64_t rest = magnitude % (2 * tie);
    rounded             = magnitude >> right;
    rounded += rest > tie || (rest == tie && rounded % 2 != 0) ? 1u : 0u;
  }
  const uint64_t code = rounded + (static_cast<uint64_t>(last + 24) << 10);  // a carry moves on to the exponent
  if (code == 0) return half::from_bits(0);
  return half::from_bits(static_cast<uint16_t>(sign | (code < 0x7C00 ? code : 0x7C00)));
}

/// Adds the 32 products a[i] * b[i] to `accumulator` as one instruction does. Accumulators are binary32 or half.
template <tensor_core_operand A, tensor_core_operand B, class Accumulator>
constexpr Accumulator tensor_core_add(const A* a, const B* b, Accumulator accumulator) noexcept {
  return next_accumulator(add_products(a, b, accumulator), accumulator);
}

/// Fast accumulation: one accumulator over all of K. What is missing at the end of K counts as zeros.
template <class Accumulator = binary32, tensor_core_operand A, tensor_core_operand B>
constexpr Accumulator tensor_core_fast(const A* a, const B* b, int64_t k,
                                       Accumulator accumulator = Accumulator::from_bits(0)) noexcept {
  for (int64_t at = 0; at < k; at += tensor_core_step) {
    A step_a[tensor_core_step];
    B step_b[tensor_core_step];
    for (int i = 0; i < tensor_core_step; ++i) {
      step_a[i] = at + i < k ? a[at + i] : A::from_bits(0);
      step_b[i] = at + i < k ? b[at + i] : B::from_bits(0);
    }
    accumulator = tensor_core_add(step_a, step_b, accumulator);
  }
  return accumulator;
}

/// Strict accumulation: a new accumulator each 128 of K, added to a float to nearest even in the order of K.
template <tensor_core_operand A, tensor_core_operand B>
constexpr binary32 tensor_core_strict(const A* a, const B* b, int64_t k) noexcept {
  float total = 0.0f;
  for (int64_t at = 0; at < k; at += tensor_core_promotion) {
    const int64_t part = k - at < tensor_core_promotion ? k - at : tensor_core_promotion;
    total += bitwise_cast<float>(tensor_core_fast(a + at, b + at, part));
  }
  return binary32::from_bits(total != total ? 0x7FFF'FFFF : bitwise_cast<uint32_t>(total));
}

}  // namespace reference

QUAVER_END_NAMESPACE

#endif
