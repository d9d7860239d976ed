#include "models/weights/checksum.h"

#include "common/error.h"
#include "common/json_text.h"
#include "common/sha256.h"
#include "models/weights/state_dict.h"

#include <cstdlib>
#include <string_view>

namespace agpnet
{

nlohmann::json headerIn(const std::string& path, const std::map<std::string, std::string>& metadata)
{
    const auto text = metadata.find(headerKey);
    require(text != metadata.end(), "{}: not an AGPNet file (its safetensors metadata has no '{}')", path, headerKey);
    nlohmann::json header = parseJson(text->second, path + ": the header");
    require(header.is_object(), "{}: the header is {}, expected an object", path, header.type_name());
    return header;
}

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
