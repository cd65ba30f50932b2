// SPDX-License-Identifier: MIT
//
// What quaver_checkpoint does with good input. That its numbers are right is shown besides by tests/interop, where
// numpy computes them anew.

#include "program.hpp"

namespace {

struct pairing {
  const char* dialect;
  const char* layout;
};

// All that the five dialects can store.
constexpr pairing storable[] = {
    {"hf-fp8", "tensor"},
    {"deepseek-block", "1x128"},
    {"deepseek-block", "128x128"},
    {"compressed-tensors", "tensor"},
    {"compressed-tensors", "row"},
    {"compressed-tensors", "1x128"},
    {"compressed-tensors", "128x128"},
    {"compressed-tensors", "nvfp4"},
    {"modelopt", "tensor"},
    {"modelopt", "nvfp4"},
    {"tensorrt-llm", "tensor"},
};
constexpr const char* dialects[] = {"hf-fp8", "deepseek-block", "compressed-tensors", "modelopt", "tensorrt-llm"};
constexpr const char* layouts[]  = {"tensor", "row", "1x128", "128x128", "mx", "nvfp4"};

TEST_F(Program, quantises_the_excerpt_by_default_and_reports_every_matrix) {
  const nlohmann::json report = this->report({"--output", "out"});
  ASSERT_EQ(report["tensors"].size(), 6u);
  EXPECT_EQ(report["copied"].size(), 10u);
  uint64_t after = 0;
  for (const nlohmann::json& row : report["tensors"]) {
    uint64_t counted = 0;
    for (const nlohmann::json& count : row["code_histogram"]) counted += count.get<uint64_t>();
    EXPECT_EQ(row["code_histogram"].size(), 256u);
    EXPECT_EQ(counted, row["shape"][0].get<uint64_t>() * row["shape"][1].get<uint64_t>());
    EXPECT_EQ(row["bytes_before"].get<uint64_t>(), 2 * counted);
    EXPECT_EQ(row["bytes_after"].get<uint64_t>(), counted + 4);
    // E4M3 keeps 3 bits of mantissa: relative errors up to 2^-4, about 31.5 dB. The activations lose as much again.
    EXPECT_GT(row["sqnr_db"].get<double>(), 31.0);
    EXPECT_LT(row["sqnr_db"].get<double>(), 32.0);
    EXPECT_GT(row["gemm_relative_error"].get<double>(), 0.03);
    EXPECT_LT(row["gemm_relative_error"].get<double>(), 0.05);
    EXPECT_EQ(row["saturated_percent"], 0.0);
    EXPECT_NEAR(row["scale_max"].get<double>(), row["amax"].get<double>() / 448, 1e-7);
    after += row["bytes_after"].get<uint64_t>();
  }
  EXPECT_EQ(report["totals"]["bytes_after"].get<uint64_t>(), after);
  EXPECT_NEAR(report["totals"]["ratio"].get<double>(), 2.0, 1e-3);
}

TEST_F(Program, prints_a_table_with_every_matrix_and_what_it_read_back) {
  const outcome done = succeed({"--output", "out"});
  for (const char* const part : {"encoder.layer.0.attention.self.query.weight", "encoder.layer.0.output.dense.weight",
                                 "1536 x 384", "read back  6 matrices with the same numbers, 10 tensors"}) {
    EXPECT_NE(done.out.find(part), std::string::npos) << part << " in\n" << done.out;
  }
}

TEST_F(Program, quiet_prints_nothing) { EXPECT_EQ(succeed({"--output", "out", "--quiet"}).out, ""); }

TEST_F(Program, reads_back_every_layout_that_a_dialect_stores_and_refuses_the_others_by_name) {
  add("a.weight", {40, 272}, waves(40, 272));  // ragged in blocks of 128, whole in blocks of 16
  write("in.safetensors");
  for (const std::string dialect : dialects) {
    for (const std::string layout : layouts) {
      SCOPED_TRACE(testing::Message() << dialect << ' ' << layout);
      const bool stores = std::any_of(std::begin(storable), std::end(storable),
                                      [&](const pairing& p) { return p.dialect == dialect && p.layout == layout; });
      const std::vector<std::string> words{
          "in.safetensors", "--dialect",        dialect, "--layout", layout, "--output",
          dialect + layout, "--scale-rounding", "none"};
      if (stores) {
        EXPECT_NE(succeed(words).out.find("read back  1 matrices"), std::string::npos);
        auto rounded   = words;
        rounded.back() = "power-of-two";
        succeed(rounded);
      } else {
        const std::string line = refusal(words, 2);
        EXPECT_NE(line.find(dialect), std::string::npos) << line;
        EXPECT_NE(line.find("layout " + layout), std::string::npos) << line;
      }
    }
  }
}

TEST_F(Program, stores_the_codes_and_the_scale_that_one_would_write_by_hand) {
  // The largest magnitude is 2 * 448, so the scale is 2 and x / 2 is what is rounded: 17 / 2 = 8.5 ties to 8.
  add("m.weight", {2, 3}, std::vector<float>{896.0f, -2.0f, 0.0f, 17.0f, 0x1p-9f, -0.0f});
  write("in.safetensors");
  succeed({"in.safetensors", "--output", "out"});
  const auto out = io::sharded_checkpoint::open((folder / "out").string());
  ASSERT_TRUE(out.ok()) << out.message();
  const auto codes = io::copy_elements<e4m3>(*out->find("m.weight"));
  ASSERT_TRUE(codes.ok()) << codes.message();
  const std::vector<int> expected{0x7E, 0xB8, 0x00, 0x50, 0x00, 0x80};  // 2^-9 / 2 ties to zero
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ((*codes)[i].bits(), expected[i]) << i;
  const auto scale = io::copy_elements<float>(*out->find("m.weight_scale"));
  ASSERT_TRUE(scale.ok()) << scale.message();
  EXPECT_EQ(*scale, std::vector<float>{2.0f});
}

TEST_F(Program, measures_every_format_in_every_layout_without_writing) {
  add("a.weight", {5, 33}, waves(5, 33));
  write("in.safetensors");
  for (const std::string format : {"e4m3", "e5m2", "e4m3fnuz", "e5m2fnuz", "e4m3b11fnuz", "e4m3ieee", "e3m4",
                                   "binary8p3", "binary8p4", "e2m3", "e3m2", "e2m1"}) {
    for (const std::string layout : layouts) {
      if (layout == "nvfp4" && format != "e2m1") continue;
      SCOPED_TRACE(testing::Message() << format << ' ' << layout);
      const nlohmann::json report =
          this->report({"in.safetensors", "--dialect", "none", "--format", format, "--layout", layout});
      EXPECT_EQ(report["format"], format);
      const double sqnr = report["tensors"][0]["sqnr_db"].get<double>();
      EXPECT_GT(sqnr, 10.0);
      EXPECT_LT(sqnr, 50.0);
    }
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"in.safetensors", "report.json"}));
}

