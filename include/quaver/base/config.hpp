// SPDX-License-Identifier: MIT
#ifndef QUAVER_BASE_CONFIG_HPP
#define QUAVER_BASE_CONFIG_HPP

// The only place that asks which compiler, which processor, which side of the bus. Every feature macro is defined
// always, to 0 or 1, so that a misspelt one is a warning (-Wundef) and not a silent 0.

#include <quaver/base/version.hpp>

#if defined(_MSVC_LANG)
#define QUAVER_CPLUSPLUS _MSVC_LANG
#else
#define QUAVER_CPLUSPLUS __cplusplus
#endif

#if QUAVER_CPLUSPLUS < 202002L
#error "Quaver needs C++20: compile with -std=c++20 or later"
#endif

// ---- compiler ------------------------------------------------------------------------------------------------------

#if defined(__CUDACC_RTC__)
#define QUAVER_NVRTC 1
#else
#define QUAVER_NVRTC 0
#endif

#if defined(__CUDACC__)
#define QUAVER_CUDA 1
#else
#define QUAVER_CUDA 0
#endif

#if QUAVER_NVRTC
// NVRTC has no host compiler behind it.
#elif defined(__clang__)
#if defined(__apple_build_version__) ? (__clang_major__ < 15) : (__clang_major__ < 16)
#error "Quaver needs clang 16 or later (Apple clang 15)"
#endif
#elif defined(__GNUC__)
#if __GNUC__ < 12
#error "Quaver needs gcc 12 or later"
#endif
#else
#error "Quaver is built and tested with gcc 12+, clang 16+ and nvcc 12.9+; this compiler is none of them"
#endif

#if QUAVER_CUDA && (__CUDACC_VER_MAJOR__ < 12 || (__CUDACC_VER_MAJOR__ == 12 && __CUDACC_VER_MINOR__ < 9))
#error "Quaver needs nvcc or NVRTC 12.9 or later"
#endif

// ---- machine -------------------------------------------------------------------------------------------------------

#if !QUAVER_NVRTC && (!defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
#error "Quaver is written and tested for little-endian machines"
#endif

#if !QUAVER_NVRTC && defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "Quaver needs float arithmetic in float precision (on 32-bit x86: -msse2 -mfpmath=sse)"
#endif

#if defined(__x86_64__) && !QUAVER_NVRTC
#define QUAVER_X86_64 1
#else
#define QUAVER_X86_64 0
#endif

#if defined(__aarch64__) && !QUAVER_NVRTC
#define QUAVER_AARCH64 1
#else
#define QUAVER_AARCH64 0
#endif

/// 1 while the device half of a CUDA translation unit is compiled.
#if defined(__CUDA_ARCH__)
#define QUAVER_DEVICE_CODE 1
#else
#define QUAVER_DEVICE_CODE 0
#endif

/// 1 in device code for chips with instructions from and to E4M3 and E5M2: compute capability 8.9 and later.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define QUAVER_FP8_INSTRUCTIONS 1
#else
#define QUAVER_FP8_INSTRUCTIONS 0
#endif

/// 1 in device code that may use the instructions from and to E2M1, E2M3 and E3M2, which belong to one family of chips:
/// compiled for compute_100a and its like, never for plain compute_100.
#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM103_ALL) || \
    defined(__CUDA_ARCH_FEAT_SM110_ALL) || defined(__CUDA_ARCH_FEAT_SM120_ALL) || defined(__CUDA_ARCH_FEAT_SM121_ALL)
#define QUAVER_FP4_INSTRUCTIONS 1
#else
#define QUAVER_FP4_INSTRUCTIONS 0
#endif

/// 1 in device code that may use clusters, mbarriers and the copy engine: compiled for compute_90 or later.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define QUAVER_CLUSTERS 1
#else
#define QUAVER_CLUSTERS 0
#endif

/// 1 in device code that may use wgmma: compiled for compute_90a.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define QUAVER_WGMMA 1
#else
#define QUAVER_WGMMA 0
#endif

// ---- language ------------------------------------------------------------------------------------------------------

#if QUAVER_CUDA
#define QUAVER_HOST_DEVICE __host__ __device__
#else
#define QUAVER_HOST_DEVICE
#endif

// Before a QUAVER_HOST_DEVICE template that runs where what it is given runs: nvcc would warn of the side that is never used.
#if QUAVER_CUDA
#define QUAVER_SIDE_OF_ARGUMENTS _Pragma("nv_exec_check_disable")
#else
#define QUAVER_SIDE_OF_ARGUMENTS
#endif

// Functions of a tier carry the instructions they may use, so that a plain -O2 build has every tier and chooses at run
// time. Lists of features, not arch=: gcc does not inline across different values of that. Helpers below such a function
// carry its list too and are always inlined; a lambda would not inherit it.
#if QUAVER_X86_64
#define QUAVER_TARGET_AVX2 __attribute__((target("avx,avx2,fma,f16c")))
#define QUAVER_TARGET_AVX512 \
  __attribute__((target("avx,avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512bf16")))
#else
#define QUAVER_TARGET_AVX2
#define QUAVER_TARGET_AVX512
#endif

// gcc 12's own headers leave the masked-off lanes of unmasked intrinsics undefined, and gcc 12 warns of that wherever they
// are inlined: around code that uses them. Other compilers have nothing to silence.
#if defined(__GNUC__) && !defined(__clang__)
#define QUAVER_BEGIN_INTRINSICS                                                        \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")
#define QUAVER_END_INTRINSICS _Pragma("GCC diagnostic pop")
#else
#define QUAVER_BEGIN_INTRINSICS
#define QUAVER_END_INTRINSICS
#endif

#define QUAVER_ALWAYS_INLINE __attribute__((always_inline)) inline

/// 1 where the compiler may assume that no float is NaN or infinite (-ffast-math, -ffinite-math-only).
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#define QUAVER_FINITE_MATH 1
#else
#define QUAVER_FINITE_MATH 0
#endif

#endif
