// A tuning record for people: what was measured, what won, and which parameters mattered.
#pragma once

#include "tuning/record.h"

#include <string>

namespace agpnet::app
{

std::string markdownReport(const tuning::Record& record);
std::string htmlReport(const tuning::Record& record); ///< one page that stands alone

} // namespace agpnet::app