TEST_F(Program, the_same_seed_gives_the_same_report_and_another_seed_other_activations) {
  add("a.weight", {8, 48}, waves(8, 48));
  write("in.safetensors");
  const nlohmann::json one   = report({"in.safetensors", "--output", "out", "--seed", "7"});
  const nlohmann::json again = report({"in.safetensors", "--output", "out", "--seed", "7"});
  nlohmann::json other       = report({"in.safetensors", "--output", "out", "--seed", "8"});
  EXPECT_EQ(one, again);
  EXPECT_NE(one["tensors"][0]["gemm_relative_error"], other["tensors"][0]["gemm_relative_error"]);
  EXPECT_EQ(one["tensors"][0]["sqnr_db"], other["tensors"][0]["sqnr_db"]);
}

TEST_F(Program, copies_what_is_no_matrix_and_says_why) {
  add("weight3d", {2, 3, 4}, waves(6, 4));
  add("bias", {6}, waves(1, 6));
  add("ids", {2, 2}, std::vector<int64_t>{1, 2, 3, 4});
  add("scalar", {}, std::vector<float>{3.0f});
  add("nothing.weight", {0, 5}, std::vector<float>{});
  add("half.weight", {1, 2}, std::vector<half>{half(1.0f), half(0.5f)});
  add("double.weight", {1, 2}, std::vector<double>{1.0, 0.1});
  write("in.safetensors");
  const nlohmann::json report = this->report({"in.safetensors", "--output", "out"});
  EXPECT_EQ(report["tensors"].size(), 1u);
  EXPECT_EQ(row_of(report, "copied", "weight3d")["reason"], "3 axes");
  EXPECT_EQ(row_of(report, "copied", "bias")["reason"], "1 axis");
  EXPECT_EQ(row_of(report, "copied", "ids")["reason"], "I64");
  EXPECT_EQ(row_of(report, "copied", "scalar")["reason"], "0 axes");
  EXPECT_EQ(row_of(report, "copied", "nothing.weight")["reason"], "empty");
  EXPECT_EQ(row_of(report, "copied", "double.weight")["reason"], "F64");
}

