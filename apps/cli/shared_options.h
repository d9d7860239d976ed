// Options that several commands have, in the same words.
#pragma once

#include "apps/cli/numbers.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace agpnet::app
{

/// --split and --good
inline void addSelection(CLI::App& command, std::string& split, std::vector<std::string>& good)
{
    command.add_option("--split", split, "File that says which good images are for training and which for test");
    command
        .add_option("--good", good,
                    "Name of a folder, or label of a table, that means good; again for another (default: good, ok, normal, pass, false, 0)")
        ->allow_extra_args(false);
}

/// --precision and --device
inline void addCompute(CLI::App& command, std::string& precision, std::string& device)
{
    command.add_option("--precision", precision, "auto, fp32, bf16 or int8")->check(CLI::IsMember({"auto", "fp32", "bf16", "int8"}));
    command.add_option("--device", device, "Where the networks compute: cpu, cuda or cuda:N (default cpu)");
}

inline void addRegionOfInterest(CLI::App& command, std::string& region)
{
    command.add_option(
        "--roi", region,
        "Region of interest: a mask image, or points \"x,y x,y x,y\" (fractions of the sides, or pixels; ; separates polygons)");
}

inline void addSensitivity(CLI::App& command, double& sensitivity)
{
    command.add_option("--sensitivity", sensitivity, "Divides the thresholds (default 1)")->check(positiveNumber());
}

} // namespace agpnet::app
