// A child forked from a process that has computed has none of its threads: what waits for them waits for ever.
#pragma once

#include <cstdint>

namespace agpnet
{

/// To be called before anything that may compute in threads. Error in a child that was forked after the first such call, unless it computes
/// in one thread.
void requireThreads();

/// How often the process was forked, from the first requireThreads() to this one. What has a thread of its own has it only where this has
/// not changed.
uint64_t forksSoFar();

} // namespace agpnet
