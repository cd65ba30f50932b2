// SPDX-License-Identifier: MIT
#include <quaver/io/safetensors_reader.hpp>

#include "fixtures.hpp"

#include <sys/stat.h>

namespace {

using namespace quaver;
using namespace quaver_tests;
using namespace std::string_literals;

std::string one_byte(std::string_view header) { return file_bytes(header, "x"); }

// ---- accepted -------------------------------------------------------------------------------------------------------

TEST(SafetensorsReader, reads_names_dtypes_shapes_bytes_and_metadata) {
  const std::string bytes =
      file_bytes(joined("{\"__metadata__\":{\"format\":\"pt\",\"\":\"\"},", entry("b", "F8_E4M3", "[2,3]", 0, 6), ",",
                        entry("a", "BF16", "[]", 6, 8), "}   "),
                 "abcdefgh");
  const auto reader = read(bytes);
  ASSERT_TRUE(reader.ok()) << reader.message();
  ASSERT_EQ(reader->tensors().size(), 2u);
  const io::tensor_view& b = reader->tensors()[0];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.type, io::dtype::f8_e4m3);
  EXPECT_EQ(b.shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(b.data.data(), "abcdef", 6), 0);
  EXPECT_EQ(b.data.size(), 6u);
  const io::tensor_view* const a = reader->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_TRUE(a->shape.empty());
  EXPECT_EQ(std::memcmp(a->data.data(), "gh", 2), 0);
  EXPECT_EQ(reader->find("c"), nullptr);
  EXPECT_EQ(reader->metadata(), (io::metadata_map{{"format", "pt"}, {"", ""}}));
}

TEST(SafetensorsReader, copies_no_tensor) {
  const std::string bytes = file_of({entry("a", "U8", "[1]", 0, 1)}, "x");
  const auto reader       = read(bytes);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(static_cast<const void*>(reader->tensors()[0].data.data()), bytes.data() + bytes.size() - 1);
}

TEST(SafetensorsReader, takes_tensors_and_fields_in_any_order_and_lists_them_by_their_bytes) {
  const std::string bytes =
      file_of({entry("last", "U8", "[1]", 3, 4), "\"first\":{\"data_offsets\":[0,1],\"shape\":[1],\"dtype\":\"I8\"}",
               entry("middle", "U8", "[2]", 1, 3)},
              "0123");
  const auto reader = read(bytes);
  ASSERT_TRUE(reader.ok()) << reader.message();
  EXPECT_EQ(reader->tensors()[0].name, "first");
  EXPECT_EQ(reader->tensors()[1].name, "middle");
  EXPECT_EQ(reader->tensors()[2].name, "last");
}

TEST(SafetensorsReader, takes_empty_tensors_wherever_they_stand) {
  const std::string bytes = file_of({entry("a", "F32", "[0,4]", 0, 0), entry("b", "U8", "[1]", 0, 1),
                                     entry("c", "I64", "[3,0]", 1, 1), entry("d", "U8", "[0]", 0, 0)},
                                    "x");
  const auto reader       = read(bytes);
  ASSERT_TRUE(reader.ok()) << reader.message();
  EXPECT_EQ(reader->tensors().size(), 4u);
  EXPECT_TRUE(reader->find("c")->data.empty());
}

TEST(SafetensorsReader, takes_a_file_without_tensors) {
  for (const char* const header : {"{}", "{}      ", "{\"__metadata__\":{}}", "{ \n }"}) {
    const auto reader = read(file_bytes(header));
    EXPECT_TRUE(reader.ok()) << reader.message();
    EXPECT_TRUE(reader->tensors().empty());
  }
}

TEST(SafetensorsReader, takes_names_of_every_kind) {
  const std::string bytes = file_of({entry("", "U8", "[1]", 0, 1), entry("\\u0000\\n\\\"", "U8", "[1]", 1, 2),
                                     entry("\\ud834\\udd5f \xCE\xB2", "U8", "[1]", 2, 3)},
                                    "xyz");
  const auto reader       = read(bytes);
  ASSERT_TRUE(reader.ok()) << reader.message();
  EXPECT_NE(reader->find(""), nullptr);
  EXPECT_NE(reader->find("\0\n\""s), nullptr);
  EXPECT_NE(reader->find("\U0001D15F \u03B2"), nullptr);
}

