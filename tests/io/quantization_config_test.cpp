// SPDX-License-Identifier: MIT
#include <quaver/io/quantization_config.hpp>

#include "fixtures.hpp"

namespace {

using namespace quaver;
using namespace quaver_tests;
using io::activation_scheme;
using io::dialect;

result<std::optional<io::quantization_config>> parsed(std::string_view text, std::string_view label = "config.json") {
  const auto json = io::parse_json(text, label);
  EXPECT_TRUE(json.ok()) << json.message();
  return io::read_quantization(*json, label);
}

io::quantization_config read_ok(std::string_view text, std::string_view label = "config.json") {
  const auto config = parsed(text, label);
  EXPECT_TRUE(config.ok()) << config.message();
  EXPECT_TRUE(config->has_value());
  return config->value_or(io::quantization_config{});
}

// ---- the words of the systems ---------------------------------------------------------------------------------------

TEST(QuantizationConfig, reads_vllm_and_hugging_face_fp8) {
  const auto config = read_ok(
      R"({"model_type":"llama","quantization_config":{"quant_method":"fp8","activation_scheme":"static",
          "ignored_layers":["lm_head"],"modules_to_not_convert":["embed"]}})");
  EXPECT_EQ(config.id, dialect::hf_fp8);
  EXPECT_EQ(config.layouts, (std::vector<scale_layout>{per_tensor}));
  EXPECT_EQ(config.activations, activation_scheme::static_scale);
  EXPECT_EQ(config.excluded, (std::vector<std::string>{"lm_head", "embed"}));
}

TEST(QuantizationConfig, reads_deepseek_blocks) {
  const auto config = read_ok(
      R"({"quantization_config":{"activation_scheme":"dynamic","fmt":"e4m3","quant_method":"fp8",
          "weight_block_size":[64,256]}})");
  EXPECT_EQ(config.id, dialect::deepseek_block);
  EXPECT_EQ(config.layouts, (std::vector<scale_layout>{{.block_rows = 64, .block_cols = 256}}));
  EXPECT_EQ(config.activations, activation_scheme::dynamic_scale);
}

TEST(QuantizationConfig, refuses_block_sizes_that_are_none) {
  for (const char* const size : {"[128]", "[128,128,128]", "[0,128]", "[-1,128]", "[1.5,2]", "128", "\"128x128\"",
                                 "[\"a\",1]", "[4294967296,1]"}) {
    const auto config =
        parsed(R"({"quantization_config":{"quant_method":"fp8","weight_block_size":)" + std::string(size) + "}}");
    EXPECT_EQ(config.error().code(), status_code::corrupt_data) << size;
    EXPECT_TRUE(names(config.message(), {"config.json", "weight_block_size"}));
  }
}

TEST(QuantizationConfig, reads_compressed_tensors_by_the_strategy_of_each_group) {
  const auto config = read_ok(R"({"quantization_config":{"quant_method":"compressed-tensors","format":"float-quantized",
      "config_groups":{
        "group_0":{"targets":["Linear"],"weights":{"num_bits":8,"type":"float","strategy":"channel"},
                   "input_activations":{"num_bits":8,"type":"float","strategy":"token","dynamic":true}},
        "group_1":{"targets":["x"],"weights":{"num_bits":8,"type":"float","strategy":"block",
                   "block_structure":[128,128]}},
        "group_2":{"targets":["y"],"weights":{"num_bits":8,"type":"float","strategy":"tensor"}},
        "group_3":{"targets":["z"],"weights":{"num_bits":4,"type":"float","strategy":"tensor_group","group_size":16}},
        "group_4":{"targets":["i"],"weights":{"num_bits":8,"type":"int","strategy":"channel"}}},
      "ignore":["lm_head"],"kv_cache_scheme":{"num_bits":8,"type":"float"}}})");
  EXPECT_EQ(config.id, dialect::compressed_tensors);
  EXPECT_EQ(config.layouts, (std::vector<scale_layout>{per_row, blocks_128x128, per_tensor, nvfp4_1x16}));
  EXPECT_EQ(config.activations, activation_scheme::dynamic_scale);
  EXPECT_TRUE(config.quantized_cache);
  EXPECT_EQ(config.excluded, (std::vector<std::string>{"lm_head"}));
}

