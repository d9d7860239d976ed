// Headers of files, remembered until the file changes: cheap enough for shape inference.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

namespace agpnet
{

/// Thread-safe.
class HeaderCache
{
public:
    using Read = nlohmann::json (*)(const std::string& path);
    explicit HeaderCache(Read read) : read_(read) {}

    std::shared_ptr<const nlohmann::json> operator()(const std::string& path);

private:
    Read read_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<const nlohmann::json>> known_; ///< by identity
};

} // namespace agpnet
