// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_CUBLASLT_REQUEST_HPP
#define QUAVER_ADAPTERS_CUBLASLT_REQUEST_HPP

// A gemm_problem without its template parameters, as the adapter to cuBLASLt checks, compares and keeps it.

#include <quaver/problem/gemm_key.hpp>

#include <cublasLt.h>

QUAVER_BEGIN_NAMESPACE

/// The library's number for an element type, or none.
inline constexpr int no_cublaslt_type = -1;
template <class T>
constexpr int cublaslt_type() noexcept {
  if constexpr (same_type<T, e4m3>) return CUDA_R_8F_E4M3;
  else if constexpr (same_type<T, e5m2>) return CUDA_R_8F_E5M2;
  else if constexpr (same_type<T, e2m1x2>) return CUDA_R_4F_E2M1;
  else if constexpr (same_type<T, float>) return CUDA_R_32F;
  else if constexpr (same_type<T, half>) return CUDA_R_16F;
  else if constexpr (same_type<T, bfloat16>) return CUDA_R_16BF;
  else return no_cublaslt_type;
}

/// The bytes that so many elements of A or B take: an even number of them where two stand in a byte.
constexpr int64_t cublaslt_operand_bytes(int type, int64_t elements) noexcept {
  return type == CUDA_R_4F_E2M1 ? elements / 2 : elements;
}

/// Bytes of an element of D or C of a type that the library has.
constexpr int64_t cublaslt_bytes(int type) noexcept {
  return type == CUDA_R_32F ? 4 : type == CUDA_R_16F || type == CUDA_R_16BF ? 2 : 1;
}

inline const char* cublaslt_type_name(int type) noexcept {
  switch (type) {
    case CUDA_R_8F_E4M3: return "e4m3";
    case CUDA_R_8F_E5M2: return "e5m2";
    case CUDA_R_4F_E2M1: return "e2m1x2";
    case CUDA_R_32F: return "float";
    case CUDA_R_16F: return "half";
    case CUDA_R_16BF: return "bfloat16";
    default: return "another format";
  }
}

/// An operand whose type has become a number. Strides count values, two in a byte where the library has it so.
struct cublaslt_operand {
  int type             = no_cublaslt_type;
  const void* data     = nullptr;
  int64_t rows         = 0;
  int64_t row_stride   = 0;
  int64_t col_stride   = 1;
  int64_t batch_stride = 0;
  scale_layout layout{};
  const void* scales       = nullptr;
  int64_t scale_stride     = 0;        ///< from batch to batch
  const float* tensor_wide = nullptr;  ///< above NVFP4's

  /// Bytes from batch to batch.
  [[nodiscard]] int64_t batch_bytes() const noexcept { return cublaslt_operand_bytes(type, batch_stride); }
  [[nodiscard]] int64_t scale_batch_bytes() const noexcept {
    return scale_stride * (layout.type == scale_type::f32 ? 4 : 1);
  }
  friend bool operator==(const cublaslt_operand&, const cublaslt_operand&) = default;
};

/// A gemm_problem whose types have become numbers. Equal ones are run alike.
struct cublaslt_request {
  cublaslt_operand a{};
  cublaslt_operand b{};
  int64_t k               = 0;
  int device              = 0;
  int d_type              = no_cublaslt_type;
  void* d                 = nullptr;
  int64_t d_row_stride    = 0;
  int64_t d_col_stride    = 1;
  int64_t d_batch_stride  = 0;
  const void* c           = nullptr;  ///< null where beta is 0
  int64_t c_row_stride    = 0;
  int64_t c_col_stride    = 1;
  int64_t c_batch_stride  = 0;
  int64_t batches         = 1;
  const float* bias       = nullptr;
  float* d_amax           = nullptr;
  float alpha             = 1.0f;
  float beta              = 0.0f;
  float d_scale           = 1.0f;     ///< 1 where D is no 8-bit format
  const float* d_scale_at = nullptr;  ///< where D's scale stands already; d_scale is 1 then
  activation act          = activation::none;
  accumulation accumulate{};

