#include "models/weights/safetensors.h"

#include "common/atomic_file.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is little endian and is used in place");

namespace agpnet
{

namespace
{

using Json = nlohmann::json;

struct TypeName
{
    const char* name;
    at::ScalarType type;
};

constexpr std::array<TypeName, 10> typeNames = {{{"F32", at::kFloat},
                                                 {"F16", at::kHalf},
                                                 {"BF16", at::kBFloat16},
                                                 {"F64", at::kDouble},
                                                 {"I64", at::kLong},
                                                 {"I32", at::kInt},
                                                 {"I16", at::kShort},
                                                 {"I8", at::kChar},
                                                 {"U8", at::kByte},
                                                 {"BOOL", at::kBool}}};

constexpr size_t lengthBytes = 8;
constexpr uint64_t largestHeader = 100'000'000; // the format's own limit
constexpr size_t largestRank = 16;
constexpr int longestList = 64; // more than any shape: a digit and a comma become 16 bytes in memory
constexpr size_t dataAlignment = 64;
constexpr const char* metadataKey = "__metadata__";

Json parseHeader(const Bytes& bytes, const char* begin, size_t size)
{
    // The parser keeps the last of two equal keys; which one another reader keeps is its own affair, so there may be no two.
    std::vector<std::set<std::string>> keys;
    std::vector<int> lists; // how many items each open list has by now; an object is never full
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed)
    {
        // the file, one tensor, its shape: nothing lies deeper
        require(depth <= 4, "{}: the header is nested more deeply than the format has it", bytes.name);
        const bool opens = event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start;
        if ((opens || event == Json::parse_event_t::value) && !lists.empty() && lists.back() >= 0)
            require(++lists.back() <= longestList, "{}: the header has a list of more than {} items", bytes.name, longestList);
        if (opens)
            lists.push_back(event == Json::parse_event_t::array_start ? 0 : -1);
        else if (event == Json::parse_event_t::array_end || event == Json::parse_event_t::object_end)
            lists.pop_back();

        if (event == Json::parse_event_t::object_start)
            keys.emplace_back();
        else if (event == Json::parse_event_t::object_end)
            keys.pop_back();
        else if (event == Json::parse_event_t::key)
            require(keys.back().insert(parsed.get<std::string>()).second, "{}: the header names \"{}\" twice", bytes.name,
                    parsed.get<std::string>());
        return true;
    };
    try
    {
        return Json::parse(begin, begin + size, watch);
    }
    catch (const Json::exception& error)
    {
        fail("{}: the header is not JSON: {}", bytes.name, error.what());
    }
}

uint64_t readCount(const Bytes& bytes, const std::string& tensor, const char* what, const Json& value)
{
    // number_integer here means negative: what fits unsigned is parsed so
    require(value.is_number_unsigned(), "{}: tensor {}: {} is {}, expected a non-negative integer", bytes.name, tensor, what,
            value.dump(-1, ' ', true, Json::error_handler_t::replace));
    return value.get<uint64_t>();
}

struct Entry
{
    std::string name;
    at::ScalarType type = at::kFloat;
    std::vector<int64_t> shape;
    uint64_t begin = 0;
    uint64_t end = 0;
};

Entry readEntry(const Bytes& bytes, const std::string& name, const Json& description, uint64_t dataSize)
{
    Entry entry;
    entry.name = name;
    require(description.is_object(), "{}: tensor {}: its description is not an object", bytes.name, name);
    for (const auto& [key, value] : description.items())
        require(key == "dtype" || key == "shape" || key == "data_offsets",
                "{}: tensor {}: has \"{}\", expected only dtype, shape and data_offsets", bytes.name, name, key);
    for (const char* key : {"dtype", "shape", "data_offsets"})
        require(description.contains(key), "{}: tensor {}: has no \"{}\"", bytes.name, name, key);

    const Json& dtype = description["dtype"];
    require(dtype.is_string(), "{}: tensor {}: dtype is not a string", bytes.name, name);
    const auto& dtypeName = dtype.get_ref<const std::string&>();
    const auto* known =
        std::find_if(typeNames.begin(), typeNames.end(), [&](const TypeName& candidate) { return dtypeName == candidate.name; });
    require(known != typeNames.end(), "{}: tensor {}: dtype is {}, which is not supported", bytes.name, name, dtypeName);
    entry.type = known->type;

    const Json& shape = description["shape"];
    require(shape.is_array() && shape.size() <= largestRank, "{}: tensor {}: shape is not a list of at most {} numbers",
            bytes.name, name, largestRank);
    uint64_t size = c10::elementSize(entry.type);
    for (const Json& value : shape)
    {
        const uint64_t extent = readCount(bytes, name, "a shape entry", value);
        require(extent <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) && multiply(size, extent, size),
                "{}: tensor {}: its shape has more bytes than can be counted", bytes.name, name);
        entry.shape.push_back(static_cast<int64_t>(extent));
    }

