// SPDX-License-Identifier: MIT
#include <quaver/io/safetensors_writer.hpp>

#include <quaver/io/safetensors_reader.hpp>

#include "fixtures.hpp"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

namespace {

using namespace quaver;
using namespace quaver_tests;
using namespace std::string_literals;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }

io::tensor_view tensor(std::string name, io::dtype type, std::vector<uint64_t> shape, std::string_view data) {
  return {{std::move(name), type, std::move(shape)}, bytes_of(data)};
}

std::string header_of(const std::string& file) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  return file.substr(8, static_cast<size_t>(length));
}

// Every byte value, so that no two tensors are alike by chance.
std::string noise(size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>((seed = seed * 1664525u + 1013904223u) >> 24);
  return text;
}

// ---- what is written ------------------------------------------------------------------------------------------------

TEST(SafetensorsWriter, writes_every_dtype_so_that_it_reads_back) {
  const scratch directory;
  std::vector<std::string> data;
  std::vector<io::tensor_view> tensors;
  for (const io::dtype_row& row : io::dtype_rows) data.push_back(noise(3 * row.bits, static_cast<unsigned>(row.type)));
  for (const io::dtype_row& row : io::dtype_rows) {
    tensors.push_back(tensor(joined("t.", row.name), row.type, {3, 1, 8}, data[static_cast<size_t>(row.type)]));
  }
  tensors.push_back(tensor("scalar", io::dtype::f32, {}, "1234"));
  tensors.push_back(tensor("empty", io::dtype::f8_e4m3, {4, 0}, ""));
  const io::metadata_map metadata{{"format", "pt"}, {"\"\n\xCE\xB2", ""}};
  ASSERT_TRUE(io::write_safetensors(directory / "all", tensors, metadata).ok());

  const auto reader = io::safetensors_reader::open(directory / "all");
  ASSERT_TRUE(reader.ok()) << reader.message();
  EXPECT_EQ(reader->metadata(), metadata);
  EXPECT_EQ(reader->tensors().size(), tensors.size());
  for (const io::tensor_view& wanted : tensors) {
    const io::tensor_view* const found = reader->find(wanted.name);
    ASSERT_NE(found, nullptr) << wanted.name;
    EXPECT_EQ(found->type, wanted.type);
    EXPECT_EQ(found->shape, wanted.shape);
    EXPECT_TRUE(std::equal(found->data.begin(), found->data.end(), wanted.data.begin(), wanted.data.end()));
  }
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(SafetensorsWriter, writes_the_bytes_that_the_format_describes) {
  const scratch directory;
  const std::vector<io::tensor_view> tensors{tensor("b", io::dtype::f8_e4m3, {2}, "xy"),
                                             tensor("a", io::dtype::f32, {}, "1234")};
  ASSERT_TRUE(io::write_safetensors(directory / "m", tensors, {{"k", "v"}}).ok());
  const std::string header =
      "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"b\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[4,6]}} ";
  ASSERT_EQ(header.size() % 8, 0u);
  EXPECT_EQ(directory.get("m"), file_bytes(header, "1234xy"));
}

TEST(SafetensorsWriter, pads_the_header_so_that_the_data_begins_at_a_multiple_of_8) {
  const scratch directory;
  for (size_t length = 0; length < 16; ++length) {
    const std::vector<io::tensor_view> tensors{tensor(std::string(length, 'n'), io::dtype::u8, {1}, "x")};
    ASSERT_TRUE(io::write_safetensors(directory / "m", tensors).ok());
    const std::string header = header_of(directory.get("m"));
    EXPECT_EQ(header.size() % 8, 0u);
    EXPECT_EQ(header.find_last_not_of(' '), header.rfind('}'));
  }
  ASSERT_TRUE(io::write_safetensors(directory / "m", {}).ok());
  EXPECT_EQ(directory.get("m"), file_bytes("{}      "));
}

