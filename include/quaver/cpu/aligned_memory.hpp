// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_ALIGNED_MEMORY_HPP
#define QUAVER_CPU_ALIGNED_MEMORY_HPP

#include <quaver/base/bits.hpp>

#include <new>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// Owns bytes that start at a cache line, uninitialised. Written out because <memory> costs more to include than
/// everything else in cpu/ that needs it.
class aligned_memory {
 public:
  aligned_memory() = default;
  /// `bytes` of them, or none where there is no memory: then data() is null. Zero bytes need none.
  explicit aligned_memory(size_t bytes) noexcept
      : data_(bytes == 0 ? nullptr : ::operator new(bytes, std::align_val_t{64}, std::nothrow)) {}
  aligned_memory(aligned_memory&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  aligned_memory& operator=(aligned_memory&& other) noexcept {
    void* const mine = data_;
    data_            = other.data_;
    other.data_      = mine;
    return *this;
  }
  ~aligned_memory() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{64});
  }

  [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(data_); }

 private:
  void* data_ = nullptr;
};

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
