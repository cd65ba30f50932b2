// SPDX-License-Identifier: MIT
//
// libFuzzer's target over the safetensors reader: any bytes at all, read as a file. Built with libFuzzer it searches;
// built with replay_main.cpp it runs the committed corpus under any compiler.

#include <quaver/io/safetensors_reader.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

using namespace quaver;

// Not assert: the fuzzer's own build may define NDEBUG.
void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "safetensors_reader_fuzz: %s\n", what);
  std::abort();
}

bool one_line(const std::string& message) {
  for (const char c : message) {
    if (static_cast<unsigned char>(c) < 0x20) return false;
  }
  return !message.empty() && message.size() < 4096;
}

// What a reader promises of a file that it accepts, checked from outside.
void check_accepted(const io::safetensors_reader& reader, std::span<const std::byte> file) {
  const std::byte* next = nullptr;
  unsigned sum          = 0;
  for (const io::tensor_view& tensor : reader.tensors()) {
    const result<uint64_t> bytes = io::byte_count(tensor);
    require(bytes.ok() && *bytes == tensor.data.size(), "a tensor's bytes do not fit its shape");
    require(next == nullptr || next == tensor.data.data(), "the tensors leave a hole or overlap");
    require(reader.find(tensor.name) == &tensor, "a tensor is not found under its own name");
    next = tensor.data.data() + tensor.data.size();
    for (const std::byte b : tensor.data) sum += std::to_integer<unsigned>(b);  // AddressSanitizer sees every byte
  }
  require(next == nullptr || next == file.data() + file.size(), "the tensors do not end with the file");
  require(sum <= 255u * file.size(), "sum");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const result<io::safetensors_reader> reader = io::safetensors_reader::from_memory(file, "fuzz");
  if (reader.ok()) {
    check_accepted(*reader, file);
  } else {
    require(one_line(reader.message()), "the message is not one line");
    require(reader.error().code() == status_code::corrupt_data, "the code is not corrupt_data");
  }
  return 0;
}
