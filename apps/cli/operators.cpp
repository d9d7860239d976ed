// agpnet operators: what the library computes, and the keys of a training configuration.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

std::string joined(const json& ports)
{
    std::string text;
    for (const json& port : ports)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", port.at("name").get<std::string>(), port.at("shape").get<std::string>());
    return text;
}

void printOperators(const json& list)
{
    for (const json& op : list)
    {
        std::printf("%s\n  %s\n  in   %s\n  out  %s\n", op.at("name").get<std::string>().c_str(), op.at("doc").get<std::string>().c_str(),
                    joined(op.at("inputs")).c_str(), joined(op.at("outputs")).c_str());
        for (const json& attribute : op.at("attributes"))
        {
            std::string range;
            if (attribute.contains("choices"))
                range = fmt::format("{}", fmt::join(attribute["choices"].get<std::vector<std::string>>(), "|"));
            else if (attribute.contains("minimum"))
                range = fmt::format("{:g} to {:g}", attribute["minimum"].get<double>(), attribute["maximum"].get<double>());
            std::printf("    %-12s %-6s %s%s%s\n", attribute.at("name").get<std::string>().c_str(),
                        attribute.at("type").get<std::string>().c_str(), attribute.at("doc").get<std::string>().c_str(),
                        range.empty() ? "" : fmt::format("  [{}]", range).c_str(),
                        attribute.contains("default") ? fmt::format("  = {}", attribute["default"].dump()).c_str() : "  (required)");
        }
        std::printf("\n");
    }
}

struct Options
{
    bool asJson = false;
    std::string config;
};

int operators(const Options& options)
{
    if (!options.config.empty())
        std::printf("%s\n", json::parse(defaultConfig(options.config)).dump(2).c_str());
    else if (options.asJson)
        std::printf("%s\n", describeOperators().c_str());
    else
        printOperators(json::parse(describeOperators()));
    return exitOk;
}

} // namespace

void addOperators(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("operators", "List the operators, their attributes and ranges");
    command->add_flag("--json", options->asJson, "As JSON");
    command
        ->add_option("--config", options->config,
                     "Print the keys and defaults of the training configuration of a method instead; without a value: agpnet")
        ->expected(0, 1)
        ->default_str("agpnet")
        ->check(CLI::IsMember({"agpnet", "dec"}));
    command->callback([options, &run] { run = [options] { return operators(*options); }; });
}

} // namespace agpnet::app