TEST(SafetensorsReader, takes_every_dtype_with_its_own_number_of_bits) {
  for (const io::dtype_row& row : io::dtype_rows) {
    const std::string data(row.bits, 'x');  // 8 elements
    const auto reader = read(file_of({entry("t", row.name, "[2,4]", 0, row.bits)}, data));
    ASSERT_TRUE(reader.ok()) << reader.message();
    EXPECT_EQ(reader->tensors()[0].type, row.type);
    EXPECT_TRUE(names(refusal(file_of({entry("t", row.name, "[2,4]", 0, row.bits + 1)}, joined(data, "x"))),
                      {"\"t\"", row.name, "[2, 4]", std::to_string(row.bits), std::to_string(row.bits + 1)}));
  }
}

TEST(SafetensorsReader, takes_extents_whose_product_is_zero_before_it_overflows) {
  const auto reader = read(file_of({entry("t", "F64", "[0,18446744073709551615,18446744073709551615]", 0, 0)}));
  EXPECT_TRUE(reader.ok()) << reader.message();
}

// ---- the length and the header --------------------------------------------------------------------------------------

TEST(SafetensorsReader, refuses_a_file_shorter_than_the_length_of_its_header) {
  for (size_t size = 0; size < 8; ++size) {
    EXPECT_TRUE(names(refusal(file_bytes("{}").substr(0, size)), {joined(size, " bytes"), "8"}));
  }
}

TEST(SafetensorsReader, refuses_a_header_longer_than_the_file) {
  EXPECT_TRUE(names(refusal(file_claiming(3, "{}")), {"3 bytes", "only 2"}));
  EXPECT_TRUE(names(refusal(file_claiming(100'000'000, "{}")), {"100000000", "only 2"}));
}

TEST(SafetensorsReader, refuses_a_header_longer_than_the_format_allows) {
  EXPECT_TRUE(names(refusal(file_claiming(100'000'001, "{}")), {"100000001", "100000000"}));
  EXPECT_TRUE(names(refusal(file_claiming(~uint64_t{0}, "{}")), {"18446744073709551615", "100000000"}));
  // 8 + this wraps to 2.
  EXPECT_TRUE(names(refusal(file_claiming(~uint64_t{5}, "{}")), {"18446744073709551610"}));
}

TEST(SafetensorsReader, takes_a_header_as_long_as_the_format_allows) {
  const std::string bytes = file_bytes("{}" + std::string(100'000'000 - 2, ' '));
  EXPECT_TRUE(read(bytes).ok());
}

TEST(SafetensorsReader, refuses_a_header_that_does_not_begin_with_a_brace) {
  EXPECT_TRUE(names(refusal(file_bytes("")), {"header is empty"}));
  for (const char* const header : {" {}", "[]", "\xEF\xBB\xBF{}", "\"{}\"", "\n{}"}) {
    EXPECT_TRUE(names(refusal(file_bytes(header)), {"does not begin with '{'"})) << header;
  }
}

TEST(SafetensorsReader, refuses_anything_but_spaces_behind_the_header) {
  for (const char* const header : {"{}\n", "{}\t", "{} x", "{}  \r"}) {
    EXPECT_TRUE(names(refusal(file_bytes(header)), {"does not end with '}' and spaces"})) << header;
  }
  EXPECT_TRUE(names(refusal(file_bytes("{}{}")), {"not valid JSON at its byte 3"}));
  // A parser that stops at NUL would take this for an empty header.
  EXPECT_TRUE(names(refusal(file_bytes("{}\0{}"s)), {"not valid JSON at its byte 3"}));
}

TEST(SafetensorsReader, refuses_what_is_not_json) {
  for (const std::string& header :
       {"{\"a\"}"s, "{\"a\":}"s, "{,}"s, "{\"__metadata__\":{}]}"s, "{\"\xFF\":{}}"s, "{\"\\ud834\":{}}"s, "{'a':{}}"s,
        "{/**/}"s, "{\"__metadata__\":{\"a\":\"b\",}}"s, "{\"a\0b\":{}}"s}) {
    EXPECT_TRUE(names(refusal(file_bytes(header)), {"not valid JSON at its byte "})) << header;
  }
}

