// SPDX-License-Identifier: MIT
#include <quaver/convert/encode.hpp>

#include "gpu_test.hpp"

#include <dlfcn.h>
#include <nvrtc.h>

#include <cstdlib>

// cuda/convert.cuh compiled at run time. Compiling needs no GPU; running what was compiled does. NVRTC is loaded rather
// than linked, so that this program starts where there is none. The headers are taken from the folder that
// QUAVER_INCLUDE_DIR names, or from where they stood when this was built.

namespace {

using namespace quaver;

constexpr const char* source = R"(
#include <quaver/cuda/convert.cuh>
using namespace quaver;
extern "C" __global__ void encode(const float* x, cuda::packed<e4m3, 4>* codes, cuda::packed<e5m2, 4>* others) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const float four[4] = {x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]};
  codes[i]  = cuda::encode_xn<e4m3>(four);
  others[i] = cuda::encode_xn<e5m2, rounding::toward_zero, overflow::nonfinite>(four);
}
// What has instructions on some chips only.
template <class F>
__device__ void there_and_back(const float (&x)[8], float* y) {
  const auto codes = cuda::encode_xn<F>(x);
  const auto values = cuda::decode_xn<float>(codes);
  for (int i = 0; i < 8; ++i) y[i] = values[i] + cuda::decode<float>(cuda::encode<F>(x[i]));
}
extern "C" __global__ void narrow(float* x) {
  float eight[8];
  for (int i = 0; i < 8; ++i) eight[i] = x[i];
  there_and_back<e2m3>(eight, x + 8);
  there_and_back<e3m2>(eight, x + 16);
  there_and_back<e2m1>(eight, x + 24);
  there_and_back<e8m0>(eight, x + 32);
  const auto pairs = cuda::encode_xn<e2m1x2, rounding::toward_zero>(eight);
  const auto values = cuda::decode_xn<half>(pairs);
  for (int i = 0; i < 8; ++i) x[40 + i] = values[i].bits();
}
)";

/// What is used of the library.
struct nvrtc {
  decltype(&nvrtcCreateProgram) create;
  decltype(&nvrtcCompileProgram) compile;
  decltype(&nvrtcGetProgramLogSize) log_size;
  decltype(&nvrtcGetProgramLog) log;
  decltype(&nvrtcGetCUBINSize) cubin_size;
  decltype(&nvrtcGetCUBIN) cubin;
  decltype(&nvrtcDestroyProgram) destroy;
};

/// The library, or an empty struct where there is none.
nvrtc load_nvrtc() {
  void* library = nullptr;
  for (const char* name : {QUAVER_TEST_NVRTC, "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW);
  }
  nvrtc result = {};
  if (library == nullptr) return result;
  const auto find = [library](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  find("nvrtcCreateProgram", result.create);
  find("nvrtcCompileProgram", result.compile);
  find("nvrtcGetProgramLogSize", result.log_size);
  find("nvrtcGetProgramLog", result.log);
  find("nvrtcGetCUBINSize", result.cubin_size);
  find("nvrtcGetCUBIN", result.cubin);
  find("nvrtcDestroyProgram", result.destroy);
  return result;
}

/// The machine code for an architecture; nothing where that failed or there was something to say.
std::vector<char> compile(const nvrtc& library, const std::string& architecture, const char* extra_flag) {
  const char* dir           = std::getenv("QUAVER_INCLUDE_DIR");
  const std::string path    = std::string("--include-path=") + (dir != nullptr ? dir : QUAVER_TEST_INCLUDE_DIR);
  const std::string target  = "--gpu-architecture=" + architecture;
  const char* const flags[] = {path.c_str(), target.c_str(), "--std=c++20", extra_flag};
  nvrtcProgram program      = nullptr;
  if (library.create(&program, source, "kernel.cu", 0, nullptr, nullptr) != NVRTC_SUCCESS) return {};
  const nvrtcResult outcome = library.compile(program, extra_flag == nullptr ? 3 : 4, flags);
  std::size_t size          = 0;
  library.log_size(program, &size);
  std::string log(size, '\0');
  library.log(program, log.data());
  EXPECT_TRUE(outcome == NVRTC_SUCCESS && size <= 1) << architecture << ": " << log;  // the log ends with a zero byte
  std::vector<char> code;
  if (outcome == NVRTC_SUCCESS && library.cubin_size(program, &size) == NVRTC_SUCCESS) {
    code.resize(size);
    library.cubin(program, code.data());
  }
  library.destroy(&program);
  return code;
}

TEST(Nvrtc, compiles_the_conversions_for_every_kind_of_chip_without_a_word) {
  const nvrtc library = load_nvrtc();
  if (library.create == nullptr) GTEST_SKIP() << "libnvrtc is not installed";
  for (const char* architecture : {"sm_80", "sm_89", "sm_90a", "sm_100a"}) {
    EXPECT_FALSE(compile(library, architecture, nullptr).empty()) << architecture;
  }
}

class NvrtcOnTheDevice : public quaver_test::GpuTest {};

TEST_F(NvrtcOnTheDevice, runs_them_to_the_hosts_bytes_with_fast_math_too) {
  const nvrtc library = load_nvrtc();
  if (library.create == nullptr) GTEST_SKIP() << "libnvrtc is not installed";
  constexpr uint32_t count = 1 << 20;
  std::vector<float> x(count);
  for (uint32_t i = 0; i < count; ++i) x[i] = bitwise_cast<float>(i << 12 | (i * 0x9E37u & 0xFFF));
  const quaver_test::device_array<float> on_device(x);

  cudaDeviceProp card = {};
  QUAVER_CHECK_CUDA(cudaGetDeviceProperties(&card, 0));
  const std::string architecture = "sm_" + std::to_string(card.major * 10 + card.minor);
  for (const char* flag : {static_cast<const char*>(nullptr), "--use_fast_math"}) {
    const std::vector<char> code = compile(library, architecture, flag);
    ASSERT_FALSE(code.empty());
    cudaLibrary_t loaded = nullptr;
    cudaKernel_t kernel  = nullptr;
    QUAVER_CHECK_CUDA(cudaLibraryLoadData(&loaded, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
    QUAVER_CHECK_CUDA(cudaLibraryGetKernel(&kernel, loaded, "encode"));
    const quaver_test::device_array<uint8_t> codes(count);
    const quaver_test::device_array<uint8_t> others(count);
    const float* from  = on_device.data();
    uint8_t* to        = codes.data();
    uint8_t* to_others = others.data();
    void* arguments[]  = {&from, &to, &to_others};
    QUAVER_CHECK_CUDA(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(count / 4 / 256), dim3(256),
                                       arguments, 0, nullptr));
    const std::vector<uint8_t> got        = codes.to_host();
    const std::vector<uint8_t> got_others = others.to_host();
    QUAVER_CHECK_CUDA(cudaLibraryUnload(loaded));
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < count; ++i) {
      wrong += got[i] != encode<e4m3>(x[i]).bits() ? 1u : 0u;
      wrong += got_others[i] != encode<e5m2, rounding::toward_zero, overflow::nonfinite>(x[i]).bits() ? 1u : 0u;
    }
    EXPECT_EQ(wrong, 0u) << (flag == nullptr ? "" : flag);
  }
}

}  // namespace
