#include "models/weights/npy.h"

#include "common/atomic_file.h"
#include "common/error.h"

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the data is little endian and is used in place");

namespace agpnet
{

namespace
{

constexpr std::string_view magic = "\x93NUMPY";
constexpr size_t alignment = 64; // of the data, as NumPy writes it
constexpr size_t largestRank = 8;

struct TypeName
{
    std::string_view name;
    at::ScalarType type;
};

constexpr std::array<TypeName, 3> typeNames = {{{"<f2", at::kHalf}, {"<f4", at::kFloat}, {"<f8", at::kDouble}}};

/// The header is a Python dict of literals: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderReader
{
public:
    HeaderReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

    at::ScalarType type = at::kFloat;
    std::vector<int64_t> shape;

    void read()
    {
        bool descr = false, order = false, sizes = false;
        expect('{');
        while (!taken('}'))
        {
            const std::string_view key = quoted();
            expect(':');
            if (key == "descr" && !descr)
                descr = readType();
            else if (key == "fortran_order" && !order)
                order = readOrder();
            else if (key == "shape" && !sizes)
                sizes = readShape();
            else
                fail("{}: the header's \"{}\" is unknown or occurs twice, expected descr, fortran_order and shape once each", file_, key);
            if (!taken(','))
            {
                expect('}');
                break;
            }
        }
        skipSpace();
        require(at_ == text_.size(), "{}: the header continues after its dict", file_);
        require(descr && order && sizes, "{}: the header lacks one of descr, fortran_order and shape", file_);
    }

private:
    bool readType()
    {
        skipSpace();
        require(at_ == text_.size() || text_[at_] != '[', "{}: holds records of several fields, expected numbers (<f2, <f4 or <f8)", file_);
        const std::string_view name = quoted();
        for (const TypeName& known : typeNames)
            if (known.name == name)
            {
                type = known.type;
                return true;
            }
        require(!name.ends_with('O'), "{}: holds pickled objects, expected numbers (<f2, <f4 or <f8)", file_);
        fail("{}: holds numbers of type {}, expected <f2, <f4 or <f8", file_, name);
    }

    bool readOrder()
    {
        require(!word("True"), "{}: is in Fortran order, expected C order (numpy.ascontiguousarray)", file_);
        require(word("False"), "{}: the header's fortran_order is neither True nor False", file_);
        return true;
    }

    bool readShape()
    {
        expect('(');
        while (!taken(')'))
        {
            shape.push_back(extent());
            require(shape.size() <= largestRank, "{}: has more than {} dimensions", file_, largestRank);
            if (!taken(','))
            {
                expect(')');
                break;
            }
        }
        return true;
    }

    int64_t extent()
    {
        skipSpace();
        const size_t begin = at_;
        uint64_t value = 0;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; at_++)
        {
            const bool counted = multiply(value, 10, value) && add(value, static_cast<uint64_t>(text_[at_] - '0'), value);
            require(counted && value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                    "{}: the header's shape has a number that cannot be counted", file_);
        }
        require(at_ > begin, "{}: the header's shape is not a tuple of non-negative integers", file_);
        return static_cast<int64_t>(value);
    }

    std::string_view quoted()
    {
        skipSpace();
        require(at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"'),
                "{}: the header is not a dict of descr, fortran_order and shape", file_);
        const size_t end = text_.find(text_[at_], at_ + 1);
        require(end != std::string_view::npos, "{}: the header has a text that does not end", file_);
        const std::string_view inner = text_.substr(at_ + 1, end - at_ - 1);
        for (const char c : inner) // it may become part of a message
            require(c >= ' ' && c <= '~', "{}: the header has a text that is not ASCII", file_);
        at_ = end + 1;
        return inner;
    }

    bool word(std::string_view expected)
    {
        skipSpace();
        const bool there = text_.substr(at_).starts_with(expected);
        at_ += there ? expected.size() : 0;
        return there;
    }

