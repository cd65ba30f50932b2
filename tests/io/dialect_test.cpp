// SPDX-License-Identifier: MIT
#include <quaver/io/dialect.hpp>

#include <gtest/gtest.h>

namespace {

using namespace quaver;
using io::dialect;
using io::dtype;
using shape = std::vector<uint64_t>;

const io::tensor_info matrix{"l.0.q_proj.weight", dtype::f8_e4m3, {300, 200}};

TEST(Dialect, names_lead_back_to_dialects) {
  for (const io::dialect_row& row : io::dialect_rows) {
    EXPECT_EQ(io::dialect_from_name(row.name), row.id);
    EXPECT_EQ(&io::rules_of(row.id), &row);
  }
  EXPECT_FALSE(io::dialect_from_name("gptq").has_value());
}

TEST(Dialect, each_names_the_scale_of_a_weight_its_own_way) {
  const auto scale = [](dialect id, std::string_view weight) { return io::scale_name(io::rules_of(id), weight); };
  EXPECT_EQ(scale(dialect::hf_fp8, "a.weight"), "a.weight_scale");
  EXPECT_EQ(scale(dialect::deepseek_block, "a.weight"), "a.weight_scale_inv");
  EXPECT_EQ(scale(dialect::compressed_tensors, "a.weight_packed"), "a.weight_scale");
  EXPECT_EQ(scale(dialect::modelopt, "a.weight"), "a.weight_scale");
  EXPECT_EQ(scale(dialect::tensorrt_llm, "a.weight"), "a.weights_scaling_factor");
  EXPECT_EQ(scale(dialect::hf_fp8, "weight"), "weight_scale");
  // Fused experts are no module of their own: their scale is named after them.
  EXPECT_EQ(scale(dialect::deepseek_block, "experts.gate_up_proj"), "experts.gate_up_proj_scale_inv");
  EXPECT_EQ(scale(dialect::tensorrt_llm, "experts.gate_up_proj"), "");
  EXPECT_EQ(io::input_scale_name(io::rules_of(dialect::hf_fp8), "a.weight"), "a.input_scale");
  EXPECT_EQ(io::input_scale_name(io::rules_of(dialect::tensorrt_llm), "a.weight"), "a.activation_scaling_factor");
  EXPECT_EQ(io::global_scale_name(io::rules_of(dialect::modelopt), "a.weight"), "a.weight_scale_2");
  EXPECT_EQ(io::global_scale_name(io::rules_of(dialect::modelopt), "a.down_proj"), "a.down_proj_scale_2");
  EXPECT_EQ(io::global_scale_name(io::rules_of(dialect::compressed_tensors), "a.weight_packed"),
            "a.weight_global_scale");
  EXPECT_EQ(io::global_scale_name(io::rules_of(dialect::hf_fp8), "a.weight"), "");
}

TEST(Dialect, a_writer_learns_what_to_declare_beside_a_weight) {
  const auto declared = [](dialect id, const scale_layout& layout) {
    const auto scales = io::declare_scales(id, matrix, layout);
    EXPECT_TRUE(scales.ok()) << scales.message();
    EXPECT_EQ(scales->size(), 1u);
    EXPECT_EQ(scales->at(0).type, dtype::f32);
    return scales->at(0);
  };
  EXPECT_EQ(declared(dialect::hf_fp8, per_tensor).name, "l.0.q_proj.weight_scale");
  EXPECT_EQ(declared(dialect::hf_fp8, per_tensor).shape, shape{});
  EXPECT_EQ(declared(dialect::modelopt, per_tensor).shape, shape{});
  EXPECT_EQ(declared(dialect::tensorrt_llm, per_tensor).name, "l.0.q_proj.weights_scaling_factor");
  EXPECT_EQ(declared(dialect::tensorrt_llm, per_tensor).shape, shape{1});
  EXPECT_EQ(declared(dialect::compressed_tensors, per_tensor).shape, shape{1});
  EXPECT_EQ(declared(dialect::compressed_tensors, per_row).shape, (shape{300, 1}));
  EXPECT_EQ(declared(dialect::compressed_tensors, blocks_128x128).shape, (shape{3, 2}));
  EXPECT_EQ(declared(dialect::deepseek_block, blocks_128x128).name, "l.0.q_proj.weight_scale_inv");
  EXPECT_EQ(declared(dialect::deepseek_block, blocks_128x128).shape, (shape{3, 2}));
}

TEST(Dialect, nvfp4_has_two_levels_and_counts_two_values_a_byte) {
  const io::tensor_info packed{"l.weight_packed", dtype::u8, {64, 48}};  // 64 x 96 values
  const auto scales = io::declare_scales(dialect::compressed_tensors, packed, nvfp4_1x16);
  ASSERT_TRUE(scales.ok()) << scales.message();
  ASSERT_EQ(scales->size(), 2u);
  EXPECT_EQ(scales->at(0).name, "l.weight_scale");
  EXPECT_EQ(scales->at(0).type, dtype::f8_e4m3);
  EXPECT_EQ(scales->at(0).shape, (shape{64, 6}));
  EXPECT_EQ(scales->at(1).name, "l.weight_global_scale");
  EXPECT_EQ(scales->at(1).type, dtype::f32);
  EXPECT_EQ(scales->at(1).shape, shape{1});
  const auto modelopt = io::declare_scales(dialect::modelopt, {"l.weight", dtype::u8, {64, 48}}, nvfp4_1x16);
  ASSERT_TRUE(modelopt.ok()) << modelopt.message();
  EXPECT_EQ(modelopt->at(1).name, "l.weight_scale_2");
  EXPECT_EQ(modelopt->at(1).shape, shape{});
}

TEST(Dialect, a_layout_that_the_dialects_readers_do_not_know_is_refused) {
  const auto refused = [](dialect id, const scale_layout& layout) {
    const auto scales = io::declare_scales(id, matrix, layout);
    EXPECT_EQ(scales.error().code(), status_code::unsupported);
    EXPECT_NE(scales.message().find(io::dialect_name(id)), std::string::npos) << scales.message();
    EXPECT_NE(scales.message().find(matrix.name), std::string::npos) << scales.message();
  };
  refused(dialect::hf_fp8, per_row);
  refused(dialect::hf_fp8, blocks_128x128);
  refused(dialect::hf_fp8, nvfp4_1x16);
  refused(dialect::deepseek_block, per_tensor);
  refused(dialect::deepseek_block, mx_1x32);
  refused(dialect::compressed_tensors, mx_1x32);
  refused(dialect::modelopt, per_row);
  refused(dialect::tensorrt_llm, blocks_128x128);
  const auto no_matrix =
      io::declare_scales(dialect::compressed_tensors, {"l.weight", dtype::f8_e4m3, {2, 3, 4}}, per_row);
  EXPECT_NE(no_matrix.message().find("[2, 3, 4] is not a matrix"), std::string::npos) << no_matrix.message();
}

}  // namespace
