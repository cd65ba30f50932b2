// SPDX-License-Identifier: MIT
#include <quaver/io/sharded_checkpoint.hpp>

#include <quaver/io/checkpoint_writer.hpp>

#include "fixtures.hpp"

namespace {

using namespace quaver;
using namespace quaver_tests;
using namespace std::string_literals;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }

std::string text_of(const io::tensor_view* tensor) {
  if (tensor == nullptr) return "(none)";
  return {reinterpret_cast<const char*>(tensor->data.data()), tensor->data.size()};
}

// A file of one U8 tensor.
std::string holding(std::string_view name, std::string_view data) {
  return file_of({entry(name, "U8", io::shape_text(std::vector<uint64_t>{data.size()}), 0, data.size())}, data);
}

std::string refusal_of(const std::string& path, status_code code) {
  const auto checkpoint = io::sharded_checkpoint::open(path);
  EXPECT_EQ(checkpoint.error().code(), code) << checkpoint.message();
  return checkpoint.message();
}

// ---- reading --------------------------------------------------------------------------------------------------------

TEST(ShardedCheckpoint, opens_a_single_file_a_directory_and_an_index_alike) {
  const scratch directory;
  directory.put("model-00001-of-00002.safetensors", holding("a", "first"));
  directory.put("model-00002-of-00002.safetensors", holding("b", "second"));
  directory.put("model.safetensors.index.json",
                R"({"metadata":{"total_size":11},"weight_map":{"a":"model-00001-of-00002.safetensors",
                    "b":"model-00002-of-00002.safetensors"}})");
  for (const std::string& path :
       {directory.path(), joined(directory.path(), "/"), directory / "model.safetensors.index.json"}) {
    auto opened = io::sharded_checkpoint::open(path);
    ASSERT_TRUE(opened.ok()) << opened.message();
    const io::sharded_checkpoint checkpoint(std::move(*opened));  // moving keeps every pointer
    EXPECT_EQ(checkpoint.tensors().size(), 2u);
    EXPECT_EQ(checkpoint.shards().size(), 2u);
    EXPECT_EQ(text_of(checkpoint.find("a")), "first");
    EXPECT_EQ(text_of(checkpoint.find("b")), "second");
    EXPECT_EQ(checkpoint.find("c"), nullptr);
    EXPECT_EQ(checkpoint.declared_size(), 11u);
  }
  const auto one = io::sharded_checkpoint::open(directory / "model-00001-of-00002.safetensors");
  ASSERT_TRUE(one.ok()) << one.message();
  EXPECT_EQ(one->tensors().size(), 1u);
  EXPECT_FALSE(one->declared_size().has_value());
}

TEST(ShardedCheckpoint, takes_model_safetensors_before_other_files_and_an_index_before_it) {
  const scratch directory;
  directory.put("model.safetensors", holding("a", "model"));
  directory.put("other.safetensors", holding("a", "other"));
  EXPECT_EQ(text_of(io::sharded_checkpoint::open(directory.path())->find("a")), "model");
  directory.put("model.safetensors.index.json", R"({"weight_map":{"a":"other.safetensors"}})");
  EXPECT_EQ(text_of(io::sharded_checkpoint::open(directory.path())->find("a")), "other");
}

TEST(ShardedCheckpoint, takes_all_files_of_a_directory_without_index) {
  const scratch directory;
  directory.put("one.safetensors", holding("a", "1"));
  directory.put("two.safetensors", holding("b", "2"));
  directory.put("notes.txt", "not a tensor");
  const auto checkpoint = io::sharded_checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.message();
  EXPECT_EQ(checkpoint->tensors().size(), 2u);
}

TEST(ShardedCheckpoint, refuses_one_name_in_two_files_as_the_ranks_of_tensor_parallelism_have_it) {
  const scratch directory;
  directory.put("rank0.safetensors", holding("a", "1"));
  directory.put("rank1.safetensors", holding("a", "2"));
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::corrupt_data),
                    {"\"a\"", "rank0.safetensors", "rank1.safetensors", "open one"}));
  EXPECT_EQ(text_of(io::sharded_checkpoint::open(directory / "rank1.safetensors")->find("a")), "2");
}

