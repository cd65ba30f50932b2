// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_AUTO_GEMM_CHOICE_HPP
#define QUAVER_ADAPTERS_AUTO_GEMM_CHOICE_HPP

#include <quaver/base/status.hpp>
#include <quaver/problem/gemm_problem.hpp>

#include <array>
#include <cmath>
#include <span>

// Which engine auto_gemm takes, as functions of a problem's sizes and a table of measurements.

QUAVER_BEGIN_NAMESPACE

/// The engines of auto_gemm.
enum class auto_engine : uint8_t {
  wgmma,                   ///< cuda::wgmma_engine
  cublaslt,                ///< cublaslt_gemm
  cublaslt_with_epilogue,  ///< cublaslt_gemm_with_epilogue, where the library cannot do all of it
  plain,                   ///< cuda::gemm
};

constexpr const char* name_of(auto_engine engine) noexcept {
  switch (engine) {
    case auto_engine::wgmma: return "wgmma";
    case auto_engine::cublaslt: return "cublaslt";
    case auto_engine::cublaslt_with_epilogue: return "cublaslt_with_epilogue";
    case auto_engine::plain: return "plain";
  }
  return "";
}

/// An engine and a sentence why.
struct auto_choice {
  auto_engine engine = auto_engine::plain;
  std::string why;
};

/// How auto_gemm runs a problem.
struct auto_plan {
  auto_engine engine = auto_engine::plain;
  size_t workspace   = 0;  ///< bytes that run() needs
  std::string text;        ///< the engine's own sentence
};

/// The order in which engines are asked whether they can run a problem: the faster one, then the others as they stand in the
/// enumeration, the last of which run nearly everything, slower.
constexpr std::array<auto_engine, 4> auto_order(auto_engine faster) noexcept {
  std::array<auto_engine, 4> order{faster};
  size_t next = 1;
  for (const auto_engine engine :
       {auto_engine::wgmma, auto_engine::cublaslt, auto_engine::cublaslt_with_epilogue, auto_engine::plain}) {
    if (engine != faster) order[next++] = engine;
  }
  return order;
}

/// What problems were measured: their scales and how K is summed.
enum class measured_kind : uint8_t { tensor_fast, tensor_strict, rows_fast, rows_strict, blocks };

constexpr const char* name_of(measured_kind kind) noexcept {
  switch (kind) {
    case measured_kind::tensor_fast: return "one scale, fast";
    case measured_kind::tensor_strict: return "one scale, strict";
    case measured_kind::rows_fast: return "one a row, fast";
    case measured_kind::rows_strict: return "one a row, strict";
    case measured_kind::blocks: return "scales of blocks";
  }
  return "";
}

/// One row of a record: D bfloat16, no epilogue, one batch.
struct gemm_measurement {
  measured_kind kind;
  int m;
  int n;
  int k;
  float vs_cublaslt;  ///< cuBLASLt's time over that of wgmma
};

/// The kind that a problem counts as: of blocks where a scale changes along K or is that of several rows but not of all; of
/// rows where A or B has one a row.
template <class A, class B, class D>
measured_kind measured_kind_of(const gemm_problem<A, B, D>& problem) noexcept {
  bool blocks      = false;
  bool rows        = false;
  const auto count = [&](const auto& x) {
    const scale_layout& by = x.layout;
    blocks |= by.block_cols != 0 && by.block_cols < x.cols();
    blocks |= by.block_rows > 1 && by.block_rows < x.rows();
    rows |= by.block_rows == 1 && x.rows() > 1;
  };
  count(problem.a);
  count(problem.b);
  if (blocks) return measured_kind::blocks;
  if (problem.accumulate == accumulation::fast) return rows ? measured_kind::rows_fast : measured_kind::tensor_fast;
  return rows ? measured_kind::rows_strict : measured_kind::tensor_strict;
}

/// How far a shape is from a measured one: the sum of the squares of the differences of log2 M, log2 N and log2 K. So twice
/// the rows are as far as half of K. Extents of 0 count as 1.
inline double measured_distance(const gemm_measurement& measured, int64_t m, int64_t n, int64_t k) noexcept {
  const auto squared = [](int64_t x, int64_t y) {
    const double off = std::log2(static_cast<double>(x > 0 ? x : 1)) - std::log2(static_cast<double>(y > 0 ? y : 1));
    return off * off;
  };
  return squared(measured.m, m) + squared(measured.n, n) + squared(measured.k, k);
}

/// The nearest measurement of this kind, the first of those that are equally near; null where the kind was not measured.
inline const gemm_measurement* nearest_measurement(std::span<const gemm_measurement> all, measured_kind kind, int64_t m,
                                                   int64_t n, int64_t k) noexcept {
  const gemm_measurement* nearest = nullptr;
  double least                    = 0.0;
  for (const gemm_measurement& one : all) {
    if (one.kind != kind) continue;
    const double off = measured_distance(one, m, n, k);
    if (nearest != nullptr && off >= least) continue;
    nearest = &one;
    least   = off;
  }
  return nearest;
}

/// The faster engine by a measurement: wgmma where both took the same time, since it wants no workspace, and where there is
/// none.
constexpr auto_engine faster_by(const gemm_measurement* measured) noexcept {
  return measured == nullptr || measured->vs_cublaslt >= 1.0f ? auto_engine::wgmma : auto_engine::cublaslt;
}

QUAVER_END_NAMESPACE

#endif
