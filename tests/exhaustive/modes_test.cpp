// SPDX-License-Identifier: MIT
#include <quaver/cpu/encode_n.hpp>

#include "sweep.hpp"

#include <algorithm>
#include <array>

// All 2^32 floats to E4M3 and to E5M2, by the scalar function and by the bulk function of every tier that can run here:
// in the default mode (EveryFloat), and in all 6 roundings x 3 overflows (EveryMode).

namespace {

using namespace quaver;
using quaver_test::block_size;

/// The oracle's choice depends on the bracket alone, so each of the 18 pairs of modes becomes a table over all
/// brackets, filled by the oracle's choose; one search then serves 18 look-ups.
template <class F>
class oracle_tables {
 public:
  oracle_tables() {
    for (uint32_t index = 0; index < size; ++index) {
      const reference::bracket b{static_cast<uint16_t>(index & 0xFF), static_cast<reference::place>(index >> 8 & 7),
                                 index >> 11 != 0};
      if (b.low > (F::max)().bits() || index_of(b) != index) continue;
      for (size_t mode = 0; mode < 18; ++mode) {
        codes_[mode][index] =
            reference::choose<F>(b, quaver_test::deterministic_roundings[mode / 3], quaver_test::overflows[mode % 3])
                .bits();
      }
    }
  }

  static uint16_t index_of(reference::bracket b) {
    return static_cast<uint16_t>(b.low | static_cast<uint32_t>(b.where) << 8 | (b.negative ? 1u << 11 : 0u));
  }
  [[nodiscard]] const uint8_t* codes(size_t mode) const { return codes_[mode].data(); }

 private:
  static constexpr uint32_t size = 1 << 12;
  std::array<std::array<uint8_t, size>, 18> codes_{};
};

/// Which modes a sweep judges.
enum class judged { default_mode, all_modes };

template <class F, judged Judged>
class compare_modes {
 public:
  unsigned long long operator()(uint32_t first, quaver_test::mismatches& wrong) {
    compared_ = 0;
    first -= block_size / 2;  // a tie stands in the middle of its block, with the floats on both sides of it
    for (uint32_t i = 0; i < block_size; ++i) x_[i] = bitwise_cast<float>(first + i);
    if constexpr (Judged == judged::default_mode) {
      find_intervals(first, 0, block_size);
      compare<rounding::nearest_even, overflow::saturate>(first, wrong);
    } else {
      for (uint32_t i = 0; i < block_size; ++i) index_[i] = find(first + i);
      all_overflows<rounding::nearest_even>(first, wrong);
      all_overflows<rounding::nearest_away>(first, wrong);
      all_overflows<rounding::toward_zero>(first, wrong);
      all_overflows<rounding::upward>(first, wrong);
      all_overflows<rounding::downward>(first, wrong);
      all_overflows<rounding::to_odd>(first, wrong);
    }
    return compared_;
  }

 private:
  static uint16_t find(uint32_t x) { return oracle_tables<F>::index_of(reference::find<F>(reference::from_f32(x))); }

  /// The brackets of the floats [begin, end) of the block. A bracket is an interval: where both ends lie in one, so does
  /// everything between them, for a block has but one change of sign and no bracket has both signs. This halves the time
  /// of EveryFloat; EveryMode asks the oracle about each float.
  void find_intervals(uint32_t first, uint32_t begin, uint32_t end) {
    const uint16_t low = find(first + begin);
    if (low == find(first + end - 1)) {
      std::fill(index_.begin() + begin, index_.begin() + end, low);
      return;
    }
    const uint32_t middle = begin + (end - begin) / 2;
    find_intervals(first, begin, middle);
    find_intervals(first, middle, end);
  }

  template <rounding R>
  void all_overflows(uint32_t first, quaver_test::mismatches& wrong) {
    compare<R, overflow::saturate>(first, wrong);
    compare<R, overflow::saturate_finite>(first, wrong);
    compare<R, overflow::nonfinite>(first, wrong);
  }

  template <rounding R, overflow O>
  [[gnu::noinline]] void compare(uint32_t first, quaver_test::mismatches& wrong) {
    static_assert(static_cast<int>(rounding::nearest_even) == 0 && static_cast<int>(rounding::to_odd) == 5);
    static_assert(static_cast<int>(overflow::saturate) == 0 && static_cast<int>(overflow::nonfinite) == 2);
    quaver_test::encode_block<F, R, O>(first, got_.data());
    judge<R, O>(first, wrong);
    for (const cpu::tier t : cpu::all_tiers) {
      if (t == cpu::tier::portable || !cpu::can_run(t)) continue;
      using kernels = cpu::encode_kernels<F, R, O, cpu::scaling::none, float>;
      kernels::of(t)({.x = x_.data(), .y = got_.data(), .count = block_size, .portable = &kernels::portable_part});
      judge<R, O>(first, wrong);
    }
  }

  template <rounding R, overflow O>
  void judge(uint32_t first, quaver_test::mismatches& wrong) {
    compared_ += block_size;
    const uint8_t* expected = tables_.codes(static_cast<size_t>(R) * 3 + static_cast<size_t>(O));
    uint32_t differences    = 0;
    for (uint32_t i = 0; i < block_size; ++i) differences |= static_cast<uint32_t>(got_[i] ^ expected[index_[i]]);
    if (differences == 0) return;
    for (uint32_t i = 0; i < block_size; ++i) {
      if (got_[i] != expected[index_[i]]) {
        wrong.note(first + i, got_[i], expected[index_[i]], quaver_test::name_of(R), quaver_test::name_of(O));
      }
    }
  }

  oracle_tables<F> tables_;
  std::array<uint16_t, block_size> index_;
  std::array<float, block_size> x_;
  std::array<uint8_t, block_size> got_;
  unsigned long long compared_ = 0;
};

template <class F, judged Judged>
void expect_no_mismatch() {
  quaver_test::findings result;
  quaver_test::sweep_floats(compare_modes<F, Judged>{}, result);
  EXPECT_EQ(result.count(), 0u) << result.first();
  EXPECT_GE(result.checked(), (Judged == judged::all_modes ? 18 : 1) * block_size);
}

TEST(EveryFloat, to_e4m3_equals_the_oracle_in_every_tier) { expect_no_mismatch<e4m3, judged::default_mode>(); }
TEST(EveryFloat, to_e5m2_equals_the_oracle_in_every_tier) { expect_no_mismatch<e5m2, judged::default_mode>(); }
TEST(EveryMode, to_e4m3_equals_the_oracle_in_every_tier) { expect_no_mismatch<e4m3, judged::all_modes>(); }
TEST(EveryMode, to_e5m2_equals_the_oracle_in_every_tier) { expect_no_mismatch<e5m2, judged::all_modes>(); }

}  // namespace
