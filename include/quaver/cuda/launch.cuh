// SPDX-License-Identifier: MIT
#ifndef QUAVER_CUDA_LAUNCH_CUH
#define QUAVER_CUDA_LAUNCH_CUH

// From a host call to a kernel: what is checked before, how it is launched, what went wrong in words. Nothing here
// allocates device memory or waits for the device, so all of it may run while a stream is captured.

#include <quaver/tensor/matrix_checks.hpp>

#if !QUAVER_NVRTC

#include <cuda_runtime.h>

#include <array>
#include <atomic>

QUAVER_BEGIN_NAMESPACE

namespace cuda {

/// The status for what the CUDA runtime said; ok for cudaSuccess. Errors that do not outlast the call are taken off the
/// runtime's record, so that the next call does not find them.
inline status from_runtime(const char* what, cudaError_t error) {
  if (error == cudaSuccess) return {};
  static_cast<void>(cudaGetLastError());
  return {status_code::device_error,
          std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")"};
}

/// What launches ask of the current device. Read once a device.
struct device_limits {
  int device           = 0;
  int multiprocessors  = 0;
  int capability       = 0;      ///< 90 for 9.0
  bool reads_host_heap = false;  ///< device code reaches memory that only the host has allocated
  int64_t l2_bytes     = 0;      ///< second-level cache
  int64_t shared_bytes = 0;      ///< shared memory that a thread block may ask for
};

inline result<device_limits> current_device() {
  int device = 0;
  if (status bad = from_runtime("cudaGetDevice", cudaGetDevice(&device)); !bad.ok()) return bad;
  constexpr size_t most = 64;
  // Multiprocessors, capability << 16, heap << 31, KiB of shared memory << 32, KiB of cache << 44.
  static std::array<std::atomic<uint64_t>, most> known{};
  const auto slot = static_cast<size_t>(device);
  uint64_t word   = slot < most ? known[slot].load(std::memory_order_relaxed) : 0;
  if (word == 0) {
    int values[6]                  = {};
    const cudaDeviceAttr wanted[6] = {cudaDevAttrMultiProcessorCount,
                                      cudaDevAttrComputeCapabilityMajor,
                                      cudaDevAttrComputeCapabilityMinor,
                                      cudaDevAttrPageableMemoryAccess,
                                      cudaDevAttrL2CacheSize,
                                      cudaDevAttrMaxSharedMemoryPerBlockOptin};
    for (int i = 0; i < 6; ++i) {
      const cudaError_t error = cudaDeviceGetAttribute(&values[i], wanted[i], device);
      if (status bad = from_runtime("cudaDeviceGetAttribute", error); !bad.ok()) return bad;
    }
    const auto capability = static_cast<uint64_t>(values[1] * 10 + values[2]);
    word                  = static_cast<uint64_t>(values[0]) | capability << 16 | uint64_t{values[3] != 0} << 31 |
           static_cast<uint64_t>(values[5] / 1024) << 32 | static_cast<uint64_t>(values[4] / 1024) << 44;
    if (slot < most) known[slot].store(word, std::memory_order_relaxed);
  }
  return device_limits{device,
                       static_cast<int>(word & 0xFFFF),
                       static_cast<int>(word >> 16 & 0x7FFF),
                       (word >> 31 & 1) != 0,
                       static_cast<int64_t>(word >> 44) * 1024,
                       static_cast<int64_t>(word >> 32 & 0xFFF) * 1024};
}

/// Memory that kernels on this device can reach. Null is for the caller to judge.
inline status check_reachable(const std::string& name, const void* pointer, const device_limits& device) {
  if (pointer == nullptr) return {};
  cudaPointerAttributes attributes{};
  const cudaError_t error = cudaPointerGetAttributes(&attributes, pointer);
  if (status bad = from_runtime("cudaPointerGetAttributes", error); !bad.ok()) return bad;
  if (attributes.type == cudaMemoryTypeUnregistered && !device.reads_host_heap) {
    return invalid(name + " lies in host memory that device " + std::to_string(device.device) + " cannot reach");
  }
  if (attributes.type == cudaMemoryTypeDevice && attributes.device != device.device) {
    return invalid(name + " lies on device " + std::to_string(attributes.device) + ", the current device is " +
                   std::to_string(device.device));
  }
  return {};
}

/// A view that passes check_view, in memory that the device can reach.
template <class T>
status check_device_view(const std::string& name, const matrix_view<T>& view, const device_limits& device) {
  if (status bad = check_view(name, view); !bad.ok()) return bad;
  return view.rows == 0 || view.cols == 0 ? status() : check_reachable(name, view.data, device);
}

/// How a kernel is to run.
struct launch_shape {
  int64_t blocks   = 1;
  int threads      = 256;
  size_t shared    = 0;
  bool all_at_once = false;  ///< all blocks resident together, as a barrier of the whole grid asks for
  /// May begin before the kernel in front of it has ended, on chips that can: it waits with wait_for_grid_before().
  bool begins_early = false;
  int cluster       = 1;  ///< blocks that share what they have in shared memory; divides `blocks`
};

/// Waits until all that the kernel in front has written is there. Where nothing was launched to begin early, nothing.
__device__ __forceinline__ void wait_for_grid_before() noexcept {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// Lets a kernel behind that begins early be put on the multiprocessors as soon as there is room.
__device__ __forceinline__ void let_next_grid_begin() noexcept {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

/// A launch_shape as the runtime wants it. Points into itself, so it stays where it was made.
struct launch_setup {
  cudaLaunchAttribute attributes[3]{};
  cudaLaunchConfig_t config{};

  launch_setup(const launch_shape& shape, cudaStream_t stream) noexcept {
    unsigned count = 0;
    if (shape.all_at_once) {
      attributes[count].id              = cudaLaunchAttributeCooperative;
      attributes[count].val.cooperative = 1;
      ++count;
    }
    if (shape.begins_early) {
      attributes[count].id                                         = cudaLaunchAttributeProgrammaticStreamSerialization;
      attributes[count].val.programmaticStreamSerializationAllowed = 1;
      ++count;
    }
    if (shape.cluster != 1) {
      attributes[count].id             = cudaLaunchAttributeClusterDimension;
      attributes[count].val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
      ++count;
    }
    config.gridDim          = dim3(static_cast<unsigned>(shape.blocks));
    config.blockDim         = dim3(static_cast<unsigned>(shape.threads));
    config.dynamicSmemBytes = shape.shared;
    config.stream           = stream;
    config.attrs            = attributes;
    config.numAttrs         = count;
  }
  launch_setup(const launch_setup&)            = delete;
  launch_setup& operator=(const launch_setup&) = delete;
};

/// Launches `kernel`, or says why not.
template <class... Parameters, class... Arguments>
status launch(const char* name, void (*kernel)(Parameters...), const launch_shape& shape, cudaStream_t stream,
              Arguments&&... arguments) {
  if (shape.blocks == 0) return {};
  const launch_setup setup(shape, stream);
  return from_runtime(name,
                      cudaLaunchKernelEx(&setup.config, kernel, Parameters(std::forward<Arguments>(arguments))...));
}

/// The same for a kernel of one parameter, which the runtime takes from where it lies: `launch` copies it twice.
template <class Parameter>
status launch_in_place(const char* name, void (*kernel)(Parameter), const launch_shape& shape, cudaStream_t stream,
                       const Parameter& argument) {
  if (shape.blocks == 0) return {};
  const launch_setup setup(shape, stream);
  void* arguments[] = {const_cast<Parameter*>(&argument)};
  return from_runtime(name, cudaLaunchKernelExC(&setup.config, reinterpret_cast<const void*>(kernel), arguments));
}

/// How many blocks of a kernel one multiprocessor holds: asked of the runtime once a kernel and process.
template <auto Kernel>
int resident_blocks(int threads) {
  static std::atomic<int> known{0};
  int blocks = known.load(std::memory_order_relaxed);
  if (blocks == 0) {
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Kernel, threads, 0) != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      blocks = 1;
    }
    known.store(blocks, std::memory_order_relaxed);
  }
  return blocks;
}

}  // namespace cuda

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
