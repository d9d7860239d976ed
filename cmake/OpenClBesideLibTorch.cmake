# Debian 13's LibTorch has an LLVM in it and exports its C functions. In a program that is linked with that LibTorch, an OpenCL made
# with LLVM (PoCL) finds those before its own, and crashes where it first compiles a kernel. For the tests that do both:
#   AGPNET_OPENCL_PROPERTIES   of a test: the LLVM that the installed PoCL is linked with goes first, where that is needed; else empty
set(AGPNET_OPENCL_PROPERTIES "")
execute_process(COMMAND ${CMAKE_NM} -D --defined-only ${LibTorch_CPU_LIBRARY} OUTPUT_VARIABLE _symbols ERROR_QUIET)
find_library(AGPNET_POCL_LIBRARY NAMES libpocl.so.2 libpocl.so)
mark_as_advanced(AGPNET_POCL_LIBRARY)
if(_symbols MATCHES " LLVMInitializeX86Target\n" AND AGPNET_POCL_LIBRARY)
    execute_process(COMMAND ldd ${AGPNET_POCL_LIBRARY} OUTPUT_VARIABLE _needed ERROR_QUIET)
    if(_needed MATCHES "=> ([^ \n]*libLLVM[^ \n]*)")
        set(AGPNET_OPENCL_PROPERTIES ENVIRONMENT_MODIFICATION LD_PRELOAD=set:${CMAKE_MATCH_1})
        message(STATUS "OpenCL beside this LibTorch: tests run with LD_PRELOAD=${CMAKE_MATCH_1}")
    endif()
endif()
