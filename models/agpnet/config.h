// What can be set about the method and its training, with defaults, ranges and JSON. See docs/method.md for where each
// default comes from.
#pragma once

#include "common/polygon.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

namespace agpnet
{

/// How the training noise is spread. Uniform has the same mean strength as Guided, preferring no place.
enum class Noise
{
    Guided,
    Uniform,
    None
};

/// Blocks of the backbone, 1-based and rising. What is in one group is summed; groups stand side by side as channels.
using LayerGroups = std::vector<std::vector<int>>;

struct Config
{
    // the model
    std::string prefer = "accuracy"; ///< what height, width and layers are chosen for where they are left open: accuracy, or speed
    int height = 0;             ///< input height, a multiple of the backbone's patch; 0: the one nearest to 252, for speed to 168
    int width = 0;              ///< input width, likewise
    std::string input = "rgb";  ///< rgb: 3 channels; rgb+depth, rgb+normals: 6, the geometry goes through the backbone as a second picture
    int bits = 0;               ///< of the values in 16-bit images, 8 to 16: 12 means 0 to 4095; 0: found in the training's images
    LayerGroups layers;         ///< empty: what the backbone's family proposes, for speed the first half of it. JSON: [3,6,9,12] is one sum, [[6],[9]] two groups
    std::string target = "standardised"; ///< F_clean from tokens as they are, each channel to mean 0 and deviation 1 over normal
                                         ///< images; or layernorm: each token normed over its channels, as published
    int decoderDepth = 2;       ///< transformer blocks of the decoder
    int decoderWidth = 0;       ///< channels of the decoder; 0: those of the backbone's last wanted layer, at most 384
    int decoderHeads = 0;       ///< of its attention; 0: one per 64 channels
    double decoderMlpRatio = 4; ///< hidden channels of a block's MLP over the decoder's
    bool priorMeanQuery = false; ///< prior attention: mean over queries instead of the class token's row

    // the map
    std::string metric = "scaled"; ///< scaled: the residual over the root of the features' norm; cosine; or l2 as published
    std::string scoreMetric = "cosine"; ///< the distance whose map is scored; names as of metric
    double sigma = 4;           ///< Gaussian smoothing of the map, pixels at input size; 0: none
    std::string score = "top1"; ///< image score: top1 (mean of the top 1 %), or max as published

    // what of an image the model is shown
    int tile = 0;               ///< side in image pixels of the square tiles that are resized to the input; 0: the whole image is
    double tileOverlap = 0.25;  ///< share of a tile that it has in common with the next, at least
    std::vector<Polygon> roi;   ///< region of interest, even-odd; the map is 0 outside and the score from inside; empty: everywhere

    // the pictures of a training
    std::vector<std::string> augment; ///< names of changes (docs/training.md), applied to training images only; empty: none
    bool earlyStop = false;           ///< end sooner where drawn-in defects are no longer told better; then a tenth of the rate to the end
    int shots = 0;              ///< train on so many chosen pictures of each product; 0: on all. Changes the defaults of steps, augment

    // the noise
    Noise noise = Noise::Guided; ///< guided by attention; uniform: of the same mean strength, preferring no place; none
    double alpha = 1;           ///< noise added where attention is greatest, reached at the last step, in units of the RMS of F_clean
    double beta = 0.1;          ///< noise where attention is least, same unit
    bool imageNoise = false;    ///< also perturb the image, and learn from it with half the loss, as published: twice the time or more
    double imageSigma = 0.3;    ///< noise on images inside the mask, in normalised pixel units
    double imageShare = 0.5;    ///< masked share of the image reached at the last step
    int attentionBlocks = 1;    ///< learnable attention: mean over so many of the EMA decoder's blocks, from the first; 0: all. Each costs time
    double ema = 0.999;         ///< decay of the decoder's moving average

    // the optimisation
    std::string loss = "mse";   ///< mse as published; cosine, per token and group; hard: mse with the easiest 90 % of tokens at a tenth
    int steps = 400;            ///< optimisation steps in all
    int batch = 8;              ///< images a step
    double learningRate = 2e-3; ///< of AdamW, between warm-up and the drop
    double weightDecay = 1e-4;  ///< of AdamW
    double warmup = 0.05;       ///< share of the steps over which the rate rises from 0
    double dropAt = 0.8;        ///< share of the steps after which the rate is a tenth
    double gradientClip = 1;    ///< L2 norm that the gradient has at most
    uint64_t seed = 0;          ///< of weights, order, changes and noise
    std::string precision = "auto"; ///< auto, fp32 or bf16
    double falseAlarms = 0.01;      ///< share of normal pictures that the thresholds are to call anomalous
    int cacheMiB = 1024;            ///< memory for features of unperturbed images
};

/// Channels of an image: 3, or 6 with geometry.
int inputChannels(const Config& config);

/// All wanted layers, rising, each once.
std::vector<int> allLayers(const LayerGroups& groups);

/// Named starting points: "default", "paper" (as published, where the paper says) and "fast". A JSON config may begin from one by
/// the key "preset"; its other keys then go over it.
Config preset(const std::string& name);

/// What `augment` may name.
const std::vector<std::string>& augmentationNames();

/// Unknown keys, wrong types and values out of range are refused by name; absent keys keep their default.
void from_json(const nlohmann::json& json, Config& config);
void to_json(nlohmann::json& json, const Config& config);

/// Ranges; those that depend on the backbone are checked where it is known.
void validate(const Config& config);

/// JSON text, or the path of a file that holds it.
Config configFromTextOrFile(const std::string& textOrPath);

/// The same as it stands, where what it leaves open matters; {} for an empty text.
nlohmann::json configJson(const std::string& textOrPath);

/// The keys that a JSON config says something about: its own, and those that its preset, if it has one, chooses.
std::set<std::string> keysOf(const nlohmann::json& config);

} // namespace agpnet
