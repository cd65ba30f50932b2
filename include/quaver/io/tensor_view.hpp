// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_TENSOR_VIEW_HPP
#define QUAVER_IO_TENSOR_VIEW_HPP

#include <quaver/base/status.hpp>
#include <quaver/io/dtype.hpp>
#include <quaver/io/message.hpp>

#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// What a file says of a tensor besides its bytes. C order: the last axis is contiguous.
struct tensor_info {
  std::string name;
  dtype type = dtype::u8;
  std::vector<uint64_t> shape;
};

/// A tensor whose bytes lie elsewhere: in a mapped file that must outlive the view, or in the caller's memory.
struct tensor_view : tensor_info {
  std::span<const std::byte> data;
};

/// "tensor "x" (F8_E4M3 [4096, 4096])", as messages call it.
inline std::string describe(const tensor_info& tensor) {
  return joined("tensor ", in_quotes(tensor.name), " (", dtype_name(tensor.type), " ", shape_text(tensor.shape), ")");
}

/// The free text of a file, the header's "__metadata__".
using metadata_map = std::map<std::string, std::string>;

/// Elements of a tensor of that shape; 1 for a scalar. Multiplied from left to right, so that [2^40, 2^40, 0] overflows
/// and [0, 2^40, 2^40] is empty: the reference implementation's reading.
inline result<uint64_t> element_count(const tensor_info& tensor) {
  uint64_t count = 1;
  for (const uint64_t extent : tensor.shape) {
    if (!multiply_checked(count, extent, count)) {
      return status(status_code::corrupt_data, joined("tensor ", in_quotes(tensor.name), ": the product of its shape ",
                                                      shape_text(tensor.shape), " overflows 64 bits"));
    }
  }
  return count;
}

/// Bytes that a tensor takes in a file. F4 and F6 tensors must come to whole bytes: nothing is padded.
inline result<uint64_t> byte_count(const tensor_info& tensor) {
  result<uint64_t> elements = element_count(tensor);
  if (!elements) return elements;
  uint64_t bits = 0;
  if (!multiply_checked(*elements, bits_per_element(tensor.type), bits)) {
    return status(status_code::corrupt_data, joined("tensor ", in_quotes(tensor.name), ": ", *elements, " elements of ",
                                                    dtype_name(tensor.type), " overflow 64 bits of size"));
  }
  if (bits % 8 != 0) {
    return status(status_code::corrupt_data,
                  joined("tensor ", in_quotes(tensor.name), ": ", *elements, " elements of ", dtype_name(tensor.type),
                         " are ", bits, " bits, not a whole number of bytes"));
  }
  return bits / 8;
}

/// The tensor's values without a copy. Fails if the dtype is another one, or if the file put the bytes at an address
/// that `T` may not have (the format does not promise alignment; the usual writers keep it): then copy_elements works.
template <file_element T>
result<std::span<const T>> elements(const tensor_view& tensor) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (tensor.type != dtype_of<T>) {
    return status(status_code::invalid_argument, joined("tensor ", in_quotes(tensor.name), " is ",
                                                        dtype_name(tensor.type), ", not ", dtype_name(dtype_of<T>)));
  }
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data.data());
  if (address % alignof(T) != 0) {
    return status(status_code::unsupported, joined("tensor ", in_quotes(tensor.name), " lies ", address % alignof(T),
                                                   " bytes off the ", alignof(T), "-byte alignment of its elements"));
  }
  return std::span<const T>(reinterpret_cast<const T*>(tensor.data.data()), tensor.data.size() / sizeof(T));
}

/// The tensor's values in a vector of their own; any alignment.
template <file_element T>
result<std::vector<T>> copy_elements(const tensor_view& tensor) {
  if (tensor.type != dtype_of<T>) {
    return status(status_code::invalid_argument, joined("tensor ", in_quotes(tensor.name), " is ",
                                                        dtype_name(tensor.type), ", not ", dtype_name(dtype_of<T>)));
  }
  std::vector<T> values(tensor.data.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(T));
  return values;
}

/// A view of the caller's values, for a writer.
template <file_element T>
tensor_view view_of(std::string name, std::vector<uint64_t> shape, std::span<const T> values) {
  return {{std::move(name), dtype_of<T>, std::move(shape)}, std::as_bytes(values)};
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
