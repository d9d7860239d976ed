#include "models/dec/training/retrieval_quality.h"

#include "models/dec/network.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <numeric>

namespace agpnet::dec
{

double meanAveragePrecision(const at::Tensor& descriptors, const std::vector<int64_t>& classes)
{
    const at::Tensor unit = unitRows(descriptors);
    const at::Tensor similarities = at::matmul(unit, unit.t()).contiguous();
    double sum = 0;
    size_t queries = 0;
    for (size_t q = 0; q < classes.size(); q++)
    {
        const float* similarity = similarities[static_cast<int64_t>(q)].const_data_ptr<float>();
        std::vector<size_t> order(classes.size());
        std::iota(order.begin(), order.end(), size_t{0});
        order.erase(order.begin() + static_cast<std::ptrdiff_t>(q));
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return similarity[a] > similarity[b]; });
        std::vector<double> precisions;
        for (size_t rank = 0; rank < order.size(); rank++)
            if (classes[order[rank]] == classes[q])
                precisions.push_back(static_cast<double>(precisions.size() + 1) / static_cast<double>(rank + 1));
        if (precisions.empty())
            continue;
        double greatest = 0, own = 0;
        for (auto it = precisions.rbegin(); it != precisions.rend(); ++it)
        {
            greatest = std::max(greatest, *it);
            own += greatest;
        }
        sum += own / static_cast<double>(precisions.size());
        queries++;
    }
    return queries > 0 ? sum / static_cast<double>(queries) : -1;
}

} // namespace agpnet::dec
