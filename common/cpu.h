// What this CPU can compute with, as far as kernels here choose by it. One place asks, all kernels ask it.
#pragma once

#include <string>

namespace agpnet
{

/// Instruction sets that kernels are written for. Each field means the whole set that a kernel of that name uses, and that the operating
/// system saves its registers.
struct CpuFeatures
{
    bool avx2 = false;       ///< AVX2 with FMA
    bool avxVnni = false;    ///< AVX-VNNI: 8-bit products in 256-bit registers; implies avx2
    bool avx512 = false;     ///< AVX-512 F, BW, CD, DQ, VL; implies avx2
    bool avx512Vnni = false; ///< 8-bit products in 512-bit registers; implies avx512
    bool avx512Bf16 = false; ///< bfloat16 products in 512-bit registers; implies avx512
    bool amx = false;        ///< tiles of bfloat16 and of 8 bits; implies avx512Bf16

    bool vnni() const { return avxVnni || avx512Vnni; }

    bool operator==(const CpuFeatures&) const = default;
};

/// The highest level that the features reach, in the words of AGPNET_CPU: baseline, avx2, avx2-vnni, avx512, avx512-vnni, avx512-bf16, amx.
std::string levelOf(const CpuFeatures& features);

/// What kernels that come in the widths of registers are compiled for, and which of them the features choose: avx512, avx2, or plain.
std::string registersOf(const CpuFeatures& features);

/// What a CPU of a level can do; an Error lists the levels where there is no such one.
CpuFeatures featuresOf(const std::string& level);

/// Of this machine, but no more than the level that the environment variable AGPNET_CPU names (a name that is none is ignored: what a
/// variable says must not end a host's process). Read once. It limits the kernels of this library alone; LibTorch, oneDNN and OpenCV have
/// switches of their own (docs/cpus.md).
const CpuFeatures& cpuFeatures();

} // namespace agpnet
