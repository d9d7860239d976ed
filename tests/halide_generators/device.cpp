#include "device.h"

#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <bit>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef AGPNET_TEST_OPENCL
#include <CL/cl.h>
#endif

using namespace agpnet::stages;
using reference::Array;

namespace
{

constexpr float canary = -12345.678f;

/// Host memory between two forbidden pages: every other tensor ends right at the later one, the rest begin right after the
/// earlier one. What is left of the pages holds canaries.
class HostTensor : public Tensor
{
public:
    explicit HostTensor(const std::vector<float>& memory)
    {
        static std::atomic<unsigned> made{0};
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t bytes = (memory.size() * sizeof(float) + page - 1) / page * page;
        length_ = bytes + 2 * page;
        base_ = static_cast<char*>(mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(base_, page, PROT_NONE);
        mprotect(base_ + length_ - page, page, PROT_NONE);
        first_ = reinterpret_cast<float*>(base_ + page);
        last_ = first_ + bytes / sizeof(float);
        std::fill(first_, last_, canary);
        data_ = made++ % 2 == 0 ? last_ - memory.size() : first_;
        std::copy(memory.begin(), memory.end(), data_);
        view.data = data_;
    }
    ~HostTensor() override { munmap(base_, length_); }

    void download(float* to) const override
    {
        EXPECT_EQ(std::count(first_, data_, canary), data_ - first_) << "written before the tensor";
        EXPECT_EQ(std::count(data_ + span, last_, canary), last_ - data_ - static_cast<ptrdiff_t>(span))
            << "written after the tensor";
        std::copy(data_, data_ + span, to);
    }

private:
    char* base_ = nullptr;
    size_t length_ = 0;
    float* first_ = nullptr;
    float* last_ = nullptr;
    float* data_ = nullptr;
};

class CpuPlace : public Place
{
public:
    explicit CpuPlace(const std::string& variant) : Place(variant) { device.variant = variant; }
    std::unique_ptr<Tensor> allocate(const std::vector<float>& memory) override { return std::make_unique<HostTensor>(memory); }
};

#ifdef AGPNET_TEST_OPENCL
struct Cl
{
    cl_context context = nullptr;
    cl_command_queue queue = nullptr;
    std::string problem;

    static const Cl& get()
    {
        static const Cl cl;
        return cl;
    }

private:
    Cl()
    {
        cl_platform_id platform = nullptr;
        cl_device_id device = nullptr;
        cl_int status = CL_SUCCESS;
        if (clGetPlatformIDs(1, &platform, nullptr) != CL_SUCCESS)
            problem = "no OpenCL platform";
        else if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr) != CL_SUCCESS)
            problem = "no OpenCL device";
        else
        {
            context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &status);
            queue = clCreateCommandQueue(context, device, 0, &status);
            if (status != CL_SUCCESS)
                problem = "no OpenCL queue";
        }
    }
};

/// Device memory with canaries to both sides.
class ClTensor : public Tensor
{
public:
    static constexpr size_t margin = 1024; // elements; keeps the offset aligned for a sub-buffer

    explicit ClTensor(const std::vector<float>& memory)
    {
        std::vector<float> all(memory.size() + 2 * margin, canary);
        std::copy(memory.begin(), memory.end(), all.begin() + margin);
        cl_int status = CL_SUCCESS;
        memory_ = clCreateBuffer(Cl::get().context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, all.size() * sizeof(float),
                                 all.data(), &status);
        view.data = memory_;
        view.offset = margin;
    }
    ~ClTensor() override { clReleaseMemObject(memory_); }

    void download(float* to) const override
    {
        std::vector<float> all(span + 2 * margin);
        clEnqueueReadBuffer(Cl::get().queue, memory_, CL_TRUE, 0, all.size() * sizeof(float), all.data(), 0, nullptr, nullptr);
        for (size_t i = 0; i < margin; i++)
        {
            ASSERT_EQ(all[i], canary) << "written " << margin - i << " elements before the tensor";
            ASSERT_EQ(all[margin + span + i], canary) << "written " << i << " elements after the tensor";
        }
        std::copy(all.begin() + margin, all.begin() + static_cast<ptrdiff_t>(margin + span), to);
    }

private:
    cl_mem memory_ = nullptr;
};

class ClPlace : public Place
{
public:
    ClPlace() : Place("opencl")
    {
        device.api = Api::OpenCL;
        device.clContext = Cl::get().context;
        device.clQueue = Cl::get().queue;
    }
    std::unique_ptr<Tensor> allocate(const std::vector<float>& memory) override { return std::make_unique<ClTensor>(memory); }
};

