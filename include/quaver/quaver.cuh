// SPDX-License-Identifier: MIT
#ifndef QUAVER_QUAVER_CUH
#define QUAVER_QUAVER_CUH

// Everything for device code but the adapters, which need headers of third parties, and ptx/, which has no policy.

#include <quaver/base/philox.hpp>
#include <quaver/convert/members.hpp>
#include <quaver/cuda/arithmetic.cuh>
#include <quaver/cuda/convert.cuh>
#include <quaver/cuda/packed.cuh>
#include <quaver/format/classify.hpp>
#include <quaver/format/packed.hpp>

#endif
