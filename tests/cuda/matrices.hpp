// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_MATRICES_HPP
#define QUAVER_TESTS_CUDA_MATRICES_HPP

// Matrices on the device beside their twins on the host, with guards around them, and scales of every type.

#include <quaver/tensor/scaled_matrix.hpp>

#include "../cpu/matrices.hpp"
#include "gpu_test.hpp"

namespace quaver_test {

/// A host buffer's copy in device memory, with the view at the same place in it. The first element of a dense matrix stands
/// at a multiple of 16 elements, so that kernels can use their vectors; `shift` moves it off.
template <class T>
struct device_matrix {
  std::vector<T> padding;
  device_array<T> data;
  matrix_view<T> view;

  explicit device_matrix(const buffer<T>& host, size_t shift = 0)
      : padding(16 - first_of(host) + shift, host.guard),
        data(padded(padding, host)),
        view(data.data() + padding.size() + first_of(host), host.view.rows, host.view.cols, host.view.row_stride,
             host.view.col_stride) {}

  /// Copies the buffer again.
  void send(const buffer<T>& host) const {
    QUAVER_CHECK_CUDA(cudaMemcpy(data.data() + padding.size(), host.data.data(), host.data.size() * sizeof(T),
                                 cudaMemcpyHostToDevice));
  }
  /// The buffer's elements, without what stands before them.
  [[nodiscard]] std::vector<T> to_host() const {
    std::vector<T> all = data.to_host();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(padding.size()));
    return all;
  }

 private:
  static size_t first_of(const buffer<T>& host) { return static_cast<size_t>(host.view.data - host.data.data()); }
  static std::vector<T> padded(std::vector<T> all, const buffer<T>& host) {
    all.insert(all.end(), host.data.begin(), host.data.end());
    return all;
  }
};

/// A matrix whose rows are whole vectors with guards between them: rows of `cols` of a dense one 16 columns wider.
template <class T>
buffer<T> wide_buffer(int64_t rows, int64_t cols, T guard) {
  buffer<T> b(rows, cols + 16, lie::dense, guard);
  b.view.cols = cols;
  return b;
}

/// A buffer as a test's cases ask for it: vectors possible (every other time with gaps between rows), or lying anyhow.
template <class T>
buffer<T> some_buffer(int64_t rows, int64_t cols, bool vectors, generator& random, T guard) {
  if (!vectors) return buffer<T>(rows, cols, lies[random() % 4], guard);
  if (random() % 2 == 0) return buffer<T>(rows, cols, lie::dense, guard);
  return wide_buffer<T>(rows, cols, guard);
}

/// Numbers about 2^centre with all that some_number mixes in; sometimes zeros alone. Guards are NaN.
template <class T>
buffer<T> random_matrix(int64_t rows, int64_t cols, bool vectors, generator& random, int centre, bool specials) {
  buffer<T> x      = some_buffer<T>(rows, cols, vectors, random, element_from<T>(0x7FC0'0000u));
  const bool zeros = random() % 16 == 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      x.view(r, c) = zeros ? element_from<T>(0) : some_number<T>(random, centre, specials && random() % 64 == 0);
    }
  }
  return x;
}

/// One of a few numbers.
template <class... Numbers>
int64_t pick(generator& random, Numbers... numbers) {
  const int64_t all[] = {static_cast<int64_t>(numbers)...};
  return all[random() % sizeof...(numbers)];
}

/// A matrix with those of the scales that its layout asks for.
template <class F>
scaled_matrix<F> with_scales(const matrix_view<F>& values, const scale_layout& layout, float* f32, e8m0* mx,
                             e4m3* nvfp4, float* wide) {
  scaled_matrix<F> out;
  out.values = values;
  out.layout = layout;
  if (layout.type == scale_type::f32) out.scales = f32;
  if (layout.type == scale_type::mx_e8m0) out.scales_e8m0 = mx;
  if (layout.type == scale_type::nvfp4_e4m3) {
    out.scales_e4m3 = nvfp4;
    out.tensor_wide = wide;
  }
  return out;
}

/// Scales of every type for one matrix, on the host and on the device.
struct scale_arrays {
  std::vector<float> f32;
  std::vector<e8m0> mx;
  std::vector<e4m3> nvfp4;
  std::vector<float> wide;
  device_array<float> device_f32;
  device_array<e8m0> device_mx;
  device_array<e4m3> device_nvfp4;
  device_array<float> device_wide;

