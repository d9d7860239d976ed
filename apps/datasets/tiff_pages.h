// The directories of a TIFF: which pages there are, and what a decoder has to be told of them.
#pragma once

#include "apps/datasets/byte_reader.h"

#include <optional>

namespace agpnet::tools
{

struct TiffPage
{
    uint64_t directory = 0;    ///< where it is written
    Extent extent;
    bool reduced = false;      ///< says of itself that it is a smaller copy of another page
    bool mask = false;         ///< says of itself that it is the transparency of another page
    uint32_t bits = 1;         ///< bits of a sample
    uint32_t photometric = 1;  ///< 0: white is zero, 1: black is zero, 2: RGB, ...
    size_t photometricAt = 0;  ///< where that number is written, 16 bits; 0: nowhere
    uint32_t orientation = 1;  ///< as in EXIF
    bool floats = false;
};

struct Tiff
{
    bool little = true, big = false; ///< byte order; BigTIFF
    std::vector<TiffPage> pages;     ///< in the order of the file, each with those below it

    /// The page with most pixels, the first of several; a mask only where there is nothing else. Null where no page has a size.
    const TiffPage* largest() const;

    /// Pages that are neither masks nor smaller copies.
    size_t pictures() const;
};

/// Nothing where `at` no TIFF begins. Offsets in it count from there.
std::optional<Tiff> readTiff(const ByteReader& in, size_t at = 0);

/// Whether white is zero in the page's samples where decoders leave them so: those of more than 8 bits.
bool negative(const TiffPage& page);

/// Makes the page the file's first, which is the one that decoders read. A negative() one is said to be none, so that every decoder leaves
/// its samples as they are.
void presentTiffPage(std::vector<unsigned char>& bytes, const Tiff& tiff, const TiffPage& page);

} // namespace agpnet::tools