TEST(SafetensorsReader, stops_at_depth_at_once) {
  for (const char* const opening : {"{\"a\":", "{\"a\":[", "["}) {
    std::string header = "{\"x\":";
    for (int i = 0; i < 1'000'000; ++i) header += opening;
    EXPECT_FALSE(refusal(file_bytes(joined(header, "}"))).empty());
  }
  std::string array =
      joined("{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":", std::string(1'000'000, '['), "}");
  EXPECT_TRUE(names(refusal(one_byte(array)), {"\"x\"", "an array where"}));
}

TEST(SafetensorsReader, refuses_more_axes_than_any_framework_has) {
  std::string shape = "[1";
  for (int i = 1; i < 64; ++i) shape += ",1";
  EXPECT_TRUE(read(file_of({entry("t", "U8", joined(shape, "]"), 0, 1)}, "x")).ok());
  EXPECT_TRUE(names(refusal(file_of({entry("t", "U8", joined(shape, ",1]"), 0, 1)}, "x")), {"\"t\"", "64 axes"}));
}

TEST(SafetensorsReader, puts_the_longest_and_the_strangest_name_on_one_line) {
  const std::string long_name(10'000, 'n');
  EXPECT_LT(refusal(file_of({entry(long_name, "U8", "[2]", 0, 1)}, "x")).size(), 500u);
  const std::string message = refusal(file_of({entry("a\\nb\\u001b[31m", "U8", "[2]", 0, 1)}, "x"));
  EXPECT_TRUE(names(message, {"\"a?b?[31m\""}));
}

// ---- duplicate keys -------------------------------------------------------------------------------------------------

TEST(SafetensorsReader, refuses_a_tensor_that_stands_twice) {
  EXPECT_TRUE(names(refusal(file_of({entry("twin", "U8", "[0]", 0, 0), entry("twin", "U8", "[0]", 0, 0)})),
                    {"\"twin\" stands twice"}));
  EXPECT_TRUE(names(refusal(file_of({entry("twin", "U8", "[1]", 0, 1), entry("b", "U8", "[1]", 1, 2),
                                     entry("\\u0074win", "U8", "[1]", 2, 3)},
                                    "xyz")),
                    {"\"twin\" stands twice"}));
}

TEST(SafetensorsReader, refuses_a_field_that_stands_twice) {
  EXPECT_TRUE(
      names(refusal(one_byte("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}")),
            {"\"a\"", "dtype stands twice"}));
  EXPECT_TRUE(names(refusal(one_byte("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}")),
                    {"\"a\"", "shape stands twice"}));
  EXPECT_TRUE(
      names(refusal(one_byte("{\"a\":{\"data_offsets\":[0,1],\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}")),
            {"\"a\"", "data_offsets stands twice"}));
}

TEST(SafetensorsReader, refuses_metadata_that_stands_twice) {
  EXPECT_TRUE(names(refusal(file_bytes("{\"__metadata__\":{},\"__metadata__\":{}}")), {"__metadata__ stands twice"}));
  EXPECT_TRUE(names(refusal(file_bytes("{\"__metadata__\":{\"key\":\"1\",\"key\":\"2\"}}")), {"\"key\" stands twice"}));
}

// ---- the fields of a tensor -----------------------------------------------------------------------------------------

TEST(SafetensorsReader, refuses_a_tensor_without_all_three_fields) {
  EXPECT_TRUE(names(refusal(one_byte("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}")), {"\"a\"", "no dtype"}));
  EXPECT_TRUE(names(refusal(one_byte("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}")), {"\"a\"", "no shape"}));
  EXPECT_TRUE(names(refusal(one_byte("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}")), {"\"a\"", "no data_offsets"}));
  EXPECT_TRUE(names(refusal(file_bytes("{\"a\":{}}")), {"\"a\"", "no dtype"}));
}

TEST(SafetensorsReader, refuses_a_field_that_the_format_does_not_have) {
  EXPECT_TRUE(
      names(refusal(one_byte("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"strides\":[1]}}")),
            {"\"a\"", "unknown field \"strides\""}));
}

TEST(SafetensorsReader, refuses_an_unknown_dtype) {
  for (const char* const dtype : {"F128", "u8", "F8_E4M3FN", ""}) {
    EXPECT_TRUE(names(refusal(file_of({entry("a", dtype, "[1]", 0, 1)}, "x")),
                      {"\"a\"", joined("unknown dtype \"", dtype, "\"")}));
  }
}

TEST(SafetensorsReader, refuses_values_of_the_wrong_kind) {
  const auto tensor = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return refusal(
        one_byte(joined("{\"a\":{\"dtype\":", dtype, ",\"shape\":", shape, ",\"data_offsets\":", offsets, "}}")));
  };
  for (const char* const dtype : {"8", "null", "[\"U8\"]", "{}", "true"}) {
    EXPECT_TRUE(names(tensor(dtype, "[1]", "[0,1]"), {"\"a\"", "dtype's text is due"})) << dtype;
  }
  for (const char* const numbers : {"1", "null", "\"[1]\"", "{}", "false", "1.5", "-1"}) {
    EXPECT_TRUE(names(tensor("\"U8\"", numbers, "[0,1]"), {"\"a\"", "an array of numbers is due"})) << numbers;
    EXPECT_TRUE(names(tensor("\"U8\"", "[1]", numbers), {"\"a\"", "an array of numbers is due"})) << numbers;
  }
  for (const char* const number :
       {"1.0", "1e0", "-1", "-0", "18446744073709551616", "null", "\"1\"", "[1]", "{}", "true"}) {
    const std::string text = joined("[", number, "]");
    EXPECT_TRUE(names(tensor("\"U8\"", text, "[0,1]"), {"\"a\"", "due"})) << number;
    EXPECT_TRUE(names(tensor("\"U8\"", "[1]", joined("[0,", number, "]")), {"\"a\"", "due"})) << number;
  }
  for (const char* const whole : {"1", "null", "\"U8\"", "[\"U8\",[1],[0,1]]"}) {
    EXPECT_TRUE(names(refusal(one_byte(joined("{\"a\":", whole, "}"))), {"\"a\"", "a tensor's object is due"}));
  }
}

