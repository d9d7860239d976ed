// A GPU's memory for ptx_machine.h: what is allocated, and which threads have touched each word since the last point in time that
// orders them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace ptx
{

/// Four bytes, with the threads that touched them in the present period: a launch for global memory, the time between two
/// barriers for shared memory.
class Word
{
public:
    static constexpr uint32_t nobody = UINT32_MAX;

    /// The thread that has written it in this period, if that is another one.
    uint32_t read(uint32_t period, uint32_t thread);
    /// The thread that has written or read it in this period, if that is another one; `same`: it is written with what is there,
    /// which no other writer minds.
    uint32_t write(uint32_t period, uint32_t thread, bool same);
    bool written(uint32_t period) const { return period_ == period && writer_ != nobody; }

private:
    void enter(uint32_t period);

    uint32_t period_ = 0;
    uint32_t writer_ = nobody;
    std::array<uint32_t, 2> readers_ = {nobody,
                                        nobody}; ///< two different ones are enough: one of them is not the thread that asks
};

inline constexpr uint64_t sectorBytes = 32; ///< what a GPU moves at least

struct Allocation
{
    uint64_t begin, end;
    std::vector<Word> words;
    std::vector<std::array<uint32_t, 2>> sectors; ///< the launches that last read and wrote each
};

/// Addresses are the host's.
class GlobalMemory
{
public:
    void add(uint64_t begin, size_t bytes);
    void remove(uint64_t begin);
    /// That holds all the bytes; null: none does.
    Allocation* find(uint64_t address, size_t bytes);

    uint32_t launch = 0; ///< the present one

private:
    std::map<uint64_t, Allocation> allocations_;
    Allocation* last_ = nullptr;
};

} // namespace ptx
