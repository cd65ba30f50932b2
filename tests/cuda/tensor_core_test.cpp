// SPDX-License-Identifier: MIT
#include "tensor_core_kernels.hpp"

#include <quaver/reference/encode.hpp>
#include <quaver/reference/tensor_core.hpp>

#include "gpu_test.hpp"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

// The model of the matrix unit against the matrix unit, bit for bit. --gtest_random_seed=n draws other operands.

namespace {

using namespace quaver;
using quaver_test::device_array;
using quaver_test::wgmma_call;

/// What the operands and the accumulators are drawn from.
enum class data : uint8_t {
  bytes,     ///< any code but NaN, accumulators of any exponent near the products'
  specials,  ///< any byte, any accumulator
  gaussian,  ///< a normal distribution, rounded
  small,     ///< the lower exponents and subnormals, of operands and accumulators
};

class generator {
 public:
  explicit generator(data kind) : kind_(kind) {}

  template <class F>
  uint8_t code() {
    if (kind_ == data::gaussian) {
      const double x = normal_(engine_);
      return reference::encode<F>(reference::from_value(x), rounding::nearest_even, overflow::saturate).bits();
    }
    for (;;) {
      // NaN and infinity are common enough in random bytes to hide everything else.
      const auto byte = static_cast<uint32_t>(engine_());
      const auto code = F::from_bits(static_cast<uint8_t>(kind_ == data::small ? byte & 0x9F : byte));
      const bool rare = code.is_nan() || (F::has_infinity && (code.bits() & 0x7F) == F::infinity_magnitude);
      if (!rare || (kind_ == data::specials && engine_() % 64 == 0)) return code.bits();
    }
  }
  uint32_t accumulator() {
    const auto word = static_cast<uint32_t>(engine_());
    if (kind_ == data::gaussian) return bitwise_cast<uint32_t>(static_cast<float>(normal_(engine_) * 8));
    if (kind_ == data::specials) return word;
    const auto exponent = static_cast<uint32_t>((kind_ == data::small ? 85 : 100) + engine_() % 60);
    return (word & 0x807F'FFFF) | exponent << 23;
  }
  uint16_t half_accumulator() {
    const auto word = static_cast<uint16_t>(engine_());
    if (kind_ == data::gaussian) {
      return reference::encode<half>(reference::from_value(normal_(engine_) * 8), rounding::nearest_even,
                                     overflow::nonfinite)
          .bits();
    }
    if (kind_ == data::small) return word & 0x93FF;
    return kind_ == data::bytes && (word & 0x7C00) == 0x7C00 ? static_cast<uint16_t>(word ^ 0x4000) : word;
  }

 private:
  data kind_;
  std::mt19937 engine_{static_cast<uint32_t>(GTEST_FLAG_GET(random_seed)) + 7};
  std::normal_distribution<double> normal_;
};

struct findings {
  size_t compared = 0;
  size_t wrong    = 0;
  std::string first;
};

template <class A, class B, class Accumulator>
void compare_with_model(int n, int steps, int tiles, data kind, bool with_c, findings& result) {
  constexpr bool halves = same_type<Accumulator, half>;
  wgmma_call call{.n                 = n,
                  .steps             = steps,
                  .tiles             = tiles,
                  .half_accumulators = halves,
                  .a_is_e5m2         = same_type<A, e5m2>,
                  .b_is_e5m2         = same_type<B, e5m2>,
                  .a                 = nullptr,
                  .b                 = nullptr,
                  .c                 = nullptr,
                  .d                 = nullptr};
  const auto words = static_cast<size_t>(quaver_test::fragment_words(call));
  const auto k     = static_cast<size_t>(32 * steps);
  generator random(kind);
  std::vector<uint8_t> a(static_cast<size_t>(tiles) * 64 * k);
  std::vector<uint8_t> b(static_cast<size_t>(tiles) * static_cast<size_t>(n) * k);
  std::vector<uint32_t> c(static_cast<size_t>(tiles) * 128 * words);
  for (uint8_t& byte : a) byte = random.code<A>();
  for (uint8_t& byte : b) byte = random.code<B>();
  for (uint32_t& word : c) {
    word = halves ? random.half_accumulator() | static_cast<uint32_t>(random.half_accumulator()) << 16
                  : random.accumulator();
  }
  const device_array<uint8_t> device_a(a);
  const device_array<uint8_t> device_b(b);
  const device_array<uint32_t> device_c(c);
  device_array<uint32_t> device_d(c.size());
  device_d.fill_bytes(0xA5);
  call.a = device_a.data();
  call.b = device_b.data();
  call.c = with_c ? device_c.data() : nullptr;
  call.d = device_d.data();
  ASSERT_TRUE(quaver_test::run_wgmma(call));
  const std::vector<uint32_t> d = device_d.to_host();

  constexpr int values = halves ? 2 : 1;  // a word
  for (size_t at = 0; at < d.size(); ++at) {
    const size_t tile = at / (128 * words);
    const int thread  = static_cast<int>(at / words % 128);
    const int word    = static_cast<int>(at % words);
    const auto row    = static_cast<size_t>(quaver_test::fragment_row(thread, word, halves));
    for (int part = 0; part < values; ++part) {
      const auto col      = static_cast<size_t>(quaver_test::fragment_col(thread, word, part, halves));
      const A* const of_a = reinterpret_cast<const A*>(a.data() + (tile * 64 + row) * k);
      const B* const of_b = reinterpret_cast<const B*>(b.data() + (tile * static_cast<size_t>(n) + col) * k);
      const auto bits_at  = [&](uint32_t whole) {
        if constexpr (halves) return Accumulator::from_bits(static_cast<uint16_t>(whole >> (16 * part)));
        else return Accumulator::from_bits(whole);
      };
      const Accumulator start    = with_c ? bits_at(c[at]) : Accumulator::from_bits(0);
      const Accumulator got      = bits_at(d[at]);
      const Accumulator expected = reference::tensor_core_fast<Accumulator>(of_a, of_b, static_cast<int64_t>(k), start);
      ++result.compared;
      if (got.bits() == expected.bits() || ++result.wrong > 3) continue;
      char line[200];
      std::snprintf(line, sizeof line, "N %d, %d steps, data %d, from %x: %x, the model says %x; operands", n, steps,
                    static_cast<int>(kind), start.bits(), got.bits(), expected.bits());
      result.first += line;
      for (size_t i = 0; i < k && i < 32; ++i) {
        std::snprintf(line, sizeof line, " %02x*%02x", of_a[i].bits(), of_b[i].bits());
        result.first += line;
      }
      result.first += '\n';
    }
  }
}

/// One mix of formats, every N, 1 to 8 chained instructions, with an accumulator before them and without.
template <class A, class B, class Accumulator>
void compare_mix() {
  struct job {
    int n;
    int steps;
    data kind;
    bool with_c;
  };
  std::vector<job> jobs;
  for (const int n : {8, 16, 64, 128, 256}) {
    for (int steps = 1; steps <= 8; ++steps) {
      if (n > 16 && steps != 1 && steps != 3 && steps != 8) continue;
      for (const data kind : {data::bytes, data::specials, data::gaussian, data::small}) {
        for (const bool with_c : {false, true}) jobs.push_back({n, steps, kind, with_c});
      }
    }
  }
  std::atomic<size_t> next{0};
  std::vector<findings> found(jobs.size());
  const auto run = [&] {
    for (size_t at = next++; at < jobs.size(); at = next++) {
      const job& j = jobs[at];
      try {
        compare_with_model<A, B, Accumulator>(j.n, j.steps, 256 / j.n, j.kind, j.with_c, found[at]);
      } catch (const std::exception& error) {
        found[at].wrong += 1;
        found[at].first += error.what();
      }
    }
  };
  std::vector<std::thread> threads;
  const unsigned cores = (std::max)(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < cores; ++i) threads.emplace_back(run);
  for (std::thread& thread : threads) thread.join();

  findings all;
  for (const findings& f : found) {
    all.compared += f.compared;
    all.wrong += f.wrong;
    if (all.first.size() < 2000) all.first += f.first;
  }
  EXPECT_EQ(all.wrong, 0u) << "of " << all.compared << '\n' << all.first;
  std::fprintf(stderr, "%zu comparisons, %zu mismatches\n", all.compared, all.wrong);
}

class TensorCore : public quaver_test::GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    int major = 0;
    if (!IsSkipped() &&
        (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess || major != 9))
      GTEST_SKIP() << "the model is of compute capability 9.0";
  }
};

