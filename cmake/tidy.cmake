# SPDX-License-Identifier: MIT
#
# The target tidy: clang-tidy over every header, in one file that includes them all, and over every source file of the
# targets of this build. A file is looked at again when it or a header has changed. Most of the time goes to third
# parties' headers: the sources of a target with the property QUAVER_TIDY_TOGETHER are looked at in one file, too.

find_program(QUAVER_CLANG_TIDY NAMES clang-tidy-19 clang-tidy DOC "clang-tidy, 19 or later")
if(NOT QUAVER_CLANG_TIDY)
  add_custom_target(tidy COMMAND "${CMAKE_COMMAND}" -E echo "clang-tidy-19 is not installed: tools/setup.sh --ci"
                         COMMAND "${CMAKE_COMMAND}" -E false)
  return()
endif()

# quaver_collect_targets(<folder> <result>): the programs of a folder and of those below it.
function(quaver_collect_targets folder result)
  get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
  get_property(below DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
  foreach(next IN LISTS below)
    quaver_collect_targets("${next}" more)
    list(APPEND targets ${more})
  endforeach()
  set(${result} ${targets} PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/quaver/*.hpp")
list(FILTER headers EXCLUDE REGEX "^quaver/(cuda|adapters)/")
if(NOT TARGET quaver::io)
  list(FILTER headers EXCLUDE REGEX "^quaver/io/")
endif()
list(TRANSFORM headers PREPEND "#include <" OUTPUT_VARIABLE includes)
list(TRANSFORM includes APPEND ">\n")
list(JOIN includes "" includes)
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/tidy/every_header.cpp" CONTENT "${includes}")
add_library(quaver_every_header OBJECT EXCLUDE_FROM_ALL "${PROJECT_BINARY_DIR}/tidy/every_header.cpp")
target_link_libraries(quaver_every_header PRIVATE quaver::quaver quaver_development)
if(TARGET quaver::io)
  target_link_libraries(quaver_every_header PRIVATE quaver::io)
endif()

list(TRANSFORM headers PREPEND "${PROJECT_SOURCE_DIR}/include/" OUTPUT_VARIABLE header_files)
set(stamps "")
quaver_collect_targets("${PROJECT_SOURCE_DIR}" targets)
foreach(target IN LISTS targets)
  get_target_property(imported ${target} IMPORTED)
  get_target_property(type ${target} TYPE)
  get_target_property(sources ${target} SOURCES)
  get_target_property(source_dir ${target} SOURCE_DIR)
  if(imported OR NOT sources OR NOT type MATCHES "EXECUTABLE|OBJECT_LIBRARY" OR source_dir MATCHES "/_deps/")
    continue()
  endif()
  get_target_property(together ${target} QUAVER_TIDY_TOGETHER)
  set(filter "")
  set(also "")
  if(together)
    list(TRANSFORM sources PREPEND "${source_dir}/" OUTPUT_VARIABLE also)
    list(TRANSFORM also PREPEND "#include \"" OUTPUT_VARIABLE includes)
    list(TRANSFORM includes APPEND "\"\n")
    list(JOIN includes "" includes)
    set(sources "${PROJECT_BINARY_DIR}/tidy/${target}.cpp")
    file(CONFIGURE OUTPUT "${sources}" CONTENT "${includes}")
    get_target_property(libraries ${target} LINK_LIBRARIES)
    get_target_property(definitions ${target} COMPILE_DEFINITIONS)
    add_library(${target}_together OBJECT EXCLUDE_FROM_ALL "${sources}")
    target_link_libraries(${target}_together PRIVATE ${libraries})
    target_compile_definitions(${target}_together PRIVATE ${definitions})
    set(filter "--header-filter=(include/quaver/|${source_dir}/)" --checks=-bugprone-suspicious-include)
  endif()
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${source_dir}" NORMALIZE)
    if(NOT source MATCHES "\\.cpp$")
      continue()
    endif()
    cmake_path(GET source STEM stem)
    string(SHA1 id "${target} ${source}")
    string(SUBSTRING "${id}" 0 8 id)
    set(stamp "${PROJECT_BINARY_DIR}/tidy/${stem}-${id}.stamp")
    add_custom_command(
      OUTPUT "${stamp}"
      COMMAND "${QUAVER_CLANG_TIDY}" -p "${PROJECT_BINARY_DIR}" "--config-file=${PROJECT_SOURCE_DIR}/.clang-tidy" --quiet
              ${filter} "--warnings-as-errors=*" "${source}"
      COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
      DEPENDS "${source}" "${PROJECT_SOURCE_DIR}/.clang-tidy" ${header_files} ${also}
      COMMENT "clang-tidy ${stem}"
      VERBATIM)
    list(APPEND stamps "${stamp}")
  endforeach()
endforeach()
add_custom_target(tidy DEPENDS ${stamps})
