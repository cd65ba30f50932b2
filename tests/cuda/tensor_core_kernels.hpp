// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_TENSOR_CORE_KERNELS_HPP
#define QUAVER_TESTS_CUDA_TENSOR_CORE_KERNELS_HPP

#include <cstdint>

namespace quaver_test {

/// D = C + A B^T by chained wgmma m64nNk32 instructions, one after the other with no wait between: tiles of their own.
///
/// a: tiles x 64 x (32 steps) bytes, row-major; b: tiles x N x (32 steps); both e4m3 or e5m2. c and d: tiles x 128 threads
/// x words, as the accumulators lie in the threads' registers (fragment_row, fragment_col); c may be null: no
/// accumulator. Device memory. N is 8, 16, 64, 128 or 256; steps at most 8.
struct wgmma_call {
  int n;
  int steps;
  int tiles;
  bool half_accumulators;
  bool a_is_e5m2;
  bool b_is_e5m2;
  const uint8_t* a;
  const uint8_t* b;
  const uint32_t* c;
  uint32_t* d;
};

/// 32-bit words of accumulators a thread.
inline int fragment_words(const wgmma_call& call) { return call.half_accumulators ? call.n / 4 : call.n / 2; }

/// Where in the tile the value stands that is word `word` (half accumulators: and `lane_half` 0 or 1 of it) of a thread.
inline int fragment_row(int thread, int word, bool half_accumulators) {
  const int pair = half_accumulators ? word : word / 2;  // of neighbouring columns
  return thread / 32 * 16 + thread % 32 / 4 + pair % 2 * 8;
}
inline int fragment_col(int thread, int word, int lane_half, bool half_accumulators) {
  const int pair = half_accumulators ? word : word / 2;
  return pair / 2 * 8 + thread % 4 * 2 + (half_accumulators ? lane_half : word % 2);
}

/// False where this program or card has no wgmma.
bool run_wgmma(const wgmma_call& call);

}  // namespace quaver_test

#endif
