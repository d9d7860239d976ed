#pragma once

#include "agpnet/describer.hpp"
#include "operators/dec/inference.h"

namespace agpnet::dec
{

class DescriberImpl final : public Describer
{
public:
    explicit DescriberImpl(std::shared_ptr<const Inference> inference) : inference_(std::move(inference)) {}

    void describe(cv::InputArrayOfArrays views, cv::OutputArray descriptor, ViewOrder order) const override;
    void embed(cv::InputArrayOfArrays images, cv::OutputArray embeddings) const override;
    void aggregate(cv::InputArray embeddings, cv::OutputArray descriptor, ViewOrder order) const override;
    int getWidth() const override { return static_cast<int>(inference_->network().width()); }
    std::string getSpace() const override { return inference_->space(); }
    cv::Size getInputSize() const override { return inference_->inputSize(); }
    std::string getPrecision() const override { return nameOf(inference_->network().compute()); }
    std::string getDevice() const override { return inference_->network().device().str(); }
    std::string getHeader() const override { return inference_->header(); }

private:
    std::shared_ptr<const Inference> inference_;
};

} // namespace agpnet::dec
