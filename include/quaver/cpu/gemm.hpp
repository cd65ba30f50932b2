// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_GEMM_HPP
#define QUAVER_CPU_GEMM_HPP

#include <quaver/cpu/encode_n.hpp>
#include <quaver/cpu/features.hpp>
#include <quaver/cpu/gemm_driver.hpp>
#include <quaver/cpu/isa/avx2/gemm.hpp>
#include <quaver/cpu/isa/avx512/gemm.hpp>
#include <quaver/cpu/isa/neon/gemm.hpp>
#include <quaver/cpu/isa/portable/gemm.hpp>
#include <quaver/cpu/packed_weight.hpp>
#include <quaver/problem/gemm_checks.hpp>

#include <span>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Why gemm cannot run this problem, or ok.
template <gemm_activation A, gemm_weight B, gemm_output D>
status can_run(const gemm_problem<A, B, D>& problem) {
  return check_gemm(problem);
}

/// How to run a GEMM. Nothing here changes a bit of D.
struct gemm_options {
  executor threads{};  ///< the caller's; by default the calling thread alone
  /// Memory to work in, of any alignment and gemm_workspace() bytes or more; it may overlap nothing of the problem.
  /// When empty, gemm allocates and frees that much itself, and fails where it cannot.
  std::span<std::byte> workspace{};
  /// Which instructions to use. can_run(tier) must hold.
  cpu::tier tier = active_tier();
  /// In the tier avx512, which of its two multipliers; those of binary32 have but one.
  gemm_sums sums = gemm_sums::fastest;
};

/// The kernels that the options ask for, for this A.
template <class Lazy = void>
const gemm_kernels& gemm_kernels_of(const gemm_options& options, const gemm_operand& a) noexcept {
#if QUAVER_X86_64
  if (options.tier == tier::avx512) {
    gemm_sums sums = options.sums;
    // With few rows decoding takes longer than summing, and pairs need less of it.
    if (sums == gemm_sums::fastest) sums = a.rows <= avx512::few_rows ? gemm_sums::dot_products : fastest_gemm_sums();
    const bool pairs = sums == gemm_sums::dot_products && a.kind != element_kind::whole_binary32;
    return pairs ? avx512::dot_product_functions<Lazy> : avx512::multiply_add_functions<Lazy>;
  }
  if (options.tier == tier::avx2) return avx2::gemm_functions<Lazy>;
#elif QUAVER_AARCH64
  if (options.tier == tier::neon) return neon::gemm_functions<Lazy>;
#endif
  static_cast<void>(options);
  static_cast<void>(a);
  return portable::gemm_functions<Lazy>;
}

/// A matrix of codes, bfloat16 or float as the kernels see it.
template <class F>
gemm_operand erased(const scaled_matrix<const F>& x) noexcept {
  gemm_operand operand;
  operand.data       = x.values.data;
  operand.rows       = x.values.rows;
  operand.cols       = x.values.cols;
  operand.row_stride = x.values.row_stride;
  operand.col_stride = x.values.col_stride;
  operand.kind       = same_type<F, float>      ? element_kind::binary32
                       : same_type<F, bfloat16> ? element_kind::bfloat16
                                                : element_kind::code;
  if constexpr (eight_bit<F>) {
    operand.table  = &bfloat16_table_of<F>;
    operand.floats = decode_table_of<F>.bits;
  }
  operand.layout = x.layout;
  // Only the pointers that the layout asks for.
  switch (x.layout.type) {
    case scale_type::f32: operand.scales = x.scales; break;
    case scale_type::mx_e8m0: operand.scales_e8m0 = x.scales_e8m0; break;
    case scale_type::nvfp4_e4m3:
      operand.scales_e4m3 = x.scales_e4m3;
      operand.tensor_wide = x.tensor_wide;
      break;
  }
  if (is_unscaled(x)) operand.layout = {};
  return operand;
}

