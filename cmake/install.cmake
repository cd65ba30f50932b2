# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/quaver")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/quaver" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/quaver")

# One export set a part: find_package reads a part's only when the part was asked for.
foreach(part IN ITEMS quaver io cuda cublaslt)
  set(target quaver_${part})
  if(part STREQUAL "quaver")
    set(target quaver)
  endif()
  install(TARGETS ${target} EXPORT quaver-${part})
  install(EXPORT quaver-${part} NAMESPACE quaver:: FILE quaver-${part}-targets.cmake DESTINATION "${package_dir}")
endforeach()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/quaver-config.cmake.in"
                              "${PROJECT_BINARY_DIR}/quaver-config.cmake" INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may break its users.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/quaver-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/quaver-config.cmake" "${PROJECT_BINARY_DIR}/quaver-config-version.cmake"
        DESTINATION "${package_dir}")
