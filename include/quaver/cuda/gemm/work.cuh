// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WORK_CUH
#define QUAVER_CUDA_GEMM_WORK_CUH

#include <quaver/convert/elements.hpp>
#include <quaver/problem/gemm_problem.hpp>

// A gemm_problem whose types have become numbers: what the kernels are given, so that one kernel serves all formats.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// What the elements of an operand are. The two formats that everybody has are decoded by arithmetic, the others by a
/// table.
enum class element_kind : uint8_t { e4m3_code, e5m2_code, other_code, bfloat16_value, half_value, binary32_value };

template <class T>
inline constexpr element_kind element_kind_of = same_type<T, e4m3>       ? element_kind::e4m3_code
                                                : same_type<T, e5m2>     ? element_kind::e5m2_code
                                                : same_type<T, bfloat16> ? element_kind::bfloat16_value
                                                : same_type<T, half>     ? element_kind::half_value
                                                : same_type<T, float>    ? element_kind::binary32_value
                                                                         : element_kind::other_code;

/// The 256 codes of a format as bfloat16, which holds each exactly.
struct code_table {
  uint16_t values[256];
};
template <eight_bit F>
constexpr code_table make_code_table() noexcept {
  code_table table{};
  for (uint32_t code = 0; code < 256; ++code)
    table.values[code] = static_cast<uint16_t>(decode_bits(F::from_bits(static_cast<uint8_t>(code))) >> 16);
  return table;
}
template <eight_bit F>
inline constexpr code_table code_table_of = make_code_table<F>();

/// The scales of an operand, without the types of the problem.
struct gemm_scales {
  const void* data         = nullptr;  ///< null: all scales are 1
  const float* tensor_wide = nullptr;
  scale_type type          = scale_type::f32;
  uint32_t block_rows      = 0;
  uint32_t block_cols      = 0;  ///< 0 where no scale changes along K
  scale_places places{};
  int64_t batch_stride = 0;
};

/// A or B: rows x K elements.
struct gemm_operand {
  const void* data     = nullptr;
  int64_t row_stride   = 0;  ///< these in elements
  int64_t col_stride   = 1;
  int64_t batch_stride = 0;
  element_kind kind    = element_kind::e4m3_code;
  bool vectors         = false;  ///< rows are contiguous and begin at multiples of 16 bytes
  gemm_scales scales{};
};

/// C or D.
struct gemm_matrix {
  const void* data     = nullptr;
  int64_t row_stride   = 0;
  int64_t col_stride   = 1;
  int64_t batch_stride = 0;
  bool vectors         = false;  ///< four elements that begin at a column divisible by 4 are one aligned word
};

/// An 8-bit format to encode to, as numbers. The code of a value is found by an addition that rounds; see
/// cuda/encode.cuh.
struct code_format {
  uint32_t dropped         = 0;  ///< mantissa bits of a float that the format has not
  uint32_t smallest        = 0;  ///< its smallest normal number, as bits of a float
  uint32_t largest         = 0;
  uint32_t sign_shift      = 0;  ///< from a float's sign to the code's
  uint32_t nan_code        = 0;
  uint32_t has_signed_zero = 0;
};

struct gemm_work {
  int rows  = 0;  ///< M
  int cols  = 0;  ///< N
  int depth = 0;  ///< K
  gemm_operand a{};
  gemm_operand b{};
  gemm_matrix c{};  ///< data is null where beta is 0
  gemm_matrix d{};
  element_kind d_kind = element_kind::binary32_value;
  activation act      = activation::none;
  bool scales_change  = false;  ///< some scale changes along K; else all scaling waits for the end
  float alpha         = 1;
  float beta          = 0;
  float quant         = 1;
  const float* bias   = nullptr;
  int64_t bias_stride = 0;
  uint32_t* amax      = nullptr;
  code_format d_format{};
  int row_tiles       = 0;
  int col_tiles       = 0;
  int64_t tiles       = 0;   ///< of all batches
  code_table codes[3] = {};  ///< of A, B and C, where they are needed
};

#if !QUAVER_NVRTC

/// True where `data + any multiple of these strides` is a multiple of `bytes`.
template <class T>
bool steps_by(const T* data, int64_t bytes, int64_t row_stride, int64_t batch_stride, int64_t rows, int64_t batches) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(bytes) == 0 &&
         (rows <= 1 || row_stride * size % bytes == 0) && (batches <= 1 || batch_stride * size % bytes == 0);
}

