# What `cmake --install` puts where, and what CPack makes of it. See docs/deploying.md.
include(CMakePackageConfigHelpers)

# A wheel's LibTorch is in no linker's path, so its libraries go with ours, into a folder of their own that only libagpnet.so looks into.
# The distribution's LibTorch stays where it is.
get_filename_component(_torch_folder ${LibTorch_CPU_LIBRARY} DIRECTORY)
if(_torch_folder MATCHES "^(/usr)?/lib")
    set(_bundle OFF)
else()
    set(_bundle ON)
endif()
option(AGPNET_BUNDLE_LIBTORCH "Install LibTorch's libraries beside libagpnet.so" ${_bundle})

set(_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/agpnet)
if(AGPNET_BUNDLE_LIBTORCH)
    set_target_properties(agpnet PROPERTIES INSTALL_RPATH "$ORIGIN/agpnet")
    # all that these two load which the distribution has not
    set(_folder "${CMAKE_INSTALL_LIBDIR}/agpnet")
    install(CODE "set(libraries \"${LibTorch_CPU_LIBRARY}\" \"${LibTorch_C10_LIBRARY}\")\nset(folder \"${_folder}\")")
    install(CODE [[
        file(GET_RUNTIME_DEPENDENCIES LIBRARIES ${libraries} RESOLVED_DEPENDENCIES_VAR more POST_EXCLUDE_REGEXES "^/lib" "^/usr/lib")
        file(INSTALL ${libraries} ${more} DESTINATION "${CMAKE_INSTALL_PREFIX}/${folder}" FOLLOW_SYMLINK_CHAIN)
    ]])
    file(GLOB _licenses LIST_DIRECTORIES ON ${_torch_folder}/../../torch-*.dist-info/licenses
        ${_torch_folder}/../../nvidia_*.dist-info/licenses)
    foreach(_license IN LISTS _licenses)
        get_filename_component(_name ${_license}/.. REALPATH)
        get_filename_component(_name ${_name} NAME_WE)
        install(DIRECTORY ${_license}/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/licenses/${_name})
    endforeach()
else()
    set_target_properties(agpnet PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endif()
file(RELATIVE_PATH _from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set_target_properties(agpnet_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${_from_bin}")

# agpnet::agpnet for programs that link to the library, agpnet::loader for those that load it as a plugin
add_library(agpnet_loader INTERFACE)
add_library(agpnet::agpnet ALIAS agpnet)
add_library(agpnet::loader ALIAS agpnet_loader)
set_target_properties(agpnet_loader PROPERTIES EXPORT_NAME loader)
target_include_directories(agpnet_loader INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(agpnet_loader INTERFACE opencv_core opencv_dnn ${CMAKE_DL_LIBS})

install(TARGETS agpnet agpnet_loader EXPORT agpnet)
install(TARGETS agpnet_cli)
install(TARGETS agpnet_screen LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/agpnet)
install(DIRECTORY include/agpnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT agpnet NAMESPACE agpnet:: FILE agpnetTargets.cmake DESTINATION ${_package_folder})
configure_package_config_file(cmake/agpnetConfig.cmake.in agpnetConfig.cmake INSTALL_DESTINATION ${_package_folder})
write_basic_package_version_file(agpnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/agpnetConfig.cmake ${PROJECT_BINARY_DIR}/agpnetConfigVersion.cmake DESTINATION ${_package_folder})

file(RELATIVE_PATH AGPNET_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" AGPNET_PC_PREFIX ${AGPNET_PC_PREFIX})
configure_file(cmake/agpnet.pc.in agpnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/agpnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# where Debian's Python looks when the prefix is /usr
install(DIRECTORY python/agpnet DESTINATION lib/python3/dist-packages PATTERN __pycache__ EXCLUDE)
# with what it reads; found in the path under a name of ours
install(PROGRAMS scripts/fetch-backbone scripts/onnx_to_safetensors.py DESTINATION ${CMAKE_INSTALL_DATADIR}/agpnet/scripts)
install(FILES scripts/requirements.txt DESTINATION ${CMAKE_INSTALL_DATADIR}/agpnet/scripts)
file(RELATIVE_PATH _from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_DATADIR})
file(CREATE_LINK ${_from_bin}/agpnet/scripts/fetch-backbone ${PROJECT_BINARY_DIR}/agpnet-fetch-backbone SYMBOLIC)
install(FILES ${PROJECT_BINARY_DIR}/agpnet-fetch-backbone DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY samples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/agpnet/samples PATTERN __pycache__ EXCLUDE)
install(FILES LICENSE NOTICE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_PACKAGE_VENDOR "the AGPNet for OpenCV authors")
set(CPACK_PACKAGE_CONTACT "the AGPNet for OpenCV authors")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_FILE_NAME agpnet-${PROJECT_VERSION}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${_torch_folder} ${_torch_folder}/../../nvidia/cu13/lib)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-opencv")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libopencv-dev")
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
include(CPack)
