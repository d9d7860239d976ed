#include "apps/cli/evaluate_objects.h"

#include "agpnet/version.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/objects.h"
#include "apps/cli/output.h"
#include "apps/datasets/object_split.h"
#include "apps/evaluation/retrieval_metrics.h"
#include "apps/tune/progress.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

constexpr size_t depths[] = {1, 5, 10}; ///< k of recall@k and hit@k
constexpr int viewNumbers[] = {1, 3, 6};
constexpr double statedRate = 0.01; ///< at which strangers may be accepted

struct Described
{
    std::vector<tools::LabelledObject> labels;
    std::vector<cv::Mat> embeddings; ///< rows are views
};

Described describedObjects(const Describer& describer, const tools::ObjectDataset& data, bool quiet)
{
    Described described;
    for (const tools::Object& object : data.objects)
        described.labels.push_back({object.name, object.className});
    Progress progress("evaluate", "views", static_cast<int>(data.views()), 0, quiet);
    embedObjects(
        describer, data.objects, [&](size_t, const cv::Mat& embeddings) { described.embeddings.push_back(embeddings); },
        [&](int done) { progress.update(done); });
    return described;
}

cv::Mat stacked(const std::vector<cv::Mat>& rows)
{
    cv::Mat all;
    cv::vconcat(rows, all);
    return all;
}

cv::Mat similaritiesOf(const cv::Mat& queries, const cv::Mat& targets)
{
    cv::Mat similarities;
    cv::gemm(queries, targets, 1, cv::noArray(), 0, similarities, cv::GEMM_2_T);
    return similarities;
}

cv::Mat descriptorsOf(const Describer& describer, const Described& described, const std::vector<size_t>& chosen)
{
    std::vector<cv::Mat> rows;
    for (const size_t i : chosen)
        rows.push_back(descriptorOf(describer, described.embeddings[i]));
    return stacked(rows);
}

std::vector<tools::LabelledObject> labelsOf(const Described& described, const std::vector<size_t>& chosen)
{
    std::vector<tools::LabelledObject> labels;
    for (const size_t i : chosen)
        labels.push_back(described.labels[i]);
    return labels;
}

json toJson(const tools::MeanMetric& metric)
{
    json value = {{"value", metric.value}};
    if (metric.interval)
        value["interval"] = {metric.interval->low, metric.interval->high};
    return value;
}

json toJson(const tools::RetrievalMetrics& metrics)
{
    json all = {{"queries", metrics.queries}, {"left_out", metrics.leftOut}, {"classes", metrics.classes}};
    if (!metrics.reason.empty())
    {
        all["reason"] = metrics.reason;
        return all;
    }
    all.update({{"map", toJson(metrics.map)},
                {"map_interpolated", toJson(metrics.mapInterpolated)},
                {"nn", toJson(metrics.nn)},
                {"ndcg", toJson(metrics.ndcg)},
                {"anmrr", toJson(metrics.anmrr)},
                {"ndcg100_papers", toJson(metrics.ndcg100Papers)},
                {"anmrr_papers", toJson(metrics.anmrrPapers)}});
    for (size_t i = 0; i < metrics.recall.size(); i++)
        all["recall@" + std::to_string(depths[i])] = toJson(metrics.recall[i]);
    return all;
}

/// Classes: every object against all others, or the queries of a split against its targets.
json byClass(const Describer& describer, const Described& described, const tools::ObjectDataset& data, const ObjectEvaluation& options)
{
    require(data.classes().size() > 1, "{}: its objects have {}, expected several: CLASS/OBJECT/*.png; or --protocol instance",
            options.data, data.classes().empty() ? "no classes" : "one class");
    std::vector<tools::Ranking> rankings;
    if (options.protocol == "split")
    {
        const tools::QueryTarget split = tools::readObjectSplit(options.split, data);
        const cv::Mat similarities =
            similaritiesOf(descriptorsOf(describer, described, split.queries), descriptorsOf(describer, described, split.targets));
        rankings = tools::rankTargets(similarities, labelsOf(described, split.queries), labelsOf(described, split.targets));
    }
    else
    {
        std::vector<size_t> all(described.labels.size());
        std::iota(all.begin(), all.end(), size_t{0});
        const cv::Mat descriptors = descriptorsOf(describer, described, all);
        rankings = tools::leaveOneOut(similaritiesOf(descriptors, descriptors), described.labels);
    }
    tools::RetrievalOptions measure;
    measure.at.assign(std::begin(depths), std::end(depths));
    measure.drawings = options.drawings;
    measure.seed = options.seed;
    json result = toJson(tools::retrievalMetrics(rankings, measure));
    json confused = json::array();
    for (const auto& pair : tools::confusion(rankings).worst(5))
        confused.push_back({{"query", pair.query}, {"found", pair.found}, {"count", pair.count}, {"of", pair.of}});
    result["confused"] = confused;
    return result;
}

