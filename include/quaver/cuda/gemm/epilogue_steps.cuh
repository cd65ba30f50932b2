// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_EPILOGUE_STEPS_CUH
#define QUAVER_CUDA_GEMM_EPILOGUE_STEPS_CUH

#include <quaver/cuda/convert.cuh>
#include <quaver/cuda/gemm.cuh>
#include <quaver/cuda/gemm/product_epilogue.cuh>

// Epilogues that are put together from steps. A step is an epilogue itself: it changes the four elements, or says where they
// belong, and the last one stores them. So a user's own stand among these. Each operation is rounded once in binary32 to
// nearest even, subnormals kept, in the order in which the steps stand; NaN may be any NaN until a step stores it or
// activates it.
//
//   using namespace quaver::cuda::epilogues;
//   in_order(plus_bias{bias}, swiglu{}, amax_to{amax}, times{scale}, store<e4m3>{{d, m, n / 2}})

#if !QUAVER_NVRTC

#include <type_traits>

QUAVER_BEGIN_NAMESPACE

namespace cuda::epilogues {

/// Whether a step can read so many values for each batch: there, aligned, not before the first.
inline status check_values(const std::string& name, const float* values, int64_t count, int64_t batch_stride,
                           const product_shape& shape) {
  if (shape.rows == 0 || shape.cols == 0 || shape.batches == 0) return {};
  if (values == nullptr)
    return invalid("epilogue: " + name + " is null, and wants " + std::to_string(count) + " values");
  if (batch_stride < 0)
    return invalid("epilogue: the batches of " + name + " are " + std::to_string(batch_stride) + " apart");
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  return check_pointer(name.c_str(), values, *device);
}

/// The same for a matrix with an element for each of what are then the product's.
template <class T>
status check_elements(const std::string& name, const matrix_view<T>& view, int64_t batch_stride,
                      const product_shape& shape) {
  if (status bad = check_view("epilogue: " + name, view); !bad.ok()) return bad;
  if (view.rows != shape.rows || view.cols != shape.cols) {
    return invalid("epilogue: " + name + " is " + shape_text(view.rows, view.cols) + ", where there are " +
                   shape_text(shape.rows, shape.cols) + " elements");
  }
  if (batch_stride < 0)
    return invalid("epilogue: the batches of " + name + " are " + std::to_string(batch_stride) + " apart");
  if (shape.rows == 0 || shape.cols == 0) return {};
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  return check_pointer(name.c_str(), view.data, *device);
}

/// x * factor: alpha, or what an 8-bit D is scaled by.
struct times {
  float factor = 1.0f;

  __device__ __forceinline__ void operator()(const product_quad& /*at*/, float (&x)[4]) const noexcept {
#pragma unroll
    for (float& value : x) value = multiply(value, factor);
  }
};

/// x * factors[row]; those of batch i begin at i * batch_stride.
struct times_rows {
  const float* factors = nullptr;
  int64_t batch_stride = 0;

  __device__ __forceinline__ void operator()(const product_quad& at, float (&x)[4]) const noexcept {
    const float factor = factors[at.batch * batch_stride + at.row];
#pragma unroll
    for (float& value : x) value = multiply(value, factor);
  }
  [[nodiscard]] status check(const product_shape& shape) const {
    return check_values("times_rows", factors, shape.rows, batch_stride, shape);
  }
};

/// x * factors[col].
struct times_cols {
  const float* factors = nullptr;
  int64_t batch_stride = 0;

  __device__ __forceinline__ void operator()(const product_quad& at, float (&x)[4]) const noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i < at.count) x[i] = multiply(x[i], factors[at.batch * batch_stride + at.col + i]);
    }
  }
  [[nodiscard]] status check(const product_shape& shape) const {
    return check_values("times_cols", factors, shape.cols, batch_stride, shape);
  }
};

/// x + bias[col].
struct plus_bias {
  const float* bias    = nullptr;
  int64_t batch_stride = 0;

