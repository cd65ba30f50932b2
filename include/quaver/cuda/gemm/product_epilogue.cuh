// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_PRODUCT_EPILOGUE_CUH
#define QUAVER_CUDA_GEMM_PRODUCT_EPILOGUE_CUH

#include <quaver/cuda/gemm/epilogue.cuh>

#if !QUAVER_NVRTC
#include <quaver/base/status.hpp>

#include <cuda_runtime_api.h>
#endif

// What becomes of a product A * B^T once its scales are applied, as a type that anybody can write: an epilogue. The
// library's own for gemm_problem is one of them, epilogue_steps.cuh has small ones that are put together, and
// wgmma_gemm_with.cuh runs any.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Which four neighbouring elements of a row are meant. Of a product `col` is a multiple of 4.
struct product_quad {
  int batch;
  int row;
  int col;    ///< of the first
  int count;  ///< how many there are, 0 to 4: those behind the matrix's last column have no meaning
};

template <class Epilogue>
concept passed_to_kernels = __is_trivially_copyable(Epilogue) && sizeof(Epilogue) <= 1024;
template <class Epilogue>
concept called_with_four_elements = requires(Epilogue epilogue, product_quad& at, float (&x)[4]) { epilogue(at, x); };

/// An epilogue: a trivially copyable type of at most 1024 bytes, passed by value to the kernel, with
///
///   __device__ void operator()(product_quad& at, float (&x)[4])
///
/// which is called once for every four elements of the product and does with them what it likes. It may take both by const
/// reference. Threads work on copies of their own, made anew for each tile: what members gather is gathered for a tile. The
/// GEMM promises:
///   - The 32 lanes of a warp call it together, so that it may shuffle with all of them (mask FFFFFFFF). They have
///     128 columns of one row, from a multiple of 128 on: lane l those from 4 l on. Behind the last column count is 0.
///   - Rows behind the last are not called for, and of an empty product nothing is.
///   - x is what gemm_problem calls A * B^T, rounded as wgmma_gemm says; no zero is negative, and NaN is any NaN.
///
/// Three members it may have besides:
///   - `__device__ void end_tile()`, called by the 32 lanes together after their last elements of a tile;
///   - `status check(product_shape& shape) const`, on the host, before anything is planned: whether it can be run;
///   - `status begin(cudaStream_t stream) const`, on the host, before each launch, which it may put something before.
template <class Epilogue>
concept product_epilogue = passed_to_kernels<Epilogue> && called_with_four_elements<Epilogue>;

template <class Epilogue>
__device__ __forceinline__ void end_tile_of(Epilogue& epilogue) noexcept {
  if constexpr (requires { epilogue.end_tile(); }) epilogue.end_tile();
}

/// How many of four elements there are, `left` columns before the end. Without max(min(left, 4), 0), of which ptxas 13.0
/// was seen to take the wrong predicate for "is 4".
__device__ __forceinline__ int finished_of(int left) noexcept {
  int none = left < 0 ? 0 : -1;
  asm("" : "+r"(none));
  return (left >= finished_at_once ? finished_at_once : left) & none;
}

/// The largest of the lanes' magnitudes, to `amax`.
__device__ __forceinline__ void send_amax(uint32_t* amax, uint32_t largest) noexcept {
  largest = __reduce_max_sync(0xFFFF'FFFF, largest);
  if (threadIdx.x % 32 == 0) atomicMax(amax, largest);
}

/// The epilogue that a gemm_problem asks for.
template <finishing What>
struct gemm_epilogue {
  const gemm_work& work;
  uint32_t largest = 0;

  __device__ __forceinline__ void operator()(const product_quad& at, const float (&x)[finished_at_once]) noexcept {
    if (at.count == 0) return;
    largest = finish_elements<What>(work, work.codes[2].values, at.batch, at.row, at.col, at.count, x, largest);
  }
  __device__ __forceinline__ void end_tile() const noexcept {
    if (work.amax != nullptr) send_amax(work.amax, largest);
  }
};

/// Hands the sums of a warpgroup's 64 x Cols elements to an epilogue straight from the registers that wgmma leaves them in,
/// for kernels of one's own. `row` and `col` are those of the first element, rows and cols the size of the product. All
/// lanes of a warp call the epilogue together, with elements of 16 rows: lane l has those of row l / 4, or, where l
/// is odd, of the row 8 below, from column 8 j + l / 2 % 2 * 4 on.
template <size_t Count, class Epilogue>
__device__ __forceinline__ void finish_from_registers(const float (&sums)[Count], int batch, int row, int col, int rows,
                                                      int cols, Epilogue& epilogue) noexcept {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const bool odd  = lane % 2 != 0;
  const int own   = row + static_cast<int>(threadIdx.x % 128 / 32) * 16 + lane / 4 + (odd ? 8 : 0);
#pragma unroll
  for (int i = 0; i < static_cast<int>(Count); i += 4) {
    // A thread has two columns of row l / 4 and the same two of the row 8 below: it gives its neighbour what is of the other.
    const float first  = __shfl_xor_sync(0xFFFF'FFFF, odd ? sums[i] : sums[i + 2], 1);
    const float second = __shfl_xor_sync(0xFFFF'FFFF, odd ? sums[i + 1] : sums[i + 3], 1);
    const int from     = col + 2 * i + lane / 2 % 2 * 4;
    product_quad at{batch, own, from, own < rows ? finished_of(cols - from) : 0};
    float x[4] = {odd ? first : sums[i], odd ? second : sums[i + 1], odd ? sums[i + 2] : first,
                  odd ? sums[i + 3] : second};
    epilogue(at, x);
  }
}

#if !QUAVER_NVRTC

struct product_shape;

/// Of the members check and begin, those that there are can be called where the epilogue is const, and say how it went.
template <class Epilogue>
inline constexpr bool has_const_members =
    (!requires(Epilogue e, product_shape& s) { e.check(s); } ||
     requires(const Epilogue e, product_shape& s) { status{e.check(s)}; }) &&
    (!requires(Epilogue e, cudaStream_t s) { e.begin(s); } ||
     requires(const Epilogue e, cudaStream_t s) { status{e.begin(s)}; });

/// What an epilogue's check is told. A step that makes other columns of the product's changes it for those behind.
struct product_shape {
  int64_t rows    = 0;
  int64_t cols    = 0;
  int64_t batches = 1;
};

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
