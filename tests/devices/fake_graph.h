// Graphs of the fake device: what it was told while one was captured, done again with the same memory at every replay. As a GPU's would, a
// capture breaks where the program asks for a number or copies between device and host.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Allocator.h>
#include <cstdint>
#include <functional>

namespace agpnet::test
{

bool graphsOf(c10::DeviceType kind); ///< whether this LibTorch has any; without, everything is computed as it stands

struct Graphs
{
    int64_t captured = 0, replayed = 0;
};
Graphs graphs(); ///< so far

/// Makes them known to LibTorch for the device, where it knows graphs (2.12 and later).
void registerFakeGraphs(c10::DeviceType kind);

bool capturing(); ///< on this thread

/// Remembers what has just been done, for replays; nothing where nothing is captured.
void alsoInReplays(std::function<void()> again);

/// An Error where something is captured: a GPU could not have waited.
void refuseWhileCapturing(const char* what);

/// Memory that stays where it is as long as the graph: replays write there.
c10::DataPtr memoryOfGraph(size_t bytes, c10::Device device);

} // namespace agpnet::test
