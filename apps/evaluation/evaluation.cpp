#include "apps/evaluation/evaluation.h"

#include "common/error.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace agpnet::tools
{

namespace
{

constexpr const char* goodName = "good";

template <typename Get>
auto meanOf(const std::vector<ClassFigures>& classes, Get get)
{
    std::optional<double> sum = 0.0;
    for (const ClassFigures& each : classes)
    {
        const std::optional<double> value = get(each);
        sum = sum && value ? std::optional(*sum + *value) : std::nullopt;
    }
    return sum && !classes.empty() ? std::optional(*sum / static_cast<double>(classes.size())) : std::nullopt;
}

template <typename Get>
std::optional<Interval> intervalOfMean(const std::vector<ClassFigures>& classes, Get get)
{
    std::vector<double> sums;
    for (const ClassFigures& each : classes)
    {
        const std::vector<double>& drawings = get(each.drawings);
        if (drawings.empty())
            return {};
        sums.resize(drawings.size(), 0.0);
        std::transform(sums.begin(), sums.end(), drawings.begin(), sums.begin(), std::plus<>());
    }
    for (double& sum : sums)
        sum /= static_cast<double>(classes.size());
    return interval95(std::move(sums));
}

} // namespace

ClassEvaluation::ClassEvaluation(std::string name, const EvaluationOptions& options) : options_(options), pixels_(options.exactPixels)
{
    figures_.name = std::move(name);
}

void ClassEvaluation::add(const Item& item, float score, const cv::Mat& map, const cv::Mat& mask, std::optional<bool> decision,
                          double seconds)
{
    const bool anomalous = item.label == Label::Anomalous;
    const std::string& kind = anomalous ? item.defect : goodName;
    scores_.push_back(score);
    defects_.push_back(kind);
    (anomalous ? figures_.anomalous : figures_.good)++;
    figures_.decided = figures_.decided || decision;
    called_[kind] += decision.value_or(false);
    if (seconds > 0)
        seconds_.push_back(seconds);
    if (!figures_.size)
        figures_.size = map.size();
    sizesDiffer_ = sizesDiffer_ || *figures_.size != map.size();
    if (anomalous && mask.empty())
        figures_.withoutMask++;
    else
        pixels_.add(map, anomalous ? resizeMask(mask, map.size()) : cv::Mat(), kind);
}

ClassFigures ClassEvaluation::finish()
{
    ClassFigures result = std::move(figures_);
    if (sizesDiffer_)
        result.size.reset();
    std::vector<uint8_t> labels;
    for (const std::string& defect : defects_)
        labels.push_back(defect != goodName);
    result.image = rankMetrics(scores_, labels, &result.imageCurves);
    result.drawings = bootstrapImages(scores_, labels, options_.drawings, options_.seed);
    result.pixel = pixels_.finish(PixelAccumulator::defaultLimits, &result.pixelCurves);
    result.goodCalled = called_[goodName];
    for (const auto& [name, called] : called_)
    {
        if (name == goodName)
            continue;
        DefectFigures defect;
        defect.name = name;
        defect.called = called;
        std::vector<float> scores;
        std::vector<uint8_t> some;
        for (size_t i = 0; i < scores_.size(); i++)
            if (defects_[i] == name || defects_[i] == goodName)
            {
                scores.push_back(scores_[i]);
                some.push_back(labels[i]);
            }
        defect.image = rankMetrics(scores, some);
        defect.images = defect.image.positives;
        defect.auroc95 = interval95(bootstrapImages(scores, some, options_.drawings, options_.seed).auroc);
        const std::array<std::string, 2> groups = {goodName, name};
        defect.pixel = pixels_.finish(std::span<const std::string>(groups));
        result.defects.push_back(std::move(defect));
    }
    if (!seconds_.empty())
        result.latency = Latency{std::accumulate(seconds_.begin(), seconds_.end(), 0.0) / static_cast<double>(seconds_.size()),
                                 percentile(seconds_, 0.5), percentile(seconds_, 0.9), percentile(seconds_, 0.99)};
    return result;
}

MeanFigures meanFigures(const std::vector<ClassFigures>& classes)
{
    MeanFigures mean;
    mean.imageAuroc = meanOf(classes, [](const ClassFigures& c) { return c.image.auroc; });
    mean.imageAp = meanOf(classes, [](const ClassFigures& c) { return c.image.ap; });
    mean.imageF1Max = meanOf(classes, [](const ClassFigures& c) { return c.image.f1Max; });
    mean.pixelAuroc = meanOf(classes, [](const ClassFigures& c) { return c.pixel.auroc; });
    mean.pixelAp = meanOf(classes, [](const ClassFigures& c) { return c.pixel.ap; });
    mean.pixelF1Max = meanOf(classes, [](const ClassFigures& c) { return c.pixel.f1Max; });
    for (size_t i = 0; i < std::size(PixelAccumulator::defaultLimits); i++)
        mean.aupro.push_back(meanOf(classes, [i](const ClassFigures& c) { return c.pixel.aupro.at(i); }));
    mean.imageAuroc95 = intervalOfMean(classes, [](const Bootstrap& b) -> const auto& { return b.auroc; });
    mean.imageAp95 = intervalOfMean(classes, [](const Bootstrap& b) -> const auto& { return b.ap; });
    mean.imageF1Max95 = intervalOfMean(classes, [](const Bootstrap& b) -> const auto& { return b.f1Max; });
    for (const ClassFigures& each : classes)
        mean.maxError = std::max(mean.maxError, each.pixel.maxError());
    return mean;
}

} // namespace agpnet::tools
