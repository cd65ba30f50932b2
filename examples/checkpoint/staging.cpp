// SPDX-License-Identifier: MIT
#include "staging.hpp"

#include <quaver/io/message.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

namespace checkpoint {

namespace {

namespace fs = std::filesystem;

// A file that no earlier run of this program wrote; empty if all are its own.
result<std::string> foreign_file(const std::string& directory) {
  std::error_code error;
  std::set<std::string> ours;
  std::ifstream manifest(directory + '/' + manifest_name);
  if (manifest) ours.insert(manifest_name);
  for (std::string name; std::getline(manifest, name);) ours.insert(name);
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::string name = entries->path().filename().string();
    std::error_code ignored;
    if (!ours.contains(name) || !entries->is_regular_file(ignored)) return name;
  }
  if (error) return status(status_code::io_error, "cannot list " + io::in_quotes(directory) + ": " + error.message());
  return std::string();
}

void remove_all(const std::string& path) noexcept {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

std::string beside(const std::string& target, const char* what) {
  return target + '.' + what + '-' + std::to_string(::getpid());
}

}  // namespace

staging_directory& staging_directory::operator=(staging_directory&& other) noexcept {
  path_.swap(other.path_);
  target_.swap(other.target_);
  return *this;
}

staging_directory::~staging_directory() {
  if (!path_.empty()) remove_all(path_);
}

result<staging_directory> staging_directory::create(const std::string& target, bool force) {
  std::error_code error;
  staging_directory out;
  // No trailing slash, no link: rename(2) takes neither.
  out.target_ = fs::weakly_canonical(fs::absolute(target, error), error).string();
  if (error) return status(status_code::io_error, "cannot write to " + io::in_quotes(target) + ": " + error.message());
  if (out.target_.size() > 1 && out.target_.back() == '/') out.target_.pop_back();
  struct ::stat about{};
  if (::stat(out.target_.c_str(), &about) == 0) {
    if (!S_ISDIR(about.st_mode)) {
      return status(status_code::invalid_argument, "cannot write to " + io::in_quotes(target) + ": it is no directory");
    }
    if (fs::equivalent(out.target_, ".", error)) {
      return status(status_code::invalid_argument,
                    "will not replace " + io::in_quotes(target) + ": it is the directory that this program runs in");
    }
    const result<std::string> foreign = foreign_file(out.target_);
    if (!foreign && !force) return foreign.error();
    if (foreign && !foreign->empty() && !force) {
      return status(status_code::invalid_argument,
                    "will not replace " + io::in_quotes(target) + ": " + io::in_quotes(*foreign) +
                        " there is not from this program; --force moves the directory aside");
    }
  }
  const std::string path = beside(out.target_, "partial");
  fs::create_directories(fs::path(path).parent_path(), error);
  if (!error && !fs::create_directory(path, error) && !error) error = std::make_error_code(std::errc::file_exists);
  if (error) {
    return status(status_code::io_error, "cannot make the directory " + io::in_quotes(path) + ": " + error.message());
  }
  out.path_ = path;
  return out;
}

result<std::string> staging_directory::commit() {
  struct ::stat about{};
  std::string old;
  if (::stat(target_.c_str(), &about) == 0) {
    old = beside(target_, "replaced");
    if (::rename(target_.c_str(), old.c_str()) != 0) return io::system_failure("move aside", target_, errno);
  }
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    if (!old.empty()) std::rename(old.c_str(), target_.c_str());
    return io::system_failure("rename a directory to", target_, error);
  }
  path_.clear();
  if (old.empty()) return old;
  // Looked at again: somebody may have put a file there while we worked.
  const result<std::string> foreign = foreign_file(old);
  if (!foreign || !foreign->empty()) return old;
  remove_all(old);
  return std::string();
}

}  // namespace checkpoint
