// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_PACK_N_HPP
#define QUAVER_CPU_PACK_N_HPP

#include <quaver/cpu/array_checks.hpp>
#include <quaver/format/packed.hpp>

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

/// Two values a byte, the first in the low nibble; the last high nibble of an odd number is +0.
inline status pack_n(std::span<const e2m1> values, std::span<e2m1x2> pairs) {
  if (status bad = check_pairs("pack_n", values, pairs); !bad.ok()) return bad;
  for (size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = e2m1x2(values[2 * i], 2 * i + 1 < values.size() ? values[2 * i + 1] : e2m1::from_bits(0));
  }
  return {};
}

/// The inverse of pack_n.
inline status unpack_n(std::span<const e2m1x2> pairs, std::span<e2m1> values) {
  if (status bad = check_pairs("unpack_n", values, pairs); !bad.ok()) return bad;
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? pairs[i / 2].low() : pairs[i / 2].high();
  return {};
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
