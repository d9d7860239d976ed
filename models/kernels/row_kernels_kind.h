// The kernels of row_kernels.cpp in one width of registers; included once for each. What it is given:
//   AGPNET_KIND   its namespace            AGPNET_TARGET  the attribute of its functions, and so the instructions they use
//   AGPNET_LANES  floats of a register     AGPNET_STORE_BYTES(to, words)  numbers of a register, up to 255, as bytes
#define AGPNET_INLINE AGPNET_TARGET inline __attribute__((always_inline))

namespace AGPNET_KIND
{

constexpr int64_t lanes = AGPNET_LANES;
#include "models/kernels/vectors_kind.h"

using Halves = uint16_t __attribute__((vector_size(2 * lanes)));

AGPNET_INLINE Floats loadBFloat16(const uint16_t* from)
{
    Halves bits;
    std::memcpy(&bits, from, sizeof bits);
    return reinterpret_cast<Floats>(__builtin_convertvector(bits, Words) << 16);
}

AGPNET_INLINE void storeBFloat16(uint16_t* to, Floats value) // to the nearest, ties to even; a NaN stays one
{
    const Words bits = reinterpret_cast<Words>(value);
    const Words rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const Halves result = __builtin_convertvector(value == value ? rounded : (bits >> 16) | 0x40U, Halves);
    std::memcpy(to, &result, sizeof result);
}

AGPNET_INLINE float sumOf(Floats value)
{
    return reduced(value, [](Floats a, Floats b) AGPNET_TARGET { return a + b; });
}

AGPNET_INLINE float greatestOf(Floats value)
{
    float most = value[0];
    for (int64_t i = 1; i < lanes; i++)
        most = value[i] > most ? value[i] : most;
    return most;
}

AGPNET_TARGET void softmax(uint16_t* row, float* scratch, int64_t columns, float scale)
{
    const int64_t whole = columns / lanes * lanes, end = (columns + lanes - 1) / lanes * lanes;
    uint16_t tail[lanes];
    constexpr uint16_t leastBFloat16 = 0xFF7F; // the minimum of the finite values
    std::fill(tail, tail + lanes, leastBFloat16);
    std::copy(row + whole, row + columns, tail);

    Floats most = all(-INFINITY);
    for (int64_t i = 0; i < end; i += lanes)
    {
        const Floats value = loadBFloat16(i < whole ? row + i : tail);
        storeFloats(scratch + i, value);
        most = value > most ? value : most;
    }
    const float largest = greatestOf(most);
    Floats sums = all(0);
    for (int64_t i = 0; i < end; i += lanes)
    {
        const Floats weight = powerOfTwo((loadFloats(scratch + i) - largest) * scale);
        storeFloats(scratch + i, weight);
        sums += weight;
    }
    const float factor = 1.0F / sumOf(sums);
    for (int64_t i = 0; i < end; i += lanes)
        storeBFloat16(i < whole ? row + i : tail, loadFloats(scratch + i) * factor);
    std::copy(tail, tail + (columns - whole), row + whole);
}

/// Type of an element of a row in memory.
struct AsFloat
{
    using Element = float;
    static AGPNET_INLINE Floats load(const float* from) { return loadFloats(from); }
    static AGPNET_INLINE void store(float* to, Floats value) { storeFloats(to, value); }
};
struct AsBFloat16
{
    using Element = uint16_t;
    static AGPNET_INLINE Floats load(const uint16_t* from) { return loadBFloat16(from); }
    static AGPNET_INLINE void store(uint16_t* to, Floats value) { storeBFloat16(to, value); }
};

struct AsByte
{
    using Element = uint8_t;
    static AGPNET_INLINE void store(uint8_t* to, Floats value) { storeByte(to, value); }
};

/// `count` elements of addRows().
template <typename In>
AGPNET_INLINE void add(float* x, const void* from, int64_t count)
{
    const auto* const y = static_cast<const typename In::Element*>(from);
    const int64_t whole = count / lanes * lanes;
    for (int64_t i = 0; i < whole; i += lanes)
        storeFloats(x + i, loadFloats(x + i) + In::load(y + i));
    float tailX[lanes] = {};
    typename In::Element tailY[lanes] = {};
    std::copy(x + whole, x + count, tailX);
    std::copy(y + whole, y + count, tailY);
    storeFloats(tailX, loadFloats(tailX) + In::load(tailY));
    std::copy(tailX, tailX + (count - whole), x + whole);
}

/// One row of normRows(); `columns` a multiple of the lanes.
template <typename Out>
AGPNET_INLINE void norm(const float* x, const float* weight, const float* bias, void* outRow, int64_t columns, float eps)
{
    auto* const out = static_cast<typename Out::Element*>(outRow);
    // four sums each: one addition waits for the one before
    const auto summed = [&](const auto& term) AGPNET_TARGET
    {
        Floats sums[4] = {};
        int64_t i = 0;
        for (; i + 4 * lanes <= columns; i += 4 * lanes)
            for (int64_t part = 0; part < 4; part++)
                sums[part] += term(i + part * lanes);
        for (; i < columns; i += lanes)
            sums[0] += term(i);
        return sumOf((sums[0] + sums[1]) + (sums[2] + sums[3]));
    };
    const float mean = summed([&](int64_t i) AGPNET_TARGET { return loadFloats(x + i); }) / static_cast<float>(columns);
    const auto squared = [&](int64_t i) AGPNET_TARGET
    {
        const Floats distance = loadFloats(x + i) - mean;
        return distance * distance;
    };
    const float factor = 1.0F / std::sqrt(summed(squared) / static_cast<float>(columns) + eps);
    for (int64_t i = 0; i < columns; i += lanes)
        Out::store(out + i, (loadFloats(x + i) - mean) * factor * loadFloats(weight + i) + loadFloats(bias + i));
}

AGPNET_TARGET void addFloat(float* x, const void* y, int64_t count)
{
    add<AsFloat>(x, y, count);
}
AGPNET_TARGET void addBFloat16(float* x, const void* y, int64_t count)
{
    add<AsBFloat16>(x, y, count);
}
AGPNET_TARGET void normFloat(const float* x, const float* weight, const float* bias, void* out, int64_t columns, float eps)
{
    norm<AsFloat>(x, weight, bias, out, columns, eps);
}
AGPNET_TARGET void normBFloat16(const float* x, const float* weight, const float* bias, void* out, int64_t columns, float eps)
{
    norm<AsBFloat16>(x, weight, bias, out, columns, eps);
}
AGPNET_TARGET void normByte(const float* x, const float* weight, const float* bias, void* out, int64_t columns, float eps)
{
    norm<AsByte>(x, weight, bias, out, columns, eps);
}
AGPNET_TARGET void roundToBytes(const float* x, uint8_t* out, int64_t count)
{
    const int64_t whole = count / lanes * lanes;
    for (int64_t i = 0; i < whole; i += lanes)
        storeByte(out + i, loadFloats(x + i));
    float tail[lanes] = {};
    uint8_t bytes[lanes];
    std::copy(x + whole, x + count, tail);
    storeByte(bytes, loadFloats(tail));
    std::copy(bytes, bytes + (count - whole), out + whole);
}
constexpr Kernels kernels = {softmax, {addFloat, addBFloat16}, {normFloat, normBFloat16, normByte}, roundToBytes};

} // namespace AGPNET_KIND

#undef AGPNET_INLINE
#undef AGPNET_KIND
#undef AGPNET_TARGET
#undef AGPNET_LANES
#undef AGPNET_STORE_BYTES
