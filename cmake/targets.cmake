# SPDX-License-Identifier: MIT
#
# What consumers link. Each target is headers, the language standard and nothing else: no flags, no definitions.

add_library(quaver INTERFACE)
add_library(quaver::quaver ALIAS quaver)
target_compile_features(quaver INTERFACE cxx_std_20)
target_include_directories(quaver INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                                            "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")

# The parts with a third party below them are always there to be installed, since it is the consumer's machine that must
# have the third party; their names are there to be linked only where this machine has it.
add_library(quaver_io INTERFACE)
set_target_properties(quaver_io PROPERTIES EXPORT_NAME io)
target_link_libraries(quaver_io INTERFACE quaver "$<BUILD_INTERFACE:nlohmann_json::nlohmann_json>"
                                          "$<INSTALL_INTERFACE:nlohmann_json::nlohmann_json>")
if(TARGET nlohmann_json::nlohmann_json)
  add_library(quaver::io ALIAS quaver_io)
endif()

add_library(quaver_cuda INTERFACE)
set_target_properties(quaver_cuda PROPERTIES EXPORT_NAME cuda)
target_link_libraries(quaver_cuda INTERFACE quaver "$<BUILD_INTERFACE:CUDA::cudart>" "$<INSTALL_INTERFACE:CUDA::cudart>")
if(TARGET CUDA::cudart)
  add_library(quaver::cuda ALIAS quaver_cuda)
endif()

add_library(quaver_cublaslt INTERFACE)
set_target_properties(quaver_cublaslt PROPERTIES EXPORT_NAME cublaslt)
target_link_libraries(quaver_cublaslt INTERFACE quaver_cuda "$<BUILD_INTERFACE:CUDA::cublasLt>" "$<INSTALL_INTERFACE:CUDA::cublasLt>")
if(TARGET CUDA::cublasLt)
  add_library(quaver::cublaslt ALIAS quaver_cublaslt)
endif()
