# SPDX-License-Identifier: MIT
#
# Configures, builds and runs project/ with one way of taking Quaver in, and compares what the compiler was told.
#
# cmake -D build_dir= -D generator= -D compiler= -D way= [-D prefix=] [-D quaver_dir=] [-D version=] [-D components=]
#       [-D disable=<package not to be found>] [-D expect_refusal=<words of the error>] -P run.cmake
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${build_dir}")
set(options "-DCMAKE_CXX_COMPILER=${compiler}" "-DCONSUMER_WAY=${way}" "-DCONSUMER_COMPONENTS=${components}"
            "-DCMAKE_PREFIX_PATH=${prefix}" "-DCONSUMER_QUAVER_DIR=${quaver_dir}")
if(version)
  list(APPEND options "-DCONSUMER_VERSION=${version}")
endif()
if(disable)
  list(APPEND options "-DCMAKE_DISABLE_FIND_PACKAGE_${disable}=ON")
endif()
if(way STREQUAL "fetch_content")
  list(APPEND options "-DFETCHCONTENT_SOURCE_DIR_QUAVER=${quaver_dir}")
endif()

execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/project" -B "${build_dir}" -G "${generator}" ${options}
                OUTPUT_VARIABLE words ERROR_VARIABLE words RESULT_VARIABLE outcome)
if(expect_refusal)
  # CMake breaks the lines of its errors as it likes.
  string(REGEX REPLACE "[ \n]+" " " words "${words}")
  string(FIND "${words}" "${expect_refusal}" position)
  if(outcome EQUAL 0 OR position EQUAL -1)
    message("${words}")
    message(FATAL_ERROR "Expected a refusal with the words: ${expect_refusal}")
  endif()
  return()
endif()
if(outcome EQUAL 0)
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build_dir}" OUTPUT_VARIABLE words ERROR_VARIABLE words RESULT_VARIABLE outcome)
endif()
if(NOT outcome EQUAL 0)
  message("${words}")
  message(FATAL_ERROR "The consumer does not build.")
endif()

execute_process(COMMAND "${build_dir}/consumer" COMMAND_ERROR_IS_FATAL ANY)
if("io" IN_LIST components)
  execute_process(COMMAND "${build_dir}/io_consumer" COMMAND_ERROR_IS_FATAL ANY)
endif()
if("cublaslt" IN_LIST components)
  execute_process(COMMAND "${build_dir}/cublaslt_consumer" COMMAND_ERROR_IS_FATAL ANY)
endif()

# None of our tests may become the consumer's.
execute_process(COMMAND "${CMAKE_CTEST_COMMAND}" -N WORKING_DIRECTORY "${build_dir}" OUTPUT_VARIABLE words COMMAND_ERROR_IS_FATAL ANY)
if(NOT words MATCHES "Total Tests: 0")
  message(FATAL_ERROR "The consumer got our tests:\n${words}")
endif()

# Beyond the include path, a file that uses Quaver is compiled like one that does not.
function(quaver_flags source result)
  file(READ "${build_dir}/compile_commands.json" commands)
  string(JSON count LENGTH "${commands}")
  math(EXPR last "${count} - 1")
  foreach(i RANGE ${last})
    string(JSON file GET "${commands}" ${i} file)
    if(file MATCHES "/${source}\\.cpp$")
      string(JSON command GET "${commands}" ${i} command)
      separate_arguments(command UNIX_COMMAND "${command}")
      list(FILTER command EXCLUDE REGEX "${source}")  # the file and its object
      set(${result} "${command}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "No command for ${source}.cpp")
endfunction()

quaver_flags(stranger expected)
quaver_flags(second actual)
set(include_path ${actual})
list(FILTER include_path INCLUDE REGEX "^(-I|/.*/(include|single_include)$|-isystem)")
list(FILTER actual EXCLUDE REGEX "^(-I|/.*/(include|single_include)$|-isystem)")
list(FILTER actual EXCLUDE REGEX "consumer\\.dir")
list(FILTER expected EXCLUDE REGEX "stranger\\.dir")
if(NOT actual STREQUAL expected)
  message(FATAL_ERROR "Leaked to the consumer: '${actual}' instead of '${expected}'")
endif()
message("flags: ${actual}; include path: ${include_path}")
