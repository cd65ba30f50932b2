// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_FEATURES_HPP
#define QUAVER_CPU_FEATURES_HPP

#include <quaver/base/bits.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The sets of instructions that bulk functions are written for. All give the same bytes.
enum class tier : uint8_t {
  portable,  ///< standard C++
  neon,      ///< 64-bit Arm: Advanced SIMD, which every such processor has
  avx2,      ///< x86-64: AVX2, FMA and F16C (Haswell, Zen and later)
  avx512,    ///< x86-64: AVX-512 F, BW, DQ, VL, VBMI and BF16 (Zen 4, Sapphire Rapids and later)
};

inline constexpr tier all_tiers[] = {tier::portable, tier::neon, tier::avx2, tier::avx512};

constexpr const char* name_of(tier t) noexcept {
  switch (t) {
    case tier::portable: return "portable";
    case tier::neon: return "neon";
    case tier::avx2: return "avx2";
    case tier::avx512: return "avx512";
  }
  return "";
}

/// Whether this build has the tier and this machine, its operating system included, can run it.
inline bool can_run(tier t) noexcept {
  switch (t) {
    case tier::portable: return true;
    case tier::neon: return QUAVER_AARCH64 != 0;
#if QUAVER_X86_64
    // F16C goes unasked: clang 16 cannot ask, and it came before AVX2.
    case tier::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case tier::avx512:
      return can_run(tier::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bf16");
#else
    case tier::avx2:
    case tier::avx512: return false;
#endif
  }
  return false;
}

/// The last of the tiers that can run here.
inline tier best_tier() noexcept {
  tier best = tier::portable;
  for (const tier t : all_tiers) {
    if (can_run(t)) best = t;
  }
  return best;
}

/// What the environment variable QUAVER_CPU_TIER asks for, or the best. A name that is none, or a tier that cannot run
/// here, is said on stderr and leaves the best.
inline tier requested_tier() noexcept {
  const char* name = std::getenv("QUAVER_CPU_TIER");
  if (name == nullptr || *name == '\0') return best_tier();
  for (const tier t : all_tiers) {
    if (std::strcmp(name, name_of(t)) == 0 && can_run(t)) return t;
  }
  std::fprintf(stderr, "quaver: QUAVER_CPU_TIER=%s cannot run here; using %s\n", name, name_of(best_tier()));
  return best_tier();
}

/// The tier that bulk functions use, the same for the whole run of the program. The macro QUAVER_CPU_TIER, where it is
/// defined as the name of a tier, decides when compiling: -DQUAVER_CPU_TIER=avx2 asks for a machine that has it.
inline tier active_tier() noexcept {
#if defined(QUAVER_CPU_TIER)
  return tier::QUAVER_CPU_TIER;
#else
  static const tier chosen = requested_tier();
  return chosen;
#endif
}

/// Of a class that has a static function for each tier, named like it, the one of tier t; the portable one where no
/// tier has any (`Vectorised` is false), or not this one.
template <class Kernels, bool Vectorised>
auto kernel_of(tier t) noexcept -> decltype(&Kernels::portable) {
  if constexpr (Vectorised) {
#if QUAVER_X86_64
    if (t == tier::avx512) return &Kernels::avx512;
    if (t == tier::avx2) return &Kernels::avx2;
#elif QUAVER_AARCH64
    if (t == tier::neon) return &Kernels::neon;
#endif
  }
  static_cast<void>(t);
  return &Kernels::portable;
}

/// How the tier avx512 sums products in a GEMM. The bits are the same; the other tiers have multiply_adds alone.
enum class gemm_sums : uint8_t {
  fastest,        ///< for this processor and this many rows of A
  dot_products,   ///< vdpbf16ps, two terms of bfloat16 a step
  multiply_adds,  ///< vfmadd231ps, a term of binary32 a step
};

/// The faster of the two on this processor, by its maker. Zen 4 and 5 start as many vdpbf16ps as fused multiply-adds, so
/// they sum twice the terms (measured on Zen 5: 478 to 238 GFLOP/s). Sapphire and Emerald Rapids start one vdpbf16ps in
/// the time of four fused multiply-adds, so half the terms (measured: 79 to 158 GFLOP/s).
inline gemm_sums fastest_gemm_sums() noexcept {
#if QUAVER_X86_64
  if (__builtin_cpu_is("amd")) return gemm_sums::dot_products;
#endif
  return gemm_sums::multiply_adds;
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
