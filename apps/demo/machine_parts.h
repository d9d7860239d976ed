// Machine parts by class: which sizes a part of a class has comes from a seed.
#pragma once

#include "apps/demo/mesh.h"

#include <cstdint>
#include <string>

namespace agpnet::tools
{

struct PartClass
{
    std::string name;
    bool known; ///< one to train with; the others are for tests
};

/// In the order of their names.
const std::vector<PartClass>& partClasses();

/// One part, normalised(); it stands or lies. The same seed gives the same part.
Mesh makePart(const std::string& className, uint64_t seed);

} // namespace agpnet::tools
