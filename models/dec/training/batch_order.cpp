#include "models/dec/training/batch_order.h"

#include "common/error.h"
#include "models/training/counter_random.h"

#include <algorithm>
#include <map>

namespace agpnet::dec
{

std::vector<std::vector<size_t>> batchesOf(const std::vector<int64_t>& classes, size_t classesPerBatch, size_t objectsPerClass,
                                           uint64_t seed, uint64_t epoch)
{
    std::map<int64_t, std::vector<size_t>> byClass;
    for (size_t i = 0; i < classes.size(); i++)
        byClass[classes[i]].push_back(i);
    std::vector<std::vector<size_t>> members;
    for (auto& [number, objects] : byClass)
        members.push_back(std::move(objects));
    require(members.size() >= 2 && objectsPerClass > 0, "batches are drawn from {} classes, expected at least 2", members.size());
    const size_t inBatch = std::min(classesPerBatch, members.size());
    const size_t batches = std::max<size_t>(1, classes.size() / (inBatch * objectsPerClass));

    CounterRandom random(mixed(mixed(0, seed), epoch));
    std::vector<std::vector<size_t>> result;
    std::vector<size_t> order; // classes that are still to come
    for (size_t b = 0; b < batches; b++)
    {
        std::vector<size_t>& batch = result.emplace_back();
        std::vector<size_t> taken;
        while (taken.size() < inBatch)
        {
            if (order.empty())
                order = random.permutation(members.size());
            // the last of a round may be among those that this batch has already: those wait
            const auto next = std::find_if(order.rbegin(), order.rend(),
                                           [&](size_t c) { return std::find(taken.begin(), taken.end(), c) == taken.end(); });
            if (next == order.rend())
            {
                const std::vector<size_t> more = random.permutation(members.size());
                order.insert(order.begin(), more.begin(), more.end());
                continue;
            }
            taken.push_back(*next);
            order.erase(std::next(next).base());
        }
        for (const size_t c : taken)
        {
            const std::vector<size_t>& objects = members[c];
            std::vector<size_t> chosen;
            while (chosen.size() < objectsPerClass)
                for (const size_t i : random.permutation(objects.size()))
                    if (chosen.size() < objectsPerClass)
                        chosen.push_back(objects[i]);
            batch.insert(batch.end(), chosen.begin(), chosen.end());
        }
    }
    return result;
}

} // namespace agpnet::dec
