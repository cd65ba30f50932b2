// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_OPERAND_CUH
#define QUAVER_CUDA_GEMM_OPERAND_CUH

#include <quaver/cuda/decode.cuh>
#include <quaver/cuda/gemm/work.cuh>
#include <quaver/cuda/ptx/cp_async.cuh>

// How K is cut into slots, and how a chunk of an operand and its scales are read.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int chunk_terms    = 16;   ///< what a thread reads of a row at a time
inline constexpr int step_slots     = 4;    ///< slots that are multiplied between two barriers
inline constexpr int promotion_span = 128;  ///< terms that the matrix unit may sum before they join a float

/// The slots of one step. A slot is what one instruction multiplies: SlotTerms terms, or fewer where a stretch ends, the
/// rest being zeros on both sides.
struct slot_step {
  int begin;              ///< of the slot that this thread reads
  int length;             ///< its terms; 0 beyond the end of K
  int block[step_slots];  ///< along K, of the operand whose scales this thread reads
  uint32_t ends;          ///< bit s: slot s ends a stretch
  int used;               ///< slots that hold terms
  bool whole;             ///< the slots are full and follow each other from a multiple of 16 on
};

/// Walks along K. A stretch is what the matrix unit sums by itself: it ends where a scale of either operand changes, and
/// after 128 terms. All threads walk alike.
class depth_walk {
 public:
  __device__ __forceinline__ explicit depth_walk(const gemm_work& work) noexcept
      : depth_(static_cast<uint32_t>(work.depth)),
        a_width_(work.a.scales.block_cols),
        b_width_(work.b.scales.block_cols),
        a_next_(a_width_ == 0 ? ~uint32_t{0} : a_width_),
        b_next_(b_width_ == 0 ? ~uint32_t{0} : b_width_) {}

  /// True where terms are left.
  __device__ __forceinline__ bool goes_on() const noexcept { return at_ < depth_; }

  /// The next step as a thread sees it that reads slot `mine`, and the scales of A or B.
  template <int SlotTerms>
  __device__ __forceinline__ slot_step next(int mine, bool reads_b) noexcept {
    const uint32_t first = at_;
    slot_step step{};
#pragma unroll
    for (int s = 0; s < step_slots; ++s) {
      const uint32_t begin = at_;
      uint32_t end         = at_ + SlotTerms;
      end                  = smaller(end, promotion_);
      end                  = smaller(end, smaller(a_next_, b_next_));
      end                  = smaller(end, depth_);
      if (s == mine) {
        step.begin  = static_cast<int>(begin);
        step.length = static_cast<int>(end - begin);
      }
      step.block[s] = static_cast<int>(reads_b ? b_block_ : a_block_);
      if (end > begin) {
        ++step.used;
        const bool a_ends = end == a_next_;
        const bool b_ends = end == b_next_;
        if (a_ends || b_ends || end == promotion_ || end == depth_) {
          step.ends |= 1u << s;
          promotion_ = end + promotion_span;
        }
        a_next_ += a_ends ? a_width_ : 0;
        b_next_ += b_ends ? b_width_ : 0;
        a_block_ += a_ends;
        b_block_ += b_ends;
      }
      at_ = end;
    }
    step.whole = at_ - first == step_slots * SlotTerms && first % chunk_terms == 0;
    return step;
  }

 private:
  __device__ static __forceinline__ uint32_t smaller(uint32_t x, uint32_t y) noexcept { return x < y ? x : y; }

  uint32_t depth_;
  uint32_t a_width_;
  uint32_t b_width_;
  uint32_t a_next_;
  uint32_t b_next_;
  uint32_t promotion_ = promotion_span;
  uint32_t at_        = 0;
  uint32_t a_block_   = 0;
  uint32_t b_block_   = 0;
};

/// What a chunk holds on its way: 16 codes, or 16 values as bfloat16s.
enum class chunk_kind : uint8_t { codes, bfloat16s, floats };

template <chunk_kind Kind>
struct chunk_words {
  static constexpr size_t count      = Kind == chunk_kind::codes ? 4 : 8;
  static constexpr int element_bytes = Kind == chunk_kind::codes ? 1 : Kind == chunk_kind::bfloat16s ? 2 : 4;
  uint32_t words[count];
};

