#include "models/thresholds/score_statistics.h"

namespace agpnet
{
namespace
{

using nlohmann::json;

const char rangeMean[] = "range.mean", rangeDeviation[] = "range.deviation";

/// The rule of a threshold; its value is stored beside the rule, as in files of earlier versions.
json ruleToJson(const Threshold& t)
{
    json rule = {{"method", t.method},
                 {"normal", t.normal},
                 {"anomalous", t.anomalous},
                 {"false_alarms", t.rate < 0 ? json(nullptr) : json(t.rate)}};
    if (t.method == "tail")
        rule["tail"] = {{"from", t.tail.from}, {"share", t.tail.share}, {"shape", t.tail.shape}, {"scale", t.tail.scale}};
    if (t.method == "cost")
        rule["cost"] = t.cost;
    return rule;
}

json toJson(const ScoreStatistics& s)
{
    return {{"from", s.from},
            {"count", s.count},
            {"mean", s.mean},
            {"deviation", s.deviation},
            {"median", s.median},
            {"least", s.least},
            {"most", s.most},
            {"threshold", s.threshold.value},
            {"pixel_threshold", s.pixelThreshold.value},
            {"threshold_rule", ruleToJson(s.threshold)},
            {"pixel_threshold_rule", ruleToJson(s.pixelThreshold)}};
}

void readRule(const std::string& path, const json& rule, Threshold& t)
{
    t.method = headerMember<std::string>(path, rule, "method");
    t.normal = headerMember<int64_t>(path, rule, "normal");
    t.anomalous = headerMember<int64_t>(path, rule, "anomalous");
    t.rate = headerMember<json>(path, rule, "false_alarms").is_null() ? -1 : finiteMember(path, rule, "false_alarms");
    if (t.method == "tail")
    {
        const json tail = headerMember<json>(path, rule, "tail");
        t.tail = {finiteMember(path, tail, "from"), finiteMember(path, tail, "share"), finiteMember(path, tail, "shape"),
                  finiteMember(path, tail, "scale")};
    }
    if (t.method == "cost")
        t.cost = finiteMember(path, rule, "cost");
}

/// `rule`: the member with the rule; absent in files of earlier versions, which had one rule.
Threshold thresholdOf(const std::string& path, const json& entry, const char* key, const char* rule)
{
    Threshold t;
    t.value = finiteMember(path, entry, key);
    t.method = "deviations";
    t.normal = headerMember<int64_t>(path, entry, "count");
    if (entry.contains(rule))
        readRule(path, headerMember<json>(path, entry, rule), t);
    return t;
}

} // namespace

nlohmann::json scoresToJson(const ScoreStatistics& scores, const std::vector<ProductScores>& products)
{
    json result = toJson(scores);
    for (const ProductScores& product : products)
    {
        json entry = toJson(product.scores);
        entry["name"] = product.name;
        result["classes"].push_back(entry);
    }
    return result;
}

ScoreStatistics scoresFrom(const std::string& path, const json& entry)
{
    ScoreStatistics s;
    s.from = headerMember<std::string>(path, entry, "from");
    s.count = headerMember<int64_t>(path, entry, "count");
    for (auto [key, field] : {std::pair{"mean", &s.mean}, {"deviation", &s.deviation}, {"least", &s.least}, {"most", &s.most}})
        *field = finiteMember(path, entry, key);
    s.threshold = thresholdOf(path, entry, "threshold", "threshold_rule");
    s.pixelThreshold = thresholdOf(path, entry, "pixel_threshold", "pixel_threshold_rule");
    s.median = entry.contains("median") ? finiteMember(path, entry, "median") : s.mean; // files of earlier versions have only the mean
    return s;
}

std::vector<ProductScores> productsFrom(const std::string& path, const json& scores)
{
    std::vector<ProductScores> products;
    if (!scores.contains("classes"))
        return products;
    const json list = headerMember<json>(path, scores, "classes");
    require(list.is_array(), "{}: header member 'classes' is {}, expected a list", path, list.type_name());
    for (const json& entry : list)
        products.push_back({headerMember<std::string>(path, entry, "name"), scoresFrom(path, entry)});
    return products;
}

nlohmann::json driftToJson(const DriftRange& drift)
{
    json list = json::array();
    for (const Threshold& limit : drift.limits)
    {
        list.push_back(ruleToJson(limit));
        list.back()["limit"] = limit.value;
    }
    return list;
}

void addDrift(TensorFile& file, const DriftRange& drift)
{
    if (!drift.features.known())
        return;
    file.tensors.emplace(rangeMean, drift.features.mean);
    file.tensors.emplace(rangeDeviation, drift.features.deviation);
}

DriftRange driftFrom(const std::string& path, const json& header, const TensorFile& file, int64_t products, int64_t channels)
{
    DriftRange drift;
    if (!header.contains("drift") || header["drift"].empty())
        return drift;
    const json list = headerMember<json>(path, header, "drift");
    require(list.is_array(), "{}: header member 'drift' is {}, expected a list", path, list.type_name());
    for (const json& entry : list)
    {
        Threshold& limit = drift.limits.emplace_back();
        limit.value = finiteMember(path, entry, "limit");
        require(limit.value > 0, "{}: header member 'limit' is {}, expected above 0", path, limit.value);
        readRule(path, entry, limit);
    }
    const at::Tensor mean = requiredTensor(path, file, rangeMean), deviation = requiredTensor(path, file, rangeDeviation);
    try
    {
        drift.features = DriftStatistics::checked(mean, deviation, channels);
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
    const auto rows = static_cast<size_t>(drift.features.mean.size(0));
    require(rows == static_cast<size_t>(products) && rows == drift.limits.size(),
            "{}: the range of features is of {} products with {} limits, expected {} of both", path, rows, drift.limits.size(), products);
    return drift;
}

} // namespace agpnet
