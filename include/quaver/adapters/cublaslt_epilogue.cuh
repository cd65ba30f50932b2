// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_CUBLASLT_EPILOGUE_CUH
#define QUAVER_ADAPTERS_CUBLASLT_EPILOGUE_CUH

// What cuBLASLt has not of a gemm_problem's epilogue, by a kernel of ours behind it: the library writes its sums as
// binary32, which rounds nothing, and the kernel does the rest of the definition, each operation rounded once: beta * C,
// a float bias, gelu, silu, any D with any strides, amax. It costs a pass over D and, unless D is float itself, 4 bytes
// of workspace an element of D: for what must be done, not for speed.

#include <quaver/adapters/cublaslt.hpp>
#include <quaver/convert/decode.hpp>
#include <quaver/convert/elements.hpp>
#include <quaver/scale/binary32.hpp>

#if !QUAVER_NVRTC

QUAVER_BEGIN_NAMESPACE

/// What is to become of sums, alpha * A * B^T or more, in binary32. Strides in elements.
template <class D>
struct cublaslt_epilogue {
  const float* sums  = nullptr;
  int64_t sums_row   = 0;
  int64_t sums_batch = 0;
  matrix_view<D> d{};  ///< may be the sums themselves
  int64_t d_batch = 0;
  matrix_view<const D> c{};  ///< null where nothing is left to be added
  int64_t c_batch    = 0;
  int64_t batches    = 1;
  const float* bias  = nullptr;
  int64_t bias_batch = 0;
  float beta         = 0.0f;
  activation act     = activation::none;
  float d_scale      = 1.0f;
  float* d_amax      = nullptr;  ///< 0 before; what is there grows
};

