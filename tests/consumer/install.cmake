# SPDX-License-Identifier: MIT
#
# Installs afresh, so that no file of an earlier install lends itself to a test.
# cmake -D binary_dir= -D prefix= -P install.cmake
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${prefix}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${binary_dir}" --prefix "${prefix}" COMMAND_ERROR_IS_FATAL ANY)