  explicit scale_arrays(size_t count, generator* random = nullptr)
      : f32(some(count, -3.0f, random, [](generator& g) { return some_number<float>(g, 3, g() % 8 == 0); })),
        mx(some(count, e8m0::from_bits(77), random, some_code<e8m0>)),
        nvfp4(some(count, e4m3::from_bits(33), random, some_code<e4m3>)),
        wide(1, 0.25f),
        device_f32(f32),
        device_mx(mx),
        device_nvfp4(nvfp4),
        device_wide(wide) {}
  scale_arrays(const scale_arrays&) = delete;

  template <class F>
  scaled_matrix<F> on_host(const matrix_view<F>& values, const scale_layout& layout) {
    return with_scales(values, layout, f32.data(), mx.data(), nvfp4.data(), wide.data());
  }
  template <class F>
  scaled_matrix<F> on_device(const matrix_view<F>& values, const scale_layout& layout) const {
    return with_scales(values, layout, device_f32.data(), device_mx.data(), device_nvfp4.data(), device_wide.data());
  }
  /// Whether those on the device are those on the host, guards included.
  [[nodiscard]] bool same() const {
    return codes_of(device_f32.to_host()) == codes_of(f32) && codes_of(device_mx.to_host()) == codes_of(mx) &&
           codes_of(device_nvfp4.to_host()) == codes_of(nvfp4) && codes_of(device_wide.to_host()) == codes_of(wide);
  }

 private:
  template <class T>
  static T some_code(generator& random) {
    return T::from_bits(static_cast<uint8_t>(random()));
  }
  /// `count` random ones, or guards where they are to be made; and one guard.
  template <class T, class Make>
  static std::vector<T> some(size_t count, T guard, generator* random, const Make& make) {
    std::vector<T> all(count + 1, guard);
    for (size_t i = 0; random != nullptr && i < count; ++i) all[i] = make(*random);
    return all;
  }
};

inline std::string describe(const scale_layout& layout) {
  return "blocks " + std::to_string(layout.block_rows) + " x " + std::to_string(layout.block_cols) + ", type " +
         std::to_string(static_cast<int>(layout.type)) + ", order " + std::to_string(static_cast<int>(layout.order));
}

/// Every byte of a buffer, guards included, is what is expected.
template <class T>
void expect_same_buffer(const std::vector<T>& got, const buffer<T>& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.data.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(uint32_t{code_of(got[i])}, uint32_t{code_of(expected.data[i])})
        << what << ", element " << i << " of the buffer";
  }
}

/// What a call puts into a stream, captured and not yet run; then run as often as a test wants.
class captured_graph {
 public:
  status outcome;  ///< of the call

  template <class Enqueue>
  explicit captured_graph(const Enqueue& enqueue) {
    QUAVER_CHECK_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    QUAVER_CHECK_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
    static_cast<void>(outcome = enqueue(stream_));
    QUAVER_CHECK_CUDA(cudaStreamEndCapture(stream_, &graph_));
    if (outcome.ok()) QUAVER_CHECK_CUDA(cudaGraphInstantiate(&program_, graph_, 0));
  }
  captured_graph(const captured_graph&) = delete;
  ~captured_graph() {
    if (program_ != nullptr) cudaGraphExecDestroy(program_);
    cudaGraphDestroy(graph_);
    cudaStreamDestroy(stream_);
  }

  /// Runs it after all that was put into other streams, for which its own does not wait, and waits for it.
  void run() const {
    QUAVER_CHECK_CUDA(cudaDeviceSynchronize());
    QUAVER_CHECK_CUDA(cudaGraphLaunch(program_, stream_));
    QUAVER_CHECK_CUDA(cudaStreamSynchronize(stream_));
  }

 private:
  cudaStream_t stream_     = nullptr;
  cudaGraph_t graph_       = nullptr;
  cudaGraphExec_t program_ = nullptr;
};

/// New numbers for a matrix, on the host and on the device.
template <class T>
void refill(buffer<T>& x, const device_matrix<T>& on_device, generator& random) {
  for (int64_t r = 0; r < x.view.rows; ++r) {
    for (int64_t c = 0; c < x.view.cols; ++c) x.view(r, c) = some_number<T>(random, 3, false);
  }
  on_device.send(x);
}

/// A refusal that names what it is about, and no error that stays behind.
inline void expect_refused(const status& s, status_code code, const std::vector<std::string>& words) {
  EXPECT_EQ(s.code(), code) << s.message();
  for (const std::string& word : words)
    EXPECT_NE(s.message().find(word), std::string::npos) << s.message() << " lacks " << word;
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

}  // namespace quaver_test

#endif
