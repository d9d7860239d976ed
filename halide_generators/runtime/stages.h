// The stages over plain memory, on the CPU, an OpenCL device or a CUDA device. Knows neither OpenCV nor LibTorch.
//
// The GPU calls are asynchronous: they enqueue on the given queue or stream and return.
#pragma once

#include "common/error.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace agpnet::stages
{

enum class Api
{
    Cpu,
    OpenCL,
    Cuda
};

/// float32 memory of four dimensions (int32 where a call says so), in place: nothing is copied or owned. A dimension of size 1 may have any
/// stride.
struct View
{
    void* data = nullptr;               ///< host pointer; cl_mem for OpenCL; CUdeviceptr for CUDA
    size_t offset = 0;                  ///< elements; on OpenCL it must suit the device's sub-buffer alignment
    std::array<int, 4> size = {};       ///< N, C, H, W
    std::array<int64_t, 4> stride = {}; ///< elements
};

/// Where the memory of a CUDA device comes from that lies between two kernels of one stage. To be the program's own allocator, so that the
/// program knows of it, and keeps it for a graph that it captures. Called from the thread that calls the stage; must not throw.
struct CudaAllocator
{
    void* (*allocate)(size_t bytes, int device, void* stream); ///< null: there is none
    void (*release)(void* memory, int device, void* stream);   ///< work on the stream may still use it
};

/// Where a stage runs. The OpenCL context is kept alive until the process ends, since compiled kernels are cached with it.
struct Device
{
    Api api = Api::Cpu;
    void* clContext = nullptr; ///< cl_context
    void* clQueue = nullptr;   ///< cl_command_queue, of that context
    int cudaDevice = 0;        ///< its primary context is used
    void* cudaStream = nullptr;
    const CudaAllocator* cudaAllocator = nullptr; ///< null: CUDA's own, which is kept for the stream's next call until the process ends
    std::string variant; ///< a name of variants(); empty: what a tuning record says (choices.h), else the first that runs here
};

enum class Level
{
    Feature,
    Image
};

/// A number is the place of the metric's name among the residual's kinds in stages.json, and that of agpnet::ResidualMetric.
enum class Metric
{
    L2 = 0,     ///< |f - g|
    Cosine = 1, ///< 1 - f.g / (|f| |g|)
    Scaled = 2  ///< |f - g| / sqrt |f|
};

/// By its name in stages.json; an Error for another.
Metric metricOf(const std::string& name);
const char* nameOf(Metric metric);
const std::vector<std::string>& metricNames();

/// A number is the place of the type's name among the kinds of prepare in stages.json.
enum class Depth
{
    UInt8 = 0,  ///< 0 to 255
    UInt16 = 1, ///< 0 to 65535
    Float32 = 2 ///< 0 to 1
};

/// By its name in stages.json; an Error for another.
Depth depthOf(const std::string& name);
const char* nameOf(Depth depth);
int bytesOf(Depth depth);

/// A number is the place of the type's name among the kinds of nearest in stages.json.
enum class RowType
{
    Float32 = 0,
    Float16 = 1, ///< IEEE half
    Int8 = 2
};

/// By its name in stages.json; an Error for another.
RowType rowTypeOf(const std::string& name);
const char* nameOf(RowType type);
int bytesOf(RowType type);

/// Rows of a gallery in place: the values of a row lie side by side.
struct Rows
{
    const void* data = nullptr; ///< as View::data
    size_t offset = 0;          ///< bytes
    int count = 0;
    int length = 0;             ///< values of a row
    RowType type = RowType::Float32;
    int64_t step = 0;           ///< values from row to row
};

/// A picture in place: the channels of a pixel lie side by side, and so do the pixels of a row.
struct Picture
{
    const void* data = nullptr; ///< as View::data
    size_t offset = 0;          ///< bytes
    int rows = 0, columns = 0;
    int channels = 0;           ///< 1 grey, 3 BGR, 4 BGRA, 6 BGR and geometry
    Depth depth = Depth::UInt8;
    int64_t step = 0;           ///< bytes from row to row
};

struct PerturbParams
{
    Level level = Level::Feature; ///< the two levels draw different noise
    float alpha = 1.0f;
    float beta = 0.1f;
    double ratio = 1.0; ///< share of the attention cells that receive noise, the most attended first
    uint64_t seed = 0;
    uint32_t step = 0;
    uint32_t firstImage = 0; ///< number of the batch's first image: a batch may be cut without changing its noise
};

/// The picture at the size of out [1,3,H,W], or [1,6,H,W] of one with 6 channels, or [1,1,H,W] of a grey one: planes of 0 to 1, RGB (grey
/// three times, alpha gone) and geometry as it is. Averaged over areas where both sides shrink, bilinear with half-pixel centres otherwise.
void prepare(const Device& device, const Picture& image, const View& out);

/// out = x + mask * noise * (alpha * minmax(attention) + beta), minmax per image, 0 where all attention is equal.
/// x, out [N,C,H,W], attention [N,1,h,w]; a pixel takes the cell that holds its centre. out may be x. The noise at a place
/// depends on seed, step, level, image, channel and pixel alone. NaN in the attention leaves that image's noise unspecified.
void perturb(const Device& device, const View& x, const View& attention, const PerturbParams& params, const View& out);

/// The distance of f and g [N,C,h,w] at each pixel, out [N,1,h,w].
void residual(const Device& device, const View& f, const View& g, Metric metric, const View& out);

/// Resizes the residual [N,1,h,w] bilinearly (half-pixel centres) to the map [N,1,H,W], blurs it with a Gaussian (edge pixel
/// repeated; sigma 0: none), and scores it: maximum [N,1,1,1], and top1 [N,1,1,1], the exact mean of the largest
/// max(1, H*W/100) values. NaN spreads to the map it touches and to both scores.
void heatmap(const Device& device, const View& residual, double sigma, const View& map, const View& maximum, const View& top1);

/// The most rows that nearest() finds for a query.
inline constexpr int mostNearest = 1024;

/// How row numbers are written.
enum class Numbers
{
    Int32,
    Float32 ///< for arrays that can hold nothing else; at most 2^24 rows
};

/// The rows with the largest dot products, exactly: for each query of [Q,D,1,1] the similarities [Q,k,1,1], from the largest down, and
/// the numbers of their rows [Q,k,1,1]. Of equal similarities the row with the smaller number comes first. A similarity is
/// scale · (query · row), `scale` [K,1,1,1] for all K rows, or without memory: 1. It is computed in float32 from the rows' values as they
/// are, whatever their type. One that is not a number counts as minus infinity. k is at most K and mostNearest.
void nearest(const Device& device, const View& queries, const Rows& rows, const View& scale, const View& similarities,
             const View& indices, Numbers numbers = Numbers::Int32);

/// One compiled pipeline.
struct Variant
{
    std::string stage;
    Api api = Api::Cpu;
    std::string name;
    std::string target;  ///< the Halide target it is compiled for
    std::string layout;  ///< tokens, planar or any
    std::string kind;    ///< of the stage (stages.json); else empty
    bool usable = false; ///< this machine has the CPU features or, for a GPU, a driver
};

std::vector<Variant> variants();

/// The names for the api that every stage has, of variants that are usable here.
std::vector<std::string> variantNames(Api api);

/// Runs task(i, context) for every i in 0 .. count-1, in any order, and returns when all are done.
using ParallelFor = void (*)(int count, void (*task)(int i, void* context), void* context);

/// The host's thread pool, for work worth sharing. Without one, everything runs in the calling thread.
void setParallelFor(ParallelFor parallelFor);

} // namespace agpnet::stages
