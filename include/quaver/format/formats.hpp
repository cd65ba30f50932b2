// SPDX-License-Identifier: MIT
#ifndef QUAVER_FORMAT_FORMATS_HPP
#define QUAVER_FORMAT_FORMATS_HPP

#include <quaver/format/e8m0.hpp>
#include <quaver/format/minifloat.hpp>

QUAVER_BEGIN_NAMESPACE

// OCP 8-bit Floating Point Specification (OFP8) 1.0, 2023: the two formats of FP8 training and inference.
using e4m3 = minifloat<4, 3, specials::nan_only>;  ///< max 448, smallest 2^-9, NaN 7F and FF, no infinity
using e5m2 = minifloat<5, 2>;                      ///< max 57344, smallest 2^-16, infinities 7C and FC

// Graphcore, AMD and Google: one NaN at 80, no -0, no infinity.
using e4m3fnuz    = minifloat<4, 3, specials::fnuz>;      ///< bias 8: max 240, smallest 2^-10
using e5m2fnuz    = minifloat<5, 2, specials::fnuz>;      ///< bias 16: max 57344, smallest 2^-17
using e4m3b11fnuz = minifloat<4, 3, specials::fnuz, 11>;  ///< bias 11: max 30, smallest 2^-13

// IEEE 754 rules at eight bits.
using e4m3ieee = minifloat<4, 3>;  ///< max 240, smallest 2^-9
using e3m4     = minifloat<3, 4>;  ///< max 15.5, smallest 2^-6

// IEEE working group P3109, interim report: Binary8p3se and Binary8p4se, signed, of the extended domain (with
// infinities). As gfloat 0.5.2 has them (p3109_k8p3se, p3109_k8p4se).
using binary8p3 = minifloat<5, 2, specials::p3109>;  ///< bias 16: max 49152, smallest 2^-17
using binary8p4 = minifloat<4, 3, specials::p3109>;  ///< bias 8: max 224, smallest 2^-10

// OCP Microscaling Formats (MX) 1.0, 2023: every code is finite; the value stands in the low bits of a byte.
using e2m3 = minifloat<2, 3, specials::none>;  ///< max 7.5, smallest 2^-3
using e3m2 = minifloat<3, 2, specials::none>;  ///< max 28, smallest 2^-4
using e2m1 = minifloat<2, 1, specials::none>;  ///< 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives

// The two 16-bit formats, bit-compatible with _Float16, __half and std::float16_t, and with __nv_bfloat16.
using half     = minifloat<5, 10>;
using bfloat16 = minifloat<8, 7>;

/// binary32 as a format: what scale arithmetic in integers rounds to. For values use float.
using binary32 = minifloat<8, 23>;

static_assert((e4m3::max)().bits() == 0x7E && e4m3::nan().bits() == 0x7F && e4m3::exponent_bias == 7);
static_assert((e5m2::max)().bits() == 0x7B && e5m2::nan().bits() == 0x7F && e5m2::infinity_magnitude == 0x7C);
static_assert((e4m3fnuz::max)().bits() == 0x7F && e4m3fnuz::nan().bits() == 0x80 && e4m3fnuz::exponent_bias == 8);
static_assert((binary8p3::max)().bits() == 0x7E && binary8p3::infinity_magnitude == 0x7F &&
              binary8p3::exponent_bias == 16);
static_assert((e2m1::max)().bits() == 0x07 && e2m1::nan() == (e2m1::max)() && e2m1::lowest().bits() == 0x0F);
static_assert(half::nan().bits() == 0x7E00 && bfloat16::nan().bits() == 0x7FC0 && (bfloat16::max)().bits() == 0x7F7F);
static_assert(sizeof(e4m3) == 1 && sizeof(half) == 2 && sizeof(bfloat16) == 2);

/// Any format with a sign, an exponent and a mantissa.
template <class F>
concept signed_format = is_minifloat<F>;

/// Any format at all: a signed one, or the scale format e8m0.
template <class F>
concept any_format = is_format<F>;

/// The formats that take a byte a value: all but half, bfloat16 and binary32.
template <class F>
concept eight_bit = any_format<F> && sizeof(F) == 1;

QUAVER_END_NAMESPACE

#endif
