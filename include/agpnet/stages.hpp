/// @file
/// The three image stages as functions. Each takes 4-D arrays [N, C, H, W] of CV_32F with any strides a cv::Mat can have.
/// A cv::UMat is worked on where it lies, in OpenCV's own OpenCL context and queue, when OpenCV uses OpenCL; results are then
/// written to a UMat if the output is one. All are thread-safe, keep no state, and raise cv::Exception naming what was wrong.
#pragma once

#include "agpnet/api.hpp"

#include <cstdint>
#include <opencv2/core.hpp>

namespace agpnet
{

/// Which locations get noise.
enum NoiseLevel
{
    NOISE_FEATURE = 0, ///< every location gets noise
    NOISE_IMAGE = 1    ///< only the most-attended share of locations does
};

/// out = x + E · (alpha · minmax(attention) + beta), E standard normal.
struct PerturbParams
{
    NoiseLevel level = NOISE_FEATURE; ///< where there is noise
    float alpha = 1.f;  ///< noise added where the attention is at its maximum, in units of x; >= 0
    float beta = 0.1f;  ///< noise everywhere (NOISE_IMAGE: everywhere inside the mask), in units of x; >= 0
    float ratio = 1.f;  ///< NOISE_IMAGE: share of attention cells that get noise, 0 to 1
    uint64_t seed = 0;  ///< one seed gives the same noise on every device
    uint32_t step = 0;  ///< another step, other noise
};

/// Attention-weighted noise. Philox 4x32-10 keyed by the seed, counted by (pixel, channel, image, step), Box-Muller.
/// @param x          [N, C, H, W]
/// @param attention  [N, 1, h, w]; each pixel takes the value of the cell it lies in; scaled to 0..1 per image
/// @param out        [N, C, H, W]
AGPNET_EXPORT void perturb(cv::InputArray x, cv::InputArray attention, cv::OutputArray out,
                           const PerturbParams& params = PerturbParams());

/// The distance of two vectors of features.
enum ResidualMetric
{
    RESIDUAL_L2 = 0,     ///< Euclidean distance over channels
    RESIDUAL_COSINE = 1, ///< 1 - cosine similarity over channels, 0 to 2
    RESIDUAL_SCALED = 2  ///< Euclidean distance over the square root of the features' norm
};

/// Distance of two feature maps at each location: [N, C, h, w] twice -> [N, 1, h, w].
AGPNET_EXPORT void residual(cv::InputArray features, cv::InputArray reconstructed, cv::OutputArray distance,
                            ResidualMetric metric = RESIDUAL_L2);

/// What of a map the score is.
enum ScoreKind
{
    SCORE_MAX = 0, ///< maximum of the map
    SCORE_TOP1 = 1 ///< mean of its greatest 1 % of pixels (at least one)
};

/// Residual to anomaly map and image score: bilinear upsampling with half-pixel centres (as cv::INTER_LINEAR), then a Gaussian
/// of `sigma` pixels (radius 4 sigma, edge pixel repeated) unless sigma is 0.
/// @param residual  [N, 1, h, w]
/// @param map       [N, 1, size.height, size.width]
/// @param score     [N, 1]
AGPNET_EXPORT void heatmap(cv::InputArray residual, cv::OutputArray map, cv::OutputArray score, cv::Size size, double sigma = 4,
                           ScoreKind kind = SCORE_MAX);

} // namespace agpnet