/// The camera case: a gallery of the even views of each object; queries of a few of its odd ones.
json byInstance(const Describer& describer, const Described& described)
{
    std::vector<cv::Mat> gallery;
    std::vector<size_t> usable;
    for (size_t i = 0; i < described.embeddings.size(); i++)
    {
        const cv::Mat& views = described.embeddings[i];
        if (views.rows < 2)
            continue;
        std::vector<cv::Mat> even;
        for (int row = 0; row < views.rows; row += 2)
            even.push_back(views.row(row));
        gallery.push_back(descriptorOf(describer, stacked(even)));
        usable.push_back(i);
    }
    require(gallery.size() > 1, "{} objects have two views or more, expected at least 2 for --protocol instance", gallery.size());
    const cv::Mat targets = stacked(gallery);
    const cv::Ptr<Gallery> index = Gallery::create(describer.getWidth(), describer.getSpace());
    std::vector<std::string> names;
    for (size_t g = 0; g < usable.size(); g++)
    {
        names.push_back(described.labels[usable[g]].name);
        index->add(names.back(), gallery[g]);
    }
    json result = json::object();
    for (const int count : viewNumbers)
    {
        std::vector<cv::Mat> queries;
        std::vector<size_t> places; // right answers
        for (size_t g = 0; g < usable.size(); g++)
        {
            const cv::Mat& views = described.embeddings[usable[g]];
            std::vector<cv::Mat> odd;
            for (int row = 1; row < views.rows; row += 2)
                odd.push_back(views.row(row));
            if (static_cast<int>(odd.size()) < count)
                continue;
            for (size_t start = 0; start < (count == static_cast<int>(odd.size()) ? 1 : odd.size()); start++)
            {
                std::vector<cv::Mat> some;
                for (int i = 0; i < count; i++)
                    some.push_back(odd[(start + static_cast<size_t>(i) * odd.size() / static_cast<size_t>(count)) % odd.size()]);
                cv::Mat descriptor;
                describer.aggregate(stacked(some), descriptor, VIEWS_UNORDERED);
                queries.push_back(descriptor);
                places.push_back(g);
            }
        }
        if (queries.empty())
            continue;
        const cv::Mat all = stacked(queries), similarities = similaritiesOf(all, targets);
        size_t first = 0, firstFive = 0;
        for (size_t q = 0; q < queries.size(); q++)
        {
            const auto* row = similarities.ptr<float>(static_cast<int>(q));
            const auto ahead = std::count_if(row, row + targets.rows, [&](float s) { return s > row[places[q]]; });
            first += ahead == 0;
            firstFive += ahead < 5;
        }
        const auto number = static_cast<double>(queries.size());
        json& found = result[std::to_string(count)] = {{"queries", queries.size()},
                                                       {"right_first", static_cast<double>(first) / number},
                                                       {"right_in_first_five", static_cast<double>(firstFive) / number}};
        if (names.size() < 3)
            continue;
        // the threshold as an index has it, from the views that are in the gallery; and how it holds on the others
        std::vector<cv::Mat> own;
        for (size_t g = 0; g < usable.size(); g++)
        {
            const cv::Mat& views = described.embeddings[usable[g]];
            std::vector<cv::Mat> some;
            for (int i = 0; i < count; i++)
                some.push_back(views.row((2 * (static_cast<int>(g) + i * ((views.rows + 1) / 2) / count)) % ((views.rows + 1) / 2 * 2)));
            cv::Mat descriptor;
            describer.aggregate(stacked(some), descriptor, VIEWS_UNORDERED);
            own.push_back(descriptor);
        }
        index->calibrate(stacked(own), names, count);
        const double threshold = index->getThreshold(statedRate, count);
        std::vector<std::string> leftOut;
        for (const size_t place : places)
            leftOut.push_back(names[place]);
        const auto above = [&](const std::vector<std::vector<GalleryMatch>>& answers) {
            return static_cast<double>(std::count_if(answers.begin(), answers.end(), [&](const auto& matches) {
                       return index->getEvidence(matches, count) > threshold;
                   })) / number;
        };
        found["accepted"] = above(index->searchBatch(all, 2));
        found["strangers_accepted"] = above(index->searchBatch(all, 2, leftOut));
    }
    return result;
}