  __device__ __forceinline__ void operator()(const product_quad& at, float (&x)[4]) const noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i < at.count) x[i] = add(x[i], bias[at.batch * batch_stride + at.col + i]);
    }
  }
  [[nodiscard]] status check(const product_shape& shape) const {
    return check_values("plus_bias", bias, shape.cols, batch_stride, shape);
  }
};

/// x + beta * c[row][col], c being of floats, bfloat16s or halves. It may be what is stored in the end, element for element.
template <class T>
  requires(same_type<T, float> || same_type<T, half> || same_type<T, bfloat16>)
struct plus_matrix {
  matrix_view<const T> c{};
  float beta           = 1.0f;
  int64_t batch_stride = 0;

  __device__ __forceinline__ void operator()(const product_quad& at, float (&x)[4]) const noexcept {
    const int64_t first = at.batch * batch_stride + at.row * c.row_stride + at.col * c.col_stride;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i < at.count) {
        const float old = read_element(c.data, first + i * c.col_stride, element_kind_of<T>, nullptr);
        x[i]            = add(x[i], multiply(beta, old));
      }
    }
  }
  [[nodiscard]] status check(const product_shape& shape) const {
    return check_elements("plus_matrix", c, batch_stride, shape);
  }
};

/// relu, gelu or silu of x: the bits of every engine.
template <activation Act>
struct activate {
  __device__ __forceinline__ void operator()(const product_quad& /*at*/, float (&x)[4]) const noexcept {
#pragma unroll
    for (float& value : x) {
      value =
          bitwise_cast<float>(activate_bits(Act, canonical_nan(bitwise_cast<uint32_t>(value)), rounded_operations{}));
    }
  }
};

/// SwiGLU of columns that alternate, gate and up: of two neighbours one becomes, silu(x[2 j]) * x[2 j + 1], the bits of
/// cpu::silu_mul. Behind it a product has half its columns, and four elements are two.
struct swiglu {
  __device__ __forceinline__ void operator()(product_quad& at, float (&x)[4]) const noexcept {
    const rounded_operations op;
    x[0] = multiply(bitwise_cast<float>(silu_bits(bitwise_cast<uint32_t>(x[0]), op)), x[1]);
    x[1] = multiply(bitwise_cast<float>(silu_bits(bitwise_cast<uint32_t>(x[2]), op)), x[3]);
    at.col /= 2;
    at.count /= 2;
  }
  [[nodiscard]] status check(product_shape& shape) const {
    if (shape.cols % 2 != 0)
      return invalid("epilogue: swiglu takes pairs of columns, and there are " + std::to_string(shape.cols));
    shape.cols /= 2;
    return {};
  }
};

/// The largest magnitude among all x: of every batch, 0 where there are none, NaN (7FC00000) if any is NaN. Set by each
/// launch, not accumulated.
struct amax_to {
  float* amax      = nullptr;
  uint32_t largest = 0;  ///< not for the caller

  __device__ __forceinline__ void operator()(const product_quad& at, const float (&x)[4]) noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t magnitude = canonical_nan(bitwise_cast<uint32_t>(x[i])) & binary<float>::magnitude_mask;
      largest                  = i < at.count && magnitude > largest ? magnitude : largest;
    }
  }
  __device__ __forceinline__ void end_tile() const noexcept { send_amax(reinterpret_cast<uint32_t*>(amax), largest); }
  [[nodiscard]] status check(const product_shape& /*shape*/) const {
    return check_values("amax_to", amax, 1, 0, {1, 1, 1});
  }
  [[nodiscard]] status begin(cudaStream_t stream) const {
    return from_runtime("epilogue: amax_to", cudaMemsetAsync(amax, 0, sizeof(float), stream));
  }
};

/// Stores x as a T, of whatever layout: rounded to nearest even, 8-bit formats saturating, the others infinite beyond their
/// range; NaN is T's. Fastest where four elements that begin at a column divisible by 4 are one aligned word.
template <gemm_output T>
struct store {
  matrix_view<T> d{};
  int64_t batch_stride = 0;