#endif

/// The driver entries that the tests need to move memory.
struct CudaMemory
{
    int (*init)(unsigned) = nullptr;
    int (*retain)(void**, int) = nullptr;
    int (*setCurrent)(void*) = nullptr;
    int (*allocate)(uint64_t*, size_t) = nullptr;
    int (*release)(uint64_t) = nullptr;
    int (*upload)(uint64_t, const void*, size_t) = nullptr;
    int (*download)(void*, uint64_t, size_t) = nullptr;
    std::string problem;

    static const CudaMemory& get()
    {
        static const CudaMemory cuda;
        return cuda;
    }

private:
    CudaMemory()
    {
        void* library = dlopen("libcuda.so.1", RTLD_NOW);
        const auto load = [&](auto& function, const char* name)
        { function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name)); };
        if (!library)
        {
            problem = "no CUDA driver";
            return;
        }
        load(init, "cuInit");
        load(retain, "cuDevicePrimaryCtxRetain");
        load(setCurrent, "cuCtxSetCurrent");
        load(allocate, "cuMemAlloc_v2");
        load(release, "cuMemFree_v2");
        load(upload, "cuMemcpyHtoD_v2");
        load(download, "cuMemcpyDtoH_v2");
        void* context = nullptr;
        if (init(0) != 0 || retain(&context, 0) != 0 || setCurrent(context) != 0)
            problem = "no CUDA device";
    }
};

class CudaTensor : public Tensor
{
public:
    static constexpr size_t margin = 1024;

    explicit CudaTensor(const std::vector<float>& memory)
    {
        std::vector<float> all(memory.size() + 2 * margin, canary);
        std::copy(memory.begin(), memory.end(), all.begin() + margin);
        CudaMemory::get().allocate(&memory_, all.size() * sizeof(float));
        CudaMemory::get().upload(memory_, all.data(), all.size() * sizeof(float));
        view.data = reinterpret_cast<void*>(memory_);
        view.offset = margin;
    }
    ~CudaTensor() override { CudaMemory::get().release(memory_); }

    void download(float* to) const override
    {
        std::vector<float> all(span + 2 * margin);
        CudaMemory::get().download(all.data(), memory_, all.size() * sizeof(float));
        for (size_t i = 0; i < margin; i++)
        {
            ASSERT_EQ(all[i], canary) << "written " << margin - i << " elements before the tensor";
            ASSERT_EQ(all[margin + span + i], canary) << "written " << i << " elements after the tensor";
        }
        std::copy(all.begin() + margin, all.begin() + static_cast<ptrdiff_t>(margin + span), to);
    }

private:
    uint64_t memory_ = 0;
};

class CudaPlace : public Place
{
public:
    CudaPlace() : Place("cuda") { device.api = Api::Cuda; }
    std::unique_ptr<Tensor> allocate(const std::vector<float>& memory) override { return std::make_unique<CudaTensor>(memory); }
};

View layOut(const Array& array, Order order)
{
    View view;
    view.size = {array.n, array.c, array.h, array.w};
    const int64_t c = array.c, h = array.h, w = array.w;
    switch (order)
    {
    case Order::Planar:
        view.stride = {c * h * w, h * w, w, 1};
        break;
    case Order::Tokens:
        view.stride = {c * h * w, 1, w * c, c};
        break;
    case Order::PaddedRows:
        view.stride = {c * h * (w + 3) + 5, h * (w + 3), w + 3, 1};
        break;
    case Order::PaddedPixels:
        view.stride = {h * (w * (c + 2) + 7), 1, w * (c + 2) + 7, c + 2};
        break;
    }
    return view;
}

template <typename F>
void forEach(const View& view, F&& f)
{
    size_t i = 0;
    for (int n = 0; n < view.size[0]; n++)
        for (int c = 0; c < view.size[1]; c++)
            for (int y = 0; y < view.size[2]; y++)
                for (int x = 0; x < view.size[3]; x++)
                    f(i++,
                      static_cast<size_t>(n * view.stride[0] + c * view.stride[1] + y * view.stride[2] + x * view.stride[3]));
}

} // namespace

const char* nameOf(Order order)
{
    switch (order)
    {
    case Order::Planar:
        return "planar";
    case Order::Tokens:
        return "tokens";
    case Order::PaddedRows:
        return "padded rows";
    case Order::PaddedPixels:
        return "padded pixels";
    }
    return "";
}

