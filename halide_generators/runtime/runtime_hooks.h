// What one call tells Halide's runtime, as its user context. The hooks replace the runtime's weak defaults: nothing aborts,
// prints or starts threads, and GPUs are used through the caller's own context and queue.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <atomic>
#include <string>

namespace agpnet::stages
{

struct Call
{
    Call(const Device& where, ParallelFor threads) : device(where), parallelFor(threads) {}

    const Device& device;
    ParallelFor parallelFor; // none: tasks run one after another
    std::string message;     // the first error
    std::atomic_flag failed = ATOMIC_FLAG_INIT;
};

/// Linking this in is what pulls the hooks out of the static library, in place of the defaults.
ParallelFor currentParallelFor();

/// Before a schedule runs in a device's OpenCL context. Once in a process it has Halide look up OpenCL's functions: left to the first
/// schedules that run, two of them side by side would do it without a lock, and crash. And it keeps the context alive for good: Halide
/// caches compiled kernels by its address, which must not be used again.
void readyOpenCl(const Device& device);

} // namespace agpnet::stages
