// P x K batches: P classes, K objects of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace agpnet::dec
{

/// The batches of one epoch, a pure function of its arguments. Classes come in a random order, with random objects; where a class has fewer
/// than K, some come twice. An epoch has as many objects as the set, up to a whole batch.
/// @param classes  of each object
/// @return numbers of objects, batch after batch; a batch has min(P, classes) x K
std::vector<std::vector<size_t>> batchesOf(const std::vector<int64_t>& classes, size_t classesPerBatch, size_t objectsPerClass,
                                           uint64_t seed, uint64_t epoch);

} // namespace agpnet::dec
