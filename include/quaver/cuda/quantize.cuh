// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_QUANTIZE_CUH
#define QUAVER_CUDA_QUANTIZE_CUH

#include <quaver/cuda/launch.cuh>
#include <quaver/cuda/quantize/kernels.cuh>
#include <quaver/cuda/quantize/tensor.cuh>

#if !QUAVER_NVRTC

// Quantisation on the device: the bytes and the bits of the scales are those of cpu::quantize. Calls check their
// arguments on the host, launch, and return; what they touch is theirs until the stream has done it. They allocate
// nothing and may be captured into a graph.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// How quantize works.
struct quantize_options {
  scale_source source           = scale_source::current;
  scale_policy policy           = {};                 ///< f32 scales, and NVFP4's tensor-wide one
  mx_rule mx                    = mx_rule::round_up;  ///< E8M0 scales
  scale_application application = scale_application::multiply;
  random_words words            = {};  ///< rounding::stochastic: element (r, c) uses word first + r * cols + c
  /// Device memory for amax, and for quantize with current scales per tensor or NVFP4: zeroed (cudaMemset) before its
  /// first use, and then left alone. Calls that may run at the same time need one each.
  tensor_workspace* workspace = nullptr;
};

/// A source of one row where rows follow each other without gaps on both sides, so that chunks need not end with rows.
template <class Source, class F>
constexpr bool flatten(Source&, matrix_view<F>&) noexcept {
  return false;
}
template <bulk_source T, class F>
bool flatten(matrix_source<T>& source, matrix_view<F>& y) noexcept {
  const matrix_view<const T>& x = source.x;
  if (x.col_stride != 1 || y.col_stride != 1 || !x.is_gapless() || !y.is_gapless()) return false;
  source = matrix_source<T>(matrix_view<const T>(x.data, 1, x.rows * x.cols));
  y      = matrix_view<F>(y.data, 1, y.rows * y.cols);
  return true;
}

/// The chunks of a matrix, rows padded to whole groups of `together`.
struct chunk_count {
  int64_t per_row;
  int64_t all;
};
inline chunk_count count_chunks(int64_t rows, int64_t cols, int64_t together = 1) noexcept {
  const int64_t wide    = together * chunk;
  const int64_t per_row = (cols / wide + (cols % wide != 0)) * together;
  return {per_row, rows * per_row};
}

/// Chunks are counted in 31 bits.
inline status check_chunks(const char* name, int64_t rows, int64_t cols, const chunk_count& chunks) {
  if (chunks.per_row < int64_t{1} << 31 && chunks.all < int64_t{1} << 31) return {};
  return {status_code::unsupported,
          std::string(name) + ": " + shape_text(rows, cols) +
              " elements are more than one launch takes (2^31 chunks of 16): call it by rows"};
}

inline status check_workspace(const char* name, const tensor_workspace* work, const device_limits& device) {
  if (work == nullptr) {
    return invalid(std::string(name) + " needs a workspace of " + std::to_string(sizeof(tensor_workspace)) +
                   " zeroed bytes on the device, and `workspace` is null");
  }
  return check_reachable(std::string(name) + ": the workspace", work, device);
}

/// Blocks for a kernel whose blocks are to be resident together: two a multiprocessor, with which memory is read faster
/// than with more.
template <auto Kernel>
int64_t blocks_at_once(const device_limits& device, int64_t chunks) noexcept {
  const int resident   = resident_blocks<Kernel>(tensor_threads);
  const int64_t most   = int64_t{device.multiprocessors} * (resident < 2 ? resident : 2);
  const int64_t wanted = (chunks + tensor_threads - 1) / tensor_threads;
  return wanted < most ? (wanted < 1 ? 1 : wanted) : most;
}

/// Calls launch_one<true> or <false>, as `vectors` says.
template <class Launch>
status with_vectors(bool vectors, const Launch& launch_one) {
  return vectors ? launch_one.template operator()<true>() : launch_one.template operator()<false>();
}

/// The same for a source that may lie in one row.
template <class Source, class Launch>
status with_lying(const Source& x, bool vectors, const Launch& launch_one) {
  if (!vectors) return launch_one.template operator()<lying::elements>();
  if constexpr (is_plain<Source>) {
    if (x.rows == 1) return launch_one.template operator()<lying::one_row>();
  }
  return launch_one.template operator()<lying::rows>();
}

