// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_PACKED_HPP
#define QUAVER_FORMAT_PACKED_HPP

#include <quaver/format/formats.hpp>

QUAVER_BEGIN_NAMESPACE

/// Two e2m1 values in a byte, the one with the lower index in the low nibble: the layout of __nv_fp4x2_e2m1, of
/// safetensors' F4 and of the MXFP4 and NVFP4 operands of a GEMM.
class e2m1x2 {
 public:
  e2m1x2() = default;
  QUAVER_HOST_DEVICE constexpr e2m1x2(e2m1 low, e2m1 high) noexcept
      : code_(static_cast<uint8_t>(low.bits() | high.bits() << 4)) {}

  QUAVER_HOST_DEVICE static constexpr e2m1x2 from_bits(uint8_t code) noexcept {
    e2m1x2 pair;
    pair.code_ = code;
    return pair;
  }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr uint8_t bits() const noexcept { return code_; }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr e2m1 low() const noexcept { return e2m1::from_bits(code_ & 0x0F); }
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr e2m1 high() const noexcept { return e2m1::from_bits(code_ >> 4); }

 private:
  uint8_t code_;
};
static_assert(sizeof(e2m1x2) == 1);

/// What stands in a byte: the code of one value, or of two.
template <class F>
concept code_byte = eight_bit<F> || same_type<F, e2m1x2>;

/// The format of the values: e2m1 of e2m1x2, else F itself.
template <class F>
struct value_format {
  using type = F;
};
template <>
struct value_format<e2m1x2> {
  using type = e2m1;
};
template <class F>
using format_of = typename value_format<F>::type;
template <class F>
inline constexpr bool is_pair = same_type<F, e2m1x2>;

static_assert(e2m1x2(e2m1::from_bits(0x2), e2m1::from_bits(0xF)).bits() == 0xF2);

QUAVER_END_NAMESPACE

#endif
