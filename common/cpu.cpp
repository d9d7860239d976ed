#include "common/cpu.h"

#include "common/error.h"

#include <array>
#include <cstdlib>

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace agpnet
{
namespace
{

struct Level
{
    const char* name;
    CpuFeatures features;
};

/// From the least to the most. A CPU of 512-bit registers is not asked for AVX-VNNI.
const std::array<Level, 7>& levels()
{
    static const std::array<Level, 7> all = {{
        {"baseline", {}},
        {"avx2", {.avx2 = true}},
        {"avx2-vnni", {.avx2 = true, .avxVnni = true}},
        {"avx512", {.avx2 = true, .avx512 = true}},
        {"avx512-vnni", {.avx2 = true, .avxVnni = true, .avx512 = true, .avx512Vnni = true}},
        {"avx512-bf16", {.avx2 = true, .avxVnni = true, .avx512 = true, .avx512Vnni = true, .avx512Bf16 = true}},
        {"amx", {.avx2 = true, .avxVnni = true, .avx512 = true, .avx512Vnni = true, .avx512Bf16 = true, .amx = true}},
    }};
    return all;
}

constexpr bool CpuFeatures::*fields[] = {&CpuFeatures::avx2,       &CpuFeatures::avxVnni,    &CpuFeatures::avx512,
                                         &CpuFeatures::avx512Vnni, &CpuFeatures::avx512Bf16, &CpuFeatures::amx};

CpuFeatures both(CpuFeatures a, const CpuFeatures& b)
{
    for (const auto field : fields)
        a.*field = a.*field && b.*field;
    return a;
}

bool contains(const CpuFeatures& whole, const CpuFeatures& part)
{
    return both(whole, part) == part;
}

CpuFeatures ofMachine()
{
    CpuFeatures has;
#ifdef __x86_64__
    __builtin_cpu_init(); // which also asks the operating system about registers
    has.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    has.avx512 = has.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    has.avx512Vnni = has.avx512 && __builtin_cpu_supports("avx512vnni");
    has.avx512Bf16 = has.avx512 && __builtin_cpu_supports("avx512bf16");
    unsigned a = 0, b = 0, c = 0, d = 0;
    // GCC 12 has no names for these
    constexpr unsigned avxVnniBit = 1U << 4, amxBits = 1U << 22 | 1U << 24 | 1U << 25; // 7.1 EAX; 7.0 EDX: bfloat16, tiles, 8 bits
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0)
        has.avxVnni = has.avx2 && (a & avxVnniBit) != 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0)
        has.amx = has.avx512Bf16 && (d & amxBits) == amxBits;
#endif
    return has;
}

} // namespace

std::string levelOf(const CpuFeatures& features)
{
    const char* highest = levels()[0].name;
    for (const Level& level : levels())
    {
        CpuFeatures wanted = level.features;
        wanted.avxVnni = wanted.avxVnni && !wanted.avx512; // Ice Lake has the one without the other
        if (contains(features, wanted))
            highest = level.name;
    }
    return highest;
}

std::string registersOf(const CpuFeatures& features)
{
    return features.avx512 ? "avx512" : features.avx2 ? "avx2" : "plain";
}

CpuFeatures featuresOf(const std::string& level)
{
    std::string names;
    for (const Level& known : levels())
    {
        if (level == known.name)
            return known.features;
        names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    fail("CPU level is '{}', expected one of {}", level, names);
}

const CpuFeatures& cpuFeatures()
{
    static const CpuFeatures chosen = []
    {
        CpuFeatures has = ofMachine();
        if (const char* limit = std::getenv("AGPNET_CPU"))
            for (const Level& level : levels())
                if (std::string(limit) == level.name)
                    has = both(has, level.features);
        return has;
    }();
    return chosen;
}

} // namespace agpnet
