#include "apps/datasets/tiff_pages.h"

#include <algorithm>
#include <set>

namespace agpnet::tools
{
namespace
{

constexpr size_t mostPages = 65536, mostEntries = 4096;

/// The tags that matter here.
enum Tag : uint32_t
{
    NewSubfileType = 254,
    ImageWidth = 256,
    ImageLength = 257,
    BitsPerSample = 258,
    Photometric = 262,
    Orientation = 274,
    SubDirectories = 330,
    SampleFormat = 339
};

class Walk
{
public:
    Walk(const ByteReader& in, size_t start, Tiff& tiff) : in_(in), start_(start), tiff_(tiff) {}

    void all()
    {
        uint64_t next = offset(start_ + (tiff_.big ? 8 : 4));
        while (next != 0 && tiff_.pages.size() < mostPages)
            next = directory(next, true);
    }

private:
    uint32_t u16(size_t at) const { return tiff_.little ? in_.le16(at) : in_.be16(at); }
    uint32_t u32(size_t at) const { return tiff_.little ? in_.le32(at) : in_.be32(at); }
    uint64_t u64(size_t at) const
    {
        const uint64_t first = u32(at), second = u32(at + 4);
        return tiff_.little ? first | second << 32 : first << 32 | second;
    }
    uint64_t offset(size_t at) const { return tiff_.big ? u64(at) : u32(at); }

    static size_t bytesOf(uint32_t type)
    {
        return type == 3 || type == 8 ? 2 : type == 4 || type == 9 || type == 13 ? 4 : type == 16 || type == 17 || type == 18 ? 8 : 1;
    }
    uint64_t number(size_t at, uint32_t type) const
    {
        const size_t bytes = bytesOf(type);
        return bytes == 2 ? u16(at) : bytes == 4 ? u32(at) : bytes == 8 ? u64(at) : in_.byte(at);
    }

    /// Takes the page down; gives the offset of the next.
    uint64_t directory(uint64_t at, bool withSub)
    {
        const size_t place = start_ + at;
        if (at > in_.size() || place + 2 > in_.size() || !seen_.insert(at).second)
            return 0;
        const size_t entrySize = tiff_.big ? 20 : 12, head = tiff_.big ? 8 : 2;
        const uint64_t claimed = tiff_.big ? u64(place) : u16(place);
        const auto entries = static_cast<size_t>(std::min<uint64_t>(claimed, mostEntries));
        TiffPage page;
        page.directory = at;
        std::vector<uint64_t> below;
        for (size_t i = 0; i < entries && place + head + (i + 1) * entrySize <= in_.size(); i++)
        {
            const size_t entry = place + head + i * entrySize;
            const uint32_t tag = u16(entry), type = u16(entry + 2);
            const uint64_t count = tiff_.big ? u64(entry + 4) : u32(entry + 4);
            const size_t here = entry + (tiff_.big ? 12 : 8), room = tiff_.big ? 8 : 4;
            const bool inlined = count <= room / bytesOf(type);
            const uint64_t elsewhere = offset(here);
            if (!inlined && elsewhere > in_.size())
                continue;
            const size_t values = inlined ? here : start_ + static_cast<size_t>(elsewhere);
            const uint64_t value = number(values, type);
            switch (tag)
            {
            case NewSubfileType:
                page.reduced = value & 1;
                page.mask = value & 4;
                break;
            case ImageWidth:
                page.extent.width = static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX));
                break;
            case ImageLength:
                page.extent.height = static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX));
                break;
            case BitsPerSample:
                page.bits = static_cast<uint32_t>(value);
                break;
            case Photometric:
                page.photometric = static_cast<uint32_t>(value);
                page.photometricAt = type == 3 ? values : 0;
                page.floats |= value == 32844 || value == 32845; // logarithms of them
                break;
            case Orientation:
                page.orientation = static_cast<uint32_t>(value);
                break;
            case SampleFormat:
                page.floats |= value == 3;
                break;
            case SubDirectories:
                for (uint64_t n = 0; withSub && n < std::min<uint64_t>(count, 64); n++)
                    below.push_back(number(values + static_cast<size_t>(n) * bytesOf(type), type));
                break;
            default:
                break;
            }
        }
        tiff_.pages.push_back(page);
        for (const uint64_t sub : below)
            directory(sub, false);
        return claimed == entries ? offset(place + head + entries * entrySize) : 0;
    }

    const ByteReader& in_;
    const size_t start_;
    Tiff& tiff_;
    std::set<uint64_t> seen_; ///< a directory may name itself as the next
};

double pixels(const TiffPage& page) // which may claim anything
{
    return static_cast<double>(page.extent.width) * static_cast<double>(page.extent.height);
}

} // namespace

const TiffPage* Tiff::largest() const
{
    const auto found = std::max_element(pages.begin(), pages.end(), [](const TiffPage& a, const TiffPage& b)
                                        { return std::pair(!a.mask, pixels(a)) < std::pair(!b.mask, pixels(b)); });
    return found == pages.end() || pixels(*found) == 0 ? nullptr : &*found;
}

size_t Tiff::pictures() const
{
    const auto count =
        std::count_if(pages.begin(), pages.end(), [](const TiffPage& page) { return !page.mask && !page.reduced && pixels(page) > 0; });
    return static_cast<size_t>(count);
}

bool negative(const TiffPage& page)
{
    return page.photometric == 0 && page.photometricAt && page.bits > 8 && !page.floats;
}

std::optional<Tiff> readTiff(const ByteReader& in, size_t at)
{
    Tiff tiff;
    tiff.little = in.byte(at) == 'I';
    const uint32_t order = in.be16(at), version = tiff.little ? in.le16(at + 2) : in.be16(at + 2);
    if ((order != 0x4949 && order != 0x4d4d) || (version != 42 && version != 43))
        return {};
    tiff.big = version == 43;
    Walk(in, at, tiff).all();
    return tiff;
}

void presentTiffPage(std::vector<unsigned char>& bytes, const Tiff& tiff, const TiffPage& page)
{
    const auto write = [&](size_t at, uint64_t value, size_t size)
    {
        for (size_t i = 0; i < size && at + i < bytes.size(); i++)
            bytes[at + i] = static_cast<unsigned char>(value >> 8 * (tiff.little ? i : size - 1 - i));
    };
    write(tiff.big ? 8 : 4, page.directory, tiff.big ? 8 : 4);
    if (negative(page))
        write(page.photometricAt, 1, 2);
}

} // namespace agpnet::tools
