// Registers of 32-bit numbers, each from 0 to 255, stored as bytes. Of vectors alone the compiler makes several instructions for each byte.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace agpnet
{

#define AGPNET_ALWAYS inline __attribute__((always_inline))

template <typename Numbers>
AGPNET_ALWAYS void storeBytes4(uint8_t* to, Numbers numbers)
{
#ifdef __x86_64__
    const __m128i halves = _mm_packs_epi32(reinterpret_cast<__m128i>(numbers), reinterpret_cast<__m128i>(numbers));
    const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(halves, halves));
    std::memcpy(to, &bytes, sizeof bytes);
#else
    for (int i = 0; i < 4; i++)
        to[i] = static_cast<uint8_t>(numbers[i]);
#endif
}

#ifdef __x86_64__
template <typename Numbers>
__attribute__((target("avx2"))) AGPNET_ALWAYS void storeBytes8(uint8_t* to, Numbers numbers)
{
    // within each half of the register
    const __m256i halves = _mm256_packus_epi32(reinterpret_cast<__m256i>(numbers), reinterpret_cast<__m256i>(numbers));
    const __m256i bytes = _mm256_packus_epi16(halves, halves);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

template <typename Numbers>
__attribute__((target("avx512f"))) AGPNET_ALWAYS void storeBytes16(uint8_t* to, Numbers numbers)
{
    constexpr __mmask16 everyOne = 0xFFFF; // without it GCC 12 warns of a register that it leaves undefined on purpose
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtepi32_epi8(everyOne, reinterpret_cast<__m512i>(numbers)));
}
#endif

#undef AGPNET_ALWAYS

} // namespace agpnet
