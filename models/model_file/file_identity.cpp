#include "models/model_file/file_identity.h"

#include "common/error.h"

#include <filesystem>

namespace agpnet
{

std::string fileIdentity(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] {
        std::error_code error;
        const std::filesystem::path canonical = std::filesystem::canonical(path, error);
        require(!error, "{}: the model cannot be opened: {}", path, error.message());
        const auto time = std::filesystem::last_write_time(canonical, error).time_since_epoch().count();
        require(!error && std::filesystem::is_regular_file(canonical, error), "{}: the model is not a file", path);
        return fmt::format("{}|{}|{}", canonical.string(), std::filesystem::file_size(canonical, error), time);
    });
}

} // namespace agpnet
