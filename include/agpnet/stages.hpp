/// @file
/// Four stages as functions. Arrays are [N, C, H, W], CV_32F unless stated otherwise, with any strides. If OpenCV uses OpenCL, a cv::UMat
/// is processed on its device and queue, and a UMat as output stays there. All functions are thread-safe; they throw cv::Exception for
/// invalid arguments.
#pragma once

#include "agpnet/api.hpp"

#include <cstdint>
#include <opencv2/core.hpp>

namespace agpnet
{

/// Locations that get noise.
enum NoiseLevel
{
    NOISE_FEATURE = 0, ///< all locations
    NOISE_IMAGE = 1    ///< only the fraction of locations with the most attention
};

/// out = x + E · (alpha · minmax(attention) + beta), E standard normal.
struct PerturbParams
{
    NoiseLevel level = NOISE_FEATURE; ///< locations that get noise
    float alpha = 1.f;  ///< strength of the noise that the attention adds: reached at the maximum of the attention, in units of x; >= 0
    float beta = 0.1f;  ///< strength of the noise everywhere (NOISE_IMAGE: at all chosen locations), in units of x; >= 0
    float ratio = 1.f;  ///< NOISE_IMAGE: fraction of the grid cells that get noise, 0 to 1
    uint64_t seed = 0;  ///< seed; it gives the same noise on every device
    uint32_t step = 0;  ///< training step; each step has different noise
};

/// Adds attention-weighted noise. The generator is Philox 4x32-10: its key is the seed, its counter (pixel, channel, image, step);
/// Box-Muller makes it normal.
/// @param x          [N, C, H, W]
/// @param attention  [N, 1, h, w]; each image is scaled to 0..1, each pixel takes the value of its grid cell
/// @param out        [N, C, H, W]
AGPNET_EXPORT void perturb(cv::InputArray x, cv::InputArray attention, cv::OutputArray out,
                           const PerturbParams& params = PerturbParams());

/// Distance between two feature vectors.
enum ResidualMetric
{
    RESIDUAL_L2 = 0,     ///< Euclidean distance over channels
    RESIDUAL_COSINE = 1, ///< 1 - cosine similarity over channels, 0 to 2
    RESIDUAL_SCALED = 2  ///< Euclidean distance over the square root of the features' norm
};

/// Computes the distance between two feature maps [N, C, h, w] at each location. The result is [N, 1, h, w].
AGPNET_EXPORT void residual(cv::InputArray features, cv::InputArray reconstructed, cv::OutputArray distance,
                            ResidualMetric metric = RESIDUAL_L2);

/// How the score follows from the map.
enum ScoreKind
{
    SCORE_MAX = 0, ///< maximum of the map
    SCORE_TOP1 = 1 ///< mean of the highest 1 % of the pixels (at least one pixel)
};

/// Computes the anomaly map and the image score from a residual: bilinear upsampling with half-pixel centres (as cv::INTER_LINEAR), then a
/// Gaussian filter with `sigma` pixels (radius 4 sigma, edge pixels repeated). sigma 0: no filter.
/// @param residual  [N, 1, h, w]
/// @param map       [N, 1, size.height, size.width]
/// @param score     [N, 1]
AGPNET_EXPORT void heatmap(cv::InputArray residual, cv::OutputArray map, cv::OutputArray score, cv::Size size, double sigma = 4,
                           ScoreKind kind = SCORE_MAX);

/// Finds the rows with the largest dot products, exactly: all products are computed, in float32 and from the rows' values as they are. For
/// each query the most similar row comes first; of equally similar rows the one with the smaller number. A product that is not a number
/// counts as minus infinity. The arrays are [Q, D], or [Q, D, 1, 1].
/// @param queries       [Q, D]
/// @param rows          [K, D], CV_32F, CV_16F or CV_8S
/// @param k             how many rows to find for each query: 1 to 1024, and at most K
/// @param indices       [Q, k], CV_32S: the numbers of the rows, from 0
/// @param similarities  [Q, k]: scale times the dot product
/// @param scale         [K, 1], a factor for each row; left out, each is 1
AGPNET_EXPORT void nearest(cv::InputArray queries, cv::InputArray rows, int k, cv::OutputArray indices, cv::OutputArray similarities,
                           cv::InputArray scale = cv::noArray());

} // namespace agpnet
