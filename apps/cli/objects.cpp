#include "apps/cli/objects.h"

#include "agpnet/verify.hpp"
#include "apps/cli/interrupt.h"
#include "apps/datasets/image_io.h"
#include "common/error.h"

#include <deque>

namespace agpnet::app
{

namespace fs = std::filesystem;

cv::Ptr<Describer> openDescriber(const std::string& model, const std::string& precision, const std::string& device)
{
    const std::string method = modelMethod(model);
    require(method == "dec", "{}: is a model of the method '{}', expected 'dec', which agpnet train --method dec makes", model, method);
    return Describer::create(model, precision, device);
}

OpenGallery openGallery(const std::string& path, const std::string& model, const std::string& precision, const std::string& device)
{
    OpenGallery open{Gallery::load(path), {}};
    std::string chosen = model;
    if (chosen.empty())
    {
        const fs::path recorded = open.gallery->getModel();
        require(!recorded.empty(), "{}: does not name its model, expected --model", path);
        const fs::path beside = fs::path(path).parent_path() / recorded.filename();
        std::error_code ignored;
        require(fs::exists(beside, ignored) || fs::exists(recorded, ignored), "{}: its model is neither {} nor {}; expected --model", path,
                beside.string(), recorded.string());
        chosen = fs::exists(beside, ignored) ? beside.string() : recorded.string();
    }
    open.describer = openDescriber(chosen, precision, device);
    require(open.describer->getSpace() == open.gallery->getSpace(),
            "{}: is of another model than {}; index its objects again with this model", path, chosen);
    return open;
}

void embedObjects(const Describer& describer, const std::vector<tools::Object>& objects,
                  const std::function<void(size_t object, const cv::Mat& embeddings)>& use, const std::function<void(int views)>& progress)
{
    constexpr size_t batch = 16;
    std::vector<cv::Mat> images;
    std::vector<size_t> owners; // objects of the images
    std::vector<cv::Mat> rows;  // of the object that is under way
    size_t current = 0;
    int done = 0;
    const auto flush = [&] {
        if (images.empty())
            return;
        cv::Mat embeddings;
        describer.embed(images, embeddings);
        for (size_t i = 0; i < owners.size(); i++)
        {
            rows.push_back(embeddings.row(static_cast<int>(i)));
            if (rows.size() < objects[current].views.size())
                continue;
            cv::Mat whole;
            cv::vconcat(rows, whole);
            use(current++, whole);
            rows.clear();
        }
        done += static_cast<int>(images.size());
        images.clear();
        owners.clear();
        progress(done);
        stopIfInterrupted();
    };
    for (size_t object = 0; object < objects.size(); object++)
        for (const auto& view : objects[object].views)
        {
            images.push_back(tools::readImage(view));
            owners.push_back(object);
            if (images.size() == batch)
                flush();
        }
    flush();
}

cv::Mat descriptorOf(const Describer& describer, const cv::Mat& embeddings)
{
    cv::Mat descriptor;
    describer.aggregate(embeddings, descriptor, VIEWS_RING);
    return descriptor;
}

cv::Mat someViews(const cv::Mat& embeddings, int count, int offset)
{
    std::vector<cv::Mat> rows;
    for (int i = 0; i < count; i++)
        rows.push_back(embeddings.row((offset + i * embeddings.rows / count) % embeddings.rows));
    cv::Mat some;
    cv::vconcat(rows, some);
    return some;
}

} // namespace agpnet::app
