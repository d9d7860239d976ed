#include "operators/registry.h"

#include "common/error.h"
#include "operators/agpnet/operators/operators.h"
#include "operators/dec/operators/operators.h"
#include "operators/stages/operators.h"

namespace agpnet
{

const std::vector<OperatorEntry>& operatorList()
{
    static const std::vector<OperatorEntry> list = [] {
        std::vector<OperatorEntry> all;
        for (const std::vector<OperatorEntry>& some : {stageOperators(), agpnetOperators(), dec::operators()}) // one line a family
            all.insert(all.end(), some.begin(), some.end());
        return all;
    }();
    return list;
}

const OperatorEntry& findOperator(const std::string& name)
{
    for (const OperatorEntry& entry : operatorList())
        if (entry.schema.name == name)
            return entry;
    fail("no operator is called '{}'", name);
}

} // namespace agpnet
