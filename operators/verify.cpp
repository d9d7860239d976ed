#include "agpnet/verify.hpp"

#include "models/checksum.h"
#include "operators/guard.h"

namespace agpnet
{

std::string verifyModel(const std::string& path)
{
    return guarded([&] { return checkedSum(path); });
}

} // namespace agpnet
