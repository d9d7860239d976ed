// The stages once more, written for clearness in double precision, from their definitions and not from the generators.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace reference
{

/// Contiguous [N,C,H,W].
struct Array
{
    int n = 1, c = 1, h = 1, w = 1;
    std::vector<float> values;

    Array() = default;
    Array(int images, int channels, int height, int width) : n(images), c(channels), h(height), w(width), values(count()) {}

    size_t count() const { return static_cast<size_t>(n) * c * h * w; }
    size_t index(int in, int ic, int iy, int ix) const { return ((static_cast<size_t>(in) * c + ic) * h + iy) * w + ix; }
    float& at(int in, int ic, int iy, int ix) { return values[index(in, ic, iy, ix)]; }
    float at(int in, int ic, int iy, int ix) const { return values[index(in, ic, iy, ix)]; }
};

/// A small generator of its own, so that test data does not come from what is tested.
struct Random
{
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed * 2654435761u + 88172645463325252ull) {}
    uint64_t next()
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
    double uniform() { return static_cast<double>(next() >> 11) / 9007199254740992.0; }
    int below(int end) { return static_cast<int>(next() % static_cast<uint64_t>(end)); }
};

inline Array random(int n, int c, int h, int w, uint64_t seed, double low = -1, double high = 1)
{
    Array array(n, c, h, w);
    Random source(seed);
    for (float& value : array.values)
        value = static_cast<float>(low + (high - low) * source.uniform());
    return array;
}

inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key)
{
    for (int round = 0; round < 10; round++)
    {
        if (round > 0)
        {
            key[0] += 0x9E3779B9u;
            key[1] += 0xBB67AE85u;
        }
        const uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
                   static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    }
    return counter;
}

inline double normal(int x, int y, int c, int n, int width, const agpnet::stages::PerturbParams& params)
{
    const uint32_t level = params.level == agpnet::stages::Level::Image ? 1u << 31 : 0u;
    const auto words = philox({static_cast<uint32_t>(y * width + x), static_cast<uint32_t>(c / 4) | level,
                               static_cast<uint32_t>(n) + params.firstImage, params.step},
                              {static_cast<uint32_t>(params.seed), static_cast<uint32_t>(params.seed >> 32)});
    const size_t pair = c % 4 < 2 ? 0 : 2;
    const double u = ((words[pair] >> 8) + 1) / 16777216.0, v = (words[pair + 1] >> 8) / 16777216.0;
    const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * 3.14159265358979323846 * v;
    return c % 2 == 0 ? radius * std::cos(angle) : radius * std::sin(angle);
}

inline Array perturb(const Array& x, const Array& attention, const agpnet::stages::PerturbParams& params)
{
    Array out = x;
    const int cells = attention.h * attention.w;
    for (int n = 0; n < x.n; n++)
    {
        const float* a = &attention.values[attention.index(n, 0, 0, 0)];
        const float low = *std::min_element(a, a + cells), high = *std::max_element(a, a + cells);
        std::vector<int> order(static_cast<size_t>(cells));
        for (int i = 0; i < cells; i++)
            order[static_cast<size_t>(i)] = i;
        std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return a[i] > a[j]; });
        std::vector<double> amount(static_cast<size_t>(cells), 0.0);
        const long kept = std::lround(params.ratio * cells);
        for (long i = 0; i < kept; i++)
        {
            const int cell = order[static_cast<size_t>(i)];
            const double scaled = high > low ? (double(a[cell]) - low) / (double(high) - low) : 0;
            amount[static_cast<size_t>(cell)] = double(params.alpha) * scaled + params.beta;
        }
        for (int c = 0; c < x.c; c++)
            for (int y = 0; y < x.h; y++)
                for (int i = 0; i < x.w; i++)
                {
                    const int row = (2 * y + 1) * attention.h / (2 * x.h), column = (2 * i + 1) * attention.w / (2 * x.w);
                    const double strength = amount[static_cast<size_t>(row * attention.w + column)];
                    if (strength != 0)
                        out.at(n, c, y, i) = static_cast<float>(x.at(n, c, y, i) + strength * normal(i, y, c, n, x.w, params));
                }
    }
    return out;
}

/// What each of `size` output positions takes of each of `in` input positions.
inline std::vector<std::vector<double>> shares(int in, int size, bool area)
{
    std::vector<std::vector<double>> all(static_cast<size_t>(size), std::vector<double>(static_cast<size_t>(in), 0.0));
    const double ratio = static_cast<double>(in) / size;
    for (int i = 0; i < size; i++)
    {
        std::vector<double>& share = all[static_cast<size_t>(i)];
        if (area)
            for (int p = 0; p < in; p++)
                share[static_cast<size_t>(p)] = std::max(0.0, std::min(p + 1.0, (i + 1) * ratio) - std::max<double>(p, i * ratio)) / ratio;
        else
        {
            const double at = std::clamp((i + 0.5) * ratio - 0.5, 0.0, in - 1.0);
            const int first = std::min(static_cast<int>(at), in - 1), second = std::min(first + 1, in - 1);
            share[static_cast<size_t>(first)] += 1 - (at - first);
            share[static_cast<size_t>(second)] += at - first;
        }
    }
    return all;
}

