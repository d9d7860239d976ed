// The operators of the family DEC; one line each.
#pragma once

#include "operators/core/operator.h"

namespace agpnet::dec
{

OperatorEntry describeOperator();
OperatorEntry aggregateOperator();

inline std::vector<OperatorEntry> operators()
{
    return {describeOperator(), aggregateOperator()};
}

/// "order": what the order of the views means.
inline AttributeSchema orderAttribute()
{
    return textAttribute(
        "order",
        "ring: the views are in the order in which they were taken around the object, of use to models with an adapter over "
        "views; unordered: from any sides",
        "unordered", {"unordered", "ring"});
}

} // namespace agpnet::dec
