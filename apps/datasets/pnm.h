// The headers of PBM, PGM, PPM and PAM (P1 to P7): what they say of the samples, and the same picture in a form that leaves a decoder
// nothing to get wrong.
#pragma once

#include "apps/datasets/byte_reader.h"


namespace agpnet::tools
{

struct PnmHeader
{
    char kind = '6';        ///< the digit behind the P
    Extent extent;
    int64_t channels = 3;   ///< as stored; 2 and 4 have alpha
    int64_t most = 255;     ///< the sample that is white: maxval
    size_t pixels = 0;      ///< where the first sample begins

    bool text() const { return kind <= '3'; }
    bool bits() const { return kind == '1' || kind == '4'; } ///< a bit a pixel, 1 is black
    uint64_t bytes() const; ///< size of the samples; 0 for text, whose size is unknown
};

/// An Error, a sentence without the file's name, where the header is not whole or says what no header may.
PnmHeader readPnmHeader(const ByteReader& in);

/// Pictures that stand one behind the other in the file; of text 1.
size_t picturesInPnm(const ByteReader& in);

/// A PGM or PPM (a bitmap stays one) with a maxval of 255 or 65535, which every decoder leaves alone: samples are as stored, to be scaled
/// by 255 or 65535 over PnmHeader::most. Alpha is gone.
std::vector<unsigned char> plainPnm(const std::vector<unsigned char>& bytes, const PnmHeader& header);

} // namespace agpnet::tools
