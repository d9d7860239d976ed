// What a trained model loses by products of fewer bits, and the ranges that products of 8 bits need. Taken at the end of a training.
#pragma once

#include "models/agpnet/file.h"
#include "operators/image/preprocess.h"
#include "operators/image/tiles.h"

#include <functional>

namespace agpnet
{

constexpr size_t picturesForFewerBits = 16; ///< of all products together: more change little

/// From normal pictures, and from copies of them with a defect drawn in: a difference that anomalies alone would show must be seen too.
///
/// @param count   of pictures, at least 1
/// @param tiling  as the model inspects: of a picture in tiles one tile is taken
FewerBits measuredFewerBits(const Training& training, size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling);

} // namespace agpnet
