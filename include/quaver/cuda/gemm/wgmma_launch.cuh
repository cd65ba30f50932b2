// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_WGMMA_LAUNCH_CUH
#define QUAVER_CUDA_GEMM_WGMMA_LAUNCH_CUH

#include <quaver/cuda/gemm/tensor_map.hpp>
#include <quaver/cuda/gemm/wgmma_kernel.cuh>

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

namespace cuda {

template <class T>
inline constexpr CUtensorMapDataType tensor_map_type = same_type<T, float>      ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
                                                       : same_type<T, half>     ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                                       : same_type<T, bfloat16> ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                                                : CU_TENSOR_MAP_DATA_TYPE_UINT8;

/// The map of an operand whose rows are moved 128 of K at a time.
template <class T>
status make_codes_map(const char* name, const matrix_view<T>& x, int64_t batches, int64_t stride, int rows,
                      tensor_map& to, CUtensorMapL2promotion promotion = CU_TENSOR_MAP_L2_PROMOTION_L2_256B) {
  const tensor_map_request request{.type          = CU_TENSOR_MAP_DATA_TYPE_UINT8,
                                   .element_bytes = 1,
                                   .data          = x.data,
                                   .rows          = x.rows,
                                   .cols          = x.cols,
                                   .row_stride    = x.row_stride,
                                   .batches       = batches,
                                   .batch_stride  = stride,
                                   .box_rows      = rows,
                                   .box_cols      = wgmma_step,
                                   .promotion     = promotion};
  return make_tensor_map(name, request, to);
}

/// Lets a kernel have its shared memory, or says why it cannot run. Asked each time: the attribute is the context's, which
/// may have been made anew.
template <class... Work>
status ready_wgmma(const std::string& name, void (*function)(Work...), size_t shared) {
  cudaFuncAttributes code{};
  cudaError_t error = cudaFuncGetAttributes(&code, function);
  if (status bad = from_runtime((name + ": this program's kernel").c_str(), error); !bad.ok()) return bad;
  if (code.numRegs < 48) {  // without wgmma the kernel is empty
    return {status_code::unsupported,
            name + ": this program has no code for it: compile with -gencode=arch=compute_90a,code=sm_90a"};
  }
  error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  return from_runtime((name + ": shared memory").c_str(), error);
}

/// How many clusters of a kernel each device holds at once: 0 where it was not asked yet.
using known_clusters = std::array<std::atomic<int>, 64>;

/// How many clusters of shape.cluster blocks a device holds at once, 0 where none; asked for once a device.
template <class... Work>
result<int> clusters_at_once(const std::string& name, void (*function)(Work...), const launch_shape& shape, int device,
                             known_clusters& all) {
  const auto slot         = static_cast<size_t>(device);
  std::atomic<int>* known = slot < all.size() ? &all[slot] : nullptr;
  int together            = known == nullptr ? 0 : known->load(std::memory_order_relaxed);
  if (together != 0) return together;
  cudaLaunchAttribute cluster{};
  cluster.id             = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim          = dim3(static_cast<unsigned>(shape.cluster));
  config.blockDim         = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = shape.shared;
  config.attrs            = &cluster;
  config.numAttrs         = 1;
  const cudaError_t error = cudaOccupancyMaxActiveClusters(&together, function, &config);
  if (status bad = from_runtime((name + ": clusters").c_str(), error); !bad.ok()) return bad;
  if (known != nullptr) known->store(together, std::memory_order_relaxed);
  return together;
}

/// The map of D, of which boxes of so many rows and columns are written.
template <class A, class B, class D>
status make_d_map(const gemm_problem<A, B, D>& problem, int box_rows, int box_cols, CUtensorMapSwizzle swizzle,
                  tensor_map& to) {
  const tensor_map_request request{.type          = tensor_map_type<D>,
                                   .element_bytes = sizeof(D),
                                   .data          = problem.d.data,
                                   .rows          = problem.d.rows,
                                   .cols          = problem.d.cols,
                                   .row_stride    = problem.d.row_stride,
                                   .batches       = problem.batches.count,
                                   .batch_stride  = problem.batches.d_stride,
                                   .box_rows      = box_rows,
                                   .box_cols      = box_cols,
                                   .swizzle       = swizzle};
  return make_tensor_map("D", request, to);
}

/// The map of 1 x 128 scales, those of all lines side by side, of which `lines` are moved at once.
inline status make_scales_map(const char* name, const gemm_scales& x, int64_t lines, int steps, int64_t batches,
                              int box, tensor_map& to, bool& batched) {
  batched = batches > 1 && x.batch_stride != 0;
  tensor_map_request request;
  request.type          = CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  request.element_bytes = 4;
  request.data          = x.data;
  request.rows          = steps;
  request.cols          = lines;
  request.row_stride    = x.places.of_col(1);
  request.batches       = batched ? batches : 1;
  request.batch_stride  = x.batch_stride;
  request.box_rows      = 1;
  request.box_cols      = box;
  request.swizzle       = CU_TENSOR_MAP_SWIZZLE_NONE;
  return make_tensor_map(name, request, to);
}

/// A problem that can run, as this kernel wants it.
template <class Shape, wgmma_sums Sums, wgmma_way Way, class A, class B, class D>
result<wgmma_work> prepare_wgmma(const gemm_problem<A, B, D>& problem) {
  wgmma_work w;
  w.work = erased_work(problem, Shape::cluster_rows, Shape::cluster_cols);
  // One block may hold all rows, or all of K; the kernel for blocks goes step by step in any case.
  if (wgmma_scaled<Sums>) w.work.scales_change = true;
  if (w.work.a.scales.block_rows >= static_cast<uint32_t>(w.work.rows)) w.work.a.scales.block_rows = 0;
  if (w.work.b.scales.block_rows >= static_cast<uint32_t>(w.work.cols)) w.work.b.scales.block_rows = 0;
  w.steps                = (w.work.depth + wgmma_step - 1) / wgmma_step;
  w.row_clusters         = w.work.row_tiles;
  w.col_clusters         = w.work.col_tiles;
  constexpr int64_t most = int64_t{1} << 31;
  if (w.work.tiles >= most) {
    return status(status_code::unsupported, "wgmma_gemm: " + std::to_string(problem.batches.count) + " batches of D " +
                                                shape_text(problem.d.rows, problem.d.cols) + " are too many tiles");
  }
  w.clusters            = static_cast<uint32_t>(w.work.tiles);
  const auto& by        = problem.batches;
  w.a_batched           = by.count > 1 && by.a_stride != 0;
  w.b_batched           = by.count > 1 && by.b_stride != 0;
  constexpr int a_box   = Shape::shared == wgmma_shared::a ? Shape::rows / 2 : Shape::rows;
  constexpr int b_box   = Shape::shared == wgmma_shared::b ? Shape::cols / 2 : Shape::cols;
  constexpr auto b_once = Shape::reads_b_once ? CU_TENSOR_MAP_L2_PROMOTION_L2_128B : CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
  const int64_t a_count = w.a_batched ? by.count : 1;
  const int64_t b_count = w.b_batched ? by.count : 1;
  if (status bad = make_codes_map("A", problem.a.values, a_count, by.a_stride, a_box, w.a); !bad.ok()) return bad;
  if (status bad = make_codes_map("B", problem.b.values, b_count, by.b_stride, b_box, w.b, b_once); !bad.ok())
    return bad;
  if constexpr (wgmma_scaled<Sums> && Shape::scales != wgmma_scales::copied) {
    if (status bad = make_scales_map("A's scales", w.work.a.scales, w.work.rows, w.steps, by.count, a_box, w.a_scales,
                                     w.a_scales_batched);
        !bad.ok()) {
      return bad;
    }
  }
  if constexpr (Sums == wgmma_sums::scaled_lines) {
    if (status bad = make_scales_map("B's scales", w.work.b.scales, w.work.cols, w.steps, by.count, b_box, w.b_scales,
                                     w.b_scales_batched);
        !bad.ok()) {
      return bad;
    }
  }
  if constexpr (Way == wgmma_way::direct) {
    // A warp's rows.
    const auto swizzle = d_chunk<D, Shape>::swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE;
    if (status bad = make_d_map(problem, 16, d_chunk<D, Shape>::cols, swizzle, w.d); !bad.ok()) return bad;
  }
  return w;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
