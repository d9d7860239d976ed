#include "halide_generators/runtime/stages.h"

#include "halide_generators/runtime/choices.h"
#include "halide_generators/runtime/cuda_driver.h"
#include "halide_generators/runtime/opencl_driver.h"
#include "halide_generators/runtime/runtime_hooks.h"

#include <HalideRuntime.h>
#include <HalideRuntimeCuda.h>
#include <HalideRuntimeOpenCL.h>
#include <algorithm>
#include <cmath>
#include <memory>

namespace agpnet::stages
{

namespace
{

enum Axis // of View
{
    N,
    C,
    H,
    W
};

std::string shape(const View& view)
{
    return fmt::format("[{},{},{},{}]", view.size[N], view.size[C], view.size[H], view.size[W]);
}

/// Elements from the first to the last, inclusive.
int64_t span(const View& view)
{
    int64_t last = 0;
    for (size_t i = 0; i < 4; i++)
        last += (view.size[i] - 1) * view.stride[i];
    return last + 1;
}

enum class Use
{
    Read,
    Write
};

void check(const char* stage, const char* name, const View& view, Use use)
{
    require(view.data != nullptr, "{}: {} has no memory", stage, name);
    for (size_t i = 0; i < 4; i++)
    {
        require(view.size[i] >= 1, "{}: {} has size {}; every dimension must be at least 1", stage, name, shape(view));
        require(view.size[i] == 1 || view.stride[i] > 0 || (use == Use::Read && view.stride[i] == 0),
                "{}: {} has stride {} in dimension {}; expected a positive one", stage, name, view.stride[i], i);
    }
    require(span(view) <= INT32_MAX, "{}: {} spans {} elements; at most {} are possible", stage, name, span(view), INT32_MAX);
}

void checkSize(const char* stage, const char* name, const View& view, const std::array<int, 4>& expected)
{
    require(view.size == expected, "{}: {} has size {}; expected [{},{},{},{}]", stage, name, shape(view), expected[N],
            expected[C], expected[H], expected[W]);
}

bool sideBySide(std::initializer_list<const View*> views, Axis fast)
{
    return std::all_of(views.begin(), views.end(), [&](const View* view) { return view->size[fast] > 1 && view->stride[fast] == 1; });
}

/// How buffers lie, in the words of the table of variants. `inputs` have channels to lie side by side, `all` have pixels.
const char* layoutOf(std::initializer_list<const View*> inputs, std::initializer_list<const View*> all)
{
    return sideBySide(inputs, C) ? "tokens" : sideBySide(all, W) ? "planar" : "any";
}

/// A row of the table, which is there as long as the program. Never null.
const CompiledVariant* choose(const Device& device, const Workload& workload)
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
    return &chosenVariant(device, workload);
}

int bytesOf(Depth depth)
{
    return depth == Depth::UInt8 ? 1 : depth == Depth::UInt16 ? 2 : 4;
}

const char* nameOf(Depth depth)
{
    return depth == Depth::UInt8 ? "uint8" : depth == Depth::UInt16 ? "uint16" : "float32";
}

/// From the first byte of the first pixel to the last of the last.
size_t bytesSpanned(const Picture& picture)
{
    return static_cast<size_t>((picture.rows - 1) * picture.step) +
           static_cast<size_t>(picture.columns) * static_cast<size_t>(picture.channels * bytesOf(picture.depth));
}

/// A view as Halide sees it, in its order (x, y, c, n), for the length of one call.
class Buffer
{
public:
    Buffer(Call& call, const char* stage, const char* name, const View& view, Use use, bool perImage = false) : call_(call)
    {
        buffer_.dim = dimensions_;
        buffer_.type = halide_type_t(halide_type_float, 32);
        if (perImage)
        {
            buffer_.dimensions = 1;
            dimensions_[0] = halide_dimension_t(0, view.size[N], static_cast<int32_t>(view.stride[N]));
        }
        else
        {
            buffer_.dimensions = 4;
            for (size_t i = 0; i < 4; i++)
            {
                const size_t axis = 3 - i;
                const int64_t stride = view.size[axis] == 1 ? 1 : view.stride[axis]; // of one element, the stride says nothing
                dimensions_[i] = halide_dimension_t(0, view.size[axis], static_cast<int32_t>(stride));
            }
        }
        place(stage, name, view.data, view.offset * sizeof(float), static_cast<size_t>(span(view)) * sizeof(float), use);
    }