void printMetric(const char* name, const json& metric)
{
    std::printf("%-22s %6.2f %%", name, 100 * metric.at("value").get<double>());
    if (metric.contains("interval"))
        std::printf("   (95 %%: %.2f to %.2f)", 100 * metric["interval"][0].get<double>(), 100 * metric["interval"][1].get<double>());
    std::printf("\n");
}

void print(const json& result)
{
    if (result.contains("instance"))
    {
        std::printf("views  right first  right in the first five  accepted  strangers accepted (stated: %.3g %%)  queries\n",
                    100 * statedRate);
        for (const auto& [views, found] : result["instance"].items())
            std::printf("%5s  %9.2f %%  %21.2f %%  %6.2f %%  %32.2f %%  %7zu\n", views.c_str(), 100 * found["right_first"].get<double>(),
                        100 * found["right_in_first_five"].get<double>(), 100 * found.value("accepted", 0.0),
                        100 * found.value("strangers_accepted", 0.0), found["queries"].get<size_t>());
        return;
    }
    const json& found = result.at("classes");
    std::printf("%zu queries of %zu classes%s\n", found["queries"].get<size_t>(), found["classes"].get<size_t>(),
                found["left_out"].get<size_t>() > 0
                    ? fmt::format("; {} objects whose class has no other are left out", found["left_out"].get<size_t>()).c_str()
                    : "");
    if (found.contains("reason"))
    {
        std::printf("no metrics: %s\n", found["reason"].get<std::string>().c_str());
        return;
    }
    for (const auto& [key, name] : {std::pair{"map", "mAP"},
                                    {"map_interpolated", "mAP, interpolated"},
                                    {"nn", "nearest neighbour"},
                                    {"recall@5", "recall@5"},
                                    {"recall@10", "recall@10"},
                                    {"ndcg", "NDCG"},
                                    {"anmrr", "ANMRR (lower: better)"}})
        printMetric(name, found[key]);
    for (const json& pair : found["confused"])
        std::printf("%s is taken for %s: %zu of %zu\n", pair["query"].get<std::string>().c_str(), pair["found"].get<std::string>().c_str(),
                    pair["count"].get<size_t>(), pair["of"].get<size_t>());
}

} // namespace

int evaluateObjects(const ObjectEvaluation& options)
{
    require((options.protocol == "split") == !options.split.empty(), "--protocol split and --split FILE belong together");
    const cv::Ptr<Describer> describer = openDescriber(options.model, options.precision, options.device);
    const tools::ObjectDataset data = tools::listObjects(options.data);
    for (const std::string& warning : data.warnings)
        std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
    const tools::Dataset images = tools::imagesOf(data);
    tools::checkFiles(images);
    const Described described = describedObjects(*describer, data, options.asJson);
    json result = {{"agpnet", version()},
                   {"space", describer->getSpace()},
                   {"precision", describer->getPrecision()},
                   {"protocol", options.protocol},
                   {"seed", options.seed},
                   {"objects", data.objects.size()},
                   {"data", {{"files", data.views()}, {"sha256", tools::datasetHash(images)}}}};
    setName(result, "model", options.model);
    if (options.protocol == "instance")
        result["instance"] = byInstance(*describer, described);
    else
        result["classes"] = byClass(*describer, described, data, options);
    if (!options.out.empty())
        writeFileAtomically(options.out, jsonText(result, 2) + "\n");
    if (options.asJson)
        std::printf("%s\n", jsonText(result).c_str());
    else
        print(result);
    return exitOk;
}

} // namespace agpnet::app
