// Where the tests run the stages: every CPU variant of this machine, and OpenCL and CUDA where there are any. Memory lies
// between pages that may not be touched, or between canaries on a device.
#pragma once

#include "halide_generators/reference/stage_checks.h"
#include "halide_generators/runtime/stages.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>

/// How a tensor lies in memory.
enum class Order
{
    Planar,      // NCHW
    Tokens,      // NHWC
    PaddedRows,  // NCHW, a part of wider rows
    PaddedPixels // NHWC, a part of wider pixels
};

inline constexpr Order allOrders[] = {Order::Planar, Order::Tokens, Order::PaddedRows, Order::PaddedPixels};
const char* nameOf(Order order);

class Place;

/// A tensor in a place's memory.
class Tensor
{
public:
    virtual ~Tensor() = default;
    agpnet::stages::View view;
    reference::Array read() const; ///< also fails the test if anything outside the tensor has changed

protected:
    friend class Place;
    virtual void download(float* to) const = 0;
    size_t span = 0; // elements of memory, padding included
    std::vector<float> before;
};

class Place
{
public:
    explicit Place(std::string label) : label_(std::move(label)) {}
    virtual ~Place() = default;
    const std::string& label() const { return label_; }
    agpnet::stages::Device device;

    std::unique_ptr<Tensor> make(const reference::Array& values, Order order = Order::Planar);
    std::unique_ptr<Tensor> make(int n, int c, int h, int w, Order order = Order::Planar); ///< holds a canary everywhere
    std::unique_ptr<Tensor> make(const std::vector<unsigned char>& bytes); ///< a multiple of four of them

protected:
    virtual std::unique_ptr<Tensor> allocate(const std::vector<float>& memory) = 0;

private:
    std::string label_;
};

/// The names to run over: cpu variants usable here, "opencl", "cuda".
std::vector<std::string> placeNames();

/// Null, with the reason, where the machine has no such device.
std::unique_ptr<Place> openPlace(const std::string& name, std::string& reason);

/// Runs a test once per place.
class EveryPlace : public testing::TestWithParam<std::string>
{
protected:
    void SetUp() override
    {
        std::string reason;
        place = openPlace(GetParam(), reason);
        if (!place)
            GTEST_SKIP() << reason;
    }
    std::unique_ptr<Place> place;
};

#define AGPNET_EVERY_PLACE(suite)                                                                                                \
    INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(placeNames()), [](const auto& each) { return each.param; })

/// Largest difference, NaN against NaN counting as none.
double difference(const reference::Array& a, const reference::Array& b);

reference::Array runPerturb(Place& place, const reference::Array& x, const reference::Array& attention,
                            const agpnet::stages::PerturbParams& params, Order order = Order::Planar);
reference::Array runResidual(Place& place, const reference::Array& f, const reference::Array& g, agpnet::stages::Metric metric,
                             Order order = Order::Planar);

/// The values of int32 memory that was read as float32.
reference::Array numbersIn(reference::Array array);

/// Without a scale where that is empty.
reference::Neighbours runNearest(Place& place, const reference::Array& queries, const reference::StoredRows& stored,
                                 const reference::Array& scale, int k, Order order = Order::Planar);

/// A picture's bytes, drawn, with room after each row.
struct Drawn
{
    Drawn(agpnet::stages::Depth type, int rows, int columns, int channels, int padding, uint64_t seed);

    agpnet::stages::Depth depth;
    agpnet::stages::Picture picture; // without its memory
    std::vector<unsigned char> bytes;
    std::vector<double> exact;
};

reference::Array runPrepare(Place& place, const Drawn& drawn, int height, int width, Order order = Order::Planar);

struct Heat
{
    reference::Array map, maximum, top1;
};
Heat runHeatmap(Place& place, const reference::Array& residual, double sigma, int height, int width, Order order = Order::Planar);

/// The arrays of a workload in a place's memory. Not drawn: the inputs hold a canary.
class CallArrays
{
public:
    CallArrays(Place& place, const agpnet::stages::Workload& workload, bool drawn = true);

    reference::CallMemory memory;
    reference::CallValues values;

    reference::Array read(size_t output) const; ///< whole numbers as what they are

private:
    std::vector<std::unique_ptr<Tensor>> tensors_;
    std::vector<const Tensor*> outputs_;
    std::vector<bool> whole_;
};