    bool taken(char expected) { return word({&expected, 1}); }

    void expect(char expected)
    {
        require(taken(expected), "{}: the header is not a dict of descr, fortran_order and shape: '{}' is missing at byte {} of it", file_,
                expected, at_);
    }

    void skipSpace()
    {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n'))
            at_++;
    }

    std::string_view text_;
    const std::string& file_;
    size_t at_ = 0;
};

std::optional<std::string_view> nameOf(at::ScalarType type)
{
    for (const TypeName& known : typeNames)
        if (known.type == type)
            return known.name;
    return std::nullopt;
}

} // namespace

at::Tensor readNpy(const Bytes& bytes)
{
    const std::string_view text(reinterpret_cast<const char*>(bytes.data), bytes.size);
    require(text.starts_with(magic), "{}: does not start with \\x93NUMPY: not a .npy file", bytes.name);
    require(text.size() >= 10, "{}: has {} bytes, too few for a .npy file", bytes.name, text.size());
    const int major = bytes.data[6], minor = bytes.data[7];
    require(major >= 1 && major <= 3 && minor == 0, "{}: has version {}.{} of the .npy format, expected 1.0, 2.0 or 3.0", bytes.name, major,
            minor);
    const size_t lengthBytes = major == 1 ? 2 : 4;
    const size_t headerBegin = 8 + lengthBytes;
    require(text.size() >= headerBegin, "{}: has {} bytes, too few for a .npy file", bytes.name, text.size());
    uint32_t length = 0;
    std::memcpy(&length, bytes.data + 8, lengthBytes);
    require(length <= text.size() - headerBegin, "{}: announces a header of {} bytes, but only {} follow: not a .npy file, or cut off",
            bytes.name, length, text.size() - headerBegin);

    HeaderReader header(text.substr(headerBegin, length), bytes.name);
    header.read();
    uint64_t size = c10::elementSize(header.type);
    bool counted = true;
    for (const int64_t extent : header.shape)
        counted = counted && multiply(size, static_cast<uint64_t>(extent), size);
    const size_t dataBegin = headerBegin + length;
    require(counted && size == text.size() - dataBegin, "{}: has {} bytes of data, but its shape ({}) and type ask for {}", bytes.name,
            text.size() - dataBegin, fmt::join(header.shape, ", "), counted ? fmt::format("{}", size) : "more than can be counted");
    return viewTensor(bytes, dataBegin, header.shape, header.type);
}

at::Tensor readNpy(const std::filesystem::path& path)
{
    return withErrorsOf(ErrorKind::File, [&] { return readNpy(mapFile(path)); });
}

void writeNpy(const std::filesystem::path& path, const at::Tensor& array)
{
    require(array.defined(), "{}: the array is undefined", path.string());
    const std::optional<std::string_view> type = nameOf(array.scalar_type());
    require(type.has_value(), "{}: an array of type {} cannot be written, expected Half, Float or Double", path.string(),
            c10::toString(array.scalar_type()));
    const at::Tensor plain = array.detach().cpu().contiguous();

    // a tuple of one has a comma at its end
    const std::string shape = fmt::format("{}{}", fmt::join(plain.sizes(), ", "), plain.dim() == 1 ? "," : "");
    std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", *type, shape);
    const size_t before = magic.size() + 4;
    const size_t whole = (before + header.size() + 1 + alignment - 1) / alignment * alignment;
    header.append(whole - before - header.size() - 1, ' ').push_back('\n');
    const auto length = static_cast<uint16_t>(header.size()); // the shape has at most 64 numbers

    AtomicFile out(path);
    out.write(magic);
    out.write("\x01\0", 2);
    out.write(&length, 2);
    out.write(header);
    if (plain.nbytes() > 0)
        out.write(plain.const_data_ptr(), plain.nbytes());
    out.commit();
}

} // namespace agpnet
