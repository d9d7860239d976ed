// One line for each operator; operator_list.cpp puts them together.
#pragma once

#include "operators/core/operator.h"

namespace agpnet
{

OperatorEntry perturbOperator();
OperatorEntry residualOperator();
OperatorEntry heatmapOperator();
OperatorEntry reconstructOperator();
OperatorEntry detectOperator();
OperatorEntry trainOperator();

} // namespace agpnet
