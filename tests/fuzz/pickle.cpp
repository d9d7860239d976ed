// The input is the pickle inside a .pth that is otherwise sound: chance alone seldom gets past the zip around it.
#include "models/weights/pth.h"
#include "tests/fuzz/target.h"

namespace
{

template <typename T>
void put(std::string& bytes, T value)
{
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string zipped(const std::string& pickle)
{
    const std::pair<std::string, std::string> entries[] = {
        {"a/data.pkl", pickle}, {"a/data/0", std::string(64, '\1')}, {"a/data/1", std::string(24, '\0')}};
    std::string bytes, directory;
    for (const auto& [name, content] : entries)
    {
        const auto offset = static_cast<uint32_t>(bytes.size()), size = static_cast<uint32_t>(content.size());
        const auto header = [size, length = static_cast<uint16_t>(name.size())](std::string& to)
        {
            put(to, uint16_t{0}); // version, flags, method: stored
            put(to, uint16_t{0});
            put(to, uint16_t{0});
            put(to, uint32_t{0}); // time
            put(to, uint32_t{0}); // checksum
            put(to, size);
            put(to, size);
            put(to, length);
            put(to, uint16_t{0});
        };
        put(bytes, uint32_t{0x04034b50});
        header(bytes);
        bytes += name + content;
        put(directory, uint32_t{0x02014b50});
        put(directory, uint16_t{0});
        header(directory);
        directory.append(10, '\0');
        put(directory, offset);
        directory += name;
    }
    const auto at = static_cast<uint32_t>(bytes.size());
    bytes += directory;
    put(bytes, uint32_t{0x06054b50});
    put(bytes, uint32_t{0});
    put(bytes, uint16_t{3});
    put(bytes, uint16_t{3});
    put(bytes, static_cast<uint32_t>(directory.size()));
    put(bytes, at);
    put(bytes, uint16_t{0});
    return bytes;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string file = zipped(std::string(reinterpret_cast<const char*>(data), size));
    return agpnet::fuzz::answers(
        file.size(), [&] { agpnet::stateDictHash(agpnet::readPth(agpnet::copyBytes(file.data(), file.size(), "input"))); });
}
