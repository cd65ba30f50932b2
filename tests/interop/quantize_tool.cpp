// SPDX-License-Identifier: MIT
//
// Lets a script see the bytes that the library makes:
//
//   quantize_tool encode FORMAT SCALE INPUT OUTPUT   INPUT: binary32 values; OUTPUT: one byte a value, x * SCALE
//   rounded quantize_tool decode FORMAT SCALE INPUT OUTPUT   INPUT: one byte a value; OUTPUT: binary32 values, x *
//   SCALE
//
// Files are raw and little-endian; SCALE is what strtof reads, a hexadecimal float if it must be exact.
// One line on stderr and exit status 1 when something is wrong.

#include <quaver/quaver.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

int fail(const std::string& message) {
  std::fprintf(stderr, "quantize_tool: %s\n", message.c_str());
  return 1;
}

// A file of anything that is its own bytes.
template <class T>
bool read_file(const std::string& path, std::vector<T>& values) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return false;
  const auto bytes = static_cast<std::size_t>(file.tellg());
  if (bytes % sizeof(T) != 0) return false;
  values.resize(bytes / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(bytes));
  return file.good() || bytes == 0;
}

template <class T>
bool write_file(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  file.close();
  return !file.fail();
}

struct request {
  std::string_view verb;
  std::string_view format;
  float scale;
  std::string input;
  std::string output;
};

template <class F>
int convert(const request& asked) {
  std::vector<F> codes;
  std::vector<float> values;
  if (asked.verb == "encode") {
    if (!read_file(asked.input, values)) return fail("cannot read binary32 values from " + asked.input);
    codes.resize(values.size());
    const quaver::status done =
        quaver::cpu::encode_n<F>(std::span<const float>(values), quaver::quant_scale{asked.scale}, std::span<F>(codes));
    if (!done.ok()) return fail(std::string(done.message()));
    return write_file(asked.output, codes) ? 0 : fail("cannot write " + asked.output);
  }
  if (!read_file(asked.input, codes)) return fail("cannot read " + asked.input);
  values.resize(codes.size());
  const quaver::status done =
      quaver::cpu::decode_n(std::span<const F>(codes), quaver::dequant_scale{asked.scale}, std::span<float>(values));
  if (!done.ok()) return fail(std::string(done.message()));
  return write_file(asked.output, values) ? 0 : fail("cannot write " + asked.output);
}

int dispatch(const request& asked) {
  if (asked.format == "e4m3") return convert<quaver::e4m3>(asked);
  if (asked.format == "e5m2") return convert<quaver::e5m2>(asked);
  if (asked.format == "e4m3fnuz") return convert<quaver::e4m3fnuz>(asked);
  if (asked.format == "e5m2fnuz") return convert<quaver::e5m2fnuz>(asked);
  if (asked.format == "e4m3b11fnuz") return convert<quaver::e4m3b11fnuz>(asked);
  if (asked.format == "e4m3ieee") return convert<quaver::e4m3ieee>(asked);
  if (asked.format == "e3m4") return convert<quaver::e3m4>(asked);
  if (asked.format == "binary8p3") return convert<quaver::binary8p3>(asked);
  if (asked.format == "binary8p4") return convert<quaver::binary8p4>(asked);
  if (asked.format == "e2m3") return convert<quaver::e2m3>(asked);
  if (asked.format == "e3m2") return convert<quaver::e3m2>(asked);
  if (asked.format == "e2m1") return convert<quaver::e2m1>(asked);
  return fail("unknown format " + std::string(asked.format));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || (std::strcmp(argv[1], "encode") != 0 && std::strcmp(argv[1], "decode") != 0)) {
    return fail("usage: quantize_tool encode|decode FORMAT SCALE INPUT OUTPUT");
  }
  char* end         = nullptr;
  const float scale = std::strtof(argv[3], &end);
  if (end == argv[3] || *end != '\0') return fail(std::string("not a scale: ") + argv[3]);
  return dispatch({argv[1], argv[2], scale, argv[4], argv[5]});
}