TEST_F(Program, runs_on_a_checkpoint_without_any_matrix) {
  add("bias", {6}, waves(1, 6));
  write("in.safetensors");
  const nlohmann::json report = this->report({"in.safetensors", "--output", "out"});
  EXPECT_EQ(report["tensors"].size(), 0u);
  EXPECT_TRUE(report["totals"]["sqnr_db_mean"].is_null());
}

TEST_F(Program, a_zero_matrix_and_an_exact_one_have_no_sqnr) {
  add("zero.weight", {2, 4}, std::vector<float>(8, 0.0f));
  add("exact.weight", {1, 3}, std::vector<float>{448.0f, 1.0f, -2.0f});
  write("in.safetensors");
  for (const std::string layout : {"tensor", "row", "128x128"}) {
    const nlohmann::json report = this->report({"in.safetensors", "--output", layout, "--layout", layout});
    EXPECT_TRUE(row_of(report, "tensors", "zero.weight")["sqnr_db"].is_null());
    EXPECT_TRUE(row_of(report, "tensors", "zero.weight")["gemm_relative_error"].is_null());
    EXPECT_EQ(row_of(report, "tensors", "zero.weight")["scale_max"], 1.0);
    EXPECT_TRUE(row_of(report, "tensors", "exact.weight")["sqnr_db"].is_null());
    EXPECT_TRUE(report["totals"]["sqnr_db_mean"].is_null());
  }
}

TEST_F(Program, leaves_matrices_that_nvfp4_cannot_hold_as_they_are) {
  add("odd.weight", {2, 17}, waves(2, 17));
  add("even.weight", {2, 24}, waves(2, 24));
  add("whole.weight", {2, 32}, waves(2, 32));
  add("whole.matrix", {2, 32}, waves(2, 32));
  write("in.safetensors");
  for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
    const nlohmann::json report =
        this->report({"in.safetensors", "--output", dialect, "--layout", "nvfp4", "--dialect", dialect});
    EXPECT_EQ(report["format"], "e2m1");
    ASSERT_EQ(report["tensors"].size(), 1u);
    EXPECT_EQ(report["tensors"][0]["name"], "whole.weight");
    EXPECT_EQ(report["tensors"][0]["bytes_after"], 2 * 16 + 2 * 2 + 4);
    EXPECT_EQ(row_of(report, "copied", "odd.weight")["reason"], "K = 17 is no multiple of 16");
    EXPECT_EQ(row_of(report, "copied", "even.weight")["reason"], "K = 24 is no multiple of 16");
    EXPECT_EQ(row_of(report, "copied", "whole.matrix")["reason"], "not named \"weight\"");
  }
}

