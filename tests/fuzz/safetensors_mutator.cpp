// SPDX-License-Identifier: MIT
//
// libFuzzer changes bytes blindly, and nearly every change would stop at the header's length. After most changes this
// mutator writes a length that fits again, so that the search goes on behind it; the rest stay as they fell.

#include <cstdint>
#include <cstring>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (size <= 8 || seed % 8 == 0) return size;
  // The header ends at the last '}', or at the first "}}" if the data may hold braces of its own.
  size_t end = 0;
  for (size_t i = 9; i < size && (end == 0 || seed % 2 == 0); ++i) {
    if (data[i] == '}' && (seed % 2 == 0 || data[i - 1] == '}')) end = i + 1;
  }
  if (end == 0) return size;
  while (seed % 4 >= 2 && end < size && data[end] == ' ') ++end;
  const uint64_t length = end - 8;
  std::memcpy(data, &length, 8);
  return size;
}
