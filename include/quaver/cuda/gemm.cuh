// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_GEMM_CUH
#define QUAVER_CUDA_GEMM_CUH

#include <quaver/cuda/gemm/mma_bf16.cuh>
#include <quaver/cuda/gemm/mma_f16.cuh>
#include <quaver/cuda/gemm/mma_fp8.cuh>
#include <quaver/cuda/launch.cuh>
#include <quaver/problem/gemm_checks.hpp>

#if !QUAVER_NVRTC

#include <span>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// Which kernels multiply.
enum class gemm_engine : uint8_t {
  automatic,
  mma_bf16,  ///< any formats: codes become bfloat16s exactly, mma.sync multiplies those
  mma_f16,   ///< E4M3 and E5M2: the same with halves
  mma_fp8,   ///< E4M3 and E5M2, sm_89 and later: mma.sync multiplies the codes; its sums round as the chip likes
};

constexpr const char* name_of(gemm_engine engine) noexcept {
  switch (engine) {
    case gemm_engine::automatic: return "automatic";
    case gemm_engine::mma_bf16: return "mma_bf16";
    case gemm_engine::mma_f16: return "mma_f16";
    case gemm_engine::mma_fp8: return "mma_fp8";
  }
  return "";
}

struct gemm_options {
  gemm_engine engine = gemm_engine::automatic;
  /// Device memory of gemm_workspace() bytes or more, left to the call until the stream has passed it.
  std::span<std::byte> workspace{};
};

/// How a problem will be run: what `gemm` decides before it launches.
struct gemm_plan {
  gemm_engine engine = gemm_engine::automatic;  ///< never automatic in a plan that was made
  int rows           = 0;                       ///< of a tile of D
  int cols           = 0;
  int64_t blocks     = 0;  ///< thread blocks; 0: there is nothing to multiply
  int threads        = 0;
  size_t shared      = 0;  ///< bytes of shared memory of one
  size_t workspace   = 0;  ///< bytes
  std::string slow;        ///< what of this problem costs speed, and why; empty where nothing does

  /// One sentence or two, the slow paths among them.
  [[nodiscard]] std::string description() const {
    std::string text = std::string(name_of(engine)) + ": tiles of " + shape_text(rows, cols) + ", " +
                       std::to_string(blocks) + (blocks == 1 ? " thread block" : " thread blocks");
    if (!slow.empty()) text += "; slow: " + slow;
    return text;
  }
};

/// The engine that the options stand for. Automatic: mma_f16 where the chip has instructions that decode to halves.
template <class A, class B>
gemm_engine chosen(const gemm_options& options, const device_limits& device) noexcept {
  if (options.engine != gemm_engine::automatic) return options.engine;
  return ptx::is_fp8<A> && ptx::is_fp8<B> && device.capability >= 89 ? gemm_engine::mma_f16 : gemm_engine::mma_bf16;
}

/// A pointer that kernels reach and may read as a T.
template <class T>
status check_pointer(const char* name, const T* pointer, const device_limits& device) {
  if (reinterpret_cast<std::uintptr_t>(pointer) % alignof(T) != 0) {
    return invalid(std::string("gemm: ") + name + " is not aligned to its elements of " + std::to_string(sizeof(T)) +
                   " bytes");
  }
  return check_reachable(std::string("gemm: ") + name, pointer, device);
}

template <class F>
status check_operand(const std::string& name, const scaled_matrix<const F>& x, const device_limits& device) {
  if (x.rows() == 0 || x.cols() == 0) return {};
  if (status bad = check_pointer(name.c_str(), x.values.data, device); !bad.ok()) return bad;
  const std::string scales = "the scales of " + name;
  switch (x.layout.type) {
    case scale_type::f32: return check_pointer(scales.c_str(), x.scales, device);
    case scale_type::mx_e8m0: return check_pointer(scales.c_str(), x.scales_e8m0, device);
    case scale_type::nvfp4_e4m3:
      if (status bad = check_pointer(scales.c_str(), x.scales_e4m3, device); !bad.ok()) return bad;
      return check_pointer((name + "'s tensor_wide").c_str(), x.tensor_wide, device);
  }
  return {};
}

using gemm_function = void (*)(gemm_work);

/// The kernel of an engine; that of mma_bf16 where the engine does not take these formats.
template <class A, class B>
gemm_function kernel_of(gemm_engine engine) noexcept {
  if constexpr (ptx::is_fp8<A> && ptx::is_fp8<B>) {
    if (engine == gemm_engine::mma_f16) return gemm_kernel<half_multiplier<A, B>, chunk_kind::codes>;
    if (engine == gemm_engine::mma_fp8) return gemm_kernel<fp8_multiplier<A, B>, chunk_kind::codes>;
  }
  static_cast<void>(engine);
  constexpr chunk_kind kind = same_type<A, float>      ? chunk_kind::floats
                              : same_type<A, bfloat16> ? chunk_kind::bfloat16s
                                                       : chunk_kind::codes;
  return gemm_kernel<bfloat16_multiplier, kind>;
}

