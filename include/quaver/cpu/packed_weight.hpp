// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_PACKED_WEIGHT_HPP
#define QUAVER_CPU_PACKED_WEIGHT_HPP

#include <quaver/cpu/aligned_memory.hpp>
#include <quaver/cpu/executor.hpp>
#include <quaver/cpu/isa/gemm_kernels.hpp>
#include <quaver/problem/gemm_problem.hpp>
#include <quaver/tensor/matrix_checks.hpp>

#include <cstring>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// A weight matrix B (N x K) in the order in which `gemm` reads it, made once and used many times: the codes of 32 rows
/// in pairs beside each other, so that a matrix-vector product is one stream through memory. Owns its memory: the codes
/// (N rounded up to 64, K to 4, a byte each) and a copy of the scales. The same bytes on every machine and tier.
///
/// Results are those of the matrix that it was made from, to the bit. Reading it from several threads is safe.
template <gemm_weight B>
class packed_weight {
 public:
  /// Of 0 x 0.
  packed_weight() = default;

  /// Packs a matrix: any positive strides, any layout of scales. On error there is none and the sentence names the
  /// numbers.
  static result<packed_weight> make(const scaled_matrix<const B>& weight, const executor& threads = {}) {
    if (status bad = check_scaled("packed_weight: B", weight); !bad.ok()) return bad;
    packed_weight packed;
    packed.rows_          = weight.rows();
    packed.cols_          = weight.cols();
    packed.layout_        = weight.layout;
    packed.layout_.order  = scale_order::column_major;
    const int64_t group   = (weight.cols() + 3) / 4 * 128;
    const int64_t groups  = (weight.rows() + 63) / 64 * 2;
    const auto scale_size = static_cast<size_t>(weight.layout.type == scale_type::f32 ? sizeof(float) : 1);
    const auto scales     = static_cast<size_t>(weight.layout.block_count(weight.rows(), weight.cols())) * scale_size;
    packed.code_bytes_    = static_cast<size_t>(groups * group);
    packed.scale_bytes_   = scales;
    packed.group_         = group;
    const size_t bytes    = packed.code_bytes_ + (scales + 3) / 4 * 4 + sizeof(float);
    packed.memory_        = aligned_memory(bytes);
    if (packed.memory_.data() == nullptr) {
      return status{status_code::unsupported, "packed_weight: no memory for " + std::to_string(bytes) + " bytes"};
    }
    threads.for_each(static_cast<size_t>(groups),
                     [&](size_t i) { packed.fill_group(weight.values, static_cast<int64_t>(i)); });
    packed.copy_scales(weight);
    return packed;
  }

  [[nodiscard]] int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] int64_t cols() const noexcept { return cols_; }
  /// The layout of the scales; their order is column_major whatever it was.
  [[nodiscard]] const scale_layout& layout() const noexcept { return layout_; }
  /// The bytes of codes and scales.
  [[nodiscard]] size_t bytes() const noexcept { return code_bytes_ + scale_bytes_; }
  /// The code of element (row, col).
  [[nodiscard]] B operator()(int64_t row, int64_t col) const noexcept {
    return B::from_bits(static_cast<uint8_t>(codes()[packed_offset(group_, row, col)]));
  }

  /// What the kernels see of it.
  [[nodiscard]] gemm_operand operand() const noexcept {
    gemm_operand x;
    x.data       = codes();
    x.rows       = rows_;
    x.cols       = cols_;
    x.row_stride = group_;
    x.kind       = element_kind::packed_code;
    x.table      = &bfloat16_table_of<B>;
    x.floats     = decode_table_of<B>.bits;
    x.layout     = layout_;
    switch (layout_.type) {
      case scale_type::f32: x.scales = reinterpret_cast<const float*>(scales()); break;
      case scale_type::mx_e8m0: x.scales_e8m0 = reinterpret_cast<const e8m0*>(scales()); break;
      case scale_type::nvfp4_e4m3:
        x.scales_e4m3 = reinterpret_cast<const e4m3*>(scales());
        x.tensor_wide = reinterpret_cast<const float*>(scales() + (scale_bytes_ + 3) / 4 * 4);
        break;
    }
    return x;
  }

  /// The shape and the scales, for the checks of a problem: the codes do not lie as its strides say.
  [[nodiscard]] scaled_matrix<const B> outline() const noexcept {
    const gemm_operand x = operand();
    return {{reinterpret_cast<const B*>(codes()), rows_, cols_},
            layout_,
            x.scales,
            x.scales_e8m0,
            x.scales_e4m3,
            x.tensor_wide};
  }

 private:
  [[nodiscard]] std::byte* codes() const noexcept { return memory_.data(); }
  [[nodiscard]] std::byte* scales() const noexcept { return codes() + code_bytes_; }

  /// 32 rows; codes beyond the matrix are 0, which is +0 in every format.
  void fill_group(const matrix_view<const B>& values, int64_t group) noexcept {
    std::byte* const out = codes();
    std::memset(out + group * group_, 0, static_cast<size_t>(group_));
    for (int64_t row = group * 32; row < group * 32 + 32 && row < rows_; ++row) {
      for (int64_t k = 0; k < cols_; ++k)
        out[packed_offset(group_, row, k)] = static_cast<std::byte>(values(row, k).bits());
    }
  }

  void copy_scales(const scaled_matrix<const B>& weight) noexcept {
    const auto copy = [&]<class S>(const S* from) {
      const int64_t down        = weight.layout.scale_rows(rows_);
      const int64_t across      = weight.layout.scale_cols(cols_);
      const scale_places places = weight.layout.places(rows_, cols_);
      auto* const to            = scales();
      for (int64_t c = 0; c < across; ++c) {
        for (int64_t r = 0; r < down; ++r) {
          std::memcpy(to + (c * down + r) * static_cast<int64_t>(sizeof(S)), from + places.at(r, c), sizeof(S));
        }
      }
    };
    if (scale_bytes_ == 0) return;
    switch (weight.layout.type) {
      case scale_type::f32: return copy(weight.scales);
      case scale_type::mx_e8m0: return copy(weight.scales_e8m0);
      case scale_type::nvfp4_e4m3:
        copy(weight.scales_e4m3);
        std::memcpy(scales() + (scale_bytes_ + 3) / 4 * 4, weight.tensor_wide, sizeof(float));
        return;
    }
  }

  aligned_memory memory_;
  int64_t rows_       = 0;
  int64_t cols_       = 0;
  int64_t group_      = 0;
  size_t code_bytes_  = 0;
  size_t scale_bytes_ = 0;
  scale_layout layout_{};
};

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
