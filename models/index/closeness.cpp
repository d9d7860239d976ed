#include "models/index/closeness.h"

#include "common/error.h"

#include <algorithm>
#include <cmath>

namespace agpnet
{

double Closeness::shareAsClose(double similarity) const
{
    if (pairs.empty())
        return -1;
    const auto above = pairs.end() - std::lower_bound(pairs.begin(), pairs.end(), static_cast<float>(similarity));
    return static_cast<double>(above) / static_cast<double>(pairs.size());
}

double Closeness::threshold(double rate, int64_t views) const
{
    require(rate > 0 && rate < 1, "the rate of false matches is {}, expected more than 0 and less than 1", rate);
    require(known(), "the gallery does not know how close different objects are; expected one that was calibrated");
    const Strangers* chosen = &strangers.front(); // the most views that the query has at least
    for (const Strangers& each : strangers)
        if (each.views <= views)
            chosen = &each;
    const std::vector<float>& best = chosen->best;
    const auto place = static_cast<size_t>(std::ceil((1 - rate) * static_cast<double>(best.size())));
    return best[std::min(place, best.size() - 1)];
}

std::vector<float> quantiles(std::vector<float> values, size_t count)
{
    std::sort(values.begin(), values.end());
    if (values.size() <= count || count < 2)
        return values;
    std::vector<float> chosen;
    for (size_t i = 0; i < count; i++)
        chosen.push_back(values[i * (values.size() - 1) / (count - 1)]);
    return chosen;
}

} // namespace agpnet
