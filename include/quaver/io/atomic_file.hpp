// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_ATOMIC_FILE_HPP
#define QUAVER_IO_ATOMIC_FILE_HPP

#include <quaver/base/status.hpp>
#include <quaver/io/message.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <utility>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// A file that appears under its name whole or not at all. The bytes go to a temporary file in the same directory;
/// commit() forces them to the disk and renames, which replaces an earlier file of that name in one step. Until then
/// the name keeps what it had. A failed write and a destructor without commit() remove the temporary file; only a
/// killed process leaves it, as ".quaver-<process>-<number>.tmp", which no loader takes for a checkpoint.
class atomic_file {
 public:
  atomic_file() noexcept = default;
  atomic_file(atomic_file&& other) noexcept { swap(other); }
  atomic_file& operator=(atomic_file&& other) noexcept {
    atomic_file old(std::move(*this));
    swap(other);
    return *this;
  }
  atomic_file(const atomic_file&)            = delete;
  atomic_file& operator=(const atomic_file&) = delete;
  ~atomic_file() { discard(); }

  /// Opens the temporary file. `path` must name a regular file or nothing; a symbolic link there is replaced by
  /// the new file, not followed.
  static result<atomic_file> create(const std::string& path) {
    if (path.empty() || path.back() == '/') {
      return status(status_code::invalid_argument,
                    joined("cannot write ", in_quotes(path), ": the path names no file"));
    }
    struct ::stat about{};
    if (::stat(path.c_str(), &about) == 0 && !S_ISREG(about.st_mode)) {
      return status(status_code::invalid_argument,
                    joined("cannot write ", in_quotes(path), ": something other than a regular file has that name"));
    }
    atomic_file out;
    out.path_                = path;
    const size_t slash       = path.rfind('/');
    out.directory_           = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    constexpr int most_tries = 1000;  // leftovers of killed processes with our process number
    for (int tries = 0; tries < most_tries; ++tries) {
      static std::atomic<unsigned> counter{0};
      out.temporary_ = joined(out.directory_, "/.quaver-", ::getpid(), "-", counter.fetch_add(1), ".tmp");
      out.file_      = ::open(out.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (out.file_ >= 0) return result<atomic_file>(std::move(out));
      if (errno != EEXIST) break;
    }
    return system_failure("create a file beside", path, errno);
  }

  /// Writes all of `bytes` at that offset. After a failure the file is gone and every later call fails alike.
  status write_at(uint64_t offset, std::span<const std::byte> bytes) {
    if (file_ < 0) return closed();
    while (!bytes.empty()) {
      constexpr size_t most = size_t{1} << 30;  // the kernel takes less than 2^31 at once
      const size_t count    = bytes.size() < most ? bytes.size() : most;
      const ssize_t written = ::pwrite(file_, bytes.data(), count, static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return fail("write", written < 0 ? errno : ENOSPC);
      offset += static_cast<uint64_t>(written);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return {};
  }

  /// Makes the file durable and gives it its name.
  status commit() {
    if (file_ < 0) return closed();
    if (::fsync(file_) != 0) return fail("write", errno);
    // Some file systems report a full disk only here.
    if (::close(std::exchange(file_, -1)) != 0) return fail("write", errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return fail("rename a file to", errno);
    temporary_.clear();
    // The rename itself is durable once the directory is. Not every file system can do that; the file is whole anyway.
    const int directory = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
      ::fsync(directory);
      ::close(directory);
    }
    return {};
  }

  /// Gives the file up: nothing appears under its name.
  void discard() noexcept {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  [[nodiscard]] status closed() const {
    return {status_code::io_error,
            joined("cannot write ", in_quotes(path_), ": an earlier failure or commit closed it")};
  }
  status fail(std::string_view verb, int error) {
    discard();
    return system_failure(verb, path_, error);
  }
  void swap(atomic_file& other) noexcept {
    std::swap(file_, other.file_);
    path_.swap(other.path_);
    directory_.swap(other.directory_);
    temporary_.swap(other.temporary_);
  }

  int file_ = -1;
  std::string path_;
  std::string directory_;
  std::string temporary_;
};

/// A small file in one call.
inline status write_file(const std::string& path, std::string_view text) {
  result<atomic_file> file = atomic_file::create(path);
  if (!file) return file.error();
  status written = file->write_at(0, std::as_bytes(std::span<const char>(text)));
  return written ? file->commit() : written;
}

}  // namespace io
QUAVER_END_NAMESPACE

#endif
