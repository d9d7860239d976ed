#include "apps/cli/threshold_notes.h"

#include <fmt/format.h>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

void addNotes(const json& scores, const std::string& whose, std::vector<std::string>& notes)
{
    const json& rule = scores.at("threshold_rule");
    const auto count = scores.at("count").get<int64_t>();
    const std::string from = scores.at("from").get<std::string>();
    const bool labelled = rule.at("anomalous").get<int64_t>() > 0;
    if (from == "training")
        notes.push_back(fmt::format(
            "{}the thresholds are taken from the images that were trained on, because none could be held out: more of other images will be "
            "flagged; 'agpnet calibrate' takes them from other good images",
            whose));
    if (rule.at("false_alarms").is_null())
        notes.push_back(fmt::format(
            "{}no rate of false positives can be stated from the scores of {} {}, 8 are needed: the threshold is their mean and three "
            "deviations; train with 80 good images or more, or calibrate with others",
            whose, count, count == 1 ? "image" : "images"));
    if (!labelled && scores.at("least") == scores.at("most"))
        notes.push_back(fmt::format(
            "{}the threshold is the score of {} itself, and the smallest difference will be flagged: other good images are needed", whose,
            count == 1 ? "the one image" : fmt::format("the {} images, which all score alike,", count)));
}

} // namespace

std::vector<std::string> thresholdNotes(const json& scores)
{
    std::vector<std::string> notes;
    if (!scores.contains("classes"))
        addNotes(scores, "", notes);
    else
        for (const json& product : scores.at("classes"))
            addNotes(product, product.at("name").get<std::string>() + ": ", notes);
    return notes;
}

} // namespace agpnet::app
