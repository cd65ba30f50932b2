// SPDX-License-Identifier: MIT
#include <quaver/quaver.cuh>
#include <quaver/quaver.hpp>

__global__ void convert(const float* x, quaver::cuda::packed<quaver::e4m3, 4>* y) {
  const float four[4] = {x[0], x[1], x[2], x[3]};
  *y                  = quaver::cuda::encode_xn<quaver::e4m3>(four);
}
