// Draws a mesh: perspective, depth buffer, grey Lambert shading. No library's drawing functions, so that the pixels are the same
// everywhere.
#pragma once

#include "apps/demo/mesh.h"

namespace agpnet::tools
{

/// Where the camera is, and where the mesh is in its image.
struct Viewpoint
{
    double azimuth = 0;    ///< degrees around the z axis
    double elevation = 30; ///< degrees above the plane of x and y
    double roll = 0;       ///< degrees around the line of sight
    double zoom = 1;       ///< a sphere of radius 1 around 0 fills 92 % of the image at 1
    cv::Point2d shift;     ///< of its centre, as a fraction of the side: right, down
};

struct RenderedView
{
    cv::Mat shade; ///< 8-bit grey, on white
    cv::Mat mask;  ///< 8-bit coverage: 0 where only background is seen, 255 where there is none
};

/// 2 x 2 samples a pixel, `side` x `side` pixels, in the calling thread. The mesh lies within a sphere of radius 1 around 0.
RenderedView renderMesh(const Mesh& mesh, const Viewpoint& view, int side);

} // namespace agpnet::tools
