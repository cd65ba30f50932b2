// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_HEADERS_DEVICE_STANDARD_HEADERS_HPP
#define QUAVER_TESTS_HEADERS_DEVICE_STANDARD_HEADERS_HPP

// What the headers for devices, and those for hosts that they use, may include from elsewhere, included before min and
// max become macros. Fewer than standard_headers.hpp has: four architectures read each of them.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#endif
