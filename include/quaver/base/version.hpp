// SPDX-License-Identifier: MIT
#ifndef QUAVER_BASE_VERSION_HPP
#define QUAVER_BASE_VERSION_HPP

// The version stands here and nowhere else: CMake reads these three lines.
#define QUAVER_VERSION_MAJOR 0
#define QUAVER_VERSION_MINOR 1
#define QUAVER_VERSION_PATCH 0

/// One number to compare: 10000 * major + 100 * minor + patch.
#define QUAVER_VERSION (QUAVER_VERSION_MAJOR * 10000 + QUAVER_VERSION_MINOR * 100 + QUAVER_VERSION_PATCH)

// Two versions of a header-only library in one program would break the one-definition rule in silence. The inline
// namespace gives each its own symbols, so that they can live side by side; users write quaver::e4m3 all the same.
#define QUAVER_BEGIN_NAMESPACE \
  namespace quaver {           \
  inline namespace v0_1 {
#define QUAVER_END_NAMESPACE \
  }                          \
  }

#endif
