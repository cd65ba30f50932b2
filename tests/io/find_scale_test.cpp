// SPDX-License-Identifier: MIT
#include <quaver/io/find_scale.hpp>

#include <quaver/io/detect_dialect.hpp>
#include <quaver/io/safetensors_writer.hpp>
#include <quaver/io/scale_values.hpp>

#include "fixtures.hpp"

namespace {

using namespace quaver;
using namespace quaver_tests;
using io::dialect;
using io::dtype;
using io::scale_kind;

// A checkpoint of one file in a directory of its own; tensors hold zeros unless they are given numbers.
class model {
 public:
  model& add(std::string name, dtype type, std::vector<uint64_t> shape) {
    io::tensor_info info{std::move(name), type, std::move(shape)};
    data_.emplace_back(static_cast<size_t>(*io::byte_count(info)), '\0');
    infos_.push_back(std::move(info));
    return *this;
  }
  template <class T>
  model& add(std::string name, std::vector<uint64_t> shape, const std::vector<T>& values) {
    add(std::move(name), io::dtype_of<T>, std::move(shape));
    EXPECT_EQ(data_.back().size(), values.size() * sizeof(T));
    std::memcpy(data_.back().data(), values.data(), data_.back().size());
    return *this;
  }
  model& config(std::string_view text, std::string_view name = "config.json") {
    directory_.put(name, text);
    return *this;
  }
  io::sharded_checkpoint open() {
    std::vector<io::tensor_view> tensors;
    for (size_t i = 0; i < infos_.size(); ++i) {
      tensors.push_back({infos_[i], std::as_bytes(std::span<const char>(data_[i]))});
    }
    const status written = io::write_safetensors(directory_ / "model.safetensors", tensors);
    EXPECT_TRUE(written.ok()) << written.message();
    auto checkpoint = io::sharded_checkpoint::open(directory_.path());
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.message();
    return std::move(*checkpoint);
  }