template <class F, rounding R, overflow O, class Source>
status quantize_blocks_in_rows(const Source& x, const scaled_matrix<F>& out, const encoding_plan& plan, int lanes,
                               cudaStream_t stream, const launch_shape& as = {}, bool backwards = false) {
  const chunk_count chunks = count_chunks(x.rows, x.cols, lanes);
  if (status bad = check_chunks("quantize", x.rows, x.cols, chunks); !bad.ok()) return bad;
  launch_shape shape = as;
  shape.blocks       = (chunks.all + block_threads - 1) / block_threads;
  shape.threads      = block_threads;
  const chunk_divider per_row(static_cast<uint32_t>(chunks.per_row));
  return with_vectors(x.vectors() && has_whole_chunks(out.values), [&]<bool Vectors>() {
    const auto run = [&](auto* kernel) {
      return launch("quantize", kernel, shape, stream, x, out, plan, per_row, static_cast<uint32_t>(chunks.all),
                    backwards);
    };
    switch (lanes) {
      case 1: return run(&quantize_row_blocks<1, Vectors, R, O, F, Source>);
      case 2: return run(&quantize_row_blocks<2, Vectors, R, O, F, Source>);
      case 4: return run(&quantize_row_blocks<4, Vectors, R, O, F, Source>);
      default: return run(&quantize_row_blocks<8, Vectors, R, O, F, Source>);
    }
  });
}

template <class F, rounding R, overflow O, class Source>
status quantize_whole_rows(const Source& x, const scaled_matrix<F>& out, const encoding_plan& plan,
                           cudaStream_t stream) {
  return with_vectors(x.vectors() && has_whole_chunks(out.values), [&]<bool Vectors>() {
    const auto run = [&](auto* kernel, int threads) {
      return launch("quantize", kernel, launch_shape{x.rows, threads}, stream, x, out, plan);
    };
    if constexpr (!Vectors) {
      return run(&quantize_rows<256, 1, Vectors, R, O, F, Source>, 256);
    } else {
      if (x.cols <= 64 * chunk) return run(&quantize_rows<64, 1, Vectors, R, O, F, Source>, 64);
      if (x.cols <= 256 * chunk) return run(&quantize_rows<128, 2, Vectors, R, O, F, Source>, 128);
      if (x.cols <= 512 * chunk) return run(&quantize_rows<256, 2, Vectors, R, O, F, Source>, 256);
      return run(&quantize_rows<512, 2, Vectors, R, O, F, Source>, 512);
    }
  });
}

/// What the amax of a tensor becomes.
struct store_amax {
  float* to;
  __device__ void operator()(float amax) const noexcept { *to = amax; }
};
struct store_nvfp4_scale {
  float* to;
  scale_policy policy;
  __device__ void operator()(float amax) const noexcept {
    *to = nvfp4_global_scale<device_arithmetic>(amax, policy).value();
  }
};
template <class F>
struct store_tensor_scale {
  scaled_matrix<F> out;
  encoding_plan plan;
  tensor_scale* made;
  __device__ void operator()(float amax) const noexcept { *made = scale_of_block(out, 0, amax, plan, true); }
};

/// The chunk from which on a first reading asks the second-level cache to keep what it reads: five eighths of the cache,
/// or, of what is many times as large, nothing.
template <class Source>
uint32_t keep_from(const Source& x, const device_limits& device, int64_t chunks) noexcept {
  const int64_t bytes = x.bytes();
  if (bytes == 0 || bytes > 8 * device.l2_bytes) return static_cast<uint32_t>(chunks);
  const double share = static_cast<double>(device.l2_bytes) * 0.625 / static_cast<double>(bytes);
  return share >= 1 ? 0 : static_cast<uint32_t>(static_cast<double>(chunks) * (1 - share));
}

