// Numbers and texts at places of a file, whether all of it is in memory or not.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string_view>
#include <vector>

namespace agpnet::tools
{

/// Little- and big-endian reads that answer 0 behind the end: callers compare sizes anyway.
class ByteReader
{
public:
    using Byte = unsigned char;

    /// All of it is in memory, and stays there.
    explicit ByteReader(std::span<const Byte> bytes) : data_(bytes.data()), size_(bytes.size()) {}

    /// Reads the parts of the file that are asked for; one that cannot be read is one of no bytes.
    explicit ByteReader(const std::filesystem::path& path) : file_(path, std::ios::binary)
    {
        std::error_code error;
        const auto size = std::filesystem::file_size(path, error);
        size_ = error || !file_.good() ? 0 : static_cast<size_t>(size);
    }

    size_t size() const { return size_; }

    uint32_t byte(size_t at) const
    {
        if (at >= size_)
            return 0;
        if (data_)
            return data_[at];
        if (at < first_ || at >= first_ + window_.size())
            load(at);
        return at - first_ < window_.size() ? window_[at - first_] : 0u;
    }
    uint32_t be16(size_t at) const { return byte(at) << 8 | byte(at + 1); }
    uint32_t be32(size_t at) const { return be16(at) << 16 | be16(at + 2); }
    uint32_t le16(size_t at) const { return byte(at) | byte(at + 1) << 8; }
    uint32_t le32(size_t at) const { return le16(at) | le16(at + 2) << 16; }

    bool has(size_t at, std::string_view text) const
    {
        for (size_t i = 0; i < text.size(); i++)
            if (at + i >= size_ || byte(at + i) != static_cast<Byte>(text[i]))
                return false;
        return true;
    }

private:
    void load(size_t at) const
    {
        constexpr size_t page = 16384;
        first_ = at / page * page;
        window_.resize(page);
        file_.clear();
        file_.seekg(static_cast<std::streamoff>(first_));
        file_.read(reinterpret_cast<char*>(window_.data()), page);
        window_.resize(static_cast<size_t>(std::max<std::streamsize>(0, file_.gcount())));
    }

    const Byte* data_ = nullptr;
    size_t size_ = 0;
    mutable std::ifstream file_;
    mutable std::vector<Byte> window_;
    mutable size_t first_ = 0;
};

/// Width and height in 64 bits, because a header may claim anything.
struct Extent
{
    int64_t width = 0;
    int64_t height = 0;
};

} // namespace agpnet::tools
