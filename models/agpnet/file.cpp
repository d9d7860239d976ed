#include "models/agpnet/file.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

namespace agpnet
{
namespace
{

using nlohmann::json;

const char method[] = "agpnet";
const char decoderPrefix[] = "decoder.";
const char scaleMean[] = "scale.mean", scaleDeviation[] = "scale.deviation";
const char backboneRange[] = "input_range.backbone.", decoderRange[] = "input_range.decoder.";

json headerOf(const std::string& path, const std::map<std::string, std::string>& metadata, const char* kind)
{
    json header = headerOfKind(path, metadata, kind);
    requireMethod(path, header, method);
    // Written before score and map could have distances of their own: thresholds and scores are those of the map's.
    if (header.contains("config") && header["config"].is_object() && header["config"].contains("metric") &&
        !header["config"].contains("score_metric"))
        header["config"]["score_metric"] = header["config"]["metric"];
    return header;
}

Standardizer scaleOf(const std::string& path, const Config& config, const TensorFile& file, int64_t channels)
{
    if (config.target != Target::Standardised)
        return {};
    const at::Tensor mean = requiredTensor(path, file, scaleMean), deviation = requiredTensor(path, file, scaleDeviation);
    try
    {
        return Standardizer::checked(mean, deviation, channels);
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
}

/// None where the file says nothing.
InputRanges inputRangesOf(const std::string& path, const TensorFile& file, const char* prefix)
{
    InputRanges ranges;
    for (const auto& [name, range] : tensorsBehind(prefix, file))
    {
        require(range.scalar_type() == at::kFloat && range.dim() == 2 && range.size(0) == 2 && range.size(1) > 0,
                "{}: tensor '{}{}' is {} of shape [{}], expected float32 [2, channels]", path, prefix, name, toString(range.scalar_type()),
                fmt::join(range.sizes(), ", "));
        require(at::isfinite(range).all().item<bool>() && (range[0] <= range[1]).all().item<bool>(),
                "{}: tensor '{}{}' is no range, expected finite values, the first row no greater than the second", path, prefix, name);
        ranges.emplace(name, range.clone()); // of no mapped file
    }
    return ranges;
}

} // namespace

nlohmann::json headerOf(const ModelFile& model, EmbedBackbone embed)
{
    return {{"format_version", modelFormatVersion},
            {"kind", "model"},
            {"method", method},
            {"config", model.config},
            {"backbone", backboneHeader(model.backbone, embed)},
            {"scores", scoresToJson(model.scores, model.products)},
            {"drift", driftToJson(model.drift)},
            {"training", model.record},
            {"bf16_error", model.fewerBits.bf16Error},
            {"int8_error", model.fewerBits.int8Error},
            {"int8_noise", model.fewerBits.int8Noise}};
}

NetRanges FewerBits::ranges() const
{
    return {{std::make_shared<const InputRanges>(backbone), nullptr}, {std::make_shared<const InputRanges>(decoder), nullptr}};
}

void writeModel(const std::string& path, const ModelFile& model, EmbedBackbone embed)
{
    return withErrorsOf(ErrorKind::File, [&] {
        TensorFile file;
        if (model.scale.mean.defined())
        {
            file.tensors.emplace(scaleMean, model.scale.mean);
            file.tensors.emplace(scaleDeviation, model.scale.deviation);
        }
        addDrift(file, model.drift);
        for (const auto& [prefix, ranges] : {std::pair{backboneRange, &model.fewerBits.backbone}, {decoderRange, &model.fewerBits.decoder}})
            for (const auto& [name, range] : *ranges)
                file.tensors.emplace(prefix + name, range);
        for (const auto& [name, tensor] : model.decoder)
            file.tensors.emplace(decoderPrefix + name, tensor.detach());
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
        const json header = headerOf(path, file.metadata, "model");
        requireWhole(path, header, file);
        ModelFile model;
        model.config = headerMember<Config>(path, header, "config");
        model.backbone = backboneIn(path, header, file);
        model.backbone.mapped = bytes;
        model.decoder = tensorsBehind(decoderPrefix, file);
        const json scores = headerMember<json>(path, header, "scores");
        model.scores = scoresFrom(path, scores);
        model.products = productsFrom(path, scores);
        model.record = headerMember<TrainingRecord>(path, header, "training");
        model.fewerBits.bf16Error = headerMember<double>(path, header, "bf16_error");
        if (header.contains("int8_error")) // absent in files of earlier versions without int8
        {
            model.fewerBits.int8Error = headerMember<double>(path, header, "int8_error");
            model.fewerBits.int8Noise = headerMember<double>(path, header, "int8_noise");
        }
        model.fewerBits.backbone = inputRangesOf(path, file, backboneRange);
        model.fewerBits.decoder = inputRangesOf(path, file, decoderRange);
        DecoderShape shape;
        try
        {
            shape = decoderShape(model.config, model.backbone.config);
            Decoder(shape, model.decoder); // refuses what does not fit
        }
        catch (const Error& error)
        {
            fail("{}: {}", path, error.what());
        }
        model.scale = scaleOf(path, model.config, file, shape.channels);
        model.drift = driftFrom(path, header, file, model.scale.products(), shape.channels);
        forgetPages(bytes); // the checks have read all of it
        return model;
    });
}

nlohmann::json readModelHeader(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] {
        return headerOf(path, readSafetensors(path).metadata, "model"); // mapped: no tensor is touched
    });
}

void writeTrainingState(const std::string& path, const Training& training, const json& extra)
{
    return withErrorsOf(ErrorKind::File, [&] {
        const json header = {{"format_version", modelFormatVersion},
                             {"kind", "training state"},
                             {"method", method},
                             {"config", training.config()},
                             {"backbone", backboneHeader(training.backbone(), EmbedBackbone::No)},
                             {"extra", extra}};
        TensorFile file;
        for (const auto& [name, tensor] : training.state())
            file.tensors.emplace(name, tensor);
        writeSealed(path, header, std::move(file));
    });
}

TrainingState readTrainingState(const std::string& path, at::Device device)
{
    return withErrorsOf(ErrorKind::File, [&] {
        const TensorFile file = readSafetensors(path);
        const json header = headerOf(path, file.metadata, "training state");
        requireWhole(path, header, file);
        const auto config = headerMember<Config>(path, header, "config");
        const json extra = headerMember<json>(path, header, "extra");
        Backbone backbone = backboneIn(path, header, file);
        try
        {
            // before memory for a decoder is asked for on the header's word
            Decoder(decoderShape(config, backbone.config), tensorsBehind(decoderPrefix, file));
            TrainingState state{Training(config, std::move(backbone), device), extra};
            state.training.restore(tensorsBehind("", file));
            return state;
        }
        catch (const Error& error)
        {
            fail("{}: {}", path, error.what());
        }
    });
}

} // namespace agpnet
