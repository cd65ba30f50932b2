# SPDX-License-Identifier: MIT
#
# quaver_discover_tests(<program> <prefix> <property> <value>...): a ctest entry for every test of a GoogleTest program,
# found when ctest starts. CMake's gtest_discover_tests does that too, but names the tests of a typed suite whose types
# have names by everything that stands on the line of the list; here they are <prefix>.<suite>/<type>.<test>.

function(quaver_discover_tests program prefix)
  set(script "${CMAKE_CURRENT_BINARY_DIR}/${program}_tests.cmake")
  file(GENERATE OUTPUT "${script}" CONTENT "set(program [==[$<TARGET_FILE:${program}>]==])
set(prefix [==[${prefix}]==])
set(properties [==[${ARGN}]==])
include([==[${CMAKE_CURRENT_FUNCTION_LIST_DIR}/list_tests.cmake]==])
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${script}")
endfunction()