 private:
  scratch directory_;
  std::vector<io::tensor_info> infos_;
  std::vector<std::string> data_;
};

io::quantization_config in(dialect id, std::vector<scale_layout> layouts = {per_tensor}) {
  io::quantization_config config;
  config.id      = id;
  config.layouts = std::move(layouts);
  return config;
}

// ---- a missing scale ------------------------------------------------------------------------------------------------

TEST(FindScale, an_fp8_weight_without_its_scale_is_an_error_in_every_dialect) {
  model m;
  m.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.bias", dtype::f32, {4});
  const io::sharded_checkpoint checkpoint = m.open();
  for (const io::dialect_row& rules : io::dialect_rows) {
    const auto found = io::find_scale(checkpoint, in(rules.id), "l.weight");
    EXPECT_EQ(found.error().code(), status_code::not_found);
    EXPECT_TRUE(names(found.message(), {"\"l.weight\"", "F8_E4M3", "[4, 4]", "has no scale", rules.name,
                                        joined("\"l.", rules.scale_leaf, '"')}));
    EXPECT_EQ(io::check_scales(checkpoint, in(rules.id)).message(), found.message());
  }
  EXPECT_EQ(io::find_scale(checkpoint, in(dialect::hf_fp8), "none.weight").error().code(), status_code::not_found);
}

TEST(FindScale, a_scale_under_another_dialects_name_is_pointed_out) {
  model m;
  m.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.weight_scale_inv", dtype::f32, {1, 1});
  const auto found = io::find_scale(m.open(), in(dialect::hf_fp8), "l.weight");
  EXPECT_TRUE(names(found.message(), {"\"l.weight_scale\"", "\"l.weight_scale_inv\"", "deepseek-block"}));
}

TEST(FindScale, every_fp8_dtype_under_any_name_needs_a_scale) {
  for (const dtype type :
       {dtype::f8_e4m3, dtype::f8_e5m2, dtype::f8_e4m3fnuz, dtype::f8_e5m2fnuz, dtype::f4, dtype::f6_e2m3}) {
    for (const char* const name : {"l.weight", "weight", "experts.gate_up_proj", "l.weight_scale", "scale", ""}) {
      model m;
      m.add(name, type, {4, 4});
      EXPECT_EQ(io::check_scales(m.open(), in(dialect::hf_fp8)).code(), status_code::not_found)
          << io::dtype_name(type) << ' ' << name;
    }
  }
  model m;
  m.add("l.weight", dtype::bf16, {4, 4}).add("s", dtype::f8_e8m0, {4}).add("u.weight", dtype::u8, {4});
  EXPECT_TRUE(io::check_scales(m.open(), in(dialect::hf_fp8)).ok());
}

TEST(FindScale, a_weight_that_has_a_name_of_its_own_has_its_scale_beside_that_name) {
  model m;
  m.add("experts.down_proj", dtype::f8_e4m3, {4, 4}).add("experts.down_proj_scale", dtype::f32, {});
  const io::sharded_checkpoint checkpoint = m.open();
  EXPECT_TRUE(io::find_scale(checkpoint, in(dialect::hf_fp8), "experts.down_proj").ok());
  EXPECT_TRUE(names(io::find_scale(checkpoint, in(dialect::tensorrt_llm), "experts.down_proj").message(),
                    {"none for such a name"}));
}

// ---- shapes ---------------------------------------------------------------------------------------------------------

io::found_scale shape_found(dialect id, const std::vector<scale_layout>& layouts, std::vector<uint64_t> scale,
                            dtype type = dtype::f32) {
  const std::string name = joined("l.", io::rules_of(id).scale_leaf);
  model m;
  m.add("l.weight", dtype::f8_e4m3, {300, 200}).add(name, type, std::move(scale));
  const io::sharded_checkpoint checkpoint = m.open();
  const auto found                        = io::find_scale(checkpoint, in(id, layouts), "l.weight");
  EXPECT_TRUE(found.ok()) << found.message();
  EXPECT_EQ(found->rows, 300u);
  EXPECT_EQ(found->cols, 200u);
  return *found;  // its pointers are gone with the checkpoint; kind and layout are what is asked for
}

TEST(FindScale, a_tensor_scale_is_a_scalar_or_one_element) {
  for (const dialect id : {dialect::hf_fp8, dialect::compressed_tensors, dialect::modelopt, dialect::tensorrt_llm}) {
    for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{}, {1}, {1, 1}}) {
      const auto found = shape_found(id, {per_tensor}, shape);
      EXPECT_EQ(found.kind, scale_kind::tensor);
      EXPECT_EQ(found.layout, per_tensor);
    }
  }
}

TEST(FindScale, a_row_scale_is_a_vector_or_a_column) {
  for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{300}, {300, 1}}) {
    const auto found = shape_found(dialect::compressed_tensors, {per_tensor}, shape);
    EXPECT_EQ(found.kind, scale_kind::row);
    EXPECT_EQ(found.layout, per_row);
  }
}

TEST(FindScale, block_scales_have_a_number_for_every_block_and_part_of_one) {
  EXPECT_EQ(shape_found(dialect::deepseek_block, {blocks_128x128}, {3, 2}).layout, blocks_128x128);
  const scale_layout odd{.block_rows = 7, .block_cols = 200};
  EXPECT_EQ(shape_found(dialect::deepseek_block, {odd}, {43, 1}).layout, odd);
  EXPECT_EQ(shape_found(dialect::compressed_tensors, {per_row, blocks_128x128}, {3, 2}).layout, blocks_128x128);
  EXPECT_EQ(shape_found(dialect::deepseek_block, {blocks_128x128}, {3, 2}, dtype::bf16).layout, blocks_128x128);
  EXPECT_EQ(shape_found(dialect::deepseek_block, {blocks_128x128}, {3, 2}, dtype::f8_e8m0).layout.type,
            scale_type::mx_e8m0);
}