TEST(QuantizationConfig, refuses_compressed_tensors_without_a_scheme_that_it_knows) {
  const auto empty = parsed(R"({"quantization_config":{"quant_method":"compressed-tensors","config_groups":{}}})");
  EXPECT_EQ(empty.error().code(), status_code::corrupt_data);
  const auto integers = parsed(R"({"quantization_config":{"quant_method":"compressed-tensors",
      "config_groups":{"group_0":{"weights":{"num_bits":8,"type":"int","strategy":"channel"}}}}})");
  EXPECT_EQ(integers.error().code(), status_code::unsupported);
}

TEST(QuantizationConfig, reads_modelopt_from_its_own_file_and_from_config_json) {
  const auto own = read_ok(R"({"producer":{"name":"modelopt","version":"0.23.0"},
      "quantization":{"quant_algo":"FP8","kv_cache_quant_algo":"FP8","exclude_modules":["lm_head"]}})",
                           "dir/hf_quant_config.json");
  EXPECT_EQ(own.id, dialect::modelopt);
  EXPECT_EQ(own.layouts, (std::vector<scale_layout>{per_tensor}));
  EXPECT_TRUE(own.quantized_cache);
  EXPECT_EQ(own.excluded, (std::vector<std::string>{"lm_head"}));
  const auto fp4 =
      read_ok(R"({"quantization_config":{"quant_method":"modelopt","quant_algo":"NVFP4","ignore":["lm_head"]}})");
  EXPECT_EQ(fp4.id, dialect::modelopt);
  EXPECT_EQ(fp4.layouts, (std::vector<scale_layout>{nvfp4_1x16}));
  EXPECT_EQ(fp4.excluded, (std::vector<std::string>{"lm_head"}));
}

TEST(QuantizationConfig, reads_tensorrt_llm) {
  const auto config = read_ok(R"({"architecture":"LlamaForCausalLM","mapping":{"world_size":1},
      "quantization":{"quant_algo":"FP8","kv_cache_quant_algo":null,"exclude_modules":null}})");
  EXPECT_EQ(config.id, dialect::tensorrt_llm);
  EXPECT_FALSE(config.quantized_cache);
}

TEST(QuantizationConfig, finds_none_where_a_model_is_not_quantised) {
  for (const char* const text : {"{}", R"({"model_type":"llama"})", R"({"quantization_config":null})",
                                 R"({"quantization":{"quant_algo":null}})", "[]", "3"}) {
    const auto config = parsed(text);
    ASSERT_TRUE(config.ok()) << config.message();
    EXPECT_FALSE(config->has_value()) << text;
  }
}

TEST(QuantizationConfig, names_a_method_that_it_does_not_know) {
  const auto method = parsed(R"({"quantization_config":{"quant_method":"gptq","bits":4}})");
  EXPECT_EQ(method.error().code(), status_code::unsupported);
  EXPECT_TRUE(names(method.message(), {"config.json", "\"gptq\""}));
  const auto algorithm = parsed(R"({"quantization":{"quant_algo":"W4A16_AWQ"}})");
  EXPECT_EQ(algorithm.error().code(), status_code::unsupported);
  EXPECT_TRUE(names(algorithm.message(), {"\"W4A16_AWQ\""}));
}

