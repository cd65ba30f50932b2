# SPDX-License-Identifier: MIT
#
# cmake -D PROBE=... -D ENVIRONMENT=... -D EXPECTED=... -P compare.cmake: fails where the probe prints other lines than the
# oracle, and shows them.
execute_process(
  COMMAND "${PROBE}" "${ENVIRONMENT}"
  OUTPUT_VARIABLE got
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${PROBE} ${ENVIRONMENT} ended with ${failed}")
endif()

file(READ "${EXPECTED}" expected)
if(expected STREQUAL "")
  message(FATAL_ERROR "${EXPECTED} is empty")
endif()
if(got STREQUAL expected)
  return()
endif()

string(REPLACE "\n" ";" got "${got}")
string(REPLACE "\n" ";" expected "${expected}")
foreach(line IN LISTS got)
  if(NOT line IN_LIST expected)
    message("this build printed  ${line}")
  endif()
endforeach()
foreach(line IN LISTS expected)
  if(NOT line IN_LIST got)
    message("the oracle printed  ${line}")
  endif()
endforeach()
message(FATAL_ERROR "${PROBE} in the environment ${ENVIRONMENT} made other bytes than the oracle")
