// What `agpnet evaluate` found, as JSON, as text, and as parts of the report.
#pragma once

#include "apps/cli/file_count.h"
#include "apps/evaluation/evaluation.h"
#include "apps/report/report.h"

#include <nlohmann/json.hpp>

namespace agpnet::app
{

/// One class and the data it was measured on.
struct MeasuredClass
{
    tools::Dataset data;
    std::string path; ///< as given on the command line
    std::string hash;
    tools::ClassFigures figures;
    std::optional<double> threshold; ///< threshold of the decisions; none if each image gets the threshold of the product that it resembles
    std::string product;             ///< product of the model whose threshold it is; empty: the threshold of all products together
};

struct Measurement
{
    std::vector<MeasuredClass> classes;
    tools::MeanFigures mean; ///< mean over classes; for one class, its metrics
    nlohmann::json about;    ///< model or maps, versions, device, options: goes into the JSON as it stands
    std::vector<std::string> warnings;
    FileCount files;
};

nlohmann::json toJson(const Measurement& measurement);
void printText(const Measurement& measurement);

/// Figures, tables and charts.
void fillReport(tools::Report& report, const Measurement& measurement);

} // namespace agpnet::app