Array Tensor::read() const
{
    std::vector<float> memory(span);
    download(memory.data());
    Array array(view.size[0], view.size[1], view.size[2], view.size[3]);
    std::vector<bool> inside(span, false);
    forEach(view,
            [&](size_t i, size_t at)
            {
                array.values[i] = memory[at];
                inside[at] = true;
            });
    for (size_t i = 0; i < span; i++)
        if (!inside[i] && memory[i] != before[i])
        {
            ADD_FAILURE() << "element " << i << " of the padding has been written";
            break;
        }
    return array;
}

std::unique_ptr<Tensor> Place::make(const Array& values, Order order)
{
    const View view = layOut(values, order);
    size_t last = 0;
    forEach(view, [&](size_t, size_t at) { last = std::max(last, at); });
    std::vector<float> memory(last + 1, canary);
    forEach(view, [&](size_t i, size_t at) { memory[at] = values.values[i]; });
    std::unique_ptr<Tensor> tensor = allocate(memory);
    tensor->view.size = view.size;
    tensor->view.stride = view.stride;
    tensor->span = memory.size();
    tensor->before = memory;
    return tensor;
}

std::unique_ptr<Tensor> Place::make(int n, int c, int h, int w, Order order)
{
    Array values(n, c, h, w);
    std::fill(values.values.begin(), values.values.end(), canary);
    return make(values, order);
}

std::unique_ptr<Tensor> Place::make(const std::vector<unsigned char>& bytes)
{
    Array memory(1, 1, 1, static_cast<int>(bytes.size() / sizeof(float)));
    std::memcpy(memory.values.data(), bytes.data(), bytes.size());
    return make(memory);
}

std::vector<std::string> placeNames()
{
    std::vector<std::string> names = variantNames(Api::Cpu); // others are for one stage or layout, and variants_test.cpp runs them all
    names.push_back("opencl");
    names.push_back("cuda");
    return names;
}

std::unique_ptr<Place> openPlace(const std::string& name, std::string& reason)
{
    if (name == "opencl")
    {
#ifdef AGPNET_TEST_OPENCL
        reason = Cl::get().problem;
        return reason.empty() ? std::make_unique<ClPlace>() : nullptr;
#else
        reason = "built without OpenCL";
        return nullptr;
#endif
    }
    if (name == "cuda")
    {
        reason = CudaMemory::get().problem;
        // on the fake driver none may be skipped for this
        agpnet::require(reason.empty() || !std::getenv("AGPNET_TEST_NEEDS_CUDA"), "{}", reason);
        return reason.empty() ? std::make_unique<CudaPlace>() : nullptr;
    }
    return std::make_unique<CpuPlace>(name);
}

double difference(const Array& a, const Array& b)
{
    if (a.values.size() != b.values.size())
        return INFINITY;
    double largest = 0;
    for (size_t i = 0; i < a.values.size(); i++)
    {
        const bool first = std::isnan(a.values[i]), second = std::isnan(b.values[i]);
        if (first != second)
            return INFINITY;
        if (!first && a.values[i] != b.values[i])
            largest = std::max(largest, std::fabs(double(a.values[i]) - b.values[i]));
    }
    return largest;
}

Array runPerturb(Place& place, const Array& x, const Array& attention, const PerturbParams& params, Order order)
{
    const auto in = place.make(x, order), cells = place.make(attention), out = place.make(x.n, x.c, x.h, x.w, order);
    perturb(place.device, in->view, cells->view, params, out->view);
    Array result = out->read();
    EXPECT_EQ(difference(in->read(), x), 0) << "the input has changed";
    return result;
}

Array runResidual(Place& place, const Array& f, const Array& g, Metric metric, Order order)
{
    const auto first = place.make(f, order), second = place.make(g, order), out = place.make(f.n, 1, f.h, f.w);
    residual(place.device, first->view, second->view, metric, out->view);
    return out->read();
}

Heat runHeatmap(Place& place, const Array& residual, double sigma, int height, int width, Order order)
{
    const auto in = place.make(residual, order), map = place.make(residual.n, 1, height, width, order);
    const auto maximum = place.make(residual.n, 1, 1, 1, order), top1 = place.make(residual.n, 1, 1, 1, order);
    heatmap(place.device, in->view, sigma, map->view, maximum->view, top1->view);
    return {map->read(), maximum->read(), top1->read()};
}

