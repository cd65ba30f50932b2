// SPDX-License-Identifier: MIT
#include "../format/values.hpp"
#include "../reference/modes.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/reference/encode.hpp>
#include <quaver/value/arithmetic.hpp>
#include <quaver/value/math.hpp>

#include <cfenv>
#include <ostream>
#include <utility>

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

struct mode {
  rounding round;
  overflow limit;
};

/// One operation of one format in one mode, on codes.
template <class F, rounding R, overflow O>
[[gnu::noinline]] int actual(operation what, int first, int second, int third) {
  const F a = from_code<F>(first);
  const F b = from_code<F>(second);
  switch (what) {
    case operation::add: return add<R, O>(a, b).bits();
    case operation::subtract: return subtract<R, O>(a, b).bits();
    case operation::multiply: return multiply<R, O>(a, b).bits();
    case operation::divide: return divide<R, O>(a, b).bits();
    case operation::fma: return quaver::fma<R, O>(a, b, from_code<F>(third)).bits();
    case operation::sqrt: return quaver::sqrt<R, O>(a).bits();
  }
  return -1;
}

/// A format, its operations in these modes, and the oracle's way to round a double to it.
struct subject {
  definition format;
  int (*default_mode)(operation, int, int, int);
  std::vector<std::pair<mode, int (*)(operation, int, int, int)>> other_modes;
  int (*round)(double x, mode how);
};
std::ostream& operator<<(std::ostream& out, const subject& s) { return out << s.format.name; }

struct make_subject {
  template <class F>
  static int round(double x, mode how) {
    return reference::encode<F>(reference::from_value(x), how.round, how.limit).bits();
  }
  template <class F, rounding R, overflow O>
  static std::pair<mode, int (*)(operation, int, int, int)> in_mode() {
    return {{R, O}, actual<F, R, O>};
  }
  template <class F>
  subject operator()() const {
    return {definition_of<F>,
            actual<F, rounding::nearest_even, overflow::saturate>,
            {in_mode<F, rounding::nearest_even, overflow::nonfinite>(),
             in_mode<F, rounding::nearest_away, overflow::nonfinite>(),
             in_mode<F, rounding::toward_zero, overflow::saturate_finite>(),
             in_mode<F, rounding::upward, overflow::nonfinite>(), in_mode<F, rounding::downward, overflow::nonfinite>(),
             in_mode<F, rounding::to_odd, overflow::saturate>()},
            round<F>};
  }
};

std::vector<subject> subjects() {
  return [&]<class... F>(::testing::Types<F...>) {
    return std::vector<subject>{make_subject{}.operator()<F>()...};
  }(signed_formats{});
}

class Arithmetic : public ::testing::TestWithParam<subject> {
 protected:
  const subject& on_       = GetParam();
  const definition format_ = on_.format;
  const int count_         = format_.code_count();
  std::vector<double> value_;

  Arithmetic() {
    for (int code = 0; code < count_; ++code) value_.push_back(value_of(format_, code));
  }
  [[nodiscard]] double value(int code) const { return value_[static_cast<std::size_t>(code)]; }

  [[nodiscard]] int expected(operation what, int a, int b, int c, mode how) const {
    const double x = value(a);
    const double y = value(b);
    const double z = value(c);
    double result  = in_double(what, x, y, z);
    // The one thing that the rounding changes about an exact result: the sign of a sum that is zero (IEEE 754, 6.3).
    const bool is_sum = what == operation::add || what == operation::subtract || what == operation::fma;
    if (is_sum && result == 0 && how.round == rounding::downward) {
      const double first  = what == operation::fma ? x * y : x;
      const double second = what == operation::add ? y : what == operation::subtract ? -y : z;
      if (first + second == 0 && (std::signbit(first) || std::signbit(second))) result = -0.0;
    }
    return on_.round(result, how);
  }

  void compare(int (*under_test)(operation, int, int, int), mode how, operation what, int a, int b, int c) const {
    const int got  = under_test(what, a, b, c);
    const int want = expected(what, a, b, c, how);
    ASSERT_EQ(got, want) << "operation " << static_cast<int>(what) << " of " << value(a) << ", " << value(b) << ", "
                         << value(c) << ", " << name_of(how.round) << ", " << name_of(how.limit);
  }

  void compare_all_pairs(int (*under_test)(operation, int, int, int), mode how) const {
    for (int a = 0; a < count_ && !HasFatalFailure(); ++a) {
      for (int b = 0; b < count_; ++b) {
        for (const operation what : {operation::add, operation::subtract, operation::multiply, operation::divide}) {
          compare(under_test, how, what, a, b, 0);
        }
      }
    }
  }

