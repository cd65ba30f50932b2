// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_REFERENCE_MODES_HPP
#define QUAVER_TESTS_REFERENCE_MODES_HPP

// What every comparison with the oracle needs: the formats, the modes, their names, a way from run-time modes to the
// templates under test, and a count of mismatches that shows the first few.

#include <quaver/convert/recode.hpp>
#include <quaver/reference/encode.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>

// 0 where few instances are enough, as under the sanitizers in .ci/run: the modes differ in arithmetic, not in what they
// do with memory, and each instance costs three times as much there.
#ifndef QUAVER_TEST_EVERY_MODE
#define QUAVER_TEST_EVERY_MODE 1
#endif

namespace quaver_test {

using namespace quaver;

using all_formats = ::testing::Types<e4m3, e5m2, e4m3fnuz, e5m2fnuz, e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4,
                                     e8m0, e2m3, e3m2, e2m1, half, bfloat16>;

/// Calls visit.operator()<F>() for each format.
template <class Visit>
void for_each_format(Visit visit) {
  [&]<class... F>(::testing::Types<F...>) { (visit.template operator()<F>(), ...); }(all_formats{});
}

template <class F>
constexpr const char* name_of() {
  if constexpr (same_type<F, e4m3>) return "e4m3";
  else if constexpr (same_type<F, e5m2>) return "e5m2";
  else if constexpr (same_type<F, e4m3fnuz>) return "e4m3fnuz";
  else if constexpr (same_type<F, e5m2fnuz>) return "e5m2fnuz";
  else if constexpr (same_type<F, e4m3b11fnuz>) return "e4m3b11fnuz";
  else if constexpr (same_type<F, e4m3ieee>) return "e4m3ieee";
  else if constexpr (same_type<F, e3m4>) return "e3m4";
  else if constexpr (same_type<F, binary8p3>) return "binary8p3";
  else if constexpr (same_type<F, binary8p4>) return "binary8p4";
  else if constexpr (same_type<F, e8m0>) return "e8m0";
  else if constexpr (same_type<F, e2m3>) return "e2m3";
  else if constexpr (same_type<F, e3m2>) return "e3m2";
  else if constexpr (same_type<F, e2m1>) return "e2m1";
  else if constexpr (same_type<F, half>) return "half";
  else if constexpr (same_type<F, bfloat16>) return "bfloat16";
}

/// Names the instances of a typed test after their format.
struct format_names {
  template <class F>
  static std::string GetName(int) {
    return name_of<F>();
  }
};

inline constexpr rounding deterministic_roundings[] = {rounding::nearest_even, rounding::nearest_away,
                                                       rounding::toward_zero,  rounding::upward,
                                                       rounding::downward,     rounding::to_odd};
inline constexpr overflow overflows[] = {overflow::saturate, overflow::saturate_finite, overflow::nonfinite};

constexpr const char* name_of(rounding mode) {
  constexpr const char* names[] = {"nearest_even", "nearest_away", "toward_zero", "upward",
                                   "downward",     "to_odd",       "stochastic"};
  return names[static_cast<int>(mode)];
}
constexpr const char* name_of(overflow mode) {
  constexpr const char* names[] = {"saturate", "saturate_finite", "nonfinite"};
  return names[static_cast<int>(mode)];
}

/// Tables of the conversions under test, one entry a pair of modes: encoders<F, T>[rounding][overflow](x). Not inlined:
/// the loops over the tables would unroll into one body a pair of modes at each call, minutes of compile time.
template <class F, class T, rounding R, overflow O>
[[gnu::noinline]] F encode_in(T x) {
  return encode<F, R, O>(x);
}
template <class F, class T, overflow O>
[[gnu::noinline]] F encode_stochastically_in(T x, uint32_t random) {
  return encode<F, rounding::stochastic, O>(x, random);
}
template <class F, class T>
struct encoder_row {
  F (*in[3])(T);
};
template <class F, class T, rounding R>
inline constexpr encoder_row<F, T> row_of_encoders = {{encode_in<F, T, R, overflow::saturate>,
                                                       encode_in<F, T, R, overflow::saturate_finite>,
                                                       encode_in<F, T, R, overflow::nonfinite>}};
template <class F, class T>
inline constexpr encoder_row<F, T> encoders[6] = {
    row_of_encoders<F, T, rounding::nearest_even>, row_of_encoders<F, T, rounding::nearest_away>,
    row_of_encoders<F, T, rounding::toward_zero>,  row_of_encoders<F, T, rounding::upward>,
    row_of_encoders<F, T, rounding::downward>,     row_of_encoders<F, T, rounding::to_odd>};
template <class F, class T>
inline constexpr F (*stochastic_encoders[3])(T, uint32_t) = {encode_stochastically_in<F, T, overflow::saturate>,
                                                             encode_stochastically_in<F, T, overflow::saturate_finite>,
                                                             encode_stochastically_in<F, T, overflow::nonfinite>};

/// Counts mismatches and keeps the first few in words.
class mismatches {
 public:
  [[gnu::noinline]] void note(unsigned long long input, unsigned got, unsigned expected, const char* rounding_name,
                              const char* overflow_name) {
    if (count_++ >= 8) return;
    char line[160];
    std::snprintf(line, sizeof line, "input %llx: %02x, the oracle says %02x (%s, %s)\n", input, got, expected,
                  rounding_name, overflow_name);
    first_ += line;
  }
  [[nodiscard]] unsigned long long count() const { return count_; }
  [[nodiscard]] const std::string& first() const { return first_; }

 private:
  unsigned long long count_ = 0;
  std::string first_;
};

/// Bits of an input as they are shown in a message.
template <class T>
unsigned long long shown(T x) {
  if constexpr (any_format<T>) return x.bits();
  else if constexpr (same_type<T, float>) return bitwise_cast<uint32_t>(x);
  else if constexpr (same_type<T, double>) return bitwise_cast<uint64_t>(x);
  else return static_cast<unsigned long long>(x);
}

/// Compares encode with the oracle in all 18 deterministic pairs of modes, and in stochastic rounding on either side of
/// the word that decides.
template <class F, class T>
[[gnu::noinline]] void compare_in_every_mode(T x, mismatches& wrong) {
  const reference::exact value = reference::from_value(x);
  const reference::bracket at  = reference::find<F>(value);
  for (const rounding r : deterministic_roundings) {
    for (const overflow o : overflows) {
      const F got      = encoders<F, T>[static_cast<int>(r)].in[static_cast<int>(o)](x);
      const F expected = reference::choose<F>(at, r, o);
      if (got.bits() != expected.bits()) wrong.note(shown(x), got.bits(), expected.bits(), name_of(r), name_of(o));
    }
  }
  const uint32_t threshold = reference::stochastic_threshold<F>(value);
  for (const uint32_t random : {threshold - 1, threshold}) {  // the first is FFFF'FFFF where nothing is discarded
    for (const overflow o : overflows) {
      const F got      = stochastic_encoders<F, T>[static_cast<int>(o)](x, random);
      const F expected = reference::settle<F>(at, random < threshold, rounding::stochastic, o);
      if (got.bits() != expected.bits()) wrong.note(shown(x), got.bits(), expected.bits(), "stochastic", name_of(o));
    }
  }
}

/// A small generator of test inputs (xorshift64*): the same numbers everywhere, unlike the distributions of <random>.
class generator {
 public:
  explicit generator(uint64_t seed) : state_(seed) {}
  uint64_t operator()() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545'F491'4F6C'DD1Du;
  }

 private:
  uint64_t state_;
};

}  // namespace quaver_test

#endif
