// SPDX-License-Identifier: MIT
#include "../format/values.hpp"

#include <quaver/convert/members.hpp>
#include <quaver/value/text.hpp>

#include <charconv>
#include <cstdlib>
#include <ostream>
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

/// The same without the type of the format.
struct reading {
  int code;
  std::errc error;
  std::ptrdiff_t length;
};

std::chars_format format_of(notation how) {
  switch (how) {
    case notation::scientific: return std::chars_format::scientific;
    case notation::fixed: return std::chars_format::fixed;
    case notation::hex: return std::chars_format::hex;
    default: return std::chars_format::general;
  }
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

/// to_chars, from_chars and encode of one format, with codes for values and the modes as arguments.
struct subject {
  definition format;
  int max_code, nan_code, untouched_code;
  std::string (*text)(int code, notation how);
  reading (*read)(std::string_view text, std::chars_format format, rounding mode);
  int (*read_all)(std::string_view text, overflow mode);
  int (*encoded)(double x, overflow mode);
};
std::ostream& operator<<(std::ostream& out, const subject& s) { return out << s.format.name; }

struct make_subject {
  template <class F>
  static std::string text(int code, notation how) {
    const F f = from_code<F>(code);
    return how == notation::shorter ? text_of(f) : text_of(f, format_of(how));
  }
  template <class F>
  static reading read(std::string_view text, std::chars_format format, rounding mode) {
    F value                = untouched<F>();
    const char* const last = text.data() + text.size();
    std::from_chars_result r{};
    if (mode == rounding::upward) r = from_chars<rounding::upward>(text.data(), last, value, format);
    else if (mode == rounding::downward) r = from_chars<rounding::downward>(text.data(), last, value, format);
    else if (mode == rounding::toward_zero) r = from_chars<rounding::toward_zero>(text.data(), last, value, format);
    else r = from_chars(text.data(), last, value, format);
    return {value.bits(), r.ec, r.ptr - text.data()};
  }
  template <class F>
  static int read_all(std::string_view text, overflow mode) {
    constexpr rounding nearest = rounding::nearest_even;
    F value                    = untouched<F>();
    const char* const last     = text.data() + text.size();
    std::from_chars_result r{};
    if (mode == overflow::saturate) r = from_chars<nearest, overflow::saturate>(text.data(), last, value);
    else if (mode == overflow::nonfinite) r = from_chars<nearest, overflow::nonfinite>(text.data(), last, value);
    else r = from_chars<nearest, overflow::saturate_finite>(text.data(), last, value);
    EXPECT_EQ(r.ec, std::errc{}) << text;
    EXPECT_EQ(r.ptr, last) << text;
    return value.bits();
  }
  template <class F>
  static int encoded(double x, overflow mode) {
    constexpr rounding nearest = rounding::nearest_even;
    if (mode == overflow::saturate) return encode<F, nearest, overflow::saturate>(x).bits();
    if (mode == overflow::nonfinite) return encode<F, nearest, overflow::nonfinite>(x).bits();
    return encode<F, nearest, overflow::saturate_finite>(x).bits();
  }
  template <class F>
  subject operator()() const {
    return {definition_of<F>, (F::max)().bits(), F::nan().bits(), untouched<F>().bits(),
            text<F>,          read<F>,           read_all<F>,     encoded<F>};
  }
};

class Text : public ::testing::TestWithParam<subject> {
 protected:
  const subject& on_               = GetParam();
  const definition format_         = on_.format;
  const int count_                 = format_.code_count();
  const int magnitudes_            = format_.is_scale() ? count_ : count_ / 2;
  const std::vector<double> table_ = finite_values(format_);

  [[nodiscard]] double value(int code) const { return value_of(format_, code); }
  [[nodiscard]] std::string text(int code, notation how) const { return on_.text(code, how); }
  [[nodiscard]] reading read(std::string_view t, rounding mode = rounding::nearest_even) const {
    return on_.read(t, std::chars_format::general, mode);
  }
};
INSTANTIATE_TEST_SUITE_P(Of, Text, ::testing::ValuesIn(for_every_format<subject>(make_subject{})),
                         name_of_record<subject>);

constexpr notation notations[] = {notation::shorter, notation::general, notation::scientific, notation::fixed,
                                  notation::hex};

TEST_P(Text, of_every_code_reads_back_as_that_code_in_every_notation) {
  for (int code = 0; code < count_; ++code) {
    for (const notation how : notations) {
      const std::string t = text(code, how);
      const reading back  = on_.read(t, format_of(how), rounding::nearest_even);
      ASSERT_EQ(back.error, std::errc{}) << t;
      ASSERT_EQ(back.length, static_cast<std::ptrdiff_t>(t.size())) << t;
      if (std::isnan(value(code))) {
        ASSERT_EQ(back.code, on_.nan_code) << t;
        const bool has_sign = format_.codes == reserved::ieee || format_.codes == reserved::all_ones_is_nan;
        ASSERT_EQ(t, has_sign && !format_.is_scale() && code >= magnitudes_ ? "-nan" : "nan");
      } else {
        ASSERT_EQ(back.code, code) << t;
      }
    }
  }
}

/// The interval of decimals that round to a magnitude, found in the sorted table: from the tie below to the tie above,
/// which belong to it where its code is even.
struct interval {
  long double low;
  long double high;
  bool closed;

  interval(const definition& format, const std::vector<double>& table, int code) {
    const double value = value_of(format, code);
    const auto at      = std::lower_bound(table.begin(), table.end(), value);
    // Above the largest value the exponent goes on, in e8m0 below the smallest one too.
    const double next     = at + 1 != table.end() ? at[1] : format.is_scale() ? 2 * value : value + (value - at[-1]);
    const double previous = at != table.begin() ? at[-1] : value / 2;
    low                   = (static_cast<long double>(previous) + value) / 2;
    high                  = (static_cast<long double>(value) + next) / 2;
    closed                = code % 2 == 0;
  }
  [[nodiscard]] bool has(long double x) const { return closed ? x >= low && x <= high : x > low && x < high; }
};

/// The decimal of this many digits in the interval that is nearest to the value, by trying all; negative if there is
/// none. Long doubles are exact enough: numbers of up to 5 digits and a power of ten, against ends of at most 12 bits.
long double nearest_of_digits(const interval& in, long double value, int digits) {
  const int exponent = static_cast<int>(std::floor(std::log10(value)));
  int first          = 1;
  for (int i = 1; i < digits; ++i) first *= 10;
  long double best = -1;
  for (const int e : {exponent, exponent + 1}) {  // 10 may be the shortest in the interval of 9.75
    const int scale         = e - (digits - 1);
    const long double power = std::pow(10.0L, std::abs(scale));
    for (int n = first; n < 10 * first; ++n) {
      const long double x = scale < 0 ? n / power : n * power;
      if (!in.has(x)) continue;
      // Equally far, as 0.12 and 0.13 from 0.125, but for the last bits of the quotients: the even digit.
      const long double nearer = std::fabs(best - value) - std::fabs(x - value);
      const bool tie           = std::fabs(nearer) < 1e-15L * value;
      if (best < 0 || (tie ? n % 2 == 0 : nearer > 0)) best = x;
    }
  }
  return best;
}

TEST_P(Text, is_the_shortest_there_is_and_the_nearest_of_those) {
  // By trying all shorter texts: of the 16-bit formats every 251st.
  for (int code = 0; code < magnitudes_; code += count_ > 256 ? 251 : 1) {
    const long double x = value(code);
    if (!std::isfinite(x) || x == 0) continue;
    const interval in(format_, table_, code);
    const std::string t = text(code, notation::scientific);
    int digits          = 1;
    while (digits < 6 && nearest_of_digits(in, x, digits) < 0) ++digits;
    ASSERT_LT(digits, 6) << t;
    ASSERT_EQ(t.find('e') - (t.find('.') != std::string::npos ? 1 : 0), static_cast<std::size_t>(digits)) << t;
    ASSERT_NEAR(static_cast<double>(std::stold(t) / nearest_of_digits(in, x, digits)), 1.0, 1e-15) << t;
    if (format_.is_scale()) continue;
    ASSERT_EQ(text(code + magnitudes_, notation::scientific), "-" + t);
  }
}

TEST_P(Text, has_no_fewer_digits_that_would_read_back) {
  // One digit less, rounded down or up, is another code or none.
  for (int code = 0; code < magnitudes_; ++code) {
    if (!std::isfinite(value(code)) || value(code) == 0) continue;
    const std::string t       = text(code, notation::scientific);
    const std::size_t e       = t.find('e');
    const double max_digits10 = std::ceil(1 + (format_.mantissa_bits + 1) * std::log10(2.0));
    ASSERT_LE(e, static_cast<std::size_t>(max_digits10) + 1) << t;
    if (e < 3) continue;
    const std::string lower = t.substr(0, e - 1) + t.substr(e);
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
      const reading back = read(shorter);
      ASSERT_FALSE(back.error == std::errc{} && back.code == code) << shorter << " for " << t;
    }
  }
}