TEST(ShardedCheckpoint, keeps_a_tensor_that_the_index_leaves_out_and_lets_the_index_decide_between_two) {
  const scratch directory;
  directory.put("x.safetensors", file_of({entry("a", "U8", "[1]", 0, 1), entry("s", "U8", "[1]", 1, 2)}, "1s"));
  directory.put("y.safetensors", file_of({entry("a", "U8", "[1]", 0, 1), entry("b", "U8", "[1]", 1, 2)}, "2b"));
  directory.put("model.safetensors.index.json",
                R"({"weight_map":{"a":"y.safetensors","b":"y.safetensors","s":"x.safetensors"}})");
  const auto decided = io::sharded_checkpoint::open(directory.path());
  ASSERT_TRUE(decided.ok()) << decided.message();
  EXPECT_EQ(text_of(decided->find("a")), "2");
  EXPECT_EQ(decided->tensors().size(), 3u);

  directory.put("model.safetensors.index.json", R"({"weight_map":{"a":"x.safetensors","b":"y.safetensors"}})");
  const auto partial = io::sharded_checkpoint::open(directory.path());
  ASSERT_TRUE(partial.ok()) << partial.message();
  EXPECT_EQ(text_of(partial->find("a")), "1");
  EXPECT_EQ(text_of(partial->find("s")), "s");

  directory.put("model.safetensors.index.json", R"({"weight_map":{"s":"x.safetensors","b":"y.safetensors"}})");
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::corrupt_data), {"\"a\"", "the index names neither"}));
}

TEST(ShardedCheckpoint, names_a_missing_shard_and_a_missing_tensor) {
  const scratch directory;
  directory.put("model.safetensors.index.json",
                R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}})");
  directory.put("one.safetensors", holding("a", "1"));
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::not_found),
                    {"index.json", "\"two.safetensors\"", "2 tensors", "missing"}));
  directory.put("two.safetensors", holding("b", "2"));
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::corrupt_data), {"\"c\"", "\"two.safetensors\""}));
  directory.put("two.safetensors", joined(holding("b", "2"), "x"));
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::corrupt_data), {"two.safetensors", "byte 1", "has 2"}));
}

TEST(ShardedCheckpoint, names_the_index_that_shards_without_one_lack) {
  const scratch directory;
  directory.put("model-00001-of-00003.safetensors", holding("a", "1"));
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::not_found),
                    {"model-00001-of-00003.safetensors", "no .safetensors.index.json"}));
}

TEST(ShardedCheckpoint, never_reads_outside_the_directory_of_the_index) {
  const scratch outside;
  std::filesystem::create_directory(outside / "model");
  outside.put("secret.safetensors", holding("a", "secret"));
  for (const std::string& name : {"../secret.safetensors"s, outside / "secret.safetensors", "..\\\\secret"s, ".."s, ""s,
                                  "sub/shard.safetensors"s, "a\\u0000b"s}) {
    outside.put("model/model.safetensors.index.json", R"({"weight_map":{"a":")" + name + R"("}})");
    EXPECT_TRUE(names(refusal_of(outside / "model", status_code::corrupt_data), {"\"a\"", "not a plain file name"}))
        << name;
  }
}

