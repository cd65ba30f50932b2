// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_TENSOR_MAP_HPP
#define QUAVER_CUDA_GEMM_TENSOR_MAP_HPP

#include <quaver/cuda/gemm/wgmma_shape.cuh>
#include <quaver/cuda/launch.cuh>

#if !QUAVER_NVRTC

#include <cuda.h>
#include <cudaTypedefs.h>

#include <cstring>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The driver's function that makes tensor maps, found through the runtime: no program links the driver for it.
inline result<PFN_cuTensorMapEncodeTiled_v12000> tensor_map_encoder() {
  static std::atomic<PFN_cuTensorMapEncodeTiled_v12000> known{nullptr};
  PFN_cuTensorMapEncodeTiled_v12000 encoder = known.load(std::memory_order_relaxed);
  if (encoder != nullptr) return encoder;
  void* found                            = nullptr;
  cudaDriverEntryPointQueryResult answer = cudaDriverEntryPointSymbolNotFound;
  constexpr unsigned version             = 12000;  // of CUDA, when it came
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, version, cudaEnableDefault, &answer);
  if (status bad = from_runtime("cuTensorMapEncodeTiled", error); !bad.ok()) return bad;
  if (answer != cudaDriverEntryPointSuccess) {
    return status(status_code::unsupported,
                  "cuTensorMapEncodeTiled: this driver has no tensor maps; CUDA 12.0 brought them");
  }
  encoder = reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(found);
  known.store(encoder, std::memory_order_relaxed);
  return encoder;
}

/// What a tensor map is made from: batches of matrices with contiguous rows, and the box that is moved at once. All
/// addresses must be multiples of 16 bytes.
struct tensor_map_request {
  CUtensorMapDataType type   = CU_TENSOR_MAP_DATA_TYPE_UINT8;
  int element_bytes          = 1;
  const void* data           = nullptr;
  int64_t rows               = 0;
  int64_t cols               = 0;
  int64_t row_stride         = 0;  ///< in elements
  int64_t batches            = 1;
  int64_t batch_stride       = 0;
  int box_rows               = 0;
  int box_cols               = 0;  ///< of one batch
  CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_128B;
  /// What the second-level cache fetches at least.
  CUtensorMapL2promotion promotion = CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
};

inline status make_tensor_map(const char* name, const tensor_map_request& from, tensor_map& to) {
  const result<PFN_cuTensorMapEncodeTiled_v12000> encoder = tensor_map_encoder();
  if (!encoder.ok()) return encoder.error();
  const auto extent = [](int64_t x) { return static_cast<cuuint64_t>(x); };
  // A single row or batch has no stride that means anything, but the map wants one: a multiple of 16.
  const int64_t row_bytes =
      from.rows > 1 ? from.row_stride * from.element_bytes : (from.cols * from.element_bytes + 15) / 16 * 16;
  const int64_t batch_bytes  = from.batches > 1 ? from.batch_stride * from.element_bytes : row_bytes * from.rows;
  const cuuint64_t extents[] = {extent(from.cols), extent(from.rows), extent(from.batches)};
  const cuuint64_t strides[] = {extent(row_bytes), extent(batch_bytes)};
  const cuuint32_t box[]     = {static_cast<cuuint32_t>(from.box_cols), static_cast<cuuint32_t>(from.box_rows), 1};
  const cuuint32_t steps[]   = {1, 1, 1};
  CUtensorMap map;
  const CUresult made =
      (*encoder)(&map, from.type, 3, const_cast<void*>(from.data), extents, strides, box, steps,
                 CU_TENSOR_MAP_INTERLEAVE_NONE, from.swizzle, from.promotion, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  static_assert(sizeof(map) == sizeof(to));
  std::memcpy(&to, &map, sizeof(to));
  if (made == CUDA_SUCCESS) return {};
  return {status_code::unsupported, std::string("gemm: no tensor map for ") + name + ", " +
                                        shape_text(from.rows, from.cols) + ", row stride " +
                                        std::to_string(from.row_stride) + ", " + std::to_string(from.batches) +
                                        " batches " + std::to_string(from.batch_stride) +
                                        " apart: the driver's error " + std::to_string(static_cast<int>(made))};
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
