#include "models/model_file/container.h"

#include "common/signature.h"
#include "models/model_file/checksum.h"

#include <cstdlib>

namespace agpnet
{

void writeSealed(const std::string& path, nlohmann::json header, TensorFile file)
{
    header[checksumKey] = checksumOf(header, file);
    file.metadata = {{headerKey, header.dump()}};
    writeSafetensors(path, file);
}

void requireWhole(const std::string& path, const nlohmann::json& header, const TensorFile& file)
{
    if (checksumsWanted())
        checkedSum(path, header, file);
}

void requireSigned(const std::string& path, const Bytes& bytes)
{
    if (const char* key = std::getenv("AGPNET_REQUIRE_SIGNATURE"); key && *key)
        PublicKey::parse(key).requireSigned(path, bytes.data, bytes.size);
}

NamedTensors tensorsBehind(const std::string& prefix, const TensorFile& file)
{
    NamedTensors found;
    for (const auto& [name, tensor] : file.tensors)
        if (name.starts_with(prefix))
            found.emplace_back(name.substr(prefix.size()), tensor);
    return found;
}

at::Tensor requiredTensor(const std::string& path, const TensorFile& file, const char* name)
{
    const auto it = file.tensors.find(name);
    require(it != file.tensors.end(), "{}: tensor '{}' is missing", path, name);
    return it->second;
}

} // namespace agpnet