/// Terms k .. k + 15 of a row whose words of 16 bytes may be read, k a multiple of 16.
template <chunk_kind Kind>
__device__ __forceinline__ chunk_words<Kind> read_whole_chunk(const unsigned char* row, int k) noexcept {
  chunk_words<Kind> held;
  const auto* from = reinterpret_cast<const uint4*>(row + int64_t{k} * chunk_words<Kind>::element_bytes);
  if constexpr (Kind == chunk_kind::floats) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint4 v         = __ldg(from + i);
      held.words[2 * i]     = ptx::floats_to_bfloat16s(bitwise_cast<float>(v.x), bitwise_cast<float>(v.y));
      held.words[2 * i + 1] = ptx::floats_to_bfloat16s(bitwise_cast<float>(v.z), bitwise_cast<float>(v.w));
    }
  } else {
#pragma unroll
    for (size_t i = 0; i < chunk_words<Kind>::count / 4; ++i) {
      const uint4 v         = __ldg(from + i);
      held.words[4 * i]     = v.x;
      held.words[4 * i + 1] = v.y;
      held.words[4 * i + 2] = v.z;
      held.words[4 * i + 3] = v.w;
    }
  }
  return held;
}

/// Terms k .. k + length - 1 of any row, 16 at most; the rest is zero. Floats are rounded to bfloat16, to nearest even.
template <chunk_kind Kind>
__device__ __forceinline__ chunk_words<Kind> read_chunk(const unsigned char* row, int64_t col_stride, int k, int length,
                                                        bool vectors) noexcept {
  if (vectors && length == chunk_terms && k % chunk_terms == 0) return read_whole_chunk<Kind>(row, k);
  chunk_words<Kind> held{};
  const int64_t first = k * col_stride;
#pragma unroll
  for (int i = 0; i < chunk_terms; ++i) {
    if (i < length) {
      const int64_t at = first + i * col_stride;
      if constexpr (Kind == chunk_kind::codes) {
        held.words[i / 4] |= uint32_t{__ldg(row + at)} << (i % 4 * 8);
      } else if constexpr (Kind == chunk_kind::bfloat16s) {
        held.words[i / 2] |= uint32_t{__ldg(reinterpret_cast<const uint16_t*>(row) + at)} << (i % 2 * 16);
      } else {
        const uint32_t value = ptx::floats_to_bfloat16s(__ldg(reinterpret_cast<const float*>(row) + at), 0.0f);
        held.words[i / 2] |= (value & 0xFFFF) << (i % 2 * 16);
      }
    }
  }
  return held;
}

/// The scale of a block of rows at a block of columns; `at` is where the row's scales of this batch begin.
__device__ __forceinline__ float read_scale(const gemm_scales& scales, int64_t at, int block) noexcept {
  if (scales.data == nullptr) return 1.0f;
  at += scales.places.of_col(block);
  switch (scales.type) {
    case scale_type::f32: return __ldg(static_cast<const float*>(scales.data) + at);
    case scale_type::mx_e8m0:
      return bitwise_cast<float>(decode_bits(e8m0::from_bits(__ldg(static_cast<const uint8_t*>(scales.data) + at))));
    case scale_type::nvfp4_e4m3: {
      const e4m3 level = e4m3::from_bits(__ldg(static_cast<const uint8_t*>(scales.data) + at));
      return multiply(bitwise_cast<float>(decode_to_float_bits(level)), __ldg(scales.tensor_wide));
    }
  }
  return 1.0f;
}

/// Brings that scale to shared memory; there once ptx::wait_for_copies() returns.
__device__ __forceinline__ void fetch_scale(const gemm_scales& scales, int64_t at, int block, float* to) noexcept {
  if (scales.data != nullptr && scales.type == scale_type::f32) {
    ptx::copy_4_bytes(static_cast<uint32_t>(__cvta_generic_to_shared(to)),
                      static_cast<const float*>(scales.data) + at + scales.places.of_col(block));
  } else {
    *to = read_scale(scales, at, block);
  }
}

/// Where the scales of a row begin.
__device__ __forceinline__ int64_t scales_of_row(const gemm_scales& scales, int row, int64_t batch) noexcept {
  const uint32_t block = scales.block_rows == 0 ? 0 : static_cast<uint32_t>(row) / scales.block_rows;
  return scales.places.of_row(block) + batch * scales.batch_stride;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
