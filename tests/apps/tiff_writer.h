// A TIFF of any bits, photometric and pages, written by the book (TIFF 6.0): no encoder at hand writes them all.
#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace agpnet::test
{

struct TiffPage
{
    cv::Mat samples;            ///< CV_16UC(n): of each pixel its samples, as numbers
    uint32_t bits = 16;         ///< of a sample: 1 to 16; packed, most significant first
    uint32_t photometric = 1;   ///< 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK
    uint32_t orientation = 1;
    uint32_t kind = 0;          ///< NewSubfileType
    std::vector<uint16_t> palette; ///< for photometric 3
};

/// Little- or big-endian, one strip a page; BigTIFF where asked for.
inline std::vector<unsigned char> tiffOf(const std::vector<TiffPage>& pages, bool little = true, bool big = false)
{
    std::vector<unsigned char> out;
    const auto put = [&](uint64_t value, size_t bytes) {
        for (size_t i = 0; i < bytes; i++)
            out.push_back(static_cast<unsigned char>(value >> 8 * (little ? i : bytes - 1 - i)));
    };
    const auto patch = [&](size_t at, uint64_t value, size_t bytes) {
        for (size_t i = 0; i < bytes; i++)
            out[at + i] = static_cast<unsigned char>(value >> 8 * (little ? i : bytes - 1 - i));
    };
    const size_t word = big ? 8 : 4;
    out = {static_cast<unsigned char>(little ? 'I' : 'M'), static_cast<unsigned char>(little ? 'I' : 'M')};
    put(big ? 43 : 42, 2);
    if (big)
    {
        put(8, 2);
        put(0, 2);
    }
    size_t link = out.size();
    put(0, word);
    for (const TiffPage& page : pages)
    {
        const auto channels = static_cast<size_t>(page.samples.channels());
        const size_t strip = out.size();
        for (int y = 0; y < page.samples.rows; y++)
        {
            uint64_t pending = 0, count = 0;
            for (size_t i = 0; i < static_cast<size_t>(page.samples.cols) * channels; i++)
            {
                const uint16_t value = page.samples.ptr<uint16_t>(y)[i];
                if (page.bits == 16)
                {
                    put(value, 2);
                    continue;
                }
                pending = pending << page.bits | value;
                for (count += page.bits; count >= 8; count -= 8)
                    out.push_back(static_cast<unsigned char>(pending >> (count - 8)));
            }
            if (count > 0)
                out.push_back(static_cast<unsigned char>(pending << (8 - count)));
        }
        const size_t bytes = out.size() - strip;
        while (out.size() % 8)
            out.push_back(0);
        const size_t bitsAt = out.size();
        for (size_t i = 0; i < channels; i++)
            put(page.bits, 2);
        while (out.size() % 8)
            out.push_back(0);
        const size_t paletteAt = out.size();
        for (const uint16_t value : page.palette)
            put(value, 2);
        while (out.size() % 8)
            out.push_back(0);
        patch(link, out.size(), word);
        const size_t extra = page.palette.empty() ? 0 : 1;
        put(12 + extra, big ? 8 : 2);
        const auto entry = [&](uint32_t tag, uint32_t type, uint64_t count, uint64_t value) {
            put(tag, 2);
            put(type, 2);
            put(count, word);
            const size_t at = out.size();
            put(0, word);
            patch(at, value, count > 1 ? word : type == 3 ? 2 : 4);
        };
        entry(254, 4, 1, page.kind);
        entry(256, 4, 1, static_cast<uint64_t>(page.samples.cols));
        entry(257, 4, 1, static_cast<uint64_t>(page.samples.rows));
        if (channels == 1)
            entry(258, 3, 1, page.bits);
        else if (channels * 2 <= word)
        {
            entry(258, 3, channels, 0);
            for (size_t i = 0; i < channels; i++)
                patch(out.size() - word + 2 * i, page.bits, 2);
        }
        else
            entry(258, 3, channels, bitsAt);
        entry(259, 3, 1, 1); // no compression
        entry(262, 3, 1, page.photometric);
        entry(273, 4, 1, strip);
        entry(274, 3, 1, page.orientation);
        entry(277, 3, 1, channels);
        entry(278, 4, 1, static_cast<uint64_t>(page.samples.rows));
        entry(279, 4, 1, bytes);
        entry(284, 3, 1, 1); // a pixel's samples side by side
        if (extra)
            entry(320, 3, page.palette.size(), paletteAt);
        link = out.size();
        put(0, word);
    }
    return out;
}

} // namespace agpnet::test
