// agpnet query: which object of a gallery is this?
#include "agpnet/gallery.hpp"
#include "agpnet/part_inspector.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/json_output.h"
#include "apps/cli/objects.h"
#include "apps/datasets/folder_listing.h"
#include "apps/datasets/image_io.h"
#include "common/error.h"

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

struct Options
{
    std::string gallery, model, leaveOut, precision = "auto", device = "cpu";
    std::vector<std::string> images;
    int top = 5;
    double reject = 0.01;
    bool each = false, inspect = false, asJson = false;
};

/// The images of one query, and what it is called.
struct Query
{
    std::string name;
    std::vector<fs::path> views;
};

std::vector<fs::path> imagesIn(const std::string& argument)
{
    if (!fs::is_directory(argument))
        return {argument};
    std::vector<fs::path> found;
    for (const tools::Object& object : tools::listObjects(argument).objects)
        found.insert(found.end(), object.views.begin(), object.views.end());
    return found;
}

std::vector<Query> queriesOf(const Options& options)
{
    std::vector<Query> queries;
    for (const std::string& argument : options.images)
        for (const fs::path& image : imagesIn(argument))
        {
            if (queries.empty() || options.each)
                queries.push_back({image.string(), {}});
            queries.back().views.push_back(image);
        }
    if (!options.each && queries[0].views.size() > 1)
        queries[0].name = fmt::format("{} images", queries[0].views.size());
    return queries;
}

struct Answer
{
    std::vector<GalleryMatch> matches;
    double evidence = -1, threshold = -1; ///< -1: not known
    bool known = true;
};

Answer answerTo(const Query& query, const Describer& describer, const Gallery& gallery, const Options& options)
{
    std::vector<cv::Mat> views;
    for (const fs::path& path : query.views)
        views.push_back(tools::readImage(path));
    cv::Mat descriptor;
    describer.describe(views, descriptor, VIEWS_UNORDERED);
    Answer answer;
    answer.matches = gallery.search(descriptor, std::max(2, options.top), options.leaveOut);
    if (gallery.isCalibrated() && answer.matches.size() > 1)
    {
        answer.evidence = gallery.getEvidence(answer.matches, static_cast<int>(views.size()));
        answer.threshold = gallery.getThreshold(options.reject, static_cast<int>(views.size()));
        answer.known = answer.evidence > answer.threshold;
    }
    answer.matches.resize(std::min(answer.matches.size(), static_cast<size_t>(options.top)));
    return answer;
}

/// Each view of a query by the model of the entry that it was found to be. Empty where the part is not known, or has no model.
std::vector<std::pair<fs::path, AnomalyResult>> inspected(const Query& query, const Answer& answer, PartInspector& inspector)
{
    std::vector<std::pair<fs::path, AnomalyResult>> results;
    if (answer.known && !answer.matches.empty())
        for (const fs::path& path : query.views)
            if (const PartResult part = inspector.inspectAs(answer.matches[0].name, tools::readImage(path)); part.inspected)
                results.emplace_back(path, part.result);
    return results;
}

json toJson(const std::vector<std::pair<fs::path, AnomalyResult>>& inspected)
{
    json list = json::array();
    for (const auto& [path, result] : inspected)
    {
        list.push_back({{"score", result.score}, {"threshold", result.threshold}, {"anomalous", result.anomalous}});
        setName(list.back(), "image", path.string());
    }
    return list;
}

json toJson(const Query& query, const Answer& answer)
{
    json matches = json::array();
    for (const GalleryMatch& match : answer.matches)
        matches.push_back({{"name", match.name},
                           {"similarity", match.similarity},
                           {"chance", match.chance >= 0 ? json(match.chance) : json()},
                           {"note", match.note.empty() ? json() : json::parse(match.note)}});
    json line = {{"views", query.views.size()},
                 {"known", answer.known},
                 {"evidence", answer.threshold == -1 ? json() : json(answer.evidence)},
                 {"threshold", answer.threshold == -1 ? json() : json(answer.threshold)},
                 {"matches", matches}};
    setName(line, "query", query.name);
    return line;
}

void print(const Query& query, const Answer& answer)
{
    std::printf("%s: %s\n", query.name.c_str(),
                answer.matches.empty() ? "the gallery is empty"
                : answer.known         ? answer.matches[0].name.c_str()
                                       : "not surely in the gallery: another object may come as close");
    for (size_t i = 0; i < answer.matches.size(); i++)
    {
        const GalleryMatch& match = answer.matches[i];
        std::printf("%4zu  %.3f  ", i + 1, match.similarity);
        if (match.chance >= 0)
            std::printf("%7.3f %%  ", 100 * match.chance);
        std::printf("%s\n", match.name.c_str());
    }
}

int query(const Options& options)
{
    const auto [gallery, describer] = openGallery(options.gallery, options.model, options.precision, options.device);
    require(options.leaveOut.empty() || gallery->contains(options.leaveOut), "--leave-out: the gallery has no entry '{}'",
            options.leaveOut);
    const std::vector<Query> queries = queriesOf(options);
    const cv::Ptr<PartInspector> inspector = options.inspect
                                                 ? PartInspector::create(describer, options.gallery, options.reject, "auto", options.device)
                                                 : cv::Ptr<PartInspector>();
    if (!options.asJson)
        std::printf("rank  cosine  as close by chance  name\n");
    for (const Query& each : queries)
    {
        const Answer answer = answerTo(each, *describer, *gallery, options);
        const auto judged = inspector ? inspected(each, answer, *inspector) : std::vector<std::pair<fs::path, AnomalyResult>>();
        if (options.asJson)
        {
            json line = toJson(each, answer);
            if (inspector)
                line["inspected"] = toJson(judged);
            std::printf("%s\n", jsonText(line).c_str());
            continue;
        }
        print(each, answer);
        for (const auto& [path, result] : judged)
            std::printf("      %s %s: score %.4g, threshold %.4g\n", result.anomalous ? "ANOMALOUS" : "good", path.string().c_str(),
                        result.score, result.threshold);
        if (inspector && judged.empty())
            std::printf("      not inspected: %s\n", answer.known ? "the entry names no model" : "the part is not surely known");
    }
    return exitOk;
}

} // namespace

void addQuery(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("query", "Find the objects of a gallery that images show");
    command->add_option("--index", options->gallery, "The gallery, .agpx, that 'index' wrote")->required();
    command->add_option("images", options->images, "Images of one object, or folders of them")->required();
    command->add_flag("--each", options->each, "Each image shows an object of its own");
    command->add_flag("--inspect", options->inspect, "Inspect each image by the model that the best match names (index --inspect)");
    command->add_option("--model", options->model, "The gallery's model, where it is not beside it");
    command->add_option("--top", options->top, "Number of answers (default 5)")->check(CLI::Range(1, 10000));
    command->add_option("--reject", options->reject,
                        "Rate at which objects that are not in the gallery may be taken for one of it (default 0.01)")
        ->check(CLI::Range(1e-4, 0.5));
    command->add_option("--leave-out", options->leaveOut, "Name of an entry that is no answer: that of the query itself");
    command->add_option("--precision", options->precision, "auto, fp32 or bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    command->add_option("--device", options->device, "Where the networks compute: cpu, cuda or cuda:N (default cpu)");
    command->add_flag("--json", options->asJson, "One JSON object for each query on stdout");
    command->callback([options, &run] { run = [options] { return query(*options); }; });
}

} // namespace agpnet::app
