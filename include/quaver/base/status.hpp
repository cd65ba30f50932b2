// SPDX-License-Identifier: MIT
#ifndef QUAVER_BASE_STATUS_HPP
#define QUAVER_BASE_STATUS_HPP

#include <quaver/base/bits.hpp>

// Device code cannot fail with a sentence: under NVRTC this header is empty.
#if !QUAVER_NVRTC

#include <string>
#include <utility>

QUAVER_BEGIN_NAMESPACE

/// What went wrong, for a program; the sentence beside it is for a person.
enum class status_code : uint8_t {
  ok,
  invalid_argument,  ///< a value, shape, stride or pointer that no call of this kind accepts
  unsupported,       ///< well-formed, but not what this engine, machine or build can do
  not_found,         ///< a file, tensor or key that was asked for is not there
  corrupt_data,      ///< bytes that break the rules of their format
  io_error,          ///< the operating system refused to read or write
  device_error,      ///< the CUDA runtime or a library on it refused; the sentence has its words
};

/// How a host call fails: a code and one sentence with the offending numbers. Nothing in Quaver throws. An ok status
/// carries no text and allocates nothing.
class [[nodiscard]] status {
 public:
  status() noexcept = default;
  status(status_code code, std::string message) noexcept : code_(code), message_(std::move(message)) {}

  [[nodiscard]] bool ok() const noexcept { return code_ == status_code::ok; }
  [[nodiscard]] status_code code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  explicit operator bool() const noexcept { return ok(); }

 private:
  status_code code_ = status_code::ok;
  std::string message_;
};

/// A `T`, or the status that says why there is none. `value()` without `ok()` is a programming error: the value is then
/// a default-made one.
template <class T>
class [[nodiscard]] result {
 public:
  result(const T& value) : value_(value) {}                         // NOLINT(google-explicit-constructor)
  result(T&& value) : value_(std::move(value)) {}                   // NOLINT(google-explicit-constructor)
  result(status failure) noexcept : status_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return status_.ok(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const status& error() const noexcept { return status_; }
  [[nodiscard]] const std::string& message() const noexcept { return status_.message(); }

  [[nodiscard]] T& value() & noexcept { return value_; }
  [[nodiscard]] const T& value() const& noexcept { return value_; }
  [[nodiscard]] T&& value() && noexcept { return std::move(value_); }
  [[nodiscard]] T& operator*() & noexcept { return value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return value_; }
  [[nodiscard]] T* operator->() noexcept { return &value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &value_; }

 private:
  status status_;
  T value_{};
};

QUAVER_END_NAMESPACE

#endif  // !QUAVER_NVRTC

#endif