template <class Source, class Finish>
status launch_amax(const Source& x, const Finish& finish, tensor_workspace* work, const device_limits& device,
                   cudaStream_t stream) {
  const chunk_count chunks = count_chunks(x.rows, x.cols);
  if (status bad = check_chunks("amax", x.rows, x.cols, chunks); !bad.ok()) return bad;
  // No elements: one thread block finds an amax of 0. A divisor of 0 is never used then.
  const chunk_divider per_row(static_cast<uint32_t>(chunks.per_row < 1 ? 1 : chunks.per_row));
  return with_lying(x, x.vectors(), [&]<lying Lies>() {
    constexpr auto kernel = &amax_kernel<Lies, Source, Finish>;
    const launch_shape shape{blocks_at_once<kernel>(device, chunks.all), tensor_threads};
    const uint32_t kept = keep_from(x, device, chunks.all);
    return launch("amax", kernel, shape, stream, x, finish, per_row, static_cast<uint32_t>(chunks.all), kept, work);
  });
}

/// How many chunks of `bytes` each of `threads` threads may leave in shared memory.
inline int64_t chunks_to_park(const device_limits& device, int64_t threads, int64_t bytes) noexcept {
  constexpr int64_t own = 1024;  // what the kernel has besides
  return bytes % 16 == 0 ? (device.shared_bytes - own) / (threads * bytes) : 0;
}

template <class F, rounding R, overflow O, class Source>
status quantize_whole_tensor(Source x, scaled_matrix<F> out, encoding_plan plan, tensor_workspace* work,
                             const device_limits& device, cudaStream_t stream) {
  flatten(x, out.values);
  const chunk_count chunks = count_chunks(x.rows, x.cols);
  if (status bad = check_chunks("quantize", x.rows, x.cols, chunks); !bad.ok()) return bad;
  const chunk_divider per_row(static_cast<uint32_t>(chunks.per_row));
  const auto all   = static_cast<uint32_t>(chunks.all);
  const int most   = device.multiprocessors < most_tensor_blocks ? device.multiprocessors : most_tensor_blocks;
  const auto shape = [&](int threads, int64_t chunks_each) {
    const int64_t wanted = (chunks.all + threads * chunks_each - 1) / (threads * chunks_each);
    launch_shape as{wanted < most ? wanted : most, threads};
    as.all_at_once  = true;
    as.begins_early = device.capability >= 90;
    return as;
  };
  return with_lying(x, x.vectors() && has_whole_chunks(out.values), [&]<lying Lies>() {
    constexpr bool vectors = Lies != lying::elements;
    if constexpr (is_light < Source, vectors, R == rounding::stochastic >) {
      const auto run = [&](auto* kernel, int threads, int held) {
        return launch("quantize", kernel, shape(threads, held), stream, x, out, plan, per_row, all, work);
      };
      // Few thread blocks meet sooner than many, but have to read more each.
      if (chunks.all <= 16 * 256) return run(&quantize_held_tensor<Lies, 256, 1, R, O, F, Source>, 256, 1);
      if (chunks.all <= 32 * 512) return run(&quantize_held_tensor<Lies, 512, 1, R, O, F, Source>, 512, 1);
      if (chunks.all <= int64_t{most} * 512 * 2)
        return run(&quantize_held_tensor<Lies, 512, 2, R, O, F, Source>, 512, 2);
      if (chunks.all <= int64_t{most} * 512 * 4)
        return run(&quantize_held_tensor<Lies, 512, 4, R, O, F, Source>, 512, 4);
    }
    constexpr int threads = wide_threads<Source, Lies, R>;
    constexpr auto bytes  = static_cast<int64_t>(sizeof(fetched<Source, vectors>));
    launch_shape as       = shape(threads, 1);
    const int64_t each    = (chunks.all + as.blocks * threads - 1) / (as.blocks * threads);
    const int64_t room    = chunks_to_park(device, threads, bytes);
    if (each > room + 1) {
      const store_tensor_scale<F> finish{out, plan, &work->scale};
      if (status bad = launch_amax(x, finish, work, device, stream); !bad.ok()) return bad;
      plan.made = &work->scale;
      launch_shape second;
      second.begins_early = device.capability >= 90;
      return quantize_blocks_in_rows<F, R, O>(x, out, plan, 1, stream, second, true);
    }
    const int64_t parked  = each < room ? each : room;
    as.shared             = static_cast<size_t>(parked * threads * bytes);
    auto* const kernel    = &quantize_tensor<Lies, R, O, F, Source>;
    const auto attribute  = cudaFuncAttributeMaxDynamicSharedMemorySize;
    const cudaError_t set = cudaFuncSetAttribute(kernel, attribute, static_cast<int>(as.shared));
    if (status bad = from_runtime("quantize", set); !bad.ok()) return bad;
    return launch("quantize", kernel, as, stream, x, out, plan, per_row, all, static_cast<uint32_t>(parked), work);
  });
}

