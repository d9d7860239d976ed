#include "operators/core/array_binding.h"

#include "common/error.h"
#include "operators/core/opencl_device.h"

namespace agpnet
{
namespace
{

template <typename Array>
stages::View shapedView(const std::string& name, const Array& array, int type = CV_32F)
{
    require(array.type() == type, "{}: array of type {}, expected {}", name, cv::typeToString(array.type()), cv::typeToString(type));
    require(array.dims == 2 || array.dims == 4, "{}: array of {} dimensions, expected 4 dimensions [N, C, H, W]", name, array.dims);
    stages::View view{};
    view.size = {1, 1, 1, 1};
    view.stride = {1, 1, 1, 1};
    for (int i = 0; i < array.dims; i++)
    {
        view.size[static_cast<size_t>(i)] = array.size[i];
        view.stride[static_cast<size_t>(i)] = static_cast<int64_t>(array.step[i] / array.elemSize());
        require(array.size[i] > 0, "{}: the array is empty", name);
    }
    return view;
}

stages::RowType rowType(const char* name, int type)
{
    require(type == CV_32F || type == CV_16F || type == CV_8S, "{}: array of type {}, expected CV_32F, CV_16F or CV_8S", name,
            cv::typeToString(type));
    return type == CV_32F ? stages::RowType::Float32 : type == CV_16F ? stages::RowType::Float16 : stages::RowType::Int8;
}

/// Where the values of a row do not lie side by side it is copied.
template <typename Array>
stages::Rows shapedRows(const char* name, Array& array)
{
    const stages::RowType type = rowType(name, array.type());
    stages::View view = shapedView(name, array, array.type());
    require(view.size[2] == 1 && view.size[3] == 1, "{}: array of shape [{}], expected [K, D] or [K, D, 1, 1]", name,
            fmt::join(view.size, ", "));
    if (view.size[1] > 1 && view.stride[1] != 1)
    {
        array = array.clone();
        view = shapedView(name, array, array.type());
    }
    return {nullptr, 0, view.size[0], view.size[1], type, view.stride[0]};
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
    stages::View view = shapedView(name, array, array.type());
    view.data = array.handle(access); // uploads if the host copy is newer, and marks the device copy newest if written
    view.offset = array.offset / array.elemSize();
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
            shapedView(input.name, umats_.back());
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

stages::Rows StageCall::rows(const char* name, const cv::_InputArray& array)
{
    if (device_.api == stages::Api::OpenCL)
    {
        umats_.push_back(aligned(array.getUMat()));
        stages::Rows rows = shapedRows(name, umats_.back());
        rows.data = umats_.back().handle(cv::ACCESS_READ);
        rows.offset = umats_.back().offset;
        return rows;
    }
    mats_.push_back(array.getMat());
    stages::Rows rows = shapedRows(name, mats_.back());
    rows.data = mats_.back().data;
    return rows;
}

void StageCall::output(const cv::_OutputArray& target, const Shape& shape, int type)
{
    // Fresh memory each time: an output that is also an input would be overwritten while it is read.
    Target made{&target, {}, {}};
    if (device_.api == stages::Api::OpenCL)
    {
        made.umat.create(static_cast<int>(shape.size()), shape.data(), type);
        outputs_.push_back(bind("output", made.umat, cv::ACCESS_WRITE));
    }
    else
    {
        made.mat.create(static_cast<int>(shape.size()), shape.data(), type);
        stages::View view = shapedView("output", made.mat, type);
        view.data = made.mat.data;
        outputs_.push_back(view);
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
