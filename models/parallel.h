// at::parallel_for(). LibTorch's header makes it serial, without a word, in code that is compiled without OpenMP; here that is an error. Clang is let off: its
// OpenMP is another than LibTorch's libgomp, and their threads would stand in each other's way.
#pragma once

#include <ATen/Parallel.h>

#if defined(__GNUC__) && !defined(__clang__) && !defined(_OPENMP)
#error "compile this file with -fopenmp"
#endif