/// image: [1,h,w,channels] as values of 0 to 1 in the picture's own order of channels.
inline Array prepare(const std::vector<double>& image, int h, int w, int channels, int height, int width)
{
    const bool area = height < h && width < w;
    const auto down = shares(h, height, area), across = shares(w, width, area);
    Array out(1, channels == 6 ? 6 : 3, height, width);
    for (int c = 0; c < out.c; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
            {
                const int from = channels == 1 ? 0 : c < 3 ? 2 - c : c;
                double sum = 0;
                for (int j = 0; j < h; j++)
                    if (const double weight = down[static_cast<size_t>(y)][static_cast<size_t>(j)]; weight > 0)
                        for (int i = 0; i < w; i++)
                            sum += weight * across[static_cast<size_t>(x)][static_cast<size_t>(i)] *
                                   image[(static_cast<size_t>(j) * static_cast<size_t>(w) + static_cast<size_t>(i)) *
                                             static_cast<size_t>(channels) +
                                         static_cast<size_t>(from)];
                out.at(0, c, y, x) = static_cast<float>(sum);
            }
    return out;
}

inline Array residual(const Array& f, const Array& g, agpnet::stages::Metric metric)
{
    Array out(f.n, 1, f.h, f.w);
    for (int n = 0; n < f.n; n++)
        for (int y = 0; y < f.h; y++)
            for (int x = 0; x < f.w; x++)
            {
                double distance = 0, ff = 0, gg = 0, fg = 0;
                for (int c = 0; c < f.c; c++)
                {
                    const double a = f.at(n, c, y, x), b = g.at(n, c, y, x);
                    distance += (a - b) * (a - b);
                    ff += a * a;
                    gg += b * b;
                    fg += a * b;
                }
                out.at(n, 0, y, x) = static_cast<float>(metric == agpnet::stages::Metric::L2 ? std::sqrt(distance)
                                                        : metric == agpnet::stages::Metric::Scaled
                                                            ? std::sqrt(distance) / std::max(std::pow(ff, 0.25), 1e-6)
                                                            : 1 - fg / std::max(std::sqrt(ff) * std::sqrt(gg), 1e-12));
            }
    return out;
}

/// An IEEE half from its bits.
inline double valueOfHalf(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                        : exponent == 0 ? std::ldexp(fraction, -24)
                                        : std::ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -size : size;
}

/// Rows of a type as they lie in memory, with room after each, and what their values are: [count,length,1,1].
struct StoredRows
{
    agpnet::stages::Rows rows; // without its memory
    std::vector<unsigned char> bytes;
    Array values;
};

/// float32 and float16: all values from about -1 to 1. int8: all there are.
inline StoredRows drawRows(agpnet::stages::RowType type, int count, int length, int padding, uint64_t seed)
{
    using agpnet::stages::RowType;
    StoredRows made{{nullptr, 0, count, length, type, length + padding}, {}, Array(count, length, 1, 1)};
    const auto size = static_cast<size_t>(bytesOf(type));
    const size_t step = static_cast<size_t>(made.rows.step) * size;
    made.bytes.assign((static_cast<size_t>(count - 1) * step + static_cast<size_t>(length) * size + 3) / 4 * 4, 0xA5);
    Random source(seed);
    for (int row = 0; row < count; row++)
        for (int d = 0; d < length; d++)
        {
            unsigned char* const at = &made.bytes[static_cast<size_t>(row) * step + static_cast<size_t>(d) * size];
            float& value = made.values.at(row, d, 0, 0);
            if (type == RowType::Float32)
            {
                value = static_cast<float>(2 * source.uniform() - 1);
                std::memcpy(at, &value, sizeof value);
            }
            else if (type == RowType::Float16)
            {
                const auto bits = static_cast<uint16_t>(source.below(0x3C00) | source.below(2) << 15);
                value = static_cast<float>(valueOfHalf(bits));
                std::memcpy(at, &bits, sizeof bits);
            }
            else
            {
                const auto whole = static_cast<int8_t>(source.below(256) - 128);
                value = whole;
                std::memcpy(at, &whole, sizeof whole);
            }
        }
    return made;
}

struct Neighbours
{
    Array similarities, rows; ///< [Q,k,1,1]
};

/// scale: [K,1,1,1], or empty.
inline std::vector<double> similaritiesOf(const Array& queries, int query, const Array& rows, const Array& scale)
{
    std::vector<double> all;
    for (int row = 0; row < rows.n; row++)
    {
        double sum = 0;
        for (int d = 0; d < rows.c; d++)
            sum += double(queries.at(query, d, 0, 0)) * rows.at(row, d, 0, 0);
        sum *= scale.values.empty() ? 1 : scale.at(row, 0, 0, 0);
        all.push_back(std::isnan(sum) ? -INFINITY : sum);
    }
    return all;
}

inline Neighbours nearest(const Array& queries, const Array& rows, const Array& scale, int k)
{
    Neighbours found{Array(queries.n, k, 1, 1), Array(queries.n, k, 1, 1)};
    for (int query = 0; query < queries.n; query++)
    {
        const std::vector<double> all = similaritiesOf(queries, query, rows, scale);
        std::vector<int> order(all.size());
        for (size_t i = 0; i < order.size(); i++)
            order[i] = static_cast<int>(i);
        std::stable_sort(order.begin(), order.end(),
                         [&](int a, int b) { return all[static_cast<size_t>(a)] > all[static_cast<size_t>(b)]; });
        for (int i = 0; i < k; i++)
        {
            const int row = order[static_cast<size_t>(i)];
            found.similarities.at(query, i, 0, 0) = static_cast<float>(all[static_cast<size_t>(row)]);
            found.rows.at(query, i, 0, 0) = static_cast<float>(row);
        }
    }
    return found;
}

inline Array resize(const Array& in, int height, int width)
{
    Array out(in.n, in.c, height, width);
    const auto position = [](int i, int size, int from)
    { return std::clamp((i + 0.5) * from / size - 0.5, 0.0, static_cast<double>(from - 1)); };
    for (int n = 0; n < in.n; n++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
            {
                const double v = position(y, height, in.h), u = position(x, width, in.w);
                const int y0 = static_cast<int>(v), x0 = static_cast<int>(u);
                const int y1 = std::min(y0 + 1, in.h - 1), x1 = std::min(x0 + 1, in.w - 1);
                const double fy = v - y0, fx = u - x0;
                out.at(n, 0, y, x) = static_cast<float>((1 - fy) * ((1 - fx) * in.at(n, 0, y0, x0) + fx * in.at(n, 0, y0, x1)) +
                                                        fy * ((1 - fx) * in.at(n, 0, y1, x0) + fx * in.at(n, 0, y1, x1)));
            }
    return out;
}

inline int reflect(int i, int size)
{
    while (i < 0 || i >= size)
        i = i < 0 ? -i - 1 : 2 * size - 1 - i;
    return i;
}

inline Array blur(const Array& in, double sigma)
{
    const int radius = static_cast<int>(4 * sigma + 0.5);
    if (radius == 0)
        return in;
    std::vector<double> kernel;
    double sum = 0;
    for (int i = -radius; i <= radius; i++)
    {
        kernel.push_back(std::exp(-i * i / (2 * sigma * sigma)));
        sum += kernel.back();
    }
    std::vector<double> between(in.count());
    Array out = in;
    for (int n = 0; n < in.n; n++)
    {
        for (int y = 0; y < in.h; y++)
            for (int x = 0; x < in.w; x++)
            {
                double value = 0;
                for (int i = -radius; i <= radius; i++)
                    value += kernel[static_cast<size_t>(i + radius)] / sum * in.at(n, 0, y, reflect(x + i, in.w));
                between[in.index(n, 0, y, x)] = value;
            }
        for (int y = 0; y < in.h; y++)
            for (int x = 0; x < in.w; x++)
            {
                double value = 0;
                for (int i = -radius; i <= radius; i++)
                    value += kernel[static_cast<size_t>(i + radius)] / sum * between[in.index(n, 0, reflect(y + i, in.h), x)];
                out.at(n, 0, y, x) = static_cast<float>(value);
            }
    }
    return out;
}

struct Scores
{
    std::vector<double> maximum, top1;
};

/// Of a map as it is, so that the scores can be checked apart from the map's rounding.
inline Scores scores(const Array& map)
{
    Scores result;
    const size_t pixels = static_cast<size_t>(map.h) * map.w;
    for (int n = 0; n < map.n; n++)
    {
        std::vector<float> sorted(map.values.begin() + static_cast<ptrdiff_t>(pixels) * n,
                                  map.values.begin() + static_cast<ptrdiff_t>(pixels) * (n + 1));
        std::sort(sorted.begin(), sorted.end(), std::greater<>());
        const size_t k = std::max<size_t>(1, pixels / 100);
        double sum = 0;
        for (size_t i = 0; i < k; i++)
            sum += sorted[i];
        result.maximum.push_back(sorted[0]);
        result.top1.push_back(sum / static_cast<double>(k));
    }
    return result;
}

} // namespace reference