    /// A picture: (x · channels + channel, y).
    Buffer(Call& call, const char* stage, const char* name, const Picture& picture) : call_(call)
    {
        const int bytes = bytesOf(picture.depth);
        buffer_.dim = dimensions_;
        buffer_.type = halide_type_t(picture.depth == Depth::Float32 ? halide_type_float : halide_type_uint, static_cast<uint8_t>(8 * bytes));
        buffer_.dimensions = 2;
        dimensions_[0] = halide_dimension_t(0, picture.columns * picture.channels, 1);
        dimensions_[1] = halide_dimension_t(0, picture.rows, static_cast<int32_t>(picture.step / bytes));
        place(stage, name, const_cast<void*>(picture.data), picture.offset, bytesSpanned(picture), Use::Read);
    }

    ~Buffer()
    {
        if (buffer_.device_interface)
        {
            if (call_.device.api == Api::Cuda)
                halide_cuda_detach_device_ptr(&call_, &buffer_);
            else
                halide_opencl_detach_cl_mem(&call_, &buffer_);
        }
    }

    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void* raw() { return &buffer_; }

private:
    struct Release
    {
        void operator()(cl_mem memory) const { OpenClDriver::get().releaseMemObject(memory); }
    };

    void place(const char* stage, const char* name, void* data, size_t offset, size_t bytes, Use use)
    {
        const auto checkStatus = [&](int status) {
            require(status == 0, "{}: {} cannot be used on the device: {}", stage, name, call_.message);
        };
        if (call_.device.api == Api::Cpu)
            buffer_.host = static_cast<uint8_t*>(data) + offset;
        else if (call_.device.api == Api::Cuda)
            checkStatus(halide_cuda_wrap_device_ptr(&call_, &buffer_, reinterpret_cast<uint64_t>(data) + offset));
        else
            checkStatus(halide_opencl_wrap_cl_mem(&call_, &buffer_, reinterpret_cast<uint64_t>(part(stage, name, data, offset, bytes))));
        if (call_.device.api != Api::Cpu && use == Use::Read)
            buffer_.set_device_dirty(true);
    }

