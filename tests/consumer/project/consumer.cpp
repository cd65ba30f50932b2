// SPDX-License-Identifier: MIT
//
// The spellings that users rely on. When this file has to change, so have they.

#include <quaver/quaver.hpp>

#include <cstdio>
#include <span>
#include <type_traits>
#include <vector>

using namespace quaver;

static_assert(encode<e4m3>(464.0f) == e4m3::max());  // ties to even, saturates
static_assert(encode<e4m3, rounding::nearest_even, overflow::nonfinite>(464.1f).bits() == 0x7F);
static_assert(encode<e5m2, rounding::toward_zero>(-0.3952) == e5m2::from_bits(0xB6));  // from double
static_assert(decode<float>(e4m3::from_bits(0x01)) == 0x1p-9f);

static_assert(std::is_constructible_v<quant_scale, float> && !std::is_convertible_v<float, quant_scale>);
static_assert(std::is_constructible_v<dequant_scale, float> && !std::is_convertible_v<float, dequant_scale>);

unsigned second_file(float x);

int main() {
  const std::vector<float> x = {0.0f, -1.5f, 3.0f, 224.0f};
  std::vector<e4m3> y(x.size());
  std::vector<float> z(x.size());

  tensor_scale s = current_scale<e4m3>(cpu::amax_n(std::span<const float>(x)));  // s.quant, s.dequant, s.amax
  status a       = cpu::encode_n<e4m3>(std::span<const float>(x), s.quant, std::span<e4m3>(y));  // a.ok(), a.message()
  status b       = cpu::decode_n(std::span<const e4m3>(y), s.dequant, std::span<float>(z));
  quant_scale q{37.0f};
  dequant_scale d{0.5f};
  if (!a.ok() || !b.ok()) {
    std::printf("%s %s\n", a.message().c_str(), b.message().c_str());
    return 1;
  }

  // amax 224 is scaled by exactly 2, and each x is then a value of e4m3.
  const bool equal  = z == x && s.amax == 224.0f;
  const bool scaled = cpu::encode_n<e4m3>(std::span<const float>(x), q, std::span<e4m3>(y)).ok() &&
                      y[1] == encode<e4m3>(-1.5f * 37.0f) &&
                      cpu::decode_n(std::span<const e4m3>(y), d, std::span<float>(z)).ok() &&
                      z[1] == decode<float>(y[1]) * 0.5f;
  const bool same = second_file(464.0f) == 0x7E;
  std::printf("%d %d %d\n", equal, scaled, same);
  return equal && scaled && same ? 0 : 1;
}