TEST(FindScale, a_scale_of_any_other_shape_is_an_error_that_says_which_it_should_be) {
  const auto message = [](dialect id, const scale_layout& layout, std::vector<uint64_t> scale,
                          dtype type = dtype::f32) {
    model m;
    m.add("l.weight", dtype::f8_e4m3, {300, 200})
        .add(joined("l.", io::rules_of(id).scale_leaf), type, std::move(scale));
    const auto found = io::find_scale(m.open(), in(id, {layout}), "l.weight");
    EXPECT_EQ(found.error().code(), status_code::corrupt_data);
    EXPECT_TRUE(names(found.message(), {"\"l.weight\"", "[300, 200]", joined("\"l.", io::rules_of(id).scale_leaf)}));
    return found.message();
  };
  for (const std::vector<uint64_t>& shape :
       {std::vector<uint64_t>{}, {1}, {6}, {2, 3}, {3, 1}, {1, 2}, {4, 3}, {300, 1}, {0}, {3, 2, 1}, {1, 3, 2}}) {
    EXPECT_TRUE(names(message(dialect::deepseek_block, blocks_128x128, shape), {"[3, 2]", io::shape_text(shape)}));
  }
  EXPECT_TRUE(names(message(dialect::compressed_tensors, per_tensor, {200}), {"[300, 1]", "[] or [1]"}));
  EXPECT_TRUE(names(message(dialect::modelopt, per_tensor, {300, 1}), {"[] or [1]"}));
  EXPECT_TRUE(names(message(dialect::tensorrt_llm, per_tensor, {3}), {"[] or [1]"}));
  EXPECT_TRUE(names(message(dialect::hf_fp8, per_tensor, {0, 0}), {"[] or [1]"}));
  for (const dtype type : {dtype::f64, dtype::i32, dtype::boolean, dtype::f8_e5m2}) {
    EXPECT_TRUE(
        names(message(dialect::hf_fp8, per_tensor, {}, type), {io::dtype_name(type), "no dtype that scales have"}));
  }
}

TEST(FindScale, only_a_single_number_serves_what_is_no_matrix) {
  model m;
  m.add("a.weight", dtype::f8_e4m3, {2, 3, 4}).add("a.weight_scale", dtype::f32, {1});
  m.add("b.weight", dtype::f8_e4m3, {2, 3, 4}).add("b.weight_scale", dtype::f32, {2});
  const io::sharded_checkpoint checkpoint = m.open();
  EXPECT_TRUE(io::find_scale(checkpoint, in(dialect::compressed_tensors), "a.weight").ok());
  EXPECT_TRUE(names(io::find_scale(checkpoint, in(dialect::compressed_tensors), "b.weight").message(),
                    {"\"b.weight\"", "\"b.weight_scale\"", "not a matrix"}));
}

TEST(FindScale, a_fused_weight_with_several_scales_asks_for_the_rows_of_each) {
  model m;
  m.add("qkv.weight", dtype::f8_e4m3, {12, 2}).add("qkv.weight_scale", {3}, std::vector<float>{1, 2, 3});
  const io::sharded_checkpoint checkpoint = m.open();
  const auto config                       = in(dialect::hf_fp8);
  const auto unknown                      = io::find_scale(checkpoint, config, "qkv.weight");
  EXPECT_EQ(unknown.error().code(), status_code::unsupported);
  EXPECT_TRUE(names(unknown.message(), {"\"qkv.weight\"", "\"qkv.weight_scale\"", "3 numbers", "add up to 12"}));
  for (const std::vector<uint64_t>& wrong :
       {std::vector<uint64_t>{6, 6}, {4, 4, 5}, {12, 0, ~uint64_t{0}}, {4, 4, 2, 2}}) {
    EXPECT_FALSE(io::find_scale(checkpoint, config, "qkv.weight", wrong).ok());
  }
  const std::vector<uint64_t> rows{8, 2, 2};
  const auto found = io::find_scale(checkpoint, config, "qkv.weight", rows);
  ASSERT_TRUE(found.ok()) << found.message();
  EXPECT_EQ(found->kind, scale_kind::shards);
  EXPECT_EQ(found->layout, per_row);
  const auto multipliers = io::dequant_multipliers(*found);
  ASSERT_TRUE(multipliers.ok()) << multipliers.message();
  EXPECT_EQ(*multipliers, (std::vector<float>{1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3}));
  EXPECT_TRUE(io::check_scales(checkpoint, config).ok());
}

