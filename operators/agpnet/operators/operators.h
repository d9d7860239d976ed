// The operators of the family AGPNet; one line each.
#pragma once

#include "operators/core/operator.h"

namespace agpnet
{

OperatorEntry reconstructOperator();
OperatorEntry detectOperator();
OperatorEntry trainOperator();

inline std::vector<OperatorEntry> agpnetOperators()
{
    return {reconstructOperator(), detectOperator(), trainOperator()};
}

} // namespace agpnet
