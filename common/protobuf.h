// Writing protobuf messages: three kinds of fields by hand are shorter than a dependency that would have to agree with the
// host's.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace agpnet
{

/// One message under construction.
class ProtobufMessage
{
public:
    ProtobufMessage& integer(int field, uint64_t value)
    {
        varint(static_cast<uint64_t>(field) << 3);
        varint(value);
        return *this;
    }

    ProtobufMessage& bytes(int field, std::string_view value)
    {
        announce(field, value.size());
        text_ += value;
        return *this;
    }

    /// Begins a field of so many bytes, which whoever writes the message then puts behind it.
    ProtobufMessage& announce(int field, uint64_t size)
    {
        varint(static_cast<uint64_t>(field) << 3 | 2);
        varint(size);
        return *this;
    }

    ProtobufMessage& real(int field, float value)
    {
        varint(static_cast<uint64_t>(field) << 3 | 5);
        char raw[sizeof value];
        std::memcpy(raw, &value, sizeof value); // little-endian, as protobuf and x86 are
        text_.append(raw, sizeof value);
        return *this;
    }

    const std::string& text() const { return text_; }

private:
    void varint(uint64_t value)
    {
        for (; value >= 0x80; value >>= 7)
            text_ += static_cast<char>(value | 0x80);
        text_ += static_cast<char>(value);
    }

    std::string text_;
};

} // namespace agpnet