// ---- numbers --------------------------------------------------------------------------------------------------------

TEST(ScaleValues, every_dtype_of_scales_becomes_the_same_binary32) {
  model m;
  m.add("f32.weight", dtype::f8_e4m3, {2, 4}).add("f32.weight_scale", {2, 1}, std::vector<float>{0.25f, 3.0f});
  m.add("bf16.weight", dtype::f8_e4m3, {2, 4});
  m.add("bf16.weight_scale", {2, 1}, std::vector<bfloat16>{bfloat16::from_bits(0x3E80), bfloat16::from_bits(0x4040)});
  m.add("f16.weight", dtype::f8_e4m3, {2, 4});
  m.add("f16.weight_scale", {2, 1}, std::vector<half>{half::from_bits(0x3400), half::from_bits(0x4200)});
  const io::sharded_checkpoint checkpoint = m.open();
  for (const char* const name : {"f32.weight", "bf16.weight", "f16.weight"}) {
    const auto found = io::find_scale(checkpoint, in(dialect::compressed_tensors, {per_row}), name);
    ASSERT_TRUE(found.ok()) << found.message();
    EXPECT_EQ(*io::dequant_multipliers(*found), (std::vector<float>{0.25f, 3.0f})) << name;
  }
}

TEST(ScaleValues, e8m0_codes_are_powers_of_two_under_either_dtype) {
  for (const bool as_bytes : {true, false}) {
    model m;
    m.add("l.weight", dtype::f8_e4m3, {1, 64});
    if (as_bytes) m.add("l.weight_scale", {1, 2}, std::vector<uint8_t>{0, 130});
    else m.add("l.weight_scale", {1, 2}, std::vector<e8m0>{e8m0::from_bits(0), e8m0::from_bits(130)});
    const io::sharded_checkpoint checkpoint = m.open();
    const auto found = io::find_scale(checkpoint, in(dialect::compressed_tensors, {mx_1x32}), "l.weight");
    ASSERT_TRUE(found.ok()) << found.message();
    EXPECT_EQ(found->layout, mx_1x32);
    EXPECT_EQ(*io::dequant_multipliers(*found), (std::vector<float>{0x1p-127f, 8.0f}));
  }
}

TEST(ScaleValues, nvfp4_multiplies_by_modelopts_global_scale_and_divides_by_compressed_tensors) {
  // Block scales 1.5 and 448; ModelOpt's global scale 1/64 and compressed-tensors' 64 say the same.
  const std::vector<e4m3> blocks{e4m3::from_bits(0x3C), e4m3::from_bits(0x7E)};
  model modelopt;
  modelopt.add("l.weight", dtype::u8, {1, 16}).add("l.weight_scale", {1, 2}, blocks);
  modelopt.add("l.weight_scale_2", {}, std::vector<float>{0x1p-6f});
  model compressed;
  compressed.add("l.weight_packed", dtype::u8, {1, 16}).add("l.weight_scale", {1, 2}, blocks);
  compressed.add("l.weight_global_scale", {1}, std::vector<float>{64.0f});
  const io::sharded_checkpoint one = modelopt.open(), two = compressed.open();
  const auto first  = io::find_scale(one, in(dialect::modelopt, {nvfp4_1x16}), "l.weight");
  const auto second = io::find_scale(two, in(dialect::compressed_tensors, {nvfp4_1x16}), "l.weight_packed");
  ASSERT_TRUE(first.ok()) << first.message();
  ASSERT_TRUE(second.ok()) << second.message();
  EXPECT_EQ(first->cols, 32u);
  EXPECT_EQ(first->layout, nvfp4_1x16);
  EXPECT_EQ(*io::dequant_multipliers(*first), (std::vector<float>{1.5f / 64, 7.0f}));
  EXPECT_EQ(*io::dequant_multipliers(*second), (std::vector<float>{1.5f / 64, 7.0f}));
}

