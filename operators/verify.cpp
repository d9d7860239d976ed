#include "agpnet/verify.hpp"

#include "common/signature.h"
#include "models/agpnet/file.h"
#include "models/index/gallery_file.h"
#include "models/model_file/checksum.h"
#include "models/model_file/header.h"
#include "models/weights/mapped_file.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/dec/inference.h"

namespace agpnet
{
namespace
{

nlohmann::json galleryInformation(const std::string& path)
{
    nlohmann::json information = readGalleryHeader(path);
    const GalleryRows rows = readGallery(path).rows;
    information["width"] = rows.width();
    nlohmann::json& calibration = information["calibration"];
    if (const Closeness& closeness = rows.closeness(); closeness.known())
    {
        calibration["pairs"] = closeness.pairs.size();
        for (const Closeness::Strangers& each : closeness.strangers)
            calibration["views"].push_back(each.views);
    }
    return information;
}

nlohmann::json informationOf(const std::string& path)
{
    const nlohmann::json header = headerIn(path, readSafetensors(path).metadata);
    const auto kind = headerMember<std::string>(path, header, "kind");
    if (kind == "gallery")
        return galleryInformation(path);
    require(kind == "model", "{}: holds a {}, expected a model or a gallery", path, kind);
    if (methodIn(path, header) != dec::method)
        return readModelHeader(path);
    nlohmann::json information = dec::readModelHeader(path);
    information["width"] = dec::widthOf(path, information);
    return information;
}

} // namespace

std::string modelMethod(const std::string& path)
{
    return guarded([&] {
        return withErrorsOf(ErrorKind::File, [&] { return methodIn(path, headerOfKind(path, readSafetensors(path).metadata, "model")); });
    });
}

std::string fileInformation(const std::string& path)
{
    return guarded([&] { return withErrorsOf(ErrorKind::File, [&] { return informationOf(path).dump(); }); });
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
