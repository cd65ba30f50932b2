// SPDX-License-Identifier: MIT
#include <quaver/io/safetensors_reader.hpp>

#include <cstdio>

// A file that is not there must be an error with a sentence, through whatever io does on the way.
int main() {
  const auto reader = quaver::io::safetensors_reader::open("no such file.safetensors");
  std::puts(reader.message().c_str());
  return reader.ok() ? 1 : 0;
}
