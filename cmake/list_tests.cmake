# SPDX-License-Identifier: MIT
#
# Read by ctest: lists the tests of `program` and adds each as `prefix`.<suite>.<test> with `properties`.
# The list is a line "Suite." or "Suite/type.  # TypeParam = ..." and, indented, one a test "name" or "name/0  # ...".

if(NOT EXISTS "${program}")
  add_test("${prefix}.NOT_BUILT" "${program}")
  return()
endif()
execute_process(COMMAND "${program}" --gtest_list_tests OUTPUT_VARIABLE list RESULT_VARIABLE outcome)
if(NOT outcome EQUAL 0)
  message(FATAL_ERROR "${program} --gtest_list_tests: ${outcome}\n${list}")
endif()

# Comments first: they hold the brackets and semicolons that CMake's lists are broken by.
string(REGEX REPLACE " *#[^\n]*" "" list "${list}")
string(REPLACE "\n" ";" list "${list}")
set(suite "")
foreach(line IN LISTS list)
  if(line MATCHES "^([^ ].*\\.)$")
    set(suite "${CMAKE_MATCH_1}")
  elseif(line MATCHES "^  (.+)$")
    set(test "${suite}${CMAKE_MATCH_1}")
    add_test("${prefix}.${test}" "${program}" "--gtest_filter=${test}")
    set_tests_properties("${prefix}.${test}" PROPERTIES SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]" ${properties})
  endif()
endforeach()
