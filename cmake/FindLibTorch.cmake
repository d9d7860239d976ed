# LibTorch without TorchConfig.cmake, which stops where there is no CUDA toolkit and mixes installations where there are two.
# Looks in LibTorch_ROOT and CMAKE_PREFIX_PATH (a PyPI wheel's torch folder, an unpacked archive, the distribution's prefix).
#   LibTorch::LibTorch   torch_cpu and c10, headers as SYSTEM
#   LibTorch_VERSION
find_path(LibTorch_INCLUDE_DIR torch/library.h)
find_path(LibTorch_API_INCLUDE_DIR torch/nn/module.h HINTS ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu)
find_library(LibTorch_C10_LIBRARY c10)

if(LibTorch_INCLUDE_DIR)
    foreach(_header torch/headeronly/version.h torch/csrc/api/include/torch/version.h) # since 2.9; before
        if(NOT LibTorch_VERSION AND EXISTS ${LibTorch_INCLUDE_DIR}/${_header})
            file(STRINGS ${LibTorch_INCLUDE_DIR}/${_header} _lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
            string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
            list(JOIN _numbers "." LibTorch_VERSION)
        endif()
    endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
    REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR LibTorch_API_INCLUDE_DIR
    VERSION_VAR LibTorch_VERSION)

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
    foreach(_name CPU C10)
        add_library(LibTorch::${_name} SHARED IMPORTED)
        set_target_properties(LibTorch::${_name} PROPERTIES
            IMPORTED_LOCATION ${LibTorch_${_name}_LIBRARY}
            INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_API_INCLUDE_DIR}")
    endforeach()
    add_library(LibTorch::LibTorch INTERFACE IMPORTED)
    target_link_libraries(LibTorch::LibTorch INTERFACE LibTorch::CPU LibTorch::C10)
endif()
mark_as_advanced(LibTorch_INCLUDE_DIR LibTorch_API_INCLUDE_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY)
