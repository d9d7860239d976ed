#pragma once

#include <array>
#include <vector>

namespace agpnet
{

/// Corners, x and y as fractions of the image's sides.
using Polygon = std::vector<std::array<double, 2>>;

} // namespace agpnet
