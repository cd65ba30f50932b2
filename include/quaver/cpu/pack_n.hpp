// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_PACK_N_HPP
#define QUAVER_CPU_PACK_N_HPP

#include <quaver/cpu/array_checks.hpp>
#include <quaver/tensor/matrix_view.hpp>

#include <cstring>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// What pack_n and unpack_n ask of their arrays: half as many pairs as values, no null, no overlap.
template <class Value, class Pair>
status check_pairs(const char* operation, std::span<Value> values, std::span<Pair> pairs) {
  const std::string name  = operation;
  const std::string count = std::to_string(values.size());
  const size_t needed     = values.size() / 2 + values.size() % 2;
  if (pairs.size() != needed) {
    return {status_code::invalid_argument, name + ": " + count + " values take " + std::to_string(needed) +
                                               " pairs, not " + std::to_string(pairs.size())};
  }
  if (!values.empty() && (values.data() == nullptr || pairs.data() == nullptr)) {
    return {status_code::invalid_argument, name + ": the " + (values.data() == nullptr ? "values are" : "pairs are") +
                                               " null with " + count + " values"};
  }
  if (overlaps(values.data(), values.size_bytes(), pairs.data(), pairs.size_bytes())) {
    return {status_code::invalid_argument, name + ": the " + count + " values and their pairs overlap"};
  }
  return {};
}

/// Packs `count` values, whose codes are nibbles; the last high nibble of an odd number is +0.
inline void pack_values(const e2m1* values, e2m1x2* pairs, size_t count) noexcept {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t codes;  // eight, the first in the lowest byte; pairs, then fours, then all of them move together
    std::memcpy(&codes, values + i, 8);
    codes           = (codes | codes >> 4) & 0x00FF'00FF'00FF'00FFu;
    codes           = (codes | codes >> 8) & 0x0000'FFFF'0000'FFFFu;
    const auto four = static_cast<uint32_t>(codes | codes >> 16);
    std::memcpy(static_cast<void*>(pairs + i / 2), &four, 4);
  }
  for (; i + 2 <= count; i += 2) pairs[i / 2] = e2m1x2(values[i], values[i + 1]);
  if (i != count) pairs[i / 2] = e2m1x2(values[i], e2m1::from_bits(0));
}

/// The inverse.
inline void unpack_values(const e2m1x2* pairs, e2m1* values, size_t count) noexcept {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint32_t four;
    std::memcpy(&four, pairs + i / 2, 4);
    uint64_t codes = (four | uint64_t{four} << 16) & 0x0000'FFFF'0000'FFFFu;
    codes          = (codes | codes << 8) & 0x00FF'00FF'00FF'00FFu;
    codes          = (codes | codes << 4) & 0x0F0F'0F0F'0F0F'0F0Fu;
    std::memcpy(static_cast<void*>(values + i), &codes, 8);
  }
  for (; i < count; ++i) values[i] = i % 2 == 0 ? pairs[i / 2].low() : pairs[i / 2].high();
}

/// How many values are packed or unpacked at a time: what stays in the nearest cache beside its source.
inline constexpr int64_t packed_stretch = 1024;

/// Writes the codes of the elements from (row, col) on. A byte is finished by its high nibble: an even element clears that,
/// an odd one leaves the low nibble as it is.
inline void store_pairs(const matrix_view<e2m1x2>& y, int64_t row, int64_t col, const e2m1* codes,
                        size_t count) noexcept {
  e2m1x2* to = &y.pair(row, col);
  if (col % 2 != 0 && count != 0) {
    *to = e2m1x2(to->low(), *codes);
    ++to;
    ++codes;
    --count;
  }
  pack_values(codes, to, count);
}

/// Reads the codes of the elements from (row, col) on.
inline void load_pairs(const matrix_view<const e2m1x2>& x, int64_t row, int64_t col, e2m1* codes,
                       size_t count) noexcept {
  const e2m1x2* from = &x.pair(row, col);
  if (col % 2 != 0 && count != 0) {
    *codes++ = (from++)->high();
    --count;
  }
  unpack_values(from, codes, count);
}

/// Two values a byte, the first in the low nibble; the last high nibble of an odd number is +0. Every code is below 16.
inline status pack_n(std::span<const e2m1> values, std::span<e2m1x2> pairs) {
  if (status bad = check_pairs("pack_n", values, pairs); !bad.ok()) return bad;
  pack_values(values.data(), pairs.data(), values.size());
  return {};
}

/// The inverse of pack_n.
inline status unpack_n(std::span<const e2m1x2> pairs, std::span<e2m1> values) {
  if (status bad = check_pairs("unpack_n", values, pairs); !bad.ok()) return bad;
  unpack_values(pairs.data(), values.data(), values.size());
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