template <class F>
gemm_scales erased_scales(const scaled_matrix<const F>& x, int64_t batch_stride) noexcept {
  gemm_scales scales;
  const scale_layout& layout = x.layout;
  scales.type                = layout.type;
  switch (layout.type) {
    case scale_type::f32: scales.data = x.scales; break;
    case scale_type::mx_e8m0: scales.data = x.scales_e8m0; break;
    case scale_type::nvfp4_e4m3:
      scales.data        = x.scales_e4m3;
      scales.tensor_wide = x.tensor_wide;
      break;
  }
  // Without K there are no scales; a null pointer is allowed for activations that were not quantised.
  if (x.cols() == 0) scales.data = nullptr;
  scales.block_rows   = static_cast<uint32_t>(layout.block_rows);
  scales.block_cols   = layout.block_cols >= x.cols() ? 0 : static_cast<uint32_t>(layout.block_cols);
  scales.places       = layout.places(x.rows(), x.cols());
  scales.batch_stride = batch_stride;
  if (scales.data == nullptr) scales.block_cols = 0;
  return scales;
}

template <class F>
gemm_operand erased(const scaled_matrix<const F>& x, int64_t batch_stride, int64_t scale_batch_stride,
                    int64_t batches) noexcept {
  const matrix_view<const F>& v = x.values;
  const bool contiguous         = v.col_stride == 1 || v.cols <= 1;
  return {.data         = v.data,
          .row_stride   = v.row_stride,
          .col_stride   = v.col_stride,
          .batch_stride = batch_stride,
          .kind         = element_kind_of<F>,
          .vectors      = contiguous && steps_by(v.data, 16, v.row_stride, batch_stride, v.rows, batches),
          .scales       = erased_scales(x, scale_batch_stride)};
}

template <class T>
gemm_matrix erased(const matrix_view<T>& x, int64_t batch_stride, int64_t batches) noexcept {
  const bool contiguous = x.col_stride == 1 || x.cols <= 1;
  return {.data         = x.data,
          .row_stride   = x.row_stride,
          .col_stride   = x.col_stride,
          .batch_stride = batch_stride,
          .vectors = contiguous && steps_by(x.data, 4 * static_cast<int64_t>(sizeof(T)), x.row_stride, batch_stride,
                                            x.rows, batches)};
}

template <eight_bit F>
constexpr code_format code_format_of() noexcept {
  return {.dropped         = 23 - F::mantissa_bits,
          .smallest        = static_cast<uint32_t>(127 + 1 - F::exponent_bias) << 23,
          .largest         = decode_bits((F::max)()),
          .sign_shift      = 32 - F::width,
          .nan_code        = F::nan_code,
          .has_signed_zero = F::has_signed_zero};
}

/// A problem that passed its checks, in tiles of D of tile_rows x tile_cols. Sizes fit an int.
template <class A, class B, class D>
gemm_work erased_work(const gemm_problem<A, B, D>& problem, int tile_rows, int tile_cols) noexcept {
  const gemm_batches& by = problem.batches;
  gemm_work work;
  work.rows          = static_cast<int>(problem.d.rows);
  work.cols          = static_cast<int>(problem.d.cols);
  work.depth         = static_cast<int>(problem.a.cols());
  work.a             = erased(problem.a, by.a_stride, by.a_scale_stride, by.count);
  work.b             = erased(problem.b, by.b_stride, by.b_scale_stride, by.count);
  work.d             = erased(problem.d, by.d_stride, by.count);
  work.d_kind        = element_kind_of<D>;
  work.act           = problem.act;
  work.scales_change = work.a.scales.block_cols != 0 || work.b.scales.block_cols != 0;
  work.alpha         = problem.alpha;
  work.beta          = problem.beta;
  work.quant         = problem.d_scale.value();
  work.bias          = problem.bias;
  work.bias_stride   = by.bias_stride;
  work.amax          = reinterpret_cast<uint32_t*>(problem.d_amax);
  work.row_tiles     = static_cast<int>((problem.d.rows + tile_rows - 1) / tile_rows);
  work.col_tiles     = static_cast<int>((problem.d.cols + tile_cols - 1) / tile_cols);
  work.tiles         = int64_t{work.row_tiles} * work.col_tiles * by.count;
  if (problem.beta != 0.0f) work.c = erased(problem.c, by.c_stride, by.count);
  if constexpr (element_kind_of<A> == element_kind::other_code) work.codes[0] = code_table_of<A>;
  if constexpr (element_kind_of<B> == element_kind::other_code) work.codes[1] = code_table_of<B>;
  if constexpr (eight_bit<D>) {
    work.codes[2] = code_table_of<D>;
    work.d_format = code_format_of<D>();
  }
  return work;
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
