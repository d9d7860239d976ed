// Counter-based normal noise as Halide expressions: Philox 4x32-10 and Box-Muller. No state, so a value depends on its counter
// and key alone, never on device, tile, batch or thread.
#pragma once

#include <Halide.h>
#include <array>

namespace noise
{

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;

using Words = std::array<Expr, 4>;

inline Expr word(uint32_t value)
{
    return Expr(value);
}

/// Philox 4x32-10 (Salmon et al., 2011).
inline Words philox(Words counter, Expr keyLow, Expr keyHigh)
{
    for (uint32_t round = 0; round < 10; round++)
    {
        const Expr first = cast<uint64_t>(counter[0]) * cast<uint64_t>(word(0xD2511F53u));
        const Expr second = cast<uint64_t>(counter[2]) * cast<uint64_t>(word(0xCD9E8D57u));
        const Expr low = keyLow + word(round * 0x9E3779B9u);
        const Expr high = keyHigh + word(round * 0xBB67AE85u);
        counter = {cast<uint32_t>(second >> 32) ^ counter[1] ^ low, cast<uint32_t>(second),
                   cast<uint32_t>(first >> 32) ^ counter[3] ^ high, cast<uint32_t>(first)};
    }
    return counter;
}

inline Expr polynomial(const Expr& x, std::initializer_list<float> coefficients)
{
    Expr value = 0.0f;
    for (float coefficient : coefficients)
        value = value * x + coefficient;
    return value;
}

/// ln(k / 2^24) for an integer k in 1 .. 2^24. Spelt out, since each device's own log rounds differently.
inline Expr logOfShare(const Expr& k)
{
    const Expr bits = reinterpret<int32_t>(cast<float>(k));
    const Expr exponent = (bits - 0x3F3504F3) >> 23; // leaves a mantissa in sqrt(1/2) .. sqrt(2)
    const Expr x = reinterpret<float>(bits - (exponent << 23)) - 1.0f;
    const Expr power = cast<float>(exponent - 24);
    const Expr square = x * x;
    const Expr tail = polynomial(x, {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                     -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f});
    return power * 0.693359375f + (x + (tail * x * square - 0.5f * square + power * -2.12194440e-4f));
}

/// Two standard normals from two random words a and b:
///   u = ((a >> 8) + 1) / 2^24 in (0, 1],  v = (b >> 8) / 2^24 in [0, 1)
///   sqrt(-2 ln u) cos(2 pi v)  and  sqrt(-2 ln u) sin(2 pi v)
inline std::array<Expr, 2> boxMuller(const Expr& a, const Expr& b)
{
    const Expr radius = Halide::sqrt(Halide::max(-2.0f * logOfShare(cast<int32_t>(a >> 8) + 1), 0.0f));
    const Expr turn = cast<int32_t>(b >> 8);
    const Expr quarter = (turn + (1 << 21)) >> 22; // the nearest quarter turn; what is left lies within an eighth of a turn
    const Expr angle = cast<float>(turn - (quarter << 22)) * 3.7450704e-7f; // 2 pi / 2^24
    const Expr square = angle * angle;
    const Expr sine = angle + angle * square * polynomial(square, {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f});
    const Expr cosine =
        1.0f - 0.5f * square +
        square * square * polynomial(square, {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f});
    const Expr odd = (quarter & 1) != 0;
    const Expr real = Halide::select(odd, sine, cosine);
    const Expr imaginary = Halide::select(odd, cosine, sine);
    // unsigned, since a shift into the sign bit is undefined in OpenCL C
    const Expr realSign = (cast<uint32_t>(quarter + 1) & 2) << 30;
    const Expr imaginarySign = (cast<uint32_t>(quarter) & 2) << 30;
    return {radius * reinterpret<float>(reinterpret<uint32_t>(real) ^ realSign),
            radius * reinterpret<float>(reinterpret<uint32_t>(imaginary) ^ imaginarySign)};
}

/// Four standard normals of one counter.
inline Words normals(const Words& counter, const Expr& keyLow, const Expr& keyHigh)
{
    const Words words = philox(counter, keyLow, keyHigh);
    const auto first = boxMuller(words[0], words[1]);
    const auto second = boxMuller(words[2], words[3]);
    return {first[0], first[1], second[0], second[1]};
}

} // namespace noise
