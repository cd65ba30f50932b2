// SPDX-License-Identifier: MIT
#ifndef QUAVER_SCALE_SCALE_HPP
#define QUAVER_SCALE_SCALE_HPP

#include <quaver/scale/binary32.hpp>

QUAVER_BEGIN_NAMESPACE

/// Multiply by this to quantise: code = encode(x * quant). Explicit from float and never made from the other direction,
/// because fl(1 / fl(448 / a)) differs from fl(a / 448) for more than a quarter of all mantissas, and codes differ with
/// it.
class quant_scale {
 public:
  constexpr quant_scale() = default;
  QUAVER_HOST_DEVICE explicit constexpr quant_scale(float factor) noexcept : value_(factor) {}
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr float value() const noexcept { return value_; }

 private:
  float value_ = 1.0f;
};

/// Multiply by this to dequantise: x = decode(code) * dequant. What checkpoints and cuBLASLt store.
class dequant_scale {
 public:
  constexpr dequant_scale() = default;
  QUAVER_HOST_DEVICE explicit constexpr dequant_scale(float factor) noexcept : value_(factor) {}
  [[nodiscard]] QUAVER_HOST_DEVICE constexpr float value() const noexcept { return value_; }

 private:
  float value_ = 1.0f;
};

/// The metadata beside a tensor. The two directions are stored, not derived from one another when they are used; `amax`
/// is what they were made from.
struct tensor_scale {
  quant_scale quant{};
  dequant_scale dequant{};
  float amax = 0.0f;
};

QUAVER_END_NAMESPACE

#endif