TEST(SafetensorsReader, refuses_other_than_two_offsets) {
  for (const char* const offsets : {"[]", "[0]", "[0,1,1]", "[0,0,0,0,0]"}) {
    EXPECT_TRUE(
        names(refusal(one_byte(joined("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":", offsets, "}}"))),
              {"\"a\"", "data_offsets has", "2"}))
        << offsets;
  }
}

TEST(SafetensorsReader, refuses_metadata_other_than_text) {
  for (const char* const value : {"1", "null", "true", "{}", "[]", "1.5", "-1"}) {
    EXPECT_TRUE(
        names(refusal(file_bytes(joined("{\"__metadata__\":{\"key\":", value, "}}"))), {"__metadata__", "\"key\""}))
        << value;
  }
  for (const char* const value : {"1", "null", "\"text\"", "[]"}) {
    EXPECT_TRUE(names(refusal(file_bytes(joined("{\"__metadata__\":", value, "}"))), {"__metadata__", "object"}));
  }
}

// ---- where the bytes lie --------------------------------------------------------------------------------------------

TEST(SafetensorsReader, refuses_bytes_that_do_not_fit_the_shape) {
  EXPECT_TRUE(names(refusal(file_of({entry("w", "F32", "[2,2]", 0, 12)}, std::string(12, 'x'))),
                    {"\"w\"", "[0, 12]", "hold 12", "F32", "[2, 2]", "takes 16"}));
  EXPECT_TRUE(names(refusal(file_of({entry("w", "F32", "[]", 0, 0)})), {"\"w\"", "takes 4"}));
}

TEST(SafetensorsReader, refuses_elements_that_end_within_a_byte) {
  EXPECT_TRUE(names(refusal(file_of({entry("w", "F4", "[3]", 0, 2)}, "xx")), {"\"w\"", "F4", "12 bits"}));
  EXPECT_TRUE(names(refusal(file_of({entry("w", "F6_E3M2", "[2]", 0, 2)}, "xx")), {"\"w\"", "12 bits"}));
}

TEST(SafetensorsReader, refuses_a_shape_whose_product_overflows) {
  // The product wraps to 0 and to 1.
  EXPECT_TRUE(names(refusal(file_of({entry("w", "U8", "[4294967296,4294967296]", 0, 0)})),
                    {"\"w\"", "[4294967296, 4294967296]", "overflows"}));
  EXPECT_TRUE(names(refusal(file_of({entry("w", "U8", "[3,12297829382473034411]", 0, 1)}, "x")),
                    {"\"w\"", "[3, 12297829382473034411]", "overflows"}));
  EXPECT_TRUE(
      names(refusal(file_of({entry("w", "U8", "[1099511627776,1099511627776,0]", 0, 0)})), {"\"w\"", "overflows"}));
}

TEST(SafetensorsReader, refuses_a_size_in_bits_that_overflows) {
  // 2^61 elements of 8 bits are 2^64 bits, which wrap to 0.
  EXPECT_TRUE(names(refusal(file_of({entry("w", "U8", "[2305843009213693952]", 0, 0)})),
                    {"\"w\"", "2305843009213693952", "overflow"}));
}

TEST(SafetensorsReader, refuses_offsets_that_run_backwards) {
  EXPECT_TRUE(names(refusal(file_of({entry("w", "U8", "[0]", 2, 1)}, "xyz")), {"\"w\"", "[2, 1]", "backwards"}));
}

TEST(SafetensorsReader, refuses_a_truncated_file) {
  const std::string whole = file_of({entry("a", "U8", "[4]", 0, 4), entry("b", "F32", "[2]", 4, 12)}, "0123456789ab");
  ASSERT_TRUE(read(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(refusal(whole.substr(0, size)).empty()) << size;
  EXPECT_TRUE(names(refusal(whole.substr(0, whole.size() - 1)), {"\"b\"", "[4, 12]", "11 bytes"}));
}

TEST(SafetensorsReader, refuses_overlapping_tensors) {
  EXPECT_TRUE(names(refusal(file_of({entry("a", "U8", "[2]", 0, 2), entry("b", "U8", "[2]", 1, 3)}, "xyz")),
                    {"\"a\"", "[0, 2]", "\"b\"", "[1, 3]", "overlap"}));
  EXPECT_TRUE(names(refusal(file_of({entry("a", "U8", "[3]", 0, 3), entry("b", "U8", "[0]", 1, 1)}, "xyz")),
                    {"\"b\"", "[1, 1]", "overlap"}));
  EXPECT_TRUE(names(refusal(file_of({entry("a", "U8", "[2]", 0, 2), entry("b", "U8", "[2]", 0, 2)}, "xy")),
                    {"\"a\"", "\"b\"", "overlap"}));
}

TEST(SafetensorsReader, refuses_holes_between_and_before_tensors) {
  EXPECT_TRUE(names(refusal(file_of({entry("a", "U8", "[1]", 0, 1), entry("b", "U8", "[1]", 2, 3)}, "xyz")),
                    {"\"b\"", "[2, 3]", "bytes 1 to 2"}));
  EXPECT_TRUE(names(refusal(file_of({entry("a", "U8", "[1]", 1, 2)}, "xy")), {"\"a\"", "bytes 0 to 1"}));
}

TEST(SafetensorsReader, refuses_data_that_belong_to_no_tensor) {
  EXPECT_TRUE(names(refusal(file_of({entry("a", "U8", "[1]", 0, 1)}, "xyz")), {"end at byte 1", "has 3"}));
  EXPECT_TRUE(names(refusal(file_bytes("{}", "x")), {"end at byte 0", "has 1"}));
}

// ---- typed access ---------------------------------------------------------------------------------------------------

TEST(SafetensorsReader, gives_elements_without_a_copy_only_where_they_are_aligned) {
  // The header is padded so that the data begins at a multiple of 8, or one byte off it.
  for (const bool aligned : {true, false}) {
    std::string header = joined("{", entry("a", "F32", "[2]", 0, 8), "}");
    while (header.size() % 8 != (aligned ? 0u : 1u)) header += ' ';
    const std::string raw = file_bytes(header, std::string("\0\0\x80\x3F\0\0\0\x40", 8));
    alignas(8) std::array<char, 256> storage{};
    ASSERT_LE(raw.size(), storage.size());
    std::memcpy(storage.data(), raw.data(), raw.size());
    const auto reader =
        io::safetensors_reader::from_memory(std::as_bytes(std::span<const char>(storage.data(), raw.size())));
    ASSERT_TRUE(reader.ok()) << reader.message();
    const io::tensor_view& tensor = reader->tensors()[0];
    const auto direct             = io::elements<float>(tensor);
    EXPECT_EQ(direct.ok(), aligned) << direct.message();
    if (aligned) {
      EXPECT_EQ((*direct)[1], 2.0f);
    } else {
      EXPECT_TRUE(names(direct.message(), {"\"a\"", "1 bytes off"}));
    }
    const auto copied = io::copy_elements<float>(tensor);
    ASSERT_TRUE(copied.ok());
    EXPECT_EQ(*copied, (std::vector<float>{1.0f, 2.0f}));
  }
}

TEST(SafetensorsReader, gives_elements_of_the_stored_dtype_only) {
  const std::string bytes = file_of({entry("a", "F8_E4M3", "[1]", 0, 1)}, "x");
  const auto reader       = read(bytes);
  ASSERT_TRUE(reader.ok());
  const io::tensor_view& tensor = reader->tensors()[0];
  EXPECT_EQ((*io::elements<e4m3>(tensor))[0].bits(), 'x');
  EXPECT_TRUE(names(io::elements<e5m2>(tensor).message(), {"\"a\"", "F8_E4M3", "F8_E5M2"}));
  EXPECT_TRUE(names(io::copy_elements<uint8_t>(tensor).message(), {"\"a\"", "F8_E4M3", "U8"}));
}

// ---- files ----------------------------------------------------------------------------------------------------------

TEST(SafetensorsReader, maps_a_file_and_keeps_its_views_when_moved) {
  const scratch directory;
  directory.put("m.safetensors", file_of({entry("a", "U8", "[3]", 0, 3)}, "xyz"));
  auto opened = io::safetensors_reader::open(directory / "m.safetensors");
  ASSERT_TRUE(opened.ok()) << opened.message();
  const std::byte* const data = opened->tensors()[0].data.data();
  const io::safetensors_reader moved(std::move(*opened));
  EXPECT_EQ(moved.find("a")->data.data(), data);
  EXPECT_EQ(std::memcmp(data, "xyz", 3), 0);
}

TEST(SafetensorsReader, keeps_reading_a_file_that_is_replaced_meanwhile) {
  const scratch directory;
  directory.put("m", file_of({entry("a", "U8", "[3]", 0, 3)}, "old"));
  const auto reader = io::safetensors_reader::open(directory / "m");
  ASSERT_TRUE(reader.ok());
  directory.put("n", file_bytes("{}"));
  std::filesystem::rename(directory / "n", directory / "m");
  EXPECT_EQ(std::memcmp(reader->tensors()[0].data.data(), "old", 3), 0);
}

TEST(SafetensorsReader, says_why_a_file_cannot_be_opened) {
  const scratch directory;
  const auto missing = io::safetensors_reader::open(directory / "none.safetensors");
  EXPECT_EQ(missing.error().code(), status_code::not_found);
  EXPECT_TRUE(names(missing.message(), {"none.safetensors", "No such file"}));
  const auto folder = io::safetensors_reader::open(directory.path());
  EXPECT_EQ(folder.error().code(), status_code::invalid_argument);
  EXPECT_TRUE(names(folder.message(), {directory.path(), "not a regular file"}));
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(names(io::safetensors_reader::open(directory / "pipe").message(), {"not a regular file"}));
  directory.put("empty.safetensors", "");
  EXPECT_TRUE(
      names(io::safetensors_reader::open(directory / "empty.safetensors").message(), {"empty.safetensors", "0 bytes"}));
}

TEST(SafetensorsReader, opens_the_excerpt_of_a_trained_model) {
  const std::string path = joined(QUAVER_TEST_SOURCE_DIR, "/examples/checkpoint/data/minilm-layer0.safetensors");
  const auto reader      = io::safetensors_reader::open(path);
  ASSERT_TRUE(reader.ok()) << reader.message();
  for (const io::tensor_view& tensor : reader->tensors()) {
    EXPECT_EQ(tensor.type, io::dtype::bf16);
    EXPECT_TRUE(io::elements<bfloat16>(tensor).ok());
  }
  EXPECT_FALSE(reader->tensors().empty());
}

}  // namespace
