// SPDX-License-Identifier: MIT
#include "../format/values.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/value/text.hpp>

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace quaver_test;

template <class F, class... Format>
std::string text_of(F f, Format... format) {
  char text[128];
  const std::to_chars_result r = to_chars(text, text + sizeof text, f, format...);
  EXPECT_EQ(r.ec, std::errc{});
  return {text, r.ptr};
}

template <class F>
struct parsed {
  F value;
  std::errc error;
  std::ptrdiff_t length;
};

/// A value that no test text stands for, to see whether it was left alone.
template <class F>
F untouched() {
  return F::from_bits(0x33 & (F::width < 6 ? 0x0F : 0x3F));
}

template <class F>
parsed<F> parse(std::string_view text, std::chars_format format = std::chars_format::general) {
  F value                        = untouched<F>();
  const std::from_chars_result r = from_chars(text.data(), text.data() + text.size(), value, format);
  return {value, r.ec, r.ptr - text.data()};
}

/// All digits of a double, which is exact: no double has more than 767.
std::string exact_text(double x) {
  char text[1200];
  const std::to_chars_result r = std::to_chars(text, text + sizeof text, x, std::chars_format::scientific, 800);
  EXPECT_EQ(r.ec, std::errc{});
  return {text, r.ptr};
}

/// d.ddd...e+xx with `tail` behind the last digit.
std::string with_digits(const std::string& scientific, const std::string& tail) {
  const std::size_t e = scientific.find('e');
  return scientific.substr(0, e) + tail + scientific.substr(e);
}

/// The largest decimal below a positive d.ddd...e+xx with 300 digits more.
std::string just_below(const std::string& scientific) {
  const std::size_t e = scientific.find('e');
  std::string digits  = scientific.substr(0, e);
  std::size_t last    = digits.find_last_of("123456789");
  digits[last]        = static_cast<char>(digits[last] - 1);
  for (++last; last < digits.size(); ++last) {
    if (digits[last] != '.') digits[last] = '9';
  }
  return digits + std::string(300, '9') + scientific.substr(e);
}

std::string just_above(const std::string& scientific) { return with_digits(scientific, std::string(299, '0') + "1"); }

template <class F>
class Text : public ::testing::Test {};
TYPED_TEST_SUITE(Text, every_format, definition_names);

TYPED_TEST(Text, of_every_code_reads_back_as_that_code_in_every_notation) {
  using F = TypeParam;
  for (int code = 0; code < code_count<F>(); ++code) {
    const F f = from_code<F>(code);
    for (const int how : {0, 1, 2, 3, 4}) {
      const std::chars_format format = how == 1   ? std::chars_format::general
                                       : how == 2 ? std::chars_format::scientific
                                       : how == 3 ? std::chars_format::fixed
                                                  : std::chars_format::hex;
      const std::string text         = how == 0 ? text_of(f) : text_of(f, format);
      const parsed<F> back           = parse<F>(text, how == 0 ? std::chars_format::general : format);
      ASSERT_EQ(back.error, std::errc{}) << text;
      ASSERT_EQ(back.length, static_cast<std::ptrdiff_t>(text.size())) << text;
      if (isnan(f)) {
        ASSERT_EQ(back.value.bits(), F::nan().bits()) << text;
        ASSERT_EQ(text, signbit(f) ? "-nan" : "nan");
      } else {
        ASSERT_EQ(back.value.bits(), f.bits()) << text;
      }
    }
  }
}

/// The interval of decimals that round to a code, found in the sorted table: from the tie below to the tie above, which
/// belong to it where its code is even.
template <class F>
struct interval {
  long double low;
  long double high;
  bool closed;

  explicit interval(int code) {
    const std::vector<double> table = finite_values<F>();
    const double value              = std::fabs(value_of<F>(code));
    const auto at                   = std::lower_bound(table.begin(), table.end(), value);
    // Above the largest value the exponent goes on, in e8m0 below the smallest one too.
    const double next     = at + 1 != table.end() ? at[1] : same_type<F, e8m0> ? 2 * value : value + (value - at[-1]);
    const double previous = at != table.begin() ? at[-1] : value / 2;
    low                   = (static_cast<long double>(previous) + value) / 2;
    high                  = (static_cast<long double>(value) + next) / 2;
    closed                = code % 2 == 0;
  }
  [[nodiscard]] bool has(long double x) const { return closed ? x >= low && x <= high : x > low && x < high; }
};