TEST(SafetensorsWriter, lays_wide_types_first_then_by_name_so_that_each_is_aligned) {
  const scratch directory;
  std::vector<io::tensor_view> tensors;
  const std::string data = noise(64, 1);
  for (const io::dtype_row& row : io::dtype_rows) {
    for (const char* const name : {"z.", "a."}) {
      const std::string_view bytes = std::string_view(data).substr(0, row.bits / 2);  // 4 elements
      tensors.push_back(tensor(joined(name, row.name), row.type, {4}, bytes));
    }
  }
  ASSERT_TRUE(io::write_safetensors(directory / "m", tensors).ok());
  const auto reader = io::safetensors_reader::open(directory / "m");
  ASSERT_TRUE(reader.ok()) << reader.message();
  const io::tensor_view* before = nullptr;
  for (const io::tensor_view& t : reader->tensors()) {
    const auto address   = reinterpret_cast<std::uintptr_t>(t.data.data());
    const unsigned width = io::bits_per_element(t.type) <= 8 ? 1 : io::bits_per_element(t.type) / 8;
    EXPECT_EQ(address % width, 0u) << t.name;
    if (before != nullptr) {
      EXPECT_TRUE(before->type > t.type || (before->type == t.type && before->name < t.name)) << t.name;
    }
    before = &t;
  }
}

TEST(SafetensorsWriter, copies_a_file_of_the_reference_writer_byte_for_byte) {
  const scratch directory;
  const std::string path = joined(QUAVER_TEST_SOURCE_DIR, "/examples/checkpoint/data/minilm-layer0.safetensors");
  const auto reader      = io::safetensors_reader::open(path);
  ASSERT_TRUE(reader.ok()) << reader.message();
  std::vector<io::tensor_view> shuffled(reader->tensors().rbegin(), reader->tensors().rend());
  ASSERT_TRUE(io::write_safetensors(directory / "copy", shuffled, reader->metadata()).ok());
  std::ifstream original(path, std::ios::binary);
  EXPECT_TRUE(directory.get("copy") == std::string(std::istreambuf_iterator<char>(original), {}));
}

TEST(SafetensorsWriter, takes_tensors_in_pieces_and_in_any_order) {
  const scratch directory;
  auto writer = io::safetensors_writer::create(
      directory / "m", {{"a", io::dtype::u8, {5}}, {"b", io::dtype::i16, {2}}, {"empty", io::dtype::f64, {0}}});
  ASSERT_TRUE(writer.ok()) << writer.message();
  EXPECT_TRUE(writer->write("a", bytes_of("12")).ok());
  EXPECT_TRUE(writer->write("b", bytes_of("abcd")).ok());
  EXPECT_TRUE(writer->write("a", bytes_of("")).ok());
  EXPECT_TRUE(writer->write("a", bytes_of("345")).ok());
  EXPECT_FALSE(std::filesystem::exists(directory / "m")) << "before finish() there is no file of that name";
  ASSERT_TRUE(writer->finish().ok());
  const auto reader = io::safetensors_reader::open(directory / "m");
  ASSERT_TRUE(reader.ok()) << reader.message();
  EXPECT_EQ(std::memcmp(reader->find("a")->data.data(), "12345", 5), 0);
  EXPECT_EQ(std::memcmp(reader->find("b")->data.data(), "abcd", 4), 0);
}

