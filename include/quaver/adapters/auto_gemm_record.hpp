// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_AUTO_GEMM_RECORD_HPP
#define QUAVER_ADAPTERS_AUTO_GEMM_RECORD_HPP

#include <quaver/adapters/auto_gemm_choice.hpp>

// Written by bench/auto_gemm_record.py; not to be edited. From
//   docs/performance/2026-11-22-h100-wgmma.json: 2026-11-22, 60 rows, NVIDIA H100 80GB HBM3, 700 W, driver 580.159.04, CUDA 13.0, cuBLASLt 13.1
//   docs/performance/2026-11-22-h100-gemm-small.json: 2026-11-22, 23 rows

QUAVER_BEGIN_NAMESPACE

inline constexpr char gemm_record_card[] = "NVIDIA H100 80GB HBM3, 700 W, driver 580.159.04, CUDA 13.0, cuBLASLt 13.1";
inline constexpr char gemm_record_date[] = "2026-11-22";

// clang-format off
inline constexpr gemm_measurement gemm_record[] = {
    {measured_kind::tensor_fast, 1, 28672, 4096, 1.0595f},
    {measured_kind::tensor_fast, 16, 4096, 14336, 1.1618f},
    {measured_kind::tensor_fast, 16, 28672, 4096, 1.0839f},
    {measured_kind::tensor_fast, 64, 2112, 7168, 0.8978f},
    {measured_kind::tensor_fast, 128, 4096, 14336, 0.8382f},
    {measured_kind::tensor_fast, 128, 28672, 4096, 1.0005f},
    {measured_kind::tensor_fast, 4096, 2112, 7168, 0.9615f},
    {measured_kind::tensor_fast, 4096, 4096, 4096, 0.9379f},
    {measured_kind::tensor_fast, 4096, 4096, 7168, 0.9370f},
    {measured_kind::tensor_fast, 4096, 4096, 14336, 0.9880f},
    {measured_kind::tensor_fast, 4096, 6144, 4096, 1.0222f},
    {measured_kind::tensor_fast, 4096, 7168, 2048, 0.9508f},
    {measured_kind::tensor_fast, 4096, 7168, 16384, 0.9993f},
    {measured_kind::tensor_fast, 4096, 24576, 1536, 0.9526f},
    {measured_kind::tensor_fast, 4096, 28672, 4096, 0.9779f},
    {measured_kind::tensor_fast, 4096, 32768, 512, 0.9245f},
    {measured_kind::tensor_fast, 8192, 8192, 8192, 1.0517f},
    {measured_kind::tensor_fast, 8192, 28672, 8192, 0.9925f},
    {measured_kind::tensor_strict, 1, 28672, 4096, 1.0382f},
    {measured_kind::tensor_strict, 16, 4096, 14336, 1.1495f},
    {measured_kind::tensor_strict, 16, 28672, 4096, 1.0653f},
    {measured_kind::tensor_strict, 64, 2112, 7168, 0.8835f},
    {measured_kind::tensor_strict, 128, 4096, 14336, 0.8344f},
    {measured_kind::tensor_strict, 128, 28672, 4096, 0.8874f},
    {measured_kind::tensor_strict, 4096, 2112, 7168, 1.0985f},
    {measured_kind::tensor_strict, 4096, 4096, 4096, 0.9744f},
    {measured_kind::tensor_strict, 4096, 4096, 7168, 0.9478f},
    {measured_kind::tensor_strict, 4096, 4096, 14336, 0.9530f},
    {measured_kind::tensor_strict, 4096, 6144, 4096, 0.9827f},
    {measured_kind::tensor_strict, 4096, 7168, 2048, 0.9775f},
    {measured_kind::tensor_strict, 4096, 7168, 16384, 0.9969f},
    {measured_kind::tensor_strict, 4096, 24576, 1536, 0.9522f},
    {measured_kind::tensor_strict, 4096, 28672, 4096, 1.0083f},
    {measured_kind::tensor_strict, 4096, 32768, 512, 1.0159f},
    {measured_kind::tensor_strict, 8192, 8192, 8192, 1.0043f},
    {measured_kind::tensor_strict, 8192, 28672, 8192, 0.9770f},
    {measured_kind::rows_fast, 1, 28672, 4096, 1.3197f},
    {measured_kind::rows_fast, 16, 4096, 14336, 1.7335f},
    {measured_kind::rows_fast, 16, 28672, 4096, 1.2084f},
    {measured_kind::rows_fast, 64, 2112, 7168, 1.9064f},
    {measured_kind::rows_fast, 128, 4096, 14336, 1.2687f},
    {measured_kind::rows_fast, 128, 28672, 4096, 1.0075f},
    {measured_kind::rows_fast, 4096, 2112, 7168, 1.1574f},
    {measured_kind::rows_fast, 4096, 4096, 4096, 0.9585f},
    {measured_kind::rows_fast, 4096, 4096, 7168, 0.9445f},
    {measured_kind::rows_fast, 4096, 4096, 14336, 0.9517f},
    {measured_kind::rows_fast, 4096, 6144, 4096, 0.9755f},
    {measured_kind::rows_fast, 4096, 7168, 2048, 0.9762f},
    {measured_kind::rows_fast, 4096, 7168, 16384, 1.0300f},
    {measured_kind::rows_fast, 4096, 24576, 1536, 1.0021f},
    {measured_kind::rows_fast, 4096, 28672, 4096, 0.9938f},
    {measured_kind::rows_fast, 4096, 32768, 512, 1.1274f},
    {measured_kind::rows_fast, 8192, 8192, 8192, 1.0106f},
    {measured_kind::rows_fast, 8192, 28672, 8192, 0.9847f},
    {measured_kind::rows_strict, 4096, 2112, 7168, 1.2291f},
    {measured_kind::rows_strict, 4096, 4096, 4096, 0.9753f},
    {measured_kind::rows_strict, 4096, 4096, 7168, 0.9701f},
    {measured_kind::rows_strict, 4096, 4096, 14336, 0.9850f},
    {measured_kind::rows_strict, 4096, 6144, 4096, 0.9946f},
    {measured_kind::rows_strict, 4096, 7168, 2048, 1.0005f},
    {measured_kind::rows_strict, 4096, 7168, 16384, 1.0056f},
    {measured_kind::rows_strict, 4096, 24576, 1536, 0.9975f},
    {measured_kind::rows_strict, 4096, 28672, 4096, 1.0309f},
    {measured_kind::rows_strict, 4096, 32768, 512, 1.0955f},
    {measured_kind::rows_strict, 8192, 8192, 8192, 0.9931f},
    {measured_kind::rows_strict, 8192, 28672, 8192, 0.9937f},
    {measured_kind::blocks, 16, 4096, 14336, 1.2736f},
    {measured_kind::blocks, 16, 28672, 4096, 1.1471f},
    {measured_kind::blocks, 64, 2112, 7168, 1.4289f},
    {measured_kind::blocks, 128, 4096, 14336, 0.9604f},
    {measured_kind::blocks, 128, 28672, 4096, 0.8232f},
    {measured_kind::blocks, 4096, 2112, 7168, 0.9777f},
    {measured_kind::blocks, 4096, 4096, 4096, 1.0233f},
    {measured_kind::blocks, 4096, 4096, 7168, 1.0239f},
    {measured_kind::blocks, 4096, 4096, 14336, 1.0247f},
    {measured_kind::blocks, 4096, 6144, 4096, 1.0207f},
    {measured_kind::blocks, 4096, 7168, 2048, 1.0146f},
    {measured_kind::blocks, 4096, 7168, 16384, 1.0277f},
    {measured_kind::blocks, 4096, 24576, 1536, 1.0054f},
    {measured_kind::blocks, 4096, 28672, 4096, 0.9826f},
    {measured_kind::blocks, 4096, 32768, 512, 1.0287f},
    {measured_kind::blocks, 8192, 8192, 8192, 1.0229f},
    {measured_kind::blocks, 8192, 28672, 8192, 0.9989f},
};
// clang-format on

QUAVER_END_NAMESPACE

#endif
