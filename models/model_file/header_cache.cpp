#include "models/model_file/header_cache.h"

#include "models/model_file/file_identity.h"

namespace agpnet
{

std::shared_ptr<const nlohmann::json> HeaderCache::operator()(const std::string& path)
{
    const std::string key = fileIdentity(path);
    const std::lock_guard lock(mutex_);
    if (known_.size() > 64)
        known_.clear();
    auto& header = known_[key];
    if (!header)
        header = std::make_shared<const nlohmann::json>(read_(path));
    return header;
}

} // namespace agpnet
