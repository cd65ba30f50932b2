// SPDX-License-Identifier: MIT
//
// What quaver_checkpoint does with bad input: one line that names what is wrong, an exit status that is not 0, and
// nothing left behind. Program::refusal checks that; what stands here is the line.

#include "program.hpp"

namespace {

class Refusals : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    add("l.weight", {4, 8}, waves(4, 8));
    write("in.safetensors");
  }

  void expect_line(const std::vector<std::string>& words, int exit_status, const std::vector<std::string>& parts) {
    const std::string line = refusal(words, exit_status);
    for (const std::string& part : parts) EXPECT_NE(line.find(part), std::string::npos) << part << " in " << line;
  }
};

TEST_F(Refusals, a_misuse_ends_with_status_2_and_names_the_word) {
  expect_line({"--nonsense"}, 2, {"--nonsense"});
  expect_line({"-x"}, 2, {"-x"});
  expect_line({"--quiet=very"}, 2, {"--quiet=very"});
  expect_line({"--layout"}, 2, {"--layout needs a value"});
  expect_line({"in.safetensors", "other.safetensors"}, 2, {"other.safetensors"});
  expect_line({"--dialect", "none", "--output", "out"}, 2, {"--output"});
}

TEST_F(Refusals, an_unknown_value_is_named_beside_those_that_are_known) {
  expect_line({"--format", "e9m9"}, 2, {"--format", "e9m9", "e4m3, e5m2"});
  expect_line({"--layout", "column"}, 2, {"--layout", "column", "128x128"});
  expect_line({"--dialect", "gguf"}, 2, {"--dialect", "gguf", "hf-fp8"});
  expect_line({"--scale-rounding", "up"}, 2, {"--scale-rounding", "power-of-two"});
  expect_line({"--on-nonfinite", "hope"}, 2, {"--on-nonfinite", "refuse, copy, unit"});
  expect_line({"--seed", "-1"}, 2, {"--seed", "-1"});
  expect_line({"--seed", "18446744073709551616"}, 2, {"--seed"});
  expect_line({"--shard-size", "5TB"}, 2, {"--shard-size", "5TB"});
  expect_line({"--shard-size", "0"}, 2, {"--shard-size"});
  expect_line({"--gemm-rows", "65537"}, 2, {"65536", "65537"});
}

TEST_F(Refusals, a_format_or_layout_that_nothing_stores_is_named) {
  expect_line({"in.safetensors", "--layout", "mx"}, 2, {"no dialect stores the layout mx"});
  expect_line({"in.safetensors", "--format", "e5m2"}, 2, {"hf-fp8", "e5m2", "it has: e4m3"});
  expect_line({"in.safetensors", "--layout", "nvfp4", "--format", "e4m3"}, 2, {"nvfp4", "e2m1, not e4m3"});
  expect_line({"in.safetensors", "--dialect", "tensorrt-llm", "--shard-size", "1MB", "--output", "out"}, 2,
              {"tensorrt-llm", "--shard-size"});
}

TEST_F(Refusals, a_missing_input_is_named) {
  expect_line({"absent.safetensors", "--output", "out"}, 1, {"absent.safetensors", "No such file"});
  fs::create_directory(folder / "empty");
  expect_line({"empty", "--output", "out"}, 1, {"holds no .safetensors file"});
}

TEST_F(Refusals, a_truncated_file_is_refused_wherever_it_ends) {
  const std::string whole = contents(folder / "in.safetensors");
  for (const size_t length : {size_t{0}, size_t{7}, size_t{8}, size_t{40}, whole.size() - 1}) {
    put(folder / "cut.safetensors", whole.substr(0, length));
    expect_line({"cut.safetensors", "--output", "out"}, 1, {"cut.safetensors"});
  }
  put(folder / "long.safetensors", whole + "x");
  expect_line({"long.safetensors", "--output", "out"}, 1, {"long.safetensors"});
}

TEST_F(Refusals, an_input_that_is_quantised_already_is_refused_by_the_tensors_name) {
  succeed({"in.safetensors", "--output", "fp8"});
  expect_line({"fp8/model.safetensors", "--output", "out"}, 1, {"quantised already"});
  fs::remove(folder / "fp8/config.json");
  expect_line({"fp8/model.safetensors", "--output", "out"}, 1, {"quantised already", "\"l.weight\"", "F8_E4M3"});
}

TEST_F(Refusals, a_scale_name_that_a_tensor_of_the_input_has_is_refused) {
  add("l.weight_scale", {3}, std::vector<float>{1.0f, 2.0f, 3.0f});
  write("twice.safetensors");
  expect_line({"twice.safetensors", "--output", "out"}, 1, {"\"l.weight_scale\""});
}

TEST_F(Refusals, an_include_pattern_that_matches_no_matrix_is_refused) {
  expect_line({"in.safetensors", "--output", "out", "--include", "decoder.*"}, 1, {"decoder.*", "1 tensor"});
}

TEST_F(Refusals, an_output_that_cannot_be_written_is_refused) {
  expect_line({"in.safetensors", "--output", "in.safetensors"}, 1, {"in.safetensors", "no directory"});
  expect_line({"in.safetensors", "--output", ".", "--force"}, 1, {"\".\"", "runs in"});
  expect_line({"in.safetensors", "--output", "in.safetensors/out"}, 1, {"in.safetensors/out"});
  expect_line({"in.safetensors", "--output", "/proc/quaver"}, 1, {"/proc/quaver"});
  fs::create_directory(folder / "full");
  put(folder / "full/diary.txt", "dear");
  expect_line({"in.safetensors", "--output", "full"}, 1, {"diary.txt", "--force"});
  EXPECT_EQ(contents(folder / "full/diary.txt"), "dear");
}

TEST_F(Refusals, a_report_that_cannot_be_written_is_known_before_the_work) {
  expect_line({"in.safetensors", "--output", "out", "--report", "absent/report.json"}, 1, {"absent/report.json"});
  expect_line({"in.safetensors", "--output", "out", "--report", "/dev/full"}, 1, {"/dev/full"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST_F(Refusals, a_failed_run_leaves_an_earlier_report_and_output_as_they_were) {
  succeed({"in.safetensors", "--output", "out", "--report", "report.json"});
  const std::string report = contents(folder / "report.json");
  const std::string model  = contents(folder / "out/model.safetensors");
  std::vector<float> values(32, std::numeric_limits<float>::infinity());
  add("m.weight", {4, 8}, values);
  write("in.safetensors");
  expect_line({"in.safetensors", "--output", "out", "--report", "report.json"}, 1, {"m.weight", "32 infinite"});
  EXPECT_EQ(contents(folder / "report.json"), report);
  EXPECT_EQ(contents(folder / "out/model.safetensors"), model);
}

TEST_F(Refusals, a_full_standard_output_is_an_error) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  const outcome done = run({"in.safetensors", "--output", "out"}, ">/dev/full");
  EXPECT_EQ(done.exit_status, 1);
  EXPECT_EQ(done.err, "quaver_checkpoint: cannot write to the standard output\n");
}

}  // namespace