reference::Neighbours runNearest(Place& place, const Array& queries, const reference::StoredRows& stored, const Array& scale, int k,
                                 Order order)
{
    const auto in = place.make(queries, order), memory = place.make(stored.bytes);
    const auto factors = place.make(scale.values.empty() ? Array(1, 1, 1, 1) : scale, order);
    const auto similarities = place.make(queries.n, k, 1, 1, order), indices = place.make(queries.n, k, 1, 1, order);
    Rows rows = stored.rows;
    rows.data = memory->view.data;
    rows.offset = memory->view.offset * sizeof(float);
    nearest(place.device, in->view, rows, scale.values.empty() ? View{} : factors->view, similarities->view, indices->view);
    return {similarities->read(), numbersIn(indices->read())};
}

Array numbersIn(Array array)
{
    for (float& value : array.values)
        value = static_cast<float>(std::bit_cast<int32_t>(value));
    return array;
}

Drawn::Drawn(Depth type, int rows, int columns, int channels, int padding, uint64_t seed) : depth(type)
{
    const size_t size = depth == Depth::UInt8 ? 1 : depth == Depth::UInt16 ? 2 : 4;
    const size_t values = static_cast<size_t>(columns) * static_cast<size_t>(channels);
    picture.rows = rows;
    picture.columns = columns;
    picture.channels = channels;
    picture.depth = depth;
    picture.step = static_cast<int64_t>(size * (values + static_cast<size_t>(padding)));
    bytes.assign((static_cast<size_t>(rows - 1) * static_cast<size_t>(picture.step) + size * values + 3) / 4 * 4, 0xA5);
    reference::Random random(seed);
    for (int y = 0; y < rows; y++)
        for (size_t i = 0; i < values; i++)
        {
            unsigned char* at = &bytes[static_cast<size_t>(y) * static_cast<size_t>(picture.step) + i * size];
            if (depth == Depth::Float32)
            {
                const float value = static_cast<float>(random.uniform());
                std::memcpy(at, &value, sizeof value);
                exact.push_back(value);
            }
            else
            {
                const int most = depth == Depth::UInt8 ? 255 : 65535;
                const int value = random.below(most + 1);
                for (size_t byte = 0; byte < size; byte++) // little-endian
                    at[byte] = static_cast<unsigned char>(value >> (8 * byte));
                exact.push_back(static_cast<double>(value) / most);
            }
        }
}

Array runPrepare(Place& place, const Drawn& drawn, int height, int width, Order order)
{
    const auto from = place.make(drawn.bytes); // between pages that must not be touched
    const auto to = place.make(1, drawn.picture.channels == 6 ? 6 : 3, height, width, order);
    Picture picture = drawn.picture;
    picture.data = from->view.data;
    picture.offset = from->view.offset * sizeof(float);
    prepare(place.device, picture, to->view);
    return to->read();
}

CallArrays::CallArrays(Place& place, const Workload& workload, bool drawn)
{
    const Order order = workload.layout == "tokens" ? Order::Tokens : Order::Planar;
    const Stage& stage = stageOf(workload.stage);
    uint64_t seed = 0;
    const auto add = [&](std::unique_ptr<Tensor> tensor) -> const View& { return tensors_.emplace_back(std::move(tensor))->view; };
    for (const std::string& input : stage.inputs)
    {
        const auto [n, c, h, w] = shapeOf(input, workload);
        seed++;
        if (input == "image")
        {
            const Drawn image(depthOf(workload.kind), h, w, c, 4, seed);
            const View& view = add(place.make(image.bytes));
            memory.image = image.picture;
            memory.image.data = view.data;
            memory.image.offset = view.offset * sizeof(float);
            values.image = image.exact;
            continue;
        }
        if (input.ends_with(":kind"))
        {
            reference::StoredRows stored = reference::drawRows(rowTypeOf(workload.kind), n, c, 2, seed);
            memory.rows = stored.rows;
            const View& view = add(place.make(stored.bytes));
            memory.rows.data = view.data;
            memory.rows.offset = view.offset * sizeof(float);
            values.rows = std::move(stored.values);
            continue;
        }
        if (!drawn)
            memory.inputs.push_back(add(place.make(n, c, h, w, order)));
        else
        {
            values.inputs.push_back(reference::random(n, c, h, w, seed));
            memory.inputs.push_back(add(place.make(values.inputs.back(), order)));
        }
    }
    for (const std::string& output : stage.outputs)
    {
        const auto [n, c, h, w] = shapeOf(output, workload);
        memory.outputs.push_back(add(place.make(n, c, h, w, order)));
        outputs_.push_back(tensors_.back().get());
        whole_.push_back(typeOf(output, workload) == "int32");
    }
}

Array CallArrays::read(size_t output) const
{
    return whole_[output] ? numbersIn(outputs_[output]->read()) : outputs_[output]->read();
}
