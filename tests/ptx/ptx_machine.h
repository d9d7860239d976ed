// Runs kernels of PTX on the CPU, as a GPU might and more strictly: what only happens to work is an Error. Of floating point,
// each instruction is exact to the last bit; a GPU's assembler may still fuse a mul.f32 with the add.f32 after it, so results of
// one may differ from these in the last bits.
//
// An Error, with kernel, instruction, block and thread, is: a global access outside all allocations, or not aligned; a shared one
// outside the block's; a read of shared memory that the block has not written; threads of a block that touch one word of shared
// memory, one of them writing, with no barrier between them; a thread that reads what another has written, or writes what another
// has read or written differently, of global memory in one launch; a barrier that not all threads of the block come to.
#pragma once

#include "ptx_memory.h"
#include "ptx_program.h"

#include <array>

namespace ptx
{

struct Shape
{
    std::array<unsigned, 3> grid, block;
    unsigned sharedBytes = 0;
};

/// What a launch did. No cache is fake: a GPU's takes what lies between `moved` and `touched`.
struct Work
{
    uint64_t warpInstructions = 0;
    uint64_t asked = 0; ///< bytes of global memory that threads read and wrote
    uint64_t moved = 0; ///< bytes of the sectors of 32 that each instruction of a warp touched: as many as asked where neighbours
                        ///< touch neighbours
    uint64_t touched = 0; ///< bytes of the sectors that were read, and of those that were written, each once a launch
};

/// `arguments` are Kernel::parameterBytes.
Work run(const Kernel& kernel, const Shape& shape, const std::vector<unsigned char>& arguments, GlobalMemory& memory);

} // namespace ptx