TEST(SafetensorsWriter, gives_the_file_the_permissions_of_any_new_file) {
  const scratch directory;
  const mode_t before = ::umask(027);
  ASSERT_TRUE(io::write_safetensors(directory / "m", {}).ok());
  ::umask(before);
  struct ::stat about{};
  ASSERT_EQ(::stat((directory / "m").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0640u);
}

// ---- what is refused ------------------------------------------------------------------------------------------------

TEST(SafetensorsWriter, refuses_what_could_not_be_read_back) {
  const scratch directory;
  const auto refused = [&](std::vector<io::tensor_info> tensors, const io::metadata_map& metadata = {}) {
    const auto writer = io::safetensors_writer::create(directory / "m", std::move(tensors), metadata);
    EXPECT_EQ(writer.error().code(), status_code::invalid_argument);
    EXPECT_TRUE(names(writer.message(), {"cannot write", "/m\""}));
    return writer.message();
  };
  EXPECT_TRUE(names(refused({{"twin", io::dtype::u8, {1}}, {"twin", io::dtype::f32, {1}}}), {"\"twin\""}));
  EXPECT_TRUE(names(refused({{"__metadata__", io::dtype::u8, {1}}}), {"__metadata__"}));
  EXPECT_TRUE(names(refused({{"bad\xFF", io::dtype::u8, {1}}}), {"UTF-8"}));
  EXPECT_TRUE(names(refused({}, {{"k", "\xC0\x80"}}), {"UTF-8"}));
  EXPECT_TRUE(names(refused({}, {{"\xED\xA0\x80", "v"}}), {"UTF-8"}));
  EXPECT_TRUE(names(refused({{"odd", io::dtype::f4, {3}}}), {"\"odd\"", "12 bits"}));
  EXPECT_TRUE(
      names(refused({{"big", io::dtype::f64, {uint64_t{1} << 32, uint64_t{1} << 32}}}), {"\"big\"", "overflows"}));
  EXPECT_TRUE(names(refused({{"a", io::dtype::u8, {uint64_t{1} << 60}},
                             {"b", io::dtype::u8, {uint64_t{1} << 60}},
                             {"c", io::dtype::u8, {uint64_t{1} << 60}},
                             {"d", io::dtype::u8, {uint64_t{1} << 60}},
                             {"e", io::dtype::u8, {uint64_t{1} << 60}}}),
                    {"\"e\"", "overflow"}));
  EXPECT_TRUE(names(refused({{"axes", io::dtype::u8, std::vector<uint64_t>(65, 1)}}), {"\"axes\"", "64 axes"}));
  EXPECT_TRUE(names(refused({}, {{"k", std::string(100'000'000, 'x')}}), {"header", "100000000"}));
  EXPECT_EQ(directory.entries(), 0u);
}

TEST(SafetensorsWriter, refuses_bytes_that_do_not_fit_and_goes_on) {
  const scratch directory;
  auto writer = io::safetensors_writer::create(directory / "m", {{"a", io::dtype::u8, {3}}});
  ASSERT_TRUE(writer.ok());
  EXPECT_TRUE(names(writer->write("b", bytes_of("x")).message(), {"\"b\""}));
  EXPECT_TRUE(writer->write("a", bytes_of("12")).ok());
  EXPECT_TRUE(names(writer->write("a", bytes_of("34")).message(), {"\"a\"", "1 more", "2"}));
  EXPECT_TRUE(writer->write("a", bytes_of("3")).ok());
  EXPECT_TRUE(writer->finish().ok());
  EXPECT_EQ(directory.get("m").substr(directory.get("m").size() - 3), "123");
}

TEST(SafetensorsWriter, refuses_data_of_another_size_than_the_shape_and_paths_without_a_name) {
  const scratch directory;
  directory.put("m", "what was there");
  const std::vector<io::tensor_view> tensors = {{{"w", io::dtype::f8_e4m3, {3, 3}}, bytes_of("1234")}};
  EXPECT_TRUE(names(io::write_safetensors(directory / "m", tensors).message(), {"/m\"", "\"w\"", "9 bytes", "has 4"}));
  EXPECT_EQ(directory.get("m"), "what was there");
  EXPECT_TRUE(names(io::write_safetensors("", {}).message(), {"\"\"", "names no file"}));
  EXPECT_TRUE(names(io::write_safetensors(directory / "new/", {}).message(), {"new/", "names no file"}));
}

TEST(SafetensorsWriter, gives_no_name_to_an_incomplete_file) {
  const scratch directory;
  directory.put("m", "what was there");
  auto writer = io::safetensors_writer::create(directory / "m", {{"a", io::dtype::u8, {3}}, {"b", io::dtype::u8, {1}}});
  ASSERT_TRUE(writer.ok());
  EXPECT_TRUE(writer->write("a", bytes_of("12")).ok());
  EXPECT_TRUE(names(writer->finish().message(), {"\"a\"", "lacks 1", "3"}));
  EXPECT_FALSE(writer->write("a", bytes_of("3")).ok());
  EXPECT_FALSE(writer->finish().ok());
  EXPECT_EQ(directory.get("m"), "what was there");
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(SafetensorsWriter, leaves_nothing_behind_when_it_is_dropped) {
  const scratch directory;
  {
    auto writer = io::safetensors_writer::create(directory / "m", {{"a", io::dtype::u8, {3}}});
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(directory.entries(), 1u);
    io::safetensors_writer other(std::move(*writer));
    EXPECT_TRUE(other.write("a", bytes_of("1")).ok());
  }
  EXPECT_EQ(directory.entries(), 0u);
}

TEST(SafetensorsWriter, never_writes_over_what_is_no_regular_file) {
  const scratch directory;
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(names(io::write_safetensors(directory / "pipe", {}).message(), {"/pipe\"", "regular file"}));
  EXPECT_TRUE(names(io::write_safetensors("/dev/null", {}).message(), {"/dev/null", "regular file"}));
  EXPECT_TRUE(names(io::write_safetensors(directory.path(), {}).message(), {"regular file"}));
}

TEST(SafetensorsWriter, says_why_a_directory_cannot_be_written_to) {
  const scratch directory;
  const status missing = io::write_safetensors(directory / "none/m", {});
  EXPECT_EQ(missing.code(), status_code::not_found);
  EXPECT_TRUE(names(missing.message(), {"none/m", "No such file"}));
}

TEST(SafetensorsWriter, replaces_an_earlier_file_in_one_step) {
  const scratch directory;
  directory.put("m", file_of({entry("old", "U8", "[3]", 0, 3)}, "old"));
  const auto reader = io::safetensors_reader::open(directory / "m");
  ASSERT_TRUE(reader.ok());
  // The very file that is read from.
  ASSERT_TRUE(io::write_safetensors(directory / "m", reader->tensors(), {{"copied", "yes"}}).ok());
  const auto again = io::safetensors_reader::open(directory / "m");
  ASSERT_TRUE(again.ok()) << again.message();
  EXPECT_EQ(again->metadata().at("copied"), "yes");
  EXPECT_EQ(std::memcmp(reader->find("old")->data.data(), "old", 3), 0);
}

// ---- a disk that is full --------------------------------------------------------------------------------------------

// Tries to write 1 MiB over an old file; the disk has less. The old file must stay and nothing else.
void expect_full_disk_harmless(const std::string& path, int expected_error) {
  const std::string data = noise(1 << 20, 5);
  const std::vector<io::tensor_view> tensors{tensor("big", io::dtype::u8, {1 << 20}, data)};
  const status written = io::write_safetensors(path, tensors);
  EXPECT_EQ(written.code(), status_code::io_error);
  EXPECT_TRUE(names(written.message(), {"cannot write", path, std::strerror(expected_error)}));
  const auto reader = io::safetensors_reader::open(path);
  ASSERT_TRUE(reader.ok()) << reader.message();
  EXPECT_NE(reader->find("old"), nullptr);
}

TEST(SafetensorsWriter, leaves_the_old_file_alone_on_a_full_disk) {
  const scratch directory;
  if (::mount("quaver", directory.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "mounting a file system of 256 KiB takes root: " << std::strerror(errno);
  }
  directory.put("m", file_of({entry("old", "U8", "[3]", 0, 3)}, "old"));
  expect_full_disk_harmless(directory / "m", ENOSPC);
  EXPECT_EQ(directory.entries(), 1u);
  // The space is free again.
  const std::string data = noise(128 << 10, 6);
  const std::vector<io::tensor_view> tensors{tensor("new", io::dtype::u8, {128 << 10}, data)};
  EXPECT_TRUE(io::write_safetensors(directory / "m", tensors).ok());
  EXPECT_EQ(::umount2(directory.path().c_str(), MNT_DETACH), 0);
}

TEST(SafetensorsWriter, leaves_the_old_file_alone_when_the_new_one_may_not_grow) {
  const scratch directory;
  directory.put("m", file_of({entry("old", "U8", "[3]", 0, 3)}, "old"));
  struct ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  struct ::rlimit small  = before;
  small.rlim_cur         = 100'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_full_disk_harmless(directory / "m", EFBIG);
  // The space is given back at the failure, not when the writer goes away; and a failed writer stays failed.
  const std::string data = noise(1 << 20, 5);
  auto writer            = io::safetensors_writer::create(directory / "m", {{"big", io::dtype::u8, {1 << 20}}});
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(directory.entries(), 2u);
  EXPECT_EQ(writer->write("big", bytes_of(data)).code(), status_code::io_error);
  EXPECT_EQ(directory.entries(), 1u);
  EXPECT_EQ(writer->write("big", bytes_of("x")).code(), status_code::io_error);
  EXPECT_FALSE(writer->finish().ok());
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(directory.entries(), 1u);
}

// ---- a writer that is killed ----------------------------------------------------------------------------------------

TEST(SafetensorsWriter, leaves_the_old_file_alone_when_it_is_killed_between_tensors) {
  const scratch directory;
  const std::string old = file_of({entry("old", "U8", "[3]", 0, 3)}, "old");
  directory.put("m", old);
  run_and_kill(
      [&](auto ready) {
        auto writer =
            io::safetensors_writer::create(directory / "m", {{"a", io::dtype::u8, {3}}, {"b", io::dtype::u8, {3}}});
        if (!writer || !writer->write("a", bytes_of("new")).ok() || !ready()) return;
        ::pause();
      },
      0);
  EXPECT_EQ(directory.get("m"), old);
  EXPECT_EQ(directory.entries(), 2u) << "the file and what the killed writer left beside it";
  for (const auto& left : std::filesystem::directory_iterator(directory.path())) {
    EXPECT_FALSE(left.path().filename().string().ends_with(".safetensors"));
  }
}

TEST(SafetensorsWriter, leaves_a_whole_file_under_the_name_whenever_it_is_killed) {
  const scratch directory;
  const std::string first(300'000, 'a'), second(200'000, 'b');
  const std::vector<io::tensor_view> one{tensor("a", io::dtype::u8, {300'000}, first)};
  const std::vector<io::tensor_view> two{tensor("b", io::dtype::u8, {200'000}, second)};
  for (unsigned round = 0; round < 40; ++round) {
    run_and_kill(
        [&](auto ready) {
          if (!io::write_safetensors(directory / "m", one).ok() || !ready()) return;
          for (bool odd = true;; odd = !odd) {
            if (!io::write_safetensors(directory / "m", odd ? two : one).ok()) return;
          }
        },
        round * 137);
    const auto reader = io::safetensors_reader::open(directory / "m");
    ASSERT_TRUE(reader.ok()) << reader.message();
    ASSERT_EQ(reader->tensors().size(), 1u);
    const std::span<const std::byte> data = reader->tensors()[0].data;
    const std::string& wanted             = reader->find("a") != nullptr ? first : second;
    ASSERT_EQ(data.size(), wanted.size());
    EXPECT_EQ(std::memcmp(data.data(), wanted.data(), wanted.size()), 0);
  }
}

}  // namespace
