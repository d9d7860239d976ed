// A CUDA driver (libcuda.so.1) for machines without one: it starts, has two devices, hands out host memory, writes down what it is asked
// for, and runs the kernels on the CPU, at once, with the checks of ptx_machine.h. It shows which calls the stages make, on which stream
// and in which context, and with which grids; that the compiled code computes the right numbers without races, and which memory it moves.
// How long that takes, and what happens between streams, is a GPU's to show.
#pragma once

#include "tests/ptx/ptx_machine.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fake_cuda
{

struct Launch
{
    std::string kernel;
    std::array<unsigned, 3> grid, block;
    unsigned sharedBytes;
    void* stream;
    void* context; ///< that was current
    ptx::Work work; ///< zeros where nothing is computed
};

struct Record
{
    bool compute = true; ///< false: kernels are only written down, and memory holds nothing in particular
    std::string fault;   ///< why the last launch that failed did; also goes to stderr
    std::vector<Launch> launches;
    std::vector<std::string> others; ///< names of all other calls that may wait, allocate, free or copy, or load code
    std::vector<std::string> modules; ///< PTX text of all that were loaded, never forgotten
    size_t depth = 0;                 ///< of contexts that were pushed and not popped
};

/// Exported by the library as fakeCudaRecord; launches and others are the caller's to clear.
using Get = Record* ();

/// Device d's primary context.
inline void* contextOf(int device)
{
    return reinterpret_cast<void*>(static_cast<uintptr_t>(0xC0DE00 + device));
}

} // namespace fake_cuda
