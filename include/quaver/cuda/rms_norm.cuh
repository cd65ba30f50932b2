// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_RMS_NORM_CUH
#define QUAVER_CUDA_RMS_NORM_CUH

#include <quaver/cuda/quantize/checks.cuh>
#include <quaver/cuda/quantize/octet.cuh>
#include <quaver/problem/rms_norm_problem.hpp>

// RMS norm and cast in one pass: a row stays in registers, packed as it was loaded, from the sum of its squares to its
// codes. Thread t of a row's thread block has columns 8 t to 8 t + 7 of every 2048, which makes it lane t of the stated
// sum. Rows of up to 2048 columns (1024 floats) need no thread block: one warp has eight lanes a thread, eight rows go to a thread
// block, and nothing waits at a barrier.

QUAVER_BEGIN_NAMESPACE

namespace cuda {

inline constexpr int norm_threads = norm_lanes;

/// What a norm kernel knows besides its problem.
struct norm_plan {
  encoding_plan encoding;
  scale_finder scales;
  float divisor;  ///< columns
  int lanes;      ///< threads that share a scale within a row: a power of two up to 16, or 0 where a whole row does
};

/// How the octets of a row fall to threads, and what these do together: `Warps` of them have a row, 1 or 8.
template <int Warps, int Passes>
struct norm_row {
  static constexpr int step   = Warps * 32;               ///< octets in a pass
  static constexpr int chains = Warps == 1 ? Passes : 1;  ///< lanes of the sum that a thread has

