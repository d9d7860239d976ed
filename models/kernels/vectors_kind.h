// Registers of floats, for kernels that are compiled once for each width of them; included in the namespace of each, where `lanes` is how
// many floats a register has, and AGPNET_INLINE makes a function of its instructions.

using Floats = float __attribute__((vector_size(4 * lanes)));
using Words = uint32_t __attribute__((vector_size(4 * lanes)));

AGPNET_INLINE Floats all(float value)
{
#ifdef __clang__
    return value - Floats{}; // +, which makes 0 of -0, would be computed
#else
    return __builtin_shuffle(Floats{value}, Words{}); // one instruction; GCC makes a dozen of the other
#endif
}

AGPNET_INLINE Floats loadFloats(const float* from)
{
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

AGPNET_INLINE void storeFloats(float* to, Floats value)
{
    std::memcpy(to, &value, sizeof value);
}

/// All elements, by halves that are joined: one by one it would take as long as a row's pass.
template <typename Join>
AGPNET_INLINE float reduced(Floats value, const Join& join)
{
#ifdef __clang__
    float joined = value[0];
    for (int i = 1; i < lanes; i++)
        joined = join(Floats{joined}, Floats{value[i]})[0];
    return joined;
#else
    for (int half = lanes / 2; half > 0; half /= 2)
    {
        Words other;
        for (int i = 0; i < lanes; i++)
            other[i] = static_cast<uint32_t>(i ^ half);
        value = join(value, __builtin_shuffle(value, other));
    }
    return value[0];
#endif
}

/// 2^x to 3e-6 relative for x <= 0; below -126 it is 2^-126, which no sum of weights notices. NaN stays NaN.
AGPNET_INLINE Floats powerOfTwo(Floats x)
{
    x = x < -126.0F ? all(-126.0F) : x;
    const Floats round = all(12582912.0F); // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const Floats shifted = x + round;
    const Floats f = x - (shifted - round); // in [-0.5, 0.5]
    Floats p = all(1.3333558e-3F);          // the Taylor series of 2^f
    p = p * f + 9.6181291e-3F;
    p = p * f + 5.5504109e-2F;
    p = p * f + 2.4022651e-1F;
    p = p * f + 6.9314718e-1F;
    p = p * f + 1.0F;
    return p * reinterpret_cast<Floats>((reinterpret_cast<Words>(shifted) + 127U) << 23); // the integer, made an exponent
}

#ifdef AGPNET_STORE_BYTES // numbers of a register, up to 255, as bytes
AGPNET_INLINE void storeByte(uint8_t* to, Floats value) // the nearest from 0 to 255; of a NaN 0
{
    // 2^23: adding it leaves the nearest integer in the low bits
    const Floats least = all(0.0F), most = all(255.0F), round = all(8388608.0F);
    value = value > least ? value : least;
    value = value < most ? value : most;
    AGPNET_STORE_BYTES(to, reinterpret_cast<Words>(value + round) & 255U);
}
#endif
