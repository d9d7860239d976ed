// From a record to what the stages consult.
#pragma once

#include "halide_generators/runtime/choices.h"
#include "tuning/record.h"

namespace agpnet::tuning
{

/// What the stages may use of a record, and for what they may not, a sentence each: measured with other sources or
/// another Halide, or of a schedule that is not compiled in.
struct Usable
{
    std::vector<stages::Choice> choices;
    std::vector<std::string> ignored;
};
Usable usableChoices(const Record& record, const std::string& origin);

/// The hash of a stage's generator in this build; empty for a stage that there is not.
std::string generatorHash(const std::string& stage);

} // namespace agpnet::tuning