/// *to = the largest magnitude of a source, in device memory: 0 where there are no elements, NaN (7FC00000) if any is
/// NaN. What cpu::amax_n gives.
template <quantize_source Source>
status amax(const Source& x, float* to, tensor_workspace* workspace, cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = x.check(*device); !bad.ok()) return {bad.code(), "amax: " + bad.message()};
  if (to == nullptr) return invalid("amax: the result is null");
  if (status bad = check_reachable("amax: the result", to, *device); !bad.ok()) return bad;
  if (status bad = check_workspace("amax", workspace, *device); !bad.ok()) return bad;
  Source whole = x;
  matrix_view<e4m3> nothing(nullptr, x.rows, x.cols);
  flatten(whole, nothing);
  return launch_amax(whole, store_amax{to}, workspace, *device, stream);
}

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

/// Scales in whole tiles: a memset of all of them before those that count are written, where some pad a tile.
template <class F>
status clear_padding(const char* name, const scaled_matrix<F>& out, cudaStream_t stream) {
  const scale_layout& layout = out.layout;
  const bool padded          = layout.scale_count(out.rows(), out.cols()) != layout.block_count(out.rows(), out.cols());
  if (!padded) return {};
  auto* const scales = const_cast<void*>(scales_of(out));
  return from_runtime(name, cudaMemsetAsync(scales, 0, scale_bytes(out), stream));
}

/// What kernels take of the options.
inline encoding_plan plan_of(const quantize_options& options) noexcept {
  return {options.policy, options.mx, options.application == scale_application::divide,
          options.source == scale_source::current, options.words};
}

/// Everything that quantize asks of its arguments.
template <class F, class Source>
status check_quantize(const Source& x, const scaled_matrix<F>& out, const quantize_options& options,
                      const device_limits& device) {
  if (status bad = x.check(device); !bad.ok()) return {bad.code(), "quantize: " + bad.message()};
  if (status bad = check_scaled("quantize: the output", out); !bad.ok()) return bad;
  if (status bad = check_written_blocks("quantize: the output", out); !bad.ok()) return bad;
  if (x.rows != out.rows() || x.cols != out.cols()) {
    return invalid("quantize: the input is " + shape_text(x.rows, x.cols) + ", the output " +
                   shape_text(out.rows(), out.cols()));
  }
  if (x.rows == 0 || x.cols == 0) return {};
  if (status bad = check_reachable("quantize: the output", out.values.data, device); !bad.ok()) return bad;
  if (status bad = check_reachable("quantize: the scales", scales_of(out), device); !bad.ok()) return bad;
  const bool two_levels = out.layout.type == scale_type::nvfp4_e4m3;
  const float* wide     = two_levels ? out.tensor_wide : nullptr;
  if (status bad = check_reachable("quantize: tensor_wide", wide, device); !bad.ok()) return bad;
  const size_t bytes = span_bytes(out.values);
  if (x.touches(out.values.data, bytes)) {
    return invalid("quantize: the input (" + shape_text(x.rows, x.cols) + ") and the output overlap");
  }
  if (x.touches(scales_of(out), scale_bytes(out)) || x.touches(wide, two_levels ? sizeof(float) : 0) ||
      scales_overlap(out, out.values.data, bytes)) {
    return invalid("quantize: the scales overlap the input or the codes (" + shape_text(x.rows, x.cols) + ")");
  }
  if (options.source == scale_source::given) return {};
  if (two_levels) {
    if (!same_type<format_of<F>, e2m1>) {
      return {status_code::unsupported,
              "quantize: NVFP4 scales take a block to 6, the largest e2m1; the codes here are of another format"};
    }
    return check_workspace("quantize (NVFP4 scales)", options.workspace, device);
  }
  if (out.layout.block_count(x.rows, x.cols) == 1) {
    return check_workspace("quantize (one scale)", options.workspace, device);
  }
  return {};
}

