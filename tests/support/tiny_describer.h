// A model of the method dec around the tiny backbone, trained in a moment.
#pragma once

#include "agpnet/describer_trainer.hpp"
#include "tests/support/tiny_backbone.h"

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet::test
{

/// View `view` of an object: noise on a colour of the object's own.
inline cv::Mat viewOf(int object, int view, cv::Size size = {48, 40})
{
    cv::Mat image(size, CV_8UC3);
    cv::RNG random(static_cast<uint64_t>(100 * object + view + 1));
    random.fill(image, cv::RNG::UNIFORM, 0, 120);
    image += cv::Scalar(40 * (object % 3), 40 * (object / 3 % 3), 30);
    return image;
}

/// Nine objects of three classes, four views each.
inline std::vector<ObjectViews> tinyObjects()
{
    std::vector<ObjectViews> objects;
    for (int i = 0; i < 9; i++)
    {
        ObjectViews object;
        object.name = "object" + std::to_string(i);
        object.className = "class" + std::to_string(i / 3);
        object.count = 4;
        object.view = [i](size_t view) { return viewOf(i, static_cast<int>(view)); };
        objects.push_back(object);
    }
    return objects;
}

/// Trains, writes and gives the path.
/// @param more  keys of the configuration
inline std::string writeTinyDescriber(const TempFolder& folder, const std::string& backbone, const std::string& more = "",
                                      const std::string& name = "describer.agp")
{
    // of a key that comes twice, the last counts
    const cv::Ptr<DescriberTrainer> trainer = DescriberTrainer::create(
        backbone, R"({"height":32,"width":24,"choose":"config","epochs":2,"classes_per_batch":2,"objects_per_class":2)" +
                      (more.empty() ? "" : "," + more) + "}");
    trainer->fit(tinyObjects());
    const std::string path = folder / name;
    trainer->save(path);
    return path;
}

} // namespace agpnet::test
