// SPDX-License-Identifier: MIT
//
// The numbers that introductions to FP8 like to show, worked out here. The exit code says whether they came out.

#include <quaver/quaver.hpp>

#include <cstdio>

using namespace quaver;

/// Shows what a format makes of x, and whether that is the value of the introductions.
template <class F>
bool show(double x, const char* format, double expected) {
  const F rounded    = encode<F>(x);
  const double value = decode<double>(rounded);
  const bool right   = value == expected;
  std::printf("%-7g %-5s %4.*X  %-14.12g error %+7.2f %%%s\n", x, format, (F::width + 3) / 4, unsigned{rounded.bits()},
              value, 100 * (value - x) / x, right ? "" : "  WRONG");
  return right;
}

int main() {
  bool right = true;
  right &= show<half>(0.3952, "FP16", 0.395263671875);
  right &= show<bfloat16>(0.3952, "BF16", 0.39453125);
  right &= show<e4m3>(0.3952, "E4M3", 0.40625);
  right &= show<e5m2>(0.3952, "E5M2", 0.375);
  right &= show<e4m3>(4.543, "E4M3", 4.5);
  right &= show<e5m2>(4.543, "E5M2", 5);

  // Too large: the cast saturates, unless it is told not to.
  right &= show<e4m3>(1000, "E4M3", 448);
  right &= isnan(encode<e4m3, rounding::nearest_even, overflow::nonfinite>(1000.0));
  right &= isinf(encode<e5m2, rounding::nearest_even, overflow::nonfinite>(100000.0));

  // The same as literals, and known to the compiler.
  static_assert(0.3952_e4m3 == 0.40625_e4m3 && 4.543_e5m2 == 5_e5m2);
  return right ? 0 : 1;
}
