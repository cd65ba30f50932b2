// SPDX-License-Identifier: MIT
#include <quaver/io/dtype.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace {

using namespace quaver;
using io::dtype;

TEST(Dtype, every_name_leads_back_to_its_type) {
  std::set<std::string_view> names;
  for (const io::dtype_row& row : io::dtype_rows) {
    EXPECT_EQ(io::dtype_from_name(row.name), row.type);
    EXPECT_EQ(io::dtype_name(row.type), row.name);
    EXPECT_EQ(io::bits_per_element(row.type), row.bits);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
  EXPECT_EQ(names.size(), 22u);
}

TEST(Dtype, the_names_of_the_format_are_all_there) {
  for (const char* const name :
       {"F64",     "F32",         "F16",         "BF16", "I64",     "I32",    "I16",     "I8",
        "U64",     "U32",         "U16",         "U8",   "BOOL",    "C64",    "F8_E4M3", "F8_E5M2",
        "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F4",   "F6_E2M3", "F6_E3M2"}) {
    EXPECT_TRUE(io::dtype_from_name(name).has_value()) << name;
  }
}

TEST(Dtype, nothing_but_the_exact_name_is_taken) {
  for (const char* const name : {"", "f32", "F32 ", " F32", "F", "F8", "F8_E4M3FN", "FP8", "F128", "BF", "BOOLEAN"}) {
    EXPECT_FALSE(io::dtype_from_name(name).has_value()) << name;
  }
}

TEST(Dtype, a_later_type_is_never_narrower_so_that_writing_backwards_keeps_alignment) {
  for (size_t i = 1; i < io::dtype_rows.size(); ++i) {
    const auto bytes = [](unsigned bits) { return bits <= 8 ? 1u : bits / 8; };
    EXPECT_LE(bytes(io::dtype_rows[i - 1].bits), bytes(io::dtype_rows[i].bits)) << io::dtype_rows[i].name;
  }
}

TEST(Dtype, each_format_of_the_library_has_the_dtype_of_its_values) {
  EXPECT_EQ(io::dtype_of<e4m3>, dtype::f8_e4m3);
  EXPECT_EQ(io::dtype_of<e5m2>, dtype::f8_e5m2);
  EXPECT_EQ(io::dtype_of<e4m3fnuz>, dtype::f8_e4m3fnuz);
  EXPECT_EQ(io::dtype_of<e5m2fnuz>, dtype::f8_e5m2fnuz);
  EXPECT_EQ(io::dtype_of<e8m0>, dtype::f8_e8m0);
  EXPECT_EQ(io::dtype_of<e2m1>, dtype::f4);
  EXPECT_EQ(io::dtype_of<e2m1x2>, dtype::f4);
  EXPECT_EQ(io::dtype_of<e2m3>, dtype::f6_e2m3);
  EXPECT_EQ(io::dtype_of<e3m2>, dtype::f6_e3m2);
  EXPECT_EQ(io::dtype_of<half>, dtype::f16);
  EXPECT_EQ(io::dtype_of<bfloat16>, dtype::bf16);
  EXPECT_EQ(io::dtype_of<float>, dtype::f32);
  EXPECT_EQ(io::dtype_of<double>, dtype::f64);
  EXPECT_EQ(io::dtype_of<int8_t>, dtype::i8);
  EXPECT_EQ(io::dtype_of<uint64_t>, dtype::u64);
}

TEST(Dtype, formats_that_the_file_format_cannot_name_have_none) {
  EXPECT_FALSE(io::has_dtype<e4m3b11fnuz>);
  EXPECT_FALSE(io::has_dtype<e4m3ieee>);
  EXPECT_FALSE(io::has_dtype<e3m4>);
  EXPECT_FALSE(io::has_dtype<binary8p3>);
  EXPECT_FALSE(io::has_dtype<binary8p4>);
}

TEST(Dtype, only_the_8_bit_floats_count_as_fp8) {
  std::set<std::string> fp8;
  for (const io::dtype_row& row : io::dtype_rows) {
    if (io::is_fp8(row.type)) fp8.emplace(row.name);
  }
  EXPECT_EQ(fp8, (std::set<std::string>{"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}));
}

}  // namespace
