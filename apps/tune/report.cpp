#include "apps/tune/report.h"

#include "apps/report/report.h"

#include <algorithm>
#include <map>
#include <set>

namespace agpnet::app
{

using tuning::Entry;
using tuning::Record;
using tuning::Status;
using tuning::Trial;

namespace
{

struct Section
{
    std::string title;
    std::vector<std::string> facts;
    std::vector<std::pair<std::vector<std::string>, std::vector<std::vector<std::string>>>> tables; ///< columns and rows
};

/// For each parameter that was varied: each of its values, and the best speed-up of any schedule with it.
std::map<std::string, std::map<std::string, double>> landscape(const Entry& entry)
{
    std::map<std::string, std::map<std::string, double>> best;
    for (const Trial& trial : entry.trials)
    {
        const nlohmann::json parameters = tuning::parametersToJson(trial.parameters);
        if (trial.status == Status::Ok)
            for (const auto& [key, value] : parameters.items())
            {
                double& at = best[key][value.is_string() ? value.get<std::string>() : fmt::format("{:>4}", value.dump())];
                at = std::max(at, trial.speedup);
            }
    }
    std::erase_if(best, [](const auto& parameter) { return parameter.second.size() < 2; });
    return best;
}

std::vector<Section> sectionsOf(const Record& record)
{
    std::vector<Section> sections;
    for (const Entry& entry : record.entries)
    {
        Section section;
        section.title = fmt::format("{}{}{} {} on {}", entry.workload.stage, entry.workload.kind.empty() ? "" : " ", entry.workload.kind,
                                    stages::shapeText(entry.workload), entry.device.name);
        section.facts = {fmt::format("{}{}, {}; layout {}; Halide {}; AGPNet {}; {}", stages::nameOf(entry.device.api),
                                     entry.device.software ? " in software (its ranking says nothing about a GPU)" : "",
                                     entry.device.architecture.empty() ? entry.device.driver : entry.device.architecture,
                                     entry.workload.layout, entry.halide, entry.plugin, entry.conditions.finished),
                         fmt::format("{} threads, load {:.1f}, the default drifted by a factor of {:.2f}", entry.conditions.threads,
                                     entry.conditions.load, entry.conditions.drift),
                         entry.best == entry.defaultVariant
                             ? fmt::format("The default, {}, stays: {:.1f} us.", entry.defaultVariant, entry.defaultTiming.median)
                             : fmt::format("{} is {:.2f}x as fast as the default, {} ({:.1f} us).", entry.best, entry.speedup,
                                           entry.defaultVariant, entry.defaultTiming.median)};
        std::vector<Trial> trials = entry.trials;
        std::stable_sort(trials.begin(), trials.end(),
                         [](const Trial& a, const Trial& b)
                         { return (a.status == Status::Ok ? a.speedup : 0) > (b.status == Status::Ok ? b.speedup : 0); });
        std::vector<std::vector<std::string>> rows;
        constexpr size_t shown = 20;
        for (const Trial& trial : trials)
        {
            if (rows.size() == shown)
                break;
            if (trial.status == Status::Ok)
                rows.push_back({trial.variant, trial.parameters, fmt::format("{:.1f}", trial.timing.median),
                                fmt::format("{:.1f}", trial.timing.mad), fmt::format("{:.2f} ± {:.2f}", trial.speedup, trial.noise),
                                fmt::format("{:.1e}", trial.maxError)});
            else
                rows.push_back({trial.variant, trial.parameters, tuning::nameOf(trial.status), "", "", ""});
        }
        section.tables.push_back({{"schedule", "parameters", "median us", "MAD us", "speed-up", "error"}, rows});
        if (trials.size() > shown)
            section.facts.push_back(fmt::format("The {} fastest of {} schedules that were tried:", shown, trials.size()));
        std::vector<std::vector<std::string>> values;
        for (const auto& [parameter, best] : landscape(entry))
            for (const auto& [value, speedup] : best)
            {
                std::string bar;
                for (int i = 0; i < static_cast<int>(20 * std::min(speedup, 3.0) + 0.5); i++)
                    bar += "█";
                values.push_back({parameter, value, fmt::format("{:.2f}", speedup), bar});
            }
        if (!values.empty())
            section.tables.push_back({{"parameter", "value", "best speed-up with it", ""}, values});
        sections.push_back(section);
    }
    return sections;
}

} // namespace

std::string markdownReport(const Record& record)
{
    std::string text = "# Tuning record\n";
    const auto cell = [](const std::string& value)
    {
        std::string plain;
        for (char c : value)
        {
            if (c == '|')
                plain += '\\';
            plain += c;
        }
        return plain;
    };
    const auto line = [&](const std::vector<std::string>& cells)
    {
        std::string row = "|";
        for (const std::string& value : cells)
            row += fmt::format(" {} |", cell(value));
        return row + "\n";
    };
    for (const Section& section : sectionsOf(record))
    {
        text += fmt::format("\n## {}\n", cell(section.title));
        for (const std::string& fact : section.facts)
            text += cell(fact) + "  \n";
        for (const auto& [columns, rows] : section.tables)
        {
            text += fmt::format("\n{}{}", line(columns), line(std::vector<std::string>(columns.size(), "---")));
            for (const std::vector<std::string>& row : rows)
                text += line(row);
        }
    }
    return text;
}

std::string htmlReport(const Record& record)
{
    const auto escaped = [](const std::string& text) { return tools::escapeHtml(text); };
    std::string text =
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tuning record</title>"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><style>"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse;margin:1em 0}td,th{text-align:left;padding:.15em .8em .15em 0;border-bottom:1px solid #ccc;"
        "font-variant-numeric:tabular-nums}td:last-child{color:#36c;letter-spacing:-1px}</style></head><body><h1>Tuning record</h1>\n";
    for (const Section& section : sectionsOf(record))
    {
        text += fmt::format("<h2>{}</h2>\n", escaped(section.title));
        for (const std::string& fact : section.facts)
            text += fmt::format("<p>{}</p>\n", escaped(fact));
        for (const auto& [columns, rows] : section.tables)
        {
            text += "<table><tr>";
            for (const std::string& column : columns)
                text += fmt::format("<th>{}</th>", escaped(column));
            text += "</tr>\n";
            for (const std::vector<std::string>& row : rows)
            {
                text += "<tr>";
                for (const std::string& value : row)
                    text += fmt::format("<td>{}</td>", escaped(value));
                text += "</tr>\n";
            }
            text += "</table>\n";
        }
    }
    return text + "</body></html>\n";
}

} // namespace agpnet::app
