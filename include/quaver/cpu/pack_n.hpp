// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_PACK_N_HPP
#define QUAVER_CPU_PACK_N_HPP

#include <quaver/cpu/array_checks.hpp>
#include <quaver/format/packed.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// How many pairs hold this many values, and whether a status must say that they do not.
inline status check_pairs(const char* operation, size_t values, size_t pairs) {
  if ((values + 1) / 2 == pairs) return {};
  return {status_code::invalid_argument, std::string(operation) + ": " + std::to_string(values) + " values take " +
                                             std::to_string((values + 1) / 2) + " pairs, not " + std::to_string(pairs)};
}

/// Two values a byte, the first in the low nibble; the last high nibble of an odd number is +0.
inline status pack_n(std::span<const e2m1> values, std::span<e2m1x2> pairs) {
  if (status bad = check_pairs("pack_n", values.size(), pairs.size()); !bad.ok()) return bad;
  if (overlaps(values.data(), values.size_bytes(), pairs.data(), pairs.size_bytes())) {
    return {status_code::invalid_argument, "pack_n: the " + std::to_string(values.size()) + " values and their pairs overlap"};
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = e2m1x2(values[2 * i], 2 * i + 1 < values.size() ? values[2 * i + 1] : e2m1::from_bits(0));
  }
  return {};
}

/// The inverse of pack_n.
inline status unpack_n(std::span<const e2m1x2> pairs, std::span<e2m1> values) {
  if (status bad = check_pairs("unpack_n", values.size(), pairs.size()); !bad.ok()) return bad;
  if (overlaps(values.data(), values.size_bytes(), pairs.data(), pairs.size_bytes())) {
    return {status_code::invalid_argument, "unpack_n: the " + std::to_string(values.size()) + " values and their pairs overlap"};
  }
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? pairs[i / 2].low() : pairs[i / 2].high();
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
