// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_TESTS_PROGRAM_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_TESTS_PROGRAM_HPP

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <quaver/convert/members.hpp>
#include <quaver/io/safetensors_writer.hpp>
#include <quaver/io/sharded_checkpoint.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

using namespace quaver;
namespace fs = std::filesystem;

/// What one run of quaver_checkpoint left.
struct outcome {
  int exit_status = -1;
  std::string out;
  std::string err;
};

inline std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void put(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}

/// A directory for each test, and the program run in it.
class Program : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "quaver-checkpoint-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = fs::canonical(pattern);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }

  /// Runs with these words; `redirection` may send the output elsewhere.
  outcome run(const std::vector<std::string>& words, const std::string& redirection = ">.out") {
    std::string command = "cd " + quoted(folder.string()) + " && " + quoted(QUAVER_CHECKPOINT_PROGRAM);
    for (const std::string& word : words) command += ' ' + quoted(word);
    command += " 2>.err " + redirection;
    const int state = std::system(command.c_str());
    return {WIFEXITED(state) ? WEXITSTATUS(state) : -1, contents(folder / ".out"), contents(folder / ".err")};
  }

  /// A run that succeeds and says nothing on stderr, which is no terminal here.
  outcome succeed(const std::vector<std::string>& words) {
    outcome done = run(words);
    EXPECT_EQ(done.exit_status, 0) << done.err;
    EXPECT_EQ(done.err, "");
    return done;
  }

  /// The line of a run that fails with one, and leaves nothing half-written.
  std::string refusal(const std::vector<std::string>& words, int exit_status) {
    const std::vector<std::string> before = names();
    const outcome done                    = run(words);
    EXPECT_EQ(done.exit_status, exit_status) << done.err;
    EXPECT_EQ(done.out, "");
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
    EXPECT_TRUE(done.err.starts_with("quaver_checkpoint: ")) << done.err;
    EXPECT_EQ(names(), before) << "the failed run left something";
    return done.err;
  }

  /// The report of a run with these words besides --report.
  nlohmann::json report(std::vector<std::string> words) {
    words.insert(words.end(), {"--report", "report.json"});
    succeed(words);
    nlohmann::json parsed = nlohmann::json::parse(contents(folder / "report.json"), nullptr, false);
    EXPECT_FALSE(parsed.is_discarded());
    return parsed;
  }

  /// Everything in the folder, but for the streams of run().
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().lexically_relative(folder).string();
      if (name != ".out" && name != ".err") all.push_back(name);
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  template <class T>
  void add(const std::string& name, std::vector<uint64_t> shape, const std::vector<T>& values) {
    bytes_.push_back(std::vector<std::byte>(values.size() * sizeof(T)));
    if (!values.empty()) std::memcpy(bytes_.back().data(), values.data(), values.size() * sizeof(T));
    tensors_.push_back({{name, io::dtype_of<T>, std::move(shape)}, bytes_.back()});
  }

  /// Writes the tensors that were added.
  void write(const std::string& file) {
    const status done = io::write_safetensors((folder / file).string(), tensors_);
    ASSERT_TRUE(done.ok()) << done.message();
  }

  /// N x K values between -1 and 1, no two alike.
  static std::vector<float> waves(size_t n, size_t k) {
    std::vector<float> values(n * k);
    for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(0.7f * static_cast<float>(i) + 1.0f);
    return values;
  }

  static std::string quoted(const std::string& word) { return "'" + word + "'"; }

  fs::path folder;

 private:
  std::vector<std::vector<std::byte>> bytes_;  // moving a vector leaves its elements where they are
  std::vector<io::tensor_view> tensors_;
};

/// The report's row of that tensor.
inline nlohmann::json row_of(const nlohmann::json& report, const std::string& list, const std::string& name) {
  for (const nlohmann::json& row : report[list]) {
    if (row["name"] == name) return row;
  }
  ADD_FAILURE() << name << " is not in " << list;
  return {};
}

#endif