TEST_F(Program, nan_and_infinity_are_refused_copied_or_quantised_as_asked) {
  std::vector<float> values = waves(4, 8);
  values[3]                 = std::numeric_limits<float>::quiet_NaN();
  values[9]                 = -std::numeric_limits<float>::infinity();
  add("bad.weight", {4, 8}, values);
  add("good.weight", {4, 8}, waves(4, 8));
  write("in.safetensors");
  const std::string line = refusal({"in.safetensors", "--output", "out"}, 1);
  EXPECT_NE(line.find("\"bad.weight\""), std::string::npos) << line;
  EXPECT_NE(line.find("1 NaN and 1 infinite"), std::string::npos) << line;

  nlohmann::json report = this->report({"in.safetensors", "--output", "out", "--on-nonfinite", "copy"});
  EXPECT_EQ(row_of(report, "copied", "bad.weight")["reason"], "1 NaN and 1 infinite");
  EXPECT_EQ(report["tensors"].size(), 1u);

  report = this->report({"in.safetensors", "--output", "out", "--on-nonfinite", "unit"});
  EXPECT_EQ(row_of(report, "tensors", "bad.weight")["amax"], "nan");
  EXPECT_EQ(row_of(report, "tensors", "bad.weight")["nan"], 1);
  EXPECT_EQ(row_of(report, "tensors", "bad.weight")["infinite"], 1);
  EXPECT_EQ(row_of(report, "tensors", "bad.weight")["scale_max"], 1.0);
  EXPECT_TRUE(row_of(report, "tensors", "bad.weight")["gemm_relative_error"].is_null());
}

TEST_F(Program, leaves_embeddings_and_heads_alone_unless_they_are_included) {
  for (const char* const name : {"model.embed_tokens.weight", "lm_head.weight", "model.layers.0.mlp.gate.weight",
                                 "model.layers.0.mlp.gate_proj.weight"}) {
    add(name, {2, 4}, waves(2, 4));
  }
  write("in.safetensors");
  const auto quantised = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"in.safetensors", "--output", "out"});
    std::vector<std::string> found;
    const nlohmann::json reported = report(words);
    for (const nlohmann::json& row : reported["tensors"]) found.push_back(row["name"]);
    return found;
  };
  using list = std::vector<std::string>;
  EXPECT_EQ(quantised({}), list{"model.layers.0.mlp.gate_proj.weight"});
  EXPECT_EQ(quantised({"--include", "*"}).size(), 4u);
  EXPECT_EQ(quantised({"--include", "lm_*", "--include", "*embed*"}),
            (list{"lm_head.weight", "model.embed_tokens.weight"}));
  EXPECT_EQ(quantised({"--include", "*", "--exclude", "model.*"}), list{"lm_head.weight"});
  EXPECT_EQ(row_of(report({"in.safetensors", "--output", "out", "--exclude", "model.*"}), "copied",
                   "model.layers.0.mlp.gate_proj.weight")["reason"],
            "--exclude model.*");
}