TEST_P(Text, follows_std_to_chars_in_its_choice_of_notation) {
  // Where the shortest digits of a value are those of the same number as a float, the texts must be the same.
  const auto standard = [](float x, auto... format) {
    char t[128];
    return std::string(t, std::to_chars(t, t + sizeof t, x, format...).ptr);
  };
  int compared = 0;
  for (int code = 0; code < count_; ++code) {
    if (!std::isfinite(value(code))) continue;
    const float digits = std::strtof(text(code, notation::scientific).c_str(), nullptr);
    ASSERT_EQ(text(code, notation::scientific), standard(digits, std::chars_format::scientific)) << code;
    // Whole numbers show their exact digits, ours and theirs.
    if (std::fabs(digits) >= 10 && digits != static_cast<float>(value(code))) continue;
    ASSERT_EQ(text(code, notation::shorter), standard(digits)) << code;
    ASSERT_EQ(text(code, notation::general), standard(digits, std::chars_format::general)) << code;
    ASSERT_EQ(text(code, notation::fixed), standard(digits, std::chars_format::fixed)) << code;
    ++compared;
  }
  EXPECT_GT(compared, count_ / 8);
}

TEST_P(Text, reads_every_tie_and_what_lies_next_to_it_with_one_rounding) {
  // Of the 16-bit formats a sample: subnormals, the ends and every 97th.
  const int largest = on_.max_code;
  for (int low = 0; low < largest; ++low) {
    if (count_ > 256 && low > 20 && low + 20 < largest && low % 97 != 0) continue;
    const int high        = low + 1;  // codes are ordered like their values
    const bool from_zero  = value(low) == 0;
    const std::string tie = exact_text((value(low) + value(high)) / 2);
    // What rounds to zero without being zero has no value.
    if (from_zero) {
      ASSERT_EQ(read(tie).error, std::errc::result_out_of_range);
      ASSERT_EQ(read(just_below(tie)).error, std::errc::result_out_of_range);
    } else {
      ASSERT_EQ(read(tie).code, low % 2 == 0 ? low : high) << tie;
      ASSERT_EQ(read(just_below(tie)).code, low) << tie;
    }
    ASSERT_EQ(read(just_above(tie)).code, high) << tie;

    // The values themselves, and what lies next to them, under directed rounding.
    const std::string exact = exact_text(value(high));
    ASSERT_EQ(read(exact, rounding::toward_zero).code, high) << exact;
    ASSERT_EQ(read(just_above(exact), rounding::downward).code, high) << exact;
    ASSERT_EQ(read(just_below(exact), rounding::upward).code, high) << exact;
    if (!format_.is_scale()) {
      ASSERT_EQ(value(read("-" + just_below(exact), rounding::downward).code), -value(high)) << exact;
      ASSERT_EQ(value(read("-" + just_above(exact), rounding::upward).code), -value(high)) << exact;
    }
  }
}