    const Json& offsets = description["data_offsets"];
    require(offsets.is_array() && offsets.size() == 2, "{}: tensor {}: data_offsets is not a pair", bytes.name, name);
    entry.begin = readCount(bytes, name, "an offset", offsets[0]);
    entry.end = readCount(bytes, name, "an offset", offsets[1]);
    require(entry.begin <= entry.end && entry.end <= dataSize, "{}: tensor {}: lies at bytes {} to {}, but the data has {} bytes",
            bytes.name, name, entry.begin, entry.end, dataSize);
    require(entry.end - entry.begin == size, "{}: tensor {}: has {} bytes, but its shape and type ask for {}", bytes.name, name,
            entry.end - entry.begin, size);
    return entry;
}

const char* nameOf(at::ScalarType type)
{
    for (const TypeName& candidate : typeNames)
        if (candidate.type == type)
            return candidate.name;
    return nullptr;
}

} // namespace

TensorFile readSafetensors(const Bytes& bytes)
{
    require(bytes.size >= lengthBytes + 2, "{}: has {} bytes, too few for a safetensors file", bytes.name, bytes.size);
    uint64_t headerSize = 0;
    std::memcpy(&headerSize, bytes.data, lengthBytes);
    require(headerSize <= bytes.size - lengthBytes,
            "{}: announces a header of {} bytes, but only {} follow: not a safetensors file, or cut off", bytes.name, headerSize,
            bytes.size - lengthBytes);
    require(headerSize <= largestHeader, "{}: announces a header of {} bytes, more than the {} a safetensors file may have",
            bytes.name, headerSize, largestHeader);
    const uint64_t dataBegin = lengthBytes + headerSize;
    const uint64_t dataSize = bytes.size - dataBegin;
    const char* text = reinterpret_cast<const char*>(bytes.data) + lengthBytes;
    require(headerSize > 0 && text[0] == '{', "{}: its header does not start with '{{': not a safetensors file", bytes.name);

    const Json header = parseHeader(bytes, text, headerSize);
    TensorFile file;
    std::vector<Entry> entries;
    for (const auto& [name, description] : header.items())
    {
        if (name != metadataKey)
        {
            entries.push_back(readEntry(bytes, name, description, dataSize));
            continue;
        }
        require(description.is_object(), "{}: {} is not an object", bytes.name, metadataKey);
        for (const auto& [key, value] : description.items())
        {
            require(value.is_string(), "{}: the metadata's \"{}\" is not a string", bytes.name, key);
            file.metadata[key] = value.get<std::string>();
        }
    }

    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
    uint64_t expected = 0;
    for (const Entry& entry : entries)
    {
        require(entry.begin >= expected, "{}: tensor {}: overlaps another at byte {}", bytes.name, entry.name, entry.begin);
        require(entry.begin == expected, "{}: bytes {} to {} belong to no tensor", bytes.name, expected, entry.begin);
        expected = entry.end;
    }
    require(expected == dataSize, "{}: the last {} bytes belong to no tensor", bytes.name, dataSize - expected);

    for (const Entry& entry : entries)
        file.tensors[entry.name] = viewTensor(bytes, dataBegin + entry.begin, entry.shape, entry.type);
    return file;
}

TensorFile readSafetensors(const std::filesystem::path& path)
{
    return readSafetensors(mapFile(path));
}

void writeSafetensors(const std::filesystem::path& path, const TensorFile& file)
{
    // Wide items first: then every tensor is aligned without gaps, which the format does not allow. Names decide among equals.
    std::vector<std::pair<std::string, at::Tensor>> order;
    for (const auto& [name, tensor] : file.tensors)
    {
        require(name != metadataKey, "{}: a tensor cannot be called {}", path.string(), metadataKey);
        require(tensor.defined(), "{}: tensor {} is undefined", path.string(), name);
        require(nameOf(tensor.scalar_type()) != nullptr, "{}: tensor {}: type {} cannot be written", path.string(), name,
                c10::toString(tensor.scalar_type()));
        order.emplace_back(name, tensor.detach().cpu().contiguous());
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.second.element_size() > b.second.element_size(); });

    Json header = Json::object();
    if (!file.metadata.empty())
        header[metadataKey] = file.metadata;
    uint64_t offset = 0;
    for (const auto& [name, tensor] : order)
    {
        const uint64_t end = offset + tensor.nbytes();
        header[name] = {
            {"dtype", nameOf(tensor.scalar_type())}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text;
    try
    {
        text = header.dump();
    }
    catch (const Json::exception&)
    {
        fail("{}: a tensor's name or the metadata is not UTF-8", path.string());
    }
    text.append((dataAlignment - (lengthBytes + text.size()) % dataAlignment) % dataAlignment, ' ');
    const uint64_t length = text.size();

    AtomicFile out(path);
    out.write(&length, lengthBytes);
    out.write(text);
    for (const auto& [name, tensor] : order)
        if (tensor.nbytes() > 0)
            out.write(tensor.const_data_ptr(), tensor.nbytes());
    out.commit();
}

} // namespace agpnet
