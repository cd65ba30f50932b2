// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_MAPPED_FILE_HPP
#define QUAVER_IO_MAPPED_FILE_HPP

#include <quaver/base/status.hpp>
#include <quaver/io/message.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// A file's bytes as memory, read-only, mapped and not copied: a checkpoint larger than memory opens at once, and pages
/// come in as they are touched. The mapping outlives the file's name, so a writer that replaces the file by renaming
/// (as atomic_file does) disturbs no reader. A file truncated in place by another program does: touching the lost pages
/// raises SIGBUS, as for every mapping.
class mapped_file {
 public:
  mapped_file() noexcept = default;
  mapped_file(mapped_file&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    if (this != &other) {
      unmap();
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  mapped_file(const mapped_file&)            = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file() { unmap(); }

  static result<mapped_file> open(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
    if (file < 0) return system_failure("open", path, errno);
    result<mapped_file> mapped = map(file, path);
    ::close(file);  // the mapping keeps the file
    return result<mapped_file>(std::move(mapped));
  }

  /// Page-aligned; empty for an empty file.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  static result<mapped_file> map(int file, const std::string& path) {
    struct ::stat about{};
    if (::fstat(file, &about) != 0) return system_failure("examine", path, errno);
    if (!S_ISREG(about.st_mode)) {
      return status(status_code::invalid_argument,
                    joined("cannot map ", in_quotes(path), ": it is not a regular file"));
    }
    mapped_file mapped;
    if (about.st_size == 0) return result<mapped_file>(std::move(mapped));  // mmap refuses a length of 0
    const auto size     = static_cast<size_t>(about.st_size);
    void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (address == MAP_FAILED) return system_failure("map", path, errno);
    mapped.bytes_ = {static_cast<const std::byte*>(address), size};
    return result<mapped_file>(std::move(mapped));
  }

  void unmap() noexcept {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }

  std::span<const std::byte> bytes_;
};

}  // namespace io
QUAVER_END_NAMESPACE

#endif
