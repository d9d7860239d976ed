// A model of DEC ready to run, shared by everything that uses its file.
#pragma once

#include "models/dec/file.h"
#include "operators/image/preprocess.h"

#include <memory>
#include <string>

namespace agpnet::dec
{

/// Immutable; its functions may be called from several threads.
class Inference
{
public:
    Inference(const ModelFile& file, const std::string& precision, at::Device device = at::kCPU);

    /// One row an image, [N, E], float32, on the host. Images are taken in batches.
    at::Tensor embed(const std::vector<Frame>& images) const;

    const Network& network() const { return network_; }
    const std::string& space() const { return space_; }   ///< digest
    const std::string& header() const { return header_; } ///< JSON text
    cv::Size inputSize() const { return {network_.config().width, network_.config().height}; }

private:
    Network network_;
    std::string space_, header_;
};

/// "auto", "fp32" or "bf16". Descriptors of a gallery and of queries are compared: on a CPU "auto" is float32 everywhere.
ComputeType computeTypeOf(const std::string& precision, at::Device device);

/// Reads a model, or gives the one that is in use already if the file has not changed since.
std::shared_ptr<const Inference> sharedInference(const std::string& path, const std::string& precision, at::Device device = at::kCPU);

/// The header of the file, remembered until the file changes: cheap enough for shape inference.
std::shared_ptr<const nlohmann::json> sharedHeader(const std::string& path);

/// Width of a model's embeddings and descriptors, by its header.
int widthOf(const std::string& path, const nlohmann::json& header);

/// Images one after the other through `network`, as embed().
at::Tensor embedded(const Network& network, const std::vector<Frame>& images);

} // namespace agpnet::dec
