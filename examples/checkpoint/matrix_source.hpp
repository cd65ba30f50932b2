// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_MATRIX_SOURCE_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_MATRIX_SOURCE_HPP

#include <quaver/cpu/decode_n.hpp>
#include <quaver/io/tensor_view.hpp>

#include <vector>

namespace checkpoint {

using namespace quaver;

/// The dtypes that are quantised. F64 is left out: no model stores matrices in it, and bulk casts read binary32.
constexpr bool is_float_dtype(io::dtype type) noexcept {
  return type == io::dtype::f32 || type == io::dtype::f16 || type == io::dtype::bf16;
}

template <class T>
result<std::vector<float>> widened(const io::tensor_view& tensor) {
  const result<std::vector<T>> narrow = io::copy_elements<T>(tensor);
  if (!narrow) return narrow.error();
  std::vector<float> wide(narrow->size());
  if (status bad = cpu::decode_n(std::span<const T>(*narrow), std::span<float>(wide)); !bad.ok()) return bad;
  return wide;
}

/// The values as binary32, which holds every F16 and BF16 exactly: one rounding is all that quantising does.
inline result<std::vector<float>> load_floats(const io::tensor_view& tensor) {
  switch (tensor.type) {
    case io::dtype::f16: return widened<half>(tensor);
    case io::dtype::bf16: return widened<bfloat16>(tensor);
    default: return io::copy_elements<float>(tensor);
  }
}

}  // namespace checkpoint

#endif
