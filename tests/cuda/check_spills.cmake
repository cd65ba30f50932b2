# SPDX-License-Identifier: MIT
#
# Compiles a file with nvcc for one chip and fails where ptxas says that a kernel spills registers, or that it makes the
# matrix unit's instructions wait for each other.
# cmake -D nvcc=<nvcc> -D "flags=<flag>;...;<-cubin or -c>" -D source=<file.cu> -D output=<file> -P check_spills.cmake
execute_process(COMMAND "${nvcc}" ${flags} -Xptxas -v "${source}" -o "${output}" RESULT_VARIABLE outcome OUTPUT_VARIABLE said
                ERROR_VARIABLE said)
if(NOT outcome EQUAL 0)
  message(FATAL_ERROR "${said}")
endif()
string(REGEX MATCHALL "Used [0-9]+ registers" kernels "${said}")
list(LENGTH kernels count)
if(count EQUAL 0)
  message(FATAL_ERROR "${source}: ptxas names no kernel")
endif()
string(REGEX MATCHALL "entry function '[^']*' for '[^']*'\n[^\n]*Function properties[^\n]*\n[^\n]*[1-9][0-9]* bytes spill" spills "${said}")
if(spills)
  list(JOIN spills "\n" spills)
  message(FATAL_ERROR "${source}: registers are spilt\n${spills}")
endif()
string(REGEX MATCHALL "\\(C75[0-9][0-9]\\)[^\n]*" serialized "${said}")
if(serialized)
  list(JOIN serialized "\n" serialized)
  message(FATAL_ERROR "${source}: wgmma waits\n${serialized}")
endif()
message(STATUS "${source}: ${count} kernels, none spills registers")