TEST(QuantizationConfig, survives_values_of_any_kind_in_any_place) {
  const char* const values[] = {"null", "1", "-1", "1.5", "true", "\"text\"", "[]", "[1]", "{}", R"({"a":1})"};
  const char* const shapes[] = {
      R"({"quantization_config":%})",
      R"({"quantization":%})",
      R"({"producer":%,"quantization":{"quant_algo":"FP8"}})",
      R"({"quantization_config":{"quant_method":%}})",
      R"({"quantization_config":{"quant_method":"fp8","activation_scheme":%,"ignored_layers":%,
          "weight_block_size":%}})",
      R"({"quantization_config":{"quant_method":"compressed-tensors","config_groups":%}})",
      R"({"quantization_config":{"quant_method":"compressed-tensors","config_groups":{"group_0":%}}})",
      R"({"quantization_config":{"quant_method":"compressed-tensors","config_groups":{"group_0":{"weights":%}}}})",
      R"({"quantization_config":{"quant_method":"compressed-tensors","config_groups":{"group_0":{"weights":
          {"type":"float","strategy":"block","block_structure":%},"input_activations":%}}}})",
      R"({"quantization_config":{"quant_method":"compressed-tensors","config_groups":{"group_0":{"weights":
          {"type":"float","strategy":"group","group_size":%},"input_activations":{"dynamic":%}}}}})",
      R"({"quantization":{"quant_algo":%,"exclude_modules":%,"kv_cache_quant_algo":%}})"};
  for (const std::string shape : shapes) {
    for (const char* const value : values) {
      std::string text = shape;
      for (size_t at = text.find('%'); at != std::string::npos; at = text.find('%')) text.replace(at, 1, value);
      const auto config = parsed(text);
      EXPECT_TRUE(config.ok() || names(config.message(), {"config.json"}));
    }
  }
}

// ---- there and back -------------------------------------------------------------------------------------------------

TEST(QuantizationConfig, reads_what_it_writes_in_every_dialect) {
  const std::vector<std::pair<dialect, scale_layout>> cases{{dialect::hf_fp8, per_tensor},
                                                            {dialect::deepseek_block, blocks_128x128},
                                                            {dialect::compressed_tensors, per_row},
                                                            {dialect::compressed_tensors, per_tensor},
                                                            {dialect::compressed_tensors, blocks_128x128},
                                                            {dialect::compressed_tensors, nvfp4_1x16},
                                                            {dialect::modelopt, per_tensor},
                                                            {dialect::modelopt, nvfp4_1x16},
                                                            {dialect::tensorrt_llm, per_tensor}};
  for (const auto& [id, layout] : cases) {
    io::quantization_config config;
    config.id              = id;
    config.layouts         = {layout};
    config.activations     = activation_scheme::static_scale;
    config.quantized_cache = id == dialect::compressed_tensors || id == dialect::modelopt;
    config.excluded        = {"lm_head", "re:.*gate"};
    const auto file        = io::write_quantization(config, R"({"model_type":"llama","hidden_size":64})");
    ASSERT_TRUE(file.ok()) << file.message();
    EXPECT_EQ(file->name, io::rules_of(id).config_file);
    const auto back = read_ok(file->text, file->name);
    EXPECT_EQ(back.id, id);
    EXPECT_EQ(back.layouts, config.layouts) << io::dialect_name(id);
    EXPECT_EQ(back.quantized_cache, config.quantized_cache) << io::dialect_name(id);
    EXPECT_GE(back.excluded.size(), 2u);
    if (layout.type == scale_type::f32) {
      EXPECT_EQ(back.activations, config.activations) << io::dialect_name(id);
    }
    EXPECT_EQ(file->text.find("hidden_size") != std::string::npos, id != dialect::modelopt);
  }
}

TEST(QuantizationConfig, writes_into_no_config_that_is_broken) {
  const io::quantization_config config;
  EXPECT_EQ(io::write_quantization(config, "[]").error().code(), status_code::corrupt_data);
  EXPECT_EQ(io::write_quantization(config, "{\"a\":1,\"a\":2}").error().code(), status_code::corrupt_data);
  EXPECT_EQ(io::write_quantization(config, "{").error().code(), status_code::corrupt_data);
  io::quantization_config bytes;
  bytes.excluded = {"\xFF"};
  EXPECT_EQ(io::write_quantization(bytes).error().code(), status_code::invalid_argument);
  io::quantization_config none;
  none.layouts.clear();
  EXPECT_EQ(io::write_quantization(none).error().code(), status_code::invalid_argument);
}

}  // namespace