/// Quantises a source to out.values, and unless the scales are given makes them: as cpu::quantize, whose contract and
/// bytes these are. Every pointer is device memory (or memory that the device reaches). `stream` orders it. Read once and written once: rows of codes and of x that begin at multiples of 16 bytes,
/// with blocks of 1 x 16, 32, 64 or 128, of whole rows, of 128 x 128 or given scales; per tensor, what does not stay in
/// the second-level cache is read twice. Other blocks are read twice, other strides element by element.
template <code_byte F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, quantize_source Source>
  requires signed_format<format_of<F>>
status quantize(const Source& x, const scaled_matrix<F>& out, const quantize_options& options = {},
                cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_quantize(x, out, options, *device); !bad.ok()) return bad;
  if (x.rows == 0 || x.cols == 0) return {};

  const scale_layout& layout = out.layout;
  const bool current         = options.source == scale_source::current;
  encoding_plan plan         = plan_of(options);
  plan.many_codes            = x.rows * x.cols > device->l2_bytes / 4;
  plan.places                = layout.places(x.rows, x.cols);
  if (current) {
    if (status bad = clear_padding("quantize: the scales", out, stream); !bad.ok()) return bad;
  }
  if (current && layout.type == scale_type::nvfp4_e4m3) {
    const store_nvfp4_scale finish{out.tensor_wide, options.policy};
    if (status bad = launch_amax(x, finish, options.workspace, *device, stream); !bad.ok()) return bad;
  }
  const int64_t width  = layout.cols_per_block(x.cols);
  const int64_t height = layout.rows_per_block(x.rows);
  const auto divisor = [](int64_t by) { return chunk_divider(static_cast<uint32_t>(by < INT32_MAX ? by : INT32_MAX)); };
  plan.block_rows    = divisor(height);
  plan.block_chunks  = divisor((width + chunk - 1) / chunk);
  if (!current && (layout.block_cols == 0 || width % chunk == 0)) {
    return quantize_blocks_in_rows<F, R, O>(x, out, plan, 1, stream);
  }
  if (current && layout.block_count(x.rows, x.cols) == 1 && layout.type != scale_type::nvfp4_e4m3) {
    return quantize_whole_tensor<F, R, O>(x, out, plan, options.workspace, *device, stream);
  }
  if (height == 1 && layout.block_cols == 0 && x.rows < int64_t{1} << 31) {
    return quantize_whole_rows<F, R, O>(x, out, plan, stream);
  }
  if (height == 1 && (width == 16 || width == 32 || width == 64 || width == 128)) {
    return quantize_blocks_in_rows<F, R, O>(x, out, plan, static_cast<int>(width / chunk), stream);
  }
  const int64_t blocks = layout.block_count(x.rows, x.cols);
  if (height == square && width == square && x.vectors() && has_whole_chunks(out.values) && blocks < INT32_MAX) {
    const chunk_divider per_row(static_cast<uint32_t>(layout.scale_cols(x.cols)));
    return launch("quantize", &quantize_squares<R, O, F, Source>, launch_shape{blocks, block_threads}, stream, x, out,
                  plan, per_row);
  }
  const int64_t most = int64_t{1} << 20;
  return launch("quantize", &quantize_any<R, O, F, Source>, launch_shape{blocks < most ? blocks : most, block_threads},
                stream, x, out, plan, blocks);
}

/// The same for a matrix in memory.
template <code_byte F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<format_of<F>>
status quantize(const matrix_view<const T>& x, const scaled_matrix<F>& out, const quantize_options& options = {},
                cudaStream_t stream = nullptr) {
  return quantize<F, R, O>(matrix_source<T>(x), out, options, stream);
}
template <code_byte F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<format_of<F>>
status quantize(const matrix_view<T>& x, const scaled_matrix<F>& out, const quantize_options& options = {},
                cudaStream_t stream = nullptr) {
  return quantize<F, R, O>(matrix_source<T>(x), out, options, stream);
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
