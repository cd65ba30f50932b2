// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_GPU_TEST_HPP
#define QUAVER_TESTS_CUDA_GPU_TEST_HPP

// What tests on a GPU share: a fixture that skips where there is none, checked calls, and device memory that frees
// itself. For .cu and .cpp alike.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace quaver_test {

/// Ends the test with the call that failed.
inline void check_cuda(cudaError_t outcome, const char* call) {
  if (outcome != cudaSuccess) throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(outcome));
}
#define QUAVER_CHECK_CUDA(call) ::quaver_test::check_cuda(call, #call)

/// Why no test can run here, or nothing. A card that is older than the code in this program is no reason: launches fail
/// there, and so do the tests.
inline std::string why_no_gpu() {
  int devices               = 0;
  const cudaError_t outcome = cudaGetDeviceCount(&devices);
  if (outcome != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(outcome);
  return devices == 0 ? "no GPU" : "";
}

/// The fixture of every test that needs a GPU.
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static const std::string reason = why_no_gpu();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

/// The fixture of those that need a Hopper.
class HopperTest : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    cudaDeviceProp card{};
    QUAVER_CHECK_CUDA(cudaGetDeviceProperties(&card, 0));
    if (card.major != 9) GTEST_SKIP() << "no Hopper: compute capability " << card.major << "." << card.minor;
  }
};

/// An array in device memory.
template <class T>
class device_array {
 public:
  explicit device_array(std::size_t count) : count_(count) {
    if (count != 0) QUAVER_CHECK_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)));
  }
  explicit device_array(std::span<const T> from) : device_array(from.size()) { copy_from(from); }
  explicit device_array(const std::vector<T>& from) : device_array(std::span<const T>(from)) {}
  device_array(const device_array&)            = delete;
  device_array& operator=(const device_array&) = delete;
  ~device_array() { cudaFree(data_); }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return count_; }
  void copy_from(std::span<const T> from) {
    QUAVER_CHECK_CUDA(cudaMemcpy(data_, from.data(), from.size_bytes(), cudaMemcpyHostToDevice));
  }
  /// Fills the bytes, so that what a kernel leaves unwritten shows.
  void fill_bytes(int byte) { QUAVER_CHECK_CUDA(cudaMemset(data_, byte, count_ * sizeof(T))); }
  /// Waits for the device, then copies.
  [[nodiscard]] std::vector<T> to_host() const {
    std::vector<T> host(count_);
    QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
    QUAVER_CHECK_CUDA(cudaMemcpy(host.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return host;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

}  // namespace quaver_test

#endif
