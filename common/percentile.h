#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace agpnet
{

/// The smallest value that at least the fraction `q` of all values do not exceed; 0 where there are none.
inline double percentile(std::vector<double> values, double q)
{
    if (values.empty())
        return 0;
    const auto rank = static_cast<std::ptrdiff_t>(std::ceil(q * static_cast<double>(values.size()))) - 1;
    const auto at = values.begin() + std::clamp<std::ptrdiff_t>(rank, 0, static_cast<std::ptrdiff_t>(values.size()) - 1);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

} // namespace agpnet
