#include "operators/operator_list.h"

namespace agpnet
{

const std::vector<OperatorEntry>& operatorList()
{
    static const std::vector<OperatorEntry> list = {
        perturbOperator(), reconstructOperator(), residualOperator(), heatmapOperator(), detectOperator(), trainOperator(),
    };
    return list;
}

} // namespace agpnet
