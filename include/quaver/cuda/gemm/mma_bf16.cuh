// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_MMA_BF16_CUH
#define QUAVER_CUDA_GEMM_MMA_BF16_CUH

#include <quaver/cuda/gemm/tile.cuh>
#include <quaver/cuda/ptx/mma.cuh>

// The multiplication of any two formats on chips from sm_80 on: every 8-bit format of the library is exact in bfloat16,
// and products of two bfloat16s are exact in the matrix unit, so the codes lose nothing on that way.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Two codes, in bytes 0 and 1 of `lanes` shifted to the top of each half, as two bfloat16s; NaN is some NaN. The code's
/// magnitude, moved to where a bfloat16 has its exponent and mantissa, is the value times a power of two, subnormals
/// included, and one multiplication undoes that. What is above the largest finite code carries into the bit above the
/// exponent when `1 + what is missing to all ones` is added to it; that bit becomes an exponent of ones.
template <class F>
  requires(same_type<F, e4m3> || same_type<F, e5m2>)
__device__ __forceinline__ uint32_t decode_lanes(uint32_t lanes) noexcept {
  constexpr int shift          = 8 - (7 - F::mantissa_bits);  // 8 places above, to mantissas of 7 bits
  constexpr uint32_t both      = 0x0001'0001u;
  constexpr uint32_t magnitude = (uint32_t{0x7F00} >> shift) * both;
  constexpr uint32_t first     = F::has_infinity ? F::infinity_magnitude : F::nan_code;  // of what has no value
  constexpr uint32_t above     = (uint32_t{0x8000} >> shift) * both;
  constexpr uint32_t carry     = ((0x80 - first) << (8 - shift)) * both;
  constexpr uint32_t ones      = (1u << shift) - 1;  // from the bit above the exponent up to bit 14
  constexpr uint32_t factor    = static_cast<uint32_t>(127 + 127 - F::exponent_bias) << 7;

  const uint32_t moved = (lanes >> shift) & magnitude;
  const uint32_t value = (moved | (lanes & 0x8000'8000u)) + ((moved + carry) & above) * ones;
  uint32_t result;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(value), "r"(factor * both), "r"(0x8000'8000u));
  return result;
}

/// 16 codes as 16 bfloat16s.
__device__ __forceinline__ void decode_chunk(const uint32_t (&codes)[4], element_kind kind, const uint16_t* table,
                                             uint32_t (&values)[8]) noexcept {
  if (kind == element_kind::e4m3_code) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      values[i] = decode_lanes<e4m3>(__byte_perm(codes[i / 2], 0, i % 2 == 0 ? 0x1404 : 0x3424));
  } else if (kind == element_kind::e5m2_code) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      values[i] = decode_lanes<e5m2>(__byte_perm(codes[i / 2], 0, i % 2 == 0 ? 0x1404 : 0x3424));
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const uint32_t pair = codes[i / 2] >> (i % 2 * 16);
      values[i]           = table[pair & 0xFF] | uint32_t{table[pair >> 8 & 0xFF]} << 16;
    }
  }
}

/// The `Multiplier` of bfloat16s.
struct bfloat16_multiplier {
  static constexpr int slot_terms     = 16;
  static constexpr int slots_unrolled = step_slots;
  static constexpr bool takes_codes   = false;

  /// Chunk `number` of a row of a stage: a whole slot.
  template <chunk_kind Kind>
  __device__ static __forceinline__ void write_chunk(unsigned char* stage, int row, int number,
                                                     const chunk_words<Kind>& from, element_kind kind,
                                                     const uint16_t* table) noexcept {
    uint32_t values[8];
    if constexpr (Kind == chunk_kind::codes) {
      decode_chunk(from.words, kind, table, values);
    } else {
#pragma unroll
      for (int i = 0; i < 8; ++i) values[i] = from.words[i];
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      *reinterpret_cast<uint4*>(stage + piece_offset(row, 2 * number + half)) =
          make_uint4(values[4 * half], values[4 * half + 1], values[4 * half + 2], values[4 * half + 3]);
    }
  }

  __device__ static __forceinline__ void multiply(float (&sums)[4][4][4], const uint32_t (&a)[4][4],
                                                  const uint32_t (&b)[2][4]) noexcept {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j)
        ptx::multiply_bfloat16s(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
};

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
