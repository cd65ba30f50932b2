// SPDX-License-Identifier: MIT
#include "convert_kernels.hpp"

#include <quaver/cpu/encode_n.hpp>

#include "gpu_test.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

// All 2^32 floats to e4m3 and e5m2, in 6 roundings x 3 overflows, scalar and by every width: the device's bytes against
// those of the host's bulk function, which tests/exhaustive compares with the oracle. QUAVER_SWEEP_STRIDE=n visits every
// n-th block of a million only: for compute-sanitizer, or a quick look.

namespace {

using namespace quaver;

constexpr uint32_t block_size = 1 << 20;
constexpr uint32_t part_size  = 1 << 14;  // of a block, so that the floats stay in the first-level cache's neighbour

uint64_t sweep_stride() {
  const char* text  = std::getenv("QUAVER_SWEEP_STRIDE");
  const long stride = text == nullptr ? 1 : std::strtol(text, nullptr, 10);
  return stride < 1 ? 1 : static_cast<uint64_t>(stride);
}

struct mode {
  rounding r;
  overflow o;
};

/// Calls visit.operator()<R, O>(index) for the 18 modes.
template <class Visit>
void for_each_mode(Visit visit) {
  size_t index              = 0;
  const auto overflow_modes = [&]<rounding R> {
    visit.template operator()<R, overflow::saturate>(index++);
    visit.template operator()<R, overflow::saturate_finite>(index++);
    visit.template operator()<R, overflow::nonfinite>(index++);
  };
  overflow_modes.template operator()<rounding::nearest_even>();
  overflow_modes.template operator()<rounding::nearest_away>();
  overflow_modes.template operator()<rounding::toward_zero>();
  overflow_modes.template operator()<rounding::upward>();
  overflow_modes.template operator()<rounding::downward>();
  overflow_modes.template operator()<rounding::to_odd>();
}
constexpr size_t modes = 18;

/// One thread of the sweep: it fills pinned memory with what is expected, sends it, and has the device compare.
template <class F>
class sweeper {
 public:
  sweeper() : x_(part_size), expected_(modes * block_size), found_(modes) {
    QUAVER_CHECK_CUDA(cudaStreamCreate(&stream_));
    QUAVER_CHECK_CUDA(cudaMallocHost(reinterpret_cast<void**>(&pinned_), modes * block_size));
    found_.fill_bytes(0);
  }
  sweeper(const sweeper&)            = delete;
  sweeper& operator=(const sweeper&) = delete;
  ~sweeper() {
    cudaFreeHost(pinned_);
    cudaStreamDestroy(stream_);
  }

  void compare(uint32_t first, int format) {
    QUAVER_CHECK_CUDA(cudaStreamSynchronize(stream_));  // the last block still reads the pinned memory
    for (uint32_t part = 0; part < block_size; part += part_size) {
      for (uint32_t i = 0; i < part_size; ++i) x_[i] = bitwise_cast<float>(first + part + i);
      for_each_mode([&]<rounding R, overflow O>(size_t index) {
        std::span<F> y(reinterpret_cast<F*>(pinned_ + index * block_size + part), part_size);
        if (!cpu::encode_n<F, R, O>(std::span<const float>(x_), y).ok()) throw std::runtime_error("encode_n");
      });
    }
    QUAVER_CHECK_CUDA(cudaMemcpyAsync(expected_.data(), pinned_, modes * block_size, cudaMemcpyHostToDevice, stream_));
    for_each_mode([&]<rounding R, overflow O>(size_t index) {
      quaver_test::compare_floats(format, R, O, first, block_size, expected_.data() + index * block_size,
                                  found_.data() + index, stream_);
    });
    QUAVER_CHECK_CUDA(cudaGetLastError());
  }

  [[nodiscard]] std::vector<quaver_test::differences> found() const { return found_.to_host(); }

 private:
  std::vector<float> x_;
  uint8_t* pinned_     = nullptr;
  cudaStream_t stream_ = nullptr;
  quaver_test::device_array<uint8_t> expected_;
  quaver_test::device_array<quaver_test::differences> found_;
};

template <class F>
void expect_the_hosts_bytes(int format) {
  constexpr uint64_t blocks = (uint64_t{1} << 32) / block_size;
  const uint64_t stride     = sweep_stride();
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> visited{0};
  std::mutex mutex;
  unsigned long long wrong = 0;
  std::string first_ones;
  const auto run = [&] {
    try {
      sweeper<F> mine;
      for (uint64_t block = next++ * stride; block < blocks; block = next++ * stride) {
        mine.compare(static_cast<uint32_t>(block * block_size), format);
        ++visited;
      }
      const std::vector<quaver_test::differences> found = mine.found();
      const std::lock_guard<std::mutex> lock(mutex);
      for (size_t m = 0; m < modes; ++m) {
        wrong += found[m].count;
        for (unsigned i = 0; i < found[m].count && i < 2 && first_ones.size() < 3000; ++i) {
          const quaver_test::difference& d = found[m].first[i];
          char line[160];
          std::snprintf(line, sizeof line, "mode %zu, width %d, input %08x: %02x, the host gives %02x\n", m, d.width,
                        d.input, d.got, d.expected);
          first_ones += line;
        }
      }
    } catch (const std::exception& error) {
      const std::lock_guard<std::mutex> lock(mutex);
      ADD_FAILURE() << error.what();
    }
  };
  std::vector<std::thread> threads;
  const unsigned cores = (std::max)(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < cores; ++i) threads.emplace_back(run);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u) << first_ones;
  // Each input by encode and by encode_xn of four widths.
  std::fprintf(stderr, "%llu comparisons, %llu mismatches\n",
               static_cast<unsigned long long>(visited) * block_size * modes * 5, wrong);
}

class EveryFloatOnTheDevice : public quaver_test::GpuTest {};

TEST_F(EveryFloatOnTheDevice, becomes_the_hosts_byte_in_e4m3_in_all_18_modes_and_every_width) {
  expect_the_hosts_bytes<e4m3>(0);
}
TEST_F(EveryFloatOnTheDevice, becomes_the_hosts_byte_in_e5m2_in_all_18_modes_and_every_width) {
  expect_the_hosts_bytes<e5m2>(1);
}

}  // namespace
