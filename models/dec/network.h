// DEC for inference: the frozen backbone makes an embedding of each view, whitening and adapter make one descriptor of the views.
#pragma once

#include "models/backbones/backbone.h"
#include "models/dec/adapter.h"
#include "models/dec/config.h"
#include "models/dec/whitening.h"

#include <memory>
#include <string>

namespace agpnet::dec
{

/// What makes descriptors of embeddings: what training learns.
struct Space
{
    Whitening whitening;
    Adapter adapter;

    /// views: [M, E], in the order in which they lie around the object if `ordered`. Unordered views have no neighbours: each counts as the
    /// mean of all. Returns [D], of unit length.
    at::Tensor describe(const at::Tensor& views, bool ordered) const;

    /// The same for several objects with as many views each: [N, M, E] → [N, D].
    at::Tensor describeAll(const at::Tensor& views, bool ordered) const;
};

/// Immutable after construction; every method may be called from several threads.
class Network
{
public:
    /// @param config  completed()
    Network(const Config& config, const Backbone& backbone, Space space, ComputeType compute, at::Device device = at::kCPU);

    /// images: [N, 3, H, W], RGB, 0 to 1, at the config's size. Returns [N, E], float32, on the model's device.
    at::Tensor embed(const at::Tensor& images) const;

    const Space& space() const { return space_; }
    const Config& config() const { return config_; }
    ComputeType compute() const { return compute_; }
    at::Device device() const { return device_; }
    int64_t width() const { return space_.adapter.width(); } ///< E and D

private:
    Config config_;
    ComputeType compute_;
    at::Device device_;
    std::unique_ptr<Extractor> extractor_;
    Space space_;
};

/// Rows [.., D] to unit length; a row of zeros stays.
at::Tensor unitRows(const at::Tensor& rows);

/// Identity of the descriptors that such a model makes: galleries of one belong to no other.
std::string spaceDigest(const Config& config, const Backbone& backbone, const Space& space);

} // namespace agpnet::dec
