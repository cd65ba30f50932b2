// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CUDA_CUBLASLT_RUNS_HPP
#define QUAVER_TESTS_CUDA_CUBLASLT_RUNS_HPP

// Runs of problems by cuBLASLt.

#include "cublaslt_problems.hpp"

// Behind what says `half` and means ours: the library's header has one of its own.
#include <quaver/adapters/cublaslt.hpp>

namespace quaver_test {

class CublasLt : public GpuTest {};

inline constexpr scale_layout lines   = {.block_rows = 1, .block_cols = 128, .order = scale_order::column_major};
inline constexpr scale_layout squares = blocks_128x128;

/// Memory to work in, full of NaN.
struct work {
  device_array<std::byte> memory;
  explicit work(size_t bytes) : memory(bytes + 1) { memory.fill_bytes(0xFF); }
  [[nodiscard]] std::span<std::byte> span() const { return {memory.data(), memory.size() - 1}; }
};

/// Runs, and gives back D with all that stands between its rows.
template <class Engine, class A, class B, class D>
std::vector<D> run(Engine& engine, const cublaslt_problem<A, B, D>& p) {
  p.send();
  const result<size_t> bytes = engine.workspace(p.device);
  EXPECT_TRUE(bytes.ok()) << bytes.message();
  if (!bytes.ok()) return {};
  const work memory(*bytes);
  const status done = engine.run(p.device, memory.span(), nullptr);
  EXPECT_TRUE(done.ok()) << done.message();
  return p.d.device->to_host();
}

}  // namespace quaver_test

#endif