  __device__ __forceinline__ void operator()(const product_quad& at, const float (&x)[4]) const noexcept {
    using word = std::conditional_t<sizeof(T) == 4, uint32_t, std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>;
    const int64_t first = at.batch * batch_stride + at.row * d.row_stride + at.col * d.col_stride;
    uint32_t bits[finished_at_once];
    if constexpr (eight_bit<T>) {
      const uint32_t codes = encode_xn<T>(x).words[0];
#pragma unroll
      for (int i = 0; i < finished_at_once; ++i) bits[i] = codes >> 8 * i & 0xFF;
    } else {
#pragma unroll
      for (int i = 0; i < finished_at_once; ++i) {
        bits[i] = canonical_nan(bitwise_cast<uint32_t>(x[i]));
        if constexpr (sizeof(T) == 2) bits[i] = narrow(bitwise_cast<float>(bits[i]), same_type<T, half>);
      }
    }
    T* const to      = d.data + first;
    const auto begin = static_cast<uint32_t>(reinterpret_cast<std::uintptr_t>(to));
    if (at.count == 2 && d.col_stride == 1 && begin % (2 * sizeof(T)) == 0) {  // behind swiglu
      if constexpr (sizeof(T) == 4) *reinterpret_cast<uint2*>(to) = make_uint2(bits[0], bits[1]);
      else if constexpr (sizeof(T) == 2) *reinterpret_cast<uint32_t*>(to) = bits[0] | bits[1] << 16;
      else *reinterpret_cast<uint16_t*>(to) = static_cast<uint16_t>(bits[0] | bits[1] << 8);
      return;
    }
    const bool together = at.count == finished_at_once && d.col_stride == 1 && begin % (4 * sizeof(T)) == 0;
    write_elements<word>(d.data, first, d.col_stride, together, at.count, bits);
  }
  [[nodiscard]] status check(const product_shape& shape) const {
    if (status bad = check_elements("store", d, batch_stride, shape); !bad.ok()) return bad;
    gemm_batches by;
    by.count    = shape.batches;
    by.d_stride = batch_stride;
    return check_batches(by, d);
  }
};

template <class Step>
concept begins_launches = requires(const Step& step, cudaStream_t stream) { step.begin(stream); };

/// Steps one after the other; see in_order.
template <class... Steps>
struct steps_in_order {
  __device__ __forceinline__ void operator()(product_quad& /*at*/, float (& /*x*/)[4]) const noexcept {}
  [[nodiscard]] status check(product_shape& /*shape*/) const { return {}; }
};
template <class First, class... Rest>
struct steps_in_order<First, Rest...> {
  First first;
  steps_in_order<Rest...> rest;

  __device__ __forceinline__ void operator()(product_quad& at, float (&x)[4]) noexcept {
    first(at, x);
    rest(at, x);
  }
  __device__ __forceinline__ void end_tile() noexcept {
    end_tile_of(first);
    end_tile_of(rest);
  }
  [[nodiscard]] status check(product_shape& shape) const {
    if constexpr (requires { first.check(shape); }) {
      if (status bad = first.check(shape); !bad.ok()) return bad;
    }
    return rest.check(shape);
  }
  [[nodiscard]] status begin(cudaStream_t stream) const
    requires(begins_launches<First> || (begins_launches<Rest> || ...))
  {
    if constexpr (begins_launches<First>) {
      if (status bad = first.begin(stream); !bad.ok()) return bad;
    }
    if constexpr (begins_launches<steps_in_order<Rest...>>) return rest.begin(stream);
    else return {};
  }
};

/// The epilogue that takes these steps in this order.
constexpr steps_in_order<> in_order() noexcept { return {}; }
template <class First, class... Rest>
constexpr steps_in_order<First, Rest...> in_order(const First& first, const Rest&... rest) noexcept {
  static_assert(passed_to_kernels<First>, "a step must be trivially copyable, and of at most 1024 bytes");
  static_assert(called_with_four_elements<First>, "a step must be callable with (product_quad& at, float (&x)[4])");
  static_assert(has_const_members<First>, "a step's check and begin must be const and return a status");
  return {first, in_order(rest...)};
}

}  // namespace cuda::epilogues

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
