// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_READ_MODEL_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_READ_MODEL_HPP

#include <quaver/io/find_scale.hpp>

#include <string>

namespace checkpoint {

using namespace quaver;

// Everything that parses a file stands behind these three, in one source: the parsers are headers, and cost a compiler
// seconds wherever they are used.

/// A file, an index or a directory.
result<io::sharded_checkpoint> open_checkpoint(const std::string& path);

/// The config.json beside a checkpoint, or an empty text. Fails if a config there says that it is quantised already.
result<std::string> read_model_config(const io::sharded_checkpoint& input);

/// What a quantised checkpoint's config says of it.
result<io::quantization_config> read_dialect(const io::sharded_checkpoint& stored);

}  // namespace checkpoint

#endif
