// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_EXHAUSTIVE_SWEEP_HPP
#define QUAVER_TESTS_EXHAUSTIVE_SWEEP_HPP

#include "../reference/modes.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace quaver_test {

/// Inputs are visited in blocks of this many: small enough for the first-level cache, large enough for the loops over a
/// block to be vectorised.
inline constexpr uint32_t block_size = 4096;

/// QUAVER_SWEEP_STRIDE=n visits every n-th block only: a quick look, and no proof. 1, everything, is the default.
inline uint64_t sweep_stride() {
  const char* text  = std::getenv("QUAVER_SWEEP_STRIDE");
  const long stride = text == nullptr ? 1 : std::strtol(text, nullptr, 10);
  return stride < 1 ? 1 : static_cast<uint64_t>(stride);
}

/// What all threads have found; the first few mismatches in words.
class findings {
 public:
  void add(unsigned long long checked, const mismatches& wrong) {
    const std::lock_guard<std::mutex> lock(mutex_);
    checked_ += checked;
    count_ += wrong.count();
    if (first_.size() < 2000) first_ += wrong.first();
  }
  [[nodiscard]] unsigned long long checked() const { return checked_; }
  [[nodiscard]] unsigned long long count() const { return count_; }
  [[nodiscard]] const std::string& first() const { return first_; }

 private:
  std::mutex mutex_;
  unsigned long long checked_ = 0;
  unsigned long long count_   = 0;
  std::string first_;
};

/// Runs work(block, wrong) for the blocks 0, stride, 2 * stride, ... below `blocks` on every core, each thread with a
/// copy of `work` of its own. `work` returns how many comparisons it made. Progress goes to stderr in eighths.
template <class Work>
void sweep_blocks(uint64_t blocks, const Work& work, findings& result) {
  const uint64_t stride = sweep_stride();
  const uint64_t visits = (blocks + stride - 1) / stride;
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> eighths{0};
  const auto run = [&] {
    Work mine = work;
    mismatches wrong;
    unsigned long long checked = 0;
    for (uint64_t visit = next++; visit < visits; visit = next++) {
      checked += mine(visit * stride, wrong);
      const uint64_t eighth = (visit + 1) * 8 / visits;
      if (eighth > visit * 8 / visits && eighth < 8) std::fprintf(stderr, "%d/8 ", static_cast<int>(++eighths));
    }
    result.add(checked, wrong);
  };
  const unsigned cores = (std::max)(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> others;
  for (unsigned i = 1; i < cores; ++i) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
  std::fprintf(stderr, "%llu comparisons, %llu mismatches\n", result.checked(), result.count());
}

/// The same over all 2^32 binary32 bit patterns: work(first pattern of the block, wrong).
template <class Work>
void sweep_floats(const Work& work, findings& result) {
  sweep_blocks((uint64_t{1} << 32) / block_size,
               [mine = Work(work)](uint64_t block, mismatches& wrong) mutable {
                 return mine(static_cast<uint32_t>(block * block_size), wrong);
               },
               result);
}

/// The codes of a block of binary32 patterns that follow one another, by the function under test.
template <class F, rounding R, overflow O>
void encode_block(uint32_t first, typename F::storage* out) {
  for (uint32_t i = 0; i < block_size; ++i) out[i] = encode_bits<F, R, O>(first + i).bits();
}

}  // namespace quaver_test

#endif
