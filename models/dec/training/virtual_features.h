// Virtual features of unseen names (VFS of DEC): what the backbone would say of an object of another name. An image-text space ("bridge")
// has vectors of images and of names. For view m of an object of the seen class i, and an unseen name u:
//     v = psi(bridge_m + epsilon LN(t_u - t_i)),    f_m^u = alpha v + beta f_m
// psi is a small network from the bridge's width to the backbone's; epsilon, alpha and beta are learned. The paper does not say how deep
// psi is or where the scalars start: ours has two layers, alpha 0.5, beta 0.5. Only training computes them.
#pragma once

#include "models/weights/state_dict.h"

#include <cstdint>

namespace agpnet::dec
{

/// What virtual features are made of.
struct Bridge
{
    at::Tensor views;   ///< [objects, views, B]: the image side's vectors of the training's views
    at::Tensor classes; ///< [classes, B]: vectors of the seen classes' names
    at::Tensor names;   ///< [names, B]: vectors of unseen names

    bool empty() const { return !names.defined() || names.size(0) == 0; }
};

class VirtualFeatures
{
public:
    VirtualFeatures(int64_t bridgeWidth, int64_t width, double scale, uint64_t seed);

    /// @param features    [B, M, D] of the objects' views
    /// @param bridge      [B, M, bridgeWidth] of the same views
    /// @param difference  [B, bridgeWidth]: the text of the unseen name minus that of the object's class
    /// @return [B, M, D]
    at::Tensor operator()(const at::Tensor& features, const at::Tensor& bridge, const at::Tensor& difference) const;

    const NamedTensors& parameters() const { return parameters_; }

private:
    const at::Tensor& get(const char* name) const;

    NamedTensors parameters_;
};

} // namespace agpnet::dec
