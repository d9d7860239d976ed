#include "apps/datasets/pnm.h"

#include "common/error.h"

#include <algorithm>

namespace agpnet::tools
{
namespace
{

bool isBlank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// The word at a place, behind blanks and comments; `at` moves behind it.
std::string wordAt(const ByteReader& in, size_t& at)
{
    while (at < in.size() && (isBlank(in.byte(at)) || in.byte(at) == '#'))
        if (in.byte(at++) == '#')
            while (at < in.size() && in.byte(at) != '\n' && in.byte(at) != '\r')
                at++;
    std::string word;
    for (; at < in.size() && !isBlank(in.byte(at)) && in.byte(at) != '#' && word.size() < 32; at++)
        word += static_cast<char>(in.byte(at));
    return word;
}

int64_t numberAt(const ByteReader& in, size_t& at, const char* what)
{
    const std::string word = wordAt(in, at);
    require(!word.empty() && word.size() <= 15 && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; }),
            "its header says '{}' where its {} is expected", word, what);
    return std::stoll(word);
}

void readPam(const ByteReader& in, size_t& at, PnmHeader& header)
{
    header.channels = 0;
    for (std::string word = wordAt(in, at); word != "ENDHDR"; word = wordAt(in, at))
    {
        if (word == "WIDTH")
            header.extent.width = numberAt(in, at, "width");
        else if (word == "HEIGHT")
            header.extent.height = numberAt(in, at, "height");
        else if (word == "DEPTH")
            header.channels = numberAt(in, at, "number of channels");
        else if (word == "MAXVAL")
            header.most = numberAt(in, at, "maxval");
        else if (word == "TUPLTYPE")
            wordAt(in, at); // the number of channels says it too
        else
            require(!word.empty(), "its header ends before ENDHDR");
    }
    require(header.channels >= 1 && header.channels <= 4, "it has {} channels, 1 to 4 expected", header.channels);
}

} // namespace

uint64_t PnmHeader::bytes() const
{
    if (text())
        return 0;
    const auto width = static_cast<uint64_t>(extent.width), height = static_cast<uint64_t>(extent.height);
    if (width > (uint64_t{1} << 56) / height)
        return uint64_t{1} << 60; // more than any file has
    return bits() ? (width + 7) / 8 * height : width * height * static_cast<uint64_t>(channels) * (most > 255 ? 2 : 1);
}

PnmHeader readPnmHeader(const ByteReader& in)
{
    PnmHeader header;
    header.kind = static_cast<char>(in.byte(1));
    size_t at = 2;
    if (header.kind == '7')
        readPam(in, at, header);
    else
    {
        header.channels = header.kind == '3' || header.kind == '6' ? 3 : 1;
        header.extent.width = numberAt(in, at, "width");
        header.extent.height = numberAt(in, at, "height");
        header.most = header.bits() ? 1 : numberAt(in, at, "maxval");
    }
    require(header.most >= 1 && header.most <= 65535, "its maxval is {}, 1 to 65535 expected", header.most);
    require(header.extent.width > 0 && header.extent.height > 0 && header.extent.width <= INT32_MAX && header.extent.height <= INT32_MAX,
            "its size is {}x{}", header.extent.width, header.extent.height);
    header.pixels = at + 1; // one blank
    return header;
}

size_t picturesInPnm(const ByteReader& in)
{
    constexpr size_t most = 65536;
    const PnmHeader header = readPnmHeader(in);
    const uint64_t one = header.pixels + header.bytes();
    if (header.text() || one >= in.size())
        return 1;
    // each of the size of the first, as a sequence has it; what else stands there does not count
    size_t count = 1;
    for (uint64_t at = one;
         count < most && at + 1 < in.size() && in.byte(at) == 'P' && in.byte(at + 1) == static_cast<unsigned char>(header.kind); at += one)
        count++;
    return count;
}

std::vector<unsigned char> plainPnm(const std::vector<unsigned char>& bytes, const PnmHeader& header)
{
    const bool deep = header.most > 255, colour = header.channels >= 3;
    const char kind = header.kind == '7' ? (colour ? '6' : '5') : header.kind;
    std::string head = fmt::format("P{}\n{} {}\n", kind, header.extent.width, header.extent.height);
    if (!header.bits())
        head += deep ? "65535\n" : "255\n";
    std::vector<unsigned char> plain(head.begin(), head.end());
    const auto pixels = bytes.begin() + static_cast<std::ptrdiff_t>(std::min(header.pixels, bytes.size()));
    if (header.channels == 1 || header.channels == 3)
    {
        plain.insert(plain.end(), pixels, bytes.end());
        if (header.text())
            plain.push_back('\n'); // without a blank behind it the last number is refused
        return plain;
    }
    const size_t sample = deep ? 2 : 1, stored = static_cast<size_t>(header.channels) * sample, kept = (colour ? 3 : 1) * sample;
    plain.reserve(plain.size() + static_cast<size_t>(header.bytes()) / stored * kept);
    for (auto pixel = pixels; bytes.end() - pixel >= static_cast<std::ptrdiff_t>(stored); pixel += static_cast<std::ptrdiff_t>(stored))
        plain.insert(plain.end(), pixel, pixel + static_cast<std::ptrdiff_t>(kept));
    return plain;
}

} // namespace agpnet::tools