  [[nodiscard]] int64_t m() const noexcept { return a.rows; }
  [[nodiscard]] int64_t n() const noexcept { return b.rows; }
  friend bool operator==(const cublaslt_request&, const cublaslt_request&) = default;
};

template <class F>
cublaslt_operand cublaslt_operand_of(const scaled_matrix<const F>& x, int64_t batch_stride,
                                     int64_t scale_stride) noexcept {
  cublaslt_operand operand;
  operand.type          = cublaslt_type<F>();
  operand.data          = x.values.data;
  operand.rows          = x.values.rows;
  constexpr int in_byte = is_pair<F> ? 2 : 1;
  // Of one row the stride says nothing.
  operand.row_stride   = x.values.rows <= 1 ? x.values.cols : x.values.row_stride * in_byte;
  operand.col_stride   = x.values.col_stride;
  operand.batch_stride = batch_stride * in_byte;
  operand.layout       = x.layout;
  operand.scale_stride = scale_stride;
  switch (x.layout.type) {
    case scale_type::f32: operand.scales = x.scales; break;
    case scale_type::mx_e8m0: operand.scales = x.scales_e8m0; break;
    case scale_type::nvfp4_e4m3:
      operand.scales      = x.scales_e4m3;
      operand.tensor_wide = x.tensor_wide;
      break;
  }
  return operand;
}

/// What the library takes and a gemm_problem does not say.
struct cublaslt_options {
  /// Device memory, at a multiple of 16 bytes, where the scale of 8-bit D stands when the work is done; problem.d_scale
  /// does not count then. Saves a launch.
  const float* d_scale = nullptr;
};

/// The problem as numbers. Nothing is checked and nothing dereferenced.
template <class A, class B, class D>
cublaslt_request cublaslt_request_of(const gemm_problem<A, B, D>& problem, int device,
                                     const cublaslt_options& options = {}) noexcept {
  constexpr auto line    = static_cast<int64_t>(16 / sizeof(D));
  const gemm_batches& by = problem.batches;
  const int64_t row      = (problem.d.cols + line - 1) / line * line;
  const auto stride_of   = [row](const auto& view) { return view.rows <= 1 ? row : view.row_stride; };
  const bool several     = by.count > 1;
  cublaslt_request request;
  request.a              = cublaslt_operand_of(problem.a, several ? by.a_stride : 0, several ? by.a_scale_stride : 0);
  request.b              = cublaslt_operand_of(problem.b, several ? by.b_stride : 0, several ? by.b_scale_stride : 0);
  request.k              = problem.a.values.cols;
  request.device         = device;
  request.d_type         = cublaslt_type<D>();
  request.d              = problem.d.data;
  request.d_row_stride   = stride_of(problem.d);
  request.d_col_stride   = problem.d.col_stride;
  request.d_batch_stride = several ? by.d_stride : 0;
  if (problem.beta != 0.0f) {
    request.c              = problem.c.data;
    request.c_row_stride   = stride_of(problem.c);
    request.c_col_stride   = problem.c.col_stride;
    request.c_batch_stride = several ? by.c_stride : 0;
  }
  request.batches = by.count;
  request.bias    = problem.bias;
  request.d_amax  = problem.d_amax;
  request.alpha   = problem.alpha;
  request.beta    = problem.beta;
  if constexpr (eight_bit<D>) {
    request.d_scale_at = options.d_scale;
    request.d_scale    = options.d_scale != nullptr ? 1.0f : problem.d_scale.value();
  }
  request.act        = problem.act;
  request.accumulate = problem.accumulate;
  return request;
}

struct cublaslt_request_hash {
  size_t operator()(const cublaslt_request& request) const noexcept {
    return hash_of({request.a.data, request.b.data, request.d}, {request.m(), request.n(), request.k});
  }
};

QUAVER_END_NAMESPACE

#endif