/// Whether the engine takes these formats, and this chip and this program have its instructions.
template <class A, class B>
status check_engine(gemm_engine engine, const device_limits& device) {
  const int needed = engine == gemm_engine::mma_fp8 ? 89 : 80;
  if (device.capability < needed) {
    return {status_code::unsupported, std::string("gemm: ") + name_of(engine) + " needs compute capability " +
                                          std::to_string(needed / 10) + "." + std::to_string(needed % 10) +
                                          ", this device has " + std::to_string(device.capability / 10) + "." +
                                          std::to_string(device.capability % 10)};
  }
  if (engine != gemm_engine::mma_bf16 && !(ptx::is_fp8<A> && ptx::is_fp8<B>)) {
    return {status_code::unsupported,
            std::string("gemm: ") + name_of(engine) + " multiplies E4M3 and E5M2 codes, and A or B is something else"};
  }
  cudaFuncAttributes code{};
  const cudaError_t asked = cudaFuncGetAttributes(&code, kernel_of<A, B>(engine));
  if (status bad = from_runtime("gemm: this program's kernel", asked); !bad.ok()) return bad;
  if (code.ptxVersion < needed) {  // there the instruction is left out
    return {status_code::unsupported, std::string("gemm: ") + name_of(engine) + " needs compute_" +
                                          std::to_string(needed) + ", this program was compiled for compute_" +
                                          std::to_string(code.ptxVersion)};
  }
  return {};
}

/// Whether D is of a size, and A and B lie, so that this device can work on them, whichever kernel is to do it.
template <gemm_activation A, gemm_weight B, gemm_output D>
status check_device_operands(const gemm_problem<A, B, D>& problem, const device_limits& device) {
  constexpr int64_t most = (int64_t{1} << 31) - 4096;
  const int64_t k        = problem.a.cols();
  if (problem.d.rows > most || problem.d.cols > most || k > most) {
    return {status_code::unsupported, "gemm: D is " + shape_text(problem.d.rows, problem.d.cols) + ", K " +
                                          std::to_string(k) + "; an extent may be " + std::to_string(most)};
  }
  const gemm_batches& by = problem.batches;
  if (problem.d.rows == 0 || problem.d.cols == 0 || by.count == 0) return {};
  int64_t count = 0;
  if (__builtin_mul_overflow((problem.d.rows / tile_rows + 1) * (problem.d.cols / tile_cols + 1), by.count, &count)) {
    return {status_code::unsupported, "gemm: " + std::to_string(by.count) + " batches of D " +
                                          shape_text(problem.d.rows, problem.d.cols) + " are too many tiles"};
  }
  if (status bad = check_operand("A", problem.a, device); !bad.ok()) return bad;
  return check_operand("B", problem.b, device);
}

/// The same of everything that a problem has.
template <gemm_activation A, gemm_weight B, gemm_output D>
status check_device_gemm(const gemm_problem<A, B, D>& problem, const device_limits& device) {
  if (same_type<A, float> && problem.a_floats == float_activations::multiplied_by_fma) {
    return {status_code::unsupported,
            "gemm: the matrix unit multiplies float activations as bfloat16s; multiplied_by_fma is for cpu::gemm"};
  }
  if (status bad = check_device_operands(problem, device); !bad.ok()) return bad;
  if (problem.d_amax != nullptr) {
    if (status bad = check_pointer("d_amax", problem.d_amax, device); !bad.ok()) return bad;
  }
  if (problem.d.rows == 0 || problem.d.cols == 0 || problem.batches.count == 0) return {};
  if (status bad = check_pointer("D", problem.d.data, device); !bad.ok()) return bad;
  if (problem.beta != 0.0f) {
    if (status bad = check_pointer("C", problem.c.data, device); !bad.ok()) return bad;
  }
  return check_pointer("the bias", problem.bias, device);
}

/// Why gemm cannot run this problem, or ok. Whatever it says, nothing was launched.
template <gemm_activation A, gemm_weight B, gemm_output D>
status can_run(const gemm_problem<A, B, D>& problem, const gemm_options& options = {}) {
  if (status bad = check_gemm(problem); !bad.ok()) return bad;
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_engine<A, B>(chosen<A, B>(options, *device), *device); !bad.ok()) return bad;
  return check_device_gemm(problem, *device);
}

/// Two e2m1 a byte are refused.
template <class A, class B, gemm_output D>
  requires has_pairs<A, B>
status can_run(const gemm_problem<A, B, D>& /*problem*/, const gemm_options& /*options*/ = {}) {
  return pairs_unsupported<A, B>();
}
template <class A, class B, gemm_output D>
  requires has_pairs<A, B>
status gemm(const gemm_problem<A, B, D>& problem, const gemm_options& options = {}, cudaStream_t /*stream*/ = nullptr) {
  return can_run(problem, options);
}