/// The fewest digits of any decimal in the interval, and the nearest of those to the value, by trying all of them. Long
/// doubles are exact enough: a product of up to 3 digits and a power of ten, against ends of at most 6 bits.
template <class F>
void expect_shortest(int code) {
  const F f               = from_code<F>(code);
  const long double value = std::fabs(static_cast<long double>(value_of<F>(code)));
  const interval<F> in(code);
  const std::string text = text_of(f, std::chars_format::scientific);

  for (int digits = 1;; ++digits) {
    ASSERT_LE(digits, 3) << text;
    const int exponent = static_cast<int>(std::floor(std::log10(value)));
    long double best   = -1;
    for (const int e : {exponent, exponent + 1}) {  // 10 may be the shortest in the interval of 9.75
      const int scale = e - (digits - 1);
      const int first = digits == 1 ? 1 : digits == 2 ? 10 : 100;
      for (int n = first; n < 10 * first; ++n) {
        // One division by an exact power of ten, not a product with an inexact one.
        const long double power = std::pow(10.0L, std::abs(scale));
        const long double x     = scale < 0 ? n / power : n * power;
        if (!in.has(x)) continue;
        // Equally far, as 0.12 and 0.13 from 0.125, but for the last bits of the quotients: the even digit.
        const long double nearer = std::fabs(best - value) - std::fabs(x - value);
        const bool tie           = std::fabs(nearer) < 1e-15L * value;
        if (best < 0 || (tie ? n % 2 == 0 : nearer > 0)) best = x;
      }
    }
    if (best < 0) continue;
    const std::size_t count = text.find('e') - (text.find('.') != std::string::npos ? 1 : 0) - (text[0] == '-' ? 1 : 0);
    ASSERT_EQ(count, static_cast<std::size_t>(digits)) << text << " of code " << code;
    const std::size_t start = text[0] == '-' ? 1 : 0;
    ASSERT_NEAR(static_cast<double>(std::stold(text.substr(start)) / best), 1.0, 1e-15) << text << " of code " << code;
    return;
  }
}

template <class F>
class TextOfBytes : public ::testing::Test {};
TYPED_TEST_SUITE(TextOfBytes, byte_formats, definition_names);

TYPED_TEST(TextOfBytes, is_the_shortest_there_is_and_the_nearest_of_those) {
  using F = TypeParam;
  for (int code = 0; code < code_count<F>(); ++code) {
    const double value = value_of<F>(code);
    if (std::isfinite(value) && value != 0) expect_shortest<F>(code % (code_count<F>() / (same_type<F, e8m0> ? 1 : 2)));
  }
}

TYPED_TEST(Text, has_no_fewer_digits_that_would_read_back) {
  // One digit less, rounded down or up, is another code or none.
  using F = TypeParam;
  for (int code = 1; code < code_count<F>() / (same_type<F, e8m0> ? 1 : 2); ++code) {
    const F f = from_code<F>(code);
    if (!isfinite(f)) continue;
    const std::string text = text_of(f, std::chars_format::scientific);
    const std::size_t e    = text.find('e');
    ASSERT_LE(e, static_cast<std::size_t>(std::ceil(1 + (definition_of<F>.mantissa_bits + 1) * std::log10(2.0))) + 1)
        << text;
    if (e < 3) continue;
    const std::string lower = text.substr(0, e - 1) + text.substr(e);
    std::string upper       = lower;
    std::size_t digit       = e - 2;
    while (upper[digit] == '9' || upper[digit] == '.') {
      if (upper[digit] == '9') upper[digit] = '0';
      if (digit == 0) break;
      --digit;
    }
    if (upper[digit] == '0') continue;  // 9.9: its upper neighbour has one digit, and was no shortest text either
    upper[digit] = static_cast<char>(upper[digit] + 1);
    for (const std::string& shorter : {lower, upper}) {
      const parsed<F> back = parse<F>(shorter);
      ASSERT_FALSE(back.error == std::errc{} && back.value.bits() == f.bits()) << shorter << " for " << text;
    }
  }
}

