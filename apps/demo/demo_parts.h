// Images of machine parts, drawn from a seed: objects of several views to train, index and search on where no data is at hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet::tools
{

/// `views` images of one object, taken in a ring around it from 30 degrees above: 8-bit grey on white. The same number draws the same
/// object, in any number of threads.
std::vector<cv::Mat> drawPartViews(const std::string& className, int views, int side, uint64_t seed);

struct PartPhoto
{
    cv::Mat image; ///< 8-bit BGR
    cv::Mat mask;  ///< 8-bit: how much of a pixel the part covers
};

/// A view of the same object as a camera may see it: from another angle, on a surface with a texture, with light, shadow and noise.
/// @param number  of the photo; each shows another surface
PartPhoto drawPartPhoto(const std::string& className, int number, int side, uint64_t seed);

struct DemoPartsOptions
{
    int objects = 8;      ///< of each class
    int views = 12;       ///< of each object
    int side = 224;       ///< pixels
    int photographed = 2; ///< objects of each unknown class of which there are photos too
    int photos = 3;       ///< of each of them
    uint64_t seed = 1;
    std::function<void(size_t done, size_t total)> progress; ///< called after each object, with the number of images
};

/// Writes as PNG, and gives the number of images:
///   `folder`/known/CLASS/OBJECT/NN.png     classes to train with
///   `folder`/unknown/CLASS/OBJECT/NN.png   other classes
///   `folder`/photos/OBJECT/NN.png          photos of some of the unknown objects
///   `folder`/photo_masks/OBJECT/NN.png     where the part is in them
/// An image depends on seed, class and numbers only: asking for more keeps those there were. Error where one of these folders exists and
/// is not empty.
size_t writeDemoParts(const std::filesystem::path& folder, const DemoPartsOptions& options = {});

} // namespace agpnet::tools
