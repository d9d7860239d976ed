/// @file
/// Showing what an inspection found, in the program's own pictures.
///
///     agpnet::AnomalyResult result = detector->detect(frame, map);
///     agpnet::overlay(frame, map, frame, result.pixelThreshold);
///     cv::imshow("line", frame);
#pragma once

#include "agpnet/api.hpp"

#include <opencv2/core.hpp>

namespace agpnet
{

/// The picture with its anomaly map over it, as `agpnet detect` writes and `agpnet watch` shows it. Colours are OpenCV's inferno, from 0 to twice the threshold: equal steps
/// of the map look like equal steps of lightness, in print and to the colour-blind too. Their opacity rises with the map, so that normal parts show the picture. The outline of
/// map >= threshold is white with a dark edge. Thread-safe; rows are shared among OpenCV's threads.
/// @param image           8-bit, 16-bit or float (0 to 1); 1 (grey), 3 (BGR), 4 (BGRA, alpha ignored) or 6 channels (BGR and geometry, which is ignored)
/// @param map             CV_32FC1, finite, of any size: it is stretched to the image; where it is larger, peaks stay
/// @param result          CV_8UC3, of the image's size; may be the image's own array
/// @param pixelThreshold  > 0, in units of the map: AnomalyResult::pixelThreshold
/// @throws cv::Exception naming what is of another type, empty, or not finite
AGPNET_EXPORT void overlay(cv::InputArray image, cv::InputArray map, cv::OutputArray result, double pixelThreshold);

} // namespace agpnet
