// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_GEMM_KEY_HPP
#define QUAVER_PROBLEM_GEMM_KEY_HPP

#include <quaver/problem/gemm_problem.hpp>

// A gemm_problem without its template parameters, to be found again by what an engine keeps of it. For host code.
#if !QUAVER_NVRTC

#include <initializer_list>

QUAVER_BEGIN_NAMESPACE

/// Its address tells the formats of a problem from others.
template <class A, class B, class D>
inline constexpr char gemm_formats = 0;

/// All that a problem says. Equal ones are run alike: numbers are compared by their bits, and what no engine reads (C where
/// beta is 0, strides from batch to batch where there is one) is left at nothing.
struct gemm_key {
  struct operand {
    const void* data        = nullptr;
    const void* scales      = nullptr;
    const void* tensor_wide = nullptr;
    int64_t rows            = 0;
    int64_t cols            = 0;
    int64_t row_stride      = 0;
    int64_t col_stride      = 0;
    int64_t batch_stride    = 0;
    int64_t scale_stride    = 0;  ///< from batch to batch
    scale_layout layout{};
    friend bool operator==(const operand&, const operand&) = default;
  };
  struct matrix {
    const void* data                                     = nullptr;
    int64_t rows                                         = 0;
    int64_t cols                                         = 0;
    int64_t row_stride                                   = 0;
    int64_t col_stride                                   = 0;
    int64_t batch_stride                                 = 0;
    friend bool operator==(const matrix&, const matrix&) = default;
  };

  const void* formats = nullptr;
  operand a{};
  operand b{};
  matrix c{};
  matrix d{};
  int64_t batches            = 0;
  const void* bias           = nullptr;
  int64_t bias_stride        = 0;
  const void* d_amax         = nullptr;
  uint32_t alpha             = 0;  ///< these three as bits
  uint32_t beta              = 0;
  uint32_t d_scale           = 0;
  int device                 = 0;
  activation act             = activation::none;
  float_activations a_floats = float_activations::rounded_to_bfloat16;
  accumulation accumulate    = accumulation::strict;

  friend bool operator==(const gemm_key&, const gemm_key&) = default;
};

/// Nothing is checked and nothing dereferenced.
template <class A, class B, class D>
gemm_key gemm_key_of(const gemm_problem<A, B, D>& problem, int device) noexcept {
  const gemm_batches& by = problem.batches;
  const bool several     = by.count > 1;
  const auto operand_of  = [several](const auto& x, int64_t batch_stride, int64_t scale_stride) {
    gemm_key::operand operand;
    operand.data       = x.values.data;
    operand.rows       = x.values.rows;
    operand.cols       = x.values.cols;
    operand.row_stride = x.values.row_stride;
    operand.col_stride = x.values.col_stride;
    operand.layout     = x.layout;
    switch (x.layout.type) {
      case scale_type::f32: operand.scales = x.scales; break;
      case scale_type::mx_e8m0: operand.scales = x.scales_e8m0; break;
      case scale_type::nvfp4_e4m3:
        operand.scales      = x.scales_e4m3;
        operand.tensor_wide = x.tensor_wide;
        break;
    }
    if (several) operand.batch_stride = batch_stride, operand.scale_stride = scale_stride;
    return operand;
  };
  const auto matrix_of = [several](const auto& x, int64_t batch_stride) {
    return gemm_key::matrix{x.data, x.rows, x.cols, x.row_stride, x.col_stride, several ? batch_stride : 0};
  };
  gemm_key key;
  key.formats = &gemm_formats<A, B, D>;
  key.a       = operand_of(problem.a, by.a_stride, by.a_scale_stride);
  key.b       = operand_of(problem.b, by.b_stride, by.b_scale_stride);
  key.d       = matrix_of(problem.d, by.d_stride);
  if (problem.beta != 0.0f) key.c = matrix_of(problem.c, by.c_stride);
  key.batches = by.count;
  key.bias    = problem.bias;
  if (problem.bias != nullptr && several) key.bias_stride = by.bias_stride;
  key.d_amax = problem.d_amax;
  key.alpha  = bitwise_cast<uint32_t>(problem.alpha);
  key.beta   = bitwise_cast<uint32_t>(problem.beta);
  if constexpr (eight_bit<D>) key.d_scale = bitwise_cast<uint32_t>(problem.d_scale.value());
  key.device     = device;
  key.act        = problem.act;
  key.a_floats   = problem.a_floats;
  key.accumulate = problem.accumulate;
  return key;
}

/// What the best way to run a problem depends on: its key with alignments to 16 bytes for addresses, and without numbers.
inline gemm_key gemm_shape_of(gemm_key key) noexcept {
  const auto blur = [](const void*& pointer) {
    if (pointer == nullptr) return;
    pointer = reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(pointer) % 16 + 16);
  };
  const auto blur_all = [&blur](gemm_key::operand& operand) {
    blur(operand.data);
    blur(operand.scales);
    blur(operand.tensor_wide);
  };
  blur_all(key.a);
  blur_all(key.b);
  blur(key.c.data);
  blur(key.d.data);
  blur(key.bias);
  blur(key.d_amax);
  key.alpha = key.d_scale = 0;
  key.beta                = (key.beta & 0x7FFF'FFFFu) != 0 ? 1 : 0;
  return key;
}

/// Of addresses and extents, for hashes that leave the rest to comparison.
inline size_t hash_of(std::initializer_list<const void*> addresses, std::initializer_list<int64_t> extents) noexcept {
  uint64_t hash  = 0;
  const auto add = [&hash](uint64_t word) { hash = (hash ^ word) * 0x9E37'79B9'7F4A'7C15u; };
  for (const void* address : addresses) add(static_cast<uint64_t>(reinterpret_cast<std::uintptr_t>(address)));
  for (const int64_t extent : extents) add(static_cast<uint64_t>(extent));
  return static_cast<size_t>(hash ^ hash >> 32);
}

struct gemm_key_hash {
  size_t operator()(const gemm_key& key) const noexcept {
    return hash_of({key.a.data, key.b.data, key.d.data}, {key.a.rows, key.b.rows, key.a.cols});
  }
};

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