/// Rounds values, whose NaNs are canonical, to D's type, with the instructions of a tier. They may be read up to the next
/// multiple of 16.
template <gemm_output D>
void store_values(const float* values, int count, uint32_t quant, tier t, void* d, int64_t stride) {
  auto* const out = static_cast<D*>(d);
  if constexpr (same_type<D, float>) {
    if (stride == 1) return void(std::memcpy(out, values, static_cast<size_t>(count) * sizeof(float)));
  }
  if constexpr (eight_bit<D>) {
    using encode = encode_kernels<D, rounding::nearest_even, overflow::saturate, scaling::multiply, float>;
    if (stride == 1)
      return encode::of(t)({.x        = values,
                            .y        = static_cast<uint8_t*>(d),
                            .count    = static_cast<size_t>(count),
                            .scale    = quant,
                            .portable = &encode::portable_part});
  }
  if constexpr (same_type<D, bfloat16>) {
    if (stride == 1) {
      // Sixteen at a time, which gcc -O2 vectorises: rows of sums are multiples of that.
      uint16_t codes[widest_tile];
      for (int i = 0; i < count; i += 16) {
        for (int j = i; j < i + 16; ++j) codes[j] = bfloat16_code(bitwise_cast<uint32_t>(values[j]));
      }
      return void(std::memcpy(out, codes, static_cast<size_t>(count) * sizeof(D)));
    }
  }
  static_cast<void>(t);
  for (int i = 0; i < count; ++i) {
    const uint32_t bits = bitwise_cast<uint32_t>(values[i]);
    if constexpr (eight_bit<D>)
      out[i * stride] = encode_bits<D, rounding::nearest_even, overflow::saturate>(product_bits(bits, quant));
    else out[i * stride] = from_binary32_bits<D>(bits);
  }
}

/// Reads elements of C.
template <gemm_output D>
void load_values(const void* c, int64_t stride, int count, float* values) {
  const auto* const in = static_cast<const D*>(c);
  for (int i = 0; i < count; ++i) {
    if constexpr (same_type<D, float>) values[i] = in[i * stride];
    else values[i] = bitwise_cast<float>(lookup_bits(in[i * stride]));
  }
}

/// Everything of a problem but B, which may be packed.
template <class A, class B, class D>
gemm_work erased_work(const gemm_problem<A, B, D>& problem) noexcept {
  gemm_work work;
  work.a = erased(problem.a);
  if (same_type<A, float> && problem.a_floats == float_activations::multiplied_by_fma)
    work.a.kind = element_kind::whole_binary32;
  work.d            = problem.d.data;
  work.d_row_stride = problem.d.row_stride;
  work.d_col_stride = problem.d.col_stride;
  work.d_bytes      = sizeof(D);
  work.c            = problem.beta != 0.0f ? problem.c.data : nullptr;
  work.c_row_stride = problem.c.row_stride;
  work.c_col_stride = problem.c.col_stride;
  work.bias         = problem.bias;
  work.finish       = {problem.alpha, problem.beta, problem.act};
  work.quant        = bitwise_cast<uint32_t>(problem.d_scale.value());
  work.wants_amax   = problem.d_amax != nullptr;
  work.batches      = problem.batches;
  work.store        = store_values<D>;
  work.load         = load_values<D>;
  return work;
}

/// Runs work that passed its checks.
template <class Lazy = void>
status run_checked(gemm_work work, float* amax, const gemm_options& options) {
  if (!can_run(options.tier)) {
    return {status_code::unsupported, std::string("gemm: the tier ") + name_of(options.tier) + " cannot run here"};
  }
  work.tier            = options.tier;
  const gemm_plan plan = plan_gemm(work, gemm_kernels_of<>(options, work.a), options.threads.width);
  const size_t needed  = plan.workspace();
  void* workspace      = options.workspace.data();
  if (!options.workspace.empty() && options.workspace.size() < needed) {
    return invalid("gemm: the workspace has " + std::to_string(options.workspace.size()) + " bytes, it needs " +
                   std::to_string(needed));
  }
  const bool own = options.workspace.empty() && needed != 0;
  const aligned_memory memory(own ? needed : 0);
  if (own) workspace = memory.data();
  if (own && workspace == nullptr) {
    return {status_code::unsupported, "gemm: no memory for a workspace of " + std::to_string(needed) + " bytes"};
  }
  const uint32_t largest = needed == 0 ? 0 : run_gemm(work, plan, options.threads, workspace);
  if (amax != nullptr) *amax = amax_from_bits(largest);
  return {};
}

/// Two e2m1 a byte are refused.
template <class A, class B, gemm_output D>
  requires has_pairs<A, B>
