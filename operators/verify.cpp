#include "agpnet/verify.hpp"

#include "common/signature.h"
#include "models/weights/mapped_file.h"
#include "models/model_file/checksum.h"
#include "models/model_file/header.h"
#include "operators/core/opencv_exceptions.h"

namespace agpnet
{

std::string modelMethod(const std::string& path)
{
    return guarded([&] {
        return withErrorsOf(ErrorKind::File, [&] { return methodIn(path, headerOfKind(path, readSafetensors(path).metadata, "model")); });
    });
}

std::string verifyModel(const std::string& path)
{
    return guarded([&] { return withErrorsOf(ErrorKind::File, [&] { return checkedSum(path); }); });
}

std::string verifySignature(const std::string& path, const std::string& publicKey)
{
    return guarded(
        [&]
        {
            const PublicKey key = PublicKey::parse(publicKey);
            const Bytes bytes = mapFile(path);
            return withErrorsOf(ErrorKind::File, [&] { return key.requireSigned(path, bytes.data, bytes.size); });
        });
}

} // namespace agpnet
