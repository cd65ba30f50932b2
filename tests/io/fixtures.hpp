// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_IO_FIXTURES_HPP
#define QUAVER_TESTS_IO_FIXTURES_HPP

#include <quaver/io/safetensors_reader.hpp>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace quaver_tests {

using quaver::io::joined;

/// The bytes of a safetensors file: the length of `header`, or whatever `length` claims, then both parts.
inline std::string file_bytes(std::string_view header, std::string_view data = {}) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += header;
  bytes += data;
  return bytes;
}
inline std::string file_claiming(std::uint64_t length, std::string_view rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += rest;
  return bytes;
}

/// "name":{"dtype":...}: one tensor of a header.
inline std::string entry(std::string_view name, std::string_view dtype, std::string_view shape, std::uint64_t begin,
                         std::uint64_t end) {
  return joined('"', name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":[", begin, ',', end,
                "]}");
}

/// A file whose header holds these entries.
inline std::string file_of(std::initializer_list<std::string> entries, std::string_view data = {}) {
  std::string header = "{";
  for (const std::string& e : entries) header += (header.size() == 1 ? "" : ",") + e;
  return file_bytes(header += '}', data);
}

inline quaver::result<quaver::io::safetensors_reader> read(const std::string& bytes) {
  return quaver::io::safetensors_reader::from_memory(std::as_bytes(std::span<const char>(bytes)), "model.safetensors");
}

/// The message of a file that must be refused as corrupt: one line, naming the file. Empty if it was accepted.
inline std::string refusal(const std::string& bytes) {
  const auto reader = read(bytes);
  EXPECT_FALSE(reader.ok());
  if (reader.ok()) return {};
  EXPECT_EQ(reader.error().code(), quaver::status_code::corrupt_data);
  EXPECT_EQ(reader.message().find('\n'), std::string::npos);
  EXPECT_TRUE(reader.message().starts_with("\"model.safetensors\": ")) << reader.message();
  return reader.message();
}

/// A message names each of the words given.
inline ::testing::AssertionResult names(const std::string& message, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (message.find(word) == std::string::npos) {
      return ::testing::AssertionFailure() << "no " << word << " in: " << message;
    }
  }
  return ::testing::AssertionSuccess();
}

/// A directory of its own, gone at the end of the test.
class scratch {
 public:
  scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "quaver-io-XXXXXX").string();
    path_               = ::mkdtemp(pattern.data()) == nullptr ? std::string() : pattern;
    EXPECT_FALSE(path_.empty());
  }
  scratch(const scratch&)            = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + '/' + std::string(name); }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }
  void put(std::string_view name, std::string_view bytes) const {
    std::ofstream(*this / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  [[nodiscard]] std::string get(std::string_view name) const {
    std::ifstream file(*this / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

/// Runs `work` in a process of its own and kills it; `work` says by a byte when it is far enough.
template <class Work>
void run_and_kill(Work work, unsigned delay_microseconds) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    work([&] { return ::write(ready[1], "r", 1) == 1; });
    ::_exit(0);
  }
  char byte = 0;
  EXPECT_EQ(::read(ready[0], &byte, 1), 1);
  ::usleep(delay_microseconds);
  ::kill(child, SIGKILL);
  int outcome = 0;
  EXPECT_EQ(::waitpid(child, &outcome, 0), child);
  EXPECT_TRUE(WIFSIGNALED(outcome));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace quaver_tests

#endif