TEST_P(Text, ends_where_rounding_would_pass_the_largest_value) {
  const double largest  = table_.back();
  const double step     = format_.is_scale() ? largest : largest - table_[table_.size() - 2];
  const std::string tie = exact_text(largest + step / 2);

  EXPECT_EQ(read(just_below(tie)).code, on_.max_code);
  EXPECT_EQ(read(tie).error, on_.max_code % 2 == 0 ? std::errc{} : std::errc::result_out_of_range);
  const reading above = read(just_above(tie));
  EXPECT_EQ(above.error, std::errc::result_out_of_range);
  EXPECT_EQ(above.code, on_.untouched_code) << "left as it was";
  EXPECT_EQ(above.length, static_cast<std::ptrdiff_t>(just_above(tie).size())) << "but read to its end";

  // Cut off, everything below the next value would be the largest one.
  const std::string next = exact_text(largest + step);
  EXPECT_EQ(read(next, rounding::toward_zero).error, std::errc::result_out_of_range);
  EXPECT_EQ(read(just_below(next), rounding::toward_zero).error, std::errc{});
  EXPECT_EQ(read(just_below(next), rounding::toward_zero).code, on_.max_code);
  EXPECT_EQ(read(just_above(exact_text(largest)), rounding::upward).error, std::errc::result_out_of_range);
}

