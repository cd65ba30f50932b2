// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_CAST_STATS_N_HPP
#define QUAVER_CPU_CAST_STATS_N_HPP

#include <quaver/cpu/decode_n.hpp>
#include <quaver/cpu/isa/avx2/cast_stats.hpp>
#include <quaver/cpu/isa/avx512/cast_stats.hpp>
#include <quaver/cpu/isa/neon/cast_stats.hpp>
#include <quaver/format/classify.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Adds one value and what became of it: `dequantised` is decode(code) * scale as decode_n gives it, `scaled` what was
/// rounded to a code, `limit` as in stats_call.
inline void add_to(cast_stats& stats, uint32_t x_bits, uint32_t scaled, bool code_is_zero, uint32_t dequantised,
                   uint32_t limit) noexcept {
  const uint32_t magnitude = x_bits & binary<float>::magnitude_mask;
  stats.count += 1;
  if (magnitude > bitwise_cast<uint32_t>(stats.amax)) {
    stats.amax = bitwise_cast<float>(magnitude > binary<float>::infinity ? binary<float>::nan : magnitude);
  }
  if (magnitude >= binary<float>::infinity) {
    (magnitude > binary<float>::infinity ? stats.nan : stats.infinite) += 1;
    return;
  }
  const double value = static_cast<double>(bitwise_cast<float>(x_bits));
  const double error = value - static_cast<double>(bitwise_cast<float>(dequantised));
  stats.underflow += static_cast<int64_t>(magnitude != 0 && code_is_zero);
  const uint32_t reached = scaled & binary<float>::magnitude_mask;  // NaN where the scale was: that is not saturation
  stats.saturated += static_cast<int64_t>(reached > limit && reached <= binary<float>::infinity);
  stats.sum_x2 += value * value;
  stats.sum_error2 += error * error;
}

/// The kernels of one conversion's statistics in each tier. They want a standard_float_environment.
template <eight_bit F, scaling S, bulk_source T>
struct stats_kernels {
  using call = stats_call<T>;

  static void portable_part(const call& c, size_t first, size_t end, cast_stats& stats) {
    for (size_t i = first; i < end; ++i) {
      const F code           = F::from_bits(c.y[i]);
      const uint32_t bits    = binary32_bits(c.x[i]);
      const uint32_t scaled  = S == scaling::multiply ? product_bits(bits, c.scale) : quotient_bits(bits, c.scale);
      const uint32_t dequant = product_bits(lookup_bits(code), c.dequant);
      add_to(stats, bits, scaled, is_zero(code), dequant, c.limit);
    }
  }
  static void portable(const call& c, cast_stats& stats) { portable_part(c, 0, c.count, stats); }
#if QUAVER_X86_64
  static void avx512(const call& c, cast_stats& stats) {
    cpu::avx512::add_stats<S>(c, decoding_of<bfloat16, F>, stats);
  }
  static void avx2(const call& c, cast_stats& stats) {
    cpu::avx2::add_stats<S>(c, nibble_decoding_of<bfloat16, F>, stats);
  }
#endif
#if QUAVER_AARCH64
  static void neon(const call& c, cast_stats& stats) { cpu::neon::add_stats<S>(c, decoding_of<bfloat16, F>, stats); }
#endif
  static auto of(tier t) noexcept -> void (*)(const call&, cast_stats&) {
    return kernel_of<stats_kernels, signed_format<F>>(t);
  }

  /// Adds an array in the tier that is in force.
  static void run(const T* x, const F* y, size_t count, uint32_t scale, uint32_t dequant, cast_stats& stats) {
    static const auto kernel = of(active_tier());
    kernel({x, reinterpret_cast<const uint8_t*>(y), count, scale, dequant, saturation_limit<F>(), &portable_part},
           stats);
  }
};

/// Takes the stats of parts as their threads end.
class stats_total {
 public:
  explicit stats_total(cast_stats* total) noexcept : total_(total) {}

  void add(const cast_stats& some) noexcept {
    if (total_ == nullptr) return;
    while (__atomic_exchange_n(&busy_, true, __ATOMIC_ACQUIRE)) {
    }
    total_->merge(some);
    __atomic_store_n(&busy_, false, __ATOMIC_RELEASE);
  }

 private:
  cast_stats* total_;
  bool busy_ = false;
};

/// What the cast of x to y by `scale` did. y holds the codes that were made from x; see encode_n for the arrays.
template <eight_bit F, bulk_source T>
result<cast_stats> cast_stats_n(std::span<const T> x, tensor_scale scale, std::span<const F> y) {
  if (status bad = check_arrays("cast_stats_n", x, y); !bad.ok()) return bad;
  const standard_float_environment environment;
  cast_stats stats;
  stats_kernels<F, scaling::multiply, T>::run(x.data(), y.data(), x.size(), bitwise_cast<uint32_t>(scale.quant.value()),
                                              bitwise_cast<uint32_t>(scale.dequant.value()), stats);
  return stats;
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
