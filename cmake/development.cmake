# SPDX-License-Identifier: MIT
#
# How our own tests, examples and benchmarks are compiled. Nothing here is exported or reaches a consumer.

add_library(quaver_development INTERFACE)
target_compile_options(quaver_development INTERFACE -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wpedantic -Wundef -Werror)
# libstdc++ 12's std::stable_sort uses what it itself calls deprecated, and clang says so of every use of it.
target_compile_options(quaver_development INTERFACE "$<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>")

# Plain C++20. It also has gcc contract a * b + c in no expression but those that ask for it; tests/flags has the others.
set(CMAKE_CXX_EXTENSIONS OFF)