TEST(ScaleValues, nvfp4_without_its_global_scale_is_an_error) {
  model m;
  m.add("l.weight_packed", dtype::u8, {1, 16}).add("l.weight_scale", dtype::f8_e4m3, {1, 2});
  const io::sharded_checkpoint checkpoint = m.open();
  EXPECT_TRUE(
      names(io::find_scale(checkpoint, in(dialect::compressed_tensors, {nvfp4_1x16}), "l.weight_packed").message(),
            {"\"l.weight_packed\"", "\"l.weight_scale\"", "\"l.weight_global_scale\" is missing"}));
  EXPECT_FALSE(io::check_scales(checkpoint, in(dialect::compressed_tensors, {nvfp4_1x16})).ok());
  m.add("l.weight_global_scale", dtype::f32, {2});
  EXPECT_TRUE(
      names(io::find_scale(m.open(), in(dialect::compressed_tensors, {nvfp4_1x16}), "l.weight_packed").message(),
            {"\"l.weight_global_scale\"", "[2]", "not one F32"}));
}

TEST(ScaleValues, a_scale_that_no_quantiser_writes_is_an_error) {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {-1.0f, -0.0f, infinity, -infinity, nan}) {
    model m;
    m.add("l.weight", dtype::f8_e4m3, {2, 2}).add("l.weight_scale", {2, 1}, std::vector<float>{1.0f, bad});
    const io::sharded_checkpoint checkpoint = m.open();
    const auto found                        = io::find_scale(checkpoint, in(dialect::compressed_tensors), "l.weight");
    ASSERT_TRUE(found.ok()) << found.message();
    EXPECT_TRUE(names(io::dequant_multipliers(*found).message(), {"\"l.weight\"", "\"l.weight_scale\"", "element 1"}));
  }
  model zero;
  zero.add("l.weight", dtype::f8_e4m3, {2, 2}).add("l.weight_scale", {2, 1}, std::vector<float>{0.0f, 1e-45f});
  const io::sharded_checkpoint checkpoint = zero.open();
  const auto found                        = io::find_scale(checkpoint, in(dialect::compressed_tensors), "l.weight");
  EXPECT_EQ(*io::dequant_multipliers(*found), (std::vector<float>{0.0f, 1e-45f}))
      << "rows of zeros may have a scale of 0";

  model divisor;
  divisor.add("l.weight_packed", dtype::u8, {1, 8}).add("l.weight_scale", dtype::f8_e4m3, {1, 1});
  divisor.add("l.weight_global_scale", dtype::f32, {1});
  const io::sharded_checkpoint zeros = divisor.open();
  const auto packed = io::find_scale(zeros, in(dialect::compressed_tensors, {nvfp4_1x16}), "l.weight_packed");
  ASSERT_TRUE(packed.ok()) << packed.message();
  EXPECT_TRUE(names(io::dequant_multipliers(*packed).message(), {"\"l.weight_global_scale\""}));
}

// ---- detection ------------------------------------------------------------------------------------------------------

dialect detected(model& m) {
  const io::sharded_checkpoint checkpoint = m.open();
  const auto config                       = io::detect_dialect(checkpoint);
  EXPECT_TRUE(config.ok()) << config.message();
  const status scales = io::check_scales(checkpoint, *config);
  EXPECT_TRUE(scales.ok()) << scales.message();
  return config->id;
}

