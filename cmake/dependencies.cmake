# SPDX-License-Identifier: MIT
#
# The libraries that Quaver does not write itself: taken from the system where they are installed, else fetched at a
# pinned hash. quaver::quaver needs none of them.

include(FetchContent)

# FetchContent ends the configuration with a download log when there is no network. Downloading first lets us end it
# with the command that helps instead.
function(quaver_fetch name url hash outcome)
  set(${outcome} FALSE PARENT_SCOPE)
  set(archive "${PROJECT_BINARY_DIR}/_deps/archives/${hash}.tar")
  string(TOUPPER ${name} upper)
  if(NOT FETCHCONTENT_SOURCE_DIR_${upper} AND NOT FETCHCONTENT_FULLY_DISCONNECTED AND NOT EXISTS "${archive}")
    message(STATUS "${name} is not installed, fetching ${url}")
    file(DOWNLOAD "${url}" "${archive}.part" TIMEOUT 120 INACTIVITY_TIMEOUT 20 STATUS download)
    list(GET download 0 code)
    if(NOT code EQUAL 0)
      message(STATUS "  ${download}")
      file(REMOVE "${archive}.part")
      return()
    endif()
    file(SHA256 "${archive}.part" actual)
    if(NOT actual STREQUAL hash)
      file(REMOVE "${archive}.part")
      message(FATAL_ERROR "${url} is not the file that Quaver was tested with: its SHA-256 is ${actual}, not ${hash}.")
    endif()
    file(RENAME "${archive}.part" "${archive}")
  endif()
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
  FetchContent_Declare(${name} URL "${archive}" URL_HASH SHA256=${hash} DOWNLOAD_EXTRACT_TIMESTAMP TRUE)
  FetchContent_MakeAvailable(${name})
  set(${outcome} TRUE PARENT_SCOPE)
endfunction()

# quaver_require(<name> TARGETS <target>... PACKAGE <apt package> FIND <find_package arguments> URL <url> SHA256 <hash>)
# What is found neither here nor there is remembered, so that one message names all that is missing.
function(quaver_require name)
  cmake_parse_arguments(arg "" "PACKAGE;URL;SHA256" "TARGETS;FIND" ${ARGN})
  list(GET arg_TARGETS 0 target)
  if(NOT TARGET ${target})
    find_package(${arg_FIND} QUIET)
  endif()
  if(TARGET ${target})
    return()
  endif()
  quaver_fetch(${name} "${arg_URL}" ${arg_SHA256} fetched)
  if(NOT fetched)
    set_property(GLOBAL APPEND PROPERTY quaver_missing_libraries ${name})
    set_property(GLOBAL APPEND PROPERTY quaver_missing_packages ${arg_PACKAGE})
    return()
  endif()
  # What is found is included as a system header; what is fetched is to be no different.
  foreach(target IN LISTS arg_TARGETS)
    get_target_property(aliased ${target} ALIASED_TARGET)
    set_target_properties(${aliased} PROPERTIES SYSTEM TRUE)
  endforeach()
endfunction()

if(QUAVER_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  set(BUILD_GMOCK OFF)
  quaver_require(
    googletest
    TARGETS GTest::gtest_main GTest::gtest
    PACKAGE libgtest-dev
    FIND GTest
    URL https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
    SHA256 8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7)
endif()

if(QUAVER_BUILD_BENCH)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  set(BENCHMARK_ENABLE_WERROR OFF)
  quaver_require(
    benchmark
    TARGETS benchmark::benchmark benchmark::benchmark_main
    PACKAGE libbenchmark-dev
    FIND benchmark
    URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
    SHA256 6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)
endif()

if(QUAVER_IO)
  set(JSON_BuildTests OFF)
  set(JSON_Install OFF)
  quaver_require(
    json
    TARGETS nlohmann_json::nlohmann_json
    PACKAGE nlohmann-json3-dev
    FIND nlohmann_json 3.10
    URL https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
    SHA256 d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
elseif(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json 3.10 QUIET)
endif()

get_property(missing_libraries GLOBAL PROPERTY quaver_missing_libraries)
get_property(missing_packages GLOBAL PROPERTY quaver_missing_packages)
if(missing_packages)
  list(JOIN missing_libraries ", " missing_libraries)
  list(JOIN missing_packages " " missing_packages)
  message(FATAL_ERROR "Not installed, and could not be fetched: ${missing_libraries}. Install with\n"
                      "  apt-get install ${missing_packages}\n"
                      "or run tools/setup.sh, which does that.")
endif()

# The CUDA toolkit is never fetched: without it quaver::cuda is not there, and the tests that need its headers are skipped.
if(NOT TARGET CUDA::cudart)
  find_package(CUDAToolkit QUIET)
endif()
