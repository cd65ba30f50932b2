// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_STAGING_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_STAGING_HPP

#include <quaver/base/status.hpp>

#include <string>

namespace checkpoint {

using namespace quaver;

/// The file in an output directory that names those which this program wrote there, one a line.
inline constexpr const char* manifest_name = "quaver_checkpoint.files";

/// A directory that appears under its name whole or not at all. Files are written to a directory beside it, which takes
/// the name in commit(). Until then the name keeps what it had; without commit() the destructor removes the files. A
/// killed process leaves only "NAME.partial-N".
class staging_directory {
 public:
  staging_directory() = default;
  staging_directory(staging_directory&& other) noexcept { *this = static_cast<staging_directory&&>(other); }
  staging_directory& operator=(staging_directory&& other) noexcept;
  ~staging_directory();

  /// `target` may be absent, empty, or hold an earlier run's files and nothing else; `force` allows anything, and then
  /// what was there survives under "NAME.replaced-N".
  static result<staging_directory> create(const std::string& target, bool force);

  /// Where to write.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Where that will be found after commit().
  [[nodiscard]] const std::string& target() const noexcept { return target_; }

  /// Gives the directory its name. Returns the name under which a foreign directory was kept; empty if there was none.
  result<std::string> commit();

 private:
  std::string path_;
  std::string target_;
};

}  // namespace checkpoint

#endif