TEST(DetectDialect, a_config_decides_before_the_names_do) {
  model m;
  m.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.weight_scale", dtype::f32, {});
  EXPECT_EQ(detected(m), dialect::hf_fp8);
  m.config(R"({"quantization_config":{"quant_method":"compressed-tensors",
      "config_groups":{"group_0":{"weights":{"type":"float","num_bits":8,"strategy":"tensor"}}}}})");
  EXPECT_EQ(detected(m), dialect::compressed_tensors);
  m.config(R"({"producer":{"name":"modelopt"},"quantization":{"quant_algo":"FP8"}})", "hf_quant_config.json");
  EXPECT_EQ(detected(m), dialect::modelopt);
}

TEST(DetectDialect, names_and_shapes_decide_without_a_config) {
  model deepseek;
  deepseek.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.weight_scale_inv", dtype::f32, {1, 1});
  EXPECT_EQ(detected(deepseek), dialect::deepseek_block);
  model tensorrt;
  tensorrt.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.weights_scaling_factor", dtype::f32, {1});
  EXPECT_EQ(detected(tensorrt), dialect::tensorrt_llm);
  model rows;
  rows.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.weight_scale", dtype::bf16, {4, 1});
  EXPECT_EQ(detected(rows), dialect::compressed_tensors);
  model blocks;
  blocks.add("l.weight", dtype::f8_e4m3, {200, 300}).add("l.weight_scale", dtype::f32, {2, 3});
  EXPECT_EQ(detected(blocks), dialect::compressed_tensors);
  model two_levels;
  two_levels.add("l.weight", dtype::u8, {4, 8}).add("l.weight_scale", dtype::f8_e4m3, {4, 1});
  two_levels.add("l.weight_scale_2", dtype::f32, {});
  EXPECT_EQ(detected(two_levels), dialect::modelopt);
  model packed;
  packed.add("l.weight_packed", dtype::u8, {4, 8}).add("l.weight_scale", dtype::f8_e4m3, {4, 1});
  packed.add("l.weight_global_scale", dtype::f32, {1});
  EXPECT_EQ(detected(packed), dialect::compressed_tensors);
}

TEST(DetectDialect, a_config_without_quantisation_leaves_it_to_the_names) {
  model m;
  m.config(R"({"model_type":"llama"})");
  m.add("l.weight", dtype::f8_e4m3, {4, 4}).add("l.weight_scale_inv", dtype::f32, {1, 1});
  EXPECT_EQ(detected(m), dialect::deepseek_block);
}

TEST(DetectDialect, an_fp8_tensor_without_any_scale_is_named_with_the_names_that_were_looked_for) {
  model m;
  m.add("lonely.weight", dtype::f8_e5m2, {4, 4});
  const auto config = io::detect_dialect(m.open());
  EXPECT_EQ(config.error().code(), status_code::not_found);
  EXPECT_TRUE(names(config.message(), {"\"lonely.weight\"", "F8_E5M2", "\"lonely.weight_scale\"",
                                       "\"lonely.weight_scale_inv\"", "\"lonely.weights_scaling_factor\""}));
}

TEST(DetectDialect, scales_of_two_dialects_and_no_config_are_an_error) {
  model m;
  m.add("a.weight", dtype::f8_e4m3, {4, 4}).add("a.weight_scale", dtype::f32, {});
  m.add("b.weight", dtype::f8_e4m3, {4, 4}).add("b.weight_scale_inv", dtype::f32, {1, 1});
  EXPECT_TRUE(names(io::detect_dialect(m.open()).message(), {"\"a.weight_scale\"", "\"b.weight_scale_inv\""}));
}

TEST(DetectDialect, an_unquantised_or_an_unknown_checkpoint_is_said_to_be_one) {
  model plain;
  plain.add("l.weight", dtype::bf16, {4, 4});
  EXPECT_EQ(io::detect_dialect(plain.open()).error().code(), status_code::not_found);
  plain.config(R"({"quantization_config":{"quant_method":"awq"}})");
  EXPECT_EQ(io::detect_dialect(plain.open()).error().code(), status_code::unsupported);
  plain.config("{");
  EXPECT_TRUE(names(io::detect_dialect(plain.open()).message(), {"config.json", "not valid JSON"}));
}

}  // namespace