TYPED_TEST(Text, follows_std_to_chars_in_its_choice_of_notation) {
  // Where the shortest digits of a value are those of the same number as a float, the texts must be the same.
  using F      = TypeParam;
  int compared = 0;
  for (int code = 0; code < code_count<F>(); ++code) {
    const F f = from_code<F>(code);
    if (!isfinite(f)) continue;
    const auto standard = [](float x, auto... format) {
      char text[128];
      return std::string(text, std::to_chars(text, text + sizeof text, x, format...).ptr);
    };
    const float digits = std::strtof(text_of(f, std::chars_format::scientific).c_str(), nullptr);
    const bool whole   = std::fabs(digits) >= 10;  // exact digits, ours and theirs, differ from the shortest ones
    if (!whole || digits == static_cast<float>(value_of<F>(code))) {
      ASSERT_EQ(text_of(f), standard(digits)) << code;
      ASSERT_EQ(text_of(f, std::chars_format::general), standard(digits, std::chars_format::general)) << code;
      ASSERT_EQ(text_of(f, std::chars_format::fixed), standard(digits, std::chars_format::fixed)) << code;
      ++compared;
    }
    ASSERT_EQ(text_of(f, std::chars_format::scientific), standard(digits, std::chars_format::scientific)) << code;
  }
  EXPECT_GT(compared, code_count<F>() / 8);
}

