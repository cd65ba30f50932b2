# SPDX-License-Identifier: MIT
#
# Builds project/ with one compiler; ends with an error, after the compiler's words, where it does not build.
# cmake -D build_dir= -D language= -D compiler= -D generator= -P build_with.cmake
cmake_minimum_required(VERSION 3.25)
set(options "-DQUAVER_HEADERS_LANGUAGE=${language}" "-DCMAKE_${language}_COMPILER=${compiler}")
if(language STREQUAL "CUDA")
  list(APPEND options "-DCMAKE_CUDA_ARCHITECTURES=80")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/project" -B "${build_dir}" -G "${generator}" ${options}
                OUTPUT_VARIABLE words ERROR_VARIABLE words RESULT_VARIABLE outcome)
if(outcome EQUAL 0)
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build_dir}" --parallel 2
                  OUTPUT_VARIABLE words ERROR_VARIABLE words RESULT_VARIABLE outcome)
endif()
if(NOT outcome EQUAL 0)
  message("${words}")
  message(FATAL_ERROR "The headers do not build with ${compiler}.")
endif()
