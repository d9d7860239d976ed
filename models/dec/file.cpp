#include "models/dec/file.h"

#include <ATen/ATen.h>

namespace agpnet::dec
{
namespace
{

using nlohmann::json;

const char whiteningMean[] = "whitening.mean", whiteningMatrix[] = "whitening.matrix", adapterPrefix[] = "adapter.";

json checkedHeader(const std::string& path, const std::map<std::string, std::string>& metadata)
{
    json header = headerOfKind(path, metadata, "model");
    requireMethod(path, header, method);
    return header;
}

at::Tensor optionalTensor(const TensorFile& file, const char* name)
{
    const auto found = file.tensors.find(name);
    return found == file.tensors.end() ? at::Tensor() : found->second;
}

} // namespace

json headerOf(const ModelFile& model, EmbedBackbone embed)
{
    return {{"format_version", modelFormatVersion},
            {"kind", "model"},
            {"method", method},
            {"config", model.config},
            {"backbone", backboneHeader(model.backbone, embed)},
            {"digest", model.digest()},
            {"training", model.record}};
}

void writeModel(const std::string& path, const ModelFile& model, EmbedBackbone embed)
{
    return withErrorsOf(ErrorKind::File, [&] {
        TensorFile file;
        if (model.space.whitening.mean.defined())
            file.tensors.emplace(whiteningMean, model.space.whitening.mean);
        if (model.space.whitening.matrix.defined())
            file.tensors.emplace(whiteningMatrix, model.space.whitening.matrix);
        for (const auto& [name, tensor] : model.space.adapter.state())
            file.tensors.emplace(adapterPrefix + name, tensor.detach().contiguous());
        if (embed == EmbedBackbone::Yes)
            addBackbone(file, model.backbone);
        writeSealed(path, headerOf(model, embed), std::move(file));
    });
}

ModelFile readModel(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] {
        const Bytes bytes = mapFile(path);
        requireSigned(path, bytes);
        const TensorFile file = readSafetensors(bytes);
        const json header = checkedHeader(path, file.metadata);
        requireWhole(path, header, file);
        const auto config = headerMember<Config>(path, header, "config");
        Backbone backbone = backboneIn(path, header, file);
        backbone.mapped = bytes;
        try
        {
            const Config whole = completed(config, backbone.config);
            const int64_t width = backbone.config.embeddingWidth(whole.embedding);
            Space space{Whitening::checked(optionalTensor(file, whiteningMean), optionalTensor(file, whiteningMatrix), width),
                        Adapter(whole.adapter, width, whole.lambda, tensorsBehind(adapterPrefix, file))};
            ModelFile model{whole, std::move(backbone), std::move(space), headerMember<TrainingRecord>(path, header, "training")};
            require(headerMember<std::string>(path, header, "digest") == model.digest(),
                    "the header's member 'digest' is not that of the file's tensors");
            return model;
        }
        catch (const Error& error)
        {
            fail("{}: {}", path, error.what());
        }
    });
}

json readModelHeader(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] { return checkedHeader(path, readSafetensors(path).metadata); });
}

} // namespace agpnet::dec
