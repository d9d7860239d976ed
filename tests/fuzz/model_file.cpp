// The input is the header of a model file, or of a training's state; the tensors beside it are sound.
#include "models/agpnet/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>

namespace
{

using namespace agpnet;

/// The tensors of both kinds of file: their entries in the table, and their bytes.
struct Sound
{
    nlohmann::json table = nlohmann::json::object();
    std::string bytes;

    Sound()
    {
        const auto [config, weights] = recogniseBackbone(test::tinyBackbone().tensors);
        for (const auto& [name, tensor] : weights)
            add("backbone." + name, tensor);
        Backbone backbone;
        backbone.config = config;
        backbone.weights = weights;
        const Training training(configFromTextOrFile(test::tinyConfig()), std::move(backbone));
        for (const auto& [name, tensor] : training.state())
            add(name, tensor);
        const at::Tensor scale = at::ones({1, training.decoder().shape().channels}, at::kFloat);
        add("scale.mean", scale);
        add("scale.deviation", scale);
    }

    void add(const std::string& name, const at::Tensor& tensor)
    {
        const char* type = tensor.scalar_type() == at::kFloat ? "F32" : tensor.scalar_type() == at::kLong ? "I64" : "F64";
        table[name] = {
            {"dtype", type}, {"shape", tensor.sizes().vec()}, {"data_offsets", {bytes.size(), bytes.size() + tensor.nbytes()}}};
        bytes.append(static_cast<const char*>(tensor.contiguous().const_data_ptr()), tensor.nbytes());
    }

    std::string with(const std::string& header) const
    {
        nlohmann::json whole = table;
        whole["__metadata__"] = {{"agpnet", header}};
        const std::string text = whole.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        const uint64_t length = text.size();
        return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + bytes;
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const Sound sound;
    const std::string bytes = sound.with(std::string(reinterpret_cast<const char*>(data), size));
    const fuzz::InputFile file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    // beside the file: positions of the tokens, at most 2^16 of them at 64 channels
    const size_t allowed = bytes.size() + (size_t{4} << 20);
    fuzz::answers(allowed,
                  [&]
                  {
                      const ModelFile model = readModel(file.path());
                      AgpNet(model.config, model.backbone, model.scale,
                             Decoder(decoderShape(model.config, model.backbone.config), model.decoder), ComputeType::Float32);
                      headerOf(model, EmbedBackbone::Yes).dump();
                  });
    return fuzz::answers(allowed, [&] { readTrainingState(file.path()); });
}
