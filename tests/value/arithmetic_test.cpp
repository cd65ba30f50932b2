// SPDX-License-Identifier: MIT
#include "../format/values.hpp"
#include "../reference/modes.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/reference/encode.hpp>
#include <quaver/value/arithmetic.hpp>
#include <quaver/value/math.hpp>

#include <cfenv>
#include <concepts>

namespace {

using namespace quaver_test;

enum class operation { add, subtract, multiply, divide, fma, sqrt };

/// A double that rounds as the exact result does: of the two doubles around an inexact result the odd one, which has 42
/// bits more than any format and no tie among them. `error` is the exact result less `rounded`, or has its sign.
double to_odd(double rounded, double error) {
  const uint64_t bits = bitwise_cast<uint64_t>(rounded);
  if (!std::isfinite(rounded) || error == 0 || bits % 2 != 0) return rounded;
  return std::nextafter(rounded, error > 0 ? HUGE_VAL : -HUGE_VAL);
}

/// x + y and what its rounding lost (Knuth's two-sum).
double odd_sum(double x, double y) {
  const double sum   = x + y;
  const double again = sum - x;
  return to_odd(sum, std::isfinite(sum) ? (x - (sum - again)) + (y - again) : 0);
}

/// The operation on doubles, to nearest even and then to odd. Products of 11 bits are exact, and nothing underflows.
double in_double(operation what, double a, double b, double c) {
  switch (what) {
    case operation::add: return odd_sum(a, b);
    case operation::subtract: return odd_sum(a, -b);
    case operation::multiply: return a * b;
    case operation::divide: {
      const double quotient = a / b;
      if (!std::isfinite(quotient) || std::isinf(b) || a == 0) return quotient;
      return to_odd(quotient, std::fma(-quotient, b, a) * b);
    }
    case operation::fma: return odd_sum(a * b, c);
    case operation::sqrt: {
      const double root = std::sqrt(a);
      return a > 0 && std::isfinite(a) ? to_odd(root, std::fma(-root, root, a)) : root;
    }
  }
  return 0;
}

template <class F>
F expected(operation what, F a, F b, F c, rounding r, overflow o) {
  const double x = reference::decode(a);
  const double y = reference::decode(b);
  const double z = reference::decode(c);
  double result  = in_double(what, x, y, z);
  // The one thing that the rounding changes about an exact result: the sign of a sum that is zero (IEEE 754, 6.3).
  if (result == 0 && r == rounding::downward) {
    const double first  = what == operation::fma ? x * y : x;
    const double second = what == operation::add ? y : what == operation::subtract ? -y : z;
    const bool is_sum   = what == operation::add || what == operation::subtract || what == operation::fma;
    if (is_sum && first + second == 0 && (std::signbit(first) || std::signbit(second))) result = -0.0;
  }
  return reference::encode<F>(reference::from_value(result), r, o);
}

template <rounding R, overflow O, class F>
[[gnu::noinline]] F actual(operation what, F a, F b, F c) {
  switch (what) {
    case operation::add: return add<R, O>(a, b);
    case operation::subtract: return subtract<R, O>(a, b);
    case operation::multiply: return multiply<R, O>(a, b);
    case operation::divide: return divide<R, O>(a, b);
    case operation::fma: return quaver::fma<R, O>(a, b, c);
    case operation::sqrt: return quaver::sqrt<R, O>(a);
  }
  return a;
}

template <rounding R, overflow O, class F>
::testing::AssertionResult agrees(operation what, F a, F b, F c) {
  const F got  = actual<R, O>(what, a, b, c);
  const F want = expected(what, a, b, c, R, O);
  if (got.bits() == want.bits()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "operation " << static_cast<int>(what) << " of " << std::hex << +a.bits()
                                       << ' ' << +b.bits() << ' ' << +c.bits() << " gives " << +got.bits() << ", not "
                                       << +want.bits() << " (" << name_of(R) << ", " << name_of(O) << ')';
}

constexpr operation binary_operations[] = {operation::add, operation::subtract, operation::multiply, operation::divide};

template <rounding R, overflow O, class F>
void compare_all_pairs() {
  for (int i = 0; i < code_count<F>(); ++i) {
    const F a = from_code<F>(i);
    ASSERT_TRUE((agrees<R, O>(operation::sqrt, a, a, a)));
    for (int j = 0; j < code_count<F>(); ++j) {
      for (const operation what : binary_operations) ASSERT_TRUE((agrees<R, O>(what, a, from_code<F>(j), a)));
    }
  }
}

template <class F>
F random_value(generator& random) {
  return from_code<F>(static_cast<int>(random() >> 32) & (code_count<F>() - 1));
}

template <rounding R, overflow O, class F>
void compare_random_triples(int count) {
  generator random(7);
  for (int i = 0; i < count; ++i) {
    const F a = random_value<F>(random);
    // Half of the time near in magnitude, where sums cancel.
    const F b = i % 2 == 0 ? random_value<F>(random)
                           : from_code<F>((a.bits() ^ static_cast<int>(random() >> 60)) & (code_count<F>() - 1));
    const F c = i % 4 < 2 ? random_value<F>(random) : -actual<R, O>(operation::multiply, a, b, a);
    for (const operation what : binary_operations) ASSERT_TRUE((agrees<R, O>(what, a, b, c)));
    ASSERT_TRUE((agrees<R, O>(operation::fma, a, b, c)));
  }
}

template <class F>
class Arithmetic : public ::testing::Test {};
TYPED_TEST_SUITE(Arithmetic, signed_formats, definition_names);

TYPED_TEST(Arithmetic, rounds_once_by_default) {
  if constexpr (sizeof(TypeParam) == 1) compare_all_pairs<rounding::nearest_even, overflow::saturate, TypeParam>();
  compare_random_triples<rounding::nearest_even, overflow::saturate, TypeParam>(30'000);
}

TYPED_TEST(Arithmetic, rounds_once_in_the_other_modes) {
  compare_random_triples<rounding::nearest_even, overflow::nonfinite, TypeParam>(8'000);
  compare_random_triples<rounding::nearest_away, overflow::nonfinite, TypeParam>(8'000);
  compare_random_triples<rounding::toward_zero, overflow::saturate_finite, TypeParam>(8'000);
  compare_random_triples<rounding::upward, overflow::nonfinite, TypeParam>(8'000);
  compare_random_triples<rounding::downward, overflow::nonfinite, TypeParam>(8'000);
  compare_random_triples<rounding::to_odd, overflow::saturate, TypeParam>(8'000);
}

TYPED_TEST(Arithmetic, takes_every_square_root_in_every_direction) {
  for (int code = 0; code < code_count<TypeParam>(); ++code) {
    const TypeParam a = from_code<TypeParam>(code);
    ASSERT_TRUE((agrees<rounding::nearest_even, overflow::nonfinite>(operation::sqrt, a, a, a)));
    ASSERT_TRUE((agrees<rounding::upward, overflow::nonfinite>(operation::sqrt, a, a, a)));
    ASSERT_TRUE((agrees<rounding::downward, overflow::saturate>(operation::sqrt, a, a, a)));
  }
}

TEST(Arithmetic, of_e4m3_and_e5m2_is_right_for_all_pairs_in_all_roundings) {
  compare_all_pairs<rounding::nearest_away, overflow::nonfinite, e4m3>();
  compare_all_pairs<rounding::toward_zero, overflow::nonfinite, e4m3>();
  compare_all_pairs<rounding::upward, overflow::nonfinite, e4m3>();
  compare_all_pairs<rounding::downward, overflow::saturate_finite, e4m3>();
  compare_all_pairs<rounding::to_odd, overflow::nonfinite, e4m3>();
  compare_all_pairs<rounding::nearest_even, overflow::nonfinite, e5m2>();
  compare_all_pairs<rounding::nearest_away, overflow::saturate_finite, e5m2>();
  compare_all_pairs<rounding::toward_zero, overflow::nonfinite, e5m2>();
  compare_all_pairs<rounding::upward, overflow::nonfinite, e5m2>();
  compare_all_pairs<rounding::downward, overflow::nonfinite, e5m2>();
  compare_all_pairs<rounding::to_odd, overflow::nonfinite, e5m2>();
}

/// Everything about one pair in one number, so that two runs are quickly compared.
template <class F>
[[gnu::noinline]] uint64_t fingerprint(F a, F b) {
  uint64_t all = 0;
  for (const F f : {a + b, a - b, a * b, a / b, quaver::fma(a, b, a), quaver::sqrt(a)}) all = all * 65537 + f.bits();
  return all;
}

template <class F>
std::vector<uint64_t> fingerprints(int direction) {
  std::fesetround(direction);
  std::vector<uint64_t> all;
  generator random(11);
  for (int i = 0; i < 65536; ++i) {
    const F a = sizeof(F) == 1 ? from_code<F>(i / 256) : random_value<F>(random);
    const F b = sizeof(F) == 1 ? from_code<F>(i % 256) : random_value<F>(random);
    all.push_back(fingerprint(a, b));
  }
  std::fesetround(FE_TONEAREST);
  return all;
}

TEST(Arithmetic, does_not_ask_the_rounding_mode_of_the_processor) {
  for (const int direction : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    EXPECT_TRUE(fingerprints<e4m3>(direction) == fingerprints<e4m3>(FE_TONEAREST)) << direction;
    EXPECT_TRUE(fingerprints<e5m2>(direction) == fingerprints<e5m2>(FE_TONEAREST)) << direction;
    EXPECT_TRUE(fingerprints<half>(direction) == fingerprints<half>(FE_TONEAREST)) << direction;
    EXPECT_TRUE(fingerprints<bfloat16>(direction) == fingerprints<bfloat16>(FE_TONEAREST)) << direction;
  }
}

TEST(Arithmetic, has_the_operators_of_a_number) {
  constexpr e4m3 two(2);
  constexpr e4m3 three(3);
  static_assert(two + three == e4m3(5) && two - three == e4m3(-1) && two * three == e4m3(6) &&
                three / two == e4m3(1.5));
  e4m3 x = two;
  x += three;
  EXPECT_EQ(x, e4m3(5));
  x -= two;
  EXPECT_EQ(x, e4m3(3));
  x *= three;
  EXPECT_EQ(x, e4m3(9));
  (x /= two) += two;
  EXPECT_EQ(x, e4m3(6.5));
}

template <class A, class B>
concept addable = requires(A a, B b) { a + b; };

TEST(Arithmetic, is_for_values_of_one_format) {
  static_assert(addable<e4m3, e4m3> && addable<half, half> && addable<e2m1, e2m1>);
  static_assert(!addable<e4m3, e5m2> && !addable<e4m3, float> && !addable<int, e4m3> && !addable<e8m0, e8m0>);
  SUCCEED();
}

TEST(Arithmetic, ends_as_encode_does) {
  EXPECT_EQ(e4m3(448) + e4m3(448), (e4m3::max)());
  EXPECT_EQ((e5m2(1) / e5m2(0)).bits(), (e5m2::max)().bits());  // an infinity saturates too
  EXPECT_EQ((divide<rounding::nearest_even, overflow::nonfinite>(e5m2(1), -e5m2(0))).bits(),
            (-e5m2::infinity()).bits());
  EXPECT_EQ((add<rounding::nearest_even, overflow::nonfinite>(e4m3(448), e4m3(448))).bits(), 0x7F);
  EXPECT_EQ((e2m1(0) / e2m1(0)).bits(), (e2m1::max)().bits());  // no NaN in the format
}

TYPED_TEST(Arithmetic, chooses_and_copies_signs_as_ieee_754_asks) {
  using F = TypeParam;
  generator random(3);
  for (int i = 0; i < 65536; ++i) {
    const F a      = code_count<F>() <= 256 ? from_code<F>(i / 256 % code_count<F>()) : random_value<F>(random);
    const F b      = code_count<F>() <= 256 ? from_code<F>(i % 256 % code_count<F>()) : random_value<F>(random);
    const double x = reference::decode(a);
    const double y = reference::decode(b);
    const F low    = quaver::fmin(a, b);
    const F high   = quaver::fmax(a, b);
    if (std::isnan(x) && std::isnan(y)) {
      ASSERT_TRUE(isnan(low) && isnan(high));
      continue;
    }
    ASSERT_EQ(reference::decode(low), std::fmin(x, y)) << i;
    ASSERT_EQ(reference::decode(high), std::fmax(x, y)) << i;
    if (x == 0 && y == 0) {
      ASSERT_EQ(signbit(low), std::signbit(x) || std::signbit(y)) << i;
      ASSERT_EQ(signbit(high), std::signbit(x) && std::signbit(y)) << i;
    }
    if (!std::isnan(x) && !std::isnan(y)) {
      ASSERT_EQ(reference::decode(quaver::copysign(a, b)), std::copysign(x, y)) << i;
    }
  }
}

}  // namespace
