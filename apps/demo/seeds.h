// Seeds for independent drawings, from the seed of a data set and the name of what is drawn.
#pragma once

#include <cstdint>
#include <string>

namespace agpnet::tools
{

inline uint64_t mixedBits(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ h >> 33;
}

inline uint64_t seedOf(uint64_t seed, const std::string& text, uint64_t number)
{
    uint64_t h = mixedBits(seed + 0x9e3779b97f4a7c15ULL);
    for (const unsigned char c : text)
        h = mixedBits(h ^ c);
    return mixedBits(h ^ mixedBits(number + 1));
}

} // namespace agpnet::tools
