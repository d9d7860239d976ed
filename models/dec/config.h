// The configuration of retrieval (DEC): typed groups, defaults, ranges and JSON, which is flat. docs/retrieval.md says where each default
// comes from.
#pragma once

#include "common/enum_names.h"
#include "models/backbones/backbone.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace agpnet
{

template <>
struct EnumNames<Embedding>
{
    static constexpr std::pair<Embedding, const char*> table[] = {
        {Embedding::ClassToken, "class"}, {Embedding::Patches, "patches"}, {Embedding::Both, "both"}};
};

} // namespace agpnet

namespace agpnet::dec
{

/// The closed form that evens out how embeddings of one thing vary.
enum class WhiteningKind
{
    None,
    Centred, ///< only the mean is taken away
    Objects, ///< by the views of each object around their mean: needs no classes
    Classes  ///< by the views of each class around their mean
};

/// What makes one descriptor of the views of an object.
enum class AdapterKind
{
    Mean,
    Mlp,        ///< three layers on the mean: the baseline of the paper
    Cam,        ///< as published: chunks of the ring of views, from a random start
    CamFromMean ///< ours: the same chunks, linear, started at the mean
};

/// How training decides between descriptors.
enum class Choice
{
    HeldOut, ///< the best on a fifth of the classes, held out
    Config   ///< as the config says
};

} // namespace agpnet::dec

namespace agpnet
{

template <>
struct EnumNames<dec::WhiteningKind>
{
    static constexpr std::pair<dec::WhiteningKind, const char*> table[] = {
        {dec::WhiteningKind::None, "none"}, {dec::WhiteningKind::Centred, "centred"}, {dec::WhiteningKind::Objects, "objects"},
        {dec::WhiteningKind::Classes, "classes"}};
};

template <>
struct EnumNames<dec::AdapterKind>
{
    static constexpr std::pair<dec::AdapterKind, const char*> table[] = {{dec::AdapterKind::Mean, "mean"},
                                                                         {dec::AdapterKind::Mlp, "mlp"},
                                                                         {dec::AdapterKind::Cam, "cam"},
                                                                         {dec::AdapterKind::CamFromMean, "cam_from_mean"}};
};

template <>
struct EnumNames<dec::Choice>
{
    static constexpr std::pair<dec::Choice, const char*> table[] = {{dec::Choice::HeldOut, "held_out"}, {dec::Choice::Config, "config"}};
};

} // namespace agpnet

namespace agpnet::dec
{

struct EmbeddingConfig
{
    Embedding embedding = Embedding::ClassToken; ///< what an image becomes: the class token, the mean of the patch tokens, or both
    int height = 0; ///< input size of the backbone; 0: the multiple of its stride nearest to 224
    int width = 0;  ///< likewise
};

struct DescriptorConfig
{
    WhiteningKind whitening = WhiteningKind::Classes; ///< whose views lie close together: those of a class, or of an object
    double shrink = 0.3; ///< what is added to the covariance, in units of its mean eigenvalue. Where classes are held out, they choose it
    AdapterKind adapter = AdapterKind::Mean; ///< what makes one descriptor of the views; all but mean are trained
    double lambda = 0.4; ///< weight of the mean beside the adapter's result; published: 0.4
    Choice choose = Choice::HeldOut; ///< held_out: whitening and adapter are the best on classes held out; config: as given
};

struct TrainingConfig
{
    int epochs = 70;            ///< the rate drops tenfold after 2/7 and 4/7 of them; published: 70, 20 and 40
    double learningRate = 3e-3; ///< of SGD; published: 1e-3
    double momentum = 0.9;      ///< of SGD
    double weightDecay = 5e-4;  ///< of SGD
    int classesPerBatch = 6;    ///< P; published: 2
    int objectsPerClass = 4;    ///< K
    double lossAlpha = 2;       ///< multi-similarity loss: weight of positive pairs
    double lossBeta = 50;       ///< weight of negative pairs
    double lossBase = 0.5;      ///< similarity at which a pair counts half
    double lossMargin = 0.1;    ///< margin of mining
    bool turnRing = true;       ///< begin the ring of views anywhere, in either direction
    uint64_t seed = 0;          ///< of weights, order and virtual features
};

/// Virtual features of unseen names (VFS).
struct VirtualConfig
{
    int virtualNames = 40;         ///< names drawn from the vocabulary; published: 40
    double virtualScale = 1;       ///< start of epsilon, which weighs the difference of texts
    double virtualRate = 1e-4;     ///< learning rate of the virtual features' own weights
    double virtualWeight = 1;      ///< weight of virtual objects in the loss
};

struct Config : EmbeddingConfig, DescriptorConfig, TrainingConfig, VirtualConfig
{
};

/// "default" and "paper" (as published, where the paper says).
Config preset(const std::string& name);

/// Unknown keys, wrong types and values out of range are refused by name; absent keys keep their default.
void from_json(const nlohmann::json& json, Config& config);
void to_json(nlohmann::json& json, const Config& config);

/// JSON text, or the path of a file that holds it; {} for an empty text.
Config configFromTextOrFile(const std::string& textOrPath);

/// Fills in the input size; refuses one that the backbone cannot take, and an embedding that it does not have.
Config completed(Config config, const BackboneProperties& backbone);

} // namespace agpnet::dec
