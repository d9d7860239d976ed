// The configuration of the method and its training: typed groups, defaults, ranges and JSON, which stays flat. See docs/method.md for where
// each default comes from.
#pragma once

#include "common/enum_names.h"
#include "common/polygon.h"
#include "halide_generators/runtime/stages.h"
#include "models/training/augmentation.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

namespace agpnet
{

/// What input size and layers are chosen for where the config leaves them open.
enum class Prefer
{
    Accuracy,
    Speed
};

/// The model's input. Geometry makes 6 channels, and goes through the backbone as a second image.
enum class InputKind
{
    Rgb,
    RgbDepth,
    RgbNormals
};

/// What the decoder reconstructs.
enum class Target
{
    Standardised, ///< the tokens as they are, each channel to mean 0 and deviation 1 over normal images
    LayerNorm     ///< as published: each token normalised over its channels
};

enum class ImageScore
{
    Top1, ///< mean of the greatest 1 % of the map
    Max   ///< as published
};

/// How the training noise is spread. Uniform has the same mean strength as Guided, preferring no place.
enum class Noise
{
    Guided,
    Uniform,
    None
};

enum class Loss
{
    Mse,    ///< as published
    Cosine, ///< per token and group
    Hard    ///< mse, with the easiest 90 % of the tokens at a tenth
};

/// The type of the matrix products of a training.
enum class Precision
{
    Auto,
    Fp32,
    Bf16
};

template <>
struct EnumNames<Prefer>
{
    static constexpr std::pair<Prefer, const char*> table[] = {{Prefer::Accuracy, "accuracy"}, {Prefer::Speed, "speed"}};
};
template <>
struct EnumNames<InputKind>
{
    static constexpr std::pair<InputKind, const char*> table[] = {
        {InputKind::Rgb, "rgb"}, {InputKind::RgbDepth, "rgb+depth"}, {InputKind::RgbNormals, "rgb+normals"}};
};
template <>
struct EnumNames<Target>
{
    static constexpr std::pair<Target, const char*> table[] = {{Target::Standardised, "standardised"}, {Target::LayerNorm, "layernorm"}};
};
template <>
struct EnumNames<ImageScore>
{
    static constexpr std::pair<ImageScore, const char*> table[] = {{ImageScore::Max, "max"}, {ImageScore::Top1, "top1"}};
};
template <>
struct EnumNames<Noise>
{
    static constexpr std::pair<Noise, const char*> table[] = {
        {Noise::Guided, "guided"}, {Noise::Uniform, "uniform"}, {Noise::None, "none"}};
};
template <>
struct EnumNames<Loss>
{
    static constexpr std::pair<Loss, const char*> table[] = {{Loss::Mse, "mse"}, {Loss::Cosine, "cosine"}, {Loss::Hard, "hard"}};
};
template <>
struct EnumNames<Precision>
{
    static constexpr std::pair<Precision, const char*> table[] = {
        {Precision::Auto, "auto"}, {Precision::Fp32, "fp32"}, {Precision::Bf16, "bf16"}};
};

/// Blocks of the backbone, 1-based and rising. The blocks of one group are summed; groups stand side by side as channels.
using LayerGroups = std::vector<std::vector<int>>;

/// The network: input, target and decoder.
struct NetworkConfig
{
    Prefer prefer = Prefer::Accuracy; ///< what height, width and layers are chosen for where they are left open: accuracy, or speed
    int height = 0;                   ///< input height, a multiple of the backbone's patch; 0: the one nearest to 252, for speed to 168
    int width = 0;                    ///< input width, likewise
    InputKind input = InputKind::Rgb; ///< rgb: 3 channels; rgb+depth, rgb+normals: 6, the geometry goes through the backbone as a second
                                      ///< image
    int bits = 0;                     ///< bits of the values in 16-bit images, 8 to 16: 12 means 0 to 4095; 0: found in the training images
    LayerGroups layers; ///< empty: what the backbone's family proposes, for speed the first half of it. JSON: [3,6,9,12] is one sum,
                        ///< [[6],[9]] two groups
    Target target = Target::Standardised; ///< F_clean from tokens as they are, each channel to mean 0 and deviation 1 over normal
                                          ///< images; or layernorm: each token normalised over its channels, as published
    int decoderDepth = 2;       ///< transformer blocks of the decoder
    int decoderWidth = 0;       ///< channels of the decoder; 0: those of the backbone's last requested layer, at most 384
    int decoderHeads = 0;       ///< attention heads of the decoder; 0: one per 64 channels
    double decoderMlpRatio = 4; ///< hidden channels of a block's MLP over the decoder's
    bool priorMeanQuery = false; ///< prior attention: mean over queries instead of the class token's row
};

/// From features and reconstruction to map and score.
struct MapConfig
{
    stages::Metric metric = stages::Metric::Scaled; ///< scaled: the residual over the root of the features' norm; cosine; or l2 as
                                                    ///< published
    stages::Metric scoreMetric = stages::Metric::Cosine; ///< the distance whose map is scored; names as of metric
    double sigma = 4;                                    ///< Gaussian smoothing of the map, pixels at input size; 0: none
    ImageScore score = ImageScore::Top1;                 ///< image score: top1 (mean of the top 1 %), or max as published
};

/// Which part of an image the model sees, and which images it is trained on.
struct SamplingConfig
{
    int tile = 0;               ///< side in image pixels of the square tiles that are resized to the input; 0: the whole image is
    double tileOverlap = 0.25;  ///< minimum fraction of a tile that it shares with the next one
    std::vector<Polygon> roi;   ///< region of interest, even-odd; the map is 0 outside and the score from inside; empty: everywhere
    std::vector<Augmentation> augment; ///< names of augmentations (docs/training.md), applied to training images only; empty: none
    int shots = 0;              ///< train on this many chosen images of each product; 0: on all. Changes the defaults of steps, augment
};

/// The perturbation that the decoder learns to remove.
struct NoiseConfig
{
    Noise noise = Noise::Guided; ///< guided by attention; uniform: the same mean strength, preferring no place; none
    double alpha = 1;           ///< noise added where attention is greatest, reached at the last step, in units of the RMS of F_clean
    double beta = 0.1;          ///< noise where attention is least, same unit
    bool imageNoise = false;    ///< also perturb the image, and learn from it with half the loss, as published: twice the time or more
    double imageSigma = 0.3;    ///< noise on images inside the mask, in normalised pixel units
    double imageShare = 0.5;    ///< masked fraction of the image reached at the last step
    int attentionBlocks = 1;    ///< learnable attention: mean over this many of the EMA decoder's blocks, from the first; 0: all. Each
                                ///< costs time
    double ema = 0.999;         ///< decay of the decoder's moving average
};

struct TrainingConfig
{
    Loss loss = Loss::Mse;      ///< mse as published; cosine, per token and group; hard: mse with the easiest 90 % of tokens at a tenth
    int steps = 400;            ///< optimisation steps in all
    bool earlyStop = false;     ///< stop earlier, where detection of synthetic defects stops improving; a tenth of the rate to the end
    int batch = 8;              ///< images a step
    double learningRate = 2e-3; ///< AdamW base learning rate (after warm-up, before the step decay)
    double weightDecay = 1e-4;  ///< weight decay of AdamW
    double warmup = 0.05;       ///< fraction of the steps over which the rate rises from 0
    double dropAt = 0.8;        ///< fraction of the steps after which the rate is a tenth
    double gradientClip = 1;    ///< maximum L2 norm of the gradient
    uint64_t seed = 0;          ///< seed of weights, order, augmentations and noise
    Precision precision = Precision::Auto; ///< auto, fp32 or bf16
    int cacheMiB = 1024;        ///< memory for features of unperturbed images
};

struct CalibrationConfig
{
    double falseAlarms = 0.01; ///< fraction of normal images that the thresholds may flag
};

struct Config : NetworkConfig, MapConfig, SamplingConfig, NoiseConfig, TrainingConfig, CalibrationConfig
{
};

/// Channels of an image: 3, or 6 with geometry.
int inputChannels(const NetworkConfig& config);

/// All requested layers, rising, each once.
std::vector<int> allLayers(const LayerGroups& groups);

/// Named starting points: "default", "paper" (as published, where the paper says) and "fast". A JSON config may begin from one by
/// the key "preset"; its other keys then go over it.
Config preset(const std::string& name);

/// Unknown keys, wrong types and values out of range are refused by name; absent keys keep their default.
void from_json(const nlohmann::json& json, Config& config);
void to_json(nlohmann::json& json, const Config& config);

/// Ranges; those that depend on the backbone are checked where it is known.
void validate(const Config& config);

/// JSON text, or the path of a file that holds it.
Config configFromTextOrFile(const std::string& textOrPath);

/// The keys that a JSON config says something about: its own, and those that its preset, if it has one, chooses.
std::set<std::string> keysOf(const nlohmann::json& config);

} // namespace agpnet
