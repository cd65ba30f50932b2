// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_SCALE_VALUES_HPP
#define QUAVER_IO_SCALE_VALUES_HPP

#include <quaver/convert/decode.hpp>
#include <quaver/io/find_scale.hpp>
#include <quaver/scale/binary32.hpp>

#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The elements of a scale tensor as binary32, exactly: every dtype that scales are stored in fits.
inline result<std::vector<float>> scale_elements(const tensor_view& tensor) {
  std::vector<float> numbers;
  const auto read = [&]<class T>(T) {
    const result<std::vector<T>> stored = copy_elements<T>(tensor);
    numbers.reserve(stored->size());
    for (const T& x : *stored) numbers.push_back(decode<float>(x));
  };
  switch (tensor.type) {
    case dtype::f32: return copy_elements<float>(tensor);
    case dtype::f16: read(half()); break;
    case dtype::bf16: read(bfloat16()); break;
    case dtype::f8_e8m0: read(e8m0()); break;
    case dtype::f8_e4m3: read(e4m3()); break;
    case dtype::u8:  // E8M0 codes under the name of bytes
      for (const std::byte b : tensor.data) {
        numbers.push_back(decode<float>(e8m0::from_bits(std::to_integer<uint8_t>(b))));
      }
      break;
    default:
      return status(status_code::invalid_argument,
                    joined("tensor ", in_quotes(tensor.name), " (", dtype_name(tensor.type), ") holds no scales"));
  }
  return numbers;
}

/// The numbers to multiply decoded values by, row-major in found.layout: one for a tensor, one a row, or one a block.
/// NVFP4's two levels become one number, rounded once to nearest. A scale that is negative, infinite or NaN is an
/// error: it stands for "unset" in some systems (-1 in vLLM) and is damage otherwise. So is a divisor of 0.
inline result<std::vector<float>> dequant_multipliers(const found_scale& found) {
  const auto broken = [&](const tensor_view& tensor, size_t at, float number) {
    return status(status_code::corrupt_data, joined(describe(*found.weight), ": element ", at, " of its scale ",
                                                    in_quotes(tensor.name), " is ", std::to_string(number)));
  };
  constexpr uint32_t infinity = 0x7F80'0000;
  const auto usable = [](float number) { return bitwise_cast<uint32_t>(number) < infinity; };  // by bits: -ffast-math

  result<std::vector<float>> numbers = scale_elements(*found.values);
  if (!numbers) return numbers;
  for (size_t i = 0; i < numbers->size(); ++i) {
    if (!usable((*numbers)[i])) return broken(*found.values, i, (*numbers)[i]);
  }
  if (found.global != nullptr) {
    const result<std::vector<float>> global = scale_elements(*found.global);
    if (!global) return global.error();
    const float whole     = global->front();
    const bool is_divisor = found.global_is == stored_scale::divisor;
    if (!usable(whole) || (is_divisor && bitwise_cast<uint32_t>(whole) == 0)) return broken(*found.global, 0, whole);
    for (float& number : *numbers) number = is_divisor ? divide_rn(number, whole) : multiply_rn(number, whole);
  }
  if (found.kind == scale_kind::shards) {
    std::vector<float> rows;
    rows.reserve(static_cast<size_t>(found.rows));
    for (size_t i = 0; i < found.shard_rows.size(); ++i) {
      rows.insert(rows.end(), static_cast<size_t>(found.shard_rows[i]), (*numbers)[i]);
    }
    return rows;
  }
  return numbers;
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