TEST_F(TensorCore, adds_e4m3_times_e4m3_to_floats_as_the_model_says) { compare_mix<e4m3, e4m3, binary32>(); }
TEST_F(TensorCore, adds_e4m3_times_e5m2_to_floats_as_the_model_says) { compare_mix<e4m3, e5m2, binary32>(); }
TEST_F(TensorCore, adds_e5m2_times_e4m3_to_floats_as_the_model_says) { compare_mix<e5m2, e4m3, binary32>(); }
TEST_F(TensorCore, adds_e5m2_times_e5m2_to_floats_as_the_model_says) { compare_mix<e5m2, e5m2, binary32>(); }

TEST_F(TensorCore, adds_e4m3_times_e4m3_to_halves_as_the_model_says) { compare_mix<e4m3, e4m3, half>(); }
TEST_F(TensorCore, adds_e4m3_times_e5m2_to_halves_as_the_model_says) { compare_mix<e4m3, e5m2, half>(); }
TEST_F(TensorCore, adds_e5m2_times_e4m3_to_halves_as_the_model_says) { compare_mix<e5m2, e4m3, half>(); }
TEST_F(TensorCore, adds_e5m2_times_e5m2_to_halves_as_the_model_says) { compare_mix<e5m2, e5m2, half>(); }

}  // namespace