TEST(Text, of_binary32_is_that_of_a_float) {
  // The same code for 24 bits, against the standard library's, in both directions.
  uint32_t bits = 1;
  for (int i = 0; i < 20'000; ++i) {
    bits              = bits * 1664525u + 1013904223u;
    const float x     = bitwise_cast<float>(i < 300 ? static_cast<uint32_t>(i) : bits & 0x7FFF'FFFFu);
    const binary32 f  = binary32::from_bits(bitwise_cast<uint32_t>(x));
    const bool finite = isfinite(f);
    for (const auto format :
         {std::chars_format{}, std::chars_format::general, std::chars_format::scientific, std::chars_format::fixed}) {
      char text[128];
      const char* const end = format == std::chars_format{} ? std::to_chars(text, text + sizeof text, x).ptr
                                                            : std::to_chars(text, text + sizeof text, x, format).ptr;
      const std::string expected(static_cast<const char*>(text), end);
      ASSERT_EQ(format == std::chars_format{} ? text_of(f) : text_of(f, format), expected);
      binary32 back{};
      if (finite) {
        from_chars(text, end, back, format == std::chars_format{} ? std::chars_format::general : format);
        ASSERT_EQ(back.bits(), f.bits()) << expected;
      }
    }
  }
}

TYPED_TEST(Text, reads_every_tie_and_what_lies_next_to_it_with_one_rounding) {
  using F                         = TypeParam;
  const std::vector<double> table = finite_values<F>();
  const auto code_of              = [](double value) {
    for (int code = 0; code < code_count<F>(); ++code) {
      if (value_of<F>(code) == value) return code;
    }
    return -1;
  };
  // Of the 16-bit formats a sample: subnormals, the ends and every 97th.
  const std::size_t zero =
      static_cast<std::size_t>(std::upper_bound(table.begin(), table.end(), 0.0) - table.begin()) - 1;
  for (std::size_t i = same_type<F, e8m0> ? 0 : zero; i + 1 < table.size(); ++i) {
    if (table.size() > 1000 && i > zero + 20 && i + 20 < table.size() && i % 97 != 0) continue;
    const int low         = sizeof(F) == 1 ? code_of(table[i]) : static_cast<int>(i - zero);
    const int high        = sizeof(F) == 1 ? code_of(table[i + 1]) : low + 1;
    const std::string tie = exact_text((table[i] + table[i + 1]) / 2);
    const int even        = low % 2 == 0 ? low : high;
    // A tie with zero rounds to zero: without the digits that follow there is no value for it.
    const parsed<F> at_tie = parse<F>(tie);
    if (table[i] == 0) {
      ASSERT_EQ(at_tie.error, std::errc::result_out_of_range);
    } else {
      ASSERT_EQ(at_tie.value.bits(), static_cast<unsigned>(even)) << tie;
    }
    ASSERT_EQ(parse<F>(just_above(tie)).value.bits(), static_cast<unsigned>(high)) << tie;
    const parsed<F> below = parse<F>(just_below(tie));
    if (table[i] == 0) {
      ASSERT_EQ(below.error, std::errc::result_out_of_range);
    } else {
      ASSERT_EQ(below.value.bits(), static_cast<unsigned>(low)) << tie;
    }

    // The values themselves, and what lies next to them, under directed rounding.
    const std::string value = exact_text(table[i + 1]);
    const std::string above = just_above(value);
    F up                    = untouched<F>();
    F down                  = untouched<F>();
    from_chars<rounding::downward>(above.data(), above.data() + above.size(), down);
    ASSERT_EQ(down.bits(), static_cast<unsigned>(high)) << value;
    const std::string under = just_below(value);
    from_chars<rounding::upward>(under.data(), under.data() + under.size(), up);
    ASSERT_EQ(up.bits(), static_cast<unsigned>(high)) << value;
    if (!same_type<F, e8m0>) {
      const std::string minus = "-" + under;
      from_chars<rounding::downward>(minus.data(), minus.data() + minus.size(), down);
      ASSERT_EQ(value_of<F>(down.bits()), -table[i + 1]) << value;
    }
  }
}

TYPED_TEST(Text, ends_where_rounding_would_pass_the_largest_value) {
  using F                         = TypeParam;
  const std::vector<double> table = finite_values<F>();
  const double largest            = table.back();
  const double step               = same_type<F, e8m0> ? largest : largest - table[table.size() - 2];
  const std::string tie           = exact_text(largest + step / 2);
  const bool even                 = (F::max)().bits() % 2 == 0;

  EXPECT_EQ(parse<F>(just_below(tie)).value.bits(), (F::max)().bits());
  EXPECT_EQ(parse<F>(tie).error, even ? std::errc{} : std::errc::result_out_of_range);
  const parsed<F> above = parse<F>(just_above(tie));
  EXPECT_EQ(above.error, std::errc::result_out_of_range);
  EXPECT_EQ(above.value.bits(), untouched<F>().bits()) << "left as it was";
  EXPECT_EQ(above.length, static_cast<std::ptrdiff_t>(just_above(tie).size())) << "but read to its end";

  // Cut off, everything below the next value would be the largest one.
  const std::string next = exact_text(largest + step);
  F value                = untouched<F>();
  EXPECT_EQ(from_chars<rounding::toward_zero>(next.data(), next.data() + next.size(), value).ec,
            std::errc::result_out_of_range);
  const std::string last = just_below(next);
  EXPECT_EQ(from_chars<rounding::toward_zero>(last.data(), last.data() + last.size(), value).ec, std::errc{});
  EXPECT_EQ(value.bits(), (F::max)().bits());
}

TYPED_TEST(Text, outside_the_range_is_an_error_or_what_encode_makes_of_it) {
  using F = TypeParam;
  for (const char* text :
       {"1e39", "1e400", "123e99999999999999999999", "1e-47", "7e-4000", "1e-99999999999999999999", "-1e39"}) {
    const parsed<F> out = parse<F>(text);
    EXPECT_EQ(out.error, std::errc::result_out_of_range) << text;
    EXPECT_EQ(out.value.bits(), untouched<F>().bits()) << text;
    EXPECT_EQ(out.length, static_cast<std::ptrdiff_t>(std::string_view(text).size())) << text;
  }
  const auto total = []<overflow O>(std::string_view text) {
    F value      = untouched<F>();
    const auto r = from_chars<rounding::nearest_even, O>(text.data(), text.data() + text.size(), value);
    EXPECT_EQ(r.ec, std::errc{}) << text;
    return value.bits();
  };
  for (const double x : {1e39, -1e39, 1e-47, 0.0, HUGE_VAL, -HUGE_VAL}) {
    char text[64];
    const std::string_view shown(text, static_cast<std::size_t>(std::to_chars(text, text + sizeof text, x).ptr - text));
    EXPECT_EQ(total.template operator()<overflow::saturate>(shown), encode<F>(x).bits()) << shown;
    EXPECT_EQ(total.template operator()<overflow::saturate_finite>(shown),
              (encode<F, rounding::nearest_even, overflow::saturate_finite>(x).bits()))
        << shown;
    EXPECT_EQ(total.template operator()<overflow::nonfinite>(shown),
              (encode<F, rounding::nearest_even, overflow::nonfinite>(x).bits()))
        << shown;
  }
  EXPECT_EQ(total.template operator()<overflow::saturate>("nan"), F::nan().bits());
}

TYPED_TEST(Text, of_infinity_and_nan_is_read_where_the_format_has_them) {
  using F                 = TypeParam;
  const std::errc missing = std::errc::result_out_of_range;
  for (const char* text : {"inf", "INF", "Infinity", "-inf", "-INFINITY"}) {
    const parsed<F> p = parse<F>(text);
    EXPECT_EQ(p.length, static_cast<std::ptrdiff_t>(std::string_view(text).size())) << text;
    EXPECT_EQ(p.error, F::has_infinity ? std::errc{} : missing) << text;
    if (F::has_infinity) {
      EXPECT_EQ(value_of<F>(p.value.bits()), text[0] == '-' ? -HUGE_VAL : HUGE_VAL) << text;
    }
  }
  for (const char* text : {"nan", "NaN", "-nan", "nan()", "NAN(ind_0x7F)"}) {
    const parsed<F> p = parse<F>(text);
    EXPECT_EQ(p.length, static_cast<std::ptrdiff_t>(std::string_view(text).size())) << text;
    EXPECT_EQ(p.error, F::has_nan ? std::errc{} : missing) << text;
    EXPECT_EQ(p.value.bits(), F::has_nan ? F::nan().bits() : untouched<F>().bits()) << text;
  }
  EXPECT_EQ(parse<F>("infinit").length, 3);
  EXPECT_EQ(parse<F>("nan(not closed").length, 3);
  EXPECT_EQ(parse<F>("nan(a-b)").length, 3);
}

TEST(Text, is_read_by_the_grammar_of_std_from_chars) {
#if defined(__cpp_lib_to_chars)
  // Whatever these texts are, the standard library and we must see the same length and the same verdict.
  const std::string_view texts[] = {
      "",      "-",     "+1",    " 1",     "1 ",    ".",      "-.",    "..5",    ".5",    "5.",    "5..",
      "1.2.3", "1e",    "1e+",   "1e-",    "1e5",   "1E5",    "1e+05", "1e 5",   "e5",    ".e5",   "--1",
      "-0",    "00012", "1.5e1", "1.5e1x", "1x",    "x1",     "0x10",  "1,5",    "1'5",   "i",     "in",
      "n",     "na",    "nane",  "1e+-5",  "0e99",  "0.0e-9", "-0e5",  "1.50e0", "10e-1", "0.5e1", "00.50e1",
      "infi",  "1p3",   "1.8p1", "a.8p+1", "1_000", "1e1.5",  "12e",   "12.e",   "12.e1", "\0001"};
  for (const std::string_view text : texts) {
    for (const auto format : {std::chars_format::general, std::chars_format::scientific, std::chars_format::fixed,
                              std::chars_format::hex}) {
      float theirs             = 77;
      const char* const last   = text.data() + text.size();
      const auto r             = std::from_chars(text.data(), last, theirs, format);
      const parsed<bfloat16> p = parse<bfloat16>(text, format);
      EXPECT_EQ(p.error, r.ec) << '"' << text << '"' << static_cast<int>(format);
      EXPECT_EQ(p.length, r.ptr - text.data()) << '"' << text << '"' << static_cast<int>(format);
      if (r.ec == std::errc{}) {
        EXPECT_EQ(p.value.bits(), (encode<bfloat16, rounding::nearest_even, overflow::nonfinite>(theirs).bits()))
            << '"' << text << '"';
      } else {
        EXPECT_EQ(p.value.bits(), untouched<bfloat16>().bits()) << '"' << text << '"';
      }
    }
  }
#else
  GTEST_SKIP() << "this standard library reads no floats";
#endif
}

TEST(Text, may_be_longer_than_any_number_needs) {
  // A thousand zeros before, between and behind the digits move the point and nothing else.
  const std::string zeros(1000, '0');
  EXPECT_EQ(parse<half>(zeros + "1.5" + zeros).value, half(1.5));
  EXPECT_EQ(parse<half>("0." + zeros + "25e1001").value, half(2.5));
  EXPECT_EQ(parse<half>("25" + zeros + "e-1001").value, half(2.5));
  EXPECT_EQ(parse<half>("1." + zeros + "1").value, half(1));
  // 1 + 2^-11 is a tie between 1 and 1 + 2^-10; the digit that decides stands far out.
  EXPECT_EQ(parse<half>("1.00048828125").value.bits(), 0x3C00);
  EXPECT_EQ(parse<half>("1.00048828125" + zeros + "1").value.bits(), 0x3C01);
  EXPECT_EQ(parse<half>("100048828125" + zeros + "1e-1012").value.bits(), 0x3C01);
}

TEST(Text, is_not_rounded_through_double_or_float) {
  // Just above the tie of e4m3 between 1 and 1.125, by less than a double can tell, then by less than a float can tell.
  EXPECT_EQ(parse<e4m3>("1.0625").value, e4m3(1));
  EXPECT_EQ(parse<e4m3>("1.06250000000000000000000000000000000001").value, e4m3(1.125));
  EXPECT_EQ(parse<e4m3>("1.0625000000001").value, e4m3(1.125));
  EXPECT_EQ(parse<e4m3>("1.06249999999999999999999999999999999999").value, e4m3(1));
}

TEST(Text, shows_known_values_as_people_write_them) {
  EXPECT_EQ(text_of((e4m3::max)()), "448");
  EXPECT_EQ(text_of(e4m3(0.3952)), "0.4");
  EXPECT_EQ(text_of(e4m3(4.543)), "4.5");
  EXPECT_EQ(text_of(e5m2::lowest()), "-57344");
  EXPECT_EQ(text_of(-e4m3(0)), "-0");
  EXPECT_EQ(text_of(e4m3fnuz::nan()), "nan");
  EXPECT_EQ(text_of(-e5m2::infinity()), "-inf");
  EXPECT_EQ(text_of(e4m3::denorm_min()), "0.002");
  EXPECT_EQ(text_of(half(0.1)), "0.1");
  EXPECT_EQ(text_of((half::max)()), "65504");
  EXPECT_EQ(text_of((bfloat16::max)()), "3.39e+38");
  EXPECT_EQ(text_of(bfloat16::denorm_min()), "9e-41");
  EXPECT_EQ(text_of((e8m0::min)()), "6e-39");
  EXPECT_EQ(text_of(bfloat16(99840), std::chars_format::scientific), "1e+05");
  EXPECT_EQ(text_of(bfloat16(99840)), "99840");  // as many characters, and exact
  EXPECT_EQ(text_of(e5m2(1.75), std::chars_format::hex), "1.cp+0");
  EXPECT_EQ(text_of(bfloat16::denorm_min(), std::chars_format::hex), "1p-133");
}

TEST(Text, can_show_a_fixed_number_of_digits) {
  EXPECT_EQ(text_of(e4m3(0.40625), std::chars_format::fixed, 5), "0.40625");
  EXPECT_EQ(text_of(e4m3(0.40625), std::chars_format::fixed, 2), "0.41");
  EXPECT_EQ(text_of(e4m3(448), std::chars_format::scientific, 1), "4.5e+02");
  EXPECT_EQ(text_of(bfloat16::denorm_min(), std::chars_format::general, 3), "9.18e-41");
}

TEST(Text, does_not_write_behind_the_end) {
  const e5m2 f = e5m2(-57344);  // six characters
  for (int room = 0; room < 10; ++room) {
    char text[16];
    std::fill(std::begin(text), std::end(text), '#');
    const std::to_chars_result r = to_chars(text, text + room, f);
    if (room < 6) {
      EXPECT_EQ(r.ec, std::errc::value_too_large);
      EXPECT_EQ(r.ptr, text + room);
    } else {
      EXPECT_EQ(r.ec, std::errc{});
      EXPECT_EQ(std::string_view(text, r.ptr), "-57344");
    }
    EXPECT_EQ(std::count(text + (room < 6 ? room : 6), std::end(text), '#'), 16 - (room < 6 ? room : 6));
  }
}

constexpr bool works_in_constant_expressions() {
  char text[32]                = {};
  const std::to_chars_result r = to_chars(text, text + 32, e4m3(0.1));
  e4m3 back{};
  from_chars(text, r.ptr, back);
  return back.bits() == 0x1D && std::string_view(text, r.ptr) == "0.1";
}
static_assert(works_in_constant_expressions());

}  // namespace