TEST_P(Text, outside_the_range_is_an_error_or_what_encode_makes_of_it) {
  for (const std::string_view t :
       {"1e39", "1e400", "123e99999999999999999999", "1e-47", "7e-4000", "1e-99999999999999999999", "-1e39"}) {
    const reading out = read(t);
    EXPECT_EQ(out.error, std::errc::result_out_of_range) << t;
    EXPECT_EQ(out.code, on_.untouched_code) << t;
    EXPECT_EQ(out.length, static_cast<std::ptrdiff_t>(t.size())) << t;
  }
  for (const double x : {1e39, -1e39, 1e-47, 0.0, HUGE_VAL, -HUGE_VAL}) {
    char t[64];
    const std::string_view shown(t, static_cast<std::size_t>(std::to_chars(t, t + sizeof t, x).ptr - t));
    for (const overflow mode : {overflow::saturate, overflow::saturate_finite, overflow::nonfinite}) {
      EXPECT_EQ(on_.read_all(shown, mode), on_.encoded(x, mode)) << shown;
    }
  }
  EXPECT_EQ(on_.read_all("nan", overflow::saturate), on_.nan_code);
}

TEST_P(Text, of_infinity_and_nan_is_read_where_the_format_has_them) {
  const std::errc missing = std::errc::result_out_of_range;
  for (const std::string_view t : {"inf", "INF", "Infinity", "-inf", "-INFINITY"}) {
    const reading r = read(t);
    EXPECT_EQ(r.length, static_cast<std::ptrdiff_t>(t.size())) << t;
    EXPECT_EQ(r.error, format_.has_infinity() ? std::errc{} : missing) << t;
    if (format_.has_infinity()) {
      EXPECT_EQ(value(r.code), t[0] == '-' ? -HUGE_VAL : HUGE_VAL) << t;
    }
  }
  for (const std::string_view t : {"nan", "NaN", "-nan", "nan()", "NAN(ind_0x7F)"}) {
    const reading r = read(t);
    EXPECT_EQ(r.length, static_cast<std::ptrdiff_t>(t.size())) << t;
    EXPECT_EQ(r.error, format_.has_nan() ? std::errc{} : missing) << t;
    EXPECT_EQ(r.code, format_.has_nan() ? on_.nan_code : on_.untouched_code) << t;
  }
  EXPECT_EQ(read("infinit").length, 3);
  EXPECT_EQ(read("nan(not closed").length, 3);
  EXPECT_EQ(read("nan(a-b)").length, 3);
}

TEST(TextOf, binary32_is_that_of_a_float) {
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
      const std::string expected(text, static_cast<std::size_t>(end - text));
      ASSERT_EQ(format == std::chars_format{} ? text_of(f) : text_of(f, format), expected);
      binary32 back{};
      if (finite) {
        from_chars(text, end, back, format == std::chars_format{} ? std::chars_format::general : format);
        ASSERT_EQ(back.bits(), f.bits()) << expected;
      }
    }
  }
}

TEST(TextSyntax, is_read_by_the_grammar_of_std_from_chars) {
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

TEST(TextExamples, may_be_longer_than_any_number_needs) {
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

TEST(TextExamples, is_not_rounded_through_double_or_float) {
  // Just above the tie of e4m3 between 1 and 1.125, by less than a double can tell, then by less than a float can tell.
  EXPECT_EQ(parse<e4m3>("1.0625").value, e4m3(1));
  EXPECT_EQ(parse<e4m3>("1.06250000000000000000000000000000000001").value, e4m3(1.125));
  EXPECT_EQ(parse<e4m3>("1.0625000000001").value, e4m3(1.125));
  EXPECT_EQ(parse<e4m3>("1.06249999999999999999999999999999999999").value, e4m3(1));
}

TEST(TextExamples, shows_known_values_as_people_write_them) {
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

TEST(TextExamples, can_show_a_fixed_number_of_digits) {
  EXPECT_EQ(text_of(e4m3(0.40625), std::chars_format::fixed, 5), "0.40625");
  EXPECT_EQ(text_of(e4m3(0.40625), std::chars_format::fixed, 2), "0.41");
  EXPECT_EQ(text_of(e4m3(448), std::chars_format::scientific, 1), "4.5e+02");
  EXPECT_EQ(text_of(bfloat16::denorm_min(), std::chars_format::general, 3), "9.18e-41");
}

TEST(TextExamples, does_not_write_behind_the_end) {
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
