#include "operators/dec/describer.h"

#include "common/error.h"
#include "models/device/device.h"
#include "operators/core/float_rows.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace agpnet::dec
{
namespace
{

std::vector<Frame> framesOf(cv::InputArrayOfArrays views)
{
    const std::vector<cv::Mat> mats = matsOf(views);
    require(!mats.empty(), "no view given, expected at least one image of the object");
    return agpnet::framesOf(mats);
}

at::Tensor described(const Inference& inference, const at::Tensor& embeddings, ViewOrder order)
{
    require(order == VIEWS_UNORDERED || order == VIEWS_RING, "order is {}, expected VIEWS_UNORDERED or VIEWS_RING",
            static_cast<int>(order));
    const c10::InferenceMode mode;
    return inference.network().space().describe(embeddings, order == VIEWS_RING);
}

} // namespace

void DescriberImpl::describe(cv::InputArrayOfArrays views, cv::OutputArray descriptor, ViewOrder order) const
{
    guarded([&] {
        requireThreads();
        giveRows(described(*inference_, inference_->embed(framesOf(views)), order).unsqueeze(0), descriptor);
    });
}

void DescriberImpl::embed(cv::InputArrayOfArrays images, cv::OutputArray embeddings) const
{
    guarded([&] {
        requireThreads();
        giveRows(inference_->embed(framesOf(images)), embeddings);
    });
}

void DescriberImpl::aggregate(cv::InputArray embeddings, cv::OutputArray descriptor, ViewOrder order) const
{
    guarded([&] {
        requireThreads();
        const at::Tensor rows = rowsOf(embeddings, "embeddings", getWidth());
        require(at::isfinite(rows).all().item<bool>(), "embeddings holds values that are not finite");
        giveRows(described(*inference_, rows, order).unsqueeze(0), descriptor);
    });
}

} // namespace agpnet::dec

namespace agpnet
{

cv::Ptr<Describer> Describer::create(const std::string& model, const std::string& precision, const std::string& device)
{
    return guarded([&]() -> cv::Ptr<Describer> {
        requireThreads();
        return cv::makePtr<dec::DescriberImpl>(dec::sharedInference(model, precision, deviceNamed(device)));
    });
}

} // namespace agpnet