TEST(ShardedCheckpoint, refuses_an_index_that_is_broken) {
  const scratch directory;
  const std::string index = "model.safetensors.index.json";
  const auto with         = [&](std::string_view text) {
    directory.put(index, text);
    const std::string message = refusal_of(directory.path(), status_code::corrupt_data);
    EXPECT_TRUE(names(message, {index}));
    return message;
  };
  EXPECT_TRUE(names(with(""), {"not valid JSON"}));
  EXPECT_TRUE(names(with("{"), {"not valid JSON"}));
  EXPECT_TRUE(names(with("{}\0{}"s), {"not valid JSON"}));
  EXPECT_TRUE(names(with("[]"), {"not a JSON object"}));
  EXPECT_TRUE(names(with("{}"), {"weight_map"}));
  EXPECT_TRUE(names(with(R"({"weight_map":["a"]})"), {"weight_map"}));
  EXPECT_TRUE(names(with(R"({"weight_map":{"a":1}})"), {"\"a\"", "no file name"}));
  EXPECT_TRUE(names(with(R"({"weight_map":{"a":"x","a":"y"}})"), {"\"a\"", "twice"}));
  EXPECT_TRUE(names(with(R"({"weight_map":{},"weight_map":{}})"), {"\"weight_map\"", "twice"}));
  EXPECT_TRUE(names(with(R"({"weight_map":{},"metadata":{"total_size":"much"}})"), {"total_size"}));
  EXPECT_TRUE(names(with(std::string(100'000, '[')), {"nests deeper than 64"}));
}

TEST(ShardedCheckpoint, says_what_a_directory_lacks) {
  const scratch directory;
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::not_found), {directory.path(), "no .safetensors"}));
  EXPECT_TRUE(names(refusal_of(directory / "none", status_code::not_found), {"none", "No such file"}));
  directory.put("a.safetensors.index.json", "{}");
  directory.put("b.safetensors.index.json", "{}");
  EXPECT_TRUE(names(refusal_of(directory.path(), status_code::invalid_argument),
                    {"2 indices", "a.safetensors.index.json", "b.safetensors.index.json"}));
}

// ---- writing --------------------------------------------------------------------------------------------------------

std::vector<io::tensor_info> four_tensors() {
  return {
      {"a", io::dtype::u8, {40}}, {"b", io::dtype::u8, {60}}, {"c", io::dtype::u8, {250}}, {"d", io::dtype::u8, {1}}};
}

status write_four(io::checkpoint_writer& writer, char seed) {
  for (const io::tensor_info& tensor : four_tensors()) {
    const std::string data(static_cast<size_t>(tensor.shape[0]), static_cast<char>(seed + tensor.name[0]));
    if (status written = writer.write(tensor.name, bytes_of(data)); !written.ok()) return written;
  }
  return writer.finish();
}

TEST(CheckpointWriter, names_shards_as_the_usual_loaders_expect) {
  EXPECT_EQ(io::shard_name(0, 1), "model.safetensors");
  EXPECT_EQ(io::shard_name(0, 3), "model-00001-of-00003.safetensors");
  EXPECT_EQ(io::shard_name(162, 163), "model-00163-of-00163.safetensors");
  EXPECT_EQ(io::shard_name(99'999, 100'000), "model-100000-of-100000.safetensors");
}

TEST(CheckpointWriter, fills_shards_in_order_and_indexes_them) {
  const scratch directory;
  auto writer = io::checkpoint_writer::create(directory.path(), four_tensors(), {{"format", "pt"}}, 100);
  ASSERT_TRUE(writer.ok()) << writer.message();
  EXPECT_EQ(writer->shards(), 3u) << "a and b come to 100; c is larger than a shard; d is left";
  ASSERT_TRUE(write_four(*writer, 0).ok());
  EXPECT_EQ(directory.entries(), 4u);
  const auto checkpoint = io::sharded_checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.message();
  EXPECT_EQ(checkpoint->declared_size(), 351u);
  EXPECT_EQ(checkpoint->tensors().size(), 4u);
  EXPECT_EQ(text_of(checkpoint->find("c")), std::string(250, 'c'));
  for (const io::safetensors_reader& shard : checkpoint->shards()) EXPECT_EQ(shard.metadata().at("format"), "pt");
  EXPECT_NE(io::safetensors_reader::open(directory / "model-00002-of-00003.safetensors")->find("c"), nullptr);
}

TEST(CheckpointWriter, writes_one_file_without_index_where_one_is_enough) {
  const scratch directory;
  auto writer = io::checkpoint_writer::create(directory.path(), four_tensors());
  ASSERT_TRUE(writer.ok()) << writer.message();
  ASSERT_TRUE(write_four(*writer, 0).ok());
  EXPECT_EQ(directory.entries(), 1u);
  EXPECT_TRUE(std::filesystem::exists(directory / "model.safetensors"));
}

TEST(CheckpointWriter, replaces_a_checkpoint_of_another_number_of_shards) {
  const scratch directory;
  for (const uint64_t shard_size : {100u, 1000u, 300u, 1u, 1000u}) {
    auto writer = io::checkpoint_writer::create(directory.path(), four_tensors(), {}, shard_size);
    ASSERT_TRUE(writer.ok()) << writer.message();
    const char seed = static_cast<char>(shard_size % 7);
    ASSERT_TRUE(write_four(*writer, seed).ok());
    const auto checkpoint = io::sharded_checkpoint::open(directory.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.message();
    EXPECT_EQ(text_of(checkpoint->find("d")), std::string(1, static_cast<char>(seed + 'd')));
    EXPECT_EQ(std::filesystem::exists(directory / "model.safetensors"), shard_size == 1000);
    EXPECT_EQ(std::filesystem::exists(directory / "model.safetensors.index.json"), shard_size != 1000);
  }
}

TEST(CheckpointWriter, leaves_the_old_checkpoint_alone_until_all_is_written) {
  const scratch directory;
  auto first = io::checkpoint_writer::create(directory.path(), four_tensors(), {}, 100);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(write_four(*first, 0).ok());
  {
    auto second = io::checkpoint_writer::create(directory.path(), four_tensors(), {}, 100);
    ASSERT_TRUE(second.ok());
    EXPECT_TRUE(second->write("a", bytes_of(std::string(40, 'X'))).ok());
    EXPECT_TRUE(names(second->finish().message(), {"\"b\"", "lacks 60"}));
  }
  EXPECT_EQ(directory.entries(), 4u);
  const auto checkpoint = io::sharded_checkpoint::open(directory.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.message();
  EXPECT_EQ(text_of(checkpoint->find("a")), std::string(40, 'a'));
}

TEST(CheckpointWriter, never_leaves_a_mixture_of_two_checkpoints_whenever_it_is_killed) {
  const scratch directory;
  const auto write = [&](uint64_t shard_size, char seed) {
    auto writer = io::checkpoint_writer::create(directory.path(), four_tensors(), {}, shard_size);
    return writer.ok() && write_four(*writer, seed).ok();
  };
  const uint64_t shard_sizes[] = {100, 300, 100, 1000};
  size_t opened                = 0;
  for (unsigned round = 0; round < 40; ++round) {
    run_and_kill(
        [&](auto ready) {
          bool going = write(shard_sizes[round % 4], 0) && ready();
          for (unsigned i = round + 1; going; ++i) going = write(shard_sizes[i % 4], static_cast<char>(i % 20));
        },
        round * 71);
    const auto checkpoint = io::sharded_checkpoint::open(directory.path());
    if (!checkpoint.ok()) {
      EXPECT_EQ(checkpoint.error().code(), status_code::not_found) << checkpoint.message();
      EXPECT_TRUE(names(checkpoint.message(), {"no .safetensors.index.json"}));
      continue;
    }
    ++opened;
    ASSERT_EQ(checkpoint->tensors().size(), 4u);
    const char seed = static_cast<char>(text_of(checkpoint->find("d"))[0] - 'd');
    for (const io::tensor_info& tensor : four_tensors()) {
      const std::string wanted(static_cast<size_t>(tensor.shape[0]), static_cast<char>(seed + tensor.name[0]));
      EXPECT_EQ(text_of(checkpoint->find(tensor.name)), wanted);
    }
  }
  EXPECT_GT(opened, 0u);
}

TEST(CheckpointWriter, refuses_two_tensors_of_one_name_in_whatever_shards) {
  const scratch directory;
  const auto writer = io::checkpoint_writer::create(
      directory.path(), {{"twin", io::dtype::u8, {10}}, {"b", io::dtype::u8, {10}}, {"twin", io::dtype::u8, {10}}}, {},
      10);
  EXPECT_EQ(writer.error().code(), status_code::invalid_argument);
  EXPECT_TRUE(names(writer.message(), {"\"twin\""}));
  EXPECT_EQ(directory.entries(), 0u);
}

}  // namespace
