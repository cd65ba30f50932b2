// SPDX-License-Identifier: MIT
#include "vectors.hpp"

#include <fstream>
#include <sstream>

#include <quaver/convert/recode.hpp>

namespace {

using namespace quaver;
using quaver_test::name_of;

std::string read(const std::string& name) {
  std::ifstream file(std::string(QUAVER_TEST_SOURCE_DIR) + "/tests/golden/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') cells.emplace_back();
    else cells.back() += c;
  }
  return cells;
}

uint64_t number(const std::string& hex) { return std::strtoull(hex.c_str(), nullptr, 16); }

template <class F>
class Golden : public ::testing::Test {};
TYPED_TEST_SUITE(Golden, quaver_test::all_formats, quaver_test::format_names);

/// The library's code for one row; -1 if it has a name or a pair of names that is unknown.
template <class F>
class encode_row {
 public:
  explicit encode_row(const std::vector<std::string>& cells) : random_(static_cast<uint32_t>(number(cells[5]))) {
    const uint64_t input    = number(cells[4]);
    const std::string& type = cells[3];
    find_modes(cells[1], cells[2]);
    if (!known_) return;
    if (type == "float32") from_float(bitwise_cast<float>(static_cast<uint32_t>(input)));
    else if (type == "float64") to_nearest(bitwise_cast<double>(input));
    else if (type == "float16") to_nearest(half::from_bits(static_cast<uint16_t>(input)));
    else if (type == "bfloat16") to_nearest(bfloat16::from_bits(static_cast<uint16_t>(input)));
    else if (type == "int32") to_nearest(static_cast<int32_t>(static_cast<uint32_t>(input)));
    else if (type == "int64") to_nearest(static_cast<int64_t>(input));
  }
  [[nodiscard]] int code() const { return code_; }

 private:
  void find_modes(const std::string& r, const std::string& o) {
    for (int i = 0; i < 7; ++i) {
      for (int j = 0; j < 3; ++j) {
        if (r != name_of(static_cast<rounding>(i)) || o != name_of(static_cast<overflow>(j))) continue;
        rounding_ = i;
        overflow_ = j;
        known_    = true;
      }
    }
  }
  void from_float(float x) {
    if (rounding_ == 6) code_ = quaver_test::stochastic_encoders<F, float>[overflow_](x, random_).bits();
    else code_ = quaver_test::encoders<F, float>[rounding_].in[overflow_](x).bits();
  }
  /// The files have other sources in nearest_even only.
  template <class T>
  void to_nearest(T x) {
    constexpr rounding nearest = rounding::nearest_even;
    if (rounding_ == 0) code_ = quaver_test::row_of_encoders<F, T, nearest>.in[overflow_](x).bits();
  }

  uint32_t random_;
  int rounding_ = 0;
  int overflow_ = 0;
  bool known_   = false;
  int code_     = -1;
};

TYPED_TEST(Golden, every_encode_row_is_what_the_library_gives) {
  using F                = TypeParam;
  const std::string name = std::string("encode_") + name_of<F>() + ".csv";
  std::stringstream text(read(name));
  std::string line;
  ASSERT_TRUE(std::getline(text, line)) << name << " is missing or empty";
  EXPECT_EQ(line, "format,rounding,overflow,source,input,random,code");
  int rows  = 0;
  int wrong = 0;
  while (std::getline(text, line)) {
    const std::vector<std::string> cells = cells_of(line);
    ASSERT_EQ(cells.size(), 7u) << line;
    ASSERT_EQ(cells[0], name_of<F>()) << line;
    const int got = encode_row<F>(cells).code();
    ++rows;
    if (got == static_cast<int>(number(cells[6]))) continue;
    if (++wrong <= 8) ADD_FAILURE() << line << ": the library gives " << std::hex << got;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(rows, 1000);
}

TYPED_TEST(Golden, every_decode_row_is_what_the_library_gives) {
  using F                = TypeParam;
  const std::string name = std::string("decode_") + name_of<F>() + ".csv";
  std::stringstream text(read(name));
  std::string line;
  ASSERT_TRUE(std::getline(text, line)) << name << " is missing or empty";
  EXPECT_EQ(line, "format,code,value,float32");
  unsigned rows = 0;
  while (std::getline(text, line)) {
    const std::vector<std::string> cells = cells_of(line);
    ASSERT_EQ(cells.size(), 4u) << line;
    ASSERT_EQ(cells[0], name_of<F>()) << line;
    const F f          = F::from_bits(static_cast<typename F::storage>(number(cells[1])));
    const double value = std::strtod(cells[2].c_str(), nullptr);
    EXPECT_EQ(decode_bits(f), number(cells[3])) << line;
    if (std::isnan(value)) EXPECT_TRUE(std::isnan(decode<double>(f))) << line;
    else EXPECT_EQ(bitwise_cast<uint64_t>(decode<double>(f)), bitwise_cast<uint64_t>(value)) << line;
    ++rows;
  }
  if (F::width <= 8) EXPECT_EQ(rows, 1u << F::width);
  else EXPECT_GT(rows, 300u);
}

/// Not EXPECT_EQ of two texts: that would print them both.
void expect_same_text(const std::string& file, const std::string& oracle, const std::string& name) {
  EXPECT_TRUE(file == oracle) << name << " is not what the oracle writes now; see tests/golden/README.md";
}

TYPED_TEST(Golden, the_files_are_what_the_oracle_writes) {
  using F                  = TypeParam;
  const std::string encode = std::string("encode_") + name_of<F>() + ".csv";
  const std::string decode = std::string("decode_") + name_of<F>() + ".csv";
  expect_same_text(read(encode), quaver_golden::encode_rows<F>::text(), encode);
  expect_same_text(read(decode), quaver_golden::decode_rows<F>(), decode);
}

}  // namespace
