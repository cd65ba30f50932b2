# SPDX-License-Identifier: MIT
#
# What including Quaver costs: the processor time of g++ -fsyntax-only, compiler start included, as the least of up to 30
# interleaved runs, since what disturbs a run makes it longer, though waiting for other programs does not count. The bounds
# are for gcc 12; with another gcc the figures are printed and nothing is asked of them.
#
# cmake -D compiler= -D compiler_id= -D compiler_version= -D include_dir= -D work_dir= -P include_cost.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT compiler_id STREQUAL "GNU")
  message("skipped: the bounds are for gcc, this build is by ${compiler_id}")
  return()
endif()

set(encode_bound 120)  # ms, convert/encode.hpp
set(most_runs 30)

set(programs encode floor umbrella)
file(WRITE "${work_dir}/encode.cpp" "#include <quaver/convert/encode.hpp>\n")
file(WRITE "${work_dir}/floor.cpp" "#include <span>\n#include <string>\n#if defined(__x86_64__)\n#include <immintrin.h>\n#endif\n")
file(WRITE "${work_dir}/umbrella.cpp" "#include <quaver/quaver.hpp>\n")
if(NOT EXISTS "${include_dir}/quaver/convert/encode.hpp" OR NOT EXISTS "${include_dir}/quaver/quaver.hpp")
  message("skipped: the headers are not there")
  return()
endif()

foreach(program IN LISTS programs)
  set(${program} 1000000000)
endforeach()
set(run 0)
while(run LESS most_runs)
  math(EXPR run "${run} + 1")
  foreach(program IN LISTS programs)
    execute_process(COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C bash -c "TIMEFORMAT='%U %S'; time \"$@\"" bash "${compiler}" -std=c++20
                            -fsyntax-only -I "${include_dir}" "${work_dir}/${program}.cpp"
                    ERROR_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
    if(NOT said MATCHES "^([0-9]+)\\.([0-9][0-9][0-9]) ([0-9]+)\\.([0-9][0-9][0-9])\n$")
      message(FATAL_ERROR "${said}")
    endif()
    math(EXPR elapsed "${CMAKE_MATCH_1} * 1000 + 1${CMAKE_MATCH_2} + ${CMAKE_MATCH_3} * 1000 + 1${CMAKE_MATCH_4} - 2000")
    if(elapsed LESS ${program})
      set(${program} ${elapsed})
    endif()
  endforeach()
  set(encode_ms ${encode})
  set(floor_ms ${floor})
  math(EXPR umbrella_ms "${umbrella} - ${floor}")
  # On a machine that takes longer for the standard headers, the umbrella's bound grows with them.
  math(EXPR scaled_bound "${floor_ms} * 45 / 100")
  set(umbrella_bound 350)  # ms, quaver.hpp above the standard headers of the floor
  if(scaled_bound GREATER umbrella_bound)
    set(umbrella_bound ${scaled_bound})
  endif()
  # Five are enough where the bounds hold.
  if(run GREATER_EQUAL 5 AND encode_ms LESS_EQUAL encode_bound AND umbrella_ms LESS_EQUAL umbrella_bound)
    break()
  endif()
endwhile()

set(figures "convert/encode.hpp ${encode_ms} ms (bound ${encode_bound}), quaver.hpp ${umbrella_ms} ms (bound ${umbrella_bound}) above \
<span>, <string> and <immintrin.h> (${floor_ms} ms); gcc ${compiler_version}, least of ${run} runs")
message("${figures}")
if(compiler_version VERSION_GREATER_EQUAL 12 AND compiler_version VERSION_LESS 13
   AND (encode_ms GREATER encode_bound OR umbrella_ms GREATER umbrella_bound))
  message(FATAL_ERROR "An include costs more than its bound.")
endif()
