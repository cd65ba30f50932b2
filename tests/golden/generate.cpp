// SPDX-License-Identifier: MIT

// Writes the golden vectors: generate DIRECTORY. The oracle of reference/ decides every code; see README.md.

#include "vectors.hpp"

#include <fstream>

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: generate DIRECTORY\n");
    return 2;
  }
  bool good        = true;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream file(std::string(arguments[1]) + "/" + name, std::ios::binary);
    file << text;
    file.close();
    if (!file.good()) std::fprintf(stderr, "cannot write %s/%s\n", arguments[1], name.c_str());
    good = good && file.good();
  };
  quaver_test::for_each_format([&]<class F>() {
    const std::string format = quaver_test::name_of<F>();
    write("encode_" + format + ".csv", quaver_golden::encode_rows<F>::text());
    write("decode_" + format + ".csv", quaver_golden::decode_rows<F>());
  });
  return good ? 0 : 1;
}
