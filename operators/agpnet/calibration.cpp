#include "operators/agpnet/calibration.h"

#include "common/error.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/training/training_order.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <tuple>

namespace agpnet
{
namespace
{

constexpr size_t pixelsOfImage = 4096; // the map is smooth: neighbours say the same
constexpr double pixelShare = 0.2;     ///< fraction of the false-positive rate: the rate of good pixels that may be marked
constexpr double driftRate = 0.01;     ///< fraction of normal images beyond the limit of the range

/// Every so-manyth pixel; `inside`, if given, of the map's size.
void samplePixels(const cv::Mat& map, const cv::Mat& inside, bool wanted, std::vector<double>& pixels)
{
    const size_t stride = std::max<size_t>(1, map.total() / pixelsOfImage);
    for (size_t i = 0; i < map.total(); i += stride)
    {
        const int row = static_cast<int>(i / static_cast<size_t>(map.cols)),
                  column = static_cast<int>(i % static_cast<size_t>(map.cols));
        if (inside.empty() || (inside.at<uchar>(row, column) != 0) == wanted)
            pixels.push_back(map.at<float>(row, column));
    }
}

std::pair<double, double> moments(const std::vector<double>& values)
{
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    double sum = 0;
    for (double value : values)
        sum += (value - mean) * (value - mean);
    return {mean, values.size() > 1 ? std::sqrt(sum / static_cast<double>(values.size() - 1)) : 0.0};
}

Threshold labelled(const std::vector<double>& normal, const std::vector<double>& anomalous, const CalibrationOptions& options)
{
    return options.rule == THRESHOLD_COST ? thresholdFromCost(normal, anomalous, options.missCost)
                                          : thresholdFromF1(normal, anomalous);
}

/// Among images labelled good there is now and then one that is not, and a tail would be stretched to reach it. Without
/// those whose logarithm lies more than 5 deviations, by the median's absolute deviation, above the median; unless they are many,
/// and so no accident.
std::vector<double> withoutOutliers(const std::vector<double>& scores)
{
    constexpr double most = 5, deviationOfNormal = 1.4826;
    if (scores.size() < leastForTail || *std::min_element(scores.begin(), scores.end()) <= 0)
        return scores;
    std::vector<double> logarithms, distances;
    for (double score : scores)
        logarithms.push_back(std::log(score));
    const double middle = medianOf(logarithms);
    for (double logarithm : logarithms)
        distances.push_back(std::abs(logarithm - middle));
    const double limit = std::exp(middle + most * deviationOfNormal * medianOf(distances));
    std::vector<double> kept;
    std::copy_if(scores.begin(), scores.end(), std::back_inserter(kept), [limit](double score) { return score <= limit; });
    const size_t dropped = scores.size() - kept.size(), fewEnough = std::max<size_t>(1, scores.size() / 20);
    return dropped <= fewEnough && kept.size() >= leastForTail ? kept : scores;
}

Threshold unlabelled(const std::vector<double>& normal, const CalibrationOptions& options)
{
    return options.rule == THRESHOLD_QUANTILE ? thresholdFromQuantile(normal, options.falseAlarms)
                                              : thresholdFromTail(withoutOutliers(normal), options.falseAlarms);
}

bool wantsLabels(const CalibrationOptions& options)
{
    return options.rule == THRESHOLD_F1 || options.rule == THRESHOLD_COST;
}

} // namespace

void validate(const CalibrationOptions& options)
{
    require(options.rule >= THRESHOLD_TAIL && options.rule <= THRESHOLD_COST, "the rule of thresholds is {}, expected {} to {}",
            static_cast<int>(options.rule), static_cast<int>(THRESHOLD_TAIL), static_cast<int>(THRESHOLD_COST));
    require(options.falseAlarms > 0 && options.falseAlarms <= 0.5,
            "the false-positive rate is {}, expected above 0 and at most 0.5", options.falseAlarms);
    require(std::isfinite(options.missCost) && options.missCost > 0,
            "the cost of a missed defect is {}, expected above 0, in false positives", options.missCost);
}

void CalibrationScores::addNormal(const Prediction& image)
{
    const Evidence& evidence = image.evidence;
    normal_.scores.push_back(evidence.score);
    samplePixels(onHost(image.map), {}, true, normal_.pixels);
    features_[evidence.product].push_back(evidence.features);
}

void CalibrationScores::addAnomalous(const Prediction& image, const cv::Mat& mask)
{
    anomalous_.scores.push_back(image.evidence.score);
    if (mask.empty())
        return; // nobody knows which of its pixels are anomalous
    cv::Mat inside;
    const cv::Mat map = onHost(image.map);
    cv::resize(mask, inside, map.size(), 0, 0, cv::INTER_NEAREST);
    samplePixels(map, inside, true, anomalous_.pixels);
    samplePixels(map, inside, false, normal_.pixels);
}

void CalibrationScores::add(const CalibrationScores& other)
{
    from_ = from_.empty() || from_ == other.from_ ? other.from_ : "mixed";
    const auto append = [](auto& to, const auto& more) { to.insert(to.end(), more.begin(), more.end()); };
    for (const auto& [to, more] : {std::pair{&normal_, &other.normal_}, {&anomalous_, &other.anomalous_}})
    {
        append(to->scores, more->scores);
        append(to->pixels, more->pixels);
    }
    for (const auto& [product, features] : other.features_)
        append(features_[product], features);
}

ScoreStatistics CalibrationScores::statistics(const CalibrationOptions& options) const
{
    require(!normal_.scores.empty(), "no normal image to take thresholds from, expected at least one");
    ScoreStatistics statistics;
    statistics.from = from_;
    statistics.count = static_cast<int64_t>(normal_.scores.size());
    std::tie(statistics.mean, statistics.deviation) = moments(normal_.scores);
    statistics.median = medianOf(normal_.scores);
    statistics.least = *std::min_element(normal_.scores.begin(), normal_.scores.end());
    statistics.most = *std::max_element(normal_.scores.begin(), normal_.scores.end());
    const bool labels = wantsLabels(options);
    statistics.threshold = labels ? labelled(normal_.scores, anomalous_.scores, options) : unlabelled(normal_.scores, options);
    statistics.pixelThreshold = labels && !anomalous_.pixels.empty()
                                    ? labelled(normal_.pixels, anomalous_.pixels, options)
                                    : thresholdFromQuantile(normal_.pixels, pixelShare * options.falseAlarms);
    return statistics;
}

DriftRange CalibrationScores::driftRange(int64_t products) const
{
    std::vector<at::Tensor> means, deviations;
    DriftRange drift;
    for (int64_t product = 0; product < products; product++)
    {
        const auto found = features_.find(product);
        if (found == features_.end() || found->second.size() < static_cast<size_t>(DriftStatistics::leastImages))
            return {};
        const DriftStatistics::Measured measured = DriftStatistics::measured(at::stack(found->second));
        const at::Tensor distances = measured.distances.contiguous();
        const auto* first = distances.const_data_ptr<double>();
        drift.limits.push_back(thresholdFromTail(withoutOutliers({first, first + distances.numel()}), driftRate));
        means.push_back(measured.mean);
        deviations.push_back(measured.deviation);
    }
    drift.features = {at::stack(means), at::stack(deviations)};
    return drift;
}

std::vector<size_t> untrainedPictures(const std::string& header, const std::string& product, size_t count)
{
    return guarded(
        [&]
        {
            const nlohmann::json model = nlohmann::json::parse(header, nullptr, false);
            require(model.is_object() && model.contains("config") && model.contains("training"),
                    "the model's header is not as Detector::header() gives it");
            const Config config = model["config"].get<Config>();
            std::vector<size_t> counts;
            size_t place = 0;
            bool known = false;
            for (const nlohmann::json& set : model["training"].value("sets", nlohmann::json::array()))
            {
                if (set.at("name") == product)
                {
                    known = true;
                    place = counts.size();
                }
                counts.push_back(set.at("count").get<size_t>());
            }
            require(known, "the model's record names no training images of the product '{}'", product);
            require(counts[place] == count, "the model was trained on {} images{}, not on {}", counts[place],
                    product.empty() ? "" : fmt::format(" of '{}'", product), count);
            const TrainingOrder order(counts, config.seed, static_cast<size_t>(config.shots));
            std::vector<bool> trained(count, false);
            for (const size_t picture : order.splits()[place].trained)
                trained[picture] = true;
            std::vector<size_t> others;
            for (size_t picture = 0; picture < count; picture++)
                if (!trained[picture])
                    others.push_back(picture);
            return others;
        });
}

bool calibrate(const std::string& model, const std::vector<CalibrationSet>& sets, const CalibrationOptions& options,
               const std::string& out)
{
    return guarded(
        [&]
        {
            requireThreads();
            validate(options);
            ModelFile file = readModel(model);
            const Inference inference(file, "auto");
            std::vector<std::string> expected;
            for (const ProductScores& product : file.products)
                expected.push_back(product.name);
            if (expected.empty())
                expected.emplace_back();
            size_t total = 0;
            std::vector<const CalibrationSet*> ordered;
            for (const std::string& name : expected)
            {
                const auto found =
                    std::find_if(sets.begin(), sets.end(), [&](const CalibrationSet& set) { return set.product == name; });
                require(found != sets.end() && sets.size() == expected.size(), "{}: {} sets of images{}, expected {}", model,
                        sets.size(), sets.size() == 1 && !sets[0].product.empty() ? fmt::format(" of '{}'", sets[0].product) : "",
                        file.products.empty() ? "one without a product's name"
                                              : fmt::format("one for each of {}", fmt::join(expected, ", ")));
                require(found->count > 0 && found->image, "{}: no images{} to take thresholds from, expected at least one",
                        model, name.empty() ? "" : fmt::format(" of '{}'", name));
                total += found->count;
                ordered.push_back(&*found);
            }
            const Inspection inspection = inspectionOf(file.config);
            CalibrationScores all;
            std::vector<ProductScores> products;
            size_t done = 0;
            for (const CalibrationSet* set : ordered)
            {
                CalibrationScores scores(set->from);
                for (size_t i = 0; i < set->count; i++)
                {
                    const CalibrationImage image = set->image(i);
                    require(!image.anomalous || wantsLabels(options),
                            "image {} is anomalous, but the rule takes thresholds from normal images only", i);
                    require(image.mask.empty() || image.mask.type() == CV_8UC1,
                            "the mask of image {} is of type {}, expected CV_8UC1", i, cv::typeToString(image.mask.type()));
                    const Prediction found = inference.predict({Frame(image.image, "image", inference.range())}, inspection)[0];
                    image.anomalous ? scores.addAnomalous(found, image.mask) : scores.addNormal(found);
                    done++;
                    if (options.keepGoing && !options.keepGoing(done, total))
                        return false;
                }
                if (!set->product.empty())
                    products.push_back({set->product, scores.statistics(options)});
                all.add(scores);
            }
            file.scores = all.statistics(options);
            file.products = std::move(products);
            file.drift = all.driftRange(inference.net().products());
            writeModel(out, file,
                       sharedHeader(model)->at("backbone").at("embedded").get<bool>() ? EmbedBackbone::Yes : EmbedBackbone::No);
            return true;
        });
}

} // namespace agpnet
