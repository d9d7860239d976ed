// PTX text, decoded once into what ptx_machine.h runs. Knows what Halide makes of the schedules and refuses, by its name, all
// else.
#pragma once

#include "ptx_arithmetic.h"

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ptx
{

enum class Kind
{
    Arithmetic,
    LoadParameter,
    LoadGlobal,
    LoadReadOnly, ///< global memory that nobody writes while the kernel runs
    StoreGlobal,
    LoadShared,
    StoreShared,
    Branch,
    Barrier,
    Return
};

struct Instruction
{
    Kind kind = Kind::Arithmetic;
    Compute compute = nullptr;
    int to = 0;                ///< register that is written
    std::array<int, 3> from{}; ///< registers that are read; memory: the address's
    std::array<int, 4> data{}; ///< memory: the registers that are stored or loaded, several where one has a word each
    int guard = -1;            ///< predicate that must hold, if any ...
    bool guardHolds = true;    ///< ... or, where false, must not
    uint64_t offset = 0;       ///< added to an address; of a parameter, where it begins
    size_t bytes = 0;          ///< that a lane moves
    bool isSigned = false;     ///< what is narrow is loaded with its sign
    size_t target = 0;         ///< of a branch
    size_t join = 0;           ///< where all that part at a branch are sure to meet again; the number of instructions: nowhere
    int line = 0;              ///< in the module
    std::string text;
};

struct Kernel
{
    std::string name;
    std::vector<std::pair<size_t, size_t>> parameters; ///< where each begins, and its bytes
    size_t parameterBytes = 0;
    std::vector<Instruction> instructions;
    int registers = 0;                               ///< constants are registers too, and so are the next
    std::vector<std::pair<int, uint64_t>> constants; ///< register and value
    enum Special                                     ///< the first registers; x, y, z of each
    {
        Thread = 0,
        Threads = 3,
        Block = 6,
        Blocks = 9
    };
};

/// By name. An Error for what is not understood.
std::map<std::string, Kernel> parse(const std::string& text);

} // namespace ptx
