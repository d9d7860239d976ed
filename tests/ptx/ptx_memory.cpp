#include "ptx_memory.h"

namespace ptx
{

void Word::enter(uint32_t period)
{
    if (period_ != period)
    {
        period_ = period;
        writer_ = nobody;
        readers_ = {nobody, nobody};
    }
}

uint32_t Word::read(uint32_t period, uint32_t thread)
{
    enter(period);
    if (readers_[0] == nobody)
        readers_[0] = thread;
    else if (readers_[0] != thread)
        readers_[1] = thread;
    return writer_ != thread ? writer_ : nobody;
}

uint32_t Word::write(uint32_t period, uint32_t thread, bool same)
{
    enter(period);
    const uint32_t before = writer_;
    writer_ = thread;
    if (before != thread && before != nobody && !same)
        return before;
    for (const uint32_t reader : readers_)
        if (reader != thread && reader != nobody)
            return reader;
    return nobody;
}

void GlobalMemory::add(uint64_t begin, size_t bytes)
{
    last_ = nullptr;
    allocations_[begin] = {begin, begin + bytes, {}, {}};
}

void GlobalMemory::remove(uint64_t begin)
{
    last_ = nullptr;
    allocations_.erase(begin);
}

Allocation* GlobalMemory::find(uint64_t address, size_t bytes)
{
    const auto holds = [=](const Allocation& each)
    { return address >= each.begin && address < each.end && each.end - address >= bytes; };
    if (last_ && holds(*last_))
        return last_;
    auto it = allocations_.upper_bound(address);
    if (it == allocations_.begin() || !holds((--it)->second))
        return nullptr;
    last_ = &it->second;
    if (last_->words.empty()) // only what kernels touch is watched: programs that compute nothing allocate gigabytes
    {
        last_->words.resize((last_->end - last_->begin + 3) / 4);
        last_->sectors.resize((last_->end - 1) / sectorBytes - last_->begin / sectorBytes + 1);
    }
    return last_;
}

} // namespace ptx
