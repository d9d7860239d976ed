#include "models/model_file/checksum.h"

#include "common/error.h"
#include "common/sha256.h"
#include "models/weights/state_dict.h"

#include <cstdlib>
#include <string_view>

namespace agpnet
{

std::string checksumOf(nlohmann::json header, const TensorFile& file)
{
    header.erase(checksumKey);
    const std::string text = header.dump() + stateDictHash(file.tensors);
    return sha256(text.data(), text.size());
}

std::string checkedSum(const std::string& path, const nlohmann::json& header, const TensorFile& file)
{
    const auto written = header.find(checksumKey);
    if (written == header.end())
        return "";
    const std::string found = checksumOf(header, file);
    require(*written == found,
            "{}: is damaged: it was written with the SHA-256 {}, and what it holds now has {}; take it from where it was made",
            path, written->dump(), found);
    return found;
}

std::string checkedSum(const std::string& path)
{
    const TensorFile file = readSafetensors(path);
    return checkedSum(path, headerIn(path, file.metadata), file);
}

bool checksumsWanted()
{
    const char* skip = std::getenv("AGPNET_SKIP_CHECKSUM");
    return !skip || !*skip || std::string_view(skip) == "0";
}

} // namespace agpnet