/// The bytes of device memory that gemm wants besides the operands; 0 where it cannot run the problem.
template <gemm_activation A, gemm_weight B, gemm_output D>
size_t gemm_workspace(const gemm_problem<A, B, D>& /*problem*/, const gemm_options& /*options*/ = {}) {
  return 0;  // neither engine wants any
}

/// What costs speed: operands that are read element by element, codes decoded by a table, blocks along K that fill no
/// slot.
template <class A, class B>
std::string slow_paths(const gemm_work& work, int slot_terms) {
  std::string text;
  const auto say        = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  const auto by_element = [&](const char* name, const gemm_operand& x, size_t size) {
    if (x.vectors) return;
    say(std::string(name) + " is read element by element (16 bytes at a time want column stride 1, and rows at " +
        "multiples of 16 bytes: row stride " + std::to_string(x.row_stride) + ", column stride " +
        std::to_string(x.col_stride) + ", batch stride " + std::to_string(x.batch_stride) + ", elements of " +
        std::to_string(size) + (size == 1 ? " byte)" : " bytes)"));
  };
  by_element("A", work.a, sizeof(A));
  by_element("B", work.b, sizeof(B));
  const auto by_table = [&](const char* name, element_kind kind) {
    if (kind == element_kind::other_code) say(std::string(name) + " is decoded by a table");
  };
  by_table("A", work.a.kind);
  by_table("B", work.b.kind);
  for (const uint32_t width : {work.a.scales.block_cols, work.b.scales.block_cols}) {
    if (width % static_cast<uint32_t>(slot_terms) != 0) {
      say("scales change each " + std::to_string(width) + " of K, which is no multiple of the " +
          std::to_string(slot_terms) + " that an instruction multiplies");
    }
  }
  if (!work.d.vectors) say("D is written element by element");
  return text;
}

/// How gemm would run a problem, or why it cannot.
template <gemm_activation A, gemm_weight B, gemm_output D>
result<gemm_plan> plan_gemm(const gemm_problem<A, B, D>& problem, const gemm_options& options = {}) {
  if (status bad = can_run(problem, options); !bad.ok()) return bad;
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  const gemm_work work = erased_work(problem, tile_rows, tile_cols);
  gemm_plan plan;
  plan.engine  = chosen<A, B>(options, *device);
  plan.rows    = tile_rows;
  plan.cols    = tile_cols;
  plan.blocks  = work.tiles < int64_t{1} << 30 ? work.tiles : int64_t{1} << 30;
  plan.threads = tile_threads;
  plan.shared  = sizeof(tile_memory);
  plan.slow    = slow_paths<A, B>(work, plan.engine == gemm_engine::mma_bf16 ? 16 : 32);
  return plan;
}

/// D = activation(alpha * A * B^T + beta * C + bias); see gemm_problem. Device memory, any positive strides and any
/// alignment that the elements have. Ordered by `stream`; may be captured into a graph; allocates nothing and waits for
/// nothing. On error D is as it was; d_amax too, unless the launch itself failed.
///
/// K is cut wherever a scale of A or B changes, and 128 terms after the last cut, whatever `accumulate` says. The matrix
/// unit sums each stretch from +0, in its own order and with its own rounding. Then, each operation rounded once in
/// binary32 to nearest even with subnormals kept:
///   1. Where scales change along K: the stretch's sum times (scale of A * scale of B) is added to a total that starts at
///      +0. Else the sum is added as it is, and at the end 0 + total * (scale of A * scale of B) takes its place.
///   2. The steps of cpu::gemm from its third on: alpha, beta * C, bias, activation, amax, D's type. NaN results are
///      7FC00000, 7E00, 7FC0 or the format's NaN.
/// Where every sum is exact, D has the bytes of cpu::gemm, unless a scale that changes along K does so more rarely than
/// each 128 terms and its products round.
template <gemm_activation A, gemm_weight B, gemm_output D>
status gemm(const gemm_problem<A, B, D>& problem, const gemm_options& options = {}, cudaStream_t stream = nullptr) {
  if (status bad = can_run(problem, options); !bad.ok()) return bad;
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  const gemm_work work         = erased_work(problem, tile_rows, tile_cols);
  const gemm_function function = kernel_of<A, B>(chosen<A, B>(options, *device));
  if (work.tiles != 0) {
    const cudaError_t grown =
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(tile_memory));
    if (status bad = from_runtime("gemm: shared memory", grown); !bad.ok()) return bad;
  }
  if (problem.d_amax != nullptr) {
    const cudaError_t cleared = cudaMemsetAsync(problem.d_amax, 0, sizeof(float), stream);
    if (status bad = from_runtime("gemm: d_amax", cleared); !bad.ok()) return bad;
  }
  const int64_t most = int64_t{1} << 30;
  const launch_shape shape{work.tiles < most ? work.tiles : most, tile_threads, sizeof(tile_memory)};
  return launch("gemm", function, shape, stream, work);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