status can_run(const gemm_problem<A, B, D>& /*problem*/) {
  return pairs_unsupported<A, B>();
}
template <class A, class B, gemm_output D>
  requires has_pairs<A, B>
status gemm(const gemm_problem<A, B, D>& problem, const gemm_options& /*options*/ = {}) {
  return can_run(problem);
}

/// The bytes that gemm needs to run this problem with these options: for each part that runs at a time a block of A
/// (1 MiB at most; all of A where it has 3 rows or fewer), a strip of B and the sums of up to 1024 x 1024 elements of D (8 MiB). 0 where a shape is wrong.
template <gemm_activation A, gemm_weight B, gemm_output D>
size_t gemm_workspace(const gemm_problem<A, B, D>& problem, const gemm_options& options = {}) {
  if (!can_run(problem).ok()) return 0;
  gemm_work work = erased_work(problem);
  work.b         = erased(problem.b);
  return plan_gemm(work, gemm_kernels_of<>(options, work.a), options.threads.width).workspace();
}

/// D = activation(alpha * A * B^T + beta * C + bias); see gemm_problem. Any positive strides and alignment.
///
/// The order of summation of an element of D is stated, and every tier, every number of threads and every layout of the
/// operands gives the same bits. Every operation is rounded once in binary32 to nearest even, subnormals kept:
///   1. K is cut wherever a scale of A or B changes. Each piece starts at +0 and takes its terms in pairs: of terms 2i
///      and 2i + 1 of the piece the odd one is added first (the order of the vdpbf16ps instruction). A product is added
///      unrounded, by a fused multiply-add; those of two 8-bit values are exact anyway. A float of A becomes a bfloat16
///      first, unless the problem's a_floats says otherwise.
///   2. The piece's sum is multiplied by the product of its two scales and added to the total, which starts at +0.
///   3. total * alpha; plus beta * C where beta is not 0; plus bias; activation; the amax is taken; rounding to D's
///      type to nearest even, infinity beyond its range. NaN results are 7FC00000, 7E00 or 7FC0. 8-bit D: the value
///      times d_scale, rounded to nearest even and saturating as `encode` does.
///
/// K = 0 leaves beta * C + bias. On error nothing is written.
template <gemm_activation A, gemm_weight B, gemm_output D>
status gemm(const gemm_problem<A, B, D>& problem, const gemm_options& options = {}) {
  if (status bad = can_run(problem); !bad.ok()) return bad;
  gemm_work work = erased_work(problem);
  work.b         = erased(problem.b);
  return run_checked<>(work, problem.d_amax, options);
}

/// A problem whose B is the packed weight; what stands in problem.b does not count, nor do its strides of batches,
/// which all share the weight. B's format must be that of the weight.
template <gemm_activation A, gemm_weight B, gemm_output D>
gemm_problem<A, B, D> with_weight(gemm_problem<A, B, D> problem, const packed_weight<B>& weight) noexcept {
  problem.b                      = weight.outline();
  problem.batches.b_stride       = 0;
  problem.batches.b_scale_stride = 0;
  return problem;
}

template <gemm_activation A, gemm_weight B, gemm_output D>
status can_run(const gemm_problem<A, B, D>& problem, const packed_weight<B>& weight) {
  return can_run(with_weight(problem, weight));
}

template <gemm_activation A, gemm_weight B, gemm_output D>
size_t gemm_workspace(const gemm_problem<A, B, D>& problem, const packed_weight<B>& weight,
                      const gemm_options& options = {}) {
  const gemm_problem<A, B, D> whole = with_weight(problem, weight);
  if (!can_run(whole).ok()) return 0;
  gemm_work work = erased_work(whole);
  work.b         = weight.operand();
  return plan_gemm(work, gemm_kernels_of<>(options, work.a), options.threads.width).workspace();
}

/// The same with a packed weight for B; see with_weight. The same bits as with the matrix that it was made from.
template <gemm_activation A, gemm_weight B, gemm_output D>
status gemm(const gemm_problem<A, B, D>& problem, const packed_weight<B>& weight, const gemm_options& options = {}) {
  const gemm_problem<A, B, D> whole = with_weight(problem, weight);
  if (status bad = can_run(whole); !bad.ok()) return bad;
  gemm_work work = erased_work(whole);
  work.b         = weight.operand();
  return run_checked<>(work, problem.d_amax, options);
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
