// SPDX-License-Identifier: MIT
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdio>

// Says which card the tests run on, once and on stderr: ctest lists the tests by what stands on stdout.
int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  if (!testing::GTEST_FLAG(list_tests)) {
    int devices         = 0;
    cudaDeviceProp card = {};
    if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0 &&
        cudaGetDeviceProperties(&card, 0) == cudaSuccess) {
      std::fprintf(stderr, "%s, compute capability %d.%d\n", card.name, card.major, card.minor);
    }
  }
  return RUN_ALL_TESTS();
}
