// The memory layouts a pipeline is compiled for. All buffers have the dimensions (x, y, c, n) whatever their strides.
#pragma once

#include <Halide.h>
#include <map>
#include <string>

enum class Layout
{
    Tokens, // the channels of a pixel lie side by side: [N, L, C], channels-last
    Planar, // the pixels of a row lie side by side: NCHW
    Any     // no stride is known
};

inline const std::map<std::string, Layout>& layoutNames()
{
    static const std::map<std::string, Layout> names = {
        {"tokens", Layout::Tokens}, {"planar", Layout::Planar}, {"any", Layout::Any}};
    return names;
}

/// Halide's own default is a stride of 1 in the first dimension.
template <typename Buffer>
void setLayout(Buffer& buffer, Layout layout)
{
    buffer.dim(0).set_stride(layout == Layout::Planar ? Halide::Expr(1) : Halide::Expr());
    if (layout == Layout::Tokens)
        buffer.dim(2).set_stride(1);
    for (int i = 0; i < 4; i++)
        buffer.dim(i).set_min(0);
}
