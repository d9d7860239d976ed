#include "operators/core/array_binding.h"

#include "common/error.h"
#include "operators/core/opencl_device.h"

namespace agpnet
{
namespace
{

template <typename Array>
stages::View shapedView(const std::string& name, const Array& array)
{
    require(array.type() == CV_32F, "{}: array of type {}, expected CV_32F", name, cv::typeToString(array.type()));
    require(array.dims == 2 || array.dims == 4, "{}: array of {} dimensions, expected 4 dimensions [N, C, H, W]", name, array.dims);
    stages::View view{};
    view.size = {1, 1, 1, 1};
    view.stride = {1, 1, 1, 1};
    for (int i = 0; i < array.dims; i++)
    {
        view.size[static_cast<size_t>(i)] = array.size[i];
        view.stride[static_cast<size_t>(i)] = static_cast<int64_t>(array.step[i] / sizeof(float));
        require(array.size[i] > 0, "{}: the array is empty", name);
    }
    return view;
}

} // namespace

stages::View viewOf(const std::string& name, const cv::Mat& mat)
{
    stages::View view = shapedView(name, mat);
    view.data = mat.data;
    return view;
}

stages::View StageCall::bind(const std::string& name, const cv::UMat& array, cv::AccessFlag access)
{
    stages::View view = shapedView(name, array);
    view.data = array.handle(access); // uploads if the host copy is newer, and marks the device copy newest if written
    view.offset = array.offset / sizeof(float);
    return view;
}

StageCall::StageCall(std::initializer_list<NamedInput> inputs)
{
    bool onDevice = false;
    for (const NamedInput& input : inputs)
        onDevice |= input.array.isUMat();
    if (onDevice)
        device_ = openClDevice();
    for (const NamedInput& input : inputs)
    {
        if (device_.api == stages::Api::OpenCL)
        {
            umats_.push_back(aligned(input.array.getUMat()));
            inputs_.push_back(bind(input.name, umats_.back(), cv::ACCESS_READ));
        }
        else
        {
            mats_.push_back(input.array.getMat());
            inputs_.push_back(viewOf(input.name, mats_.back()));
        }
    }
}

StageCall::~StageCall() = default;

Shape StageCall::shape(size_t input) const
{
    return shapeOf(inputs_[input]);
}

void StageCall::output(const cv::_OutputArray& target, const Shape& shape)
{
    // Fresh memory each time: an output that is also an input would be overwritten while it is read.
    Target made{&target, {}, {}};
    if (device_.api == stages::Api::OpenCL)
    {
        made.umat.create(static_cast<int>(shape.size()), shape.data(), CV_32F);
        outputs_.push_back(bind("output", made.umat, cv::ACCESS_WRITE));
    }
    else
    {
        made.mat.create(static_cast<int>(shape.size()), shape.data(), CV_32F);
        outputs_.push_back(viewOf("output", made.mat));
    }
    targets_.push_back(made);
}

void StageCall::finish()
{
    for (Target& target : targets_)
    {
        if (!target.array->needed())
            continue;
        if (target.array->kind() == cv::_InputArray::MAT && device_.api == stages::Api::Cpu)
            target.array->assign(target.mat);
        else if (target.array->isUMat() && device_.api == stages::Api::OpenCL)
            target.array->assign(target.umat);
        else if (device_.api == stages::Api::OpenCL)
            target.umat.copyTo(*target.array);
        else
            target.mat.copyTo(*target.array);
    }
}

} // namespace agpnet
