// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_CHECKS_CUH
#define QUAVER_CUDA_QUANTIZE_CHECKS_CUH

#include <quaver/cuda/quantize.cuh>

// What the fused casts check on the host before they launch.

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The scales of a matrix, and how many bytes they take; NVFP4's tensor-wide one stands apart.
template <class F>
const void* scales_of(const scaled_matrix<F>& matrix) noexcept {
  switch (matrix.layout.type) {
    case scale_type::f32: return matrix.scales;
    case scale_type::mx_e8m0: return matrix.scales_e8m0;
    case scale_type::nvfp4_e4m3: return matrix.scales_e4m3;
  }
  return nullptr;
}
template <class F>
size_t scale_bytes(const scaled_matrix<F>& matrix) noexcept {
  const auto count = static_cast<size_t>(matrix.layout.scale_count(matrix.rows(), matrix.cols()));
  return matrix.layout.type == scale_type::f32 ? count * sizeof(float) : count;
}

/// Codes and scales of this shape, in memory that the device can reach.
template <class F>
status check_codes(const std::string& name, const scaled_matrix<F>& out, int64_t rows, int64_t cols,
                   const device_limits& device) {
  if (status bad = check_scaled(name + ": the codes", out); !bad.ok()) return bad;
  if (out.rows() != rows || out.cols() != cols) {
    return invalid(name + ": the input is " + shape_text(rows, cols) + ", the codes " +
                   shape_text(out.rows(), out.cols()));
  }
  if (rows == 0 || cols == 0) return {};
  if (status bad = check_reachable(name + ": the codes", out.values.data, device); !bad.ok()) return bad;
  if (out.layout.type == scale_type::nvfp4_e4m3) {
    if (status bad = check_reachable(name + ": tensor_wide", out.tensor_wide, device); !bad.ok()) return bad;
  }
  return check_reachable(name + ": the scales", scales_of(out), device);
}

/// A single number in device memory, which may have to be there.
inline status check_number(const std::string& name, const void* number, bool wanted, const device_limits& device) {
  if (number == nullptr) return wanted ? invalid(name + " is null") : status();
  if (reinterpret_cast<uintptr_t>(number) % 4 != 0) {
    return invalid(name + " is not aligned: its address is 4 n + " +
                   std::to_string(reinterpret_cast<uintptr_t>(number) % 4));
  }
  return check_reachable(name, number, device);
}

/// What kernels take of the options.
inline encoding_plan plan_of(const quantize_options& options) noexcept {
  return {options.policy, options.mx, options.application == scale_application::divide,
          options.source == scale_source::current, options.words};
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
