// Which objects are queries and which are targets, as JSON:
//     {"query": ["m949"], "target": ["m948", "m947"]}
// or the same for each class, {"bed": {"query": [...], "target": [...]}, "vase": {...}}, or either of them for several data sets in one
// file, {"known": {...}, "unknown": {...}}: then the part with the name of the data set's folder counts. Other keys are let pass.
#pragma once

#include "apps/datasets/object_dataset.h"

namespace agpnet::tools
{

/// Indices of objects, in the order of the data set.
struct QueryTarget
{
    std::vector<size_t> queries;
    std::vector<size_t> targets;
};

/// Objects that are not named are neither. Error where a name is that of no object or is named twice, where an object is not of the class
/// that it is named under, and where there is no query or no target.
QueryTarget readObjectSplit(const std::filesystem::path& path, const ObjectDataset& dataset);

} // namespace agpnet::tools
