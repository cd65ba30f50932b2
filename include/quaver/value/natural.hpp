// SPDX-License-Identifier: MIT
#ifndef QUAVER_VALUE_NATURAL_HPP
#define QUAVER_VALUE_NATURAL_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

/// A whole number of up to 768 bits, for exact conversion between binary and decimal: the little that text needs, in
/// constant expressions too. The caller keeps within the capacity; value/decimal.hpp says why it does.
class natural {
 public:
  static constexpr int capacity = 24;

  constexpr natural() noexcept = default;
  explicit constexpr natural(uint64_t x) noexcept
      : limb_{static_cast<uint32_t>(x), static_cast<uint32_t>(x >> 32)}, size_(2) {
    trim();
  }

  [[nodiscard]] constexpr bool zero() const noexcept { return size_ == 0; }

  /// The position of the highest set bit, counted from 1; 0 for 0.
  [[nodiscard]] constexpr int bit_length() const noexcept {
    return zero() ? 0 : 32 * size_ + 32 - leading_zeros(limb_[size_ - 1]);
  }

  /// *this = *this * factor + addend.
  constexpr void multiply_add(uint32_t factor, uint32_t addend) noexcept {
    uint64_t carry = addend;
    for (int i = 0; i < size_; ++i) {
      carry += uint64_t{limb_[i]} * factor;
      limb_[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) limb_[size_++] = static_cast<uint32_t>(carry);
  }

  constexpr void multiply_by_power(uint32_t base, int exponent) noexcept {
    while (exponent > 0) {
      uint64_t factor = 1;  // as many at a time as a limb holds
      for (; exponent > 0 && factor * base <= 0xFFFF'FFFFu; --exponent) factor *= base;
      multiply_add(static_cast<uint32_t>(factor), 0);
    }
  }

  /// Divides by `divisor` and returns the remainder.
  constexpr uint32_t divide(uint32_t divisor) noexcept {
    uint64_t remainder = 0;
    for (int i = size_ - 1; i >= 0; --i) {
      remainder = remainder << 32 | limb_[i];
      limb_[i]  = static_cast<uint32_t>(remainder / divisor);
      remainder %= divisor;
    }
    trim();
    return static_cast<uint32_t>(remainder);
  }

  /// The lowest 64 bits.
  explicit constexpr operator uint64_t() const noexcept { return uint64_t{limb_[1]} << 32 | limb_[0]; }

  constexpr natural& operator<<=(int count) noexcept {
    if (zero() || count == 0) return *this;
    const int limbs = count / 32;
    const int bits  = count % 32;
    for (int i = size_ + limbs; i >= limbs; --i) {
      const uint64_t high = i - limbs < size_ ? limb_[i - limbs] : 0;
      const uint64_t low  = i > limbs ? limb_[i - limbs - 1] : 0;
      limb_[i]            = static_cast<uint32_t>((high << 32 | low) << bits >> 32);
    }
    for (int i = 0; i < limbs; ++i) limb_[i] = 0;
    size_ += limbs + 1;
    trim();
    return *this;
  }

  /// `other` is not the larger one.
  constexpr natural& operator-=(const natural& other) noexcept {
    uint64_t borrow = 0;
    for (int i = 0; i < size_; ++i) {
      const uint64_t difference = uint64_t{limb_[i]} - (i < other.size_ ? other.limb_[i] : 0) - borrow;
      limb_[i]                  = static_cast<uint32_t>(difference);
      borrow                    = difference >> 63;
    }
    trim();
    return *this;
  }

  friend constexpr bool operator<(const natural& a, const natural& b) noexcept {
    if (a.size_ != b.size_) return a.size_ < b.size_;
    for (int i = a.size_ - 1; i >= 0; --i) {
      if (a.limb_[i] != b.limb_[i]) return a.limb_[i] < b.limb_[i];
    }
    return false;
  }

 private:
  constexpr void trim() noexcept {
    while (size_ > 0 && limb_[size_ - 1] == 0) --size_;
  }

  uint32_t limb_[capacity] = {};  // the lowest first; the highest in use is not 0
  int size_                = 0;
};

QUAVER_END_NAMESPACE

#endif
