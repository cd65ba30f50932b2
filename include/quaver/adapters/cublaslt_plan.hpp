// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_CUBLASLT_PLAN_HPP
#define QUAVER_ADAPTERS_CUBLASLT_PLAN_HPP

// The library's descriptions of a request, the algorithms it offers, and one call of it.

#include <quaver/adapters/cublaslt_support.hpp>
#include <quaver/cuda/launch.cuh>

#include <cuda.h>

#include <vector>

QUAVER_BEGIN_NAMESPACE

/// The status for what the library said.
inline status from_cublaslt(const char* what, cublasStatus_t outcome) {
  if (outcome == CUBLAS_STATUS_SUCCESS) return {};
  static_cast<void>(cudaGetLastError());
  return {status_code::device_error,
          std::string(what) + ": " + cublasLtGetStatusString(outcome) + " (" + cublasLtGetStatusName(outcome) + ")"};
}

/// The largest power of two up to 256, the most that the library asks about, at which data and batches begin.
inline uint32_t cublaslt_alignment(const void* data, int64_t batch_bytes) noexcept {
  const auto bits =
      static_cast<uint64_t>(reinterpret_cast<std::uintptr_t>(data)) | static_cast<uint64_t>(batch_bytes) | 256u;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

/// What the algorithms for a request depend on: the request with alignments for addresses and without numbers.
inline cublaslt_request cublaslt_key_of(cublaslt_request request) noexcept {
  const auto aligned = [](const void* data, int64_t bytes) {
    return reinterpret_cast<void*>(static_cast<std::uintptr_t>(cublaslt_alignment(data, bytes)));
  };
  const int64_t size = cublaslt_bytes(request.d_type);
  request.a.data     = aligned(request.a.data, request.a.batch_bytes());
  request.b.data     = aligned(request.b.data, request.b.batch_bytes());
  request.d          = aligned(request.d, request.d_batch_stride * size);
  if (request.c != nullptr) request.c = aligned(request.c, request.c_batch_stride * size);
  request.a.scales = request.b.scales = nullptr;
  request.a.tensor_wide = request.b.tensor_wide = nullptr;
  request.alpha                                 = 1.0f;
  request.beta                                  = request.beta != 0.0f ? 1.0f : 0.0f;
  request.d_scale                               = request.d_scale == 1.0f ? 1.0f : 2.0f;
  if (request.d_scale_at != nullptr) request.d_scale_at = reinterpret_cast<const float*>(std::uintptr_t{16});
  if (request.d_amax != nullptr) request.d_amax = reinterpret_cast<float*>(std::uintptr_t{16});
  return request;
}

/// Where the parts of the caller's workspace begin: numbers (D's scale, alpha, beta), padded scales of A and of B, then the
/// library's own.
struct cublaslt_workspace {
  static constexpr size_t part  = 256;  ///< what the parts, and the workspace itself, are aligned to
  static constexpr size_t alpha = 16;   ///< among the numbers, of which D's scale is the first
  static constexpr size_t beta  = 32;
  size_t a_scales               = 0;
  size_t b_scales               = 0;
  size_t library                = 0;

  static constexpr size_t rounded(size_t bytes) noexcept { return (bytes + part - 1) / part * part; }
  static cublaslt_workspace of(const cublaslt_request& request, const cublaslt_form& form) noexcept {
    const auto floats = [](int64_t count) { return rounded(static_cast<size_t>(count) * sizeof(float)); };
    cublaslt_workspace at;
    at.a_scales = request.d_scale != 1.0f || form.two_levels ? part : 0;
    at.b_scales = at.a_scales + floats(form.a_padded);
    at.library  = at.b_scales + floats(form.b_padded);
    return at;
  }
};

/// An algorithm that the library offers. (A type with a name: nvcc 13.0 breaks on vectors of the library's own, which
/// has none.)
struct cublaslt_algorithm {
  cublasLtMatmulAlgo_t algo{};
  size_t workspace = 0;  ///< bytes
};

/// A product of three numbers by the library: *to = alpha * (*a * *b), each product rounded to binary32, all but alpha in
/// device memory. For what else would need a kernel, which headers for host compilers have not.
class cublaslt_number_product {
 public:
  status prepare(cublasLtHandle_t library) {
    cublasStatus_t first = CUBLAS_STATUS_SUCCESS;
    const auto must = [&first](cublasStatus_t outcome) { first = first == CUBLAS_STATUS_SUCCESS ? outcome : first; };
    const auto ask  = [&](cublasLtMatmulPreferenceOpaque_t& wish, cublasLtMatmulPreferenceAttributes_t what,
                         auto value) {
      must(cublasLtMatmulPreferenceSetAttribute(&wish, what, &value, sizeof(value)));
    };
    must(cublasLtMatmulDescInit(&operation_, CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F));
    must(cublasLtMatrixLayoutInit(&number_, CUDA_R_32F, 1, 1, 1));
    cublasLtMatmulPreferenceOpaque_t wish{};
    must(cublasLtMatmulPreferenceInit(&wish));
    ask(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{0});
    for (const auto what : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      ask(wish, what, uint32_t{4});
    if (first != CUBLAS_STATUS_SUCCESS) return from_cublaslt("cuBLASLt: a product of numbers", first);
    int offered = 0;
    cublasLtMatmulHeuristicResult_t offer{};
    const cublasStatus_t outcome = cublasLtMatmulAlgoGetHeuristic(library, &operation_, &number_, &number_, &number_,
                                                                  &number_, &wish, 1, &offer, &offered);
    if (outcome != CUBLAS_STATUS_SUCCESS) return from_cublaslt("cuBLASLt: a product of numbers", outcome);
    if (offered == 0) return cublaslt_unsupported("no algorithm for a product of two numbers");
    algorithm_ = offer.algo;
    return {};
  }
  status enqueue(cublasLtHandle_t library, float alpha, const float* a, const float* b, float* to,
                 cudaStream_t stream) {
    const float beta = 0.0f;
    return from_cublaslt("cuBLASLt: a product of numbers",
                         cublasLtMatmul(library, &operation_, &alpha, a, &number_, b, &number_, &beta, nullptr,
                                        &number_, to, &number_, &algorithm_, nullptr, 0, stream));
  }

 private:
  cublasLtMatmulDescOpaque_t operation_{};
  cublasLtMatrixLayoutOpaque_t number_{};
  cublasLtMatmulAlgo_t algorithm_{};
};

/// The descriptions of all requests that differ in addresses and factors alone. D of rows is to the library the
/// transposed D of columns, so its A is our B.
class cublaslt_matmul {
 public:
  cublaslt_form form{};
  cublaslt_workspace parts{};
  std::vector<cublaslt_algorithm> found;  ///< as the library ranks them
  size_t chosen = 0;

  /// Makes the descriptions and asks for the algorithms that need at most `most` bytes.
  status prepare(cublasLtHandle_t library, const cublaslt_request& request, size_t most) {
    parts = cublaslt_workspace::of(request, form);
    words_.clear();
    must(cublasLtMatmulDescInit(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(CUBLASLT_MATMUL_DESC_TRANSA, static_cast<int32_t>(CUBLAS_OP_T));
    set(CUBLASLT_MATMUL_DESC_TRANSB, static_cast<int32_t>(CUBLAS_OP_N));
    set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, int8_t{request.accumulate == accumulation::fast});
    set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, form.b_mode);
    set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, form.a_mode);
    if (form.two_levels) {
      set(CUBLASLT_MATMUL_DESC_POINTER_MODE, static_cast<int32_t>(CUBLASLT_POINTER_MODE_DEVICE));
      if (status bad = wide_.prepare(library); !bad.ok()) return bad;
    }
    set(CUBLASLT_MATMUL_DESC_EPILOGUE,
        static_cast<uint32_t>(request.act == activation::relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT));
    // Looked at for alignment, not read: what is set before each launch.
    a_scales_ = b_scales_ = d_scale_ = d_amax_ = nullptr;
    set_pointer(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, request.a.scales, a_scales_);
    set_pointer(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, request.b.scales, b_scales_);
    const bool stored = request.d_scale != 1.0f;
    const void* scale = stored ? request.a.scales : request.d_scale_at;
    set_pointer(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, scale, d_scale_);
    set_pointer(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, request.d_amax, d_amax_);

    const int64_t size     = cublaslt_bytes(request.d_type);
    const int64_t c_stride = request.c != nullptr ? request.c_row_stride : request.d_row_stride;
    const int c_type     = size == 1 ? static_cast<int>(CUDA_R_16BF) : request.d_type;  // beside 8-bit D it is not read
    const int64_t c_line = size == 1 ? (c_stride + 7) / 8 * 8 : c_stride;
    const int64_t c_batch     = request.c != nullptr ? request.c_batch_stride : request.d_batch_stride;
    const auto count          = static_cast<int32_t>(form.loops ? 1 : request.batches);
    const cublaslt_operand& a = request.a;
    const cublaslt_operand& b = request.b;
    describe(a_, b.type, request.k, b.rows, b.row_stride, b.batch_stride, count);
    describe(b_, a.type, request.k, a.rows, a.row_stride, a.batch_stride, count);
    describe(c_, c_type, request.n(), request.m(), c_line, c_batch, count);
    describe(d_, request.d_type, request.n(), request.m(), request.d_row_stride, request.d_batch_stride, count);

    cublasLtMatmulPreferenceOpaque_t wish{};
    must(cublasLtMatmulPreferenceInit(&wish));
    const auto ask = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      must(cublasLtMatmulPreferenceSetAttribute(&wish, what, &value, sizeof(value)));
    };
    const uint32_t d_aligned = cublaslt_alignment(request.d, request.d_batch_stride * size);
    const uint32_t c_aligned =
        request.c != nullptr ? cublaslt_alignment(request.c, request.c_batch_stride * size) : d_aligned;
    // Of those that cut K into parts, only those that add the parts up in binary32: the others round each to D's type.
    ask(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    ask(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{most});
    ask(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, cublaslt_alignment(b.data, b.batch_bytes()));
    ask(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, cublaslt_alignment(a.data, a.batch_bytes()));
    ask(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c_aligned);
    ask(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, d_aligned);
    if (!words_.empty()) return {status_code::device_error, words_};

    constexpr int wanted = 16;
    int offered          = 0;
    cublasLtMatmulHeuristicResult_t offers[wanted];
    const cublasStatus_t outcome =
        cublasLtMatmulAlgoGetHeuristic(library, &operation_, &a_, &b_, &c_, &d_, &wish, wanted, offers, &offered);
    static_cast<void>(cudaGetLastError());
    found.clear();
    for (int i = 0; outcome == CUBLAS_STATUS_SUCCESS && i < offered; ++i) {
      if (offers[i].state == CUBLAS_STATUS_SUCCESS) found.push_back({offers[i].algo, offers[i].workspaceSize});
    }
    if (!found.empty()) return {};
    return cublaslt_unsupported(
        "no algorithm for D (" + shape_text(request.m(), request.n()) + ", " + cublaslt_type_name(request.d_type) +
        "), K " + std::to_string(request.k) + ", " + cublaslt_type_name(a.type) + " by " + cublaslt_type_name(b.type) +
        ", scales " + cublaslt_mode_name(form.a_mode) + " and " + cublaslt_mode_name(form.b_mode) + ", " +
        std::to_string(request.batches) + " batches, " + std::to_string(most) +
        " bytes of workspace: " + cublasLtGetStatusString(outcome) + " (" + cublasLtGetStatusName(outcome) + ")");
  }

  /// The bytes of workspace that an algorithm of `found` needs here.
  [[nodiscard]] size_t workspace(size_t algorithm) const noexcept { return parts.library + found[algorithm].workspace; }

  /// Puts the launches into the stream. The workspace holds workspace(algorithm) bytes.
  status enqueue(cublasLtHandle_t library, const cublaslt_request& request, size_t algorithm, std::byte* workspace,
                 cudaStream_t stream) {
    if (request.d_scale != 1.0f) {
      if (status bad = store(request.d_scale, workspace, stream); !bad.ok()) return bad;
    }
    const void* alpha = &request.alpha;
    const void* beta  = &request.beta;
    if (form.two_levels) {
      alpha               = workspace + cublaslt_workspace::alpha;
      beta                = workspace + cublaslt_workspace::beta;
      auto* const product = reinterpret_cast<float*>(workspace + cublaslt_workspace::alpha);
      if (status bad =
              wide_.enqueue(library, request.alpha, request.a.tensor_wide, request.b.tensor_wide, product, stream);
          !bad.ok())
        return bad;
      if (status bad = store(request.beta, workspace + cublaslt_workspace::beta, stream); !bad.ok()) return bad;
    }
    const int64_t launches = form.loops ? request.batches : 1;
    const int64_t size     = cublaslt_bytes(request.d_type);
    for (int64_t i = 0; i < launches; ++i) {
      const auto scales_of = [i](const cublaslt_operand& x) {
        return static_cast<const void*>(static_cast<const std::byte*>(x.scales) + i * x.scale_batch_bytes());
      };
      const auto batch_of = [i](const void* data, int64_t bytes) {
        return static_cast<const void*>(static_cast<const std::byte*>(data) + i * bytes);
      };
      const void* a_scales = scales_of(request.a);
      const void* b_scales = scales_of(request.b);
      if (form.a_padded != 0) {
        if (status bad = pad(request.a, request.k, a_scales, workspace + parts.a_scales, stream); !bad.ok()) return bad;
        a_scales = workspace + parts.a_scales;
      }
      if (form.b_padded != 0) {
        if (status bad = pad(request.b, request.k, b_scales, workspace + parts.b_scales, stream); !bad.ok()) return bad;
        b_scales = workspace + parts.b_scales;
      }
      set_pointer(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, a_scales, a_scales_);
      set_pointer(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, b_scales, b_scales_);
      const void* d_scale = request.d_scale != 1.0f ? static_cast<const void*>(workspace) : request.d_scale_at;
      set_pointer(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, d_scale, d_scale_);
      set_pointer(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, request.d_amax, d_amax_);
      auto* const d = static_cast<std::byte*>(request.d) + i * request.d_batch_stride * size;
      // No C where it is not read: the library would want it described as D is if it were D.
      const void* c = request.c != nullptr ? batch_of(request.c, request.c_batch_stride * size) : nullptr;
      const cublasStatus_t outcome =
          cublasLtMatmul(library, &operation_, alpha, batch_of(request.b.data, request.b.batch_bytes()), &a_,
                         batch_of(request.a.data, request.a.batch_bytes()), &b_, beta, c, &c_, d, &d_,
                         &found[algorithm].algo, workspace + parts.library, found[algorithm].workspace, stream);
      if (outcome != CUBLAS_STATUS_SUCCESS) return from_cublaslt("cublasLtMatmul", outcome);
    }
    return {};
  }

 private:
  cublasLtMatmulDescOpaque_t operation_{};
  cublasLtMatrixLayoutOpaque_t a_{};
  cublasLtMatrixLayoutOpaque_t b_{};
  cublasLtMatrixLayoutOpaque_t c_{};
  cublasLtMatrixLayoutOpaque_t d_{};
  cublaslt_number_product wide_;
  const void* a_scales_ = nullptr;  ///< as they stand in the description
  const void* b_scales_ = nullptr;
  const void* d_scale_  = nullptr;
  const void* d_amax_   = nullptr;
  std::string words_;  ///< what the library had against the descriptions

  void must(cublasStatus_t outcome) {
    if (outcome != CUBLAS_STATUS_SUCCESS) words_ = from_cublaslt("cuBLASLt: a description", outcome).message();
  }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t what, T value) {
    must(cublasLtMatmulDescSetAttribute(&operation_, what, &value, sizeof(value)));
  }
  void set_pointer(cublasLtMatmulDescAttributes_t what, const void* pointer, const void*& known) {
    if (pointer == known) return;
    set(what, pointer);
    known = pointer;
  }
  void describe(cublasLtMatrixLayoutOpaque_t& layout, int type, int64_t rows, int64_t cols, int64_t stride,
                int64_t batch_stride, int32_t count) {
    must(cublasLtMatrixLayoutInit(&layout, static_cast<cudaDataType>(type), static_cast<uint64_t>(rows),
                                  static_cast<uint64_t>(cols), stride));
    if (count == 1) return;
    must(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
    must(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch_stride,
                                          sizeof(batch_stride)));
  }

  /// A float into device memory, in the stream and without host memory that must outlast the call: a memset of 32 bits,
  /// which the driver has and the runtime has not.
  static status store(float value, std::byte* to, cudaStream_t stream) {
    using memset_words          = CUresult (*)(CUdeviceptr, unsigned, size_t, CUstream);
    static const auto set_words = [] {
      void* entry                            = nullptr;
      cudaDriverEntryPointQueryResult answer = cudaDriverEntryPointSymbolNotFound;
      static_cast<void>(
          cudaGetDriverEntryPointByVersion("cuMemsetD32Async", &entry, 12000, cudaEnableDefault, &answer));
      return answer == cudaDriverEntryPointSuccess ? reinterpret_cast<memset_words>(entry) : nullptr;
    }();
    const CUresult outcome =
        set_words == nullptr ? CUDA_ERROR_NOT_FOUND
                             : set_words(reinterpret_cast<CUdeviceptr>(to), bitwise_cast<uint32_t>(value), 1, stream);
    if (outcome == CUDA_SUCCESS) return {};
    return {status_code::device_error,
            "cuBLASLt: cuMemsetD32Async of D's scale failed with error " + std::to_string(static_cast<int>(outcome))};
  }

  /// 128x128 scales with rows of a multiple of 4. What pads them is not read as a scale, and stays as it was.
  static status pad(const cublaslt_operand& x, int64_t k, const void* from, std::byte* to, cudaStream_t stream) {
    const auto width = static_cast<size_t>((k + 127) / 128) * sizeof(float);
    const auto rows  = static_cast<size_t>(x.layout.scale_rows(x.rows));
    return cuda::from_runtime(
        "cuBLASLt: cudaMemcpy2DAsync of scales",
        cudaMemcpy2DAsync(to, (width + 15) / 16 * 16, from, width, width, rows, cudaMemcpyDeviceToDevice, stream));
  }
};

QUAVER_END_NAMESPACE

#endif
