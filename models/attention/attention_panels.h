// How attention's own kernels lay out the right factors of their products. Keys (depth: the head's channels) and values (depth: the tokens)
// stand in panels of some registers of columns, the last of them as narrow as it can be: [panels][depth][columns of the panel].
#pragma once

#include <algorithm>
#include <cstdint>

namespace agpnet
{

constexpr int64_t rowsOfABlock = 12; ///< queries; a multiple of every kernel's rows: their logits stay in the first cache

constexpr int64_t inWhole(int64_t count, int64_t part)
{
    return (count + part - 1) / part;
}

/// Where one column begins, and how far one step of depth is. lanes: columns of a register; panelWidth: registers of a panel.
inline int64_t columnAt(int64_t column, int64_t registers, int64_t depth, int64_t lanes, int64_t panelWidth, int64_t& step)
{
    const int64_t begin = column / (lanes * panelWidth) * panelWidth;
    step = std::min(panelWidth, registers - begin) * lanes;
    return begin * lanes * depth + column % (lanes * panelWidth);
}

} // namespace agpnet
