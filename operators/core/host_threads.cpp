// The stages share OpenCV's thread pool, so that cv::setNumThreads() holds for them too and no second pool competes.
#include "halide_generators/runtime/stages.h"

#include <opencv2/core/utility.hpp>

#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace agpnet
{
namespace
{

/// OpenCV's pool (TBB, where it has it) waits in ways that ThreadSanitizer, which is not built into it, has to be told of.
void handOver([[maybe_unused]] const void* what)
{
#ifdef __SANITIZE_THREAD__
    __tsan_release(const_cast<void*>(what));
#endif
}
void takeOver([[maybe_unused]] const void* what)
{
#ifdef __SANITIZE_THREAD__
    __tsan_acquire(const_cast<void*>(what));
#endif
}

class Pieces : public cv::ParallelLoopBody
{
public:
    Pieces(void (*task)(int i, void* context), void* context) : task_(task), context_(context) {}

    void operator()(const cv::Range& range) const override
    {
        takeOver(this); // before anything in it is read
        for (int i = range.start; i < range.end; i++)
            task_(i, context_);
        handOver(this);
    }

private:
    void (*const task_)(int i, void* context);
    void* const context_;
};

void onOpenCvThreads(int count, void (*task)(int i, void* context), void* context)
{
    const Pieces pieces(task, context);
    handOver(&pieces);
    cv::parallel_for_(cv::Range(0, count), pieces);
    takeOver(&pieces);
}

[[maybe_unused]] const bool installed = (stages::setParallelFor(&onOpenCvThreads), true);

} // namespace
} // namespace agpnet
