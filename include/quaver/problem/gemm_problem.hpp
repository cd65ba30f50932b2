// SPDX-License-Identifier: MIT
#ifndef QUAVER_PROBLEM_GEMM_PROBLEM_HPP
#define QUAVER_PROBLEM_GEMM_PROBLEM_HPP

#include <quaver/problem/activation.hpp>
#include <quaver/scale/scale.hpp>
#include <quaver/tensor/scaled_matrix.hpp>

QUAVER_BEGIN_NAMESPACE

/// What the left operand of a GEMM may be: an 8-bit format, or activations that were not quantised.
template <class T>
concept gemm_activation = same_type<T, float> || same_type<T, bfloat16> || (eight_bit<T> && signed_format<T>);

/// What becomes of activations that are floats before they are multiplied.
enum class float_activations : uint8_t {
  rounded_to_bfloat16,  ///< to nearest even, infinity beyond the range: matrix units take two bytes, not four
  multiplied_by_fma,    ///< they stay floats, and each product is added unrounded by a fused multiply-add
};

/// How a matrix unit whose own sums have few bits adds up K. The CPU has one stated order, and ignores it.
enum class accumulation : uint8_t {
  strict,  ///< each 128 of K is added into a binary32
  fast,    ///< the unit's own sum over all of K: faster, and on Hopper a term below 2^-14 of the largest is lost
};

/// What the right operand may be: an 8-bit format.
template <class T>
concept gemm_weight = eight_bit<T> && signed_format<T>;

/// What either may be in the hands of a library: those, or two e2m1 a byte. Our own engines refuse that: unpack it.
template <class T>
concept library_activation = gemm_activation<T> || is_pair<T>;
template <class T>
concept library_weight = gemm_weight<T> || is_pair<T>;

/// What a GEMM may write.
template <class T>
concept gemm_output =
    same_type<T, float> || same_type<T, half> || same_type<T, bfloat16> || (eight_bit<T> && signed_format<T>);

/// Several problems of one shape, whose operands lie at even distances: operand of problem i = that of problem 0 + i *
/// stride. Strides are in elements of the array that they step through, and not negative. An input's stride may be 0:
/// then all problems share it. The results must not share an element: D's stride must step over the whole of a D, or
/// all problems must fit between two rows of one D (or two columns), as heads beside each other do.
struct gemm_batches {
  int64_t count          = 1;
  int64_t a_stride       = 0;
  int64_t b_stride       = 0;
  int64_t c_stride       = 0;
  int64_t d_stride       = 0;
  int64_t a_scale_stride = 0;  ///< steps the scales in whatever type they have; tensor_wide is shared
  int64_t b_scale_stride = 0;
  int64_t bias_stride    = 0;
};

/// D = activation(alpha * A * B^T + beta * C + bias), asked of any engine.
///
/// A is M x K, B is N x K (both row-major in the field's "TN" case), D and C are M x N, bias has N elements. `A` is an
/// 8-bit format, bfloat16 or float, `B` an 8-bit format, or they are e2m1x2 where a library takes it; `D` is float, half, bfloat16 or an 8-bit format, and C has D's
/// type. The sizes are those of the views. alpha and beta are host scalars. C may be D itself, batch for batch; nothing
/// else that is read may overlap D, and d_amax may overlap nothing.
template <class A, class B, class D = float>
struct gemm_problem {
  /// Where A is bfloat16 or float the scales may be null, which means 1.
  scaled_matrix<const A> a{};
  scaled_matrix<const B> b{};
  matrix_view<D> d{};
  matrix_view<const D> c{};     ///< read where beta is not 0; 8-bit codes count unscaled (beta carries their scale)
  const float* bias = nullptr;  ///< N values, or null for none
  float alpha       = 1.0f;
  float beta        = 0.0f;
  activation act    = activation::none;
  /// Other A ignore it.
  float_activations a_floats = float_activations::rounded_to_bfloat16;
  /// Engines without 8-bit matrix units ignore it.
  accumulation accumulate = accumulation::strict;
  /// 8-bit D: what values are multiplied by before they are rounded, to nearest even and saturating. Other D ignore it.
  quant_scale d_scale{};
  /// Where not null, one float: the amax of all values of all D before d_scale and rounding; 0 where there are none,
  /// NaN (7FC00000) if any is NaN. Set, not accumulated.
  float* d_amax = nullptr;
  gemm_batches batches{};
};

QUAVER_END_NAMESPACE

#endif