    cl_mem part(const char* stage, const char* name, void* data, size_t offset, size_t size)
    {
        cl_mem memory = static_cast<cl_mem>(data);
        size_t bytes = 0;
        const cl_int known = OpenClDriver::get().getMemObjectInfo(memory, CL_MEM_SIZE, sizeof(bytes), &bytes, nullptr);
        require(known == CL_SUCCESS, "{}: {} is not an OpenCL buffer (error {})", stage, name, known);
        require(offset + size <= bytes, "{}: {} needs {} bytes from byte {}; its OpenCL buffer has {}", stage, name, size, offset, bytes);
        if (offset == 0)
            return memory;
        const cl_buffer_region region = {offset, size};
        cl_int status = CL_SUCCESS;
        part_.reset(OpenClDriver::get().createSubBuffer(memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
        require(status != CL_MISALIGNED_SUB_BUFFER_OFFSET,
                "{}: {} starts at byte {}, which the OpenCL device cannot address; copy it", stage, name, offset);
        require(status == CL_SUCCESS, "{}: {} starts at byte {}; its OpenCL sub-buffer fails with error {}", stage, name, offset, status);
        return part_.get();
    }

    Call& call_;
    halide_buffer_t buffer_ = {};
    halide_dimension_t dimensions_[4];
    std::unique_ptr<_cl_mem, Release> part_;
};

template <typename... Arguments>
void run(const char* stage, const CompiledVariant& row, Call& call, Arguments&&... arguments)
{
    void* context = &call;
    void* values[] = {&context, arguments...};
    const int status = row.run(values);
    if (status == 0)
        return;
    require(!call.message.empty(), "{}: failed with code {} ({} {})", stage, status, row.api, row.name);
    fail("{}: {} ({} {})", stage, call.message, row.api, row.name);
}

/// Rows that follow each other without a gap are one long row.
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

/// The host's threads, where the work is worth waking them: `cost` is in nanoseconds of one thread, roughly.
ParallelFor threadsFor(double cost)
{
    return cost > 60e3 ? currentParallelFor() : nullptr;
}

double elements(const View& view)
{
    return static_cast<double>(view.size[N]) * view.size[C] * view.size[H] * view.size[W];
}

} // namespace

void prepare(const Device& device, const Picture& image, const View& out)
{
    const char* stage = "prepare";
    check(stage, "out", out, Use::Write);
    require(image.data != nullptr, "{}: the image has no memory", stage);
    require(image.rows >= 1 && image.columns >= 1, "{}: the image has {}x{} pixels; expected at least one", stage, image.columns, image.rows);
    require(image.channels == 1 || image.channels == 3 || image.channels == 4 || image.channels == 6,
            "{}: the image has {} channels; expected 1, 3, 4 or 6", stage, image.channels);
    const int bytes = bytesOf(image.depth);
    const int64_t row = static_cast<int64_t>(image.columns) * image.channels;
    require(image.step >= row * bytes && image.step % bytes == 0 && image.offset % static_cast<size_t>(bytes) == 0,
            "{}: rows of {} values of {} bytes lie {} bytes apart; expected no less, and a multiple of a value's size", stage, row, bytes, image.step);
    require(image.step / bytes * image.rows <= INT32_MAX, "{}: the image spans {} values; at most {} are possible", stage,
            image.step / bytes * image.rows, INT32_MAX);
    const bool plane = image.channels == 1 && out.size[C] == 1;
    checkSize(stage, "out", out, {1, image.channels == 6 ? 6 : plane ? 1 : 3, out.size[H], out.size[W]});
    for (const auto& [from, to] : {std::pair(image.rows, out.size[H]), std::pair(image.columns, out.size[W])})
        require(static_cast<int64_t>(from + 2) * to < (1 << 29), "{}: an image of {}x{} to {} is too large", stage, image.columns, image.rows,
                shape(out));

    int32_t channels = image.channels;
    int32_t area = out.size[H] < image.rows && out.size[W] < image.columns;
    const CompiledVariant& variant =
        *choose(device, {stage, nameOf(image.depth), "any", {1, image.channels, image.rows, image.columns}, {out.size[H], out.size[W]}});
    Call call{device, threadsFor(0.3 * static_cast<double>(row) * image.rows + elements(out))};
    Buffer bufferIn(call, stage, "image", image), bufferOut(call, stage, "out", out, Use::Write);
    run(stage, variant, call, bufferIn.raw(), &channels, &area, bufferOut.raw());
}

void perturb(const Device& device, const View& x, const View& attention, const PerturbParams& params, const View& out)
{
    const char* stage = "perturb";
    check(stage, "x", x, Use::Read);
    check(stage, "attention", attention, Use::Read);
    check(stage, "out", out, Use::Write);
    checkSize(stage, "out", out, x.size);
    checkSize(stage, "attention", attention, {x.size[N], 1, attention.size[H], attention.size[W]});
    for (size_t axis : {H, W})
        require(static_cast<int64_t>(x.size[axis]) * attention.size[axis] < (1 << 29),
                "perturb: x {} with attention {} is too large", shape(x), shape(attention));
    require(params.ratio >= 0 && params.ratio <= 1, "perturb: ratio is {}; expected 0 to 1", params.ratio);
    require(std::isfinite(params.alpha) && std::isfinite(params.beta), "perturb: alpha is {} and beta {}; both must be finite",
            params.alpha, params.beta);

    View from = x, cells = attention, to = out;
    if (x.size[H] == attention.size[H] && x.size[W] == attention.size[W] && joins(x) && joins(attention) && joins(out))
    {
        from = joined(x);
        cells = joined(attention);
        to = joined(out);
    }
    int32_t kept = static_cast<int32_t>(std::llround(params.ratio * cells.size[H] * cells.size[W]));
    float alpha = params.alpha, beta = params.beta;
    uint32_t low = static_cast<uint32_t>(params.seed), high = static_cast<uint32_t>(params.seed >> 32);
    uint32_t step = params.step, level = params.level == Level::Image, firstImage = params.firstImage;

    const CompiledVariant& row =
        *choose(device, {stage, "", layoutOf({&from, &to}, {&from, &to}), x.size, {attention.size[H], attention.size[W]}});
    Call call{device, threadsFor(elements(to))};
    Buffer bufferX(call, stage, "x", from, Use::Read), bufferA(call, stage, "attention", cells, Use::Read),
        bufferOut(call, stage, "out", to, Use::Write);
    run(stage, row, call, bufferX.raw(), bufferA.raw(), &alpha, &beta, &kept, &low, &high, &step, &level, &firstImage,
        bufferOut.raw());
}

Metric metricOf(const std::string& name)
{
    for (Metric metric : {Metric::L2, Metric::Scaled, Metric::Cosine})
        if (name == nameOf(metric))
            return metric;
    fail("metric is '{}', expected l2, scaled or cosine", name);
}

const char* nameOf(Metric metric)
{
    switch (metric)
    {
    case Metric::Scaled: return "scaled";
    case Metric::Cosine: return "cosine";
    default: return "l2";
    }
}

void residual(const Device& device, const View& f, const View& g, Metric metric, const View& out)
{
    const char* stage = "residual";
    check(stage, "f", f, Use::Read);
    check(stage, "g", g, Use::Read);
    check(stage, "out", out, Use::Write);
    checkSize(stage, "g", g, f.size);
    checkSize(stage, "out", out, {f.size[N], 1, f.size[H], f.size[W]});

    const bool join = joins(f) && joins(g) && joins(out);
    const View a = join ? joined(f) : f, b = join ? joined(g) : g, to = join ? joined(out) : out;
    const CompiledVariant& row = *choose(device, {stage, nameOf(metric), layoutOf({&a, &b}, {&a, &b, &to}), f.size, {}});
    Call call{device, threadsFor(0.15 * elements(a))};
    Buffer bufferF(call, stage, "f", a, Use::Read), bufferG(call, stage, "g", b, Use::Read),
        bufferOut(call, stage, "out", to, Use::Write);
    run(stage, row, call, bufferF.raw(), bufferG.raw(), bufferOut.raw());
}

void heatmap(const Device& device, const View& residual, double sigma, const View& map, const View& maximum, const View& top1)
{
    const char* stage = "heatmap";
    check(stage, "residual", residual, Use::Read);
    check(stage, "map", map, Use::Write);
    check(stage, "maximum", maximum, Use::Write);
    check(stage, "top1", top1, Use::Write);
    checkSize(stage, "residual", residual, {residual.size[N], 1, residual.size[H], residual.size[W]});
    checkSize(stage, "map", map, {residual.size[N], 1, map.size[H], map.size[W]});
    checkSize(stage, "maximum", maximum, {residual.size[N], 1, 1, 1});
    checkSize(stage, "top1", top1, {residual.size[N], 1, 1, 1});
    for (size_t axis : {H, W})
        require(static_cast<int64_t>(residual.size[axis] + 2) * map.size[axis] < (1 << 29),
                "heatmap: residual {} with map {} is too large", shape(residual), shape(map));
    require(sigma >= 0 && sigma <= 256, "heatmap: sigma is {}; expected 0 to 256", sigma);

    int32_t radius = static_cast<int32_t>(4 * sigma + 0.5);
    float falloff = radius > 0 ? static_cast<float>(1 / (2 * sigma * sigma)) : 0.0f;
    int32_t top = static_cast<int32_t>(std::max<int64_t>(1, static_cast<int64_t>(map.size[H]) * map.size[W] / 100));
    // Schedules are measured with a blur; without one it is another workload, and no choice's shape is near zero.
    const std::array<int, 4> from = radius > 0 ? residual.size : std::array<int, 4>{};
    const CompiledVariant& row = *choose(device, {stage, "", "any", from, {map.size[H], map.size[W]}});
    Call call{device, threadsFor(map.size[N] > 1 ? elements(map) : 0.2 * elements(map))};
    Buffer bufferIn(call, stage, "residual", residual, Use::Read), bufferMap(call, stage, "map", map, Use::Write),
        bufferMax(call, stage, "maximum", maximum, Use::Write, true), bufferTop(call, stage, "top1", top1, Use::Write, true);
    run(stage, row, call, bufferIn.raw(), &radius, &falloff, &top, bufferMap.raw(), bufferMax.raw(), bufferTop.raw());
}

std::vector<Variant> variants()
{
    std::vector<Variant> all;
    for (size_t i = 0; i < variantCount; i++)
    {
        const CompiledVariant& row = variantTable[i];
        all.push_back({row.stage, apiOf(row.api), row.name, row.target, row.layout, row.kind, runsHere(row, 0)});
    }
    return all;
}

} // namespace agpnet::stages
