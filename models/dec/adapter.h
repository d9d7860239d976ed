// From the views of an object to one descriptor: the adapter behind the whitening.
//
// CAM, the chunk adapter module of DEC, takes the views as a ring: two blocks, each one convolution over chunks of three consecutive views
// (kernel = stride = 3), batch norm, ReLU and an average over three chunks; what is left is averaged.
//     descriptor = lambda mean_m f_m + (1 - lambda) CAM(f_1 .. f_M)
// A number of views that does not make whole chunks is filled up from the start of the ring. The paper says neither how many blocks there
// are nor how they are padded.
//
// Ours (cam_from_mean) has neither norm nor ReLU, its taps begin as a third of the identity, and a chunk counts by the views that it has,
// which may be fewer than three: at the start it is the mean, for any number of views.
#pragma once

#include "models/dec/config.h"
#include "models/weights/state_dict.h"

namespace agpnet::dec
{

class Adapter
{
public:
    /// A new one. The weights follow from the seed.
    Adapter(AdapterKind kind, int64_t width, double lambda, uint64_t seed);

    /// One as it was learned; refuses tensors that do not fit, by name.
    Adapter(AdapterKind kind, int64_t width, double lambda, const NamedTensors& learned);

    /// views: [B, M, D], float32, M >= 1 → [B, D]. `training`: batch norms use the batch's statistics, and learn them.
    at::Tensor operator()(const at::Tensor& views, bool training = false) const;

    /// The same of views without an order, which have no neighbours: each stands for the mean of all, on a ring of whole chunks, so that
    /// the number of views does not matter. means: [B, D] → [B, D].
    at::Tensor ofMeans(const at::Tensor& means) const;

    AdapterKind kind() const { return kind_; }
    int64_t width() const { return width_; }
    double lambda() const { return lambda_; }
    /// The order of views matters.
    bool ordered() const { return kind_ == AdapterKind::Cam || kind_ == AdapterKind::CamFromMean; }

    const NamedTensors& parameters() const { return parameters_; } ///< what training changes
    NamedTensors state() const;                                    ///< parameters, and the statistics of batch norms

private:
    const at::Tensor& get(const std::string& name) const;
    at::Tensor chunks(const at::Tensor& views, bool training) const;
    at::Tensor chunksFromMean(const at::Tensor& views) const;

    AdapterKind kind_;
    int64_t width_;
    double lambda_;
    NamedTensors parameters_, statistics_;
};

} // namespace agpnet::dec
