// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_PTX_WGMMA_FP8_CUH
#define QUAVER_CUDA_PTX_WGMMA_FP8_CUH

#include <quaver/cuda/ptx/wgmma.cuh>
#include <quaver/format/formats.hpp>

// The FP8 matrix instruction of compute_90a: D[64][N] += A[64][32] * B[N][32]^T, A and B in shared memory, D in the
// registers of a warpgroup. Its arithmetic is reference/tensor_core.hpp. PTX ISA, "wgmma.mma_async".

QUAVER_BEGIN_NAMESPACE

namespace cuda::ptx {

#if QUAVER_WGMMA

// The instruction's text lists every register of D by number, and the compiler wants each by name. Both lists grow by 8
// registers, from N to N + 16.
// clang-format off
#define QUAVER_NAMES_2 "%0, %1"
#define QUAVER_WORDS_2(C) C(d[0]), C(d[1])
#define QUAVER_NAMES_4 "%0, %1, %2, %3"
#define QUAVER_WORDS_4(C) C(d[0]), C(d[1]), C(d[2]), C(d[3])
#define QUAVER_NAMES_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define QUAVER_WORDS_8(C) C(d[0]), C(d[1]), C(d[2]), C(d[3]), C(d[4]), C(d[5]), C(d[6]), C(d[7])
#define QUAVER_NAMES_16 QUAVER_NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define QUAVER_WORDS_16(C) QUAVER_WORDS_8(C), C(d[8]), C(d[9]), C(d[10]), C(d[11]), C(d[12]), C(d[13]), C(d[14]), C(d[15])
#define QUAVER_NAMES_24 QUAVER_NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define QUAVER_WORDS_24(C) QUAVER_WORDS_16(C), C(d[16]), C(d[17]), C(d[18]), C(d[19]), C(d[20]), C(d[21]), C(d[22]), C(d[23])
#define QUAVER_NAMES_32 QUAVER_NAMES_24 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define QUAVER_WORDS_32(C) QUAVER_WORDS_24(C), C(d[24]), C(d[25]), C(d[26]), C(d[27]), C(d[28]), C(d[29]), C(d[30]), C(d[31])
#define QUAVER_NAMES_40 QUAVER_NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define QUAVER_WORDS_40(C) QUAVER_WORDS_32(C), C(d[32]), C(d[33]), C(d[34]), C(d[35]), C(d[36]), C(d[37]), C(d[38]), C(d[39])
#define QUAVER_NAMES_44 QUAVER_NAMES_40 ", %40, %41, %42, %43"
#define QUAVER_WORDS_44(C) QUAVER_WORDS_40(C), C(d[40]), C(d[41]), C(d[42]), C(d[43])
#define QUAVER_NAMES_48 QUAVER_NAMES_40 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define QUAVER_WORDS_48(C) QUAVER_WORDS_40(C), C(d[40]), C(d[41]), C(d[42]), C(d[43]), C(d[44]), C(d[45]), C(d[46]), C(d[47])
#define QUAVER_NAMES_56 QUAVER_NAMES_48 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define QUAVER_WORDS_56(C) QUAVER_WORDS_48(C), C(d[48]), C(d[49]), C(d[50]), C(d[51]), C(d[52]), C(d[53]), C(d[54]), C(d[55])
#define QUAVER_NAMES_64 QUAVER_NAMES_56 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define QUAVER_WORDS_64(C) QUAVER_WORDS_56(C), C(d[56]), C(d[57]), C(d[58]), C(d[59]), C(d[60]), C(d[61]), C(d[62]), C(d[63])
#define QUAVER_NAMES_72 QUAVER_NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define QUAVER_WORDS_72(C) QUAVER_WORDS_64(C), C(d[64]), C(d[65]), C(d[66]), C(d[67]), C(d[68]), C(d[69]), C(d[70]), C(d[71])
#define QUAVER_NAMES_80 QUAVER_NAMES_72 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define QUAVER_WORDS_80(C) QUAVER_WORDS_72(C), C(d[72]), C(d[73]), C(d[74]), C(d[75]), C(d[76]), C(d[77]), C(d[78]), C(d[79])
#define QUAVER_NAMES_88 QUAVER_NAMES_80 ", %80, %81, %82, %83, %84, %85, %86, %87"
#define QUAVER_WORDS_88(C) QUAVER_WORDS_80(C), C(d[80]), C(d[81]), C(d[82]), C(d[83]), C(d[84]), C(d[85]), C(d[86]), C(d[87])
#define QUAVER_NAMES_96 QUAVER_NAMES_88 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define QUAVER_WORDS_96(C) QUAVER_WORDS_88(C), C(d[88]), C(d[89]), C(d[90]), C(d[91]), C(d[92]), C(d[93]), C(d[94]), C(d[95])
#define QUAVER_NAMES_104 QUAVER_NAMES_96 ", %96, %97, %98, %99, %100, %101, %102, %103"
#define QUAVER_WORDS_104(C) QUAVER_WORDS_96(C), C(d[96]), C(d[97]), C(d[98]), C(d[99]), C(d[100]), C(d[101]), C(d[102]), C(d[103])
#define QUAVER_NAMES_112 QUAVER_NAMES_104 ", %104, %105, %106, %107, %108, %109, %110, %111"
#define QUAVER_WORDS_112(C) QUAVER_WORDS_104(C), C(d[104]), C(d[105]), C(d[106]), C(d[107]), C(d[108]), C(d[109]), C(d[110]), C(d[111])
#define QUAVER_NAMES_120 QUAVER_NAMES_112 ", %112, %113, %114, %115, %116, %117, %118, %119"
#define QUAVER_WORDS_120(C) QUAVER_WORDS_112(C), C(d[112]), C(d[113]), C(d[114]), C(d[115]), C(d[116]), C(d[117]), C(d[118]), C(d[119])
#define QUAVER_NAMES_128 QUAVER_NAMES_120 ", %120, %121, %122, %123, %124, %125, %126, %127"
#define QUAVER_WORDS_128(C) QUAVER_WORDS_120(C), C(d[120]), C(d[121]), C(d[122]), C(d[123]), C(d[124]), C(d[125]), C(d[126]), C(d[127])
// clang-format on
#define QUAVER_FLOAT(x)  "+f"(x)
#define QUAVER_HALVES(x) "+r"(x)

// Behind the registers of D follow A, B and the switch that lets D count: their numbers are spelt out.
#define QUAVER_WGMMA_OF(COUNT, A_AT, B_AT, C_AT, N, D, A, B, C)                                          \
  asm volatile("{\n .reg .pred with_d;\n setp.ne.b32 with_d, %" #C_AT                                    \
               ", 0;\n"                                                                                  \
               " wgmma.mma_async.sync.aligned.m64n" #N "k32." #D "." #A "." #B " {" QUAVER_NAMES_##COUNT \
               "}, %" #A_AT ", %" #B_AT ", with_d, 1, 1;\n}"                                             \
               : QUAVER_WORDS_##COUNT(C)                                                                 \
               : "l"(a), "l"(b), "r"(with_d))
#define QUAVER_WGMMA_N(COUNT, A_AT, B_AT, C_AT, N, D, C)             \
  do {                                                               \
    if constexpr (same_type<A, e4m3> && same_type<B, e4m3>)          \
      QUAVER_WGMMA_OF(COUNT, A_AT, B_AT, C_AT, N, D, e4m3, e4m3, C); \
    if constexpr (same_type<A, e4m3> && same_type<B, e5m2>)          \
      QUAVER_WGMMA_OF(COUNT, A_AT, B_AT, C_AT, N, D, e4m3, e5m2, C); \
    if constexpr (same_type<A, e5m2> && same_type<B, e4m3>)          \
      QUAVER_WGMMA_OF(COUNT, A_AT, B_AT, C_AT, N, D, e5m2, e4m3, C); \
    if constexpr (same_type<A, e5m2> && same_type<B, e5m2>)          \
      QUAVER_WGMMA_OF(COUNT, A_AT, B_AT, C_AT, N, D, e5m2, e5m2, C); \
  } while (false)

#endif

/// The widths that wgmma_fp8 is written for: 8, 88 and multiples of 16. The hardware takes all multiples of 8.
template <int N>
concept wgmma_width = N == 8 || N == 88 || (N % 16 == 0 && N >= 16 && N <= 256);

/// D += A * B^T, or D = A * B^T where `with_d` is 0; asynchronous: see wgmma_commit. Thread t of the warpgroup holds, of
/// row 16 (t / 32) + t % 32 / 4 and the row 8 below it, columns 8 j + 2 (t % 4) and the next: d[4 j], d[4 j + 1] and
/// d[4 j + 2], d[4 j + 3].
template <int N, class A, class B>
  requires wgmma_width<N>
__device__ __forceinline__ void wgmma_fp8(float (&d)[size_t{N} / 2], uint64_t a, uint64_t b, uint32_t with_d) noexcept {
#if QUAVER_WGMMA
  if constexpr (N == 8) QUAVER_WGMMA_N(4, 4, 5, 6, 8, f32, QUAVER_FLOAT);
  if constexpr (N == 16) QUAVER_WGMMA_N(8, 8, 9, 10, 16, f32, QUAVER_FLOAT);
  if constexpr (N == 32) QUAVER_WGMMA_N(16, 16, 17, 18, 32, f32, QUAVER_FLOAT);
  if constexpr (N == 48) QUAVER_WGMMA_N(24, 24, 25, 26, 48, f32, QUAVER_FLOAT);
  if constexpr (N == 64) QUAVER_WGMMA_N(32, 32, 33, 34, 64, f32, QUAVER_FLOAT);
  if constexpr (N == 80) QUAVER_WGMMA_N(40, 40, 41, 42, 80, f32, QUAVER_FLOAT);
  if constexpr (N == 88) QUAVER_WGMMA_N(44, 44, 45, 46, 88, f32, QUAVER_FLOAT);
  if constexpr (N == 96) QUAVER_WGMMA_N(48, 48, 49, 50, 96, f32, QUAVER_FLOAT);
  if constexpr (N == 112) QUAVER_WGMMA_N(56, 56, 57, 58, 112, f32, QUAVER_FLOAT);
  if constexpr (N == 128) QUAVER_WGMMA_N(64, 64, 65, 66, 128, f32, QUAVER_FLOAT);
  if constexpr (N == 144) QUAVER_WGMMA_N(72, 72, 73, 74, 144, f32, QUAVER_FLOAT);
  if constexpr (N == 160) QUAVER_WGMMA_N(80, 80, 81, 82, 160, f32, QUAVER_FLOAT);
  if constexpr (N == 176) QUAVER_WGMMA_N(88, 88, 89, 90, 176, f32, QUAVER_FLOAT);
  if constexpr (N == 192) QUAVER_WGMMA_N(96, 96, 97, 98, 192, f32, QUAVER_FLOAT);
  if constexpr (N == 208) QUAVER_WGMMA_N(104, 104, 105, 106, 208, f32, QUAVER_FLOAT);
  if constexpr (N == 224) QUAVER_WGMMA_N(112, 112, 113, 114, 224, f32, QUAVER_FLOAT);
  if constexpr (N == 240) QUAVER_WGMMA_N(120, 120, 121, 122, 240, f32, QUAVER_FLOAT);
  if constexpr (N == 256) QUAVER_WGMMA_N(128, 128, 129, 130, 256, f32, QUAVER_FLOAT);
#else
  static_cast<void>(d), static_cast<void>(a), static_cast<void>(b), static_cast<void>(with_d);
#endif
}

/// The same with halves as accumulators, two a word: d[2 j] holds d[4 j] and d[4 j + 1] of the floats.
template <int N, class A, class B>
  requires(N == 8 || N == 16 || N == 64 || N == 128 || N == 256)
__device__ __forceinline__ void wgmma_fp8(uint32_t (&d)[size_t{N} / 4], uint64_t a, uint64_t b,
                                          uint32_t with_d) noexcept {
#if QUAVER_WGMMA
  if constexpr (N == 8) QUAVER_WGMMA_N(2, 2, 3, 4, 8, f16, QUAVER_HALVES);
  if constexpr (N == 16) QUAVER_WGMMA_N(4, 4, 5, 6, 16, f16, QUAVER_HALVES);
  if constexpr (N == 64) QUAVER_WGMMA_N(16, 16, 17, 18, 64, f16, QUAVER_HALVES);
  if constexpr (N == 128) QUAVER_WGMMA_N(32, 32, 33, 34, 128, f16, QUAVER_HALVES);
  if constexpr (N == 256) QUAVER_WGMMA_N(64, 64, 65, 66, 256, f16, QUAVER_HALVES);
#else
  static_cast<void>(d), static_cast<void>(a), static_cast<void>(b), static_cast<void>(with_d);
#endif
}

#if QUAVER_WGMMA
#undef QUAVER_NAMES_2
#undef QUAVER_WORDS_2
#undef QUAVER_NAMES_4
#undef QUAVER_WORDS_4
#undef QUAVER_NAMES_8
#undef QUAVER_WORDS_8
#undef QUAVER_NAMES_16
#undef QUAVER_WORDS_16
#undef QUAVER_NAMES_24
#undef QUAVER_WORDS_24
#undef QUAVER_NAMES_32
#undef QUAVER_WORDS_32
#undef QUAVER_NAMES_40
#undef QUAVER_WORDS_40
#undef QUAVER_NAMES_44
#undef QUAVER_WORDS_44
#undef QUAVER_NAMES_48
#undef QUAVER_WORDS_48
#undef QUAVER_NAMES_56
#undef QUAVER_WORDS_56
#undef QUAVER_NAMES_64
#undef QUAVER_WORDS_64
#undef QUAVER_NAMES_72
#undef QUAVER_WORDS_72
#undef QUAVER_NAMES_80
#undef QUAVER_WORDS_80
#undef QUAVER_NAMES_88
#undef QUAVER_WORDS_88
#undef QUAVER_NAMES_96
#undef QUAVER_WORDS_96
#undef QUAVER_NAMES_104
#undef QUAVER_WORDS_104
#undef QUAVER_NAMES_112
#undef QUAVER_WORDS_112
#undef QUAVER_NAMES_120
#undef QUAVER_WORDS_120
#undef QUAVER_NAMES_128
#undef QUAVER_WORDS_128
#undef QUAVER_FLOAT
#undef QUAVER_HALVES
#undef QUAVER_WGMMA_OF
#undef QUAVER_WGMMA_N
#endif

}  // namespace cuda::ptx

QUAVER_END_NAMESPACE

#endif
