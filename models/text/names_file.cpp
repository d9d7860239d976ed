#include "models/text/names_file.h"

#include "common/atomic_file.h"
#include "common/error.h"
#include "common/text_file.h"
#include "models/text/tokenizers/unicode.h"
#include "models/weights/named_weights.h"
#include "models/weights/npy.h"
#include "models/weights/safetensors.h"

#include <unordered_map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>

namespace agpnet
{

namespace
{

constexpr std::string_view byteOrderMark = "\xef\xbb\xbf";

void checkNames(const std::vector<std::string>& names, const std::string& file)
{
    std::unordered_map<std::string_view, size_t> first;
    for (size_t i = 0; i < names.size(); i++)
    {
        require(!names[i].empty(), "{}: name {} is empty", file, i + 1);
        require(names[i].find_first_of(std::string_view("\n\r\0", 3)) == std::string::npos, "{}: name {} has a line end in it", file,
                i + 1);
        const size_t bad = invalidUtf8(names[i]);
        require(bad == std::string::npos, "{}: name {} is not UTF-8: its byte {} is 0x{:02x}", file, i + 1, bad,
                bad == std::string::npos ? 0 : static_cast<unsigned char>(names[i][bad]));
        const auto [other, isNew] = first.try_emplace(names[i], i);
        require(isNew, "{}: names {} and {} are both \"{}\"", file, other->second + 1, i + 1, names[i]);
    }
}

NamedVectors checked(std::vector<std::string> names, const at::Tensor& stored, const std::string& namesFile, const std::string& file)
{
    require(stored.dim() == 2 && stored.numel() > 0, "{}: the vectors have shape {}, expected [names, width]", file, shapeText(stored));
    require(at::isFloatingType(stored.scalar_type()), "{}: the vectors hold {}, expected floating-point numbers", file,
            c10::toString(stored.scalar_type()));
    checkNames(names, namesFile);
    require(static_cast<int64_t>(names.size()) == stored.size(0), "{}: has {} names, but {} has {} vectors", namesFile, names.size(), file,
            stored.size(0));
    NamedVectors named{std::move(names), stored.to(at::kFloat)};

    const at::Tensor largest = named.vectors.abs().amax(1).contiguous(); // of a row with a NaN: NaN
    for (int64_t i = 0; i < largest.size(0); i++)
    {
        const float value = largest.const_data_ptr<float>()[i];
        require(std::isfinite(value), "{}: vector {} (\"{}\") holds {}, expected finite float32 numbers", file, i + 1,
                named.names[static_cast<size_t>(i)], value);
        require(value > 0, "{}: vector {} (\"{}\") is zero", file, i + 1, named.names[static_cast<size_t>(i)]);
    }
    return named;
}

/// "names" and "ends" of a safetensors file.
std::vector<std::string> cut(const at::Tensor& bytes, const at::Tensor& ends, const std::string& file)
{
    require(bytes.dim() == 1 && bytes.scalar_type() == at::kByte,
            "{}: \"names\" holds {} of shape {}, expected bytes (U8) of one dimension", file, c10::toString(bytes.scalar_type()),
            shapeText(bytes));
    require(ends.dim() == 1 && ends.scalar_type() == at::kLong,
            "{}: \"ends\" holds {} of shape {}, expected numbers (I64) of one dimension", file, c10::toString(ends.scalar_type()),
            shapeText(ends));
    const char* text = reinterpret_cast<const char*>(bytes.const_data_ptr());
    const auto* numbers = static_cast<const int64_t*>(ends.const_data_ptr());
    std::vector<std::string> names;
    int64_t begin = 0;
    for (int64_t i = 0; i < ends.size(0); i++)
    {
        require(numbers[i] >= begin && numbers[i] <= bytes.size(0), "{}: \"ends\" has {} at place {}, expected {} to {}", file, numbers[i],
                i + 1, begin, bytes.size(0));
        names.emplace_back(text + begin, static_cast<size_t>(numbers[i] - begin));
        begin = numbers[i];
    }
    require(begin == bytes.size(0), "{}: the last {} bytes of \"names\" belong to no name", file, bytes.size(0) - begin);
    return names;
}

bool endsLike(const std::filesystem::path& path, const char* extension)
{
    return path.extension() == extension;
}

} // namespace

std::vector<std::string> readNames(std::string_view text, const std::string& file)
{
    if (text.starts_with(byteOrderMark))
        text.remove_prefix(byteOrderMark.size());
    std::vector<std::string> names;
    while (!text.empty())
    {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        names.emplace_back(line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    require(!names.empty(), "{}: is empty, expected one name a line", file);
    checkNames(names, file);
    return names;
}

NamedVectors readNamedVectors(const Bytes& safetensors)
{
    const std::string& file = safetensors.name;
    const TensorFile content = readSafetensors(safetensors);
    require(content.tensors.contains("vectors"), "{}: has no tensor \"vectors\"", file);
    const bool inMetadata = content.metadata.contains("names");
    const bool inTensors = content.tensors.contains("names") && content.tensors.contains("ends");
    require(inMetadata != inTensors,
            "{}: has its names {}, expected either \"names\" in the metadata or the tensors \"names\" and \"ends\"", file,
            inMetadata ? "twice" : "nowhere");
    std::vector<std::string> names =
        inMetadata ? readNames(content.metadata.at("names"), file) : cut(content.tensors.at("names"), content.tensors.at("ends"), file);
    return checked(std::move(names), content.tensors.at("vectors"), file, file);
}

NamedVectors readNamedVectors(const std::filesystem::path& path)
{
    return withErrorsOf(ErrorKind::File,
                        [&]
                        {
                            if (!endsLike(path, ".txt") && !endsLike(path, ".npy"))
                                return readNamedVectors(mapFile(path));
                            std::filesystem::path text = path, array = path;
                            text.replace_extension(".txt");
                            array.replace_extension(".npy");
                            std::vector<std::string> names =
                                readNames(readTextFile(text, "a text file with one name a line"), text.string());
                            return checked(std::move(names), readNpy(array), text.string(), array.string());
                        });
}

void writeNamedVectors(const std::filesystem::path& path, const NamedVectors& named)
{
    require(endsLike(path, ".txt") || endsLike(path, ".npy"), "{}: expected a file that ends with .txt or .npy", path.string());
    std::filesystem::path text = path, array = path;
    text.replace_extension(".txt");
    array.replace_extension(".npy");
    const NamedVectors good = checked(named.names, named.vectors, text.string(), array.string());
    std::string lines;
    for (const std::string& name : good.names)
        lines += name + '\n';
    writeNpy(array, good.vectors);
    writeFileAtomically(text, lines);
}

} // namespace agpnet