  void compare_random_triples(int (*under_test)(operation, int, int, int), mode how, int triples) const {
    generator random(7);
    const auto any = [&] { return static_cast<int>(random() >> 40) & (count_ - 1); };
    for (int i = 0; i < triples && !HasFatalFailure(); ++i) {
      // Half of the time near in magnitude, where sums cancel.
      const int a = any();
      const int b = i % 2 == 0 ? any() : (a ^ static_cast<int>(random() >> 60)) & (count_ - 1);
      const int c = i % 4 < 2 ? any() : under_test(operation::multiply, a, b, 0) ^ (count_ / 2);
      for (const operation what :
           {operation::add, operation::subtract, operation::multiply, operation::divide, operation::fma}) {
        compare(under_test, how, what, a, b, c);
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Of, Arithmetic, ::testing::ValuesIn(subjects()), name_of_record<subject>);

TEST_P(Arithmetic, rounds_once_by_default) {
  constexpr mode how = {rounding::nearest_even, overflow::saturate};
  if (count_ <= 256) compare_all_pairs(on_.default_mode, how);
  compare_random_triples(on_.default_mode, how, 30'000);
}

TEST_P(Arithmetic, rounds_once_in_the_other_modes) {
  const bool is_ocp = std::string(format_.name) == "e4m3" || std::string(format_.name) == "e5m2";
  for (const auto& [how, under_test] : on_.other_modes) {
    if (is_ocp) compare_all_pairs(under_test, how);
    compare_random_triples(under_test, how, 8'000);
  }
}

TEST_P(Arithmetic, takes_every_square_root) {
  for (const auto& [how, under_test] : on_.other_modes) {
    for (int code = 0; code < count_; ++code) {
      ASSERT_NO_FATAL_FAILURE(compare(under_test, how, operation::sqrt, code, 0, 0));
    }
  }
}

template <class F>
F random_value(generator& random) {
  return from_code<F>(static_cast<int>(random() >> 32) & (code_count<F>() - 1));
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

TEST(ArithmeticOperators, does_not_ask_the_rounding_mode_of_the_processor) {
  for (const int direction : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    EXPECT_TRUE(fingerprints<e4m3>(direction) == fingerprints<e4m3>(FE_TONEAREST)) << direction;
    EXPECT_TRUE(fingerprints<e5m2>(direction) == fingerprints<e5m2>(FE_TONEAREST)) << direction;
    EXPECT_TRUE(fingerprints<half>(direction) == fingerprints<half>(FE_TONEAREST)) << direction;
    EXPECT_TRUE(fingerprints<bfloat16>(direction) == fingerprints<bfloat16>(FE_TONEAREST)) << direction;
  }
}

TEST(ArithmeticOperators, has_the_operators_of_a_number) {
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

TEST(ArithmeticOperators, is_for_values_of_one_format) {
  static_assert(addable<e4m3, e4m3> && addable<half, half> && addable<e2m1, e2m1>);
  static_assert(!addable<e4m3, e5m2> && !addable<e4m3, float> && !addable<int, e4m3> && !addable<e8m0, e8m0>);
  SUCCEED();
}

TEST(ArithmeticOperators, ends_as_encode_does) {
  EXPECT_EQ(e4m3(448) + e4m3(448), (e4m3::max)());
  EXPECT_EQ((e5m2(1) / e5m2(0)).bits(), (e5m2::max)().bits());  // an infinity saturates too
  EXPECT_EQ((divide<rounding::nearest_even, overflow::nonfinite>(e5m2(1), -e5m2(0))).bits(),
            (-e5m2::infinity()).bits());
  EXPECT_EQ((add<rounding::nearest_even, overflow::nonfinite>(e4m3(448), e4m3(448))).bits(), 0x7F);
  EXPECT_EQ((e2m1(0) / e2m1(0)).bits(), (e2m1::max)().bits());  // no NaN in the format
}

template <class F>
void compare_signs_and_choices() {
  generator random(3);
  for (int i = 0; i < 65536; ++i) {
    const F a      = sizeof(F) == 1 ? from_code<F>(i / 256 % code_count<F>()) : random_value<F>(random);
    const F b      = sizeof(F) == 1 ? from_code<F>(i % 256 % code_count<F>()) : random_value<F>(random);
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

TEST(Math, chooses_and_copies_signs_as_ieee_754_asks) {
  compare_signs_and_choices<e4m3>();
  compare_signs_and_choices<e5m2>();
  compare_signs_and_choices<e4m3fnuz>();
  compare_signs_and_choices<binary8p3>();
  compare_signs_and_choices<e2m1>();
  compare_signs_and_choices<bfloat16>();
}

TEST(Math, orders_scales_too) {
  EXPECT_EQ(quaver::fmin(e8m0(2), e8m0(4)), e8m0(2));
  EXPECT_EQ(quaver::fmax(e8m0::nan(), e8m0(4)), e8m0(4));
}

}  // namespace
