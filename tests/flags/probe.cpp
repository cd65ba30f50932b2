// SPDX-License-Identifier: MIT

// Prints a hash a case, made with the library as this compiler and these flags build it, in the float environment that
// the one argument names. Built many times over; see CMakeLists.txt.

#include "cases.hpp"

#include <quaver/convert/recode.hpp>
#include <quaver/cpu/amax_n.hpp>
#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/dequantize.hpp>
#include <quaver/cpu/encode_n.hpp>
#include <quaver/cpu/gemm.hpp>
#include <quaver/cpu/quantize.hpp>

#include <cfenv>
#include <cstring>

namespace {

using namespace quaver;

struct library {
  template <class F, rounding R, overflow O>
  static F from_bits(uint32_t x, uint32_t random) {
    return encode_bits<F, R, O>(x, random);
  }
  template <class F, rounding R, overflow O, class T>
  static F from_value(T x) {
    return encode<F, R, O>(x);
  }
  template <class F>
  static uint32_t decode32(F f) {
    return decode_bits(f);
  }
  template <class F>
  static double decode64(F f) {
    return decode<double>(f);
  }
  template <class T, class F>
  static T decode16(F f) {
    return decode<T>(f);
  }
  template <class F, rounding R, overflow O, class T, class Scale>
  static void encode_n(std::span<const T> x, Scale scale, std::span<F> y) {
    require(cpu::encode_n<F, R, O>(x, scale, y, random_words{.seed = 5, .first = 0}));
  }
  template <class F, class T>
  static void decode_n(std::span<const F> x, dequant_scale scale, std::span<T> y) {
    require(cpu::decode_n(x, scale, y));
  }
  static float amax_n(std::span<const float> x) { return cpu::amax_n(x); }
  template <class F>
  static void quantize(matrix_view<const float> x, scaled_matrix<F> out) {
    require(cpu::quantize(x, out));
  }
  template <class F>
  static void dequantize(scaled_matrix<const F> x, matrix_view<float> y) {
    require(cpu::dequantize(x, y));
  }
  template <class Problem>
  static void gemm(const Problem& problem) {
    require(cpu::gemm(problem));
  }

 private:
  static void require(const status& done) {
    if (!done.ok()) std::printf("failed: %s\n", done.message().c_str());
  }
};

/// Puts the float environment of this name in place. False if the machine has none of it.
bool enter(const char* name) {
  if (std::strcmp(name, "as_started") == 0) return true;
  if (std::strcmp(name, "upward") == 0) return std::fesetround(FE_UPWARD) == 0;
  if (std::strcmp(name, "downward") == 0) return std::fesetround(FE_DOWNWARD) == 0;
  if (std::strcmp(name, "toward_zero") == 0) return std::fesetround(FE_TOWARDZERO) == 0;
  if (std::strcmp(name, "daz_ftz") != 0) return false;
#if QUAVER_X86_64
  uint32_t control;
  __asm__ volatile("stmxcsr %0" : "=m"(control));
  control |= 0x8040;  // FTZ, DAZ
  __asm__ volatile("ldmxcsr %0" : : "m"(control));
  return true;
#elif QUAVER_AARCH64
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  control |= uint64_t{1} << 24;  // FZ
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
  return true;
#else
  return false;
#endif
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2 || !enter(arguments[1])) {
    std::fprintf(stderr, "usage: probe as_started|upward|downward|toward_zero|daz_ftz\n");
    return 2;
  }
  quaver_flags::run_all<library>();
  return 0;
}
