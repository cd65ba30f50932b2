// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_EPILOGUE_CUH
#define QUAVER_CUDA_GEMM_EPILOGUE_CUH

#include <quaver/cuda/arithmetic.cuh>
#include <quaver/cuda/gemm/work.cuh>
#include <quaver/cuda/ptx/cvt.cuh>

// From the sums of A * B^T to D, in the order that gemm_problem's engines state, each step rounded once to nearest even
// with subnormals kept: sum * alpha; plus beta * C where beta is not 0; plus bias; NaN made 7FC00000; activation; amax;
// for an 8-bit D times its scale; rounding to D's type, 8-bit ones saturating, the others infinite beyond their range.
// The type of D is data here: one kernel serves all, and four columns are finished at a time.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int finished_at_once = 4;

/// Element `at` of a matrix of this kind; `table` is that of its codes.
__device__ __forceinline__ float read_element(const void* data, int64_t at, element_kind kind,
                                              const uint16_t* table) noexcept {
  switch (kind) {
    case element_kind::binary32_value: return static_cast<const float*>(data)[at];
    case element_kind::half_value: return ptx::half_to_float(static_cast<const uint16_t*>(data)[at]);
    case element_kind::bfloat16_value:
      return bitwise_cast<float>(uint32_t{static_cast<const uint16_t*>(data)[at]} << 16);
    default: return bitwise_cast<float>(uint32_t{table[static_cast<const uint8_t*>(data)[at]]} << 16);
  }
}

/// The code of a value whose NaN is 7FC00000: to nearest even, saturating. See encode_by_addition.
__device__ __forceinline__ uint32_t encode_as(uint32_t x, const code_format& format) noexcept {
  constexpr uint32_t infinity = binary<float>::infinity;
  const uint32_t magnitude    = x & binary<float>::magnitude_mask;
  const uint32_t cut          = magnitude < format.largest ? magnitude : format.largest;
  const uint32_t own          = cut & infinity;
  const uint32_t exponent     = own > format.smallest ? own : format.smallest;
  const uint32_t anchor       = exponent + (format.dropped << 23);
  const uint32_t sum          = bitwise_cast<uint32_t>(add(bitwise_cast<float>(cut), bitwise_cast<float>(anchor)));
  const uint32_t code         = sum - anchor + ((exponent - format.smallest) >> format.dropped);
  const uint32_t sign         = (x & binary<float>::sign_mask) >> format.sign_shift;
  const bool signs            = code != 0 || format.has_signed_zero != 0;
  return magnitude > infinity ? format.nan_code : code | (signs ? sign : 0);
}

/// A 16-bit value from a float whose NaN is 7FC00000.
__device__ __forceinline__ uint32_t narrow(float x, bool to_half) noexcept {
  const uint32_t rounded = (to_half ? ptx::floats_to_halves(x, 0.0f) : ptx::floats_to_bfloat16s(x, 0.0f)) & 0xFFFF;
  const bool nan         = bitwise_cast<uint32_t>(x) == binary<float>::nan;
  return !nan ? rounded : to_half ? uint32_t{half::nan_code} : uint32_t{bfloat16::nan_code};
}

/// Writes four elements, or the first `count` of them, side by side in one word where `together`.
template <class Element>
__device__ __forceinline__ void write_elements(void* data, int64_t at, int64_t stride, bool together, int count,
                                               const uint32_t (&bits)[finished_at_once]) noexcept {
  auto* const to = static_cast<Element*>(data) + at;
  if (together) {
    if constexpr (sizeof(Element) == 4) {
      *reinterpret_cast<uint4*>(to) = make_uint4(bits[0], bits[1], bits[2], bits[3]);
    } else if constexpr (sizeof(Element) == 2) {
      *reinterpret_cast<uint2*>(to) = make_uint2(bits[0] | bits[1] << 16, bits[2] | bits[3] << 16);
    } else {
      *reinterpret_cast<uint32_t*>(to) = bits[0] | bits[1] << 8 | bits[2] << 16 | bits[3] << 24;
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < finished_at_once; ++i) {
    if (i < count) to[i * stride] = static_cast<Element>(bits[i]);
  }
}

/// What finish_elements has code for: whoever knows that there is neither beta * C nor an activation needs a third of it.
enum class finishing : uint8_t { all, plain };

__device__ __forceinline__ bool finishes_plainly(const gemm_work& work) noexcept {
  return work.c.data == nullptr && work.act == activation::none;
}

/// The elements of D from (row, col) on, four at most, from their sums. `count` of them lie within D; col is a multiple
/// of 4. Returns the largest magnitude seen, as bits, `largest` being one that was seen before.
template <finishing What = finishing::all>
__device__ __forceinline__ uint32_t finish_elements(const gemm_work& work, const uint16_t* c_table, int64_t batch,
                                                    int row, int col, int count, const float (&sums)[finished_at_once],
                                                    uint32_t largest) noexcept {
  const int64_t d_first = batch * work.d.batch_stride + row * work.d.row_stride + col * work.d.col_stride;
  const int64_t c_first = batch * work.c.batch_stride + row * work.c.row_stride + col * work.c.col_stride;
  const float* bias     = work.bias == nullptr ? nullptr : work.bias + batch * work.bias_stride + col;
  uint32_t bits[finished_at_once];
#pragma unroll
  for (int i = 0; i < finished_at_once; ++i) {
    const bool inside = i < count;
    float value       = multiply(sums[i], work.alpha);
    if (What == finishing::all && work.c.data != nullptr && inside) {
      const float old = read_element(work.c.data, c_first + i * work.c.col_stride, work.d_kind, c_table);
      value           = add(value, multiply(work.beta, old));
    }
    if (bias != nullptr && inside) value = add(value, bias[i]);
    bits[i] = canonical_nan(bitwise_cast<uint32_t>(value));
  }
#pragma unroll
  for (int i = 0; i < finished_at_once; ++i) {
    if constexpr (What == finishing::all) bits[i] = activate_bits(work.act, bits[i], rounded_operations{});
    const uint32_t magnitude = bits[i] & binary<float>::magnitude_mask;
    largest                  = i < count && magnitude > largest ? magnitude : largest;
  }

  const bool together = work.d.vectors && count == finished_at_once;
  void* const d       = const_cast<void*>(work.d.data);
  switch (work.d_kind) {
    case element_kind::binary32_value:
      write_elements<uint32_t>(d, d_first, work.d.col_stride, together, count, bits);
      break;
    case element_kind::half_value:
    case element_kind::bfloat16_value: {
      const bool to_half = work.d_kind == element_kind::half_value;
#pragma unroll
      for (uint32_t& x : bits) x = narrow(bitwise_cast<float>(x), to_half);
      write_elements<uint16_t>(d, d_first, work.d.col_stride, together, count, bits);
      break;
    }
    default: {
#pragma unroll
      for (uint32_t& x : bits)
        x = encode_as(bitwise_cast<uint32_t>(multiply(bitwise_cast<float>(x), work.quant)), work.d_format);
      write_elements<uint8_t>(d, d_first, work.d.col_stride, together, count, bits);
    }
  }
  return largest;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
