#include "common/text_file.h"

#include "common/error.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace agpnet
{

std::string readTextFile(const std::filesystem::path& path, const char* what, uintmax_t mostBytes)
{
    return withErrorsOf(ErrorKind::File, [&] {
        std::error_code error;
        require(std::filesystem::is_regular_file(path, error), "{}: no such file; {} was expected", path.string(), what);
        const auto size = std::filesystem::file_size(path, error);
        require(!error, "{}: cannot be read: {}", path.string(), error.message());
        require(size <= mostBytes, "{}: {} bytes are more than the limit of {}", path.string(), size, mostBytes);
        std::ifstream in(path, std::ios::binary);
        require(in.good(), "{}: cannot be opened: {}", path.string(), std::strerror(errno));
        std::string text(size, '\0');
        in.read(text.data(), static_cast<std::streamsize>(size));
        require(static_cast<uintmax_t>(in.gcount()) == size, "{}: cannot be read: {} of {} bytes came", path.string(), in.gcount(),
                size);
        return text;
    });
}

} // namespace agpnet