/// A block a row and as many more as there are rows. NaN becomes 7FC00000 before it is rounded to D's type.
template <class D>
__global__ void finish_cublaslt_sums(cublaslt_epilogue<D> work) {
  const rounded_operations op;
  uint32_t largest   = 0;
  const int64_t rows = work.d.rows * work.batches;
  for (int64_t at = blockIdx.x; at < rows; at += gridDim.x) {
    const int64_t batch = at / work.d.rows;
    const int64_t row   = at % work.d.rows;
    for (int64_t col = threadIdx.x; col < work.d.cols; col += blockDim.x) {
      float value = work.sums[batch * work.sums_batch + row * work.sums_row + col];
      if (work.c.data != nullptr) {
        const D* const old = work.c.data + batch * work.c_batch + row * work.c.row_stride + col * work.c.col_stride;
        float c            = 0.0f;
        if constexpr (same_type<D, float>) c = *old;
        else c = decode<float>(*old);
        value = op.add(value, op.multiply(work.beta, c));
      }
      if (work.bias != nullptr) value = op.add(value, work.bias[batch * work.bias_batch + col]);
      uint32_t bits = bitwise_cast<uint32_t>(value);
      if ((bits & binary<float>::magnitude_mask) > binary<float>::infinity) bits = binary<float>::nan;
      bits                     = activate_bits(work.act, bits, op);
      const uint32_t magnitude = bits & binary<float>::magnitude_mask;  // NaN's is the largest
      largest                  = magnitude > largest ? magnitude : largest;
      D* const out             = work.d.data + batch * work.d_batch + row * work.d.row_stride + col * work.d.col_stride;
      if constexpr (eight_bit<D>) {
        const float scaled = op.multiply(bitwise_cast<float>(bits), work.d_scale);
        *out               = encode_bits<D, rounding::nearest_even, overflow::saturate>(bitwise_cast<uint32_t>(scaled));
      } else {
        *out = from_binary32_bits<D>(bits);
      }
    }
  }
  if (work.d_amax == nullptr) return;
  largest = __reduce_max_sync(0xFFFF'FFFFu, largest);
  if (threadIdx.x % 32 == 0 && largest != 0) atomicMax(reinterpret_cast<unsigned*>(work.d_amax), largest);
}

/// cublaslt_gemm, and the kernel above for problems that it refuses for their epilogue or D alone. The same contract; the
/// plan says which it is.
class cublaslt_gemm_with_epilogue {
 public:
  explicit cublaslt_gemm_with_epilogue(cublaslt_gemm& engine) noexcept : engine_(engine) {}

  /// Why run cannot run this problem, or ok. Nothing is launched.
  template <library_activation A, library_weight B, gemm_output D>
  status can_run(const gemm_problem<A, B, D>& problem) {
    return workspace(problem).error();
  }

  /// The bytes that run needs: the sums, where D cannot hold them, and the library's.
  template <library_activation A, library_weight B, gemm_output D>
  result<size_t> workspace(const gemm_problem<A, B, D>& problem) {
    const result<parts> how = split(problem, nullptr);
    if (!how.ok()) return how.error();
    if (how->whole) return engine_.workspace(problem);
    const result<size_t> library = engine_.workspace(how->sums);
    if (!library.ok()) return library.error();
    return how->scratch + *library;
  }

  template <library_activation A, library_weight B, gemm_output D>
  result<cublaslt_plan> plan(const gemm_problem<A, B, D>& problem) {
    const result<parts> how = split(problem, nullptr);
    if (!how.ok()) return how.error();
    if (how->whole) return engine_.plan(problem);
    result<cublaslt_plan> plan = engine_.plan(how->sums);
    if (!plan.ok()) return plan;
    plan->workspace += how->scratch;
    plan->text += how->scratch == 0 ? "; then a kernel over D for the epilogue"
                                    : "; its sums in " + std::to_string(how->scratch) +
                                          " bytes of workspace more, then a kernel from there to D";
    return plan;
  }

  /// As cublaslt_gemm::run.
  template <library_activation A, library_weight B, gemm_output D>
  status run(const gemm_problem<A, B, D>& problem, std::span<std::byte> workspace, cudaStream_t stream) {
    const result<parts> how = split(problem, workspace.data());
    if (!how.ok()) return how.error();
    if (how->whole) return engine_.run(problem, workspace, stream);
    if (workspace.size() < how->scratch) {
      return invalid("cuBLASLt: the workspace has " + std::to_string(workspace.size()) +
                     " bytes, the sums alone need " + std::to_string(how->scratch));
    }
    if (status bad = engine_.run(how->sums, workspace.subspan(how->scratch), stream); !bad.ok()) return bad;
    const gemm_batches& by = problem.batches;
    cublaslt_epilogue<D> work;
    work.sums       = static_cast<const float*>(how->sums.d);
    work.sums_row   = how->sums.d_row_stride;
    work.sums_batch = how->sums.d_batch_stride;
    work.d          = problem.d;
    work.d_batch    = by.d_stride;
    work.batches    = by.count;
    work.bias       = problem.bias;
    work.bias_batch = by.bias_stride;
    work.act        = problem.act;
    work.d_scale    = problem.d_scale.value();
    work.d_amax     = problem.d_amax;
    if (problem.beta != 0.0f && how->scratch != 0) {
      work.c       = problem.c;
      work.c_batch = by.c_stride;
      work.beta    = problem.beta;
    }
    if (problem.d_amax != nullptr) {
      const cudaError_t error = cudaMemsetAsync(problem.d_amax, 0, sizeof(float), stream);
      if (status bad = cuda::from_runtime("cuBLASLt: cudaMemsetAsync", error); !bad.ok()) return bad;
    }
    const int64_t rows     = problem.d.rows * by.count;
    constexpr int64_t most = 4096;
    return cuda::launch("cuBLASLt: the epilogue", &finish_cublaslt_sums<D>,
                        cuda::launch_shape{rows < most ? rows : most, 256}, stream, work);
  }

 private:
  /// How a problem is run: whole, or its sums as a request of their own.
  struct parts {
    bool whole     = true;
    size_t scratch = 0;  ///< bytes of sums in the workspace, 0 where D holds them
    cublaslt_request sums{};
  };

  cublaslt_gemm& engine_;

  template <class A, class B, class D>
  result<parts> split(const gemm_problem<A, B, D>& problem, std::byte* workspace) {
    const status whole = engine_.can_run(problem);
    if (whole.ok()) return parts{};
    if (whole.code() != status_code::unsupported) return whole;  // nothing is wrong with it but for the library
    const result<cuda::device_limits> device = cuda::current_device();
    if (!device.ok()) return device.error();
    const std::pair<const char*, const void*> places[] = {
        {"cuBLASLt: D", problem.d.data},
        {"cuBLASLt: C", problem.beta != 0.0f ? problem.c.data : nullptr},
        {"cuBLASLt: the bias", problem.bias},
        {"cuBLASLt: d_amax", problem.d_amax},
    };
    for (const auto& [name, pointer] : places) {
      if (status bad = cuda::check_reachable(name, pointer, *device); !bad.ok()) return bad;
    }
    parts how;
    how.whole        = false;
    how.sums         = cublaslt_request_of(problem, device->device);
    how.sums.bias    = nullptr;
    how.sums.act     = activation::none;
    how.sums.d_amax  = nullptr;
    how.sums.d_scale = 1.0f;
    if constexpr (same_type<D, float>) {
      if (engine_.workspace(how.sums).ok()) return how;
    }
    const int64_t row       = (problem.d.cols + 3) / 4 * 4;
    how.sums.d_type         = CUDA_R_32F;
    how.sums.d_row_stride   = row;
    how.sums.d_col_stride   = 1;
    how.sums.d_batch_stride = problem.d.rows * row;
    how.sums.c              = nullptr;
    how.sums.beta           = 0.0f;
    how.sums.c_row_stride = how.sums.c_batch_stride = 0;
    how.sums.c_col_stride                           = 1;
    how.scratch = cublaslt_workspace::rounded(static_cast<size_t>(problem.batches.count * problem.d.rows * row) * 4);
    // To be asked about it need not be the memory, but some that the device reaches and as well aligned.
    const auto place = reinterpret_cast<std::uintptr_t>(problem.d.data);
    how.sums.d       = workspace != nullptr
                           ? static_cast<void*>(workspace)
                           : reinterpret_cast<void*>(place / cublaslt_workspace::part * cublaslt_workspace::part);
    if (const result<size_t> sums = engine_.workspace(how.sums); !sums.ok()) return sums.error();
    return how;
  }
};

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
