// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_CHECKS_CUH
#define QUAVER_CUDA_QUANTIZE_CHECKS_CUH

#include <quaver/cuda/quantize.cuh>

// What the fused casts check on the host before they launch.

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

namespace cuda {

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

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
