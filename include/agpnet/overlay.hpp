/// @file
/// Drawing the anomaly map over an image.
///
///     agpnet::AnomalyResult result = detector->detect(frame, map);
///     agpnet::overlay(frame, map, frame, result.pixelThreshold);
///     cv::imshow("line", frame);
#pragma once

#include "agpnet/api.hpp"

#include <opencv2/core.hpp>

namespace agpnet
{

/// Draws the anomaly map over the image, as `agpnet detect` and `agpnet watch` do. The colours are OpenCV's COLORMAP_INFERNO, from 0 to
/// twice the threshold: lightness rises evenly with the map, in print and for colour-blind people too. Opacity rises with the map, so that
/// normal parts show the image. A white line with a dark edge outlines the regions at and above the threshold. Thread-safe; uses OpenCV's
/// threads.
/// @param image           8-bit, 16-bit or float (0 to 1); 1 (grey), 3 (BGR), 4 (BGRA, alpha ignored) or 6 channels (BGR and geometry,
///                        geometry ignored)
/// @param map             CV_32FC1, finite, any size. It is resized to the image; a larger map keeps its maxima
/// @param result          CV_8UC3, size of the image; may be the same array as the image
/// @param pixelThreshold  threshold of the map, > 0: AnomalyResult::pixelThreshold
/// @throws cv::Exception for an argument of another type, and for an empty or non-finite one
AGPNET_EXPORT void overlay(cv::InputArray image, cv::InputArray map, cv::OutputArray result, double pixelThreshold);

} // namespace agpnet
