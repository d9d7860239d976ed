#include "halide_generators/runtime/call_layer.h"

#include "halide_generators/runtime/choices.h"
#include "halide_generators/runtime/cuda_driver.h"
#include "halide_generators/runtime/opencl_driver.h"

#include <HalideRuntimeCuda.h>
#include <HalideRuntimeOpenCL.h>
#include <algorithm>

namespace agpnet::stages
{

namespace
{

/// Elements from the first to the last, inclusive.
int64_t span(const View& view)
{
    int64_t last = 0;
    for (size_t i = 0; i < 4; i++)
        last += (view.size[i] - 1) * view.stride[i];
    return last + 1;
}

bool sideBySide(std::initializer_list<const View*> views, Axis fast)
{
    return std::all_of(views.begin(), views.end(),
                       [&](const View* view) { return view->size[fast] > 1 && view->stride[fast] == 1; });
}

/// From the first byte of the first pixel to the last of the last.
size_t bytesSpanned(const Picture& picture)
{
    return static_cast<size_t>((picture.rows - 1) * picture.step) +
           static_cast<size_t>(picture.columns) * static_cast<size_t>(picture.channels * bytesOf(picture.depth));
}

} // namespace

std::string shapeText(const View& view)
{
    return fmt::format("[{},{},{},{}]", view.size[N], view.size[C], view.size[H], view.size[W]);
}

double elements(const View& view)
{
    return static_cast<double>(view.size[N]) * view.size[C] * view.size[H] * view.size[W];
}

void check(const char* stage, const char* name, const View& view, Use use)
{
    require(view.data != nullptr, "{}: {} has no memory", stage, name);
    for (size_t i = 0; i < 4; i++)
    {
        require(view.size[i] >= 1, "{}: {} has size {}; every dimension must be at least 1", stage, name, shapeText(view));
        require(view.size[i] == 1 || view.stride[i] > 0 || (use == Use::Read && view.stride[i] == 0),
                "{}: {} has stride {} in dimension {}; expected a positive one", stage, name, view.stride[i], i);
    }
    require(span(view) <= INT32_MAX, "{}: {} spans {} elements; at most {} are possible", stage, name, span(view), INT32_MAX);
}

void checkSize(const char* stage, const char* name, const View& view, const std::array<int, 4>& expected)
{
    require(view.size == expected, "{}: {} has size {}; expected [{},{},{},{}]", stage, name, shapeText(view), expected[N],
            expected[C], expected[H], expected[W]);
}

const char* layoutOf(std::initializer_list<const View*> inputs, std::initializer_list<const View*> all)
{
    return sideBySide(inputs, C) ? "tokens" : sideBySide(all, W) ? "planar" : "any";
}

bool joins(const View& view)
{
    return view.size[H] == 1 || view.size[W] == 1 || view.stride[H] == view.stride[W] * view.size[W];
}

View joined(View view)
{
    if (view.size[W] == 1)
        view.stride[W] = view.stride[H];
    view.size[W] *= view.size[H];
    view.size[H] = 1;
    return view;
}

const CompiledVariant& choose(const Device& device, const Workload& workload)
{
    if (device.api == Api::Cuda)
    {
        const std::string why = whyNoCuda(device.cudaDevice);
        require(why.empty(), "{}: {}", workload.stage, why);
    }
    if (device.api == Api::OpenCL)
    {
        require(device.clContext && device.clQueue, "{}: OpenCL needs a context and a queue", workload.stage);
        const std::string& why = OpenClDriver::get().problem;
        require(why.empty(), "{}: {}", workload.stage, why);
        readyOpenCl(device);
    }
    return chosenVariant(device, workload);
}

ParallelFor threadsFor(double cost)
{
    return cost > 60e3 ? currentParallelFor() : nullptr;
}

Buffer::Buffer(Call& call, const char* stage, const char* name, const View& view, Use use, std::initializer_list<Axis> axes,
               halide_type_t type)
    : call_(call)
{
    buffer_.dim = dimensions_;
    buffer_.type = type;
    for (const Axis axis : axes)
    {
        const int64_t stride = view.size[axis] == 1 ? 1 : view.stride[axis]; // of one element, the stride says nothing
        dimensions_[buffer_.dimensions++] = halide_dimension_t(0, view.size[axis], static_cast<int32_t>(stride));
    }
    place(stage, name, view.data, view.offset * sizeof(float), static_cast<size_t>(span(view)) * sizeof(float), use);
}

Buffer::Buffer(Call& call, const char* stage, const char* name, const Picture& picture) : call_(call)
{
    const int bytes = bytesOf(picture.depth);
    buffer_.dim = dimensions_;
    buffer_.type =
        halide_type_t(picture.depth == Depth::Float32 ? halide_type_float : halide_type_uint, static_cast<uint8_t>(8 * bytes));
    buffer_.dimensions = 2;
    dimensions_[0] = halide_dimension_t(0, picture.columns * picture.channels, 1);
    dimensions_[1] = halide_dimension_t(0, picture.rows, static_cast<int32_t>(picture.step / bytes));
    place(stage, name, const_cast<void*>(picture.data), picture.offset, bytesSpanned(picture), Use::Read);
}

Buffer::Buffer(Call& call, const char* stage, const char* name, const Rows& rows) : call_(call)
{
    const auto bytes = static_cast<size_t>(bytesOf(rows.type));
    buffer_.dim = dimensions_;
    buffer_.type = halide_type_t(rows.type == RowType::Float32   ? halide_type_float
                                 : rows.type == RowType::Float16 ? halide_type_uint
                                                                 : halide_type_int,
                                 static_cast<uint8_t>(8 * bytes));
    buffer_.dimensions = 2;
    dimensions_[0] = halide_dimension_t(0, rows.length, 1);
    dimensions_[1] = halide_dimension_t(0, rows.count, static_cast<int32_t>(rows.step));
    place(stage, name, const_cast<void*>(rows.data), rows.offset,
          bytes * (static_cast<size_t>(rows.count - 1) * static_cast<size_t>(rows.step) + static_cast<size_t>(rows.length)), Use::Read);
}

Buffer::~Buffer()
{
    if (buffer_.device_interface)
    {
        if (call_.device.api == Api::Cuda)
            halide_cuda_detach_device_ptr(&call_, &buffer_);
        else
            halide_opencl_detach_cl_mem(&call_, &buffer_);
    }
}

void Buffer::ReleaseOpenCl::operator()(void* memory) const
{
    OpenClDriver::get().releaseMemObject(static_cast<cl_mem>(memory));
}

void Buffer::place(const char* stage, const char* name, void* data, size_t offset, size_t bytes, Use use)
{
    const auto checkStatus = [&](int status)
    { require(status == 0, "{}: {} cannot be used on the device: {}", stage, name, call_.message); };
    if (call_.device.api == Api::Cpu)
        buffer_.host = static_cast<uint8_t*>(data) + offset;
    else if (call_.device.api == Api::Cuda)
        checkStatus(halide_cuda_wrap_device_ptr(&call_, &buffer_, reinterpret_cast<uint64_t>(data) + offset));
    else
        checkStatus(
            halide_opencl_wrap_cl_mem(&call_, &buffer_, reinterpret_cast<uint64_t>(part(stage, name, data, offset, bytes))));
    if (call_.device.api != Api::Cpu && use == Use::Read)
        buffer_.set_device_dirty(true);
}

void* Buffer::part(const char* stage, const char* name, void* data, size_t offset, size_t size)
{
    cl_mem memory = static_cast<cl_mem>(data);
    size_t bytes = 0;
    const cl_int known = OpenClDriver::get().getMemObjectInfo(memory, CL_MEM_SIZE, sizeof(bytes), &bytes, nullptr);
    require(known == CL_SUCCESS, "{}: {} is not an OpenCL buffer (error {})", stage, name, known);
    require(offset + size <= bytes, "{}: {} needs {} bytes from byte {}; its OpenCL buffer has {}", stage, name, size, offset,
            bytes);
    if (offset == 0)
        return memory;
    const cl_buffer_region region = {offset, size};
    cl_int status = CL_SUCCESS;
    part_.reset(OpenClDriver::get().createSubBuffer(memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
    require(status != CL_MISALIGNED_SUB_BUFFER_OFFSET,
            "{}: {} starts at byte {}, which the OpenCL device cannot address; copy it", stage, name, offset);
    require(status == CL_SUCCESS, "{}: {} starts at byte {}; its OpenCL sub-buffer fails with error {}", stage, name, offset,
            status);
    return part_.get();
}

void runValues(const char* stage, const CompiledVariant& variant, Call& call, void** values)
{
    const int status = variant.run(values);
    if (status == 0)
        return;
    require(!call.message.empty(), "{}: failed with code {} ({} {})", stage, status, variant.api, variant.name);
    fail("{}: {} ({} {})", stage, call.message, variant.api, variant.name);
}

} // namespace agpnet::stages
