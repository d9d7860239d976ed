// The stages that are operators; one line each.
#pragma once

#include "operators/core/operator.h"

namespace agpnet
{

OperatorEntry perturbOperator();
OperatorEntry residualOperator();
OperatorEntry heatmapOperator();
OperatorEntry nearestOperator();

inline std::vector<OperatorEntry> stageOperators()
{
    return {perturbOperator(), residualOperator(), heatmapOperator(), nearestOperator()};
}

} // namespace agpnet