  /// The sum of squares in the stated order. `sums` has one for each pass of a warp, whose passes are lanes of their own,
  /// or one in all.
  __device__ __forceinline__ static float sum(float (&sums)[static_cast<size_t>(chains)], float* shared) noexcept {
    float total;
    if constexpr (Warps == 1) {
#pragma unroll
      for (int half = Passes / 2; half > 0; half /= 2) {
#pragma unroll
        for (int i = 0; i < half; ++i) sums[i] = add(sums[i], sums[i + half]);
      }
      total = sums[0];
    } else {
      shared[threadIdx.x] = sums[0];
      __syncthreads();
      float lanes[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) lanes[i] = shared[threadIdx.x % 32 + 32 * i];
#pragma unroll
      for (int half = 4; half > 0; half /= 2) {
#pragma unroll
        for (int i = 0; i < half; ++i) lanes[i] = add(lanes[i], lanes[i + half]);
      }
      total = lanes[0];
    }
    // Both lanes of a pair make the same sum, whichever operand comes first.
#pragma unroll
    for (int half = 16; half > 0; half /= 2) total = add(total, __shfl_xor_sync(0xFFFF'FFFFu, total, half));
    return total;
  }

  /// The largest magnitude of the row.
  __device__ __forceinline__ static float amax(float mine, float* shared) noexcept {
    if constexpr (Warps == 1) return lanes_amax<32>(mine);
    else return block_amax<norm_threads>(mine, shared);
  }
};

/// h of an octet, from its parts.
template <bulk_source T>
__device__ __forceinline__ neighbours<T> sum_of(const neighbours<T>& x, const neighbours<T>& residual) noexcept {
  float a[octet];
  float b[octet];
  widen(x, a);
  widen(residual, b);
#pragma unroll
  for (int i = 0; i < octet; ++i) a[i] = add(a[i], b[i]);
  return narrow<T>(a);
}

/// Thread blocks that a multiprocessor is to hold: three or four of the common kind keep memory busy, and leave 80 or 64
/// registers; what needs more than that gets 128 or all there are, and so do chips that were not measured. (More registers for a second row under way while one is
/// worked on cost more than they bring: it is warps that hide the way from the sum to the codes.)
template <int Warps, int Passes, bool Vectors, rounding R, bulk_source T>
inline constexpr int norm_resident =
    !Vectors                                                                                          ? 1
    : !QUAVER_WGMMA || (Warps == 1 && Passes > 4) || R == rounding::stochastic || same_type<T, float> ? 2
    : Warps == 1 || Passes > 4                                                                        ? 3
                                                                                                      : 4;

/// Rows of up to Passes * Warps * 256 columns; longer ones (Warps 8 alone) are read again for what follows the sum.
template <int Warps, int Passes, bool Vectors, rounding R, overflow O, signed_format F, bulk_source T>
__global__ void __launch_bounds__(norm_threads, norm_resident<Warps, Passes, Vectors, R, T>)
    rms_norm_kernel(rms_norm_problem<T> p, scaled_matrix<F> out, norm_plan plan) {
  using rows = norm_row<Warps, Passes>;
  __shared__ float sum_shared[norm_threads];
  __shared__ float amax_shared[32];
  const int64_t row = int64_t{blockIdx.x} * (8 / Warps) + (Warps == 1 ? threadIdx.x / 32 : 0);
  if (row >= p.x.rows) return;  // whole warps, which wait for no other
  const uint32_t first = Warps == 1 ? threadIdx.x % 32 : threadIdx.x;
  const int64_t cols   = p.x.cols;
  const bool add_to_x  = p.has_residual();
  const auto column    = [&](int pass) { return (int64_t{first} + int64_t{pass} * rows::step) * octet; };
  const matrix_view<const T> weight(p.weight, 1, cols);

  // A given scale of whole rows is on its way beside the values.
  tensor_scale row_scale;
  if (!plan.encoding.current && plan.lanes == 0)
    row_scale = from_stored<device_arithmetic>(stored_scale(out, plan.scales.index(static_cast<uint32_t>(row), 0)));

  neighbours<T> h[static_cast<size_t>(Passes)] = {};
#pragma unroll
  for (int i = 0; i < Passes; ++i) {
    if (column(i) < cols) h[i] = load_neighbours<Vectors>(p.x, row, column(i));
  }
  if (add_to_x) {
    neighbours<T> residual[static_cast<size_t>(Passes)] = {};
#pragma unroll
    for (int i = 0; i < Passes; ++i) {
      if (column(i) < cols) residual[i] = load_neighbours<Vectors>(p.residual, row, column(i));
    }
#pragma unroll
    for (int i = 0; i < Passes; ++i) {
      if (column(i) >= cols) continue;
      h[i] = sum_of(h[i], residual[i]);
      store_neighbours<Vectors>(p.residual_out, row, column(i), h[i]);
    }
  }
  float sums[static_cast<size_t>(rows::chains)] = {};
  const auto add_squares                        = [&](const neighbours<T>& x, float& sum) {
    float v[octet];
    widen(x, v);
#pragma unroll
    for (int j = 0; j < octet; ++j) sum = fused_multiply_add(v[j], v[j], sum);
  };
#pragma unroll
  for (int i = 0; i < Passes; ++i) add_squares(h[i], sums[Warps == 1 ? i : 0]);
  const int passes = Warps == 1 ? Passes : static_cast<int>((cols + rows::step * octet - 1) / (rows::step * octet));
  for (int i = Passes; i < passes; ++i) {
    if (column(i) >= cols) continue;
    neighbours<T> more = load_neighbours<Vectors>(p.x, row, column(i));
    if (add_to_x) {
      more = sum_of(more, load_neighbours<Vectors>(p.residual, row, column(i)));
      store_neighbours<Vectors>(p.residual_out, row, column(i), more);
    }
    add_squares(more, sums[0]);
  }
  const float mean    = divide(rows::sum(sums, sum_shared), plan.divisor);
  const float inverse = divide(1.0f, square_root(add(mean, p.epsilon)));

  // What was stored for the next layer is read again by the thread that stored it.
  const auto again = [&](int pass) {
    if (column(pass) >= cols) return neighbours<T>{};
    const matrix_view<const T> from = add_to_x ? matrix_view<const T>(p.residual_out) : p.x;
    return load_neighbours<Vectors, use::shared>(from, row, column(pass));
  };
  const auto norm = [&](const neighbours<T>& x, int pass, float(&v)[octet]) {
    if (column(pass) >= cols) return;
    float w[octet];
    widen(load_neighbours<Vectors, use::shared>(weight, 0, column(pass)), w);
    widen(x, v);
#pragma unroll
    for (int j = 0; j < octet; ++j) v[j] = multiply(multiply(v[j], inverse), w[j]);
    if constexpr (!Vectors) {  // beyond the end an infinite inverse would leave NaN
#pragma unroll
      for (int j = 0; j < octet; ++j) v[j] = column(pass) + j < cols ? v[j] : 0.0f;
    }
  };
  // Scales. Of whole rows: from the row's amax. Of as many lanes as there are passes, or more: each lane makes that of one
  // pass and the others ask it, since the divisions in a scale cost as much as all else.
  const bool current = plan.encoding.current;
  // Few passes keep what the amax was taken of; many make it again for the codes, and so do warps with a row of their own.
  constexpr bool keeps                                       = Passes <= 4;
  float kept[static_cast<size_t>(keeps ? Passes : 1)][octet] = {};
  if constexpr (keeps) {
#pragma unroll
    for (int i = 0; i < Passes; ++i) norm(h[i], i, kept[i]);
  }
  const auto normed = [&](int pass, float(&v)[octet]) {
    if constexpr (keeps) {
#pragma unroll
      for (int j = 0; j < octet; ++j) v[j] = kept[pass][j];
    } else {
      norm(h[pass], pass, v);
    }
  };
  const bool by_row   = plan.lanes == 0;
  const bool by_lanes = current && plan.lanes >= Passes;
  const auto make     = [&](float amax) {
    return make_scale<device_arithmetic, F>(out, amax, plan.encoding.policy, plan.encoding.mx);
  };
  const auto over_lanes = [&](float amax) {
    for (int step = plan.lanes / 2; step > 0; step /= 2)
      amax = larger_magnitude(amax, __shfl_xor_sync(0xFFFF'FFFFu, amax, step));
    return amax;
  };
  if (current && (by_row || by_lanes)) {
    const int own = static_cast<int>(first) & (plan.lanes - 1);
    float largest = 0.0f;
    if (by_row) {
#pragma unroll
      for (int i = 0; i < Passes; ++i) {
        float v[octet] = {};
        normed(i, v);
        largest = amax_of(v, largest);
      }
    } else {
      float of_pass[static_cast<size_t>(Passes)];
#pragma unroll
      for (int i = 0; i < Passes; ++i) {
        float v[octet] = {};
        normed(i, v);
        of_pass[i] = amax_of(v);
      }
      // Neighbours exchange half of what they have until each has one pass, number own % Passes, of as many lanes.
#pragma unroll
      for (int step = 1; step < Passes; step *= 2) {
        const bool upper = (own & step) != 0;
#pragma unroll
        for (int i = 0; i < Passes / step; i += 2) {
          const float theirs = __shfl_xor_sync(0xFFFF'FFFFu, upper ? of_pass[i] : of_pass[i + 1], step);
          of_pass[i / 2]     = larger_magnitude(upper ? of_pass[i + 1] : of_pass[i], theirs);
        }
      }
      largest = of_pass[0];
      for (int step = Passes; step < plan.lanes; step *= 2)
        largest = larger_magnitude(largest, __shfl_xor_sync(0xFFFF'FFFFu, largest, step));
    }
    for (int i = Passes; by_row && i < passes; ++i) {
      float v[octet] = {};
      norm(again(i), i, v);
      largest = amax_of(v, largest);
    }
    if (by_row) largest = rows::amax(largest, amax_shared);
    const made_scale made = make(largest);
    row_scale             = made.use;
    const uint32_t place  = by_row ? 0 : first - static_cast<uint32_t>(own) + static_cast<uint32_t>(own * rows::step);
    const bool stores     = by_row ? first == 0 : own < Passes && int64_t{place} * octet < cols;
    if (stores) put_scale_at(out, plan.scales.index(static_cast<uint32_t>(row), place), made);
  }
  /// The scale of an octet. All lanes of a warp ask together.
  const auto scale_of = [&](const float(&v)[octet], int pass) -> tensor_scale {
    if (by_row) return row_scale;
    if (by_lanes && pass < Passes) {
      const auto from   = [&](float x) { return __shfl_sync(0xFFFF'FFFFu, x, pass, plan.lanes); };
      const float quant = from(row_scale.quant.value());
      if (!plan.encoding.divides) return {quant_scale(quant), {}, 0.0f};
      return {quant_scale(quant), dequant_scale(from(row_scale.dequant.value())), 0.0f};
    }
    const auto place = first + static_cast<uint32_t>(pass * rows::step);
    const int64_t at = plan.scales.index(static_cast<uint32_t>(row), place);
    const bool here  = column(pass) < cols;
    if (!current) return here ? from_stored<device_arithmetic>(stored_scale(out, at)) : tensor_scale{};
    const made_scale made = make(over_lanes(amax_of(v)));
    if (here && place % static_cast<uint32_t>(plan.lanes) == 0) put_scale_at(out, at, made);
    return made.use;
  };
  const auto emit = [&](float(&v)[octet], int pass) {
    const tensor_scale scale = scale_of(v, pass);
    if (column(pass) >= cols) return;
    scale_values(v, scale, plan.encoding.divides);
    const auto position = static_cast<uint64_t>(row * cols + column(pass));
    store_codes<Vectors>(out.values, row, column(pass), encode_octet<F, R, O>(v, plan.encoding.words, position));
  };
#pragma unroll
  for (int i = 0; i < Passes; ++i) {
    float v[octet] = {};
    normed(i, v);
    emit(v, i);
  }
  for (int i = Passes; i < passes; ++i) {
    float v[octet] = {};
    norm(again(i), i, v);
    emit(v, i);
  }
}

#if !QUAVER_NVRTC

/// What rms_norm asks of its output, beyond what every cast does.
template <class F, bulk_source T>
status check_norm_output(const rms_norm_problem<T>& p, const scaled_matrix<F>& out, const quantize_options& options,
                         const device_limits& device) {
  if (status bad = check_codes("rms_norm", out, p.x.rows, p.x.cols, device); !bad.ok()) return bad;
  if (status bad = check_reachable("rms_norm: the input", p.x.data, device); !bad.ok()) return bad;
  if (status bad = check_reachable("rms_norm: the weight", p.weight, device); !bad.ok()) return bad;
  if (status bad = check_reachable("rms_norm: the residual", p.residual.data, device); !bad.ok()) return bad;
  if (status bad = check_reachable("rms_norm: the residual output", p.residual_out.data, device); !bad.ok()) return bad;
  const size_t bytes = span_bytes(out.values);
  if (touches(p, out.values.data, bytes) || touches(p, scales_of(out), scale_bytes(out)) ||
      scales_overlap(out, out.values.data, bytes)) {
    return invalid("rms_norm: the codes or the scales overlap each other, an input or the residual output (" +
                   shape_text(p.x.rows, p.x.cols) + ")");
  }
  const scale_layout& layout = out.layout;
  const int width            = layout.block_cols;
  const bool in_rows         = layout.block_rows == 1 && layout.type != scale_type::nvfp4_e4m3 &&
                       (width == 0 || (width % octet == 0 && 128 % width == 0));
  if (options.source == scale_source::current && !in_rows) {
    return {status_code::unsupported,
            "rms_norm: current scales are of whole rows or of 1 x 8, 16, 32, 64 or 128, and not NVFP4; the layout has "
            "blocks of " +
                shape_text(layout.block_rows, width) + ": give scales, or norm and quantize apart"};
  }
  if (!scale_finder::fits(layout, p.x.rows, p.x.cols, octet)) {
    return {status_code::unsupported, "rms_norm: blocks of " + shape_text(layout.block_rows, width) + " over " +
                                          shape_text(p.x.rows, p.x.cols) +
                                          " elements: widths are multiples of 8, extents below 2^31"};
  }
  return {};
}

/// Codes of rms_norm(x + residual) * weight, their scales where they are current, and the residual's output, in one pass:
/// the bytes of cpu::rms_norm followed by cpu::quantize. Scales: given ones in any layout whose blocks are a multiple of 8
/// columns wide (or whole rows or all), or current ones of whole rows or of 1 x 8 to 1 x 128 (f32 or E8M0). Device memory,
/// any positive strides; read once where the rows are no longer than 16384 columns (8192 floats) and vectors can be used:
/// rows of whole octets at multiples of 16 bytes (codes: of 8). Longer rows are read twice.
template <eight_bit F, rounding R = rounding::nearest_even, overflow O = overflow::saturate, bulk_source T>
  requires signed_format<F>
status rms_norm(const rms_norm_problem<T>& p, const scaled_matrix<F>& out, const quantize_options& options = {},
                cudaStream_t stream = nullptr) {
  const result<device_limits> device = current_device();
  if (!device.ok()) return device.error();
  if (status bad = check_rms_norm("rms_norm", p); !bad.ok()) return bad;
  if (status bad = check_norm_output(p, out, options, *device); !bad.ok()) return bad;
  const int64_t rows = p.x.rows;
  const int64_t cols = p.x.cols;
  if (rows == 0 || cols == 0) return {};

  if (options.source == scale_source::current) {
    if (status bad = clear_padding("rms_norm: the scales", out, stream); !bad.ok()) return bad;
  }
  const norm_plan plan{plan_of(options), scale_finder(out.layout, rows, cols, octet), norm_divisor(cols),
                       out.layout.block_cols / octet};
  const matrix_view<const T> weight(p.weight, 1, cols);
  const bool vectors =
      has_whole_groups<octet, 16>(p.x) && has_whole_groups<octet, 16>(weight) &&
      has_whole_groups<octet, 8>(out.values) &&
      (!p.has_residual() || (has_whole_groups<octet, 16>(p.residual) && has_whole_groups<octet, 16>(p.residual_out)));
  const auto run = [&](auto* kernel, int rows_together) {
    const launch_shape shape{(rows + rows_together - 1) / rows_together, norm_threads};
    return launch("rms_norm", kernel, shape, stream, p, out, plan);
  };
  // Passes: 32 registers for what was read, as many for the residual.
  constexpr int most      = sizeof(T) == 4 ? 4 : 8;
  constexpr int warp_cols = most * 32 * octet;
  if (!vectors) {
    if (cols <= 1024) return run(&rms_norm_kernel<1, 4, false, R, O, F, T>, 8);
    return run(&rms_norm_kernel<8, 4, false, R, O, F, T>, 1);
  }
  if (cols <= 1024) return run(&rms_norm_kernel<1, 4, true, R, O, F, T>, 8);
  if constexpr (most > 4) {
    if (cols <= warp_cols) return run(&rms_norm_kernel<1, most, true, R, O, F, T>, 8);
  }
  if (cols <= 8192) return run(&rms_norm_kernel<8, 4, true, R, O, F, T>, 1);
  return run(&rms_norm_kernel<8, most, true, R, O, F, T>, 1);
}

#endif  // !QUAVER_NVRTC

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif
