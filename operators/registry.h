// Every operator there is: those of the stages, and those of each family.
#pragma once

#include "operators/core/operator.h"

namespace agpnet
{

const std::vector<OperatorEntry>& operatorList();
const OperatorEntry& findOperator(const std::string& name);

} // namespace agpnet