TEST_F(Program, reads_a_file_an_index_and_a_directory_and_writes_shards) {
  for (int i = 0; i < 4; ++i) add("l" + std::to_string(i) + ".weight", {16, 64}, waves(16, 64));
  write("model.safetensors");
  // 16 * 64 codes and a scale each: two matrices fit into 2100 bytes.
  succeed({"model.safetensors", "--output", "sharded", "--shard-size", "2100"});
  EXPECT_TRUE(fs::exists(folder / "sharded/model-00002-of-00002.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "sharded/model.safetensors.index.json"));

  fs::create_directory(folder / "source");
  for (int i = 0; i < 2; ++i) fs::copy(folder / "model.safetensors", folder / ("source/s" + std::to_string(i)));
  fs::rename(folder / "source/s0", folder / "source/a.safetensors");
  fs::remove(folder / "source/s1");
  put(folder / "source/model.safetensors.index.json",
      R"({"weight_map": {"l0.weight": "a.safetensors", "l1.weight": "a.safetensors"}})");
  const nlohmann::json by_index     = report({"source/model.safetensors.index.json", "--output", "out1"});
  const nlohmann::json by_directory = report({"source", "--output", "out2"});
  EXPECT_EQ(by_index, by_directory);
  EXPECT_EQ(by_index["tensors"].size(), 4u);
  EXPECT_EQ(contents(folder / "out1/model.safetensors"), contents(folder / "out2/model.safetensors"));
}

TEST_F(Program, carries_a_models_other_small_files_over_and_completes_its_config) {
  fs::create_directories(folder / "model/1_Pooling");
  add("l.weight", {4, 8}, waves(4, 8));
  add("embed.weight", {4, 8}, waves(4, 8));
  write("model/model.safetensors");
  put(folder / "model/config.json", R"({"architectures": ["BertModel"], "hidden_size": 384})");
  put(folder / "model/tokenizer.json", "{}");
  put(folder / "model/pytorch_model.bin", "weights of another kind");
  const outcome done = succeed({"model", "--output", "out"});
  EXPECT_NE(done.out.find("left out   1_Pooling, pytorch_model.bin"), std::string::npos) << done.out;
  EXPECT_EQ(contents(folder / "out/tokenizer.json"), "{}");
  EXPECT_FALSE(fs::exists(folder / "out/pytorch_model.bin"));
  const auto config = nlohmann::json::parse(contents(folder / "out/config.json"));
  EXPECT_EQ(config["hidden_size"], 384);
  EXPECT_EQ(config["quantization_config"]["quant_method"], "fp8");
  EXPECT_EQ(config["quantization_config"]["ignored_layers"], nlohmann::json::array({"embed"}));

  // ModelOpt keeps its words in a file of their own; the model's stays what it was.
  succeed({"model", "--output", "out", "--dialect", "modelopt"});
  EXPECT_EQ(contents(folder / "out/config.json"), contents(folder / "model/config.json"));
  EXPECT_TRUE(fs::exists(folder / "out/hf_quant_config.json"));
  EXPECT_NE(refusal({"out", "--output", "out2"}, 1).find("quantised already"), std::string::npos);
}

TEST_F(Program, replaces_its_own_output_and_moves_a_strangers_aside_when_forced) {
  add("l.weight", {4, 8}, waves(4, 8));
  write("in.safetensors");
  fs::create_directory(folder / "out");  // empty: free to take
  succeed({"in.safetensors", "--output", "out"});
  succeed({"in.safetensors", "--output", "out/", "--dialect", "tensorrt-llm"});
  EXPECT_EQ(names(), (std::vector<std::string>{"in.safetensors", "out", "out/config.json",
                                               "out/quaver_checkpoint.files", "out/rank0.safetensors"}));

  put(folder / "out/notes.txt", "mine");
  const std::string line = refusal({"in.safetensors", "--output", "out"}, 1);
  EXPECT_NE(line.find("\"notes.txt\""), std::string::npos) << line;
  const outcome forced = succeed({"in.safetensors", "--output", "out", "--force"});
  const size_t kept    = forced.out.find("replaced-");
  ASSERT_NE(kept, std::string::npos) << forced.out;
  const std::string number = forced.out.substr(kept, forced.out.find('\n', kept) - kept);
  EXPECT_EQ(contents(folder / ("out." + number) / "notes.txt"), "mine");
  EXPECT_TRUE(fs::exists(folder / "out/model.safetensors"));
  EXPECT_FALSE(fs::exists(folder / "out/notes.txt"));
}

TEST_F(Program, help_and_version_go_to_the_standard_output) {
  EXPECT_TRUE(succeed({"--help"}).out.starts_with("Usage: quaver_checkpoint"));
  EXPECT_TRUE(succeed({"--version"}).out.starts_with("quaver_checkpoint "));
}

}  // namespace
