// SPDX-License-Identifier: MIT
//
// Prints every value of a format: 01_print_format e5m2. Without a name, of e4m3.

#include <quaver/quaver.hpp>

#include <cstdio>
#include <string_view>

using namespace quaver;

template <class F>
void print(const char* name) {
  using limits = std::numeric_limits<F>;
  std::printf("%s: %d bits, %d for the exponent (bias %d), %d for the mantissa\n", name, F::width, F::exponent_bits,
              F::exponent_bias, F::mantissa_bits);
  std::printf("largest %.9g, smallest normal %.9g, smallest %.9g, from 1 to the next %.9g\n\n",
              decode<double>((limits::max)()), decode<double>((limits::min)()), decode<double>(limits::denorm_min()),
              decode<double>(limits::epsilon()));

  for (unsigned code = 0; code < 1u << F::width; ++code) {
    const double value = decode<double>(F::from_bits(static_cast<typename F::storage>(code)));
    std::printf("%0*X %-22.17g%s", (F::width + 3) / 4, code, value, code % 4 == 3 ? "\n" : " ");
  }
}

int main(int count, char** arguments) {
  const struct {
    const char* name;
    void (*print)(const char*);
  } formats[] = {
      {"e4m3", print<e4m3>},         {"e5m2", print<e5m2>},           {"e4m3fnuz", print<e4m3fnuz>},
      {"e5m2fnuz", print<e5m2fnuz>}, {"e4m3ieee", print<e4m3ieee>},   {"e4m3b11fnuz", print<e4m3b11fnuz>},
      {"e3m4", print<e3m4>},         {"binary8p3", print<binary8p3>}, {"binary8p4", print<binary8p4>},
      {"e8m0", print<e8m0>},         {"e2m3", print<e2m3>},           {"e3m2", print<e3m2>},
      {"e2m1", print<e2m1>},         {"half", print<half>},           {"bfloat16", print<bfloat16>},
  };
  const std::string_view wanted = count > 1 ? arguments[1] : "e4m3";
  for (const auto& format : formats) {
    if (wanted == format.name) {
      format.print(format.name);
      return 0;
    }
  }
  std::fprintf(stderr, "no format is named %s; there are:", arguments[1]);
  for (const auto& format : formats) std::fprintf(stderr, " %s", format.name);
  std::fprintf(stderr, "\n");
  return 2;
}
