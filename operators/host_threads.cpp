// The stages share OpenCV's thread pool, so that cv::setNumThreads() holds for them too and no second pool competes.
#include "halide_generators/stages.h"

#include <opencv2/core/utility.hpp>

namespace agpnet
{
namespace
{

void onOpenCvThreads(int count, void (*task)(int i, void* context), void* context)
{
    cv::parallel_for_(cv::Range(0, count), [&](const cv::Range& range) {
        for (int i = range.start; i < range.end; i++)
            task(i, context);
    });
}

[[maybe_unused]] const bool installed = (stages::setParallelFor(&onOpenCvThreads), true);

} // namespace
} // namespace agpnet
