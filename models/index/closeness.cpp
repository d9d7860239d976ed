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

const Closeness::Strangers& Closeness::ofViews(int64_t views) const
{
    require(known(), "the gallery does not know how close different objects are; expected one that was calibrated");
    const Strangers* chosen = &strangers.front();
    for (const Strangers& each : strangers)
        if (each.views <= views)
            chosen = &each;
    return *chosen;
}

double Closeness::evidence(double first, double second, int64_t views) const
{
    return first + ofViews(views).weight * (first - second);
}

double Closeness::threshold(double rate, int64_t views) const
{
    require(rate > 0 && rate < 1, "the rate of false matches is {}, expected more than 0 and less than 1", rate);
    const std::vector<float>& evidence = ofViews(views).evidence;
    const auto place = static_cast<size_t>(std::ceil((1 - rate) * static_cast<double>(evidence.size())));
    return evidence[std::min(place, evidence.size() - 1)];
}

Closeness::Strangers learnedStrangers(int64_t views, const std::vector<BestTwo>& own, const std::vector<BestTwo>& strangers)
{
    constexpr double chosenAt = 0.01; // rate at which the weight is chosen
    constexpr size_t kept = 1024;
    Closeness::Strangers best{views, 0, {}};
    size_t mostAccepted = 0;
    for (const double weight : {0.0, 0.5, 1.0, 2.0, 4.0, 8.0})
    {
        const auto evidence = [weight](const BestTwo& two) { return static_cast<float>(two.first + weight * (two.first - two.second)); };
        std::vector<float> of;
        std::transform(strangers.begin(), strangers.end(), std::back_inserter(of), evidence);
        Closeness candidate;
        candidate.strangers = {{views, weight, quantiles(std::move(of), kept)}};
        const double threshold = candidate.threshold(chosenAt, views);
        const auto accepted =
            static_cast<size_t>(std::count_if(own.begin(), own.end(), [&](const BestTwo& two) { return evidence(two) > threshold; }));
        if (best.evidence.empty() || accepted > mostAccepted)
        {
            best = candidate.strangers[0];
            mostAccepted = accepted;
        }
    }
    return best;
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
