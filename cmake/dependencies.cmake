# SPDX-License-Identifier: MIT
#
# The libraries that Quaver does not write itself: taken from the system where they are installed, else fetched at a
# pinned hash. quaver::quaver needs none of them.

include(FetchContent)

# A library found neither here nor there is remembered, so that one message names all that is missing.
set(quaver_missing_libraries "")
set(quaver_missing_packages "")

# quaver_require(<name> TARGET <target> PACKAGE <apt package> FIND <find_package name> [VERSION <v>] URL <url> SHA256 <hash>)
macro(quaver_require name)
  cmake_parse_arguments(arg "" "TARGET;PACKAGE;FIND;VERSION;URL;SHA256" "" ${ARGN})
  if(NOT TARGET ${arg_TARGET})
    find_package(${arg_FIND} ${arg_VERSION} QUIET)
  endif()
  if(NOT TARGET ${arg_TARGET})
    quaver_fetch(${name} "${arg_URL}" ${arg_SHA256} fetched)
    if(NOT fetched)
      list(APPEND quaver_missing_libraries ${name})
      list(APPEND quaver_missing_packages ${arg_PACKAGE})
    endif()
  endif()
endmacro()

# FetchContent ends the configuration with a download log when there is no network. Downloading first lets us end it
# with the command that helps instead. FetchContent checks the hash.
macro(quaver_fetch name url hash fetched)
  set(${fetched} TRUE)
  string(TOUPPER ${name} upper)
  if(NOT FETCHCONTENT_SOURCE_DIR_${upper} AND NOT FETCHCONTENT_FULLY_DISCONNECTED)
    set(archive "${PROJECT_BINARY_DIR}/_deps/archives/${hash}.tar")
    if(NOT EXISTS "${archive}")
      message(STATUS "${name} is not installed, fetching ${url}")
      file(DOWNLOAD "${url}" "${archive}.part" TIMEOUT 120 INACTIVITY_TIMEOUT 20 STATUS outcome)
      list(GET outcome 0 code)
      if(code EQUAL 0)
        file(RENAME "${archive}.part" "${archive}")
      else()
        message(STATUS "  ${outcome}")
        file(REMOVE "${archive}.part")
        set(${fetched} FALSE)
      endif()
    endif()
  else()
    set(archive "")
  endif()
  if(${fetched})
    FetchContent_Declare(${name} URL "${archive}" URL_HASH SHA256=${hash} DOWNLOAD_EXTRACT_TIMESTAMP TRUE SYSTEM)
    FetchContent_MakeAvailable(${name})
  endif()
endmacro()

if(QUAVER_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  set(BUILD_GMOCK OFF)
  quaver_require(
    googletest
    TARGET GTest::gtest_main PACKAGE libgtest-dev FIND GTest
    URL https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
    SHA256 8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7)
endif()

if(QUAVER_BUILD_BENCH)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  set(BENCHMARK_ENABLE_WERROR OFF)
  quaver_require(
    benchmark
    TARGET benchmark::benchmark PACKAGE libbenchmark-dev FIND benchmark
    URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
    SHA256 6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)
endif()

if(QUAVER_IO)
  set(JSON_BuildTests OFF)
  set(JSON_Install OFF)
  quaver_require(
    json
    TARGET nlohmann_json::nlohmann_json PACKAGE nlohmann-json3-dev FIND nlohmann_json VERSION 3.10
    URL https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
    SHA256 d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
elseif(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json 3.10 QUIET)
endif()

if(quaver_missing_packages)
  list(JOIN quaver_missing_libraries ", " libraries)
  list(JOIN quaver_missing_packages " " packages)
  message(FATAL_ERROR "Not installed, and could not be fetched: ${libraries}.\n"
                      "Install with:  apt-get install ${packages}\n"
                      "or let it be done for you:  tools/setup.sh")
endif()

# The CUDA toolkit is never fetched: without it quaver::cuda is not there, and the tests that need its headers are skipped.
if(NOT TARGET CUDA::cudart)
  find_package(CUDAToolkit QUIET)
endif()
