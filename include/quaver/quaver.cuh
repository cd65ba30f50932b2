// SPDX-License-Identifier: MIT
#ifndef QUAVER_QUAVER_CUH
#define QUAVER_QUAVER_CUH

// Everything for CUDA but the adapters, which need headers of third parties, ptx/, which has no policy, and the GEMMs for one
// kind of chip, cuda/wgmma_*.cuh: in device code the conversions, on the host what launches kernels. NVRTC, which has no host,
// sees the former alone.

#include <quaver/base/philox.hpp>
#include <quaver/convert/members.hpp>
#include <quaver/cuda/arithmetic.cuh>
#include <quaver/cuda/convert.cuh>
#include <quaver/cuda/packed.cuh>
#include <quaver/format/classify.hpp>
#include <quaver/format/packed.hpp>

#if !QUAVER_NVRTC
#include <quaver/cuda/cast.cuh>
#include <quaver/cuda/cast_stats.cuh>
#include <quaver/cuda/cast_transpose.cuh>
#include <quaver/cuda/dequantize.cuh>
#include <quaver/cuda/gemm.cuh>
#include <quaver/cuda/quantize.cuh>
#include <quaver/cuda/rms_norm.cuh>
#endif

#endif
